"""What a handler answers, and how it goes out: the headers every answer has, the body in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""An ASGI application."""

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
"""On every answer, unless the reply itself has another value."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. The chunks together are the body; they are sent as they are, never joined into one."""

    status: int
    content_type: str
    chunks: Sequence[bytes]
    headers: tuple[tuple[str, str], ...] = ()


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


def encode_headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Return all headers of an answer. ``content-length`` is the whole body's, also for HEAD."""
    return list(_encoded(reply.content_type, sum(map(len, reply.chunks)), reply.headers))


@lru_cache(maxsize=32)
def _encoded(content_type: str, length: int, more: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    # Until the next poll all scrapes of one kind have the same.
    headers = {**dict(SECURITY), "content-type": content_type, "content-length": str(length)}
    headers.update((name.lower(), value) for name, value in more)
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


async def send_reply(reply: Reply, send: Send, *, head_only: bool = False) -> None:
    """Send an answer.

    Waits whenever the transport's buffer is full, so that a slow reader costs the memory of a piece, not of the body.
    """
    await send({"type": "http.response.start", "status": reply.status, "headers": encode_headers(reply)})
    last: bytes | memoryview = b""
    for piece in () if head_only else pieces(reply.chunks):
        if last:
            await send({"type": "http.response.body", "body": last, "more_body": True})
            # Others get their turn; and only so is it noticed that the caller has gone, before each further write to
            # nobody becomes a warning of asyncio's.
            await asyncio.sleep(0)
        last = piece
    await send({"type": "http.response.body", "body": last, "more_body": False})
