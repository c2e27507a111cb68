"""A snapshot as exposition text: one family after the other, each row printed once and kept while it does not change.

JobRows(Collection("sales", "docs", 449), (("s3://lake/docs", (0, 1, 23, 0, 0)),), ...)  ->

milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshPending"} 0
milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshInProgress"} 1
...
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from exporter.ledger import DURATION_BUCKETS
from exporter.metrics import contract
from exporter.metrics.contract import Metric
from exporter.metrics.text import Format, escape, head, number
from exporter.model import Collection, Job, State
from exporter.snapshot import OTHER, STATES, CollectionRow, DatabaseRow, JobRows, OutcomeRow, Snapshot, StateCounts

Lines = tuple[str, ...]
"""What one row adds to each family of its block, in the order of the block; empty where it adds nothing."""

_JOB_FAMILIES: Final = (
    contract.JOBS,
    contract.LAST_STATE,
    contract.LAST_PROGRESS,
    contract.LAST_CHANGE,
    contract.LAST_START,
    contract.LAST_END,
    contract.LAST_DURATION,
    contract.LAST_INFO,
)
_OUTCOME_FAMILIES: Final = (
    contract.LAST_SUCCESS,
    contract.LAST_FAILURE,
    contract.LAST_SUCCESS_DURATION,
    contract.CONSECUTIVE,
    contract.LAST_FAILURE_INFO,
    contract.FINISHED,
    contract.FAILED,
    contract.MAX_AGE,
)
_DATABASE_FAMILIES: Final = (contract.DURATION, contract.FAILED_BY_CLASS)
_COLLECTION_FAMILIES: Final = (contract.INFO, contract.CREATED)


def render_jobs(snapshot: Snapshot, format_: Format) -> str:
    """Return what is withheld while the snapshot is stale."""
    rows = [_job_lines(row, snapshot.now) for row in snapshot.jobs]
    rows.extend(
        (_count_lines(_row_labels((database, OTHER), ""), counts),) + ("",) * 7 for database, counts in snapshot.folded
    )
    unlisted = [(f"{contract.UNLISTED.name}{{{_place_labels(collection)}}} 1\n",) for collection in snapshot.unlisted]
    return _block(_JOB_FAMILIES, rows, format_) + _block((contract.UNLISTED,), unlisted, format_)


def render_rest(snapshot: Snapshot, format_: Format) -> str:
    """Return what stays through stale snapshots: outcomes, and the collections that exist."""
    known_since = f"{contract.KNOWN_SINCE.name} {number(snapshot.known_since)}\n" if snapshot.known_since else ""
    counts: dict[str, int] = {}
    for row in snapshot.collections:
        counts[row.collection.database] = counts.get(row.collection.database, 0) + 1
    totals = [(f'{contract.COLLECTIONS.name}{{database="{escape(db)}"}} {n}\n',) for db, n in sorted(counts.items())]
    return "".join(
        (
            _block(_OUTCOME_FAMILIES, [_outcome_lines(row, format_) for row in snapshot.outcomes], format_),
            _block((contract.KNOWN_SINCE,), [(known_since,)], format_),
            _block(_DATABASE_FAMILIES, [_database_lines(row) for row in snapshot.databases], format_),
            _block(_COLLECTION_FAMILIES, [_collection_lines(row) for row in snapshot.collections], format_),
            _block((contract.COLLECTIONS,), totals, format_),
        )
    )


def _block(families: Sequence[Metric], rows: Sequence[Lines], format_: Format) -> str:
    """Turn rows of lines into families of lines; a family without a sample has no head either."""
    parts: list[str] = []
    for metric, column in zip(families, zip(*rows, strict=True), strict=True) if rows else ():
        body = "".join(column)
        if body:
            parts += (head(metric, format_), body)
    return "".join(parts)


def _place_labels(place: Collection | tuple[str, str]) -> str:
    return f'database="{escape(place[0])}",collection="{escape(place[1])}"'


def _row_labels(place: Collection | tuple[str, str], source: str) -> str:
    return f'{_place_labels(place)},source="{escape(source)}"'


def _count_lines(labels: str, counts: StateCounts) -> str:
    name = contract.JOBS.name
    return "".join(f'{name}{{{labels},state="{state}"}} {n}\n' for state, n in zip(STATES, counts, strict=True))


def _only_counts(lines: str) -> Lines:
    return (lines,) + ("",) * (len(_JOB_FAMILIES) - 1)


def _job_lines(row: JobRows, now: float) -> Lines:
    counts = "".join(_count_lines(_row_labels(row.collection, source), counts) for source, counts in row.counts)
    job = row.newest
    if job is None:
        return _only_counts(counts)
    labels = _row_labels(row.collection, job.source)
    return (
        counts,
        _state_lines(labels, job.state),
        _gauge(contract.LAST_PROGRESS, labels, job.progress),
        _gauge(contract.LAST_CHANGE, labels, row.changed),
        _gauge(contract.LAST_START, labels, job.start),
        _gauge(contract.LAST_END, labels, job.end),
        _gauge(contract.LAST_DURATION, labels, _duration(job, now)),
        _gauge(contract.LAST_INFO, f"{labels},{_identity(job)}", 1),
    )


def _state_lines(labels: str, state: State) -> str:
    name = contract.LAST_STATE.name
    return "".join(f'{name}{{{labels},state="{each}"}} {int(each is state)}\n' for each in STATES)


def _identity(job: Job) -> str:
    failure_class = str(job.failure_class) if job.failure_class else ""
    return f'job_id="{job.job_id}",failure_class="{failure_class}",reason="{escape(job.reason)}"'


def _duration(job: Job, now: float) -> float | None:
    if job.start is None:
        return None
    end = job.end if job.state.ended else now
    # Rounded to what Milvus's stamps can say; the difference of two floats has noise behind that.
    return None if end is None else max(0.0, round(end - job.start, 3))


def _gauge(metric: Metric, labels: str, value: float | None) -> str:
    return "" if value is None else f"{metric.name}{{{labels}}} {number(value)}\n"


def _outcome_lines(row: OutcomeRow, format_: Format) -> Lines:
    labels = _place_labels(row.collection)
    exemplar = ""
    if format_.openmetrics and row.failed_exemplar is not None:
        job_id, end = row.failed_exemplar
        exemplar = f' # {{job_id="{job_id}"}} 1 {number(end)}'
    trouble = row.trouble
    info = f'{labels},source="{escape(trouble.source)}",{_identity(trouble)}' if trouble else ""
    duration = None if row.last_success_duration is None else round(row.last_success_duration, 3)
    return (
        _gauge(contract.LAST_SUCCESS, labels, row.last_success),
        _gauge(contract.LAST_FAILURE, labels, row.last_failure),
        _gauge(contract.LAST_SUCCESS_DURATION, labels, duration),
        _gauge(contract.CONSECUTIVE, labels, row.consecutive_failures),
        _gauge(contract.LAST_FAILURE_INFO, info, 1) if info else "",
        _gauge(contract.FINISHED, labels, row.finished),
        f"{contract.FAILED.name}{{{labels}}} {row.failed}{exemplar}\n",
        _gauge(contract.MAX_AGE, labels, row.max_age),
    )


def _database_lines(row: DatabaseRow) -> Lines:
    labels = f'database="{escape(row.database)}"'
    name = contract.FAILED_BY_CLASS.name
    by_class = "".join(f'{name}{{{labels},failure_class="{each}"}} {count}\n' for each, count in row.failed_by_class)
    return _histogram_lines(labels, row), by_class


def _histogram_lines(labels: str, row: DatabaseRow) -> str:
    name = contract.DURATION.name
    # Bounds always with a fraction: OpenMetrics wants it, and one bucket must not be two series in two formats.
    bounds = [*(str(float(bound)) for bound in DURATION_BUCKETS), "+Inf"]
    summed = list(accumulate(row.duration_buckets))
    lines = [f'{name}_bucket{{{labels},le="{le}"}} {count}\n' for le, count in zip(bounds, summed, strict=True)]
    lines.append(f"{name}_sum{{{labels}}} {number(round(row.duration_sum, 3))}\n")
    lines.append(f"{name}_count{{{labels}}} {summed[-1]}\n")
    return "".join(lines)


def _collection_lines(row: CollectionRow) -> Lines:
    return (
        _gauge(contract.INFO, _row_labels(row.collection, row.source), 1),
        _gauge(contract.CREATED, _place_labels(row.collection), row.created),
    )
