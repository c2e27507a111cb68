"""A snapshot as exposition text: one family after the other, each row printed again only when it has changed.

JobRows(Collection("sales", "docs", 449), (("s3://lake/docs", (0, 1, 23, 0, 0)),), ...)  ->

milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshPending"} 0
milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshInProgress"} 1
...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate
from typing import Final, Generic, TypeVar

from exporter.ledger import DURATION_BUCKETS
from exporter.metrics import contract
from exporter.metrics.contract import Metric
from exporter.metrics.text import Format, encoded, escape, head, number
from exporter.model import Collection, Job, State
from exporter.snapshot import OTHER, STATES, CollectionRow, DatabaseRow, JobRows, OutcomeRow, Snapshot, StateCounts

Row = TypeVar("Row")
Lines = tuple[str, ...]
"""What one row adds to each family of its block, in the order of the block; empty where it adds nothing."""
Printed = tuple[bytes, ...]
"""The same, ready to be sent."""

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


class Renderer:
    """Prints one snapshot after the other; what it keeps of the last one changes nothing but the time it takes.

    To be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._jobs = _Kept(lambda timed: timed[0].collection, _job_lines)
        self._outcomes = {
            openmetrics: _Kept(_place, printer)
            for openmetrics, printer in ((False, _outcome_lines), (True, _outcome_lines_with_exemplar))
        }
        self._databases = _Kept(lambda row: row.database, _database_lines)
        self._collections = _Kept(_place, _collection_lines)

    def jobs(self, snapshot: Snapshot, format_: Format) -> bytes:
        """Return what is withheld while the snapshot is stale."""
        # Only while a job is under way does a line depend on the moment.
        rows = self._jobs.lines((row, snapshot.now if row.active else 0.0) for row in snapshot.jobs)
        rows.extend(
            _printed(_only_counts(_count_lines(_row_labels((database, OTHER), ""), counts)))
            for database, counts in snapshot.folded
        )
        unlisted = [_printed((_gauge(contract.UNLISTED, _place_labels(each), 1),)) for each in snapshot.unlisted]
        return _block(_JOB_FAMILIES, rows, format_) + _block((contract.UNLISTED,), unlisted, format_)

    def rest(self, snapshot: Snapshot, format_: Format) -> bytes:
        """Return what stays through stale snapshots: outcomes, and the collections that exist."""
        known_since = f"{contract.KNOWN_SINCE.name} {number(snapshot.known_since)}\n" if snapshot.known_since else ""
        return b"".join(
            (
                _block(_OUTCOME_FAMILIES, self._outcomes[format_.openmetrics].lines(snapshot.outcomes), format_),
                _block((contract.KNOWN_SINCE,), [_printed((known_since,))], format_),
                _block(_DATABASE_FAMILIES, self._databases.lines(snapshot.databases), format_),
                _block(_COLLECTION_FAMILIES, self._collections.lines(snapshot.collections), format_),
                _block((contract.COLLECTIONS,), _totals(snapshot.collections), format_),
            )
        )


class _Kept(Generic[Row]):
    """The lines of one kind of row, printed again only for a row that is not the same as last time.

    ``key`` finds the row of last time; should two rows ever share one, both are still printed right.
    """

    def __init__(self, key: Callable[[Row], Hashable], print_row: Callable[[Row], Lines]) -> None:
        self._key = key
        self._print = print_row
        self._last: dict[Hashable, tuple[Row, Printed]] = {}

    def lines(self, rows: Iterable[Row]) -> list[Printed]:
        """Return the lines of all rows; what is no row of these any more is forgotten."""
        last, self._last = self._last, {}
        found = []
        for row in rows:
            key = self._key(row)
            kept = last.get(key)
            if kept is None or kept[0] != row:
                kept = (row, _printed(self._print(row)))
            self._last[key] = kept
            found.append(kept[1])
        return found


def _printed(lines: Lines) -> Printed:
    return tuple(map(encoded, lines))


def _block(families: Sequence[Metric], rows: Sequence[Printed], format_: Format) -> bytes:
    """Turn rows of lines into families of lines; a family without a sample has no head either."""
    parts: list[bytes] = []
    for metric, column in zip(families, zip(*rows, strict=True), strict=True) if rows else ():
        body = b"".join(column)
        if body:
            parts += (encoded(head(metric, format_)), body)
    return b"".join(parts)


def _totals(rows: Iterable[CollectionRow]) -> list[Printed]:
    counts = Counter(row.collection.database for row in rows)
    return [_printed((_gauge(contract.COLLECTIONS, _database_labels(each), n),)) for each, n in sorted(counts.items())]


def _place(row: OutcomeRow | CollectionRow) -> Collection:
    return row.collection


def _database_labels(database: str) -> str:
    return f'database="{escape(database)}"'


def _place_labels(place: Collection | tuple[str, str]) -> str:
    return f'database="{escape(place[0])}",collection="{escape(place[1])}"'


def _row_labels(place: Collection | tuple[str, str], source: str) -> str:
    return f'{_place_labels(place)},source="{escape(source)}"'


def _count_lines(labels: str, counts: StateCounts) -> str:
    name = contract.JOBS.name
    return "".join(f'{name}{{{labels},state="{state}"}} {n}\n' for state, n in zip(STATES, counts, strict=True))


def _only_counts(lines: str) -> Lines:
    return (lines,) + ("",) * (len(_JOB_FAMILIES) - 1)


def _job_lines(timed: tuple[JobRows, float]) -> Lines:
    row, now = timed
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


def _outcome_lines_with_exemplar(row: OutcomeRow) -> Lines:
    if row.failed_exemplar is None:
        return _outcome_lines(row)
    job_id, end = row.failed_exemplar
    return _outcome_lines(row, f' # {{job_id="{job_id}"}} 1 {number(end)}')


def _outcome_lines(row: OutcomeRow, exemplar: str = "") -> Lines:
    labels = _place_labels(row.collection)
    trouble = row.trouble
    info = f'{labels},source="{escape(trouble.source)}",{_identity(trouble)}' if trouble else ""
    duration = None if row.last_success_duration is None else round(row.last_success_duration, 3)
    failed = "" if row.failed is None else f"{contract.FAILED.name}{{{labels}}} {row.failed}{exemplar}\n"
    return (
        _gauge(contract.LAST_SUCCESS, labels, row.last_success),
        _gauge(contract.LAST_FAILURE, labels, row.last_failure),
        _gauge(contract.LAST_SUCCESS_DURATION, labels, duration),
        _gauge(contract.CONSECUTIVE, labels, row.consecutive_failures),
        _gauge(contract.LAST_FAILURE_INFO, info, 1) if info else "",
        _gauge(contract.FINISHED, labels, row.finished),
        failed,
        _gauge(contract.MAX_AGE, labels, row.max_age),
    )


def _database_lines(row: DatabaseRow) -> Lines:
    labels = _database_labels(row.database)
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
