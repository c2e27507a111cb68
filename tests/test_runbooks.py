"""The runbooks against what they talk about: alerts, contract, classes, settings, commands and each other."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from peers.parts import ROOT, generations, missing

from exporter.cli import COMMANDS
from exporter.errors import KINDS
from exporter.metrics.contract import CONTRACT
from exporter.model import FailureClass, State
from exporter.web import Reply, Request, create_app

DOCS = ROOT / "docs"
RUNBOOKS = DOCS / "runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))
ALERTS = [page for page in PAGES if page.name.startswith("Milvus")]
INDEX, CLASSES = RUNBOOKS / "README.md", RUNBOOKS / "failure-classes.md"

HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
HEADINGS += ["Queries to paste", "How it is configured", "Silencing safely", "Known Milvus bugs"]
FAMILIES = {metric.name: metric for metric in CONTRACT} | {
    metric.name + suffix: metric
    for metric in CONTRACT
    if metric.kind == "histogram"
    for suffix in ("_bucket", "_sum", "_count")
}
TARGET_LABELS = {"job", "instance", "pod", "namespace", "milvus"}
CONTRACT_LABELS = {label for metric in CONTRACT for label in metric.labels} | {"le"}
UNCOUNTED = {FailureClass.SUPERSEDED, FailureClass.CANCELLED, FailureClass.INDEX_WAIT_TIMEOUT}

name_of = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
name_of_alert = pytest.mark.parametrize("page", ALERTS, ids=lambda page: page.stem)


class Query(NamedTuple):
    page: Path
    text: str


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Return fenced blocks, without the indent of a list they stand in."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def headings(text: str) -> list[str]:
    bare = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", bare, re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def queries(page: Path) -> list[Query]:
    """Return the queries of a page: one a line."""
    lines = "\n".join(blocks(page, "promql")).splitlines()
    return [Query(page, line) for line in lines if line.strip() and not line.startswith("#")]


QUERIES = [query for page in PAGES for query in queries(page)]


@cache
def rules() -> dict[str, dict[str, Any]]:
    """Return the shipped rules: alert or record -> rule."""
    shipped = (ROOT / "deploy" / "prometheus").glob("*.yml")
    files = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in shipped)
    groups = [group for file in files for group in file.get("groups", ())]
    return {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}


def shipped_alerts() -> dict[str, dict[str, Any]]:
    return {name: rule for name, rule in rules().items() if "alert" in rule}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {page.stem for page in ALERTS} == set(shipped_alerts())


def test_every_alert_points_to_its_own_runbook() -> None:
    for name, rule in shipped_alerts().items():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md")


@name_of_alert
def test_a_runbook_has_all_headings_in_order_under_the_name_of_its_alert(page: Path) -> None:
    assert headings(text_of(page)) == [page.stem, *HEADINGS]


@name_of_alert
def test_no_heading_of_a_runbook_is_left_empty(page: Path) -> None:
    for section in re.split(r"^## .+$", text_of(page), flags=re.MULTILINE)[1:]:
        assert len(section.split()) > 3


@name_of_alert
def test_severity_and_times_of_a_runbook_are_those_of_the_rule(page: Path) -> None:
    rule = shipped_alerts()[page.stem]
    times = f"for: {rule.get('for', 'none')} · keep_firing_for: {rule.get('keep_firing_for', 'none')}"
    assert f"\nSeverity: {rule['labels']['severity']} · {times} · " in text_of(page)


def test_the_index_names_every_alert_once_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(Milvus\w+)\]\((\w+)\.md\) \| (\w+) \|", text_of(INDEX), re.MULTILINE)
    assert sorted(rows) == sorted((name, name, rule["labels"]["severity"]) for name, rule in shipped_alerts().items())


def test_every_failure_class_has_a_section() -> None:
    assert sorted(headings(text_of(CLASSES))[1:]) == sorted(FailureClass)


def test_the_index_names_every_failure_class_once_and_tells_which_ones_alert() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\(failure-classes\.md#(\w+)\) \|.*\| (yes|no)\b", text_of(INDEX), re.MULTILINE)
    assert sorted(rows) == sorted((each, each, "no" if each in UNCOUNTED else "yes") for each in FailureClass)


def test_the_runbook_of_a_failed_refresh_leads_to_every_class_that_raises_it() -> None:
    links = re.findall(r"\]\(failure-classes\.md#(\w+)\)", text_of(RUNBOOKS / "MilvusExternalRefreshFailed.md"))
    assert sorted(links) == sorted(set(FailureClass) - UNCOUNTED)


@pytest.mark.parametrize("failure_class", FailureClass)
def test_each_class_begins_with_the_next_three_commands_to_type(failure_class: FailureClass) -> None:
    section = text_of(CLASSES).split(f"\n## {failure_class}\n")[1].split("\n## ")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert re.findall(r"# (\d)\. ", commands) == ["1", "2", "3"]
    assert len(commands.splitlines()) == 3


@name_of
def test_every_recorded_series_that_is_named_exists(page: Path) -> None:
    assert set(re.findall(r"\bcollection:\w+:\w+", text_of(page))) <= set(rules())


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.page.stem)
def test_a_query_uses_labels_that_its_metrics_have(query: Query) -> None:
    for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", query.text):
        own = FAMILIES[metric].labels if metric in FAMILIES else ()
        labels = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', matchers))
        assert labels <= {*own, *TARGET_LABELS}, metric
    for names in re.findall(r"\b(?:by|without|on|ignoring|group_left) \(([^)]*)\)", query.text):
        assert set(re.findall(r"\w+", names)) <= CONTRACT_LABELS | TARGET_LABELS


@name_of
def test_every_state_class_and_kind_that_is_named_exists(page: Path) -> None:
    text = text_of(page)
    assert set(re.findall(r"\bRefresh(?!ExternalCollection)[A-Z]\w+", text)) <= set(State)
    assert values("failure_class", text) <= set(FailureClass)
    assert values("kind", text) <= set(KINDS)
    assert values("state", text) <= set(State)


def values(label: str, text: str) -> set[str]:
    """Return what ``label`` is compared with."""
    return {each for found in re.findall(rf'\b{label}=~?"([^"]+)"', text) for each in found.split("|")}


def test_the_runbook_of_outdated_data_knows_every_kind_of_error() -> None:
    page = text_of(RUNBOOKS / "MilvusExternalRefreshDataOutdated.md")
    table = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(table))) == sorted(KINDS)


@name_of
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(text_of(file)), target


@name_of
def test_every_milvus_issue_that_is_linked_is_one_that_docs_milvus_knows(page: Path) -> None:
    issue = r"\[#(\d+)\]\(https://github\.com/milvus-io/milvus/(?:issues|pull)/(\d+)\)"
    known = set(re.findall(issue, text_of(DOCS / "milvus.md")))
    linked = set(re.findall(issue, text_of(page)))
    assert linked <= known
    assert all(shown == target for shown, target in linked)
    assert text_of(page).count("https://github.com/") == len(re.findall(issue, text_of(page)))


@name_of
def test_every_command_of_the_exporter_exists(page: Path) -> None:
    used = re.findall(r"\bmilvus-refresh-exporter (?!-)([a-z]+)", "\n".join(blocks(page, "sh")))
    assert set(used) <= set(COMMANDS)


@name_of
def test_every_path_that_is_fetched_from_the_exporter_is_answered(page: Path) -> None:
    for path in set(re.findall(r"localhost:19540(/[\w/-]*)", text_of(page))):
        assert asyncio.run(_status(path)) == 200, path


async def _status(path: str) -> int:
    async def metrics(*_: str) -> Reply:
        return Reply(200, "text/plain", (b"",))

    async def reload() -> tuple[str, ...]:
        return ()

    app = create_app(
        metrics=metrics,
        healthy=lambda: True,
        ready=lambda: True,
        config_text=str,
        telemetry_path="/metrics",
        reload=reload,
    )
    method = "POST" if path == "/-/reload" else "GET"
    return (await app(Request(method, path.encode()))).status


@name_of
def test_commands_are_ones_that_a_shell_can_read(page: Path) -> None:
    shell = shutil.which("bash") or missing("bash is not installed")
    for block in blocks(page, "sh"):
        done = subprocess.run([shell, "-n"], input=block, text=True, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


@name_of
def test_functions_are_used_as_the_index_defines_them(page: Path) -> None:
    defined = set(re.findall(r"^(\w+)\(\) \{", "\n".join(blocks(INDEX, "sh")), re.MULTILINE))
    used = set(re.findall(r"(?<![\w$/-])milvus_(?!external)[a-z_]+", text_of(page)))
    assert used <= defined
    assert {"metric", "milvus_jobs", "milvus_refresh"} <= defined


@name_of
def test_python_that_is_handed_to_milvus_py_compiles(page: Path) -> None:
    for source in re.findall(r"milvus_py '([^']+)'", text_of(page)):
        compile(source, page.name, "exec")


@pytest.mark.real
@pytest.mark.parametrize("release", ["system", "debian-trixie", "debian-forky"])
def test_prometheus_reads_every_query(release: str, tmp_path: Path) -> None:
    """Each is checked as a recording rule; promtool has no other way to be given many."""
    promtool = generations("promtool").get(release) or missing(f"there is no promtool of {release}")
    records = [{"record": f"runbook:{number}", "expr": query.text} for number, query in enumerate(QUERIES)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": records}]}), encoding="utf-8")
    arguments = [promtool, "check", "rules", "--lint=none", str(file)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout
