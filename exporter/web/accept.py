"""Accepting connections on one listening socket, with or without a TLS handshake.

asyncio's own servers keep one TLS context for good, and when they are closed they lose connections that the kernel has
accepted and nobody has read from. Here each connection gets the context that is in force when it comes, and none of the
backlog is lost.
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
    """Accepts connections, makes a transport of each, after a TLS handshake if there is a context, and a protocol."""

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
        """Accept what has arrived, then stop listening. Handshakes are given up; established connections stay."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._accept(self._bounds.backlog)
        if self._paused is not None:
            self._paused.cancel()
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
            except OSError as error:  # the caller has gone again, or there are no descriptors left
                if error.errno in _OUT_OF_SOMETHING:
                    self._loop.remove_reader(self._socket)
                    self._paused = self._loop.call_later(_PAUSE_SECONDS, self._resume)
                    return
                continue
            accepted.settimeout(0)
            if self._context is not None and len(self._making) >= self._bounds.handshakes:
                # The oldest gives way: an honest handshake has long finished by then.
                oldest = next(iter(self._making))
                del self._making[oldest]
                oldest.cancel()
            making = self._loop.create_task(self._make(accepted))
            self._making[making] = None
            making.add_done_callback(lambda done: self._making.pop(done, None))

    async def _make(self, accepted: socket.socket) -> None:
        tls = self._context is not None
        # ssl.SSLError is an OSError too. What a caller does wrong is not logged: anybody could fill the log.
        with suppress(OSError, TimeoutError):
            await self._loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._context() if self._context is not None else None,
                ssl_handshake_timeout=self._bounds.head_timeout if tls else None,
                ssl_shutdown_timeout=self._bounds.linger if tls else None,
            )
