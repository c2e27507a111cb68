"""Test the shipped rules with every promtool that is here, then put faults into them and see each one caught.

Prints one line: cases, mutants caught, Prometheus versions. Exits 1 when a case fails or a mutant survives.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
# This file's own folder would hide the standard library's module names; the packages are one and two floors up.
sys.path[:] = [str(ROOT), str(ROOT / "tools"), *(path for path in sys.path if path != str(Path(__file__).parent))]

from rules import promtool  # noqa: E402
from rules.cases import Case  # noqa: E402
from rules.equivalent import line, no_difference, read_unseen, write_unseen  # noqa: E402
from rules.mutate import Mutant, Rule, mutants  # noqa: E402

SHIPPED: Final = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"
_AT_ONCE: Final = 16
_ROUNDS: Final = (1, 2, 4, 8, 1000)
"""How many cases a mutant gets one after the other, as long as none has caught it: in the end all of them."""
_FAILED: Final = re.compile(r"\bmutant (\d+) case (\d+)\b")
_NO_SUCCESS: Final = re.compile(r"^Unit Testing: +\S*/(\d+)/\S+\n(?! *SUCCESS)", re.MULTILINE)
"""A file of a mutant's that fails. A rule that cannot be evaluated is told without the case."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The shipped rules by name, each with its group, and the cases."""

    rules: dict[str, Rule]
    groups: dict[str, dict[str, Any]]
    """Of each rule its group, without the rules."""
    cases: tuple[Case, ...]

    reads: dict[str, frozenset[str]]
    """Of each rule the rules that it reads, directly or not, and itself."""

    def only(self, name: str, rule: Rule, cases: Callable[[Case], bool] = lambda _: True) -> Suite:
        """Return the suite with one rule replaced, and of its cases those about that rule that ``cases`` takes."""
        chosen = tuple(case for case in self.cases if name in case.about and cases(case))
        return replace(self, rules={**self.rules, name: rule}, cases=chosen)

    def rule_file(self, names: Iterable[str], instead: Mutant | None = None) -> dict[str, Any]:
        """Return a rule file with these rules and what they read: a tenth of all, and of the time."""
        wanted = frozenset[str]().union(*(self.reads[name] for name in names))
        made: dict[str, dict[str, Any]] = {}
        for name, rule in self.rules.items():
            if name in wanted:
                group = made.setdefault(self.groups[name]["name"], {**self.groups[name], "rules": []})
                group["rules"].append(instead.rules.get(name, rule) if instead else rule)
        return {"groups": list(made.values())}


def load(path: Path = SHIPPED) -> Suite:
    """Return the suite for a rule file. Raises ``LookupError`` for a rule that no case speaks of, or the reverse."""
    rules: dict[str, Rule] = {}
    groups: dict[str, dict[str, Any]] = {}
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            rules[name], groups[name] = rule, {key: value for key, value in group.items() if key != "rules"}
    cases = tuple(case for module in promtool.load_cases().values() for case in module)
    spoken_of = frozenset[str]().union(*(case.about for case in cases))
    if spoken_of - rules.keys():
        raise LookupError(f"there is no rule {', '.join(spoken_of - rules.keys())}, and cases speak of it")
    return Suite(rules, groups, cases, {name: _read_by(name, rules) for name in rules})


def _read_by(name: str, rules: dict[str, Rule]) -> frozenset[str]:
    texts = {one: " ".join((rule["expr"], *rule.get("annotations", {}).values())) for one, rule in rules.items()}
    found, new = {name}, {name}
    while new:
        new = {other for one in new for other in rules if other in texts[one]} - found
        found |= new
    return frozenset(found)


def test(suite: Suite, program: str) -> list[str]:
    """Run every case. Returns what promtool complains of."""
    by_rules: dict[frozenset[str], list[Case]] = {}
    for case in suite.cases:
        by_rules.setdefault(case.about, []).append(case)
    jobs = [(suite.rule_file(about), cases) for about, cases in by_rules.items()]
    with ThreadPoolExecutor(_workers()) as pool:
        return [said for said in pool.map(lambda job: _run(program, *job), jobs) if said]


