"""From a request to its answer, call by call: what is asked of the world, and who may ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exporter.demo.namespace import DEFAULT, CollectionRecord
from exporter.demo.refusals import (
    COLLECTION_NOT_FOUND,
    DATABASE_NOT_FOUND,
    INVALID_PARAMETER,
    MISSING_PARAMETER,
    NOT_READY,
    Refused,
    hidden_collection,
    missing,
    no_collection,
)
from exporter.demo.spec import redact_spec
from exporter.milvus.pb import milvus_refresh_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.demo.access import User
    from exporter.demo.jobs import JobView
    from exporter.demo.world import World

VERSION: Final = "v3.0.1-sim"
# The deprecated half of a status, which Milvus still fills.
_DEPRECATED: Final = {
    NOT_READY: pb.NotReadyServe,
    COLLECTION_NOT_FOUND: pb.CollectionNotExists,
    INVALID_PARAMETER: pb.IllegalArgument,
}
_RETRIABLE: Final = (1, 2, 4, 8, 12, 106, 110, 1002, 1003)
_INPUT_ERRORS: Final = (COLLECTION_NOT_FOUND, DATABASE_NOT_FOUND, INVALID_PARAMETER, MISSING_PARAMETER)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``user`` is None where authorization is off; ``database`` is what the ``dbname`` header says."""

    user: User | None
    database: str

    def meant(self, request: Any) -> str:
        """Return the database that a request means: its own field, then the header, then the default one."""
        return request.db_name or self.database or DEFAULT

    def require(self, privilege: str, database: str, collection: str = "") -> None:
        """Raise :class:`Denied` unless the caller holds the privilege."""
        if self.user is not None:
            self.user.require(privilege, database, collection)


@dataclass(frozen=True, slots=True)
class Call:
    """One method: what it takes and gives, and the verb behind it."""

    request: type[Any]
    response: type[Any]
    answer: Callable[[World, Caller, Any], Any]


def status_of(refused: Refused) -> pb.Status:
    """Return the status that carries a refusal."""
    status = pb.Status(
        error_code=_DEPRECATED.get(refused.code, pb.UnexpectedError),
        code=refused.code,
        reason=refused.reason,
        detail=refused.reason,
        retriable=refused.code in _RETRIABLE,
    )
    if refused.code in _INPUT_ERRORS:
        status.extra_info["is_input_error"] = "true"
    return status


def _connect(world: World, caller: Caller, _request: Any) -> Any:
    world.names.database(caller.database)
    server = pb.ServerInfo(build_tags=VERSION, deploy_mode="STANDALONE", git_commit="simulated")
    return pb.ConnectResponse(status=pb.Status(), server_info=server, identifier=_hybrid(world.now))


def _version(_world: World, _caller: Caller, _request: Any) -> Any:
    return pb.GetVersionResponse(status=pb.Status(), version=VERSION)


def _health(_world: World, _caller: Caller, _request: Any) -> Any:
    return pb.CheckHealthResponse(status=pb.Status(), isHealthy=True)


def _list_databases(world: World, caller: Caller, _request: Any) -> Any:
    shown = [base for base in world.names.databases() if caller.user is None or caller.user.sees_database(base.name)]
    return pb.ListDatabasesResponse(
        status=pb.Status(),
        db_names=[base.name for base in shown],
        created_timestamp=[_hybrid(base.created) for base in shown],
        db_ids=[base.database_id for base in shown],
    )


def _describe_database(world: World, caller: Caller, request: Any) -> Any:
    base = world.names.database(caller.meant(request))
    caller.require("DescribeDatabase", base.name)
    return pb.DescribeDatabaseResponse(
        status=pb.Status(), db_name=base.name, dbID=base.database_id, created_timestamp=_hybrid(base.created)
    )


def _show_collections(world: World, caller: Caller, request: Any) -> Any:
    base = caller.meant(request)
    user = caller.user
    shown = [
        record for record in world.names.collections(base) if user is None or user.sees_collection(base, record.name)
    ]
    return pb.ShowCollectionsResponse(
        status=pb.Status(),
        collection_names=[record.name for record in shown],
        collection_ids=[record.collection_id for record in shown],
        created_timestamps=[_hybrid(record.created) for record in shown],
        created_utc_timestamps=[int(record.created * 1000) for record in shown],
        inMemory_percentages=[100] * len(shown),
        query_service_available=[True] * len(shown),
        shards_num=[1] * len(shown),
    )


def _describe_collection(world: World, caller: Caller, request: Any) -> Any:
    base = caller.meant(request)
    caller.require("DescribeCollection", base, request.collection_name)
    record = _described(world, base, request)
    if caller.user is not None and not caller.user.sees_collection(record.database, record.name):
        raise hidden_collection()
    return pb.DescribeCollectionResponse(
        status=pb.Status(),
        schema=_schema(record),
        collectionID=record.collection_id,
        created_timestamp=_hybrid(record.created),
        created_utc_timestamp=int(record.created * 1000),
        shards_num=1,
        aliases=record.aliases,
        collection_name=record.name,
        db_name=record.database,
        num_partitions=1,
        db_id=world.names.database(record.database).database_id,
    )


