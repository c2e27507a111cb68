"""Poll for a week of Milvus's time with churn and outages, in one process, and see what grows and what is miscounted.

    python tests/trials/soak.py [POLLS] [SEED]

The real client, corridor and state file poll a simulated Milvus over gRPC on loopback; it runs in a process of its own,
so that memory here is the exporter's alone. Time is turned by hand, half a minute a poll. Jobs come, end and fall out
of retention; collections are created, dropped, created again and renamed; Milvus goes away in eight ways for some polls
each. In the end everything that ended must have been counted once, memory, tasks, threads and sockets must not have
grown, nor the state file beyond what it keeps. Prints the figures, exits with 1 where a promise is broken.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from builders import NOON, Clock  # noqa: E402
from peers.exporter import Samples  # noqa: E402
from peers.watched import sockets  # noqa: E402

from exporter.config import Settings  # noqa: E402
from exporter.target import Target, build  # noqa: E402

MILVUS = ROOT / "tests" / "peers" / "churning_milvus.py"
STEP = 30.0
SAMPLE, INVENTORY, SCRAPE = 25, 10, 5
"""Every so many polls."""
CALM = 40
"""Polls in the end without churn: every job ends by its time-out meanwhile."""
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
KIB, MIB = 1024, 1024 * 1024
A_DAY = 2880
"""Polls at half a minute."""
WARM = 1.5 * A_DAY
"""Polls after which the file keeps as much as it ever will, and what is growing is a leak."""
MOST_A_DAY = 0.5 * MIB
"""Growth of memory a day that is still called flat, beyond three times the noise: holes in it come and go."""
MOST_BLOCKS_A_DAY = A_DAY / 2
"""The same for Python's objects, of which nothing but a leak makes more: not even one in two polls."""


@dataclass(frozen=True)
class Slope:
    """A straight line through samples, by least squares: what a poll adds, and the standard error of that."""

    each: float
    noise: float

    @classmethod
    def through(cls, xs: list[float], ys: list[float]) -> Slope:
        if len(xs) < 3:
            return cls(0.0, math.inf)
        line = statistics.linear_regression(xs, ys)
        rest = [y - line.slope * x - line.intercept for x, y in zip(xs, ys, strict=True)]
        spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
        return cls(line.slope, math.sqrt(sum(r * r for r in rest) / (len(xs) - 2) / spread))


@dataclass(frozen=True)
class Sample:
    """What a leak would make grow, after one poll. Memory, both parts of the C library's heap and file in bytes."""

    poll: int
    memory: int
    blocks: int
    """Small Python objects and parts of them. They are in no part of the C library's heap."""
    in_use: int
    """Everything else that is held: by Python's large objects, gRPC, SQLite. A leak is here or in ``blocks``."""
    free: int
    """Holes between what is in use. Where these alone grow, memory is fragmented and nothing leaks."""
    file: int
    tasks: int
    threads: int
    sockets: int


