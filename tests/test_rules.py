"""Rules, runbooks, dashboards and Alertmanager's example agree with each other and with the metric contract."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from peers.parts import ROOT

from exporter.errors import KINDS
from exporter.metrics import contract
from exporter.metrics.contract import CONTRACT
from exporter.model import FailureClass, State

sys.path.insert(0, str(ROOT / "tools"))

from rules import Parameters

DEPLOY = ROOT / "deploy"
MANIFEST = Path("kubernetes/components/prometheus-operator/prometheusrule.yaml")
RULES = DEPLOY / "prometheus" / "milvus-refresh.rules.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"
GENERATOR = ROOT / "tools" / "generate_rules.py"

GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALL = [rule for group in GROUPS for rule in group["rules"]]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in ALL if "alert" in rule}
RECORDS = {rule["record"] for rule in ALL if "record" in rule}
NAMES = {name for one in CONTRACT for name in ((one.name,) if one.kind != "histogram" else (f"{one.name}_bucket",))}
LABELS = {one.name: set(one.labels) for one in CONTRACT} | {"ALERTS": {"alertname", "alertstate"}}
TARGET = {"job", "instance", "cluster", "namespace", "milvus"}
OF_RECORDS = TARGET.union(*LABELS.values())
VALUES = {"state": set(map(str, State)), "failure_class": set(map(str, FailureClass)), "kind": set(KINDS)}


def expressions(rule: dict[str, Any]) -> Iterator[str]:
    """The rule's own expression, and those that its texts run."""
    yield rule["expr"]
    for text in rule.get("annotations", {}).values():
        yield from re.findall(r"printf `([^`]*)`", text)


EXPRESSIONS = [
    pytest.param(expr, id=f"{rule.get('alert') or rule['record']}-{number}")
    for rule in ALL
    for number, expr in enumerate(expressions(rule))
]


