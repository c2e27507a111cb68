"""Goals 1 to 3, 5, 6, 13 and 22: what a scrape costs over HTTP, and poll and scrapes together."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from benchmarks.daemon import Daemon
from benchmarks.goals import Measured, milliseconds
from benchmarks.http import Scraper
from benchmarks.nginx import MODES, Nginx, command
from benchmarks.processes import Milvus, Process, Worker
from benchmarks.world import Shape

GOALS: Final = frozenset({1, 2, 3, 5, 6, 13, 22})


@dataclass(frozen=True, slots=True)
class Size:
    """How many collections (with as many jobs) make a body of that size, at 23 series and 180 bytes each."""

    name: str
    collections: int
    goals: frozenset[int]
    plain: int = 120
    gzip: int = 300
    """Requests in one round to one server; the usual exporter, where one takes seconds, is asked once."""


SIZES: Final = (
    Size("120k series", 5_200, frozenset({1, 3, 5, 13, 22}), plain=12, gzip=60),
    Size("12k series", 520, frozenset({2})),
    Size("1 MB", 250, frozenset({6})),
)


@dataclass(slots=True)
class Costs:
    """CPU seconds of one request by server and encoding, round by round; and what is known of the bodies."""

    size: Size
    cpu: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    plain: bytes = b""
    packed: bytes = b""
    series: int = 0

    def note(self, server: str, encoding: str, seconds: float) -> None:
        self.cpu.setdefault((server, encoding), []).append(seconds)

    def ms(self, server: str, encoding: str) -> float:
        return milliseconds(self.cpu[server, encoding])

    @property
    def case(self) -> str:
        return f"{self.series / 1000:.0f}k series, {len(self.plain) / 1e6:.2g} MB"


def measure(goals: Collection[int], rounds: int, *, quick: bool, say: Callable[[str], None]) -> list[Measured]:
    """Measure the goals asked for among those of this module."""
    measured: list[Measured] = []
    for size in SIZES:
        wanted = size.goals & set(goals)
        if not wanted:
            continue
        if quick and size is SIZES[0]:
            measured += [Measured(goal, size.name, why="quick") for goal in sorted(wanted)]
            continue
        say(f"scrapes of {size.name}")
        measured += _read(_run(size, wanted, rounds), wanted)
    return measured


def _run(size: Size, goals: Collection[int], rounds: int) -> Costs:
    costs = Costs(size)
    with ExitStack() as stack:
        milvus = stack.enter_context(Milvus())
        milvus.load(size.collections, size.collections)
        milvus.turn(Shape(0.01))
        servers: dict[str, tuple[Process, str, int, int]] = {}
        daemon = stack.enter_context(Daemon(milvus.address))
        daemon.wait_good()
        servers["product"] = (daemon, daemon.address, size.plain, size.gzip)
        _look_at_bodies(costs, daemon.address)
        usual = None
        if {1, 2, 3, 13} & set(goals):
            usual = stack.enter_context(Worker("usual", milvus.address))
            usual.do("poll")
            require_same_series(usual, costs.plain)
            servers["usual"] = (usual, usual.do("serve")["address"], 1, 1)
        if {5, 6} & set(goals) and command():
            nginx = stack.enter_context(Nginx({"plain": costs.plain, "gzip": costs.packed}))
            servers["nginx"] = (nginx, nginx.address, size.plain, size.gzip)
        for _ in range(rounds):
            for name, (process, address, plain, gzip) in servers.items():
                _ask(costs, name, process, address, plain=plain, gzip=gzip)
        if 13 in goals and usual is not None:
            product = stack.enter_context(Worker("product", milvus.address))
            _poll(costs, milvus, product, usual, rounds)
    return costs


def _look_at_bodies(costs: Costs, address: str) -> None:
    with Scraper(address) as scraper:
        costs.plain, costs.packed = scraper.get(), scraper.get(gzip=True)
    costs.series = sum(not line.startswith(b"#") for line in costs.plain.splitlines())


def _ask(costs: Costs, name: str, process: Process, address: str, *, plain: int, gzip: int) -> None:
    modes = [f"/{mode}/" for mode in MODES] if name == "nginx" else [""]
    for mode in modes:
        for encoding, count in (("plain", plain), ("gzip", gzip)):
            path = mode + encoding if mode else "/metrics"
            with Scraper(address) as one, Scraper(address) as other:  # a pair of Prometheus servers
                if count > 1:
                    one.get(path, gzip=encoding == "gzip"), other.get(path, gzip=encoding == "gzip")
                before = process.cpu()
                one.many((count + 1) // 2, path, gzip=encoding == "gzip")
                other.many(count // 2, path, gzip=encoding == "gzip")
                costs.note(name + mode, encoding, (process.cpu() - before) / count)


def _poll(costs: Costs, milvus: Milvus, product: Worker, usual: Worker, rounds: int) -> None:
    product.do("gzip")
    for number in range(-2, rounds):
        milvus.turn()
        product.do("want")
        ours, theirs = product.do("poll"), usual.do("poll") if number >= 0 else {}
        if number >= 0:
            costs.note("product", "poll", ours["cpu"])
            costs.note("usual", "poll", theirs["cpu"])
    product.do("close")


def require_same_series(usual: Worker, ours: bytes) -> None:
    """Raise RuntimeError unless the usual exporter shows the families of collections as the product does."""
    counted: dict[str, int] = {}
    for line in ours.splitlines():
        name, brace, labels = line.partition(b"{")
        if brace and b"collection=" in labels:
            counted[name.decode()] = counted.get(name.decode(), 0) + 1
    theirs: dict[str, int] = usual.do("series")["families"]
    if theirs != counted:
        odd = {name: (counted.get(name), theirs.get(name)) for name in counted.keys() | theirs.keys()}
        raise RuntimeError(f"not the same series: { {k: v for k, v in odd.items() if v[0] != v[1]} }")


def _read(costs: Costs, goals: Collection[int]) -> Iterator[Measured]:
    case = costs.case
    for goal, encoding in ((1, "gzip"), (2, "gzip"), (3, "plain")):
        if goal in goals:
            yield Measured(goal, case, costs.ms("product", encoding), costs.ms("usual", encoding))
    for goal in {5, 6} & set(goals):
        for encoding in ("plain", "gzip"):
            label = f"{encoding}, {len(costs.plain if encoding == 'plain' else costs.packed) / 1e6:.2g} MB"
            if ("nginx/on/", encoding) not in costs.cpu:
                yield Measured(goal, label, why="nginx missing", variant=encoding)
                continue
            best = min(costs.ms(f"nginx/{mode}/", encoding) for mode in MODES)
            yield Measured(goal, label, costs.ms("product", encoding), best, variant=encoding)
    if 13 in goals:
        ours, theirs = (costs.ms(who, "poll") + 2 * costs.ms(who, "gzip") for who in ("product", "usual"))
        note = f"poll {costs.ms('product', 'poll'):.0f} ms of it, usual {costs.ms('usual', 'poll'):.0f} ms"
        yield Measured(13, case, ours, theirs, note=note)
    if 22 in goals:
        yield Measured(22, case, len(costs.packed), len(zlib.compress(costs.plain, 6)), "B")
