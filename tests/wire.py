"""A gRPC server inside the test's own process that answers Milvus's method paths with whatever a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import trustme
from google.protobuf.message import Message

from exporter.config import Settings
from exporter.milvus.pb import milvus_refresh_pb2 as pb

LIST_JOBS = "ListRefreshExternalCollectionJobs"
PREFIX = "/milvus.proto.milvus.MilvusService/"


@dataclass(frozen=True)
class Refusal:
    """End the call with a gRPC code."""

    code: grpc.StatusCode
    details: str = ""


Answer = Message | bytes | Refusal | Callable[["Call"], Awaitable["Answer"]]


@dataclass(frozen=True)
class Call:
    """One call as the server saw it."""

    method: str
    metadata: Mapping[str, str | bytes]
    request: bytes
    peer: str
    seconds_left: float | None
    client: tuple[bytes, ...] = ()
    """Names in the client's certificate."""


@dataclass
class Wire:
    """What the server answers by method, and what it was asked."""

    answers: dict[str, Answer]
    target: str
    calls: list[Call] = field(default_factory=list)
    server: Any = None

    @property
    def connections(self) -> set[str]:
        return {call.peer for call in self.calls}

    @property
    def authorizations(self) -> list[str | bytes | None]:
        return [call.metadata.get("authorization") for call in self.calls]

    @property
    def port(self) -> int:
        return int(self.target.rpartition(":")[2])

    async def stop(self) -> None:
        await self.server.stop(None)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def service(self, details: Any) -> Any:
        method = details.method.removeprefix(PREFIX)
        if method not in self._wire.answers:
            return None

        async def answer(request: bytes, context: Any) -> bytes:
            call = Call(
                method,
                dict(details.invocation_metadata),
                request,
                context.peer(),
                context.time_remaining(),
                tuple(context.auth_context().get("x509_subject_alternative_name", ())),
            )
            self._wire.calls.append(call)
            given = self._wire.answers[method]
            while callable(given):
                given = await given(call)
            if isinstance(given, Refusal):
                await context.abort(given.code, given.details)
            return given if isinstance(given, bytes) else given.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


def replace(path: Path, text: bytes | str) -> None:
    """Put a new file in the place of ``path`` in one step, as whoever rotates secrets does."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(text.encode() if isinstance(text, str) else text)
    fresh.replace(path)


async def hang(_: Call) -> Answer:
    """Never answer: the caller's deadline ends it."""
    await asyncio.Event().wait()
    raise AssertionError


GOOD: dict[str, Answer] = {
    "Connect": pb.ConnectResponse(server_info=pb.ServerInfo(build_tags="v3.0.1")),
    "GetVersion": pb.GetVersionResponse(version="v3.0.1"),
    "ListDatabases": pb.ListDatabasesResponse(db_names=["default", "lake"]),
    "ShowCollections": pb.ShowCollectionsResponse(collection_names=["docs"], collection_ids=[7]),
    "DescribeCollection": pb.DescribeCollectionResponse(
        schema=pb.CollectionSchema(name="docs", external_source="s3://bucket/docs/")
    ),
    "BatchDescribeCollection": pb.BatchDescribeCollectionResponse(
        responses=[pb.DescribeCollectionResponse(schema=pb.CollectionSchema(external_source="s3://bucket/docs/"))]
    ),
    LIST_JOBS: pb.ListRefreshExternalCollectionJobsResponse(
        jobs=[pb.RefreshExternalCollectionJobInfo(job_id=1, collection_name="docs")]
    ),
}


@asynccontextmanager
async def serving(
    answers: Mapping[str, Answer] | None = None,
    *,
    tls: grpc.ServerCredentials | None = None,
    at: str = "127.0.0.1:0",
) -> AsyncIterator[Wire]:
    """Serve ``answers`` over those of a good Milvus, until the end of the block."""
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)])
    port = server.add_secure_port(at, tls) if tls else server.add_insecure_port(at)
    wire = Wire({**GOOD, **(answers or {})}, at if at.startswith("unix:") else f"{at.rpartition(':')[0]}:{port}")
    wire.server = server
    server.add_generic_rpc_handlers((_Handler(wire),))
    await server.start()
    try:
        yield wire
    finally:
        await server.stop(None)


def settings(uri: str, **milvus: Any) -> Settings:
    """Return settings for one Milvus; other sections (``poll``, ``labels``, ``state``, ...) go beside ``milvus``."""
    beside = {name: milvus.pop(name) for name in ("poll", "inventory", "filters", "labels", "state") if name in milvus}
    tls = {f"{name}_file": str(path) for name, path in milvus.pop("files", {}).items()}
    if server_name := milvus.pop("server_name", None):
        tls["server_name"] = server_name
    milvus = {name: str(value) for name, value in milvus.items()}
    return Settings.model_validate({"milvus": {"uri": uri, "tls": tls, **milvus}, **beside})


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, as files and for a server."""

    cert: Path
    key: Path

    def server(self, client_ca: Path | None = None) -> grpc.ServerCredentials:
        """Return credentials; with ``client_ca`` a client must show a certificate of it."""
        pair = (self.key.read_bytes(), self.cert.read_bytes())
        root = client_ca.read_bytes() if client_ca else None
        return grpc.ssl_server_credentials([pair], root, client_ca is not None)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own."""

    folder: Path
    ca: trustme.CA
    file: Path

    @classmethod
    def make(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True, exist_ok=True)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        return cls(folder, ca, folder / "ca.pem")

    def issue(self, *names: str, **options: Any) -> Issued:
        made = self.ca.issue_cert(*names, **options)
        issued = Issued(self.folder / f"{names[0]}.pem", self.folder / f"{names[0]}.key")
        issued.cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        issued.key.write_bytes(made.private_key_pem.bytes())
        return issued
