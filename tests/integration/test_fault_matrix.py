"""docs/reliability.md names a test for each fault, and each of them exists."""

from __future__ import annotations

import ast
import re

from peers.parts import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_each_named_test_exists() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) > 30
    there = {
        (path.name, node.name)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.name in {file for file, _ in named}
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert named - there == set()


def test_each_row_of_a_fault_names_a_test() -> None:
    faults = PAGE.split("## Faults")[1].split("## Trials")[0]
    rows = [line for line in faults.splitlines() if line.startswith("| ") and not line.startswith(("| fault", "|---"))]
    assert len(rows) > 50
    unproven = [
        row for row in rows if not NAMED.search(row.split("|")[-2]) and not row.split("|")[-2].startswith(" same")
    ]
    assert unproven == []
