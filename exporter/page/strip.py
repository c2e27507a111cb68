"""Jobs over time as inline SVG: a day as a strip, the kept history as a chart. Numbers only, no text of anybody's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.ledger import Mark
from exporter.model import Job, State

DAY: Final = 86_400.0
WIDTH: Final = 288.0
"""Of a strip, in its own units: five minutes each."""
COARSE: Final = 1.5
"""Width of the narrowest tick of a strip in a table; those closer than three quarters of it are drawn as one."""
FINE: Final = 0.6
"""The same for a strip as wide as the page."""

CHART_WIDTH: Final = 1080
CHART_HEIGHT: Final = 180
_CELL: Final = 3
"""Of the chart, in its own units: what falls into one cell is one mark."""
_LINES: Final = (1, 10, 60, 600, 3600, 36_000)
"""Seconds at which a chart has a line."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One path for each outcome, as the attribute ``d``, and how many jobs it is made of."""

    completed: str
    failed: str
    running: str
    counts: tuple[int, int, int]
    """Completed, failed, under way."""


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line of a chart: how high, and what it stands for in seconds."""

    y: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Durations over days, on a logarithmic scale."""

    completed: str
    failed: str
    lines: tuple[Line, ...]


def strip(jobs: Iterable[Job], now: float, narrowest: float = COARSE) -> Strip:
    """Return the last 24 hours of jobs up to ``now`` (epoch seconds).

    Completed jobs are low ticks and failed ones high, so that no colour is needed to tell them apart.
    """
    spans: dict[str, list[tuple[float, float]]] = {"completed": [], "failed": [], "running": []}
    begin = now - DAY
    for job in jobs:
        span = _span(job, begin, now, narrowest)
        if span is not None:
            spans[_outcome(job.state)].append(span)
    completed, failed, running = (spans[key] for key in ("completed", "failed", "running"))
    return Strip(
        completed=_bars(completed, 10, 10, 0.75 * narrowest),
        failed=_bars(failed, 0, 20, 0.75 * narrowest),
        running=_bars(running, 5, 15, 0.75 * narrowest),
        counts=(len(completed), len(failed), len(running)),
    )


def chart(marks: Sequence[Mark], since: float, now: float) -> Chart:
    """Return the kept jobs between ``since`` and ``now`` (epoch seconds) by end and duration."""
    timed = [(mark, mark.end - mark.start) for mark in marks if mark.start is not None and mark.end >= mark.start]
    longest = max((duration for _, duration in timed), default=60.0)
    shortest = min((duration for _, duration in timed), default=1.0)
    low = math.floor(math.log10(max(shortest, 0.1)))
    high = max(math.log10(max(longest, 1.0)) * 1.02, low + 1.0)
    cells: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for mark, duration in timed:
        x = (mark.end - since) / max(now - since, 1.0) * CHART_WIDTH
        y = _height(duration, low, high)
        if 0 <= x <= CHART_WIDTH:
            cells[mark.completed].add((int(x / _CELL + 0.5) * _CELL, int(y / _CELL + 0.5) * _CELL))
    shown = (seconds for seconds in _LINES if low <= math.log10(seconds) <= high)
    return Chart(
        completed="".join(f"M{x} {y}h0" for x, y in sorted(cells[True])),
        failed="".join(f"M{x - 3} {y - 3}l6 6m0-6l-6 6" for x, y in sorted(cells[False])),
        lines=tuple(Line(round(_height(seconds, low, high), 1), seconds) for seconds in shown),
    )


def _height(duration: float, low: float, high: float) -> float:
    share = (math.log10(max(duration, 0.1)) - low) / (high - low)
    return CHART_HEIGHT - min(max(share, 0.0), 1.0) * CHART_HEIGHT


def _outcome(state: State) -> str:
    return "completed" if state is State.COMPLETED else "failed" if state is State.FAILED else "running"


def _span(job: Job, begin: float, now: float, narrowest: float) -> tuple[float, float] | None:
    """Return where a job is on the strip, None where it is not on it."""
    end = job.end if job.end is not None else now if not job.state.ended else job.start
    start = job.start if job.start is not None else end
    if start is None or end is None or end < begin or start > now:
        return None
    left, right = ((max(min(moment, now), begin) - begin) / DAY * WIDTH for moment in (start, end))
    right = max(right, left + narrowest)
    return (left, right) if right <= WIDTH else (min(left, WIDTH - narrowest), WIDTH)


def _bars(spans: list[tuple[float, float]], top: int, height: int, gap: float) -> str:
    merged: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if merged and left <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return "".join(f"M{left:.1f} {top}h{right - left:.1f}v{height}h{left - right:.1f}z" for left, right in merged)
