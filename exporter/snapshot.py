"""The rows of a snapshot: what one poll publishes, bounded and immutable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from exporter.model import Collection, FailureClass, Job, State

OTHER: Final = "__other__"
"""The label value of what the limits fold."""

StateCounts = tuple[int, int, int, int, int]
"""Jobs per state, in the order of :class:`State`."""
STATES: Final = tuple(State)


@dataclass(frozen=True, slots=True)
class JobRows:
    """The job series of one collection."""

    collection: Collection
    counts: tuple[tuple[str, StateCounts], ...]
    """By source, bounded by ``limits.max_sources``."""
    newest: Job | None
    """The job that speaks for the collection; None for one that is gone."""
    changed: float
    """Epoch seconds when we last saw the newest job, its state or its progress change."""
    sources_folded: int

    @property
    def active(self) -> bool:
        """Return whether a job is under way."""
        return self.newest is not None and not self.newest.state.ended


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What outlives Milvus's memory of one collection. Stamps in epoch seconds, durations in seconds."""

    collection: Collection
    last_success: float | None
    last_failure: float | None
    last_success_duration: float | None
    consecutive_failures: int
    failing: bool
    trouble: Job | None
    finished: int | None
    """This and ``failed`` are None before the first good poll after a restart; see ``PollMemory.remembered``."""
    failed: int | None
    failed_exemplar: tuple[int, float] | None
    max_age: float | None

    def overdue(self, now: float) -> bool:
        """Return whether the data is older than it may be."""
        return self.max_age is not None and self.last_success is not None and now - self.last_success > self.max_age


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    """Counters of one database."""

    database: str
    duration_buckets: tuple[int, ...]
    """Not cumulated; the last one is above every bound."""
    duration_sum: float
    failed_by_class: tuple[tuple[FailureClass, int], ...]


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """One external collection that exists. ``created`` in epoch seconds."""

    collection: Collection
    source: str
    created: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one poll publishes. Immutable: a scrape sees this one or the next, never a mixture."""

    now: float
    """Epoch seconds of the poll."""
    jobs: Sequence[JobRows] = ()
    folded: tuple[tuple[str, StateCounts], ...] = ()
    """By database: the jobs of collections beyond ``limits.max_collections``, added up."""
    unlisted: tuple[Collection, ...] = ()
    outcomes: Sequence[OutcomeRow] = ()
    databases: tuple[DatabaseRow, ...] = ()
    collections: Sequence[CollectionRow] = ()
    listed: Mapping[Collection, Sequence[Job]] = field(default_factory=dict, compare=False)
    """The listed jobs themselves, for people: not bounded by the limits on series, and in no order."""
    known_since: float = 0.0
    listed_jobs: int = 0
    jobs_without_visible_collection: int | None = None
    """None without an inventory."""
    collections_folded: int = 0
    sources_folded: int = 0

    def states(self) -> Counter[State]:
        """Return jobs per state over all collections, folded ones included."""
        total: Counter[State] = Counter()
        for counts in [c for row in self.jobs for _, c in row.counts] + [c for _, c in self.folded]:
            total.update(dict(zip(STATES, counts, strict=True)))
        return total
