"""How cost grows with jobs, with what changes, with collections and with scrapers: ``python -m benchmarks --scale``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from benchmarks.daemon import Daemon
from benchmarks.http import Scraper, unpacked
from benchmarks.life import imported
from benchmarks.processes import Milvus, Worker
from benchmarks.world import Shape

WINDOW: Final = Shape(window=True)
SIZES: Final = ((100, 2_400), (1_000, 24_000), (1_000, 100_000), (10_000, 240_000), (10_000, 1_000_000))
"""Collections and listed jobs: each collection refreshed hourly, every 15 min, ... within the day that Milvus lists."""
QUICK_SIZES: Final = SIZES[:2]
JOB_COUNTS: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
SHARES: Final = (0.0, 0.0001, 0.001, 0.01, 0.1, 1.0)
COLLECTION_COUNTS: Final = (10, 100, 1_000, 10_000)
SCRAPERS: Final = (1, 2, 4, 8, 16, 32)
_SCRAPER_SECONDS: Final = 3.0
_MOST_SECONDS: Final = 30.0
_LARGE: Final = 300_000
_OURS: Final = "import exporter.cli, exporter.app"


@dataclass(frozen=True, slots=True)
class Sized:
    """What one size costs. Seconds and bytes."""

    collections: int
    jobs: int
    series: int
    poll_cpu: float
    memory: int
    most_memory: int
    body: int
    packed: int
    scrape_median: float
    scrape_slowest: float
    healthy_slowest: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one growth: x against CPU in ``unit``."""

    title: str
    x: str
    unit: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Everything that was measured."""

    sizes: tuple[Sized, ...]
    curves: tuple[Curve, ...]
    floor_memory: int
    """Bytes of a process that has imported everything and polled nothing."""


def measure(rounds: int, *, quick: bool, say: Callable[[str], None]) -> Scale:
    """Measure all of it; ``quick`` leaves out what has more than 24,000 jobs."""
    with imported(_OURS) as process:
        floor = process.memory()
    sizes = []
    for collections, jobs in QUICK_SIZES if quick else SIZES:
        say(f"{jobs:,} jobs in {collections:,} collections")
        sizes.append(measure_size(collections, jobs, rounds))
    say("growth with jobs")
    counts = JOB_COUNTS[:3] if quick else JOB_COUNTS
    jobs_points = tuple((n, poll_cpu(n, n // 10, Shape(0.01), rounds) * 1000) for n in counts)
    say("growth with what changes")
    share_points = _share_points(10_000 if quick else 100_000, rounds)
    say("growth with collections")
    most = 10_000 if quick else 100_000
    collection_points = tuple(
        (n, poll_cpu(most, n, WINDOW, rounds) * 1000) for n in (COLLECTION_COUNTS[:3] if quick else COLLECTION_COUNTS)
    )
    say("growth with scrapers")
    curves = (
        Curve("Poll, 10 jobs a collection, 1 % changed", "listed jobs", "CPU ms", jobs_points),
        Curve(f"Poll, {most:,} jobs, 1,000 collections", "% of jobs changed", "CPU ms", share_points),
        Curve(f"Poll, {most:,} jobs, sliding window", "collections", "CPU ms", collection_points),
        Curve("Scrape, gzip, 12k series", "scrapers at once", "CPU ms", _scraper_points()),
    )
    return Scale(tuple(sizes), curves, floor)


def poll_cpu(jobs: int, collections: int, shape: Shape, rounds: int) -> float:
    """Return the median CPU seconds of a poll."""
    with Milvus() as milvus:
        milvus.load(jobs, collections, active=not shape.window)
        with Worker("product", milvus.address) as product:
            return _polls(milvus, product, shape, rounds)[0]


def _polls(milvus: Milvus, product: Worker, shape: Shape, rounds: int) -> tuple[float, float]:
    cpu, wall = [], []
    for number in range(-2, rounds):
        milvus.turn(shape if number == -2 else None)
        product.do("want")
        told = product.do("poll")
        if number >= 0:
            cpu.append(told["cpu"])
            wall.append(told["wall"])
    return median(cpu), median(wall)


def _share_points(jobs: int, rounds: int) -> tuple[tuple[float, float], ...]:
    # From much that changes to little: what has ended stays ended.
    with Milvus() as milvus:
        milvus.load(jobs, min(1_000, jobs))
        with Worker("product", milvus.address) as product:
            found = {share: _polls(milvus, product, Shape(share), rounds)[0] for share in sorted(SHARES, reverse=True)}
    return tuple((share * 100, found[share] * 1000) for share in SHARES)


def _scraper_points() -> tuple[tuple[float, float], ...]:
    with Milvus() as milvus:
        milvus.load(520, 520)
        with Daemon(milvus.address) as daemon:
            daemon.wait_good()
            return tuple((float(scrapers), _scraped(daemon, scrapers) * 1000) for scrapers in SCRAPERS)


def _scraped(daemon: Daemon, scrapers: int) -> float:
    """Return CPU seconds of one scrape while so many scrape without a pause."""
    counts = [0] * scrapers
    end = time.monotonic() + _SCRAPER_SECONDS

    def scrape(index: int) -> None:
        with Scraper(daemon.address) as scraper:
            while time.monotonic() < end:
                scraper.get(gzip=True)
                counts[index] += 1

    before = daemon.cpu()
    threads = [threading.Thread(target=scrape, args=(index,)) for index in range(scrapers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (daemon.cpu() - before) / sum(counts)


def measure_size(collections: int, jobs: int, rounds: int) -> Sized:
    """Measure one size with the sliding day window: polls in a process of their own, the rest at a daemon."""
    with Milvus() as milvus:
        milvus.load(jobs, collections, active=False)
        with Worker("product", milvus.address) as product:
            cpu, wall = _polls(milvus, product, WINDOW, rounds)
        # Longer than a poll: three of them, at least, are to be watched.
        interval = max(3, min(60, round(3 * wall + 1)))
        with Daemon(milvus.address, interval=f"{interval}s") as daemon:
            daemon.wait_good(600)
            watched = _watch(daemon, milvus, interval)
            daemon.require(jobs)
    plain = unpacked(watched.body)
    return Sized(
        collections=collections,
        jobs=jobs,
        series=sum(not line.startswith(b"#") for line in plain.splitlines()),
        poll_cpu=cpu,
        memory=watched.memory,
        most_memory=watched.most_memory,
        body=len(plain),
        packed=len(watched.body),
        scrape_median=median(watched.scrapes),
        scrape_slowest=max(watched.scrapes),
        healthy_slowest=max(watched.healthy),
    )


class _Watched(NamedTuple):
    """What was seen of a daemon while it polled. Seconds and bytes."""

    body: bytes
    scrapes: list[float]
    healthy: list[float]
    memory: int
    most_memory: int


def _watch(daemon: Daemon, milvus: Milvus, interval: int) -> _Watched:
    scrapes: list[float] = []
    healthy: list[float] = []
    end = time.monotonic() + max(6.0, min(_MOST_SECONDS, 5.0 * interval))
    turn = time.monotonic()
    with Scraper(daemon.address) as scraper:
        packed = scraper.get(gzip=True)
        while time.monotonic() < end:
            if time.monotonic() > turn:
                milvus.turn()
                turn = time.monotonic() + interval
            scrapes.append(scraper.timed(gzip=True))
            healthy.append(scraper.timed("/-/healthy"))
            time.sleep(0.02)
    return _Watched(packed, scrapes, healthy, daemon.memory(), daemon.memory("VmHWM"))
