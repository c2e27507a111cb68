"""The rows of a snapshot as they stand: after a poll only those are made anew whose collection has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Generic, TypeVar

from exporter.model import Collection
from exporter.snapshot import JobRows, OutcomeRow

Place = tuple[str, str]
"""Database and name: what the labels can say. A dropped collection and its successor share one."""
Row = TypeVar("Row", bound=JobRows | OutcomeRow)


class Table(Generic[Row]):
    """One row for each place, in order. A row that is set to what it was stays the very same object.

    ``join`` makes one of the rows of all collections that share a place, mostly one.
    """

    def __init__(self, join: Callable[[Sequence[Row]], Row]) -> None:
        self._join = join
        self._singly: dict[Place, tuple[Row, ...]] = {}
        self._rows: dict[Place, Row] = {}
        self.rows: tuple[Row, ...] = ()
        """The very same object until a row changes."""

    def get(self, place: Place) -> Row | None:
        """Return the row of a place."""
        return self._rows.get(place)

    def update(self, changed: Iterable[tuple[Collection, Row | None]]) -> None:
        """Take the rows of collections that have changed; None for one that has no row any more."""
        places = set[Place]()
        for collection, row in changed:
            place = collection[:2]
            places.add(place)
            others = [other for other in self._singly.get(place, ()) if other.collection != collection]
            self._singly[place] = tuple(others if row is None else (*others, row))
        changes = came = False
        for place in places:
            here = self._singly[place]
            old, new = self._rows.get(place), self._join(here) if here else None
            if not here:
                del self._singly[place]
            if new == old:
                continue
            changes = True
            if new is None:
                del self._rows[place]
            else:
                came |= old is None
                self._rows[place] = new
        if came:
            self._rows = dict(sorted(self._rows.items(), key=itemgetter(0)))
        if changes:
            self.rows = tuple(self._rows.values())

    def where(self, is_shown: Callable[[Collection], bool]) -> tuple[Row, ...]:
        """Return the rows of some collections alone, in order."""
        shown = ([row for row in self._singly[place] if is_shown(row.collection)] for place in self._rows)
        return tuple(self._join(rows) for rows in shown if rows)