@dataclass
class Figures:
    """What a soak has shown."""

    polls: int = 0
    failed_polls: int = 0
    partial_polls: int = 0
    errors: dict[str, float] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    """Polls in each."""
    scrapes: int = 0
    ended: int = 0
    counted: int = 0
    failed: int = 0
    failed_counted: int = 0
    collections_created: int = 0
    collections_miscounted: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By name: what the counter says, and what has ended."""
    listed: float = 0
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)

    @property
    def settled(self) -> list[Sample]:
        """Return the samples after the warm-up, which is half of them: pools and bounded caches fill up slowly."""
        return self.samples[len(self.samples) // 2 :]

    def slope(self, what: str, samples: list[Sample] | None = None) -> Slope:
        """Return the slope through the settled samples, or through others."""
        samples = samples or self.settled
        return Slope.through([s.poll for s in samples], [getattr(s, what) for s in samples])

    def quarters(self) -> list[list[Sample]]:
        """Return the samples in four parts."""
        size = max(1, len(self.samples) // 4)
        return [self.samples[start : start + size] for start in range(0, 4 * size, size)]

    def faults(self) -> list[str]:
        """Return the promises that are broken. Memory and file are judged where the soak was long enough."""
        broken = []
        if (self.counted, self.failed_counted) != (self.ended, self.failed):
            broken.append(f"{self.counted} counted of {self.ended}, {self.failed_counted} failed of {self.failed}")
        if self.collections_miscounted:
            broken.append(f"collections miscounted: {self.collections_miscounted}")
        constant = {"tasks": 0, "threads": 1, "sockets": 1}
        if self.settled[0].poll > WARM:
            constant["file"] = 256 * KIB
            memory = self.slope("memory")
            if (memory.each - 3 * memory.noise) * A_DAY > MOST_A_DAY:
                broken.append(f"memory grows by {memory.each * A_DAY / KIB:.0f} KiB a day")
            blocks = self.slope("blocks")
            if (blocks.each - 3 * blocks.noise) * A_DAY > MOST_BLOCKS_A_DAY:
                broken.append(f"Python's objects grow by {blocks.each * A_DAY:.0f} a day")
        half = len(self.settled) // 2
        for what, slack in constant.items():
            early, late = (max(getattr(s, what) for s in part) for part in (self.settled[:half], self.settled[half:]))
            if late > early + slack:
                broken.append(f"{what} have grown from {early} to {late}")
        return broken


class Milvus:
    """The handle of the simulated Milvus's process. Use as a context manager."""

    def __init__(self, seed: int, now: float) -> None:
        line = [sys.executable, str(MILVUS), str(seed), str(now)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._answer()["address"]

    def __enter__(self) -> Milvus:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def tell(self, line: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Soak:
    """One target, polled again and again."""

    def __init__(self, milvus: Milvus, state: Path) -> None:
        self.milvus, self.state = milvus, state
        self.clock = Clock(NOON)
        self.figures = Figures()
        # In a file: in this process they would be memory that grows by 30 KiB a day.
        self.samples = state.with_name("samples")
        self.target: Target

    async def run(self, polls: int) -> Figures:
        began = time.monotonic()
        self.target = build(_settings(self.milvus.address, self.state), self.clock)
        try:
            await self._poll()  # the baseline: nothing has ended
            for number in range(1, polls + 1):
                await self._step(number, self.milvus.tell(str(self._turn())))
            told = self.milvus.tell("calm")
            for number in range(polls + 1, polls + CALM + 1):
                told = self.milvus.tell(str(self._turn()))
                await self._step(number, told)
            await self._inventory()
            await self._poll()
            await self._poll()
            self._compare(told)
        finally:
            await self.target.close()
        self.figures.samples = [Sample(**json.loads(line)) for line in self.samples.read_text().splitlines()]
        self.figures.seconds = round(time.monotonic() - began, 1)
        return self.figures

    def _turn(self) -> float:
        self.clock.turn(STEP)
        return self.clock.wall()

    async def _step(self, number: int, told: dict[str, Any]) -> None:
        if trouble := told["trouble"]:
            self.figures.troubles[trouble] = self.figures.troubles.get(trouble, 0) + 1
        # A name is put down to the one collection that is known to bear it; nobody here bears it unknown to us.
        if number % INVENTORY == 0 or told["changed"]:
            await self._inventory()
        await self._poll()
        if number % SCRAPE == 0:
            accept, encoding = ("", "") if number % (2 * SCRAPE) else (OPENMETRICS, "gzip")
            await asyncio.to_thread(self.target.exposition.body, accept, encoding)
            self.figures.scrapes += 1
        if number % SAMPLE == 0 and not told["trouble"]:
            await self._sample(number)

    async def _inventory(self) -> None:
        if self.target.reader is not None:
            await self.target.reader.read()
            self.target.store.touch()

    async def _poll(self) -> None:
        await self.target.corridor.poll()
        account = self.target.store.current.account
        self.figures.polls += 1
        self.figures.failed_polls += not account.up
        self.figures.partial_polls += account.partial

    async def _sample(self, number: int) -> None:
        for _ in range(50):  # what has ended goes with the next turns of the loop
            await asyncio.sleep(0)
        gc.collect()
        taken = Sample(number, *_memory(), self._file(), len(asyncio.all_tasks()), _threads(), sockets())
        with self.samples.open("a") as file:
            file.write(json.dumps(asdict(taken)) + "\n")

    def _file(self) -> int:
        return self.state.stat().st_size

    def _compare(self, told: dict[str, Any]) -> None:
        shown = Samples.of(b"".join(self.target.exposition.body().chunks).decode())
        figures = self.figures
        figures.ended, figures.failed, figures.collections_created = told["ended"], told["failed"], told["created"]
        figures.failed_counted = int(shown.total("jobs_failed_by_class_total"))
        figures.counted = figures.failed_counted + int(shown.total("job_duration_seconds_count"))
        figures.errors, figures.listed = shown.errors(), shown.value("snapshot_jobs") or 0
        for database, name, ended in told["collections"]:
            counted = shown.value("jobs_finished_total", database=database, collection=name)
            if counted != ended:
                figures.collections_miscounted[f"{database}.{name}"] = (counted or 0.0, ended)


def _memory() -> tuple[int, int, int, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    found = _mallinfo()() if _mallinfo() else _MallocInfo()
    return (
        pages * os.sysconf("SC_PAGE_SIZE"),
        sys.getallocatedblocks(),
        found.uordblks + found.hblkhd,
        found.fordblks,
    )


_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _MallocInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``: heap, of it in use and free; what is mapped on its own stands in ``hblkhd``."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


@cache
def _mallinfo() -> Any:
    """Return glibc's ``mallinfo2``; None elsewhere, where nothing is known of the C library's heap."""
    found = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if found is not None:
        found.restype = _MallocInfo
    return found


def _threads() -> int:
    """Return how many threads there are, gRPC's included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _settings(address: str, state: Path) -> Settings:
    sections = {
        "milvus": {"uri": f"http://{address}"},
        # The hand-turned clock goes by half minutes; the times of gRPC are real ones.
        "poll": {"interval": "1s", "timeout": "250ms", "stale_after": "90s"},
        "server": {"job_timeout": "5m", "job_retention": "2h"},
        "state": {"path": str(state), "history": "12h", "forget_after": "12h"},
    }
    return Settings.model_validate(sections)


def soak(polls: int, seed: int) -> Figures:
    """Run one soak in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, Milvus(seed, NOON) as milvus:
        return asyncio.run(Soak(milvus, Path(folder) / "state.db").run(polls))


def _print(figures: Figures) -> None:
    for key, value in asdict(figures).items():
        if key != "samples":
            print(f"{key:24} {value}")
    first, last = figures.settled[0], figures.settled[-1]
    for what, unit in (("memory", KIB), ("blocks", 1), ("in_use", KIB), ("free", KIB), ("file", KIB)):
        slope = figures.slope(what)
        at = [f"{getattr(sample, what) / unit:.0f}" for sample in (figures.samples[0], first, last)]
        name = "KiB" if unit == KIB else ""
        print(
            f"{what:24} {at[0]} {name} at first, {at[1]} after the warm-up, {at[2]} in the end; by least squares"
            f" a day adds {slope.each * A_DAY / unit:.1f} ± {slope.noise * A_DAY / unit:.1f} {name}"
        )
    slopes = [figures.slope("memory", part) for part in figures.quarters()]
    parts = ", ".join(f"{slope.each * A_DAY / KIB:.0f} ± {slope.noise * A_DAY / KIB:.0f}" for slope in slopes)
    print(f"{'memory by quarters':24} a day adds {parts} KiB")
    for what in ("tasks", "threads", "sockets"):
        values = [getattr(sample, what) for sample in figures.settled]
        print(f"{what:24} {min(values)} to {max(values)}")


if __name__ == "__main__":
    found = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    _print(found)
    for fault in found.faults():
        print(f"BROKEN: {fault}")
    sys.exit(bool(found.faults()))