def survivors(suite: Suite, program: str, tried: list[Mutant]) -> list[Mutant]:
    """Return the mutants that no case notices. Raises ``ValueError`` for one that is no rule at all.

    Cases that have caught others come first, so that most mutants need one or two. Many go into one call of promtool,
    which takes longer to start than a case to run.
    """
    caught: Counter[tuple[str, str]] = Counter()
    batches = [tried[place : place + _AT_ONCE] for place in range(0, len(tried), _AT_ONCE)]
    with ThreadPoolExecutor(_workers()) as pool:
        return [one for left in pool.map(lambda some: _left_of(suite, program, some, caught), batches) for one in left]


def _left_of(suite: Suite, program: str, tried: list[Mutant], caught: Counter[tuple[str, str]]) -> list[Mutant]:
    unseen = {mutant: _likeliest_first(suite, mutant, caught) for mutant in tried}
    for size in _ROUNDS:
        order = [mutant for mutant, cases in unseen.items() if cases]
        with tempfile.TemporaryDirectory(prefix="rules-") as folder:
            files = []
            for number, mutant in enumerate(order):
                now, unseen[mutant] = unseen[mutant][:size], unseen[mutant][size:]
                marked = {f"mutant {number} case {suite.cases.index(case)}": case for case in now}
                files += _written(suite, Path(folder) / str(number), mutant, marked)
            said = promtool.run(program, files) if files else ""
        if "could not parse" in said or "parse error" in said:
            raise ValueError(f"a mutant is no valid rule: {said}")
        for number, case in set(_FAILED.findall(said)):
            for name in order[int(number)].rules:
                caught[name, suite.cases[int(case)].name] += 1
        for number in {one for one, _ in _FAILED.findall(said)} | set(_NO_SUCCESS.findall(said)):
            unseen.pop(order[int(number)], None)
    return list(unseen)


def _likeliest_first(suite: Suite, mutant: Mutant, caught: Counter[tuple[str, str]]) -> list[Case]:
    def rank(case: Case) -> tuple[bool, int, float]:
        # A fault in a text is seen where there is much that could be quoted wrongly.
        size = -len(case.given) if mutant.kind == "texts" else case.cost
        return not case.about & mutant.rules.keys(), -sum(caught[name, case.name] for name in mutant.rules), size

    reading = [case for case in suite.cases if any(mutant.rules.keys() & suite.reads[about] for about in case.about)]
    return sorted(reading, key=rank)


def _written(suite: Suite, folder: Path, mutant: Mutant, cases: dict[str, Case]) -> list[Path]:
    folder.mkdir()
    about = frozenset[str]().union(*(case.about for case in cases.values()))
    return promtool.write(folder, suite.rule_file(about, mutant), cases)


def _run(program: str, rules: dict[str, Any], cases: Iterable[Case]) -> str:
    with tempfile.TemporaryDirectory(prefix="rules-") as folder:
        return promtool.run(program, promtool.write(Path(folder), rules, {case.name: case for case in cases}))


def _workers() -> int:
    return len(os.sched_getaffinity(0))


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every case holds and every mutant is caught, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-mutants", action="store_true", help="only the cases")
    parser.add_argument("--rule", help="only mutants of this rule")
    parser.add_argument("--write", action="store_true", help="try all mutants and write down those that survive")
    given = parser.parse_args(arguments)
    began, programs, suite = time.monotonic(), promtool.installed(), load()
    if not programs:
        print("promtool is not installed; `make parts` fetches it", file=sys.stderr)
        return 1
    failed = False
    for version, program in programs.items():
        for said in test(suite, program):
            failed = True
            print(f"promtool {version}:\n{said}", file=sys.stderr)
    if failed:
        return 1
    every = [] if given.no_mutants else [one for one in mutants(suite.rules) if given.rule in (None, *one.rules)]
    different = [one for one in every if not no_difference(one)]
    unseen = frozenset[str]() if given.write else read_unseen()
    tried = [one for one in different if line(one) not in unseen]
    left = survivors(suite, next(reversed(programs.values())), tried)
    if given.write:
        write_unseen(left)
        return 0
    for mutant in left:
        print(f"survived: {line(mutant)}", file=sys.stderr)
    print(
        f"cases {len(suite.cases)}, mutants caught {len(tried) - len(left)} of {len(different)}, "
        f"{len(different) - len(tried)} not yet seen by any case (tools/rules/unseen.txt), "
        f"Prometheus versions {', '.join(programs)} ({time.monotonic() - began:.0f} s)"
    )
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