def _batch_describe_collection(world: World, caller: Caller, request: Any) -> Any:
    if not request.collection_name:
        raise missing("collection names cannot be empty")
    base = caller.meant(request)
    found = []
    for name in request.collection_name:
        try:
            one = pb.DescribeCollectionRequest(db_name=base, collection_name=name)
            found.append(_describe_collection(world, caller, one))
        except Refused as refused:
            found.append(pb.DescribeCollectionResponse(status=status_of(refused)))
    return pb.BatchDescribeCollectionResponse(status=pb.Status(), responses=found)


def _refresh(world: World, caller: Caller, request: Any) -> Any:
    base = caller.meant(request)
    caller.require("RefreshExternalCollection", base, request.collection_name)
    try:
        job_id = world.submit(
            request.collection_name, database=base, source=request.external_source, spec=request.external_spec
        )
    except Refused as refused:
        return pb.RefreshExternalCollectionResponse(status=status_of(refused), job_id=refused.job_id)
    return pb.RefreshExternalCollectionResponse(status=pb.Status(), job_id=job_id)


def _progress(world: World, _caller: Caller, request: Any) -> Any:
    job = _job_info(world.progress(request.job_id))
    return pb.GetRefreshExternalCollectionProgressResponse(status=pb.Status(), job_info=job)


def _list_jobs(world: World, caller: Caller, request: Any) -> Any:
    jobs = world.list_jobs(caller.meant(request), request.collection_name)
    return pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status(), jobs=_job_infos(jobs))


CALLS: Final = {
    "Connect": Call(pb.ConnectRequest, pb.ConnectResponse, _connect),
    "GetVersion": Call(pb.GetVersionRequest, pb.GetVersionResponse, _version),
    "CheckHealth": Call(pb.CheckHealthRequest, pb.CheckHealthResponse, _health),
    "ListDatabases": Call(pb.ListDatabasesRequest, pb.ListDatabasesResponse, _list_databases),
    "DescribeDatabase": Call(pb.DescribeDatabaseRequest, pb.DescribeDatabaseResponse, _describe_database),
    "ShowCollections": Call(pb.ShowCollectionsRequest, pb.ShowCollectionsResponse, _show_collections),
    "DescribeCollection": Call(pb.DescribeCollectionRequest, pb.DescribeCollectionResponse, _describe_collection),
    "BatchDescribeCollection": Call(
        pb.BatchDescribeCollectionRequest, pb.BatchDescribeCollectionResponse, _batch_describe_collection
    ),
    "RefreshExternalCollection": Call(
        pb.RefreshExternalCollectionRequest, pb.RefreshExternalCollectionResponse, _refresh
    ),
    "GetRefreshExternalCollectionProgress": Call(
        pb.GetRefreshExternalCollectionProgressRequest, pb.GetRefreshExternalCollectionProgressResponse, _progress
    ),
    "ListRefreshExternalCollectionJobs": Call(
        pb.ListRefreshExternalCollectionJobsRequest, pb.ListRefreshExternalCollectionJobsResponse, _list_jobs
    ),
}
"""Every method this server knows."""


def _described(world: World, database: str, request: Any) -> CollectionRecord:
    if request.collection_name or not request.collectionID:
        return world.names.find(database, request.collection_name)
    record = world.names.by_id(request.collectionID)
    if record is None:
        raise no_collection(database, request.collectionID)
    return record


def _schema(record: CollectionRecord) -> pb.CollectionSchema:
    external = record.external
    fields = (
        ("id", pb.Int64, ()),
        ("text", pb.VarChar, ("max_length", "4096")),
        ("vector", pb.FloatVector, ("dim", "768")),
    )
    return pb.CollectionSchema(
        name=record.name,
        dbName=record.database,
        external_source=record.source,
        external_spec=redact_spec(record.spec),
        fields=[
            pb.FieldSchema(
                fieldID=100 + number,
                name=name,
                is_primary_key=name == "id" and not external,
                data_type=kind,
                type_params=[pb.KeyValuePair(key=param[0], value=param[1])] if param else (),
                external_field=name if external else "",
            )
            for number, (name, kind, param) in enumerate(fields)
        ],
    )


def _job_infos(jobs: Iterable[JobView]) -> list[pb.RefreshExternalCollectionJobInfo]:
    return [_job_info(job) for job in jobs]


def _job_info(job: JobView) -> pb.RefreshExternalCollectionJobInfo:
    return pb.RefreshExternalCollectionJobInfo(
        job_id=job.job_id,
        collection_name=job.collection_name,
        state=pb.RefreshExternalCollectionState.Name(job.state),
        progress=job.progress,
        reason=job.reason,
        external_source=job.source,
        external_spec=job.spec,
        start_time=job.start_ms,
        end_time=job.end_ms,
    )


def _hybrid(moment: float) -> int:
    return int(moment * 1000) << 18
