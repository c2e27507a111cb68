"""The goals: what is divided by what, where the benchmark fails (gate), and what is aimed for (dream)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple


class Bounds(NamedTuple):
    """A gate and a dream, as ratios."""

    gate: float
    dream: float


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of the table. ``less``: the ratio is yardstick / ours ("times less"); otherwise ours / yardstick."""

    number: int
    what: str
    yardstick: str
    bounds: Bounds
    less: bool = False
    variants: dict[str, Bounds] = field(default_factory=dict)
    """Bounds of measurements that have their own, by variant."""


USUAL: Final = "usual exporter"
BARE: Final = "bare call + decode"

GOALS: Final = {
    goal.number: goal
    for goal in (
        Goal(1, "scrape CPU over HTTP, gzip, 120k series", USUAL, Bounds(1000, 5000), less=True),
        Goal(2, "scrape CPU over HTTP, gzip, 12k series", USUAL, Bounds(300, 1500), less=True),
        Goal(3, "scrape CPU over HTTP, plain, 120k series", USUAL, Bounds(100, 500), less=True),
        Goal(5, "CPU per request, 20 MB body", "nginx, the same bytes", Bounds(1.5, 1.0)),
        Goal(
            6,
            "CPU per request, 1 MB body",
            "nginx, the same bytes",
            Bounds(2.0, 1.0),
            variants={"gzip": Bounds(6.0, 2.0)},
        ),
        Goal(7, "poll CPU, nothing changed", BARE, Bounds(4, 2)),
        Goal(8, "poll CPU, sliding day window", BARE, Bounds(6, 3)),
        Goal(9, "poll CPU, 1 % changed", BARE, Bounds(8, 4)),
        Goal(10, "poll CPU, everything changed, 10:1", BARE, Bounds(20, 8)),
        Goal(11, "poll CPU, everything changed", USUAL, Bounds(2.5, 20), less=True),
        Goal(12, "poll CPU, 1 % changed", USUAL, Bounds(25, 100), less=True, variants={"10:1": Bounds(7, 100)}),
        Goal(13, "one poll at 1 % and two gzip scrapes, 120k series", USUAL, Bounds(60, 300), less=True),
        Goal(14, "CPU of 100k jobs / CPU of 10k jobs, 10:1", "10k jobs, ours", Bounds(16, 11)),
        Goal(15, "publish CPU, 1 % together / everything", "100 %, ours", Bounds(1 / 15, 1 / 60)),
        Goal(
            16,
            "memory over the imported process, 100k jobs 10:1, after 8 polls",
            f"{BARE}, not trimmed",
            Bounds(1.6, 0.8),
        ),
        Goal(17, "memory with 1k jobs", "bare import of four dependencies", Bounds(2.0, 1.3)),
        Goal(
            18,
            "CPU from start to first complete /metrics, 1k jobs",
            USUAL,
            Bounds(0.9, 0.4),
            variants={"import grpc": Bounds(7, 3)},
        ),
        Goal(19, "steady CPU, 1k jobs, poll and gzip scrape every 15 s", USUAL, Bounds(6, 20), less=True),
        Goal(20, "incomplete scrapes in 1 000 while polls hammer", "none at all", Bounds(0, 0)),
        Goal(21, "slowest /metrics (gzip) while 100k-job polls run", "time of one poll", Bounds(0.5, 0.05)),
        Goal(22, "gzip bytes", "zlib level 6", Bounds(1.10, 1.02)),
    )
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of a goal. ``ours`` and ``yardstick`` in ``unit``; without them ``why`` says why not."""

    goal: int
    case: str
    ours: float | None = None
    yardstick: float | None = None
    unit: str = "ms"
    variant: str = ""
    why: str = ""
    note: str = ""

    @property
    def bounds(self) -> Bounds:
        goal = GOALS[self.goal]
        return goal.variants.get(self.variant, goal.bounds)

    @property
    def ratio(self) -> float | None:
        if self.ours is None or self.yardstick is None:
            return None
        if GOALS[self.goal].less:
            return self.yardstick / self.ours
        return self.ours / self.yardstick if self.yardstick else self.ours

    def reaches(self, bound: float) -> bool:
        """Return whether the ratio is on the right side of a bound."""
        ratio = self.ratio
        return ratio is not None and (ratio >= bound if GOALS[self.goal].less else ratio <= bound)

    @property
    def verdict(self) -> str:
        if self.ratio is None:
            return f"not measured: {self.why}"
        if self.reaches(self.bounds.dream):
            return "dream"
        return "held" if self.reaches(self.bounds.gate) else "MISSED"

    @property
    def missed(self) -> bool:
        return self.verdict == "MISSED"


def milliseconds(seconds: Sequence[float]) -> float:
    """Return the median of some seconds, in milliseconds."""
    return median(seconds) * 1000
