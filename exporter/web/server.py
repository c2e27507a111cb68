"""The server: it starts, admits connections and requests within the bounds, and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from exporter.web.accept import Acceptor
from exporter.web.app import ALWAYS_ANSWERED
from exporter.web.bounds import Bounds
from exporter.web.listen import Listener, close_all, listen_all
from exporter.web.protocol import BoundedProtocol
from exporter.web.reply import Handler, Reply, Request, head, text_reply
from exporter.web.use import Use

if TYPE_CHECKING:
    from exporter.web.security import Security

_DEFAULT = Bounds()
_TURNS: Final = 4
"""Turns of the loop from an accepted connection to its request: tell the protocol, watch the socket, read."""


class Server:
    """Serves one application on several addresses, within bounds, on the running event loop."""

    def __init__(
        self,
        app: Handler,
        listen_addresses: Sequence[str],
        bounds: Bounds = _DEFAULT,
        security: Security | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """Take ``listeners`` over, or listen on the addresses at the start."""
        self.bounds = bounds
        self.connections: set[BoundedProtocol] = set()
        self._app = app
        self._addresses = tuple(listen_addresses)
        self._security = security
        self._places = asyncio.Semaphore(bounds.requests)
        self._listeners = list(listeners)
        self._acceptors: list[Acceptor] = []
        self._settled = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses in the form of the setting, with the ports the system chose; empty before the start."""
        return tuple(listener.address for listener in self._listeners)

    async def start(self) -> None:
        """Accept connections on every address.

        Raises :class:`exporter.errors.UsageError` that names each address that cannot be listened on, and why.
        """
        self._listeners = self._listeners or listen_all(self._addresses, self.bounds.backlog)
        self._acceptors = [self._accept(listener) for listener in self._listeners]

    async def stop(self, grace: float) -> None:
        """Stop listening, let the requests in hand finish for at most ``grace`` seconds, close what is left."""
        await asyncio.gather(*(acceptor.close() for acceptor in self._acceptors))
        for _ in range(_TURNS):  # to read requests that have arrived: closing with unread data resets the connection
            await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace):
                await self._until_all_gone()
        except TimeoutError:
            for connection in list(self.connections):
                connection.transport.abort()
            await self._until_all_gone()
        if self._security is not None:
            self._security.close()
        close_all(self._listeners)
        self._listeners, self._acceptors = [], []

    async def refusal(self, request: Request) -> Reply | None:
        """Return why a request is not let in, None if it is. Waiting for that takes no place from a scrape."""
        return await self._security.refusal(request) if self._security is not None else None

    async def answer(self, request: Request, send: Callable[[Request, Reply], Awaitable[None]]) -> None:
        """Answer a request that is let in. Health and readiness take no place."""
        if request.path in ALWAYS_ANSWERED:
            await send(request, await self._app(request))
        elif self._places.locked():
            await send(request, text_reply(503, "too many requests at once", ("retry-after", "1")))
        else:
            async with self._places:
                await send(request, await self._app(request))

    def head(self, reply: Reply, *more: tuple[str, str]) -> bytes:
        """Return status line and headers of an answer, with those of ``web.config_file`` and ``more``."""
        if more:
            reply = Reply(reply.status, reply.content_type, reply.chunks, (*reply.headers, *more))
        return head(reply, self._security.headers if self._security is not None else ())

    def admits(self, connection: BoundedProtocol) -> bool:
        """Return whether a connection's client certificate is one of those allowed."""
        return self._security is None or self._security.admits(connection.transport)

    def make_room(self) -> bool:
        """Make room for one more connection if needed. Returns False if each one's request is being answered.

        Callers that open connections and hold them must not keep out a probe or a scrape, which sends its request at
        once.
        """
        if len(self.connections) < self.bounds.connections:
            return True
        found = ((each.use, each.deadline, each) for each in self.connections)
        least = sorted((each for each in found if each[0] is not Use.ANSWERING), key=lambda each: each[:2])
        if not least:
            return False
        # Several silent ones at once: in a flood, looking for one each time costs more than closing it.
        silent = [each for each in least[: self.bounds.connections // 8] if each[0] is Use.SILENT]
        for _, _, connection in silent or least[:1]:
            connection.transport.abort()
            self.connections.discard(connection)  # now, so that the next of a burst finds room
        return True

    def settle(self) -> None:
        """Note that a connection or its last request has gone."""
        self._settled.set()

    def _accept(self, listener: Listener) -> Acceptor:
        tls = self._security is not None and self._security.tls
        context = self._security.context if self._security is not None and tls else None
        return Acceptor(listener.socket, self.bounds, lambda: BoundedProtocol(self), context)

    async def _until_all_gone(self) -> None:
        while self.connections:
            self._settled.clear()
            await self._settled.wait()
