"""A snapshot as exposition text: one family after the other, each row printed again only when it has changed.

JobRows(Collection("sales", "docs", 449), (("s3://lake/docs", (0, 1, 23, 0, 0)),), ...)  ->

milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshPending"} 0
milvus_external_refresh_jobs{database="sales",collection="docs",source="s3://lake/docs",state="RefreshInProgress"} 1
...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from exporter.ledger import DURATION_BUCKETS
from exporter.metrics import contract
from exporter.metrics.causes import failing_by_cause, root_of
from exporter.metrics.contract import Metric
from exporter.metrics.text import Format, encoded, escape, head, number
from exporter.metrics.texts import RowTexts, Texts
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


_FAILED_OPENMETRICS: Final = len(_OUTCOME_FAMILIES)
"""Where a row of outcomes has its failed jobs with OpenMetrics' exemplar."""


class Renderer:
    """Prints one snapshot after the other; what it keeps of the last one changes nothing but the time it takes.

    To be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._jobs = RowTexts(_job_texts)
        self._outcomes = RowTexts(_outcome_texts)
        self._collections = RowTexts(_collection_texts)

    def jobs(self, snapshot: Snapshot, format_: Format, *, keep: bool = False) -> Iterator[bytes]:
        """Yield what is withheld while the snapshot is stale."""
        self._jobs.take(snapshot.jobs)
        folded = [_count_lines(_row_labels((database, OTHER), ""), counts) for database, counts in snapshot.folded]
        for place, metric in enumerate(_JOB_FAMILIES):
            if metric is contract.JOBS:
                yield from _family(metric, format_, self._jobs.of_all(place, keep=keep), encoded("".join(folded)))
            elif metric is contract.LAST_DURATION:
                # The one line that moves by itself is not kept: the duration of a job that is under way.
                lines = zip(snapshot.jobs, self._jobs.of_each(place), strict=True)
                yield from _family(
                    metric, format_, b"".join([text or _running(row, snapshot.now) for row, text in lines])
                )
            else:
                yield from _family(metric, format_, self._jobs.of_all(place, keep=keep))
        unlisted = "".join([_gauge(contract.UNLISTED, _place_labels(each), 1) for each in snapshot.unlisted])
        yield from _family(contract.UNLISTED, format_, encoded(unlisted))

    def rest(self, snapshot: Snapshot, format_: Format, *, keep: bool = False) -> Iterator[bytes]:
        """Yield what stays through stale snapshots: outcomes, and the collections that exist."""
        self._outcomes.take(snapshot.outcomes)
        for place, metric in enumerate(_OUTCOME_FAMILIES):
            with_exemplar = metric is contract.FAILED and format_.openmetrics
            yield from _family(
                metric, format_, self._outcomes.of_all(_FAILED_OPENMETRICS if with_exemplar else place, keep=keep)
            )
        causes = "".join(
            [_gauge(contract.FAILING, _cause_labels(*each), n) for each, n in failing_by_cause(snapshot.outcomes)]
        )
        yield from _family(contract.FAILING, format_, encoded(causes))
        known_since = f"{contract.KNOWN_SINCE.name} {number(snapshot.known_since)}\n" if snapshot.known_since else ""
        yield from _family(contract.KNOWN_SINCE, format_, encoded(known_since))
        databases = zip(*map(_database_lines, snapshot.databases), strict=True)
        for metric, lines in zip(_DATABASE_FAMILIES, databases, strict=False):
            yield from _family(metric, format_, encoded("".join(lines)))
        self._collections.take(snapshot.collections)
        for place, metric in enumerate(_COLLECTION_FAMILIES):
            yield from _family(metric, format_, self._collections.of_all(place, keep=keep))
        totals = sorted(Counter(row.collection.database for row in snapshot.collections).items())
        counts = [_gauge(contract.COLLECTIONS, _database_labels(database), count) for database, count in totals]
        yield from _family(contract.COLLECTIONS, format_, encoded("".join(counts)))


def _family(metric: Metric, format_: Format, *texts: bytes) -> Iterator[bytes]:
    """Yield a family; one without a sample has no head either."""
    if any(texts):
        yield encoded(head(metric, format_))
        yield from texts


def _database_labels(database: str) -> str:
    return f'database="{escape(database)}"'


def _place_labels(place: Collection | tuple[str, str]) -> str:
    return f'database="{escape(place[0])}",collection="{escape(place[1])}"'


def _source_labels(source: str) -> str:
    return f'source="{escape(source)}",source_root="{escape(root_of(source))}"'


def _cause_labels(root: str, failure_class: str) -> str:
    return f'source_root="{escape(root)}",failure_class="{failure_class}"'


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


def _job_texts(row: JobRows) -> Texts:
    place = _place_labels(row.collection)
    by_source = {source: f'{place},source="{escape(source)}"' for source, _ in row.counts}
    counts = "".join([_count_lines(by_source[source], counts) for source, counts in row.counts])
    job = row.newest
    if job is None:
        return (encoded(counts),) + (b"",) * (len(_JOB_FAMILIES) - 1)
    labels = by_source.get(job.source) or _row_labels(row.collection, job.source)
    # Rounded to what Milvus's stamps can say; the difference of two floats has noise behind that.
    duration = None if job.start is None or job.end is None else max(0.0, round(job.end - job.start, 3))
    return (
        encoded(counts),
        encoded(_STATE[job.state].replace(_LABELS, labels)),
        encoded(_gauge(contract.LAST_PROGRESS, labels, job.progress)),
        encoded(_gauge(contract.LAST_CHANGE, labels, row.changed)),
        encoded(_gauge(contract.LAST_START, labels, job.start)),
        encoded(_gauge(contract.LAST_END, labels, job.end)),
        encoded(_gauge(contract.LAST_DURATION, labels, duration)),
        encoded(_gauge(contract.LAST_INFO, f"{labels},{_identity(job)}", 1)),
    )


def _running(row: JobRows, now: float) -> bytes:
    """Return the duration of a row's job that is under way, ``now`` in epoch seconds; nothing for any other."""
    job = row.newest
    if job is None or job.start is None or job.state.ended:
        return b""
    labels = _row_labels(row.collection, job.source)
    return encoded(_gauge(contract.LAST_DURATION, labels, max(0.0, round(now - job.start, 3))))


