"""How a collection is doing, as a closed list from worst to best, by the same measures as the alerts use by default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from exporter.model import Job, State
from exporter.snapshot import OutcomeRow

MINUTE: Final = 60.0

FAILURES_IN_A_ROW: Final = 3
PENDING: Final = 15 * MINUTE
STILL: Final = 30 * MINUTE
INDEX_WAIT_FROM: Final = 0.9
SLOW_FACTOR: Final = 3
TIMEOUT_MARGIN: Final = 10 * MINUTE


class Severity(Enum):
    """What a condition asks of the reader."""

    BAD = "bad"
    WARN = "warn"
    NOTE = "note"
    FINE = "fine"

    @property
    def trouble(self) -> bool:
        """Return whether somebody should do something."""
        return self in (Severity.BAD, Severity.WARN)


class Condition(Enum):
    """How a collection is doing: the word in the API, the words on the page, the severity, and the alert that it is."""

    STALE = ("stale", "Data too old", Severity.BAD, "MilvusExternalCollectionStale")
    FAILING_REPEATEDLY = (
        "failing_repeatedly",
        "Fails again and again",
        Severity.BAD,
        "MilvusExternalRefreshFailingRepeatedly",
    )
    PAST_TIMEOUT = ("past_timeout", "Past Milvus's time-out", Severity.BAD, "MilvusExternalRefreshPastServerTimeout")
    FAILED = ("failed", "Last refresh failed", Severity.BAD, "MilvusExternalRefreshFailed")
    STUCK = ("stuck", "No progress", Severity.WARN, "MilvusExternalRefreshStuck")
    PENDING_LONG = ("pending_long", "Pending too long", Severity.WARN, "MilvusExternalRefreshPendingTooLong")
    NEVER_REFRESHED = (
        "never_refreshed",
        "Never refreshed",
        Severity.WARN,
        "MilvusExternalCollectionNeverRefreshed",
    )
    UNLISTED = ("unlisted", "Cannot be listed", Severity.WARN, "MilvusExternalRefreshListingPartial")
    INDEXES_LATE = ("indexes_late", "Indexes are late", Severity.NOTE, "MilvusExternalRefreshIndexWaitTimedOut")
    RUNNING = ("running", "Refreshing", Severity.NOTE, "")
    FINE = ("fine", "Fine", Severity.FINE, "")
    NO_SUCCESS_KNOWN = ("no_success_known", "No refresh known", Severity.NOTE, "")
    GONE = ("gone", "Dropped", Severity.NOTE, "")

    def __init__(self, key: str, words: str, severity: Severity, alert: str) -> None:
        self.key = key
        self.words = words
        self.severity = severity
        self.alert = alert


RANK: Final = {condition: rank for rank, condition in enumerate(Condition)}


def conditions(
    outcome: OutcomeRow | None,
    newest: Job | None,
    *,
    changed: float,
    listed: Sequence[Job],
    unlisted: bool,
    gone: bool,
    created: float | None,
    known_since: float,
    job_timeout: float,
    now: float,
) -> tuple[Condition, ...]:
    """Return every condition that holds, the worst first. Never empty. Stamps in epoch seconds."""
    if gone:
        return (Condition.GONE,)
    found = [
        *_of_outcome(outcome, created, known_since, now),
        *(
            _of_job(newest, outcome, listed, changed=changed, job_timeout=job_timeout, now=now)
            if newest and not newest.state.ended
            else ()
        ),
        *((Condition.UNLISTED,) if unlisted else ()),
    ]
    if not found:
        success = outcome is not None and outcome.last_success is not None
        found = [Condition.FINE if success else Condition.NO_SUCCESS_KNOWN]
    return tuple(sorted(found, key=RANK.__getitem__))


def _of_outcome(
    outcome: OutcomeRow | None, created: float | None, known_since: float, now: float
) -> Iterable[Condition]:
    if outcome is None:
        return
    if outcome.overdue(now):
        yield Condition.STALE
    if outcome.failing:
        repeated = outcome.consecutive_failures >= FAILURES_IN_A_ROW
        yield Condition.FAILING_REPEATEDLY if repeated else Condition.FAILED
    elif outcome.trouble is not None:
        yield Condition.INDEXES_LATE
    if outcome.max_age is None or outcome.last_success is not None or created is None:
        return
    # Not before our memory reaches back far enough to know a success that was within the limit.
    if now - max(created, known_since) > outcome.max_age:
        yield Condition.NEVER_REFRESHED


def _of_job(
    job: Job, outcome: OutcomeRow | None, listed: Sequence[Job], *, changed: float, job_timeout: float, now: float
) -> Iterable[Condition]:
    yield Condition.RUNNING
    elapsed = now - job.start if job.start is not None else 0.0
    if elapsed > job_timeout + TIMEOUT_MARGIN:
        yield Condition.PAST_TIMEOUT
    if job.state is State.PENDING and elapsed > PENDING and not job.progress:
        yield Condition.PENDING_LONG
    # A job of one task stands at 0 and the wait for indexes at 0.9 or more, both for as long as they take: there the
    # collection's own past is the measure.
    elif (
        changed
        and now - changed > STILL
        and (0 < job.progress < INDEX_WAIT_FROM or elapsed > SLOW_FACTOR * _longest(listed, outcome))
    ):
        yield Condition.STUCK


def _longest(listed: Sequence[Job], outcome: OutcomeRow | None) -> float:
    """Return the longest success known, in seconds; 0 where there is none."""
    known = [job.end - job.start for job in listed if job.state is State.COMPLETED and job.end and job.start]
    if outcome is not None and outcome.last_success_duration is not None:
        known.append(outcome.last_success_duration)
    return max(known, default=0.0)
