"""The pieces that views are put together from: age against its limit, progress, why something is in trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.model import FailureClass, Job, State
from exporter.page import words
from exporter.page.conditions import INDEX_WAIT_FROM, PENDING, Condition
from exporter.page.query import collection_href
from exporter.page.rows import Row
from exporter.page.strip import COARSE, Strip, strip

BAR: Final = 100.0
"""Width of a bar in its own units."""

_WHY: Final = {
    Condition.STALE: "No refresh has succeeded in time, and none has failed since: are they still being started?",
    Condition.PAST_TIMEOUT: "Milvus should have ended this job and has not.",
    Condition.STUCK: "Its data is not live yet, and no other refresh can start before it ends.",
    Condition.PENDING_LONG: "Mostly Milvus cannot list the source and keeps trying until it times out.",
    Condition.NEVER_REFRESHED: "No success is known since it was created.",
    Condition.UNLISTED: "The last poll could not list its jobs; what is shown is older.",
}
"""What is to be said where no job tells a reason."""


@dataclass(frozen=True, slots=True)
class Age:
    """How old the data is, and how much of what is allowed that uses up."""

    text: str
    limit: str
    """"" where no limit is set."""
    fill: float
    """Of ``BAR``."""
    mark: float
    """Where the limit stands on the bar once the age is beyond it, else ``BAR``."""
    over: bool
    moment: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The newest job, while it is under way."""

    percent: int
    words: str
    hint: str
    since: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Which job explains the trouble, and what it says."""

    failure_class: str
    words: str
    reason: str
    note: str
    """What there is to know where the job has no reason of its own."""
    job_id: int
    when: str


@dataclass(frozen=True, slots=True)
class RowView:
    """One collection, ready to be printed."""

    row: Row
    href: str
    badges: tuple[Condition, ...]
    """The worst condition, and the others that are trouble."""
    detail: str
    cause: Cause | None
    why: str
    """What the condition means, where there is no cause."""
    runbook: str
    age: Age
    progress: Progress | None
    strip: Strip
    newest: str


def row_view(row: Row, runbooks: str, now: float, *, shown_target: str, narrowest: float = COARSE) -> RowView:
    """Return a row as it is printed. ``now`` in epoch seconds; ``runbooks`` is a base address or empty."""
    return RowView(
        row=row,
        href=collection_href(shown_target, *row.place),
        badges=(row.condition, *(each for each in row.conditions[1:] if each.severity.trouble)),
        detail=_detail(row, now),
        cause=_cause(row, now),
        why="" if row.cause else _WHY.get(row.condition, ""),
        runbook=runbook(row, runbooks),
        age=_age(row, now),
        progress=progress(row.newest, now) if row.newest and row.active else None,
        strip=strip(row.jobs, now, narrowest),
        newest=_newest(row.newest, now),
    )


def runbook(row: Row, base: str) -> str:
    """Return the address of what to do about the worst condition, "" where there is nothing to do."""
    if not base or not row.condition.alert:
        return ""
    cause = row.cause
    if cause is not None and cause.failure_class and row.condition is not Condition.INDEXES_LATE:
        return f"{base.rstrip('/')}/failure-classes.md#{cause.failure_class}"
    return f"{base.rstrip('/')}/{row.condition.alert}.md"


def progress(job: Job, now: float) -> Progress:
    """Return how far a job is. Below 1 a share is never rounded up to 100 %."""
    percent = min(int(job.progress * 100), 99)
    hint = ""
    if job.state is State.IN_PROGRESS and not percent:
        hint = "a job of one task stays at 0 until it is done"
    elif job.progress >= INDEX_WAIT_FROM:
        hint = "from 90 % on it waits for indexes"
    elif job.state is State.PENDING:
        hint = "has not got beyond listing the source" if now - (job.start or now) > PENDING else "listing the source"
    since = "" if job.start is None else f"for {words.duration(round(max(now - job.start, 0.0)))}"
    return Progress(percent, words.STATES[job.state], hint, since)


def _detail(row: Row, now: float) -> str:
    """Return the figure behind the worst condition."""
    outcome, newest = row.outcome, row.newest
    match row.condition:
        case Condition.STALE if outcome is not None and outcome.max_age is not None:
            failures = outcome.consecutive_failures
            since = f"; {words.count(failures, 'failure')} since" if failures else "; no failure since"
            return f"allowed {words.limit(outcome.max_age)}{since}"
        case Condition.FAILING_REPEATEDLY | Condition.FAILED if outcome is not None:
            when = "" if outcome.last_failure is None else words.ago(now - outcome.last_failure)
            several = outcome.consecutive_failures > 1
            return f"{outcome.consecutive_failures:,} failures in a row" if several else when
        case Condition.STUCK:
            return f"nothing has moved for {words.duration(now - row.changed)}"
        case Condition.PENDING_LONG | Condition.PAST_TIMEOUT if newest is not None and newest.start is not None:
            return f"started {words.ago(now - newest.start)}"
        case Condition.NEVER_REFRESHED if row.created is not None:
            return f"created {words.ago(now - row.created)}"
        case _:
            return ""


def _cause(row: Row, now: float) -> Cause | None:
    job = row.cause
    if job is None:
        return None
    told, reason, note = words.blame(job)
    moment = job.end if job.end is not None else job.start
    return Cause(
        failure_class=str(job.failure_class or FailureClass.UNKNOWN),
        words=told,
        reason=reason,
        note=note,
        job_id=job.job_id,
        when="" if moment is None else words.ago(now - moment),
    )


def _age(row: Row, now: float) -> Age:
    outcome = row.outcome
    moment, limit = (outcome.last_success, outcome.max_age) if outcome else (None, None)
    bound = "" if limit is None else words.limit(limit)
    if moment is None:
        return Age("no success known", bound, 0.0, BAR, over=False, moment=None)
    age = max(now - moment, 0.0)
    if not limit:
        return Age(words.ago(age), bound, 0.0, BAR, over=limit is not None, moment=moment)
    over = age > limit
    fill = BAR if over else round(age / limit * BAR, 1)
    return Age(words.ago(age), bound, fill, round(limit / age * BAR, 1) if over else BAR, over=over, moment=moment)


def _newest(job: Job | None, now: float) -> str:
    if job is None:
        return "no job listed"
    state = words.STATES[job.state]
    if job.start is None:
        return state
    took = f", took {words.duration(job.end - job.start)}" if job.end is not None and job.end >= job.start else ""
    return f"{state} {words.ago(now - (job.end or job.start))}{took}"
