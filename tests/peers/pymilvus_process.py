"""A Milvus made of pymilvus's own servicer: the other side of the wire, with none of this project's code.

Runs as a program: ``python pymilvus_process.py WORLD.json``. It says ``{"port": N}`` on standard output, then
answers one JSON command a line: ``{"world": {...}}`` merges into the world, ``{"calls": true}`` tells the calls
received so far, ``{"forget_calls": true}`` empties that list. End of input ends it. The world is described in
``pymilvus_server.py``, which is the handle that tests use.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2
from pymilvus_rbac import Administration, Rbac, hidden, refuse

OK = common_pb2.Status(code=0)
INT64 = 5


class World:
    """What this Milvus holds and how it misbehaves; one mapping, read anew by every call."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.calls: list[dict[str, Any]] = []
        self.stopping = threading.Event()

    def __getitem__(self, key: str) -> Any:
        return self.content.get(key) or {}

    def find(self, database: str, name: str) -> dict[str, Any] | None:
        for collection in self["databases"][database].get("collections", []):
            if name == collection["name"] or name in collection.get("aliases", []):
                return dict(collection)
        return None

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for spec in self["jobs"]:
            plain = {key: value for key, value in spec.items() if key not in ("repeat", "step_ms", "spread")}
            if "repeat" not in spec:
                found.append(plain)
                continue
            for number in range(spec["repeat"]):
                one = dict(plain, job_id=plain["job_id"] + number)
                for stamp in ("start_time", "end_time"):
                    if plain.get(stamp):
                        one[stamp] = plain[stamp] + number * spec.get("step_ms", 0)
                if "spread" in spec:
                    one["collection_name"] = f"{plain['collection_name']}{number % spec['spread']}"
                found.append(one)
        return found


