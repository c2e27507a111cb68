"""What ended jobs leave behind: per collection and per database, independent of the order they are learnt in."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final, NamedTuple

from exporter.model import Collection, FailureClass, Job, State

DURATION_BUCKETS: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Upper bounds in seconds, from Milvus's scan of a fraction of a second to its time-out of an hour, and twice that."""

# Nobody has to repair these: somebody else's job, a person's wish, or data that is live all the same.
_NO_FAILURE: Final = frozenset({FailureClass.SUPERSEDED, FailureClass.CANCELLED, FailureClass.INDEX_WAIT_TIMEOUT})
_MAX_RECENT: Final = 256

Moment = tuple[float, int]
"""End in epoch seconds, then job id: a total order, whatever the order of a listing."""
NEVER: Final[Moment] = (float("-inf"), 0)


class Stage(IntEnum):
    """How far an ended job has come. The numbers are stored in the state file."""

    COUNTED = 0
    """It is in the outcomes, and in the counters unless it belongs to the baseline."""
    UNCLASSIFIED = 1
    """Counted, but Milvus may still write why it failed: the counters by class wait for that."""
    HALF_WRITTEN = 2
    """Failed, without end and reason: not counted yet, since Milvus is about to write both."""
    DROPPED = 3
    """The outcomes of its collection have been forgotten; the id is kept so that it is never counted again."""


class Ended(NamedTuple):
    """One job that has ended, known by id for as long as Milvus may list it. Immutable; a change makes a new one."""

    job: Job
    collection: Collection
    seen: float
    """Epoch seconds, by our clock, when we first saw its end; while it has none, when we first saw it as ended."""
    counted: bool
    """False for the baseline: it sets stamps but moves no counter."""
    stage: Stage = Stage.COUNTED
    undated: bool = False
    """Whether Milvus has not written its end: then ``seen`` stands for it."""
    classed: FailureClass | None = None
    """The class under which it stands in the counters; None if it stands under none."""
    missed: float | None = None
    """Epoch seconds, by our clock, when a listing first lacked it; None while it is listed."""

    @property
    def end(self) -> float:
        """Return the end in epoch seconds; while Milvus has not written it, when we first saw the job ended."""
        return self.seen if self.job.end is None else self.job.end

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

    @property
    def counted_as_failed(self) -> bool:
        """Return whether it has moved the counters of failures, if any: Milvus may say something else by now."""
        return self.classed is not None or self.stage is Stage.UNCLASSIFIED

    @property
    def in_outcomes(self) -> bool:
        """Return whether the outcomes of its collection rest on it."""
        return self.stage <= Stage.UNCLASSIFIED


class Running(NamedTuple):
    """One job that is under way, known by id: where it belongs must be known when it ends, also after a restart."""

    collection: Collection
    name: str
    """The collection name as the record has it."""
    start: float | None
    """Epoch seconds, never later than when we first saw the job."""
    missed: float | None = None
    """As in :class:`Ended`."""


