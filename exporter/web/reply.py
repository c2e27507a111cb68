"""Request and reply: what a handler takes and returns, the headers of every answer, the body in pieces."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final

PIECE: Final = 1024 * 1024
"""Bytes handed to the transport at once. Less costs calls; plain asyncio keeps a copy of what a slow reader has not
read, and copies that rest again with every write (docs/decisions/0004-http-server.md)."""
SMALL: Final = 32 * 1024
"""Chunks below this are joined, so that many tiny ones are not a call each; larger ones are never copied."""

CONTENT_SECURITY_POLICY: Final = "content-security-policy"
POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY: Final = (
    (CONTENT_SECURITY_POLICY, POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cache-control", "no-store"),
)
"""On every answer, unless ``web.config_file`` or the reply itself has another value."""
_NOT_IN_A_HEADER: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Path and query as they were sent, names of headers in lower case."""

    method: str
    path: bytes
    query: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()

    def header(self, name: bytes) -> str:
        """Return the value of a header, several joined as one list, "" if there is none."""
        return ", ".join(value.decode("latin-1") for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. The chunks together are the body; they are sent as they are, never joined into one."""

    status: int
    content_type: str
    chunks: Sequence[bytes]
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Reply]]


def text_reply(status: int, text: str, *headers: tuple[str, str]) -> Reply:
    """Return one line of plain text."""
    return Reply(status, "text/plain; charset=utf-8", (f"{text}\n".encode(),), headers)


def pieces(chunks: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Yield the chunks in order: small ones joined, large ones cut to ``PIECE`` bytes without a copy."""
    small: list[bytes] = []
    size = 0
    for chunk in chunks:
        if len(chunk) < SMALL:
            small.append(chunk)
            size += len(chunk)
            if size < SMALL:
                continue
        if small:
            yield b"".join(small)
            small, size = [], 0
        if len(chunk) > PIECE:
            view = memoryview(chunk)
            yield from (view[start : start + PIECE] for start in range(0, len(chunk), PIECE))
        elif len(chunk) >= SMALL:
            yield chunk
    if small:
        yield b"".join(small)


def head(reply: Reply, configured: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return status line and headers: ours, those of ``web.config_file`` over them, the reply's own over both.

    ``content-length`` is the length of the whole body, also for HEAD.
    """
    return _head(reply.status, reply.content_type, sum(map(len, reply.chunks)), reply.headers, configured)


@lru_cache(maxsize=32)
def _head(
    status: int,
    content_type: str,
    length: int,
    more: tuple[tuple[str, str], ...],
    configured: tuple[tuple[str, str], ...],
) -> bytes:
    # Cached: until the next poll all scrapes of one kind have the same head.
    headers = {**dict(SECURITY), **dict(configured), "content-type": content_type, "content-length": str(length)}
    headers.update((name.lower(), value) for name, value in more)
    if any(map(_NOT_IN_A_HEADER.search, headers.values())):
        raise ValueError("a header value with a control character")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("latin-1")
