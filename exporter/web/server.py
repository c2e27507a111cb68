"""Listening, and stopping without cutting off a scrape.

uvicorn's own ``Server`` is not used: it wakes ten times a second, takes over the process's signals, and ends the
process when it cannot listen (docs/decisions/0004-http-server.md). What it does besides is what this class does.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import select
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from uvicorn import Config
from uvicorn.server import ServerState

from exporter.web.app import limit_requests
from exporter.web.bounds import Bounds
from exporter.web.handshake import TlsServer
from exporter.web.listen import Listener, bind_all, close_all
from exporter.web.protocol import BoundedProtocol
from exporter.web.reply import Application

if TYPE_CHECKING:
    from exporter.web.security import Security

_DEFAULT = Bounds()
_TURNS: Final = 8
"""Of the loop, from a connection accepted to its request read: make a transport, tell the protocol, watch, read."""


class Server:
    """Serves one application on several addresses, within bounds, on the running event loop."""

    def __init__(
        self,
        app: Application,
        listen_addresses: Sequence[str],
        bounds: Bounds = _DEFAULT,
        security: Security | None = None,
    ) -> None:
        self._addresses = tuple(listen_addresses)
        self._bounds = bounds
        self._security = security
        limited = limit_requests(app, bounds.requests)
        self._config = _configure(limited if security is None else _guarded(limited, security), bounds)
        self._state = ServerState()
        self._listeners: list[Listener] = []
        self._servers: list[asyncio.Server | TlsServer] = []
        self._all_gone = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is listened on, written like the setting, with the ports the system chose; empty before the start."""
        return tuple(listener.address for listener in self._listeners)

    async def start(self) -> None:
        """Listen on every address, or on none.

        Raises :class:`exporter.errors.UsageError` that names each address and what is wrong with it.
        """
        if not self._config.loaded:
            self._config.load()
        self._listeners = bind_all(self._addresses)
        try:
            for listener in self._listeners:
                self._servers.append(await self._listen(listener, self._security))
                _require_open(listener)
        except OSError:
            await self.stop(0)
            raise

    async def stop(self, grace: float) -> None:
        """Stop listening, let the requests in hand finish for at most ``grace`` seconds, close what is left."""
        await self._take_in()
        for server in self._servers:
            server.close()
        for connection in self._connections():
            connection.shutdown()
        try:
            async with asyncio.timeout(grace):
                await self._until_all_gone()
        except TimeoutError:
            await self._cut_off()
        for server in self._servers:
            if isinstance(server, TlsServer):
                await server.wait_closed()
        if self._security is not None:
            self._security.close()
        close_all(self._listeners)
        self._listeners, self._servers = [], []

    async def _take_in(self) -> None:
        """Accept and read what has arrived already.

        What nobody has accepted is reset with the listening socket, and what nobody has read with its connection.
        asyncio itself loses what it has accepted and not yet made a transport of.
        """
        waiting = select.poll()
        for listener in self._listeners:
            if listener.socket.fileno() >= 0:  # not closed by another stop
                waiting.register(listener.socket, select.POLLIN)
        quiet = 0
        for _ in range(self._bounds.backlog):  # a flood does not hold up the stop
            quiet = 0 if any(event & select.POLLIN for _, event in waiting.poll(0)) else quiet + 1
            if quiet > _TURNS:
                return
            await asyncio.sleep(0)

    async def _listen(self, listener: Listener, security: Security | None) -> asyncio.Server | TlsServer:
        loop = asyncio.get_running_loop()
        if security is not None and security.tls:
            server = TlsServer(listener.socket, self._bounds, security.context, self._connect)
            server.start()
            return server
        if listener.path:
            return await loop.create_unix_server(self._connect, sock=listener.socket, backlog=self._bounds.backlog)
        return await loop.create_server(self._connect, sock=listener.socket, backlog=self._bounds.backlog)

    def _connect(self) -> BoundedProtocol:
        return BoundedProtocol(
            self._config, self._state, {}, bounds=self._bounds, on_lost=self._lost, security=self._security
        )

    def _lost(self) -> None:
        if not self._state.connections:
            self._all_gone.set()

    def _connections(self) -> list[BoundedProtocol]:
        return [cast("BoundedProtocol", connection) for connection in self._state.connections]

    async def _until_all_gone(self) -> None:
        while self._state.connections:
            self._all_gone.clear()
            await self._all_gone.wait()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)

    async def _cut_off(self) -> None:
        """Close connections first: a cancelled request would wait for its reader to say that it failed."""
        for connection in self._connections():
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1.0)


def _require_open(listener: Listener) -> None:
    """Raise OSError for a socket that uvloop has closed without a word: somebody else listens there by now."""
    if listener.socket.fileno() < 0:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _guarded(app: Application, security: Security) -> Application:
    """Put the guard outside of the limit: who waits for bcrypt must not take a place from a scrape."""
    from exporter.web.security import guard  # noqa: PLC0415  # bcrypt and the format, for those who have the file

    return guard(app, security)


def _configure(app: Application, bounds: Bounds) -> Config:
    return Config(
        app,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        workers=1,  # otherwise read from WEB_CONCURRENCY
        timeout_keep_alive=math.ceil(bounds.idle_timeout),
    )