class Servicer(Administration, milvus_pb2_grpc.MilvusServiceServicer):
    """The answers of a well-behaved Milvus 3.0. What is not here is UNIMPLEMENTED, by pymilvus's own base class."""

    def __init__(self, world: World) -> None:
        self.world = world

    def Connect(self, request: Any, context: Any) -> Any:
        info = common_pb2.ServerInfo(build_tags=self.world.content.get("version", "v3.0.0"), deploy_mode="STANDALONE")
        return milvus_pb2.ConnectResponse(status=OK, identifier=470646631114473475, server_info=info)

    def GetVersion(self, request: Any, context: Any) -> Any:
        return milvus_pb2.GetVersionResponse(status=OK, version=self.world.content.get("version", "v3.0.0"))

    def CheckHealth(self, request: Any, context: Any) -> Any:
        return milvus_pb2.CheckHealthResponse(status=OK, isHealthy=True)

    def ListDatabases(self, request: Any, context: Any) -> Any:
        rbac = self.caller(context)
        names = [name for name in self.world["databases"] if rbac.shows_database(name)]
        ids = [self.world["databases"][name].get("id", number) for number, name in enumerate(names, 1)]
        return milvus_pb2.ListDatabasesResponse(status=OK, db_names=names, db_ids=ids, created_timestamp=[1] * len(ids))

    def ShowCollections(self, request: Any, context: Any) -> Any:
        database = chosen(request, context)
        if database not in self.world["databases"]:
            return milvus_pb2.ShowCollectionsResponse(status=no_database(database))
        rbac = self.caller(context)
        there = [
            one
            for one in self.world["databases"][database].get("collections", [])
            if rbac.shows_collection(database, one["name"])
        ]
        return milvus_pb2.ShowCollectionsResponse(
            status=OK,
            collection_names=[one["name"] for one in there],
            collection_ids=[one["id"] for one in there],
            created_utc_timestamps=[one.get("created_ms", 1) for one in there],
        )

    def caller(self, context: Any) -> Rbac:
        return Rbac(self.world["rbac"], dict(context.invocation_metadata()))

    def DescribeCollection(self, request: Any, context: Any) -> Any:
        database, rbac = chosen(request, context), self.caller(context)
        if not rbac.may("DescribeCollection", database):
            refuse(context, rbac, "DescribeCollection", database)
        if database not in self.world["databases"]:
            return milvus_pb2.DescribeCollectionResponse(status=no_database(database))
        one = self.world.find(database, request.collection_name)
        if one is None and request.collectionID:
            there = self.world["databases"][database].get("collections", [])
            one = next((each for each in there if each["id"] == request.collectionID), None)
        if one is None:
            status = no_collection(database, request.collection_name)
            return milvus_pb2.DescribeCollectionResponse(status=status)
        if not rbac.shows_collection(database, one["name"]):
            return milvus_pb2.DescribeCollectionResponse(status=hidden())
        return milvus_pb2.DescribeCollectionResponse(
            status=OK,
            collectionID=one["id"],
            collection_name=one["name"],
            db_name=database,
            aliases=one.get("aliases", []),
            created_utc_timestamp=one.get("created_ms", 1),
            schema=schema(database, one),
        )

    def BatchDescribeCollection(self, request: Any, context: Any) -> Any:
        if not request.collection_name:
            status = common_pb2.Status(code=1101, error_code=1, reason="collection names cannot be empty")
            return milvus_pb2.BatchDescribeCollectionResponse(status=status)
        each = milvus_pb2.DescribeCollectionRequest
        found = [
            self.DescribeCollection(each(db_name=request.db_name, collection_name=name), context)
            for name in request.collection_name
        ]
        return milvus_pb2.BatchDescribeCollectionResponse(status=OK, responses=found)

    def DescribeDatabase(self, request: Any, context: Any) -> Any:
        if request.db_name not in self.world["databases"]:
            return milvus_pb2.DescribeDatabaseResponse(status=no_database(request.db_name))
        return milvus_pb2.DescribeDatabaseResponse(status=OK, db_name=request.db_name, dbID=1)

    def ListRefreshExternalCollectionJobs(self, request: Any, context: Any) -> Any:
        answer = milvus_pb2.ListRefreshExternalCollectionJobsResponse
        wanted = self.world.jobs()
        if request.collection_name:
            database = chosen(request, context)
            if database not in self.world["databases"]:
                return answer(status=no_database(database))
            one = self.world.find(database, request.collection_name)
            if one is None:
                return answer(status=no_collection(database, request.collection_name))
            if not one.get("external", True):
                return answer(status=failure(1100, f"collection {one['name']} is not an external collection"))
            names = {one["name"], *one.get("aliases", [])}
            wanted = [
                job
                for job in wanted
                if job.get("database", "default") == database and job.get("owner", job["collection_name"]) in names
            ]
        # Without a collection name db_name is ignored: all databases, as the real one does.
        return answer(status=OK, jobs=[record(job) for job in wanted])

    def GetRefreshExternalCollectionProgress(self, request: Any, context: Any) -> Any:
        answer = milvus_pb2.GetRefreshExternalCollectionProgressResponse
        for job in self.world.jobs():
            if job["job_id"] == request.job_id:
                return answer(status=OK, job_info=record(job))
        return answer(status=failure(1100, f"refresh job {request.job_id} not found"))


def chosen(request: Any, context: Any) -> str:
    """Return the database meant: the request's field, else the header, else ``default``."""
    return request.db_name or dict(context.invocation_metadata()).get("dbname", "") or "default"


def record(job: dict[str, Any]) -> Any:
    fields = {key: value for key, value in job.items() if key not in ("database", "owner")}
    return milvus_pb2.RefreshExternalCollectionJobInfo(**fields)


def schema(database: str, one: dict[str, Any]) -> Any:
    external = one.get("external", True)
    key = schema_pb2.FieldSchema(fieldID=100, name="id", is_primary_key=True, data_type=INT64)
    if external:
        key.external_field = "id"
    return schema_pb2.CollectionSchema(
        name=one["name"],
        dbName=database,
        fields=[key],
        external_source=one.get("source", "") if external else "",
        external_spec=one.get("spec", "") if external else "",
    )


