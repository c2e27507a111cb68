"""Every metric, setting, flag and variable that a document names is one that there is."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.parts import ROOT
from test_rules import RECORDS

from exporter.cli import build_parser
from exporter.config.keys import GROUPS, KEYS
from exporter.config.keys import PREFIX as VARIABLE
from exporter.metrics.contract import CONTRACT, PREFIX

DECISIONS = ROOT / "docs" / "decisions"  # these tell of names that were considered, too
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md"))
    if DECISIONS not in page.parents
)
METRICS = {metric.name for metric in CONTRACT} | {
    f"{metric.name}_{suffix}"
    for metric in CONTRACT
    if metric.kind == "histogram"
    for suffix in ("bucket", "sum", "count")
}
FOREIGN_METRICS = {"process_start_time_seconds"}  # prometheus_client's
FOREIGN_FLAGS = {"--alertmanager.url"}  # amtool's
UNITS = "_(?:total|seconds|bytes|ratio|info|ok|successful|partial|folded)"
SETTINGS = {key.dotted for key in KEYS.values()} | {".".join(path) for path in GROUPS if path}
VARIABLES = {variable for key in KEYS.values() for variable in key.variables}
SECTIONS = "|".join({setting.split(".")[0] for setting in SETTINGS} | {"config"})
FILES = re.compile(r".*\.(db|ya?ml)")

named_on = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def chart_values() -> set[str]:
    """Return the values of the Helm chart, dotted."""

    def walk(tree: dict[str, Any], at: str) -> set[str]:
        below = (walk(value, f"{at}{key}.") for key, value in tree.items() if isinstance(value, dict))
        return {at + key for key in tree}.union(*below)

    values = yaml.safe_load((ROOT / "deploy/helm/milvus-refresh-exporter/values.yaml").read_text(encoding="utf-8"))
    return walk(values, "") | {f"config.{setting}" for setting in SETTINGS}


@named_on
def test_every_metric_that_is_named_exists(page: Path) -> None:
    """A name that ends in an underscore is the beginning of several."""
    text = re.sub(r"\b\w+:\w+(:\w+)?", lambda name: "" if name[0] in RECORDS else name[0], text_of(page))
    named = set(re.findall(rf"\b{PREFIX}\w*", text))
    several = {name for name in named if name.endswith("_") and any(known.startswith(name) for known in METRICS)}
    assert named - several <= METRICS


@named_on
def test_every_metric_that_is_named_in_short_exists(page: Path) -> None:
    """As ``state_ok 0``: by what only metrics have at their end, a unit or what they are."""
    named = set(re.findall(rf"`([a-z]+(?:_[a-z]+)*{UNITS})\b", text_of(page)))
    assert {name for name in named - METRICS if PREFIX + name not in METRICS} <= FOREIGN_METRICS


@named_on
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(rf"`((?:{SECTIONS})(?:\.[a-z_]+)+)[:` ]", text_of(page)))
    assert {name for name in named if not FILES.fullmatch(name)} <= SETTINGS | chart_values()


@named_on
def test_every_flag_of_a_setting_that_is_named_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser("demo").parse_args(["demo", "--help"])  # with the demo's own, which are no settings
    known = set(re.findall(r"--[a-z.-]+", capsys.readouterr().out))
    assert set(re.findall(r"(?<![\w-])--[a-z_]+(?:\.[a-z_-]+)+", text_of(page))) <= known | FOREIGN_FLAGS


def test_every_variable_that_is_named_exists() -> None:
    """In files for deployment as well, where a misspelt one is a service that does not start."""
    listed = subprocess.run(
        ["git", "grep", "-IohE", rf"\b{VARIABLE}[A-Z_0-9]*[A-Z0-9]\b", "--", ".", ":!tests"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git repository")
    assert set(listed.stdout.split()) - VARIABLES == set()
