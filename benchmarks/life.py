"""Goals 16 to 18, 20 and 21: memory, start, scrapes while polls run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from statistics import median
from typing import Final

from benchmarks.daemon import Daemon
from benchmarks.goals import Measured, milliseconds
from benchmarks.http import Scraper, unpacked
from benchmarks.processes import Milvus, Process, Worker
from benchmarks.world import Shape

GOALS: Final = frozenset({16, 17, 18, 20, 21})
MB: Final = 1e6
_POLLS: Final = 8
_BUSY_SECONDS: Final = 15.0
_SCRAPE_PAUSE: Final = 0.02
_SETTLE_SECONDS: Final = 0.5
_SMALL: Final = (1_000, 520)
"""Jobs and collections of the small cases: 12k series."""
_BARE_RUNS: Final = 5
"""The allocator leaves one process with 86 MB and the next with 150, for the same calls."""
_FOUR: Final = "import grpc, google.protobuf.message, apscheduler.schedulers.asyncio, prometheus_client"
_OURS: Final = "import exporter.cli, exporter.app"
_WAIT: Final = "; print('ready', flush=True); input()"


def measure(goals: Collection[int], rounds: int, *, quick: bool, say: Callable[[str], None]) -> list[Measured]:
    """Measure the goals asked for among those of this module."""
    measured: list[Measured] = []
    if 17 in goals:
        say("memory with 1k jobs")
        measured += _small_memory(rounds)
    if 18 in goals:
        say("cold starts")
        measured += _starts(rounds)
    if 20 in goals:
        say("scrapes while polls hammer")
        measured.append(_incomplete())
    large = {16, 21} & set(goals)
    if large and quick:
        measured += [Measured(goal, "100k 10:1", why="quick") for goal in sorted(large)]
    elif large:
        say("a daemon with 100k jobs")
        measured += [each for each in large_daemon() if each.goal in large]
    return measured


def imported(statement: str) -> Process:
    """Return a process that has imported something and waits."""
    process = Process(["-c", statement + _WAIT])
    process.line()
    return process


def _memory_of(statement: str, rounds: int) -> float:
    found = []
    for _ in range(rounds):
        with imported(statement) as process:
            found.append(process.memory())
    return median(found)


def _small_memory(rounds: int) -> Iterator[Measured]:
    with Milvus() as milvus:
        milvus.load(*_SMALL)
        milvus.turn(Shape(0.01))
        ours = []
        for _ in range(min(rounds, 3)):
            with Daemon(milvus.address, interval="1s") as daemon:
                _let_it_poll(daemon, milvus, _POLLS)
                ours.append(daemon.memory())
    yardstick = _memory_of(_FOUR, min(rounds, 3))
    yield Measured(17, "1k jobs, 12k series, scraped", median(ours) / MB, yardstick / MB, "MB")


def _let_it_poll(daemon: Daemon, milvus: Milvus, polls: int) -> None:
    """Wait for so many polls, each of which finds something changed and is scraped."""
    daemon.wait_good()
    while daemon.value("milvus_external_refresh_polls_total") < polls:
        milvus.turn()
        time.sleep(_SETTLE_SECONDS)
    time.sleep(_SETTLE_SECONDS)
    daemon.require(milvus.jobs)


def _starts(rounds: int) -> Iterator[Measured]:
    grpc, usual = [], []
    ours: dict[str, list[float]] = {"inventory on, as by default": [], "inventory off": []}
    with Milvus() as milvus:
        milvus.load(*_SMALL)
        milvus.turn(Shape(0.01))
        for _ in range(rounds):
            with imported("import grpc") as process:
                grpc.append(process.cpu())
            with Worker("usual", milvus.address) as worker:
                worker.do("poll")
                _complete(worker.do("serve")["address"])
                usual.append(worker.cpu())
            for case, cpu in ours.items():
                off = ["--inventory.enabled=false"] if case == "inventory off" else []
                with Daemon(milvus.address, *off) as daemon:
                    daemon.wait_ready()
                    _complete(daemon.address)
                    cpu.append(daemon.cpu())
    for case, cpu in ours.items():
        yield Measured(18, case, milliseconds(cpu), milliseconds(usual))
        yield Measured(18, case, milliseconds(cpu), milliseconds(grpc), variant="import grpc")


def _complete(address: str) -> None:
    """Scrape once. Raises RuntimeError where a collection is missing."""
    with Scraper(address) as scraper:
        text = unpacked(scraper.get(gzip=True))
    found = text.count(b"\nmilvus_external_refresh_last_job_start_timestamp_seconds{")
    if found != _SMALL[1]:
        raise RuntimeError(f"{found} collections are shown instead of {_SMALL[1]}")


def _incomplete() -> Measured:
    with Milvus() as milvus:
        milvus.load(*_SMALL)
        milvus.turn(Shape(0.1))
        with Worker("product", milvus.address) as product, Worker("usual", milvus.address) as usual:
            ours, theirs = product.do("hammer 1000"), usual.do("hammer 100")
    note = (
        f"{ours['scrapes']} scrapes during {ours['polls']} polls; "
        f"usual: {theirs['incomplete']} of {theirs['scrapes']} during {theirs['polls']}"
    )
    return Measured(20, "12k series, back to back", ours["incomplete"], 0.0, "", note=note)


def large_daemon(jobs: int = 100_000, collections: int = 10_000, interval: str = "3s") -> Iterator[Measured]:
    """Measure memory and latency of one daemon with many jobs, 10 % of which change at each poll."""
    case = f"{jobs // 1000}k {jobs // collections}:1, 10 % changed"
    with imported(_OURS) as process:
        before = process.memory()
    with Milvus() as milvus:
        milvus.load(jobs, collections)
        milvus.turn(Shape(0.1))
        floor = median([_bare_growth(milvus) for _ in range(_BARE_RUNS)])
        with Daemon(milvus.address, interval=interval) as daemon:
            _let_it_poll(daemon, milvus, _POLLS)
            ours, most = daemon.memory() - before, daemon.memory("VmHWM") - before
            yield Measured(16, case, ours / MB, floor / MB, "MB", note=f"most {most / MB:.0f} MB")
            yield _latency(daemon, milvus, case)


def _bare_growth(milvus: Milvus) -> float:
    """Return what a process holds after its calls, beyond its imports (bytes)."""
    with Worker("bare", milvus.address) as bare:
        before = bare.memory()
        for _ in range(_POLLS):
            bare.do("poll")
        return bare.memory() - before


def _latency(daemon: Daemon, milvus: Milvus, case: str) -> Measured:
    scrapes, healthy = [], []
    before, polls = _poll_sums(daemon)
    end = time.monotonic() + _BUSY_SECONDS
    turn = 0.0
    with Scraper(daemon.address) as scraper:
        while time.monotonic() < end:
            if time.monotonic() > turn:
                milvus.turn()
                turn = time.monotonic() + 1.0
            scrapes.append(scraper.timed(gzip=True))
            healthy.append(scraper.timed("/-/healthy"))
            time.sleep(_SCRAPE_PAUSE)
    after, more = _poll_sums(daemon)
    poll = (after - before) / max(1.0, more - polls)
    note = (
        f"median {milliseconds(scrapes):.1f} ms; /-/healthy median {milliseconds(healthy):.1f} ms, "
        f"slowest {max(healthy) * 1000:.0f} ms; {len(scrapes)} scrapes, {more - polls:.0f} polls"
    )
    return Measured(21, case, max(scrapes) * 1000, poll * 1000, note=note)


def _poll_sums(daemon: Daemon) -> tuple[float, float]:
    name = "milvus_external_refresh_poll_duration_seconds"
    return daemon.value(f"{name}_sum"), daemon.value(f"{name}_count")
