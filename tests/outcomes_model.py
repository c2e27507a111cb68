"""What the outcome metrics must say, worked out from Milvus's listings by a model that shares no code with the exporter.

Three parts: :class:`Milvus` plays jobs on its own clock, :class:`Model` computes the metrics, and :class:`Watched` runs
the exporter on the listings and reads its exposition. :func:`play` runs one script through all three.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from builders import HOUR, NOON, Clock, settings

from exporter import errors, target
from exporter.milvus.pb import milvus_refresh_pb2 as pb

SETTLED_AFTER, CLASSED_AFTER = 20.0, 60.0
"""Seconds until a half-written failure is counted, and until it enters the counters by class as ``unknown``."""
LONGEST_GAP = 18 * HOUR
"""For which a job may be missing and then be listed again: less than ``server.job_retention``, steps of clocks included."""
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


def _rounded(seconds: float) -> float:
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
        """Return the collections that have to be shown also while none of their jobs is listed: there is something to say."""
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
            last_success=success and _rounded(success.end(self.reading)),
            last_success_duration=completed and _rounded(completed.job.end - completed.job.start),
            last_failure=failure and _rounded(failure.end(self.reading)),
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


# What the exporter says

_LOG = logging.getLogger("exporter")
_PREFIX = "milvus_external_refresh_"
_SAMPLE = re.compile(rf"^{_PREFIX}(\w+)\{{(.*)\}} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Page:
    """One exposition, as the text that a scrape gets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [(m[1], dict(_LABEL.findall(m[2])), _rounded(float(m[3]))) for m in _SAMPLE.finditer(text)]

    def by_collection(self, name: str) -> dict[str, float]:
        return {labels["collection"]: value for n, labels, value in self.samples if n == name}

    def outcomes(self) -> dict[str, Outcomes]:
        finished, failed, consecutive, success, duration, failure = (
            self.by_collection(name)
            for name in (
                *("jobs_finished_total", "jobs_failed_total", "consecutive_failures"),
                *("last_success_timestamp_seconds", "last_success_duration_seconds", "last_failure_timestamp_seconds"),
            )
        )
        info = {ls["collection"]: ls for n, ls, _ in self.samples if n == "last_failure_info"}
        shown = {c: (ls["job_id"], ls["failure_class"], ls["reason"]) for c, ls in info.items()}
        return {
            c: Outcomes(
                int(finished[c]),
                int(failed[c]),
                int(consecutive[c]),
                success.get(c),
                duration.get(c),
                failure.get(c),
                shown.get(c),
            )
            for c in finished
        }

    def classes(self) -> Counter[str]:
        found = {ls["failure_class"]: v for n, ls, v in self.samples if n == "jobs_failed_by_class_total"}
        return Counter({class_: int(value) for class_, value in found.items() if value})

    def newest(self) -> dict[str, tuple[str, str]]:
        """Return id and state of each collection's newest job."""
        ids = {ls["collection"]: ls["job_id"] for n, ls, _ in self.samples if n == "last_job_info"}
        return {ls["collection"]: (ids[ls["collection"]], ls["state"]) for n, ls, v in self.samples if n == "last_job_state" and v}

    def listed(self) -> Counter[tuple[str, str]]:
        """Return how many jobs of each collection are listed in each state."""
        return Counter({(ls["collection"], ls["state"]): int(v) for n, ls, v in self.samples if n == "jobs" and v})

    def measured(self) -> float:
        """Return how many run times the histogram has."""
        return sum(value for name, _, value in self.samples if name == "job_duration_seconds_count")

    def ahead_of(self, now: float) -> list[tuple[str, dict[str, str], float]]:
        """Return the stamps that lie in the future: ages computed from them are below 0."""
        return [s for s in self.samples if s[0].endswith("_timestamp_seconds") and s[2] > now + 0.01]


class Failures(logging.Handler):
    """The jobs that the log calls failed, a line each."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.logged: Counter[int] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "refresh failed":
            self.logged[vars(record)["job_id"]] += 1


class Watched:
    """The exporter as the daemon builds it, on a client that reads from here and a clock turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.listing: list[bytes] = []
        self.away = False
        self.failures = Failures()
        self._before = _LOG.level, _LOG.propagate
        _LOG.setLevel(logging.INFO)
        _LOG.propagate = False
        _LOG.addHandler(self.failures)
        self._folder, self._file = folder, 0
        self._loop = asyncio.Runner()
        self._build()

    def _build(self) -> None:
        configured = settings(
            inventory={"enabled": False},
            state={"path": str(self._folder / f"{self._file}.db"), "forget_after": "1y"},
        )
        with mock.patch.object(target, "MilvusClient", lambda _: self):
            self._target = target.build(configured, self.clock)

    def poll(self) -> Page:
        self._loop.run(self._target.corridor.poll())
        return Page(b"".join(self._target.exposition.body().chunks).decode())

    def restart(self, *, afresh: bool, killed: bool) -> None:
        """``killed``: nothing is written any more, and the system takes back the lock."""
        if killed and self._target.state is not None:
            self._target.state.close()
        else:
            self._loop.run(self._target.close())
        self._file += afresh
        self._build()

    def end(self) -> None:
        _LOG.removeHandler(self.failures)
        level, _LOG.propagate = self._before
        _LOG.setLevel(level)
        self._loop.run(self._target.close())
        self._loop.close()

    # The client

    async def list_all_jobs(self, *, timeout: float) -> Sequence[bytes]:
        if self.away:
            raise errors.Unreachable
        return list(self.listing)

    async def connect(self, *, timeout: float) -> str:
        return "v3.0.1"

    server_version = connect

    async def close(self) -> None:
        pass


