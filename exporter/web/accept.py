"""Accepting connections on one listening socket, with or without a TLS handshake.

asyncio's own servers take one TLS context for good, and lose what they have accepted and not yet made a transport of.
Here each connection gets the context that is in force when it comes, and what the kernel has taken in is never dropped.
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
_AT_ONCE: Final = 32


class Acceptor:
    """Accepts. What has finished its handshake is the protocol's business."""

    def __init__(
        self,
        listening: socket.socket,
        bounds: Bounds,
        protocol: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._socket, self._bounds, self._protocol, self._context = listening, bounds, protocol, context
        self._loop = asyncio.get_running_loop()
        self._making: dict[asyncio.Task[None], None] = {}
        self._paused: asyncio.TimerHandle | None = None
        listening.settimeout(0)
        self._resume()

    async def close(self) -> None:
        """Take in what has arrived, then stop listening. Handshakes are given up; connections that are made stay."""
        if self._socket.fileno() < 0:
            return
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._socket)
        self._accept(self._bounds.backlog)
        self._socket.close()
        if self._context is not None:
            for making in self._making:
                making.cancel()
        if self._making:
            await asyncio.wait(self._making)

    def _resume(self) -> None:
        self._paused = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self, at_most: int = _AT_ONCE) -> None:
        for _ in range(at_most):
            try:
                accepted, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:  # a caller that has gone again, or no descriptors left
                if error.errno in _OUT_OF_SOMETHING:
                    self._loop.remove_reader(self._socket)
                    self._paused = self._loop.call_later(_PAUSE_SECONDS, self._resume)
                    return
                continue
            accepted.settimeout(0)
            if self._context is not None and len(self._making) >= self._bounds.handshakes:
                # The oldest one: who means it has long finished, and who only holds places is pushed on.
                oldest = next(iter(self._making))
                del self._making[oldest]
                oldest.cancel()
            making = self._loop.create_task(self._make(accepted))
            self._making[making] = None
            making.add_done_callback(lambda done: self._making.pop(done, None))

    async def _make(self, accepted: socket.socket) -> None:
        tls = self._context is not None
        # ssl.SSLError is an OSError too. Whatever a caller does wrong is not worth a line: anybody could fill the log.
        with suppress(OSError, TimeoutError):
            await self._loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._context() if self._context is not None else None,
                ssl_handshake_timeout=self._bounds.head_timeout if tls else None,
                ssl_shutdown_timeout=self._bounds.linger if tls else None,
            )
