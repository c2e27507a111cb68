"""What the outcome metrics must say, worked out from listings by a model that shares no code with the exporter.

:class:`Milvus` plays jobs on its own clock, and :class:`Model` computes the metrics. ``outcomes_play.py`` runs scripts
through both and through the exporter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from builders import HOUR, NOON

from exporter.milvus.pb import milvus_refresh_pb2 as pb

SETTLED_AFTER, CLASSED_AFTER = 20.0, 60.0
"""Seconds until a half-written failure is counted, and until it enters the counters by class as ``unknown``."""
LONGEST_GAP = 18 * HOUR
"""For which a job may be missing and then be listed again: less than ``server.job_retention``, with steps of clocks."""
CLASSES = {
    "": "unknown",
    "something that nobody has a name for": "unknown",
    "no files found in external source: s3://lake/data": "source_empty",
    "timeout": "timeout",
    "timeout waiting for indexes: the refreshed data is applied and serving": "index_wait_timeout",
    "task result not found": "worker_error",
    "job canceled": "cancelled",
    "superseded by new job": "superseded",
}
EMPTY, INDEXES, WORKER, CANCELED = (list(CLASSES)[n] for n in (2, 4, 5, 6))
_ENDED = (pb.RefreshCompleted, pb.RefreshFailed)
_LIVE = "index_wait_timeout"
_NO_FAILURE = ("superseded", "cancelled", _LIVE)


# What Milvus does


@dataclass
class Listed:
    """One job as Milvus has it; stamps in seconds of Milvus's own clock."""

    job_id: int
    collection: str
    state: int
    start: float
    end: float = 0.0
    reason: str = ""
    hidden_until: float = 0.0
    listed: float = 0.0
    """When it was last in a listing."""

    @property
    def half_written(self) -> bool:
        return self.state == pb.RefreshFailed and not self.end

    @property
    def active(self) -> bool:
        return not self.end

    def record(self) -> bytes:
        return pb.RefreshExternalCollectionJobInfo(
            job_id=self.job_id,
            collection_name=self.collection,
            state=self.state,
            progress=100 if self.state == pb.RefreshCompleted else 0,
            reason=self.reason,
            external_source=f"s3://lake/{self.collection}",
            start_time=round(self.start * 1000),
            end_time=round(self.end * 1000),
        ).SerializeToString()


@dataclass
class Milvus:
    """Jobs, at most one at a time of each collection, on a clock that is ``ahead`` of the true one."""

    ahead: float = 0.0
    retention: float = 24 * HOUR
    now: float = NOON
    jobs: dict[int, Listed] = field(default_factory=dict)
    next_id: int = 461_000_000_000_000_000

    @property
    def clock(self) -> float:
        return round(self.now + self.ahead, 3)

    def newest(self, collection: str) -> Listed | None:
        found = [job for job in self.jobs.values() if job.collection == collection]
        return found[-1] if found else None

    def active(self, collection: str) -> Listed | None:
        newest = self.newest(collection)
        return newest if newest and newest.active else None

    def start(self, collection: str) -> None:
        if self.active(collection) is None:
            self.next_id += 1
            self.jobs[self.next_id] = Listed(self.next_id, collection, pb.RefreshInProgress, self.clock)

    def complete(self, collection: str) -> None:
        """Also a job that looked failed: its state was a summary of its tasks, not what Milvus has stored."""
        if job := self.active(collection):
            job.state, job.end, job.reason = pb.RefreshCompleted, self.clock, ""

    def fail(self, collection: str, reason: str) -> None:
        if job := self.active(collection):
            job.state, job.end, job.reason = pb.RefreshFailed, self.clock, reason

    def half_fail(self, collection: str, reason: str = "") -> None:
        """With a reason it is written but for its end."""
        if job := self.active(collection):
            job.state, job.reason, job.hidden_until = pb.RefreshFailed, reason or job.reason, 0.0

    def reword(self, collection: str, reason: str) -> None:
        """Write another reason for a failure that is written already."""
        job = self.newest(collection)
        if job and job.state == pb.RefreshFailed and job.end:
            job.reason = reason

    def rerun(self, collection: str) -> None:
        """Run a job again that looked failed, as after a failover."""
        if (job := self.active(collection)) and job.half_written:
            job.state, job.reason = pb.RefreshInProgress, ""

    def hide(self, collection: str, seconds: float) -> None:
        """Leave the ended jobs of a collection out of listings for a while."""
        for job in self.jobs.values():
            if job.collection == collection and job.end:
                job.hidden_until = self.now + seconds

    def listing(self) -> list[Listed]:
        for job in list(self.jobs.values()):
            expired = job.end and self.clock - job.end > self.retention
            if expired or (job.listed and self.now - job.listed > LONGEST_GAP):
                del self.jobs[job.job_id]
        shown = [job for job in self.jobs.values() if job.hidden_until <= self.now]
        for job in shown:
            job.listed = self.now
        return sorted(map(replace, shown), key=lambda job: -job.start)


# What the exporter must say


class Reading(NamedTuple):
    """How a sentence of the promises is read where it can be read in several ways."""

    cap: str
    """First sight of what caps the stamp of an end: "ended", the job as one that has ended; "final", the same when it
    was no longer half-written or had waited for long enough; "end", that stamp."""
    half_is_baseline: bool
    """Whether a job that the first listing shows half-written had ended before."""
    settles_unlisted: bool
    """Whether a half-written job is counted in time while a listing lacks it."""


