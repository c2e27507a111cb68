"""One connection, bounded.

uvicorn's HTTP protocol has a time-out between requests and nothing else: a caller that sends half a request line
keeps its connection for ever, headers and bodies may be of any size, a reader that stops reading holds an answer for
ever, and a flood of pipelined requests becomes a flood of objects. There is no setting or hook for these, so this
class inherits (docs/decisions/0004-http-server.md). It leans on as little of uvicorn as it can: asyncio's protocol
callbacks, httptools' parser callbacks, and of uvicorn's own ``on_response_complete``, ``send_400_response``,
``connections``, ``headers``, ``cycle.keep_alive``, ``cycle.default_headers`` and ``cycle.disconnected``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from exporter.web.bounds import Bounds
from exporter.web.reply import encode_headers, text_reply

if TYPE_CHECKING:
    from exporter.web.security import Security

_REASON: Final = {
    400: "Bad Request",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def _silent() -> logging.Logger:
    """Return a logger that says nothing.

    uvicorn warns for each malformed request and prints a traceback for each request it cancels: any caller could
    fill the log. What is worth a line is logged by ``exporter.web.app``.
    """
    logger = logging.getLogger("exporter.web.protocol")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    return logger


class _RefusedError(Exception):
    """Raised through the parser, which stops at the first error of a callback."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection with bounds. One timer, armed anew at each turn: head, answer, idle, head, ..."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        app_state: dict[str, Any],
        *,
        bounds: Bounds,
        on_lost: Callable[[], None],
        security: Security | None = None,
    ) -> None:
        super().__init__(config, state, app_state)
        self.logger = self.access_logger = _SILENT
        self.access_log = False
        self._bounds = bounds
        self._on_lost = on_lost
        self._security = security
        self._timer: asyncio.TimerHandle | None = None
        self._heads = 0  # read to their end, on this connection
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._in_head = False
        self._piecewise = 0  # bytes of this head, by its complete pieces
        self._unfinished = 0  # bytes received since the last complete head
        self._refusal = 400
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the clock for the first request, or say that there are too many connections."""
        super().connection_made(transport)
        if self._security is not None and not self._security.admits(transport):
            self._refused = True
            transport.abort()
        elif len(self.connections) > self._bounds.connections and not self._make_room():
            # Not lingering: a flood would otherwise hold a descriptor each for that long.
            self._refused = True
            transport.write(self._refusal_bytes(503))
            transport.close()
        else:
            self._wait(self._bounds.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel()
        for cycle in self._unanswered:
            cycle.disconnected = True  # uvicorn tells the last one only, and the others would go on writing
        super().connection_lost(exc)
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Parse, unless the caller has been refused; a head that is too long is refused before it is complete."""
        if self._refused or self.transport.is_closing():
            return
        if not self._unanswered and not self._in_head and not self._unfinished:
            self._wait(self._bounds.head_timeout)
        heads = self._heads
        super().data_received(data)
        self._unfinished = self._unfinished + len(data) if heads == self._heads else 0
        # Without a head and without an answer in hand it is empty lines, which the parser skips, or nothing at all.
        unwanted = self._in_head or not self._unanswered
        if unwanted and self._unfinished > self._bounds.head_bytes and not self._refused:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head = True
        self._piecewise = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count, then keep."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count, then keep."""
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Judge the head; start the answer and its clock."""
        self._in_head = False
        has_body = self._judge_body()
        if len(self._unanswered) >= self._bounds.pipelined:
            raise _RefusedError
        super().on_headers_complete()
        self._heads += 1
        self._unanswered.append(self.cycle)
        if len(self._unanswered) == 1:
            self._wait(self._bounds.answer_timeout)
        if has_body or self.parser.should_upgrade() or not self.parser.should_keep_alive():
            # After these the parser can no longer be trusted to find the next request.
            self._make_last()

    def on_body(self, body: bytes) -> None:
        """Drop it: no page reads a body, so none is collected."""

    def on_response_complete(self) -> None:
        """Go on to the next request, or to waiting for one."""
        self._unanswered.popleft()
        super().on_response_complete()
        if self.transport.is_closing():
            return  # the answer's clock runs on: what is still in the buffer may never be read
        if self._unanswered:
            self._wait(self._bounds.answer_timeout)
        else:
            self._wait(self._bounds.head_timeout if self._in_head else self._bounds.idle_timeout)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's text; ours names the bound
        """Answer what the parser did not accept."""
        self._refuse(self._refusal)

    def shutdown(self) -> None:
        """Close, after the answers in hand."""
        if self._unanswered:
            self._make_last()
        else:
            self.transport.close()

    def _make_room(self) -> bool:
        """Close those that are missed least; False where every connection has a request in hand.

        Whoever opens connections to hold them must not keep out a probe or a scrape, which sends its request at once.
        """
        others = (cast("BoundedProtocol", each) for each in self.connections if each is not self)
        least = sorted((_worth(each), number, each) for number, each in enumerate(others) if not each._unanswered)
        if not least:
            return False
        # Several at once where none of them has ever asked for anything: in a flood, looking costs more than closing.
        silent = [each for (worth, _), _, each in least[: self._bounds.connections // 8] if worth == 0]
        for each in silent or [least[0][2]]:
            each.transport.abort()
        return True

    def _make_last(self) -> None:
        # The header as well: without it, older versions of uvicorn close without a word.
        self.cycle.default_headers = [(b"connection", b"close")]
        self.cycle.keep_alive = False

    def _judge_body(self) -> bool:
        """Return whether a body follows. Refuses one that says it is too large."""
        for name, value in self.headers:
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
            self.transport.abort()  # in the middle of another answer there is no place for this one
            return
        self.transport.write(self._refusal_bytes(status))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._wait(self._bounds.linger)
        else:
            self.transport.close()

    def _refusal_bytes(self, status: int) -> bytes:
        reply = text_reply(status, _REASON[status].lower(), ("connection", "close"))
        headers = encode_headers(reply)
        if self._security is not None:
            headers = self._security.headers(headers)
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, _REASON[status].encode(), head, b"".join(reply.chunks))

    def _wait(self, seconds: float) -> None:
        self._cancel()
        self._timer = self.loop.call_later(seconds, self._expire)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()  # close would wait for a reader that does not read
        else:
            self.transport.close()


def _worth(connection: BoundedProtocol) -> tuple[int, float]:
    """Return what a connection without a request in hand is worth: the less, the sooner it may go."""
    closing = connection.transport.is_closing()  # what is left of its answer may be on its way
    served = connection._heads > 0 and not connection._refused
    timer = connection._timer
    return 2 if closing else 1 if served else 0, timer.when() if timer is not None else 0.0


_SILENT: Final = _silent()
