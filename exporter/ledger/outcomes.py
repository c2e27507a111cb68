"""What ended jobs leave behind: per collection and per database, independent of the order they are learnt in."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from exporter.model import Collection, FailureClass, Job, State

DURATION_BUCKETS: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Upper bounds in seconds, from Milvus's scan of a fraction of a second to its time-out of an hour, and twice that."""

# Nobody has to repair these: somebody else's job, a person's wish, or data that is live all the same.
_NO_FAILURE: Final = frozenset({FailureClass.SUPERSEDED, FailureClass.CANCELLED, FailureClass.INDEX_WAIT_TIMEOUT})
_MAX_RECENT: Final = 256

Moment = tuple[float, int]
"""End in epoch seconds, then job id: a total order, whatever the order of a listing."""
NEVER: Final[Moment] = (float("-inf"), 0)


@dataclass(slots=True)
class Ended:
    """One job that has ended, known by id until Milvus and we may forget it."""

    job: Job
    collection: Collection
    end: float
    counted: bool
    """False for the baseline: it sets stamps and moves no counter."""

    @property
    def moment(self) -> Moment:
        """Return where the job stands among the ended ones."""
        return (self.end, self.job.job_id)

    @property
    def completed(self) -> bool:
        """Return whether it did all it was asked to."""
        return self.job.state is State.COMPLETED

    @property
    def live(self) -> bool:
        """Return whether its data is being served: also where only the wait for indexes ran out."""
        return self.completed or self.job.failure_class is FailureClass.INDEX_WAIT_TIMEOUT

    @property
    def failure(self) -> bool:
        """Return whether somebody should look."""
        return self.job.state is State.FAILED and self.job.failure_class not in _NO_FAILURE

    @property
    def duration(self) -> float | None:
        """Return the run time in seconds; None where the start is unknown or the end was before it."""
        start = self.job.start
        return None if start is None or self.end < start else self.end - start