def _identity(job: Job) -> str:
    failure_class = str(job.failure_class) if job.failure_class else ""
    return f'job_id="{job.job_id}",failure_class="{failure_class}",reason="{escape(job.reason)}"'


def _gauge(metric: Metric, labels: str, value: float | None) -> str:
    return "" if value is None else f"{metric.name}{{{labels}}} {number(value)}\n"


def _outcome_texts(row: OutcomeRow) -> Texts:
    """Return the texts of all families, and of failed jobs once more with OpenMetrics' exemplar."""
    labels = _place_labels(row.collection)
    trouble = row.trouble
    info = f"{labels},{_source_labels(trouble.source)},{_identity(trouble)}" if trouble else ""
    duration = None if row.last_success_duration is None else round(row.last_success_duration, 3)
    failed = with_exemplar = encoded(_gauge(contract.FAILED, labels, row.failed))
    if failed and row.failed_exemplar:
        job_id, end = row.failed_exemplar
        with_exemplar = b'%b # {job_id="%d"} 1 %b\n' % (failed.rstrip(), job_id, encoded(number(end)))
    return (
        encoded(_gauge(contract.LAST_SUCCESS, labels, row.last_success)),
        encoded(_gauge(contract.LAST_FAILURE, labels, row.last_failure)),
        encoded(_gauge(contract.LAST_SUCCESS_DURATION, labels, duration)),
        encoded(_gauge(contract.CONSECUTIVE, labels, row.consecutive_failures)),
        encoded(_gauge(contract.LAST_FAILURE_INFO, info, 1) if info else ""),
        encoded(_gauge(contract.FINISHED, labels, row.finished)),
        failed,
        encoded(_gauge(contract.MAX_AGE, labels, row.max_age)),
        with_exemplar,
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


def _collection_texts(row: CollectionRow) -> Texts:
    return (
        encoded(_gauge(contract.INFO, _row_labels(row.collection, row.source), 1)),
        encoded(_gauge(contract.CREATED, _place_labels(row.collection), row.created)),
    )
