"""A snapshot as exposition text: one family after the other, each row printed again only when it has changed.

JobRows(Collection("sales", "docs", 449), (("s3://lake/docs", (0, 1, 23, 0, 0)),), ...)  ->

milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshPending"} 0
milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshInProgress"} 1
...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from exporter.ledger import DURATION_BUCKETS
from exporter.metrics import contract
from exporter.metrics.contract import Metric
from exporter.metrics.printed import Line, Lines, PrintedPages, Running
from exporter.metrics.text import Format, encoded, escape, head, number
from exporter.model import Collection, Job
from exporter.snapshot import OTHER, STATES, CollectionRow, DatabaseRow, JobRows, OutcomeRow, Snapshot, StateCounts

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

    Whatever it returns is to be joined. To be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._jobs = PrintedPages(_job_lines)
        self._outcomes = {False: PrintedPages(_outcome_lines), True: PrintedPages(_outcome_lines_with_exemplar)}
        self._collections = PrintedPages(_collection_lines)
        self._counted: Sequence[CollectionRow] = ()
        self._counts: list[bytes] = []

    def jobs(self, snapshot: Snapshot, format_: Format) -> list[bytes]:
        """Return what is withheld while the snapshot is stale."""
        columns = self._jobs.columns(snapshot.jobs, snapshot.now) or [[]]
        columns[0] += (
            encoded(_count_lines(_row_labels((database, OTHER), ""), counts)) for database, counts in snapshot.folded
        )
        unlisted = [encoded(_gauge(contract.UNLISTED, _place_labels(each), 1)) for each in snapshot.unlisted]
        return [*_block(_JOB_FAMILIES, columns, format_), *_block((contract.UNLISTED,), [unlisted], format_)]

    def rest(self, snapshot: Snapshot, format_: Format) -> list[bytes]:
        """Return what stays through stale snapshots: outcomes, and the collections that exist."""
        known_since = f"{contract.KNOWN_SINCE.name} {number(snapshot.known_since)}\n" if snapshot.known_since else ""
        outcomes = self._outcomes[format_.openmetrics].columns(snapshot.outcomes, snapshot.now)
        databases = [list(map(encoded, lines)) for lines in zip(*map(_database_lines, snapshot.databases), strict=True)]
        collections = self._collections.columns(snapshot.collections, snapshot.now)
        return [
            *_block(_OUTCOME_FAMILIES, outcomes, format_),
            *_block((contract.KNOWN_SINCE,), [[encoded(known_since)]], format_),
            *_block(_DATABASE_FAMILIES, databases, format_),
            *_block(_COLLECTION_FAMILIES, collections, format_),
            *_block((contract.COLLECTIONS,), [self._totals(snapshot.collections)], format_),
        ]

    def _totals(self, rows: Sequence[CollectionRow]) -> list[bytes]:
        if self._counted is not rows:
            self._counted = rows
            counts = sorted(Counter(row.collection.database for row in rows).items())
            self._counts = [encoded(_gauge(contract.COLLECTIONS, _database_labels(base), n)) for base, n in counts]
        return self._counts


def _block(families: Sequence[Metric], columns: Sequence[Sequence[bytes]], format_: Format) -> Iterator[bytes]:
    """Yield columns of lines as families of lines; a family without a sample has no head either."""
    for metric, column in zip(families, columns, strict=False):
        lines = [each for each in column if each]
        if lines:
            yield encoded(head(metric, format_))
            yield from lines


def _database_labels(database: str) -> str:
    return f'database="{escape(database)}"'


def _place_labels(place: Collection | tuple[str, str]) -> str:
    return f'database="{escape(place[0])}",collection="{escape(place[1])}"'


def _row_labels(place: Collection | tuple[str, str], source: str) -> str:
    return f'{_place_labels(place)},source="{escape(source)}"'


_LABELS: Final = "\0"
"""Where the labels go in a text that is the same for all rows. What is put in is not looked through again."""
_COUNTS: Final = "".join(f'{contract.JOBS.name}{{{_LABELS},state="{state}"}} %d\n' for state in STATES)
_STATE: Final = {
    state: "".join(f'{contract.LAST_STATE.name}{{{_LABELS},state="{each}"}} {int(each is state)}\n' for each in STATES)
    for state in STATES
}


def _count_lines(labels: str, counts: StateCounts) -> str:
    return (_COUNTS % counts).replace(_LABELS, labels)


def _job_lines(row: JobRows) -> Lines:
    place = _place_labels(row.collection)
    by_source = {source: f'{place},source="{escape(source)}"' for source, _ in row.counts}
    counts = "".join([_count_lines(by_source[source], counts) for source, counts in row.counts])
    job = row.newest
    if job is None:
        return (counts,) + ("",) * (len(_JOB_FAMILIES) - 1)
    labels = by_source.get(job.source) or _row_labels(row.collection, job.source)
    return (
        counts,
        _STATE[job.state].replace(_LABELS, labels),
        _gauge(contract.LAST_PROGRESS, labels, job.progress),
        _gauge(contract.LAST_CHANGE, labels, row.changed),
        _gauge(contract.LAST_START, labels, job.start),
        _gauge(contract.LAST_END, labels, job.end),
        _duration(labels, job),
        _gauge(contract.LAST_INFO, f"{labels},{_identity(job)}", 1),
    )


def _identity(job: Job) -> str:
    failure_class = str(job.failure_class) if job.failure_class else ""
    return f'job_id="{job.job_id}",failure_class="{failure_class}",reason="{escape(job.reason)}"'


def _duration(labels: str, job: Job) -> Line:
    if job.start is None:
        return ""
    if not job.state.ended:
        return Running(f"{contract.LAST_DURATION.name}{{{labels}}}", job.start)
    # Rounded to what Milvus's stamps can say; the difference of two floats has noise behind that.
    return "" if job.end is None else _gauge(contract.LAST_DURATION, labels, max(0.0, round(job.end - job.start, 3)))


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


def _database_lines(row: DatabaseRow) -> tuple[str, str]:
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