def generator(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(GENERATOR), *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def test_generated_files_are_up_to_date() -> None:
    done = generator("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_notices_a_file_that_was_edited_by_hand(tmp_path: Path) -> None:
    assert generator("--to", str(tmp_path)).returncode == 0
    assert generator("--check", "--to", str(tmp_path)).returncode == 0
    edited = tmp_path / "prometheus" / "milvus-refresh.rules.yml"
    edited.write_text(edited.read_text(encoding="utf-8").replace("15m", "16m"), encoding="utf-8")
    done = generator("--check", "--to", str(tmp_path))
    assert done.returncode == 1
    assert str(edited) in done.stderr


def test_a_parameter_changes_every_file_that_it_is_in(tmp_path: Path) -> None:
    runbooks, job = "https://wiki.example.com/milvus", "lake-exporter"
    assert generator("--to", str(tmp_path), "--set", f"runbooks={runbooks}", "--set", f"jobs={job}").returncode == 0
    for made in (tmp_path / "prometheus" / "milvus-refresh.rules.yml", tmp_path / MANIFEST):
        text = made.read_text(encoding="utf-8")
        assert f"{runbooks}/MilvusExternalRefreshFailed.md" in text
        assert f'absent_over_time(up{{job=~"{job}"}}[6h])' in text


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("pendnig=5", "pending"),
        ("pending=soon", "'soon' is no int"),
        ("pending", "NAME=VALUE"),
        ("still=-1", "negative"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_what_would_be_right(
    tmp_path: Path, setting: str, named: str
) -> None:
    done = generator("--to", str(tmp_path), "--set", setting)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_for_kubernetes_holds_the_same_rules() -> None:
    manifest = yaml.safe_load((DEPLOY / MANIFEST).read_text(encoding="utf-8"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert manifest["spec"]["groups"] == GROUPS


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_every_metric_and_label_of_an_expression_exists(expr: str) -> None:
    bare = re.sub(r'"[^"]*"', '""', expr)
    used = set(re.findall(r"[a-zA-Z_:]*milvus_external_refresh_[\w:]+", bare))
    assert used <= NAMES | RECORDS
    for name, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", bare):
        known = OF_RECORDS if name in RECORDS else LABELS.get(name, set()) | TARGET
        assert set(re.findall(r"(\w+)\s*=~?", matchers)) <= known, name
    for labels in re.findall(r"(?:without|by|on|ignoring) \(([^)]*)\)", bare):
        assert set(labels.split(", ")) <= TARGET.union(*LABELS.values()), labels


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_every_state_class_and_kind_of_an_expression_exists(expr: str) -> None:
    for label, values in re.findall(r'\b(state|failure_class|kind)=~?"([^"]*)"', expr):
        assert set(values.split("|")) <= VALUES[label]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_all_its_texts_and_a_summary_without_values(name: str) -> None:
    annotations = ALERTS[name]["annotations"]
    assert list(annotations) == ["summary", "description", "runbook_url", "dashboard_url"]
    assert "$value" not in annotations["summary"]
    assert "query" not in annotations["summary"]
    assert set(ALERTS[name]["labels"]) == {"severity"}


def test_no_alert_name_has_two_severities_and_info_never_stands_alone() -> None:
    assert len(ALERTS) == len([rule for rule in ALL if "alert" in rule])
    severities = {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}
    assert set(severities.values()) == {"critical", "warning", "info"}
    assert {name for name, level in severities.items() if level == "info"} == {
        "MilvusExternalRefreshSlow",
        "MilvusExternalRefreshIndexWaitTimedOut",
    }


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_on_a_collection_says_the_reason_and_links_to_it(name: str) -> None:
    annotations, of_collection = ALERTS[name]["annotations"], "database" in ALERTS[name]["annotations"]["summary"]
    many = {"MilvusExternalManyCollectionsStale", "MilvusExternalRefreshSourceFailing"}
    assert ("Reason: " in annotations["description"]) == of_collection
    assert ("One reason: " in annotations["description"]) == (name in many)
    assert ("var-collection=" in annotations["dashboard_url"]) == of_collection


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("Milvus*.md")}
    assert pages == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_is_headed_by_its_alert_and_tells_its_severity_and_times(name: str) -> None:
    rule, text = ALERTS[name], (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert ALERTS[name]["annotations"]["runbook_url"].endswith(f"/{name}.md")
    times = f"for: {rule.get('for', 'none')} · keep_firing_for: {rule.get('keep_firing_for', 'none')}"
    assert f"Severity: {rule['labels']['severity']} · {times}" in text


@pytest.mark.parametrize("name", ALERTS)
def test_a_dashboard_link_leads_to_a_dashboard_with_those_variables(name: str) -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in (DEPLOY / "grafana").glob("*.json")]
    variables = {board["uid"]: {one["name"] for one in board["templating"]["list"]} for board in boards}
    link = urlsplit(re.sub(r"\{\{.*?\}\}", "", ALERTS[name]["annotations"]["dashboard_url"]))
    uid = link.path.removeprefix("/d/")
    given = {key.removeprefix("var-") for key in parse_qs(link.query, keep_blank_values=True)}
    given |= set(re.findall(r"var-(\w+)=", ALERTS[name]["annotations"]["dashboard_url"]))
    assert given <= variables[uid]
    assert "milvus" in given


def test_alertmanagers_example_speaks_of_alerts_and_labels_that_exist() -> None:
    path = DEPLOY / "alertmanager" / "alertmanager.example.yml"
    example = yaml.safe_load(path.read_text(encoding="utf-8"))
    matchers = [
        matcher
        for rule in example["inhibit_rules"]
        for side in ("source", "target")
        for matcher in rule[f"{side}_matchers"]
    ]
    for matcher in matchers:
        pattern = re.fullmatch(r'alertname (?:=|=~) "(.*)"', matcher)
        assert pattern, matcher
        for name in alternatives(pattern[1]):
            assert name in ALERTS
    route = example["route"]["routes"][0]
    labels = [route["group_by"], *(rule["equal"] for rule in example["inhibit_rules"])]
    assert {label for some in labels for label in some} <= TARGET.union(LABELS[contract.LAST_FAILURE_INFO.name])
    for some in labels:
        assert set(Parameters().identity) <= set(some), "one Milvus would mute another"


def alternatives(pattern: str) -> list[str]:
    """Spell ``a(b|c)|d(e)`` out."""
    found = []
    for stem, group in re.findall(r"([A-Za-z]+)(?:\(([^)]*)\))?", pattern):
        found += [stem + ending for ending in group.split("|")] if group else [stem]
    return found


def test_the_example_configuration_of_prometheus_loads_the_rules_under_the_job_that_they_ask_for() -> None:
    example = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.example.yml").read_text(encoding="utf-8"))
    assert example["rule_files"] == [RULES.name]
    many = yaml.safe_load((DEPLOY / "prometheus" / "many-milvus.example.yml").read_text(encoding="utf-8"))
    (asked,) = set(re.findall(r'up\{job=~"([^"]*)"\}', ALERTS["MilvusExternalRefreshExporterDown"]["expr"]))
    for job in (*example["scrape_configs"], *many["scrape_configs"]):
        assert re.fullmatch(asked, job["job_name"])
