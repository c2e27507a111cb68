"""From remembered jobs to the rows of a snapshot, bounded. Pure functions; no row depends on the order of a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as Several
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import Final

from exporter.model import Collection, Job
from exporter.snapshot import OTHER, STATES, JobRows, OutcomeRow, Snapshot, StateCounts
from exporter.texts import Texts

_INDEX: Final = {state: index for index, state in enumerate(STATES)}
_NONE: Final = (0,) * len(STATES)


def job_rows(
    collection: Collection,
    jobs: Several[Job],
    *,
    changed: Mapping[int, float],
    exists: bool | None,
    max_sources: int,
) -> JobRows:
    """Summarise the listed jobs of one collection.

    The newest job is the one with the largest start time, then the largest id. The sources kept are those of the
    newest jobs, since some pipelines stamp the date into the path.
    """
    by_source = _count(jobs)
    if len(by_source) > max_sources:
        by_source = _count(sorted(jobs, key=_age_key, reverse=True))
    newest = _newest(jobs) if jobs and exists is not False else None
    counts, folded = _fold_sources(by_source, max_sources)
    return JobRows(
        collection=collection,
        counts=counts,
        newest=newest,
        changed=changed.get(newest.job_id, 0.0) if newest else 0.0,
        sources_folded=folded,
    )


def keep_within(
    rows: Sequence[JobRows], outcome_of: Callable[[Collection], OutcomeRow | None], *, now: float, most: int
) -> tuple[Sequence[JobRows], Sequence[JobRows]]:
    """Return the rows within the limit and those beyond it, both in the order of ``rows``.

    Kept first: active, failing, overdue; then by name, so that the choice is stable from poll to poll. Should a
    collection really be called __other__, it goes first where anything goes: one series, never two of one name.
    """
    if len(rows) <= most:
        return rows, ()
    eligible = [row for row in rows if row.collection.name != OTHER]
    eligible.sort(key=lambda row: (_rank(row.active, outcome_of(row.collection), now), row.collection))
    kept = {row.collection for row in eligible[:most]}
    return (
        tuple(row for row in rows if row.collection in kept),
        tuple(row for row in rows if row.collection not in kept),
    )


def keep_outcomes_within(
    rows: Sequence[OutcomeRow], is_active: Callable[[Collection], bool], *, now: float, most: int
) -> Sequence[OutcomeRow]:
    """Return the outcomes within their own limit, by the same order of importance."""
    if len(rows) <= most:
        return rows
    ranked = sorted(rows, key=lambda row: (_rank(is_active(row.collection), row, now), row.collection))
    kept = {row.collection for row in ranked[:most]}
    return tuple(row for row in rows if row.collection in kept)


def fold(rows: Iterable[JobRows]) -> tuple[tuple[str, StateCounts], ...]:
    """Add up the jobs of folded collections, by database: totals stay right, nothing else is made up."""
    totals: dict[str, list[int]] = {}
    for row in rows:
        total = totals.setdefault(row.collection.database, [0] * len(STATES))
        for _, counts in row.counts:
            for index, count in enumerate(counts):
                total[index] += count
    return tuple((database, _as_counts(counts)) for database, counts in sorted(totals.items()))


def join(rows: Iterable[JobRows], *, max_sources: int) -> JobRows:
    """Join rows, one or more, that would print the same labels: a dropped collection and its successor bear one name.

    The counts are added up; the collection that exists speaks for its jobs.
    """
    latest_first = sorted(
        rows,
        key=lambda row: (_age_key(row.newest) if row.newest else (float("-inf"), 0), row.collection),
        reverse=True,
    )
    by_source: dict[str, list[int]] = {}
    for row in latest_first:
        for source, columns in row.counts:
            total = by_source.setdefault(source, [0] * len(STATES))
            for index, count in enumerate(columns):
                total[index] += count
    others = by_source.pop(OTHER, [0] * len(STATES))  # folded already
    counts, folded = _fold_sources(by_source, max_sources, others)
    return replace(
        latest_first[0], counts=counts, sources_folded=folded + sum(row.sources_folded for row in latest_first)
    )


def cleaned(snapshot: Snapshot, texts: Texts) -> Snapshot:
    """Return a snapshot whose texts say no more than they may under these settings; every count stays."""
    return replace(
        snapshot,
        jobs=tuple(_cleaned_rows(row, texts) for row in snapshot.jobs),
        outcomes=tuple(replace(row, trouble=row.trouble and texts.clean(row.trouble)) for row in snapshot.outcomes),
        collections=tuple(replace(row, source=texts.clean_source(row.source)) for row in snapshot.collections),
        listed={collection: tuple(map(texts.clean, jobs)) for collection, jobs in snapshot.listed.items()},
    )


def _cleaned_rows(row: JobRows, texts: Texts) -> JobRows:
    sources = ((OTHER if source == OTHER else texts.clean_source(source), counts) for source, counts in row.counts)
    newest = row.newest and texts.clean(row.newest)
    # Sources that differed may be the same now: their counts are added up.
    return join([replace(row, counts=tuple(sources), newest=newest)], max_sources=len(row.counts))


def _fold_sources(
    by_source: Mapping[str, list[int]], max_sources: int, others: Sequence[int] = _NONE
) -> tuple[tuple[tuple[str, StateCounts], ...], int]:
    """Keep the first sources and add up the others. Returns the counts by source, and how many were added up."""
    if len(by_source) == 1 and max_sources and not any(others):  # as with nearly every collection
        ((source, columns),) = by_source.items()
        return ((source, _as_counts(columns)),), 0
    kept, dropped = dict(by_source), {}
    if len(kept) > max_sources:
        kept = dict(islice(by_source.items(), max_sources))
        dropped = {source: counts for source, counts in by_source.items() if source not in kept}
    if dropped or any(others):
        # Should somebody's source really read __other__, both are added up: one series, never two of one name.
        own = kept.get(OTHER, [0] * len(STATES))
        kept[OTHER] = [sum(column) for column in zip(own, others, *dropped.values(), strict=True)]
    counts = tuple((source, _as_counts(columns)) for source, columns in sorted(kept.items()))
    return counts, len(dropped)


def _rank(active: bool, outcome: OutcomeRow | None, now: float) -> int:  # noqa: FBT001  # a sort key, called in one place
    if active:
        return 0
    if outcome is None:
        return 3
    return 1 if outcome.failing else 2 if outcome.overdue(now) else 3


def _count(jobs: Iterable[Job]) -> dict[str, list[int]]:
    """Return jobs per state by source, the sources in the order of their first jobs."""
    by_source: dict[str, list[int]] = {}
    for (source, state), count in Counter(map(_SOURCE_AND_STATE, jobs)).items():
        columns = by_source.get(source)
        if columns is None:
            columns = by_source[source] = [0] * len(STATES)
        columns[_INDEX[state]] = count
    return by_source


def _newest(jobs: Iterable[Job]) -> Job:
    try:
        return max(jobs, key=_START_AND_ID)
    except TypeError:  # one that has no start
        return max(jobs, key=_age_key)


_SOURCE_AND_STATE: Final = attrgetter("source", "state")
_START_AND_ID: Final = attrgetter("start", "job_id")
"""What :func:`_age_key` says where all jobs have a start, or none has; without a function of ours for each."""


def _age_key(job: Job) -> tuple[float, int]:
    return (job.start if job.start is not None else 0.0, job.job_id)


def _as_counts(counts: list[int]) -> StateCounts:
    pending, in_progress, completed, failed, unknown = counts
    return pending, in_progress, completed, failed, unknown
