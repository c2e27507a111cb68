"""A TCP relay between the exporter and a good Milvus, in which the network's faults are switched on and off."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Self, TypeVar

from peers.waiting import free_port

T = TypeVar("T")

_HALF = 3_000
"""More than gRPC's greeting, less than a listing of a hundred jobs."""
_DRIP_SECONDS = 0.02
_WEB = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST instead of FIN


class Way(Enum):
    """What becomes of connections."""

    PASS = "passed on"
    REFUSE = "refused, and those that are open reset"
    RESET = "accepted, and reset at the first byte"
    HANG_UP = "accepted, and closed in peace, as a load balancer with nothing behind it does"
    SILENT = "accepted, and nothing is ever said"
    HALF = "cut in the middle of an answer"
    DRIP = "answered a byte at a time"
    WEB = "answered by a web server"


class Relay:
    """Listens on a free port of loopback and passes on to ``upstream``. Use as a context manager.

    With ``tls`` it ends TLS itself and passes on what is inside, as a load balancer does.
    """

    def __init__(self, upstream: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = upstream
        self.port = free_port()
        self.connections = 0
        """How many have been accepted so far."""
        self._tls = tls
        self._way = Way.PASS
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def turn(self, way: Way = Way.PASS, *, upstream: int | None = None) -> None:
        """Treat connections in another way, or pass them to another port, which resets those that are open."""
        self._call(self._turn(way, upstream))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)

    async def _end(self) -> None:
        await self._refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()

    def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _turn(self, way: Way, upstream: int | None) -> None:
        self._way = way
        self._changed.set()
        self._changed = asyncio.Event()
        if upstream is not None:
            self.upstream = upstream
        if way is Way.REFUSE:
            await self._refuse()
        elif self._server is None:
            await self._listen()
        if upstream is not None or way in (Way.RESET, Way.HANG_UP, Way.WEB):
            self._reset_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._treat(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            with contextlib.suppress(RuntimeError):
                writer.close()

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._way is Way.RESET:
            await reader.read(1)
            _reset(writer)
        elif self._way is Way.WEB:
            await reader.read(100)
            writer.write(_WEB)
            await writer.drain()
        elif self._way is not Way.HANG_UP:
            await self._pass_on(reader, writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", self.upstream)
        asked = asyncio.create_task(self._ask(reader, before))
        try:
            await self._answer(behind, writer)
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            before.close()

    async def _ask(self, reader: asyncio.StreamReader, before: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                before.write(data)
                await before.drain()
        before.close()

    async def _answer(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await behind.read(65_536):
            while self._way is Way.SILENT:
                await self._changed.wait()
            if self._way is Way.HALF and len(data) > _HALF:
                writer.write(data[:_HALF])
                await writer.drain()
                return
            await self._say(data, writer)

    async def _say(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        said = 0
        while said < len(data):
            dripping = self._way is Way.DRIP
            writer.write(data[said : said + 1] if dripping else data[said:])
            await writer.drain()
            said = said + 1 if dripping else len(data)
            if dripping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _DRIP_SECONDS)


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