def failure(code: int, reason: str, error_code: int = 1) -> Any:
    return common_pb2.Status(code=code, error_code=error_code, reason=reason)


def no_database(name: str) -> Any:
    return failure(800, f"database not found[database={name}]")


def no_collection(database: str, name: str) -> Any:
    return failure(100, f"can't find collection collection not found[database={database}][collection={name}]", 4)


class Door(grpc.ServerInterceptor):
    """Notes each call, checks its credentials and applies the fault planted for its method."""

    def __init__(self, world: World) -> None:
        self.world = world

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        method = details.method.rsplit("/", 1)[-1]
        if handler is None:
            return None

        def answer(request: Any, context: Any) -> Any:
            headers = dict(context.invocation_metadata())
            fields = MessageToDict(request, preserving_proto_field_name=True)
            self.world.calls.append({"method": method, "headers": texts(headers), "request": fields, "at": time.time()})
            self.admit(method, headers, context)
            planted = self.fault(method, request, context)
            return handler.unary_unary(request, context) if planted is None else planted

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=lambda out: out if isinstance(out, bytes) else out.SerializeToString(),
        )

    def admit(self, method: str, headers: dict[str, Any], context: Any) -> None:
        """Answer as real Milvus does: UNAUTHENTICATED for bad credentials, PERMISSION_DENIED for a missing grant."""
        rules = self.world["auth"]
        if not rules:
            return
        if "authorization" not in headers:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "missing authorization in header")
        try:
            token = base64.b64decode(headers["authorization"], validate=True).decode()
        except ValueError:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token format")
        if token not in rules.get("tokens", []):
            what = "username and password are" if ":" in token else "api key is"
            text = f"auth check failure, please check {what} correct"
            context.abort(grpc.StatusCode.UNAUTHENTICATED, text)
        if method in rules.get("deny", []):
            user = token.split(":")[0]
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"Privilege{method}: permission deny to {user}")

    def fault(self, method: str, request: Any, context: Any) -> Any:
        """Return what to answer instead of the truth; None for the truth."""
        planted = self.world["faults"].get(method)
        if not planted or (planted.get("list_all_only") and request.collection_name):
            return None
        if planted.get("hang"):
            while context.is_active() and not self.world.stopping.wait(0.05):
                pass
            context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
        if "delay" in planted:
            self.world.stopping.wait(planted["delay"])
        if "grpc" in planted:
            context.abort(grpc.StatusCode[planted["grpc"]], planted.get("details", ""))
        if "raw_hex" in planted:
            return bytes.fromhex(planted["raw_hex"])
        if "status" in planted:
            status = common_pb2.Status(**planted["status"])
            return getattr(milvus_pb2, type(request).__name__.removesuffix("Request") + "Response")(status=status)
        return None


def texts(headers: dict[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value.hex() for key, value in headers.items()}


def serve(world: World) -> tuple[grpc.Server, int]:
    server = grpc.server(
        futures.ThreadPoolExecutor(16),
        interceptors=[Door(world)],
        options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)],
    )
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Servicer(world), server)
    address = world.content.get("listen", "127.0.0.1:0")
    files = world["tls"]
    if files:
        pair = (Path(files["key"]).read_bytes(), Path(files["cert"]).read_bytes())
        roots = Path(files["ca"]).read_bytes() if "ca" in files else None
        credentials = grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    server.start()
    return server, port


def obey(world: World, line: str) -> dict[str, Any]:
    command = json.loads(line)
    if "world" in command:
        world.content = {**world.content, **command["world"]}
    if command.get("forget_calls"):
        world.calls = []
    return {"calls": list(world.calls)} if command.get("calls") else {"done": True}


def tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    world = World(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    server, port = serve(world)
    tell({"port": port})
    for line in sys.stdin:
        tell(obey(world, line))
    world.stopping.set()
    server.stop(0).wait()


if __name__ == "__main__":
    main()
