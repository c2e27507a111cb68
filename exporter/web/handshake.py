"""Accepting connections that begin with a TLS handshake.

asyncio's own servers take one TLS context for good. Here each connection gets the one that is in force when it comes,
and the handshake, which costs more than a scrape, is bounded before it begins (docs/decisions/0006-web-security.md).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from exporter.web.bounds import Bounds

_OUT_OF_SOMETHING: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS: Final = 1.0


class TlsServer:
    """Listens on one bound socket. What has finished its handshake is the protocol's business."""

    def __init__(
        self,
        bound: socket.socket,
        bounds: Bounds,
        context: Callable[[], ssl.SSLContext],
        protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._socket = bound
        self._bounds = bounds
        self._context = context
        self._protocol = protocol
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen. Raises OSError where the address was taken meanwhile."""
        self._socket.settimeout(0)
        self._socket.listen(self._bounds.backlog)
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Stop listening and give up handshakes; connections that are made stay."""
        if self._accepting is not None:
            self._accepting.cancel()
        for handshake in self._handshakes:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way any more."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting is not None else [])]
        if tasks:
            await asyncio.wait(tasks)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._socket)
            except OSError as error:  # a caller that has gone again, or no descriptors left
                if error.errno in _OUT_OF_SOMETHING:
                    await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if len(self._handshakes) >= self._bounds.handshakes:
                # The oldest one: who means it has long finished, and who only holds places is pushed on.
                oldest = next(iter(self._handshakes))
                del self._handshakes[oldest]
                oldest.cancel()
            handshake = asyncio.create_task(self._shake(accepted))
            self._handshakes[handshake] = None
            handshake.add_done_callback(lambda done: self._handshakes.pop(done, None))

    async def _shake(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        # ssl.SSLError is an OSError too. Whatever a caller does wrong is not worth a line: anybody could fill the log.
        with suppress(OSError, TimeoutError):
            await loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._context(),
                ssl_handshake_timeout=self._bounds.head_timeout,
                ssl_shutdown_timeout=self._bounds.linger,
            )