# Scripts


class Step(NamedTuple):
    """One line of a script: a method of :class:`Player` and its arguments."""

    does: str
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"{self.does}({', '.join(map(repr, self.arguments))})"


def step(does: str, *arguments: Any) -> Step:
    return Step(does, arguments)


class Player:
    """Plays a script and compares after each poll."""

    def __init__(self, folder: Path, milvus: Milvus) -> None:
        self.milvus, self.watched = milvus, Watched(folder)
        self.begin_models()
        self.page: Page | None = None
        self.played: list[Step] = []
        self.lagging: dict[str, Outcomes] = {}
        """What was shown before of collections that are new: their counters stand at 0 for one snapshot."""
        self.stepped = 0.0
        self.stepped_back = self.shifted = self.fresh = False

    @property
    def unordered(self) -> bool:
        """Whether stamps no longer tell which of two outcomes was the later one; how many there were stays certain."""
        return self.stepped_back or (self.shifted and self.fresh)

    def begin_models(self) -> None:
        either = (False, True)
        self.models = [Model(Reading(*which)) for which in itertools.product(CAPS, either, either)]
        self.watched.failures.logged.clear()

    def play(self, *script: Step) -> None:
        for line in script:
            self.played.append(line)
            doer = self.milvus if line.does in _MILVUS else self
            getattr(doer, line.does)(*line.arguments)

    # Time and polls

    def wait(self, seconds: float) -> None:
        self.watched.clock.turn(seconds)
        self.milvus.now += seconds

    def poll(self, seconds: float = 5.3, times: int = 1) -> None:
        for _ in range(times):
            self.wait(seconds)
            listing = self.milvus.listing()
            self.watched.listing = [job.record() for job in listing]
            now = self.watched.clock.wall()
            for model in self.models:
                model.poll(now, listing)
            self.compare(now, self.watched.poll())

    def look(self, seconds: float = 5.3) -> Page:
        """Poll and compare nothing."""
        self.wait(seconds)
        self.watched.listing = [job.record() for job in self.milvus.listing()]
        return self.watched.poll()

    def lists_nothing(self) -> None:
        """One good poll to which Milvus lists no job at all."""
        self.wait(5.3)
        self.watched.listing = []
        for model in self.models:
            model.poll(self.watched.clock.wall(), [])
        self.compare(self.watched.clock.wall(), self.watched.poll())

    def fails(self, seconds: float = 5.3) -> None:
        """One poll that fails: everything stays as it was."""
        self.wait(seconds)
        self.watched.away = True
        page = self.watched.poll()
        self.watched.away = False
        if self.page is not None and not self.lagging:  # a restarted one has counters from its first good poll on
            assert page.outcomes() == self.page.outcomes(), "a poll that failed has changed outcomes"
            assert page.classes() == self.page.classes(), "a poll that failed has changed the counters by class"

    def step_clock(self, seconds: float) -> None:
        """Our wall clock alone. Not while a half-written job waits: by which hand it waits is another test's matter."""
        if abs(self.stepped + seconds) <= 2 * HOUR and not any(m.waiting for m in self.models):
            self.stepped += seconds
            self.watched.clock.step_wall(seconds)
            self.stepped_back = self.stepped_back or seconds < 0

    def shift_milvus(self, ahead: float) -> None:
        """Milvus moves to a host whose clock is less far ahead, after all that has ended there was seen."""
        self.poll()
        if 0 <= ahead < self.milvus.ahead and not any(job.active for job in self.milvus.jobs.values()):
            self.milvus.ahead, self.shifted = ahead, True

    def restart(self, seconds: float = 1.3, afresh: bool = False, killed: bool = False) -> None:  # noqa: FBT001, FBT002  # a line of a script
        self.watched.restart(afresh=afresh, killed=killed)
        self.wait(seconds)
        if afresh:
            self.begin_models()
            self.page, self.fresh = None, True
            self.lagging = {}
        elif self.page is not None:
            self.lagging = self.page.outcomes()

    # Comparing

    def compare(self, now: float, page: Page) -> None:
        shown = page.outcomes()
        faults = [self.faults(model, now, page, shown) for model in self.models]
        self.models = [model for model, found in zip(self.models, faults, strict=True) if not found]
        assert self.models, "\n".join(min(faults, key=len))
        if self.page is not None:
            before = self.page.outcomes()
            for name in before.keys() & shown.keys():
                assert shown[name][:2] >= before[name][:2], f"counters of {name} went back"
                assert shown[name].failed >= before[name].failed, f"failures of {name} went back"
            assert page.classes() >= self.page.classes(), "a counter by class went back"
            if not self.lagging:
                assert page.measured() >= self.page.measured(), "a run time is no longer counted"
        twice = [number for number, times in self.watched.failures.logged.items() if times > 1]
        assert not twice, f"jobs {twice} were logged twice"
        self.page, self.lagging = page, {}

    def faults(self, model: Model, now: float, page: Page, shown: dict[str, Outcomes]) -> list[str]:
        may, must = model.collections(), model.unlisted_too()
        if not must <= shown.keys() <= may:
            return [f"collections are {sorted(shown)}, not {sorted(may)}, or {sorted(must)} at least"]
        new = shown.keys() - (self.page.outcomes().keys() if self.page else ()) | self.lagging.keys()
        found: list[str] = []
        for name, seen in shown.items():
            right = model.outcomes(name)
            least = self.lagging[name][:2] if name in self.lagging else (0, 0)
            if name in new and least <= seen[:2] <= right[:2]:
                right = right._replace(finished=seen.finished, failed=seen.failed)
            if self.unordered:
                seen, right = seen[:2], right[:2]  # type: ignore[assignment]  # noqa: PLW2901
            if seen != right:
                found.append(f"{name} is {seen}, not {right}")
        found += self.class_faults(model, page, lagging=bool(new))
        found += self.log_faults(model)
        if not self.stepped_back:
            ahead = [sample for sample in page.ahead_of(now) if not self.half_written_start(*sample[:2])]
            found += [f"{name}{labels} is {value - now} s ahead" for name, labels, value in ahead]
        if not self.unordered:
            found += self.newest_faults(page)
        return found

    def half_written_start(self, name: str, labels: dict[str, str]) -> bool:
        """Whether a sample is the start of a half-written job: its own test says that it is too late."""
        newest = self.milvus.newest(labels["collection"]) if name == "last_job_start_timestamp_seconds" else None
        return newest is not None and newest.half_written

    def log_faults(self, model: Model) -> list[str]:
        seen, right = self.watched.failures.logged.keys(), model.logged()
        return [] if right <= seen <= right | model.never_classed() else [f"logged are {set(seen)}, not {right}"]

    @staticmethod
    def class_faults(model: Model, page: Page, *, lagging: bool) -> list[str]:
        seen, right = page.classes(), model.classes()
        most = right + Counter(unknown=len(model.never_classed()))
        if seen <= most and (lagging or seen >= right):
            return []
        return [f"classes are {dict(seen)}, not {dict(right)}"]

    def newest_faults(self, page: Page) -> list[str]:
        newest: dict[str, tuple[str, str]] = {}
        jobs = sorted(map(pb.RefreshExternalCollectionJobInfo.FromString, self.watched.listing), key=lambda job: job.job_id)
        newest.update({job.collection_name: (str(job.job_id), _state(job)) for job in jobs})
        listed = Counter((job.collection_name, _state(job)) for job in jobs)
        found = [] if page.newest() == newest else [f"newest jobs are {page.newest()}, not {newest}"]
        return found if page.listed() == listed else [*found, f"jobs are {page.listed()}, not {listed}"]


def _state(job: pb.RefreshExternalCollectionJobInfo) -> str:
    return pb.RefreshExternalCollectionState.Name(job.state)


_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of random name is made in it; a disk makes hundreds of scripts slow
_MILVUS = ("start", "complete", "fail", "half_fail", "reword", "rerun", "hide")


@contextmanager
def playing(*, ahead: float = 0.0, retention: float = 24 * HOUR) -> Iterator[Player]:
    """Lend a player with nothing played yet. A failure says what was."""
    with tempfile.TemporaryDirectory(prefix="outcomes-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        player = Player(Path(folder), Milvus(ahead, retention))
        try:
            yield player
        except AssertionError as error:
            error.add_note(f"played, {ahead=}, {retention=}: {player.played}")
            raise
        finally:
            player.watched.end()


def play(script: Iterable[Step], *, ahead: float = 0.0, retention: float = 24 * HOUR) -> Page:
    """Play a script and let everything settle. Returns what is shown in the end."""
    with playing(ahead=ahead, retention=retention) as player:
        player.play(*script)
        player.poll(21.1, 4)
    assert player.page
    return player.page
