"""The tables of failure classes in docs/milvus.md say what the code does."""

from __future__ import annotations

import re

import pytest
from peers.parts import ROOT

from exporter.milvus.reasons import WRAPPERS, classify
from exporter.model import FailureClass as Class

SECTION = (ROOT / "docs/milvus.md").read_text(encoding="utf-8").split("\n## Failure classes\n")[1].split("\n## ")[0]
WRAPPER_ROWS, CLASS_ROWS = (
    [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    for table in re.findall(r"(?:^\|.*\n)+", SECTION, re.MULTILINE)
)


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


MEANT = [(row[0].strip("`"), text) for row in CLASS_ROWS for text in quoted(row[1])]
WRAPPED = [(quoted(row[1])[0], text) for row in WRAPPER_ROWS for text in quoted(row[0])]


@pytest.mark.parametrize(("failure_class", "text"), MEANT)
def test_a_text_of_the_table_has_the_class_of_its_row(failure_class: str, text: str) -> None:
    assert classify(text.replace("...", "'x'")) == Class(failure_class)


@pytest.mark.parametrize(("failure_class", "text"), WRAPPED)
def test_a_wrapper_has_the_class_of_its_row_unless_what_is_inside_has_one(failure_class: str, text: str) -> None:
    assert classify(text.replace("...", "something nobody has seen before")) == Class(failure_class)
    assert classify(text.replace("...", "access denied")) == Class.ACCESS_DENIED


def test_every_class_has_a_row_of_its_own() -> None:
    assert sorted(row[0].strip("`") for row in CLASS_ROWS) == sorted(Class)
    assert all(quoted(row[1]) for row in CLASS_ROWS if row[0] != "`unknown`")


def test_every_known_wrapper_is_in_the_table() -> None:
    """A new one in the code without a line here would be a class that nobody can look up."""
    told = " ".join(text for _, text in WRAPPED)
    assert not [each.pattern for each in WRAPPERS if each.own and not re.search(each.pattern, told)]
