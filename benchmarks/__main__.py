"""``python -m benchmarks [--goal N ...] [--quick]``: measure, print the table, exit 1 where a gate is missed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from benchmarks import life, page, polls, scale, serving
from benchmarks.goals import GOALS, Measured
from benchmarks.machine import machine, versions
from benchmarks.report import table
from benchmarks.steady import Steady


def main(arguments: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code."""
    options = _parser().parse_args(arguments)
    rounds = options.rounds or (3 if options.quick else 5)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    if options.scale:
        scaled = scale.measure(rounds, quick=options.quick, say=say)
        print(page.sizes(scaled), page.fleet(scaled), sep="\n\n")
        if options.write:
            page.write_scale(scaled)
        return 0
    measured = _measure(set(options.goal or GOALS), rounds, say, quick=options.quick)
    print(machine(), versions(), "", table(measured), sep="\n")
    if options.write:
        page.write_goals(measured)
    return int(any(each.missed for each in measured))


def _measure(wanted: set[int], rounds: int, say: Callable[[str], None], *, quick: bool) -> list[Measured]:
    with ExitStack() as stack:
        steady = stack.enter_context(Steady(rounds)) if 19 in wanted else None
        measured = [
            *polls.measure(wanted, rounds, quick=quick, say=say),
            *serving.measure(wanted, rounds, quick=quick, say=say),
            *life.measure(wanted, rounds, quick=quick, say=say),
        ]
        if steady is not None:
            say("waiting for the quiet day")
            measured.append(steady.result())
    return measured


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("--goal", type=int, action="append", choices=sorted(GOALS), help="only this goal; repeatable")
    parser.add_argument("--quick", action="store_true", help="three rounds, and nothing that is large")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (default: 5)")
    parser.add_argument("--scale", action="store_true", help="growth and sizes instead of the goals")
    parser.add_argument("--write", action="store_true", help="write the results to docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
