"""The rows of a snapshot as they stand: after a poll only those are made anew whose collection has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Collection as Several
from dataclasses import dataclass, field

from exporter import summary
from exporter.ledger import Board, Memory, outcome_row
from exporter.model import Collection
from exporter.pages import Table
from exporter.snapshot import JobRows, OutcomeRow

Place = tuple[str, str]
"""Database and name: what the labels can say. A dropped collection and its successor share one."""


@dataclass(slots=True)
class JobTable:
    """The job rows, one for each place."""

    max_sources: int
    rows: Table[Place, JobRows] = field(default_factory=Table)
    sources_folded: int = 0
    _singly: dict[Place, tuple[JobRows, ...]] = field(default_factory=dict)
    """The rows of all collections that share a place, mostly one."""

    def update(self, changed: Iterable[tuple[Collection, JobRows | None]]) -> None:
        """Take the rows of collections that have changed; None for one without jobs."""
        places = set()
        for collection, row in changed:
            place = collection[:2]
            places.add(place)
            others = tuple(other for other in self._singly.get(place, ()) if other.collection != collection)
            self._singly[place] = others if row is None else (*others, row)
        folded = 0
        news: dict[Place, JobRows | None] = {}
        for place in places:
            here = self._singly[place]
            if not here:
                del self._singly[place]
            new = news[place] = self._joined(here)
            old = self.rows.get(place)
            folded += (new.sources_folded if new else 0) - (old.sources_folded if old else 0)
        self.rows.update(news)
        self.sources_folded += folded

    def where(self, is_shown: Callable[[Collection], bool]) -> tuple[JobRows, ...]:
        """Return the rows of some collections alone, in order."""
        shown = ([row for row in self._singly[place] if is_shown(row.collection)] for place in sorted(self._singly))
        return tuple(row for rows in shown if (row := self._joined(rows)) is not None)

    def _joined(self, rows: Several[JobRows]) -> JobRows | None:
        if len(rows) == 1:
            (row,) = rows
            return row
        return summary.join(rows, max_sources=self.max_sources) if rows else None


@dataclass(slots=True)
class OutcomeTable:
    """What outlives Milvus's memory, one row for each place."""

    max_age: Callable[[Collection], float | None]
    rows: Table[Place, OutcomeRow] = field(default_factory=Table)
    _generations: dict[Place, tuple[Collection, ...]] = field(default_factory=dict)

    def update(self, changed: Iterable[Collection], memory: Memory) -> None:
        """Make the rows of some collections anew."""
        places = set()
        for collection in changed:
            place = collection[:2]
            places.add(place)
            others = tuple(other for other in self._generations.get(place, ()) if other != collection)
            self._generations[place] = (*others, collection) if collection in memory.outcomes else others
        news: dict[Place, OutcomeRow | None] = {}
        for place in places:
            here = self._generations[place]
            if here:
                # A known id is the largest, and speaks for the name that a former generation bore as well.
                speaker = max(here)
                news[place] = outcome_row(speaker, memory.outcomes[speaker], self.max_age(speaker))
            else:
                del self._generations[place]
                news[place] = None
        self.rows.update(news)


def job_row(collection: Collection, board: Board, *, exists: bool | None, max_sources: int) -> JobRows | None:
    """Return the row of one collection as the board has it; None where no job of it is listed."""
    group = board.groups.get(collection)
    if group is None:
        return None
    jobs = group.jobs.values()
    return summary.job_rows(collection, jobs, changed=group.changed, exists=exists, max_sources=max_sources)
