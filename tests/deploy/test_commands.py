"""Every command and example on Kubernetes and on rules is run as it stands, as far as no cluster is needed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.parts import ROOT, generations, missing

from deploy.rendering import CHART, OVERLAYS, helm, of_kind, run
from deploy.test_rule_values import DEPLOY, alerts

pytestmark = pytest.mark.real

RULES = ROOT / "docs" / "deploy" / "rules.md"
PAGES = (RULES, ROOT / "docs" / "deploy" / "kubernetes.md", CHART / "README.md", ROOT / "docs" / "dashboards.md")
SLOW, STUCK = "MilvusExternalRefreshSlow", "MilvusExternalRefreshStuck"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def commands(page: Path) -> list[str]:
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [line for line in lines.splitlines() if line.strip()]


def of_page(line: str) -> tuple[str, list[str]]:
    program, *arguments = shlex.split(line)
    return program, arguments


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a folder in which the guides' paths lead to this repository, and what is written stays."""
    for name in ("tools", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "values.yaml").write_text(blocks(PAGES[1], "yaml")[0], encoding="utf-8")
    (tmp_path / "token.txt").write_text("CANARYx7", encoding="utf-8")
    return tmp_path


def done(line: str, folder: Path) -> subprocess.CompletedProcess[str] | None:
    """Run a command without a cluster; None if it is nothing without one."""
    program, arguments = of_page(line)
    if (program, arguments[0]) == ("helm", "test"):
        return None
    if program == "helm":
        assert arguments.pop(0) == "install"
        paths = [str(folder / each) if (folder / each).exists() else each for each in arguments]
        return run("kubernetes", "helm", "template", *paths)
    if program == "kubectl":
        paths = [re.sub(r"=(\w+\.txt)$", rf"={folder}/\1", each) for each in arguments]
        return run("kubernetes", "kubectl", *paths, "--dry-run=client", "--output=yaml")
    if program == "promtool":
        program = str(next(iter(generations("promtool").values()), "") or missing("promtool is not installed"))
    else:
        assert program == "python", line
        program = sys.executable
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_page_works_as_it_stands(page: Path, here: Path) -> None:
    assert commands(page)
    for line in commands(page):
        ran = done(line, here)
        assert ran is None or ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"


def test_the_overlays_that_the_guide_names_are_there() -> None:
    (line,) = re.findall(r"The overlays are examples of it: (.*)\.$", PAGES[1].read_text("utf-8"), re.MULTILINE)
    assert sorted(re.findall(r"`([^`]+)`", line)) == OVERLAYS


def what_was_asked_for(made: list[dict[str, Any]]) -> None:
    found = alerts(made)
    assert SLOW not in found
    assert found[STUCK]["labels"] == {"severity": "page", "team": "lake"}
    assert found[STUCK]["for"] == "15m"
    assert {rule["labels"]["severity"] for rule in found.values()} <= {"page", "ticket", "info"}
    assert all(rule["annotations"]["runbook_url"].startswith("https://wiki.example.com/") for rule in found.values())
    assert " > 1800\n" in json.dumps(made).replace("\\n", "\n")


def test_the_charts_example_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(blocks(RULES, "yaml")[0], encoding="utf-8")
    made = helm(tmp_path / "values.yaml")
    (rule,) = of_kind(made, "PrometheusRule")
    what_was_asked_for(rule["spec"]["groups"])
    down = alerts(rule["spec"]["groups"])["MilvusExternalRefreshExporterDown"]["expr"]
    assert 'up{job=~"lake-exporter(-targets)?"}' in down
    dashboards = [each for each in of_kind(made, "ConfigMap") if "exporter.yaml" not in each["data"]]
    assert sum("https://refresh.example.com" in str(each["data"]) for each in dashboards) == 2, "list and collection"
    assert not any("localhost" in str(each["data"]) for each in dashboards)


def test_the_mixins_example_does_what_it_says() -> None:
    jsonnet = pytest.importorskip("_jsonnet", reason="jsonnet is not installed (pip install jsonnet)")
    (text,) = blocks(RULES, "jsonnet")
    printed = json.loads(jsonnet.evaluate_snippet("rules", text.replace("'deploy/", f"'{DEPLOY}/")))
    what_was_asked_for(yaml.safe_load(printed)["groups"])


def test_with_several_releases_one_misses_the_jobs_of_all(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(blocks(RULES, "yaml")[1], encoding="utf-8")
    (rule,) = of_kind(helm(tmp_path / "values.yaml"), "PrometheusRule")
    expr = alerts(rule["spec"]["groups"])["MilvusExternalRefreshExporterDown"]["expr"]
    (asked,) = set(re.findall(r'up\{job=~"([^"]*)"\}', expr))
    assert all(re.fullmatch(asked, job) for job in ("lake", "lake-targets", "sea", "sea-targets"))
