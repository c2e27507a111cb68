"""Scripts of jobs, clocks and restarts, played to the exporter and to the model of what it must say."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from builders import HOUR, Clock, settings
from outcomes_model import CAPS, Milvus, Model, Outcomes, Reading, rounded

from exporter import errors, target
from exporter.milvus.pb import milvus_refresh_pb2 as pb

# What the exporter says

_LOG = logging.getLogger("exporter")
_PREFIX = "milvus_external_refresh_"
_SAMPLE = re.compile(rf"^{_PREFIX}(\w+)\{{(.*)\}} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Page:
    """One exposition, as the text that a scrape gets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [(m[1], dict(_LABEL.findall(m[2])), rounded(float(m[3]))) for m in _SAMPLE.finditer(text)]

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
        return {
            ls["collection"]: (ids[ls["collection"]], ls["state"])
            for n, ls, v in self.samples
            if n == "last_job_state" and v
        }

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
        with mock.patch.object(target, "MilvusClient", return_value=self):
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

    def restart(self, seconds: float = 1.3, afresh: bool = False, killed: bool = False) -> None:  # a line of a script
        self.watched.restart(afresh=afresh, killed=killed)
        self.wait(seconds)
        if afresh:
            self.begin_models()
            self.page, self.fresh = None, True
            self.lagging = {}
        elif self.page is not None:
            self.lagging = self.page.outcomes()

    def rerun(self, collection: str) -> None:
        """Run a job again, unless it was taken for failed already: what is told of it until it ends is left open."""
        job = self.milvus.active(collection)
        known = [model.jobs.get(job.job_id) for model in self.models] if job else []
        if not any(each and each.settled is not None for each in known):
            self.milvus.rerun(collection)

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
        jobs = sorted(
            map(pb.RefreshExternalCollectionJobInfo.FromString, self.watched.listing), key=lambda job: job.job_id
        )
        newest.update({job.collection_name: (str(job.job_id), _state(job)) for job in jobs})
        listed = Counter((job.collection_name, _state(job)) for job in jobs)
        found = [] if page.newest() == newest else [f"newest jobs are {page.newest()}, not {newest}"]
        return found if page.listed() == listed else [*found, f"jobs are {page.listed()}, not {listed}"]


def _state(job: pb.RefreshExternalCollectionJobInfo) -> str:
    return pb.RefreshExternalCollectionState.Name(job.state)


_MEMORY = Path("/dev/shm")  # a folder of random name is made in it; a disk makes hundreds of scripts slow
_MILVUS = ("start", "complete", "fail", "half_fail", "reword", "hide")


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
