"""Ask Milvus. Every call has a deadline; every failure is one of our errors; retrying is the next tick's work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message

from exporter import __version__, errors
from exporter.milvus.channel import Channel, Credentials
from exporter.milvus.names import WholeNames
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.pb.listing_view_pb2 import ListingView
from exporter.milvus.status import from_status
from exporter.model import DescribedCollection, ShownCollection
from exporter.redaction import safe_source

if TYPE_CHECKING:
    from exporter.config import Settings

_SERVICE: Final = "/milvus.proto.milvus.MilvusService/"
_LIST_JOBS: Final = "ListRefreshExternalCollectionJobs"
# Below this a decode takes well under a millisecond: handing it to a thread would cost more.
_DECODE_IN_THREAD_BYTES: Final = 256 * 1024

# "Collection X is not an external collection", "not allowed to access collection": it exists.
_EXISTS: Final = (105, 1100, 1401)

Answer = TypeVar("Answer", bound=Message)
Result = TypeVar("Result")


class MilvusClient:
    """The calls this exporter makes, over one channel. Times are seconds."""

    def __init__(self, settings: Settings) -> None:
        self._channel = Channel(settings)
        self._credentials = Credentials(settings)
        self._source_style = settings.labels.source
        self._names = WholeNames()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def user(self) -> str:
        """Return the name of the user that calls are made as; empty without credentials, and for an API key."""
        return self._credentials.user()

    async def list_all_jobs(self, *, timeout: float) -> Sequence[bytes]:
        """List the refresh jobs of all databases: the records as they came, each a copy made when it is looked at."""
        raw = await self._raw_call(_LIST_JOBS, pb.ListRefreshExternalCollectionJobsRequest(), timeout)
        status, jobs = await _off_loop(_records, raw)
        failed = from_status(status)
        if failed is not None:
            raise failed
        return jobs

    async def list_jobs(
        self, *, timeout: float, database: str, collection: str
    ) -> pb.ListRefreshExternalCollectionJobsResponse:
        """List the refresh jobs of one collection by name.

        ``database`` filters only together with ``collection`` (docs/milvus.md, "The calls").
        """
        database, collection = self._names.whole(database), self._names.whole(collection)
        request = pb.ListRefreshExternalCollectionJobsRequest(db_name=database, collection_name=collection)
        return await self._call(_LIST_JOBS, request, pb.ListRefreshExternalCollectionJobsResponse, timeout)

    async def list_databases(self, *, timeout: float) -> tuple[str, ...]:
        """Return the names of the databases this user may see."""
        answer = await self._call("ListDatabases", pb.ListDatabasesRequest(), pb.ListDatabasesResponse, timeout)
        return tuple(map(self._names.cut, answer.db_names))

    async def show_collections(self, database: str, *, timeout: float) -> tuple[ShownCollection, ...]:
        """Return the collections of one database that this user may see."""
        request = pb.ShowCollectionsRequest(db_name=self._names.whole(database))
        answer = await self._call("ShowCollections", request, pb.ShowCollectionsResponse, timeout)
        names, ids, created = answer.collection_names, answer.collection_ids, answer.created_utc_timestamps
        if len(names) != len(ids):
            raise errors.BadResponse(f"{len(names)} collection names with {len(ids)} ids")
        stamps = chain(created, repeat(0))  # no ground to lose a collection for
        shown = zip(map(self._names.cut, names), ids, stamps, strict=False)
        return tuple(ShownCollection(name, id_, stamp / 1000 if stamp > 0 else None) for name, id_, stamp in shown)

    async def describe_collection(self, database: str, name: str, *, timeout: float) -> DescribedCollection:
        """Describe one collection by name."""
        database, name = self._names.whole(database), self._names.whole(name)
        request = pb.DescribeCollectionRequest(db_name=database, collection_name=name)
        answer = await self._call("DescribeCollection", request, pb.DescribeCollectionResponse, timeout)
        return self._described(answer)

    async def describe_collections(
        self, database: str, names: Sequence[str], *, timeout: float
    ) -> list[DescribedCollection | errors.MilvusError]:
        """Describe collections of one database in one call. Returns for each name its description or its refusal.

        Raises :class:`errors.Unimplemented` before Milvus 2.6 (docs/milvus.md, "The calls").
        """
        database, names = self._names.whole(database), [self._names.whole(name) for name in names]
        request = pb.BatchDescribeCollectionRequest(db_name=database, collection_name=names)
        answer = await self._call("BatchDescribeCollection", request, pb.BatchDescribeCollectionResponse, timeout)
        found = answer.responses
        if len(found) != len(names):
            raise errors.BadResponse(f"{len(found)} descriptions for {len(names)} collections")
        refusals = [from_status(one.status) for one in found]
        for name, one, refused in zip(names, found, refusals, strict=True):
            if refused is None and one.collection_name not in ("", name):
                raise errors.BadResponse("a description of another collection")
        return [refused or self._described(one) for one, refused in zip(found, refusals, strict=True)]

    def _described(self, answer: pb.DescribeCollectionResponse) -> DescribedCollection:
        schema = answer.schema
        # The source is empty until a first refresh supplies it; a mapped field tells an external collection.
        external = bool(schema.external_source) or any(field.external_field for field in schema.fields)
        aliases = tuple(map(self._names.cut, answer.aliases))
        return DescribedCollection(external, aliases, safe_source(schema.external_source, self._source_style))

    async def collection_exists(self, database: str, name: str, *, timeout: float) -> bool:
        """Ask for a collection's jobs by name, which needs no privilege: 100 or 800 say that there is none.

        1401 would say that there is one which this user may not see.
        """
        try:
            await self.list_jobs(timeout=timeout, database=database, collection=name)
        except (errors.CollectionGone, errors.DatabaseGone):
            return False
        except errors.MilvusError as error:
            if error.code in _EXISTS:
                return True
            raise
        return True

    async def server_version(self, *, timeout: float) -> str:
        """Return the server's version text."""
        answer = await self._call("GetVersion", pb.GetVersionRequest(), pb.GetVersionResponse, timeout)
        return str(answer.version)

    async def connect(self, *, timeout: float) -> str:
        """Introduce ourselves, as every Milvus client does, and return the server's version text."""
        request = pb.ConnectRequest(
            client_info=pb.ClientInfo(sdk_type="milvus-refresh-exporter", sdk_version=__version__)
        )
        answer = await self._call("Connect", request, pb.ConnectResponse, timeout)
        return str(answer.server_info.build_tags)

    async def _call(self, method: str, request: Message, answer: type[Answer], timeout: float) -> Answer:
        raw = await self._raw_call(method, request, timeout)
        message = await _off_loop(partial(_decode, answer), raw)
        status: Any = message
        failed = from_status(status.status)
        if failed is not None:
            raise failed
        return message

    async def _raw_call(self, method: str, request: Message, timeout: float) -> bytes:
        metadata = self._credentials.metadata()
        return await self._channel.call(_SERVICE + method, request.SerializeToString(), timeout, metadata)


async def _off_loop(decode: Callable[[bytes], Result], raw: bytes) -> Result:
    if len(raw) > _DECODE_IN_THREAD_BYTES:
        return await asyncio.to_thread(decode, raw)
    return decode(raw)


def _records(raw: bytes) -> tuple[pb.Status, Sequence[bytes]]:
    view = _decode(ListingView, raw, pb.ListRefreshExternalCollectionJobsResponse.DESCRIPTOR.name)
    try:
        return pb.Status.FromString(view.status), view.jobs
    except DecodeError:
        raise errors.BadResponse("a status that is none") from None


def _decode(answer: type[Answer], raw: bytes, name: str = "") -> Answer:
    # A bare OK with nothing in it is what some HTTP ingresses make of a call: proto3 would read it as success.
    if not raw:
        raise errors.BadResponse("OK without a message")
    try:
        return answer.FromString(raw)
    except DecodeError:
        raise errors.BadResponse(f"{len(raw)} bytes that are no {name or answer.DESCRIPTOR.name}") from None
