"""Goals 7 to 12, 14 and 15: what a poll costs, against the bare call and against the usual exporter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from benchmarks.goals import Measured, milliseconds
from benchmarks.processes import Milvus, Worker
from benchmarks.world import Shape

ALL, TENTH, HUNDREDTH, NONE, WINDOW = "100 %", "10 %", "1 %", "0 %", "window"
SHAPES: Final = {
    ALL: Shape(1.0), TENTH: Shape(0.1), HUNDREDTH: Shape(0.01), NONE: Shape(), WINDOW: Shape(window=True)
}  # fmt: skip
_WARM: Final = 2
"""Turns after a change of shape that are not measured: the first ends all jobs that stop flipping."""


@dataclass(frozen=True, slots=True)
class Case:
    """A number of jobs in a number of collections, and which goals are measured with it."""

    jobs: int
    collections: int
    goals: frozenset[int]
    quick: bool = False
    together: bool = False

    @property
    def layout(self) -> str:
        return f"{self.jobs // self.collections}:1"

    @property
    def name(self) -> str:
        return f"{self.jobs // 1000}k {self.layout}"


CASES: Final = (
    Case(1_000, 1_000, frozenset({7, 8, 9, 11, 12}), quick=True),
    Case(10_000, 1_000, frozenset({7, 8, 9, 10, 11, 12, 14}), quick=True),
    Case(10_000, 10_000, frozenset({7, 8, 9, 11, 12})),
    Case(10_000, 10_000, frozenset({15}), together=True),
    Case(100_000, 10_000, frozenset({7, 8, 9, 10, 14})),
)
GOALS: Final = frozenset().union(*(case.goals for case in CASES))
_SHAPES_OF: Final = {7: {NONE}, 8: {WINDOW}, 9: {HUNDREDTH}, 10: {ALL}, 11: {ALL}, 12: {HUNDREDTH}, 14: {HUNDREDTH},
                     15: {ALL, TENTH, HUNDREDTH}}  # fmt: skip


@dataclass(slots=True)
class Rounds:
    """CPU seconds of each round, by shape and then by subject."""

    case: Case
    cpu: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def note(self, shape: str, subject: str, seconds: float) -> None:
        self.cpu.setdefault(shape, {}).setdefault(subject, []).append(seconds)

    def ms(self, shape: str, subject: str) -> float:
        return milliseconds(self.cpu[shape][subject])


def measure(goals: Collection[int], rounds: int, *, quick: bool, say: Callable[[str], None]) -> list[Measured]:
    """Measure the goals asked for among those of this module."""
    results = []
    for case in CASES:
        wanted = case.goals & set(goals)
        if not wanted or (quick and not case.quick):
            continue
        say(f"polls of {case.name}{', neighbours together' if case.together else ''}")
        results.append(run_case(case, wanted, rounds))
    return [*_by_case(results, goals), *_linear(results, goals), *_growth(results, goals)]


def run_case(case: Case, goals: Collection[int], rounds: int) -> Rounds:
    """Let the subjects poll the same answers in turn."""
    # From much that changes to little, so that the world evolves as a real one can: what has ended stays ended.
    needed = set().union(*(_SHAPES_OF[goal] for goal in goals))
    found = Rounds(case)
    with ExitStack() as stack:
        milvus = stack.enter_context(Milvus())
        milvus.load(case.jobs, case.collections)
        names = ["bare", "product"] + (["usual"] if {11, 12} & set(goals) else [])
        workers = {name: stack.enter_context(Worker(name, milvus.address)) for name in names}
        for shape in (shape for shape in SHAPES if shape in needed):
            _run_shape(milvus, workers, shape, rounds, found)
        workers["product"].do("close")
    return found


def _run_shape(milvus: Milvus, workers: dict[str, Worker], shape: str, rounds: int, found: Rounds) -> None:
    form = SHAPES[shape]
    for number in range(-_WARM, rounds):
        milvus.turn(Shape(form.share, found.case.together, form.window) if number == -_WARM else None)
        order = list(workers) if number % 2 else list(reversed(workers))
        for name in order:
            if name == "usual" and (shape not in (ALL, HUNDREDTH) or number == -_WARM):
                continue
            if name == "product":
                workers[name].do("want")
            told = workers[name].do("poll")
            if number >= 0:
                found.note(shape, name, told["cpu"])
                if name == "product":
                    found.note(shape, "publish", told["publish"])


def _by_case(results: list[Rounds], goals: Collection[int]) -> Iterator[Measured]:
    for goal, shape, against in (
        (7, NONE, "bare"), (8, WINDOW, "bare"), (9, HUNDREDTH, "bare"), (10, ALL, "bare"),
        (11, ALL, "usual"), (12, HUNDREDTH, "usual"),
    ):  # fmt: skip
        for found in results:
            if goal in goals and goal in found.case.goals:
                ours, yardstick = found.ms(shape, "product"), found.ms(shape, against)
                yield Measured(goal, found.case.name, ours, yardstick, variant=found.case.layout)


def _linear(results: list[Rounds], goals: Collection[int]) -> Iterator[Measured]:
    sizes = {found.case.jobs: found for found in results if 14 in found.case.goals}
    if 14 not in goals:
        return
    if len(sizes) < 2:
        yield Measured(14, "1 % changed", why="quick")
        return
    small, large = (sizes[jobs].ms(HUNDREDTH, "product") for jobs in sorted(sizes))
    yield Measured(14, "1 % changed", large, small)


def _growth(results: list[Rounds], goals: Collection[int]) -> Iterator[Measured]:
    if 15 not in goals:
        return
    found = next((found for found in results if 15 in found.case.goals), None)
    if found is None:
        yield Measured(15, "10k collections", why="quick")
        return
    one, ten, everything = (found.ms(shape, "publish") for shape in (HUNDREDTH, TENTH, ALL))
    note = f"1 : {ten / one:.1f} : {everything / one:.1f} for 1 %, 10 %, 100 %"
    yield Measured(15, "10k collections", one, everything, note=note)
