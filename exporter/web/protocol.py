"""One connection: HTTP/1.1 within bounds, on asyncio's protocol callbacks and httptools' parser callbacks."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from exporter.web.reply import Reply, Request, pieces, text_reply
from exporter.web.use import Use

if TYPE_CHECKING:
    from exporter.web.server import Server

_CLOSE: Final = ("connection", "close")
_WITH_THE_HEAD: Final = 4096
"""Bytes of a body that are sent in one write with its head."""
_REASON: Final = {
    400: "bad request",
    413: "content too large",
    431: "request header fields too large",
    503: "service unavailable",
}


class _RefusedError(Exception):
    """Raised in a callback of the parser, which stops there."""


class BoundedProtocol(asyncio.Protocol):
    """One connection.

    It has one timer. What the timer limits changes in turn: the head of a request, its answer, the time until the next
    request. Requests are answered in order, one at a time, by one task.
    """

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server, self._bounds = server, server.bounds
        self._loop = asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        # What comes after the last request of a connection is no error; it is ignored.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._signing_in = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._heads = 0  # complete ones on this connection
        self._in_head = self._refused = False
        self._last = False  # no further request is read
        self._body_expected = False  # of the last request, and not all of it has come
        self._head_size = 0  # bytes of the complete fields of the head that is being read
        self._unfinished = 0  # bytes received since the last complete head
        self._refusal = 400
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer for the first request, or refuse the connection."""
        self.transport = cast("asyncio.Transport", transport)
        if not self._server.admits(self):
            self._refused = True
            self.transport.abort()
        elif not self._server.make_room():
            # Closed at once, without lingering: in a flood each would otherwise hold a descriptor that long.
            self._refused = True
            self._write_refusal(503)
            self.transport.close()
        else:
            self._wait(self._bounds.head_timeout)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the reason does not matter
        """Forget the connection. A request in hand gives its place to others: nobody is there to read the answer."""
        self._stop_timer()
        if self._task is not None:
            self._task.cancel()
        self._server.connections.discard(self)
        self._server.settle()

    def pause_writing(self) -> None:
        """Wait with the next piece."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Send the next piece."""
        self._writable.set()

    def eof_received(self) -> bool:
        """Keep the connection if there is a request to answer: its caller has only closed its sending side."""
        self._last = True
        return self._task is not None and self.transport.can_write_eof()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and refuse a head as soon as it is too long."""
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
        # The parser reports only complete fields, and nothing at all of empty lines before a request.
        if (self._in_head or not self._unanswered) and self._unfinished > self._bounds.head_bytes:
            self._refuse(431)

    # Called by the parser

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._head_size = 0
        self._url, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        """Keep a part of the target."""
        self._count(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._count(len(name) + len(value) + len(": \r\n"))
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the request, and begin to answer if nothing else is being answered."""
        self._in_head = False
        if self._last:
            return
        parser = self._parser
        url = parse_url(self._url)
        self._body_expected = has_body = self._has_body()
        if len(self._unanswered) >= self._bounds.pipelined or not url.path or not url.path.isascii():
            raise _RefusedError
        query = (url.query or b"").decode("latin-1")
        self._heads += 1
        # After a body or an upgrade parser and caller may disagree about where the next request begins.
        old = parser.get_http_version() != "1.1"
        self._last = has_body or old or parser.should_upgrade() or not parser.should_keep_alive()
        self._unanswered.append(Request(parser.get_method().decode(), url.path, query, self._headers))
        if self._task is None:
            self._wait(self._bounds.answer_timeout)
            self._task = self._loop.create_task(self._answer())

    def on_message_complete(self) -> None:
        """Note that all of the request has come."""
        self._body_expected = False

    # Called by the server

    def shutdown(self) -> None:
        """Close after the answers in hand."""
        self._last = True
        if self._task is None:
            self.transport.close()

    @property
    def use(self) -> Use:
        """Return what it is used for now."""
        if self._unanswered:
            return Use.SIGNING_IN if self._signing_in else Use.ANSWERING
        if self.transport.is_closing() or (self._last and not self._refused):
            return Use.CLOSING
        return Use.IDLE if self._heads and not self._refused else Use.SILENT

    @property
    def deadline(self) -> float:
        """Return when its timer ends. Of connections in the same use, the first has waited longest."""
        return self._timer.when() if self._timer is not None else 0.0

    async def _answer(self) -> None:
        """Answer what has come on this connection, in order."""
        try:
            while self._unanswered and not self.transport.is_closing():
                request = self._unanswered[0]
                self._signing_in = True
                refusal = await self._server.refusal(request)
                self._signing_in = False
                if refusal is not None:
                    await self._send(request, refusal)
                else:
                    await self._server.answer(request, self._send)
                self._unanswered.popleft()
                if self._unanswered:
                    self._wait(self._bounds.answer_timeout)
        except Exception:  # noqa: BLE001  # a part of the answer may have been sent: only closing tells the caller
            self.transport.abort()
        finally:
            self._task = None
            self._after_answers()

    def _after_answers(self) -> None:
        if self.transport.is_closing():
            self._server.settle()
        elif self._last:
            self._linger() if self._body_expected else self.transport.close()
        else:
            self._wait(self._bounds.head_timeout if self._in_head else self._bounds.idle_timeout)

    async def _send(self, request: Request, reply: Reply) -> None:
        """Send an answer. A slow reader costs the memory of a piece, not of the body."""
        last = self._last and len(self._unanswered) == 1
        start = self._server.head(reply, *[_CLOSE][:last])
        body = () if request.method == "HEAD" else pieces(reply.chunks)
        for number, piece in enumerate(body):
            if number:
                # Others get their turn. And only in such a turn is a reset noticed: asyncio logs a warning for each
                # further write after it.
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

    def _has_body(self) -> bool:
        """Return whether a body follows. Refuses one whose declared size is too large."""
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
        self._head_size += size
        if self._head_size > self._bounds.head_bytes:
            self._refusal = 431
            raise _RefusedError

    def _refuse(self, status: int) -> None:
        """Answer with an error and close."""
        self._refused = True
        if self._unanswered:
            self.transport.abort()  # another answer may be half sent
            return
        self._write_refusal(status)
        self._linger()

    def _linger(self) -> None:
        """Close, but read and drop what still arrives for a moment.

        Closing with unread data would reset the connection, and the caller could lose the answer.
        """
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._wait(self._bounds.linger)

    def _write_refusal(self, status: int) -> None:
        reply = text_reply(status, _REASON[status])
        self.transport.write(self._server.head(reply, _CLOSE) + b"".join(reply.chunks))

    def _wait(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        unsent, closing = self.transport.get_write_buffer_size(), self.transport.is_closing()
        if not (unsent or closing or self._unanswered):
            self.transport.close()
        elif self.use is Use.CLOSING and not closing:
            self.transport.close()  # a slow reader of an answer whose request had a body
            self._wait(self._bounds.answer_timeout)
        else:
            self.transport.abort()  # close would wait for a reader that does not read
