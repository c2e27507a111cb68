"""What one listing has that the one before had not, and the other way round, by the bytes of the records.

Of a listing a hash is kept of each record, and its job's id: the bytes themselves are some 250 each, and those of
two listings would meet in memory at each poll (docs/decisions/0010-cost-follows-change.md).
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, NamedTuple, overload

_BLOCK: Final = 64
"""Records compared at once: long enough that a listing is few comparisons, short enough to find a change in quickly."""
_AHEAD: Final = (8, 128, 2048, 32768)
"""How far to look for where two listings fall into step again, nearby first; beyond that, the rest is looked up."""


class Run(NamedTuple):
    """Records side by side that stand in both listings, by their places there."""

    new: int
    old: int
    length: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How two listings differ, by places. What is neither added nor removed stands in exactly one run."""

    added: Sequence[int]
    """Places in the new listing."""
    removed: Sequence[int]
    """Places in the old one."""
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of a listing, in its order."""

    hashes: array[int] = field(default_factory=lambda: array("q"))
    ids: list[int] = field(default_factory=list)
    """The very objects that all tables have as keys."""


@dataclass(frozen=True, slots=True)
class Picked(Sequence[bytes]):
    """Records at some places of a listing; each is taken from it anew whenever it is looked at."""

    listing: Sequence[bytes]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[bytes]:
        return map(self.listing.__getitem__, self.places)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Picked: ...
    def __getitem__(self, index: int | slice) -> bytes | Picked:
        """Return records by their number here."""
        if isinstance(index, slice):
            return Picked(self.listing, self.places[index])
        return self.listing[self.places[index]]


def hashed(listing: Iterable[bytes]) -> array[int]:
    """Return a hash of each record. Python's own: 64 bits, with a key that is drawn anew for each process."""
    return array("q", map(hash, listing))


def ids_after(before: Seen, differs: Difference, added: Iterable[int]) -> list[int]:
    """Return the job ids of the new listing, given those of the records ``added``."""
    ids = [0] * (len(differs.added) + sum(run.length for run in differs.runs))
    for new, old, length in differs.runs:
        ids[new : new + length] = before.ids[old : old + length]
    for place, job_id in zip(differs.added, added, strict=True):
        ids[place] = job_id
    return ids


def difference(old: Sequence[Hashable], new: Sequence[Hashable]) -> Difference:
    """Return which records of ``new`` are not in step with one of ``old``, and which of ``old`` are not.

    Milvus lists newest first: what is new comes at the front, what it has forgotten goes at the end, and the rest keeps
    its order (docs/milvus.md, "The calls"). In another order the answer is still right, and may name a record as added
    and removed.
    """
    added: list[int] = []
    removed: list[int] = []
    runs: list[Run] = []
    i = j = 0
    while i < len(new) and j < len(old):
        same = _in_step(new, old, i, j)
        if same:
            runs.append(Run(i, j, same))
        i, j = i + same, j + same
        step = _step(new, old, i, j)
        if step is None:
            break
        added += range(i, i + step[0])
        removed += range(j, j + step[1])
        i, j = i + step[0], j + step[1]
    here, gone, single = _looked_up(new[i:], old[j:])
    added += (i + n for n in here)
    removed += (j + n for n in gone)
    runs += (Run(i + n, j + m, 1) for n, m in single)
    return Difference(added, removed, runs)


def _in_step(new: Sequence[Hashable], old: Sequence[Hashable], i: int, j: int) -> int:
    """Return how many records agree from two places on."""
    begun = i
    while (block := new[i : i + _BLOCK]) and block == old[j : j + _BLOCK]:
        i, j = i + len(block), j + len(block)
    rest = zip(block, old[j : j + _BLOCK], strict=False)
    return i - begun + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], rest))


def _step(new: Sequence[Hashable], old: Sequence[Hashable], i: int, j: int) -> tuple[int, int] | None:
    """Return how many records of each to pass over until both are in step again; None where that is not near."""
    for ahead in _AHEAD:
        theirs, ours = old[j : j + ahead], new[i : i + ahead]
        where = dict(zip(reversed(theirs), range(len(theirs) - 1, -1, -1), strict=True))  # the first of equal ones
        if not where.keys().isdisjoint(ours):
            return next((n, where[record]) for n, record in enumerate(ours) if record in where)
        if i + ahead >= len(new) and j + ahead >= len(old):
            return len(new) - i, len(old) - j  # nothing that is left is in both
    return None


def _looked_up(
    new: Sequence[Hashable], old: Sequence[Hashable]
) -> tuple[Iterable[int], Iterable[int], Iterable[tuple[int, int]]]:
    """Return places in ``new`` alone, in ``old`` alone, and the two places of what is in both, whatever the order."""
    if set(old).isdisjoint(new):
        return range(len(new)), range(len(old)), ()
    had = {record: place for place, record in enumerate(old)}
    has = {record: place for place, record in enumerate(new)}
    if len(had) < len(old) or len(has) < len(new):  # a record that stands twice has no single counterpart
        return range(len(new)), range(len(old)), ()
    added = [place for record, place in has.items() if record not in had]
    removed = [place for record, place in had.items() if record not in has]
    return added, removed, [(place, had[record]) for record, place in has.items() if record in had]
