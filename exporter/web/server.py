"""Starting and stopping to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from exporter.web.accept import Acceptor
from exporter.web.app import ALWAYS_ANSWERED
from exporter.web.bounds import Bounds
from exporter.web.listen import Listener, bind_all, close_all
from exporter.web.protocol import BoundedProtocol
from exporter.web.reply import Handler, Reply, Request, head, text_reply

if TYPE_CHECKING:
    from exporter.web.security import Security

_DEFAULT = Bounds()
_TURNS: Final = 4
"""Of the loop, from a connection made to its request read: tell the protocol, watch, read."""


class Server:
    """Serves one application on several addresses, within bounds, on the running event loop."""

    def __init__(
        self,
        app: Handler,
        listen_addresses: Sequence[str],
        bounds: Bounds = _DEFAULT,
        security: Security | None = None,
    ) -> None:
        self.bounds = bounds
        self.connections: set[BoundedProtocol] = set()
        self._app = app
        self._addresses = tuple(listen_addresses)
        self._security = security
        self._places = asyncio.Semaphore(bounds.requests)
        self._listeners: list[Listener] = []
        self._acceptors: list[Acceptor] = []
        self._settled = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is listened on, written like the setting, with the ports the system chose; empty before the start."""
        return tuple(listener.address for listener in self._listeners)

    async def start(self) -> None:
        """Listen on every address, or on none.

        Raises :class:`exporter.errors.UsageError` that names each address and what is wrong with it.
        """
        self._listeners = bind_all(self._addresses)
        try:
            for listener in self._listeners:
                self._acceptors.append(self._listen(listener))
        except OSError:
            await self.stop(0)
            raise

    async def stop(self, grace: float) -> None:
        """Stop listening, let the requests in hand finish for at most ``grace`` seconds, close what is left."""
        await asyncio.gather(*(acceptor.close() for acceptor in self._acceptors))
        for _ in range(_TURNS):  # what nobody has read is reset with its connection
            await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace):
                await self._until_all_gone()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await self._until_all_gone()
        if self._security is not None:
            self._security.close()
        close_all(self._listeners)
        self._listeners, self._acceptors = [], []

    async def answer(self, request: Request, send: Callable[[Request, Reply], Awaitable[None]]) -> None:
        """Answer one request. Who waits for bcrypt takes no place from a scrape; health and readiness take none."""
        refusal = await self._security.refusal(request) if self._security is not None else None
        if refusal is not None:
            await send(request, refusal)
        elif request.path in ALWAYS_ANSWERED:
            await send(request, await self._app(request))
        elif self._places.locked():
            await send(request, text_reply(503, "too many requests at once", ("retry-after", "1")))
        else:
            async with self._places:
                await send(request, await self._app(request))

    def head(self, reply: Reply, *more: tuple[str, str]) -> bytes:
        """Return status line and headers of an answer, with those of ``web.config_file``."""
        if more:
            reply = Reply(reply.status, reply.content_type, reply.chunks, (*reply.headers, *more))
        return head(reply, self._security.headers if self._security is not None else ())

    def admits(self, connection: BoundedProtocol) -> bool:
        """Whether a connection's client certificate will do."""
        return self._security is None or self._security.admits(connection.transport)

    def make_room(self) -> bool:
        """Close those that are missed least; False where every connection has a request in hand.

        Whoever opens connections to hold them must not keep out a probe or a scrape, which sends its request at once.
        """
        if len(self.connections) < self.bounds.connections:
            return True
        least = sorted(((each.worth, each) for each in self.connections if not each.busy), key=lambda pair: pair[0])
        if not least:
            return False
        # Several at once where none of them has ever asked for anything: in a flood, looking costs more than closing.
        silent = [each for (worth, _), each in least[: self.bounds.connections // 8] if worth == 0]
        for each in silent or [least[0][1]]:
            each.transport.abort()
            self.connections.discard(each)  # at once: a burst of others is not to look again
        return True

    def settle(self) -> None:
        """Say that a connection or its last request has gone."""
        self._settled.set()

    def _listen(self, listener: Listener) -> Acceptor:
        tls = self._security is not None and self._security.tls
        context = self._security.context if self._security is not None and tls else None
        return Acceptor(listener.socket, self.bounds, lambda: BoundedProtocol(self), context)

    async def _until_all_gone(self) -> None:
        while self.connections:
            self._settled.clear()
            await self._settled.wait()
