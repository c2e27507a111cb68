"""What is recommended for a machine holds against what was measured, and what is shipped is what is said to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from peers.parts import ROOT

MEASURED = ROOT / "docs" / "performance.md"
GUIDE = ROOT / "docs" / "deploy" / "README.md"
HEADROOM = 1.2
"""The limit over the most that was measured; docs/deploy/README.md says "a fifth"."""
UNITS = {"Mi": 2**20, "m": 2**20, "M": 2**20}


def rows(page: Path, first: str) -> list[list[str]]:
    """Return the cells of the table whose first two headings are these."""
    text = page.read_text(encoding="utf-8")
    assert first in text
    table = text.partition(first)[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]


def quantity(text: str) -> int:
    """Return bytes of ``256Mi``; Compose's ``m`` and systemd's ``M`` are 1024 times 1024 as well."""
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def size(row: list[str]) -> tuple[str, str]:
    return row[0], row[1]


SIZES = {size(row): row for row in rows(MEASURED, "| collections | listed jobs | series |")}
RECOMMENDED = {size(row): row for row in rows(GUIDE, "| collections | listed jobs | CPU request |")}


def most(collections: str, jobs: str) -> float:
    """Return the most memory that was measured for a size, in bytes."""
    cell = SIZES[collections, jobs][5]
    return float(re.search(r"\(([\d,]+)\) MB", cell)[1].replace(",", "")) * 1e6  # type: ignore[index]


def test_every_measured_size_has_its_recommendation() -> None:
    assert list(RECOMMENDED) == list(SIZES)


@pytest.mark.parametrize("row", RECOMMENDED.values(), ids=["-".join(each) for each in RECOMMENDED])
def test_a_recommended_request_is_above_the_use_and_a_limit_above_the_most(row: list[str]) -> None:
    measured = SIZES[size(row)]
    assert quantity(row[3]) >= float(measured[5].split(" ")[0].replace(",", "")) * 1e6
    assert quantity(row[4]) >= HEADROOM * most(*size(row))
    assert int(row[2].removesuffix("m")) / 1000 >= float(measured[4].removesuffix("%")) / 100


def shipped() -> dict[str, str]:
    base = yaml.safe_load((ROOT / "deploy/kubernetes/base/deployment.yaml").read_text("utf-8"))
    values = yaml.safe_load((ROOT / "deploy/helm/milvus-refresh-exporter/values.yaml").read_text("utf-8"))
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text("utf-8"))
    unit = (ROOT / "deploy/systemd/milvus-refresh-exporter.service").read_text("utf-8")
    return {
        "Kustomize": base["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"],
        "Helm": values["resources"]["limits"]["memory"],
        "Compose": compose["services"]["exporter"]["mem_limit"],
        "systemd": re.search(r"^MemoryMax=(\w+)$", unit, re.MULTILINE)[1],  # type: ignore[index]
    }


@pytest.mark.parametrize("way", ["Kustomize", "Helm", "Compose", "systemd"])
def test_what_is_shipped_is_enough_for_what_the_guide_says_it_is_for(way: str) -> None:
    row = next(row for row in rows(GUIDE, "| | request | limit | enough for |") if way in row[0])
    limit = shipped()[way]
    assert limit in row[2]
    jobs = re.match(r"([\d,]+) jobs", row[3])[1]  # type: ignore[index]
    assert quantity(limit) >= HEADROOM * most("1,000", jobs)