@dataclass(slots=True)
class Facts:
    """What a collection's ended jobs add up to, whatever the order in which they are taken."""

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

    def take(self, ended: Ended) -> None:
        """Take one ended job, in any order; each job once."""
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

    def copy(self) -> Facts:
        """Return a copy that can be changed by itself."""
        return replace(self, recent=list(self.recent))

    def merge(self, other: Facts) -> None:
        """Take over what was remembered of the same collection under another key."""
        live = max(self.last_live, other.last_live)
        # Failures that are not known one by one are older than those that are: a success among the latter ends them.
        self.older = sum(each.older for each in (self, other) if not each.recent or each.recent[0] > live)
        moments = sorted({*self.recent, *other.recent})
        self.last_live, self.recent = live, moments[bisect_left(moments, live) :]
        self._shorten()
        self.last_completed = max(self.last_completed, other.last_completed)
        self.last_failed = max(self.last_failed, other.last_failed)
        if other.measured > self.measured:
            self.measured, self.last_duration = other.measured, other.last_duration
        troubles = [t for t in (self.trouble, other.trouble) if t is not None and t.moment > self.last_completed]
        self.trouble = max(troubles, key=lambda t: t.moment, default=None)

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
class Outcomes:
    """What is remembered of one collection: facts, which follow what Milvus says, and counters, which only go up."""

    facts: Facts = field(default_factory=Facts)
    """Of all its ended jobs."""
    forgotten: Facts = field(default_factory=Facts)
    """Of those ended jobs alone whose ids are no longer known."""
    finished: int = 0
    failed: int = 0
    last_failed_counted: tuple[int, float] | None = None
    """Job id and end of the job that moved ``failed`` last."""
    shown: bool = False
    """Whether a snapshot with these counters has been published: one shows them at 0 before their first increase."""
    seen: float = 0.0
    """Epoch seconds when a job of the collection was last listed or ended."""
    created: float | None = None
    """Epoch seconds when the collection was created, as far as the inventory has ever said."""

    @property
    def empty(self) -> bool:
        """Return whether no ended job has been taken."""
        return not self.finished and self.facts.last_live == self.facts.last_failed == NEVER

    @property
    def consecutive_failures(self) -> int:
        """Return failures since the last success."""
        return self.facts.older + len(self.facts.recent)

    @property
    def failing(self) -> bool:
        """Return whether the latest failure is later than the latest success."""
        return self.facts.last_failed > self.facts.last_live

    def add(self, ended: Ended) -> None:
        """Take one ended job, in any order; each job once."""
        self.seen = max(self.seen, ended.end)
        self.facts.take(ended)
        self.count(ended)

    def rebuild(self, known: Iterable[Ended]) -> None:
        """Derive the facts again: Milvus has written something else about a job that was taken already."""
        self.facts = self.forgotten.copy()
        for ended in sorted(known, key=lambda ended: ended.moment):
            self.facts.take(ended)

    def forget(self, ended: Ended) -> None:
        """Keep the fact of a job, but not which job it was."""
        self.forgotten.take(ended)

    def count(self, ended: Ended, sign: int = 1) -> None:
        """Count one job; with ``sign`` -1 take it back, for one that turns out to be another collection's."""
        if not ended.counted:
            return
        self.finished = max(0, self.finished + sign)
        if ended.counted_as_failed:
            self.failed = max(0, self.failed + sign)
            if sign > 0:
                self._exemplify((ended.job.job_id, ended.end))

    def merge(self, other: Outcomes) -> None:
        """Take over what was remembered of the same collection under another key."""
        self.facts.merge(other.facts)
        self.forgotten.merge(other.forgotten)
        self.finished += other.finished
        self.failed += other.failed
        self._exemplify(other.last_failed_counted)
        self.shown = self.shown or other.shown
        self.seen = max(self.seen, other.seen)

    def _exemplify(self, other: tuple[int, float] | None) -> None:
        exemplars = [each for each in (self.last_failed_counted, other) if each is not None]
        self.last_failed_counted = max(exemplars, key=lambda each: (each[1], each[0]), default=None)


@dataclass(slots=True)
class DatabaseTotals:
    """Counters of one database: it would be too many series to keep them per collection."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    """Completed jobs by run time, not cumulated; the last one is above every bound."""
    duration_sum: float = 0.0
    failed_by_class: dict[FailureClass, int] = field(default_factory=lambda: dict.fromkeys(FailureClass, 0))
    shown: bool = False

    def add(self, ended: Ended, sign: int = 1) -> None:
        """Count one job; with ``sign`` -1 take it back, for one that turns out to be another database's.

        What is not there cannot be taken back: the counters may have begun anew since, or the run time been corrected.
        """
        if not ended.counted:
            return
        if ended.classed is not None:
            self.failed_by_class[ended.classed] = max(0, self.failed_by_class[ended.classed] + sign)
        elif ended.completed and ended.duration is not None:
            bucket = bisect_left(DURATION_BUCKETS, ended.duration)
            if self.buckets[bucket] + sign >= 0:
                self.buckets[bucket] += sign
                self.duration_sum = max(0.0, self.duration_sum + sign * ended.duration)
