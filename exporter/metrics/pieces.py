"""A body in few pieces: what has not changed since the last one is the very same bytes, and is not copied again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import is_
from typing import Final, NamedTuple

PIECE: Final = 256 * 1024
"""Bytes from which on a piece is large enough: each is sent by itself."""


class Piece(NamedTuple):
    """Some chunks side by side, and the same joined."""

    chunks: tuple[bytes, ...]
    text: bytes


def joined(chunks: Sequence[bytes], before: Sequence[Piece]) -> list[Piece]:
    """Return the chunks in pieces: joined once, where every scrape would have to.

    ``before`` are the pieces of the last body. As long as none has grown out of size, each is made of as many chunks as
    there: texts change in place, so most stand where they stood.
    """
    pieces: list[Piece] = []
    at = 0
    for old in before:
        group = chunks[at : at + len(old.chunks)]
        piece = old if len(group) == len(old.chunks) and all(map(is_, group, old.chunks)) else _piece(group)
        if not PIECE <= len(piece.text) < 2 * PIECE:
            break
        pieces.append(piece)
        at += len(group)
    pieces += map(_piece, _groups(chunks[at:]))
    return pieces


def _piece(chunks: Sequence[bytes]) -> Piece:
    return Piece(tuple(chunks), b"".join(chunks))


def _groups(chunks: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    begun = size = 0
    for end, chunk in enumerate(chunks, 1):
        size += len(chunk)
        if size >= PIECE or end == len(chunks):
            yield chunks[begun:end]
            begun, size = end, 0
