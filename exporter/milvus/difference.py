"""What one listing has that the one before had not, and the other way round, by the bytes of the records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BLOCK: Final = 64
"""Records compared at once: long enough that a listing is few comparisons, short enough to find a change in quickly."""
_AHEAD: Final = (8, 128, 2048, 32768)
"""How far to look for where two listings fall into step again, nearby first; beyond that, the rest is looked up."""


def difference(old: Sequence[bytes], new: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the records of ``new`` that are not in step with one of ``old``, and those of ``old`` that are not.

    Whatever stands in neither list is the same bytes in both, one by one. Milvus lists newest first: what is new comes
    at the front, what it has forgotten goes at the end, and the rest keeps its order (docs/milvus.md, "The calls"). In
    another order the answer is still right, and may name a record in both lists.
    """
    added: list[bytes] = []
    removed: list[bytes] = []
    i = j = 0
    while i < len(new) and j < len(old):
        if new[i : i + _BLOCK] == old[j : j + _BLOCK]:
            i, j = min(i + _BLOCK, len(new)), min(j + _BLOCK, len(old))
            continue
        same = _same(new[i : i + _BLOCK], old[j : j + _BLOCK])
        i, j = i + same, j + same
        step = _step(new, old, i, j)
        if step is None:
            break
        added += new[i : i + step[0]]
        removed += old[j : j + step[1]]
        i, j = i + step[0], j + step[1]
    _look_up(new[i:], old[j:], added, removed)
    return added, removed


def _same(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Return how many records agree from the first on."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _step(new: Sequence[bytes], old: Sequence[bytes], i: int, j: int) -> tuple[int, int] | None:
    """Return how many records of each to pass over until both are in step again; None where that is not near."""
    for ahead in _AHEAD:
        where: dict[bytes, int] = {}
        for n, record in enumerate(old[j : j + ahead]):
            where.setdefault(record, n)
        for n, record in enumerate(new[i : i + ahead]):
            if record in where:
                return n, where[record]
        if i + ahead >= len(new) and j + ahead >= len(old):
            return len(new) - i, len(old) - j  # nothing that is left is in both
    return None


def _look_up(new: Sequence[bytes], old: Sequence[bytes], added: list[bytes], removed: list[bytes]) -> None:
    had, has = set(old), set(new)
    if len(had) == len(old) and len(has) == len(new):
        added += (record for record in new if record not in had)
        removed += (record for record in old if record not in has)
    else:  # a record that stands twice has no single counterpart
        added += new
        removed += old