@dataclass(slots=True)
class Outcomes:
    """What outlives Milvus's memory of one collection's jobs."""

    last_live: Moment = NEVER
    last_completed: Moment = NEVER
    last_failed: Moment = NEVER
    last_duration: float | None = None
    """Run time in seconds of the latest completed job that could be measured."""
    measured: Moment = NEVER
    trouble: Ended | None = None
    """The latest failure or index-wait time-out, while no later job has completed."""
    recent: list[Moment] = field(default_factory=list)
    """Failures since ``last_live``, oldest first, the newest ``_MAX_RECENT`` of them."""
    older: int = 0
    """Failures since ``last_live`` that are no longer in ``recent``."""
    finished: int = 0
    failed: int = 0
    last_failed_counted: tuple[int, float] | None = None
    """Job id and end of the job that moved ``failed`` last."""
    shown: bool = False
    """Whether a snapshot with these counters has been published: one shows them at 0 before their first increase."""
    seen: float = 0.0
    """Epoch seconds when a job of the collection was last listed or ended."""

    @classmethod
    def of(cls, jobs: Iterable[Ended]) -> Outcomes:
        """Return what these jobs leave behind."""
        made = cls()
        for ended in sorted(jobs, key=lambda ended: ended.moment):
            made.add(ended)
        return made

    @property
    def empty(self) -> bool:
        """Return whether no ended job has been taken."""
        return not self.finished and self.last_live == self.last_failed == NEVER

    @property
    def consecutive_failures(self) -> int:
        """Return failures since the last success."""
        return self.older + len(self.recent)

    @property
    def failing(self) -> bool:
        """Return whether the latest failure is later than the latest success."""
        return self.last_failed > self.last_live

    def add(self, ended: Ended) -> None:
        """Take one ended job, in any order; each job once."""
        self.seen = max(self.seen, ended.end)
        moment = ended.moment  # one object, which several fields hold
        if ended.live:
            self._succeed(moment)
        if ended.completed:
            self._complete(ended, moment)
        if ended.failure:
            self._fail(moment)
        troubled = ended.failure or (ended.live and not ended.completed)
        if troubled and moment > self.last_completed and (self.trouble is None or moment > self.trouble.moment):
            self.trouble = ended
        if ended.counted:
            self.finished += 1
            if ended.job.state is State.FAILED:
                self.failed += 1
                self.last_failed_counted = (ended.job.job_id, ended.end)

    def without(self, lost: Iterable[Ended], rest: Iterable[Ended]) -> Outcomes:
        """Return what remains when some jobs turn out to be another collection's; ``rest`` are those known by id.

        What is older than the ids stays, as far as it does not hang on one of the lost.
        """
        taken, made = Outcomes.of(lost), Outcomes.of(rest)
        moments = {ended.moment for ended in lost}
        for name in ("last_live", "last_completed", "last_failed"):
            if getattr(self, name) not in moments:
                setattr(made, name, max(getattr(self, name), getattr(made, name)))
        if self.measured not in moments and self.measured > made.measured:
            made.measured, made.last_duration = self.measured, self.last_duration
        row = {*made.recent, *(moment for moment in self.recent if moment not in moments)}
        made.recent = sorted(moment for moment in row if moment > made.last_live)
        made.older = self.older if made.last_live == self.last_live else 0
        if self.trouble is not None and self.trouble.moment not in moments and made.trouble is None:
            made.trouble = self.trouble if self.trouble.moment > made.last_completed else None
        made.finished = max(self.finished - taken.finished, made.finished)
        made.failed = max(self.failed - taken.failed, made.failed)
        made.shown, made.seen = self.shown, max(self.seen, made.seen)
        return made

    def covers(self, other: Outcomes) -> bool:
        """Return whether what ``other`` holds can be part of this; not so where this was forgotten in between."""
        return (
            self.finished >= other.finished
            and self.last_live >= other.last_live
            and self.last_failed >= other.last_failed
        )

    def merge(self, other: Outcomes) -> None:
        """Take over what was remembered of the same collection under another key."""
        live = max(self.last_live, other.last_live)
        # Failures that are no longer known singly are since their own last success: a later one has ended the row.
        self.older = sum(each.older for each in (self, other) if each.last_live == live)
        moments = sorted({*self.recent, *other.recent})
        self.last_live, self.recent = live, moments[bisect_left(moments, live) :]
        self._shorten()
        self.last_completed = max(self.last_completed, other.last_completed)
        self.last_failed = max(self.last_failed, other.last_failed)
        if other.measured > self.measured:
            self.measured, self.last_duration = other.measured, other.last_duration
        troubles = [t for t in (self.trouble, other.trouble) if t is not None and t.moment > self.last_completed]
        self.trouble = max(troubles, key=lambda t: t.moment, default=None)
        self.finished += other.finished
        self.failed += other.failed
        exemplars = [each for each in (self.last_failed_counted, other.last_failed_counted) if each is not None]
        self.last_failed_counted = max(exemplars, key=lambda each: (each[1], each[0]), default=None)
        self.shown = self.shown or other.shown
        self.seen = max(self.seen, other.seen)

    def _succeed(self, moment: Moment) -> None:
        if moment > self.last_live:
            self.last_live = moment
            self.older = 0
            self.recent = self.recent[bisect_left(self.recent, moment) :]

    def _complete(self, ended: Ended, moment: Moment) -> None:
        self.last_completed = max(self.last_completed, moment)
        if ended.duration is not None and moment > self.measured:
            self.measured, self.last_duration = moment, ended.duration
        if self.trouble is not None and self.trouble.moment < moment:
            self.trouble = None

    def _fail(self, moment: Moment) -> None:
        self.last_failed = max(self.last_failed, moment)
        if moment > self.last_live:
            insort(self.recent, moment)
            self._shorten()

    def _shorten(self) -> None:
        beyond = max(0, len(self.recent) - _MAX_RECENT)
        del self.recent[:beyond]
        self.older += beyond


@dataclass(slots=True)
class DatabaseTotals:
    """Counters of one database: it would be too many series to keep them per collection."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    """Completed jobs by run time, not cumulated; the last one is above every bound."""
    duration_sum: float = 0.0
    failed_by_class: dict[FailureClass, int] = field(default_factory=lambda: dict.fromkeys(FailureClass, 0))
    shown: bool = False

    def add(self, ended: Ended, sign: int = 1) -> None:
        """Count one job; with ``sign`` -1 take it back, for one that turns out to be another database's."""
        if not ended.counted:
            return
        if ended.job.state is State.FAILED:
            self.failed_by_class[ended.job.failure_class or FailureClass.UNKNOWN] += sign
        elif ended.duration is not None:
            self.buckets[bisect_left(DURATION_BUCKETS, ended.duration)] += sign
            self.duration_sum += sign * ended.duration
