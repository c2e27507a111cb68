"""Plain bodies: the same bytes as before are the same object."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.pieces import PIECE, joined


def chunk(number: int, size: int = PIECE // 8) -> bytes:
    return bytes([number % 256]) * size


def test_a_piece_in_which_nothing_has_changed_is_not_joined_again() -> None:
    chunks = [chunk(n) for n in range(40)]
    before = joined(chunks, ())
    assert len(before) == 5
    chunks[20] = chunk(77)
    after = joined(chunks, before)
    assert [new is old for new, old in zip(after, before, strict=True)] == [True, True, False, True, True]


def test_a_chunk_that_has_grown_a_little_leaves_the_others_where_they_are() -> None:
    chunks = [chunk(n) for n in range(40)]
    before = joined(chunks, ())
    chunks[0] = chunk(0, PIECE // 8 + 1)
    assert [new is old for new, old in zip(joined(chunks, before), before, strict=True)] == [False, *[True] * 4]


@given(st.lists(st.lists(st.sampled_from([0, 1, 100, PIECE // 3, PIECE, 3 * PIECE]), max_size=12), max_size=6))
def test_whatever_the_last_body_was_the_text_is_that_of_the_chunks_and_no_piece_is_tiny(
    bodies: list[list[int]],
) -> None:
    kept: dict[tuple[int, int], bytes] = {}
    pieces = joined((), ())
    for sizes in bodies:
        chunks = [kept.setdefault((n, size), chunk(n, size)) for n, size in enumerate(sizes)]
        pieces = joined(chunks, pieces)
        assert b"".join(piece.text for piece in pieces) == b"".join(chunks)
        assert all(len(piece.text) >= PIECE for piece in pieces[:-1])
        assert all(len(piece.text) < 2 * PIECE or len(piece.chunks[-1]) > PIECE / 2 for piece in pieces)