CAPS = ("ended", "final", "end")


def rounded(seconds: float) -> float:
    return round(seconds, 2)


class Outcomes(NamedTuple):
    """What is told of one collection."""

    finished: int
    failed: int
    consecutive: int
    last_success: float | None
    last_success_duration: float | None
    last_failure: float | None
    failure: tuple[str, str, str] | None
    """Job id, class and reason of ``last_failure_info``."""


@dataclass
class Known:
    """What is remembered of one job id."""

    job: Listed
    baseline: bool
    end_first_seen: float | None = None
    ended_first_seen: float | None = None
    half_since: float | None = None
    settled: float | None = None
    """When it was taken as final."""
    failed: bool = False
    """Counted as a failure."""
    classed: str = ""
    """The class it was counted under."""

    def end(self, reading: Reading) -> float:
        assert self.ended_first_seen is not None
        if not self.job.end:
            return self.ended_first_seen
        assert self.end_first_seen is not None
        assert self.settled is not None
        first_sight = (self.ended_first_seen, self.settled, self.end_first_seen)[CAPS.index(reading.cap)]
        return min(self.job.end, first_sight)


class Model:
    """Everything that follows from the listings so far, under one reading."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.jobs: dict[int, Known] = {}
        self.polled = False

    def poll(self, now: float, listing: Iterable[Listed]) -> None:
        listed = {job.job_id: job for job in listing}
        for number, job in listed.items():
            if number not in self.jobs:
                self.jobs[number] = Known(job, baseline=not self.polled and self._ended_before(job))
            self._look(now, self.jobs[number], job)
        for known in self.jobs.values():
            if known.job.job_id in listed or self.reading.settles_unlisted:
                self._settle(now, known)
        self.polled = True

    def _ended_before(self, job: Listed) -> bool:
        if job.half_written and not job.reason:
            return self.reading.half_is_baseline
        return job.state in _ENDED

    @staticmethod
    def _look(now: float, known: Known, job: Listed) -> None:
        if job.end and (known.end_first_seen is None or job.end != known.job.end):
            known.end_first_seen = now
        if job.state not in _ENDED and known.settled is None:
            known.ended_first_seen = None
        elif known.ended_first_seen is None:
            known.ended_first_seen = now
        half = job.half_written and not job.reason
        known.half_since = (known.half_since or now) if half else None
        known.job = job

    def _settle(self, now: float, known: Known) -> None:
        if known.ended_first_seen is None:
            return
        final = known.half_since is None or now - known.half_since >= SETTLED_AFTER
        if known.settled is None and final:
            known.settled = now
        if known.settled is None or known.baseline:
            return
        known.failed = known.failed or known.job.state == pb.RefreshFailed
        known_class = CLASSES[known.job.reason] if known.job.reason or known.job.end else ""
        late = now - known.ended_first_seen >= CLASSED_AFTER
        if known.job.state == pb.RefreshFailed and not known.classed:
            known.classed = known_class or ("unknown" if late else "")

    @property
    def waiting(self) -> bool:
        """Whether a half-written job has yet to settle, or to get a class."""
        return any(known.half_since is not None and not known.classed for known in self.jobs.values())

    def collections(self) -> set[str]:
        return {known.job.collection for known in self.jobs.values()}

    def unlisted_too(self) -> set[str]:
        """Return the collections with something to say, which are shown also while none of their jobs is listed."""
        return {name for name in self.collections() if any(self.outcomes(name))}

    def outcomes(self, collection: str) -> Outcomes:
        settled = [k for k in self.jobs.values() if k.settled is not None and k.job.collection == collection]
        settled.sort(key=lambda known: (known.end(self.reading), known.job.job_id))
        counted = [known for known in settled if not known.baseline]
        success = failure = completed = shown = None
        consecutive = 0
        for known in settled:
            class_ = CLASSES[known.job.reason] if known.job.state == pb.RefreshFailed else ""
            if not class_:
                success = completed = known
                consecutive, shown = 0, None
            elif class_ == _LIVE:
                success = shown = known
                consecutive = 0
            elif class_ not in _NO_FAILURE:
                failure = shown = known
                consecutive += 1
        return Outcomes(
            finished=len(counted),
            failed=sum(known.failed for known in counted),
            consecutive=consecutive,
            last_success=success and rounded(success.end(self.reading)),
            last_success_duration=completed and rounded(completed.job.end - completed.job.start),
            last_failure=failure and rounded(failure.end(self.reading)),
            failure=shown and (str(shown.job.job_id), CLASSES[shown.job.reason], shown.job.reason),
        )

    def classes(self) -> Counter[str]:
        return Counter(known.classed for known in self.jobs.values() if known.classed)

    def logged(self) -> set[int]:
        """Return the jobs of which the log has one line: those that were counted by a class."""
        return {number for number, known in self.jobs.items() if known.classed}

    def never_classed(self) -> set[int]:
        """Return the failures that turned out to be none before they had a class: whether they get one is left open."""
        found = self.jobs.items()
        return {n for n, k in found if k.failed and not k.classed and k.job.state != pb.RefreshFailed}
