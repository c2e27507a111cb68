"""One row for each collection: what the snapshot, the outcomes and the listing say of it, put together on request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from exporter.model import Job
from exporter.page.conditions import RANK, Condition, conditions
from exporter.page.source import Listed, Source
from exporter.snapshot import JobRows, OutcomeRow, Snapshot

Place = tuple[str, str]
"""Database and collection."""


@dataclass(frozen=True, slots=True)
class Row:
    """One collection as somebody wants to see it."""

    target: str
    place: Place
    conditions: tuple[Condition, ...]
    newest: Job | None
    changed: float
    """Epoch seconds when the newest job was last seen to change, 0 where that is not known."""
    outcome: OutcomeRow | None
    jobs: Sequence[Job]
    """Listed jobs, in no order."""
    source: str
    created: float | None

    @property
    def condition(self) -> Condition:
        """Return the worst condition."""
        return self.conditions[0]

    @property
    def trouble(self) -> bool:
        """Return whether somebody should do something."""
        return self.condition.severity.trouble

    @property
    def active(self) -> bool:
        """Return whether a job is under way."""
        return self.newest is not None and not self.newest.state.ended

    @property
    def cause(self) -> Job | None:
        """Return the job whose class and reason explain the trouble, if there is one."""
        if self.outcome is not None and self.outcome.trouble is not None:
            return self.outcome.trouble
        newest = self.newest
        return newest if newest is not None and not newest.state.ended and newest.reason else None


def rows(target: str, source: Source, now: float) -> list[Row]:
    """Return every collection of a target, worst first, then by name. ``now`` in epoch seconds.

    As :meth:`Source.seen_at` says. Also those that the limits on series fold in the metrics: a person can page.
    """
    seen_at = source.seen_at(now)
    snapshot, listed = source.current().snapshot, _by_place(source.listed())
    job_rows = {row.collection[:2]: row for row in snapshot.jobs}
    outcomes = {row.collection[:2]: row for row in snapshot.outcomes}
    exists = {row.collection[:2]: row for row in snapshot.collections}
    unlisted = {collection[:2] for collection in snapshot.unlisted}
    found = []
    for place in {*job_rows, *outcomes, *exists, *listed, *unlisted}:
        jobs, at = listed.get(place, ()), exists.get(place)
        newest, changed = _newest(job_rows.get(place), jobs)
        created = at.created if at else None
        states = conditions(
            outcomes.get(place),
            newest,
            changed=changed,
            listed=jobs,
            unlisted=place in unlisted,
            gone=bool(jobs) and newest is None and at is None,
            created=created,
            known_since=_known_since(snapshot),
            job_timeout=source.job_timeout,
            now=seen_at,
        )
        shown = newest.source if newest else at.source if at else ""
        found.append(Row(target, place, states, newest, changed, outcomes.get(place), jobs, shown, created))
    return sorted(found, key=_worst_first)


def newest_first(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs in the order in which they were started, the latest first; those without a start come last."""
    return sorted(jobs, key=start_key, reverse=True)


def start_key(job: Job) -> tuple[float, int]:
    """Return where a job stands among others: by its start in epoch seconds, then by its id."""
    return (job.start if job.start is not None else 0.0, job.job_id)


def _worst_first(row: Row) -> tuple[int, int, Place]:
    if not row.trouble:  # by name alone: rows that jump whenever a job begins are no calm sight
        return (len(RANK), 0, row.place)
    failures = row.outcome.consecutive_failures if row.outcome else 0
    return (RANK[row.condition], -failures, row.place)


def _known_since(snapshot: Snapshot) -> float:
    return snapshot.known_since or snapshot.now


def _by_place(listed: Listed) -> dict[Place, Sequence[Job]]:
    """Join what bears one name: a dropped collection and its successor."""
    found: dict[Place, list[Sequence[Job]]] = {}
    for collection, jobs in listed.items():
        found.setdefault(collection[:2], []).append(jobs)
    return {place: same[0] if len(same) == 1 else tuple(chain(*same)) for place, same in found.items()}


def _newest(row: JobRows | None, jobs: Sequence[Job]) -> tuple[Job | None, float]:
    """Return the job that speaks for a collection; the snapshot knows better where it has the collection."""
    if row is not None:
        return row.newest, row.changed
    return max(jobs, key=start_key, default=None), 0.0
