"""From remembered jobs to the rows of a snapshot, bounded. Pure functions; no row depends on the order of a listing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from exporter.model import Collection, Job
from exporter.snapshot import OTHER, STATES, JobRows, OutcomeRow, StateCounts

_INDEX: Final = {state: index for index, state in enumerate(STATES)}
_NONE: Final = (0,) * len(STATES)


def job_rows(
    collection: Collection,
    jobs: Iterable[Job],
    *,
    changed: Mapping[int, float],
    exists: bool | None,
    max_sources: int,
) -> JobRows:
    """Summarise the listed jobs of one collection.

    The newest job is the one with the largest start time, then the largest id. The sources kept are those of the
    newest jobs, since some pipelines stamp the date into the path.
    """
    ordered = sorted(jobs, key=_age_key, reverse=True)
    by_source: dict[str, list[int]] = {}
    for job in ordered:
        by_source.setdefault(job.source, [0] * len(STATES))[_INDEX[job.state]] += 1
    newest = ordered[0] if ordered and exists is not False else None
    counts, folded = _fold_sources(by_source, max_sources)
    return JobRows(
        collection=collection,
        counts=counts,
        newest=newest,
        changed=changed.get(newest.job_id, 0.0) if newest else 0.0,
        sources_folded=folded,
    )


def keep_within(
    rows: Iterable[JobRows], outcomes: Mapping[Collection, OutcomeRow], *, now: float, most: int
) -> tuple[tuple[JobRows, ...], tuple[JobRows, ...]]:
    """Return the rows within the limit and those beyond it.

    Kept first: active, failing, overdue; then by name, so that the choice is stable from poll to poll. Should a
    collection really be called __other__, it goes first where anything goes: one series, never two of one name.
    """
    ordered = sorted(rows, key=lambda row: row.collection)
    if len(ordered) <= most:
        return tuple(ordered), ()
    eligible = [row for row in ordered if row.collection.name != OTHER]
    ranked = sorted(eligible, key=lambda row: (_rank(row.active, outcomes.get(row.collection), now), row.collection))
    kept = {row.collection for row in ranked[:most]}
    return (
        tuple(row for row in ordered if row.collection in kept),
        tuple(row for row in ordered if row.collection not in kept),
    )


def keep_outcomes_within(
    rows: Iterable[OutcomeRow], active: frozenset[Collection], *, now: float, most: int
) -> tuple[OutcomeRow, ...]:
    """Return the outcomes within their own limit, in the same order of importance."""
    ordered = sorted(rows, key=lambda row: row.collection)
    if len(ordered) <= most:
        return tuple(ordered)
    ranked = sorted(ordered, key=lambda row: (_rank(row.collection in active, row, now), row.collection))
    kept = {row.collection for row in ranked[:most]}
    return tuple(row for row in ordered if row.collection in kept)


def fold(rows: Iterable[JobRows]) -> tuple[tuple[str, StateCounts], ...]:
    """Add up the jobs of folded collections, by database: totals stay right, nothing else is made up."""
    totals: dict[str, list[int]] = {}
    for row in rows:
        total = totals.setdefault(row.collection.database, [0] * len(STATES))
        for _, counts in row.counts:
            for index, count in enumerate(counts):
                total[index] += count
    return tuple((database, _as_counts(counts)) for database, counts in sorted(totals.items()))


def one_row_per_label_set(rows: Iterable[JobRows], *, max_sources: int) -> tuple[JobRows, ...]:
    """Join rows that would print the same labels: a dropped collection and its successor bear one name.

    The counts are added up; the collection that exists speaks for its jobs.
    """
    by_place: dict[tuple[str, str], list[JobRows]] = {}
    for row in rows:
        by_place.setdefault(row.collection[:2], []).append(row)
    return tuple(same[0] if len(same) == 1 else _join(same, max_sources) for same in by_place.values())


def _join(rows: list[JobRows], max_sources: int) -> JobRows:
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
    return replace(latest_first[0], counts=counts, sources_folded=folded + sum(row.sources_folded for row in rows))


def _fold_sources(
    by_source: Mapping[str, list[int]], max_sources: int, others: Sequence[int] = _NONE
) -> tuple[tuple[tuple[str, StateCounts], ...], int]:
    """Keep the first sources and add up the others. Returns the counts by source, and how many were added up."""
    kept = dict(list(by_source.items())[:max_sources])
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


def _age_key(job: Job) -> tuple[float, int]:
    return (job.start if job.start is not None else 0.0, job.job_id)


def _as_counts(counts: list[int]) -> StateCounts:
    pending, in_progress, completed, failed, unknown = counts
    return pending, in_progress, completed, failed, unknown
