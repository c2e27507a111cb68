"""One connection: HTTP/1.1 within bounds, on asyncio's protocol callbacks and httptools' parser callbacks."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from exporter.web.reply import Reply, Request, pieces, text_reply

if TYPE_CHECKING:
    from exporter.web.server import Server

_CLOSE: Final = ("connection", "close")
_WITH_THE_HEAD: Final = 4096
"""Bytes of a body that go out in one write with its head."""


class _RefusedError(Exception):
    """Raised through the parser, which stops at the first error of a callback."""


class BoundedProtocol(asyncio.Protocol):
    """One timer, armed anew at each turn: head, answer, idle, head, ..."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server, self._bounds = server, server.bounds
        self._loop = asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what follows the last one is dropped
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._heads = 0  # read to their end, on this connection
        self._in_head = self._refused = False
        self._last = False  # no further request is read
        self._piecewise = 0  # bytes of this head, by its complete pieces
        self._unfinished = 0  # bytes received since the last complete head
        self._refusal = 400
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first request, or say that there are too many connections."""
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._client = peer[0] if isinstance(peer, tuple) else ""
        if not self._server.admits(self):
            self._refused = True
            self.transport.abort()
        elif not self._server.make_room():
            # Not lingering: a flood would otherwise hold a descriptor each for that long.
            self._refused = True
            self._write_refusal(503)
            self.transport.close()
        else:
            self._wait(self._bounds.head_timeout)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whichever way
        """Forget the connection."""
        self._cancel()
        self._writable.set()
        self._server.connections.discard(self)
        self._server.settle()

    def pause_writing(self) -> None:
        """Hold the next piece back."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let it go."""
        self._writable.set()

    def eof_received(self) -> bool:
        """Answer all the same what a caller has asked before it closed its side."""
        self._last = True
        return self._task is not None and self.transport.can_write_eof()

    def data_received(self, data: bytes) -> None:
        """Parse, unless the caller has been refused; a head that is too long is refused before it is complete."""
        if self._refused or self._last or self.transport.is_closing():
            return
        if not self._unanswered and not self._in_head and not self._unfinished:
            self._wait(self._bounds.head_timeout)
        heads = self._heads
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._last = True
        except HttpParserError:
            self._refuse(self._refusal)
            return
        self._unfinished = self._unfinished + len(data) if heads == self._heads else 0
        # Without a head and without an answer in hand it is empty lines, which the parser skips, or nothing at all.
        if (self._in_head or not self._unanswered) and self._unfinished > self._bounds.head_bytes:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head = True
        self._piecewise = 0
        self._url, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        """Count, then keep."""
        self._count(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count, then keep."""
        self._count(len(name) + len(value) + len(": \r\n"))
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head; start the answer and its clock."""
        self._in_head = False
        if self._last:
            return
        parser = self._parser
        url = parse_url(self._url)
        has_body = self._judge_body()
        if len(self._unanswered) >= self._bounds.pipelined or not url.path or not url.path.isascii():
            raise _RefusedError
        query = (url.query or b"").decode("latin-1")
        request = Request(parser.get_method().decode(), url.path, query, self._headers, self._client)
        self._heads += 1
        # After a body or an upgrade the parser can no longer be trusted to find the next request.
        old = parser.get_http_version() != "1.1"
        self._last = has_body or old or parser.should_upgrade() or not parser.should_keep_alive()
        self._unanswered.append(request)
        if self._task is None:
            self._wait(self._bounds.answer_timeout)
            self._task = self._loop.create_task(self._answer())

    def shutdown(self) -> None:
        """Close, after the answers in hand."""
        self._last = True
        if self._task is None:
            self.transport.close()

    def abort(self) -> None:
        """Close now."""
        self.transport.abort()
        if self._task is not None:
            self._task.cancel()

    async def _answer(self) -> None:
        """Answer what has come on this connection, in order."""
        try:
            while self._unanswered and not self.transport.is_closing():
                await self._server.answer(self._unanswered[0], self._send)
                self._unanswered.popleft()
                if self._unanswered:
                    self._wait(self._bounds.answer_timeout)
        except Exception:  # noqa: BLE001  # the start of the answer may be out: only closing tells the caller
            self.transport.abort()
        finally:
            self._task = None
            self._answered()

    def _answered(self) -> None:
        if self.transport.is_closing():
            self._server.settle()
        elif self._last:
            self.transport.close()  # the answer's clock runs on: what is still in the buffer may never be read
        else:
            self._wait(self._bounds.head_timeout if self._in_head else self._bounds.idle_timeout)

    async def _send(self, request: Request, reply: Reply) -> None:
        """Send an answer; a slow reader costs the memory of a piece, not of the body."""
        last = self._last and len(self._unanswered) == 1
        start = self._server.head(reply, *[_CLOSE][:last])
        body = () if request.method == "HEAD" else pieces(reply.chunks)
        for number, piece in enumerate(body):
            if number:
                # Others get their turn; and only so is it noticed that the caller has gone, before each further write
                # to nobody becomes a warning of asyncio's.
                await asyncio.sleep(0)
            await self._writable.wait()
            if self.transport.is_closing():
                return
            if number == 0 and len(piece) < _WITH_THE_HEAD:
                start += piece
                continue
            if start:
                self.transport.write(start)
                start = b""
            self.transport.write(piece)
        if start:
            self.transport.write(start)

    def _judge_body(self) -> bool:
        """Return whether a body follows. Refuses one that says it is too large."""
        for name, value in self._headers:
            if name == b"transfer-encoding":
                return True
            if name == b"content-length" and int(value) > 0:
                if int(value) > self._bounds.body_bytes:
                    self._refusal = 413
                    raise _RefusedError
                return True
        return False

    def _count(self, size: int) -> None:
        self._piecewise += size
        if self._piecewise > self._bounds.head_bytes:
            self._refusal = 431
            raise _RefusedError

    def _refuse(self, status: int) -> None:
        """Say why and stop.

        For a moment what still arrives is read and dropped: a reset would take the answer away from the caller.
        """
        self._refused = True
        if self._unanswered:
            self.abort()  # in the middle of another answer there is no place for this one
            return
        self._write_refusal(status)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._wait(self._bounds.linger)
        else:
            self.transport.close()

    def _write_refusal(self, status: int) -> None:
        reply = text_reply(status, _REASON[status])
        self.transport.write(self._server.head(reply, _CLOSE) + b"".join(reply.chunks))

    def _wait(self, seconds: float) -> None:
        self._cancel()
        self._timer = self._loop.call_later(seconds, self._expire)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self.transport.is_closing() or self._unanswered or self.transport.get_write_buffer_size():
            self.transport.abort()  # close would wait for a reader that does not read
        else:
            self.transport.close()

    @property
    def busy(self) -> bool:
        """Whether it has a request in hand."""
        return bool(self._unanswered)

    @property
    def worth(self) -> tuple[int, float]:
        """What it is worth without a request in hand: the less, the sooner it may go."""
        closing = self.transport.is_closing()  # what is left of its answer may be on its way
        served = self._heads > 0 and not self._refused
        return 2 if closing else 1 if served else 0, self._timer.when() if self._timer is not None else 0.0


_REASON: Final = {
    400: "bad request",
    413: "content too large",
    431: "request header fields too large",
    503: "service unavailable",
}
