"""The simulated Milvus on the network: one gRPC server over a world, with the checks in the order Milvus makes them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from exporter.clock import Clock, SystemClock
from exporter.demo.answers import CALLS, Caller, status_of
from exporter.demo.faults import Faults, Happening, Plan, Trouble, at_speed, endure, happening
from exporter.demo.refusals import Denied, Refused

if TYPE_CHECKING:
    from exporter.demo.access import Access
    from exporter.demo.world import World

SERVICE: Final = "milvus.proto.milvus.MilvusService"
# Milvus's own server settings (docs/milvus.md, "Connecting"); a second server on the same port must fail.
_OPTIONS: Final = (
    ("grpc.max_send_message_length", 256 * 1024 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)


class SimulatedMilvus:
    """A gRPC server that answers for ``world``, whose hands it turns by ``clock`` at every call.

    ``access`` switches authorization on; like ``faults`` it can be changed while the server runs. ``tls`` are gRPC
    server credentials. ``outages`` is a plan of troubles that begins with :meth:`start`, at the world's speed.
    """

    def __init__(
        self,
        world: World,
        *,
        clock: Clock | None = None,
        access: Access | None = None,
        tls: grpc.ServerCredentials | None = None,
        outages: Plan = (),
    ) -> None:
        self.world = world
        self.access = access
        self.faults = Faults()
        self.calls: dict[str, int] = {}
        self._clock: Clock = clock or SystemClock()
        self._tls = tls
        self._outages = at_speed(outages, world.speed)
        self._began = 0.0
        self._met: Trouble | None = None
        self._server: grpc.aio.Server | None = None

    async def start(self, listen: str = "127.0.0.1:0") -> str:
        """Serve on ``host:port`` or ``unix:path`` and return the address, with the port that was chosen for 0.

        Raises OSError where nothing can listen there. After :meth:`stop` it can be started again.
        """
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((self,))
        try:
            port = server.add_secure_port(listen, self._tls) if self._tls else server.add_insecure_port(listen)
        except RuntimeError:
            port = 0
        if not port:
            raise OSError(f"cannot listen on {listen}")
        await server.start()
        self._server, self._began = server, self._clock.monotonic()
        return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

    async def stop(self) -> None:
        """Stop at once; calls still waiting are cancelled."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace=None)

    @property
    def serving(self) -> bool:
        """Whether it has started and not stopped."""
        return self._server is not None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the handler of a call, as gRPC asks of generic handlers. An unknown method is told so first."""
        service, _, method = details.method.lstrip("/").rpartition("/")
        if service != SERVICE:
            return grpc.unary_unary_rpc_method_handler(_unimplemented(f"unknown service {service}"))
        if method not in CALLS or method in self.faults.unknown_methods:
            return grpc.unary_unary_rpc_method_handler(_unimplemented(f"unknown method {method} for service {SERVICE}"))

        async def handle(request: bytes, context: Any) -> bytes:
            try:
                return await self._answer(method, request, dict(context.invocation_metadata() or ()))
            except Denied as denied:
                await context.abort(grpc.StatusCode[denied.code], denied.reason)
                raise

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _answer(self, method: str, raw: bytes, headers: dict[str, str]) -> bytes:
        call = CALLS[method]
        self.calls[method] = self.calls.get(method, 0) + 1
        await self._hung()
        self.world.advance(self._clock.wall())
        try:
            trouble = self._trouble()
            endure(trouble, method)
            user = self.access.authenticate(headers.get("authorization")) if self.access else None
            request = call.request.FromString(raw)
            self.faults.check(method, list_all=not getattr(request, "collection_name", ""))
            answer = call.answer(self.world, Caller(user, headers.get("dbname", "")), request)
        except Refused as refused:
            answer = call.response(status=status_of(refused))
        except DecodeError:
            raise Denied("INTERNAL", "grpc: error unmarshalling request") from None
        encoded: bytes = answer.SerializeToString()
        return encoded

    def _trouble(self) -> Happening | None:
        """Return the trouble under way; what it does to the world is done once, at its beginning and its end."""
        by_hand = self.faults.by_hand(self._clock.wall())
        met = by_hand or happening(self._outages, self._clock.monotonic() - self._began)
        kind = met.trouble if met else None
        if kind is not self._met:
            if kind is Trouble.RESTART:
                self.world.restart()
            if kind is Trouble.BROKEN_JOB:
                with contextlib.suppress(ValueError):  # a world without jobs has none to break
                    self.world.break_one_job()
            if self._met is Trouble.BROKEN_JOB:
                self.world.mend()
            self._met = kind
        return met

    async def _hung(self) -> None:
        await self.faults.answering()
        met = happening(self._outages, self._clock.monotonic() - self._began)
        if met is not None and met.trouble is Trouble.HANG:
            await asyncio.sleep(met.left)


def _unimplemented(text: str) -> Any:
    async def refuse(_request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    return refuse
