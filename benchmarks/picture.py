"""Growth curves as an SVG file: logarithmic axes, one panel a curve. No library is worth four small line charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from benchmarks.scale import Curve

_WIDTH: Final = 460
_HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 18, 40, 48
_STYLE: Final = """<style>
text { font: 12px system-ui, sans-serif; fill: #57606a; } .title { font-size: 14px; fill: #24292f; }
.grid { stroke: #d0d7de; } .line { fill: none; stroke: #0969da; stroke-width: 2; } circle { fill: #0969da; }
.value { font-size: 11px; fill: #24292f; }
</style>"""


def draw(curves: Sequence[Curve]) -> str:
    """Return the picture, two panels a row."""
    rows = (len(curves) + 1) // 2
    panels = "\n".join(
        f'<g transform="translate({index % 2 * _WIDTH},{index // 2 * _HEIGHT})">\n{_panel(curve)}\n</g>'
        for index, curve in enumerate(curves)
    )
    width, height = 2 * _WIDTH, rows * _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Growth of cost">\n{_STYLE}\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{panels}\n</svg>\n"
    )


def _panel(curve: Curve) -> str:
    # A share of nothing has no logarithm: it stands a decade to the left of the smallest.
    smallest = min(x for x, _ in curve.points if x > 0)
    points = [(x or smallest / 10, y) for x, y in curve.points]
    across = _Axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    line = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in points)
    return "\n".join(
        (
            f'<text class="title" x="{_LEFT}" y="22">{escape(curve.title)}</text>',
            *_grid(across, up, {smallest / 10: "0"} if curve.points[0][0] == 0 else {}),
            f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 10}" text-anchor="end">{escape(curve.x)}</text>',
            f'<text x="{_LEFT - 6}" y="22" text-anchor="end">{escape(curve.unit)}</text>',
            f'<polyline class="line" points="{line}"/>',
            *(_dot(across.place(x), up.place(y), y) for x, y in points),
        )
    )


def _grid(across: _Axis, up: _Axis, names: dict[float, str]) -> Iterator[str]:
    for value in across.decades():
        x = across.place(value)
        name = names.get(value, _short(value))
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{name}</text>'
    for value in up.decades():
        y = up.place(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'


def _dot(x: float, y: float, value: float) -> str:
    label = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/><text class="value" x="{x:.1f}" y="{y - 8:.1f}" '
        f'text-anchor="middle">{label}</text>'
    )


class _Axis:
    """Maps values to pixels, by their logarithm, over whole decades."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._low = floor(log10(min(values)) + 1e-9)
        self._high = max(self._low + 1, ceil(log10(max(values)) - 1e-9))
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        share = (log10(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def decades(self) -> list[float]:
        return [10.0**exponent for exponent in range(self._low, self._high + 1)]


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1e6:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
