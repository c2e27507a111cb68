"""The table of goals as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.goals import GOALS, Measured

_HEAD = ("#", "goal", "case", "ours", "yardstick", "ratio", "gate", "dream", "verdict")


def table(measured: Sequence[Measured]) -> str:
    """Return the results for a terminal."""
    rows = [_HEAD, *(_row(each) for each in sorted(measured, key=lambda m: m.goal))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def markdown(measured: Sequence[Measured]) -> str:
    """Return the results as a Markdown table."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(each) for each in sorted(measured, key=lambda m: m.goal))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(each: Measured) -> tuple[str, ...]:
    goal = GOALS[each.goal]
    sign, word = (">=", "x less") if goal.less else ("<=", "x")
    ratio = "" if each.ratio is None else f"{_short(each.ratio)}{word}"
    verdict = f"{each.verdict} ({each.note})" if each.note else each.verdict
    return (
        str(each.goal),
        goal.what,
        each.case,
        _value(each.ours, each.unit),
        f"{_value(each.yardstick, each.unit)} {goal.yardstick if each.variant not in goal.variants else ''}".strip(),
        ratio,
        f"{sign} {_short(each.bounds.gate)}",
        _short(each.bounds.dream),
        verdict,
    )


def _value(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_short(value)} {unit}".strip()


def _short(value: float) -> str:
    """Return three digits that count, without an exponent."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{2 if value >= 1 else 3}f}"
