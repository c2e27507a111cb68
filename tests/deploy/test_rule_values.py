"""What may be set on the rules: the Helm chart and the mixin take the same, and do the same with it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.parts import ROOT, generations, missing

from deploy.rendering import CHART, Objects, of_kind, template

sys.path.insert(0, str(ROOT / "tools"))

from rules import Alert, Parameters, duration, groups, opened
from rules.rendering import rule_file

pytestmark = pytest.mark.real

DEPLOY = ROOT / "deploy"
SHIPPED: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/milvus-refresh.rules.yml").read_text("utf-8"))[
    "groups"
]
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
ALERTS = opened.every_alert()
SLOW, STUCK, CLOCK = "MilvusExternalRefreshSlow", "MilvusExternalRefreshStuck", "MilvusExternalRefreshClockWrong"

Groups = list[dict[str, Any]]
Fill = Callable[[dict[str, Any]], Groups]


def chart(values: dict[str, Any], folder: Path) -> Objects:
    file = folder / "values.yaml"
    file.write_text(json.dumps(values), encoding="utf-8")
    done = template("--values", str(file))
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def mixin(config: dict[str, Any], what: str) -> Any:
    """Return a part of the mixin under a configuration. Raises ``RuntimeError`` with what jsonnet says."""
    jsonnet = pytest.importorskip("_jsonnet", reason="jsonnet is not installed (pip install jsonnet)")
    snippet = f"local m = (import '{DEPLOY}/mixin/mixin.libsonnet') + {{ _config+:: {json.dumps(config)} }}; {what}"
    return json.loads(jsonnet.evaluate_snippet("mixin", snippet))


@pytest.fixture(params=["chart", "mixin"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Fill:
    """Return the groups that come of settings, in the order of the rule file."""

    def by_chart(settings: dict[str, Any]) -> Groups:
        (rule,) = of_kind(chart({"prometheusRule": {"enabled": True, **settings}}, tmp_path), "PrometheusRule")
        made: Groups = rule["spec"]["groups"]
        return made

    def by_mixin(settings: dict[str, Any]) -> Groups:
        made = mixin(settings, "m.prometheusAlerts.groups + m.prometheusRules.groups")
        order = [group["name"] for group in SHIPPED]
        return sorted(made, key=lambda group: order.index(group["name"]))

    return by_chart if request.param == "chart" else by_mixin


def alerts(made: Groups) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in made for rule in group["rules"] if "alert" in rule}


def test_with_nothing_set_they_are_the_rule_file(filled: Fill) -> None:
    assert filled({}) == SHIPPED


def other(number: int, each: dict[str, Any]) -> tuple[Any, Any]:
    """Return another value than the default: as the generator takes it and as it is set."""
    if each["kind"] == "duration":
        seconds = (number + 2) * 3600 + 60 * number
        return seconds, duration(seconds)
    return (number + 1000,) * 2 if each["kind"] == "count" else ((number + 1) / 64,) * 2


def test_every_threshold_is_put_where_the_generator_puts_it(filled: Fill) -> None:
    """Each has a value that no other has, so that none can stand in for another."""
    changed = {name: other(number, each) for number, (name, each) in enumerate(opened.thresholds().items())}
    changed["collections_interval"] = 219, "219s"
    for longer, than in (("baseline_lasts", "history_interval"), ("baseline", "baseline_interval")):
        changed[longer], changed[than] = sorted((changed[longer], changed[than]), reverse=True)
    p = dataclasses.replace(Parameters(), **{name: value for name, (value, _) in changed.items()})
    made = filled({"thresholds": {opened.camel(name): setting for name, (_, setting) in changed.items()}})
    assert made == yaml.safe_load(rule_file(groups(p), p))["groups"]
    assert made != SHIPPED


def test_every_threshold_is_in_some_rule() -> None:
    text = opened.text()
    for name in opened.thresholds():
        assert re.search(rf"\$\((\w+\+)?{opened.camel(name)}[:+)]", text), name


@pytest.mark.parametrize("seconds", ["90s", "150m", "36h", "7d", "86400s", "120m"])
def test_a_time_may_be_written_in_any_unit(filled: Fill, seconds: str) -> None:
    length = int(seconds[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[seconds[-1]]
    p = dataclasses.replace(Parameters(), gap=length, pending=length)
    made = filled({"thresholds": {"gap": seconds, "pending": seconds}})
    assert made == yaml.safe_load(rule_file(groups(p), p))["groups"]


def test_an_alert_that_is_switched_off_is_gone_and_no_other(filled: Fill) -> None:
    made = alerts(filled({"alerts": {SLOW: {"enabled": False}, STUCK: {"enabled": True}}}))
    assert set(alerts(SHIPPED)) - set(made) == {SLOW}


def test_a_group_of_which_all_is_switched_off_is_gone(filled: Fill) -> None:
    (group,) = [group for group in SHIPPED if [rule.get("alert") for rule in group["rules"]] == [CLOCK]]
    made = filled({"alerts": {CLOCK: {"enabled": False}}})
    assert made == [each for each in SHIPPED if each is not group]


def test_one_alert_may_have_a_severity_times_labels_and_annotations_of_its_own(filled: Fill) -> None:
    own = {
        "severity": "page",
        "for": "7m",
        "keepFiringFor": "9m",
        "labels": {"team": "lake"},
        "annotations": {"x": "y"},
    }
    made = alerts(filled({"alerts": {SLOW: own}}))
    before = alerts(SHIPPED)
    assert made.pop(SLOW) == {
        **before[SLOW],
        "for": "7m",
        "keep_firing_for": "9m",
        "labels": {"severity": "page", "team": "lake"},
        "annotations": {**before[SLOW]["annotations"], "x": "y"},
    }
    assert made.items() <= before.items()


def test_severities_have_your_names_and_each_alert_your_labels(filled: Fill) -> None:
    settings = {
        "severities": {"critical": "P1", "info": "P5"},
        "extraLabels": {"team": "data", "area": "lake"},
        "extraAnnotations": {"channel": "#eu #2"},
        "alerts": {SLOW: {"labels": {"area": "speed"}}, STUCK: {"severity": "P3"}},
    }
    made, names = alerts(filled(settings)), {"critical": "P1", "warning": "warning", "info": "P5"}
    for name, before in alerts(SHIPPED).items():
        severity = "P3" if name == STUCK else names[before["labels"]["severity"]]
        area = "speed" if name == SLOW else "lake"
        assert made[name]["labels"] == {"severity": severity, "team": "data", "area": area}
        assert made[name]["annotations"] == {**before["annotations"], "channel": "#eu #2"}


def test_links_lead_where_your_runbooks_and_grafana_are(filled: Fill) -> None:
    made = filled({"runbooks": "https://wiki.example.com/milvus/", "grafana": "https://grafana.example.com/g"})
    for name, rule in alerts(made).items():
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.com/milvus/{name}.md"
        assert rule["annotations"]["dashboard_url"].startswith("https://grafana.example.com/g/d/milvus-refresh-")
    assert "localhost" not in json.dumps(made)


JOBS = r'lake\.(a|b)|say "x"'


def test_jobs_are_quoted_as_promql_wants_them(filled: Fill, tmp_path: Path) -> None:
    made = filled({"jobs": JOBS})
    assert r'up{job=~"lake\\.(a|b)|say \"x\""}' in alerts(made)["MilvusExternalRefreshExporterDown"]["expr"]
    checkers = list(generations("promtool").values()) or missing("promtool is not installed")
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": made}), encoding="utf-8")
    done = subprocess.run([checkers[0], "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("way", ["chart", "mixin"])
def test_dashboards_lead_to_your_runbooks_and_your_exporter(way: str, tmp_path: Path) -> None:
    runbooks, exporter = "https://wiki.example.com/milvus", "https://refresh.example.com"
    if way == "mixin":
        made = mixin({"runbooks": f"{runbooks}/", "exporter": exporter}, "m.grafanaDashboards")
    else:
        values = {"prometheusRule": {"runbooks": runbooks}, "dashboards": {"enabled": True, "exporter": f"{exporter}/"}}
        maps = [each for each in of_kind(chart(values, tmp_path), "ConfigMap") if "exporter.yaml" not in each["data"]]
        made = {name: json.loads(text) for each in maps for name, text in each["data"].items()}
    assert sorted(made) == [path.name for path in DASHBOARDS]
    for path in DASHBOARDS:
        text = path.read_text("utf-8").replace("http://localhost:19540", exporter)
        assert made[path.name] == json.loads(text.replace(Parameters().runbooks, runbooks))
        assert (exporter in json.dumps(made[path.name])) == ("localhost:19540" in path.read_text("utf-8"))


def test_the_charts_rules_miss_the_jobs_that_the_chart_scrapes(tmp_path: Path) -> None:
    name = "lake.exporter"
    values = {
        "config": {"targets": {"a": {}}},
        "serviceMonitor": {"enabled": True, "jobName": name},
        "scrapeConfig": {"enabled": True},
        "prometheusRule": {"enabled": True},
    }
    made = chart(values, tmp_path)
    (monitor,), (scrape,), (rule,) = (
        of_kind(made, kind) for kind in ("ServiceMonitor", "ScrapeConfig", "PrometheusRule")
    )
    expr = alerts(rule["spec"]["groups"])["MilvusExternalRefreshExporterDown"]["expr"]
    (asked,) = set(re.findall(r'up\{job=~"([^"]*)"\}', expr))
    asked = asked.replace("\\\\", "\\")
    scraped = [
        each["replacement"]
        for each in (*monitor["spec"]["endpoints"][0]["relabelings"], *scrape["spec"]["relabelings"])
        if each["targetLabel"] == "job"
    ]
    assert scraped == [name, f"{name}-targets"]
    assert all(re.fullmatch(asked, job) for job in scraped)
    assert not re.fullmatch(asked, "lakeXexporter")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"thresholds": {"pendnig": "5m"}}, "there is no pendnig; there are baseline"),
        ({"thresholds": {"pending": "5 minutes"}}, "5 minutes is no time such as 90s"),
        ({"thresholds": {"pending": 300}}, "300 is no time such as 90s"),
        ({"thresholds": {"pending": "0m"}}, "0m is no time"),
        ({"thresholds": {"sharedFrom": 0}}, "0 is no count"),
        ({"thresholds": {"scrapesGood": 1.5}}, "1.5 is no ratio"),
        ({"thresholds": {"baselineLasts": "1m"}}, "must be longer than historyInterval"),
        ({"thresholds": {"collectionsInterval": "5m"}}, "must be shorter than 5m"),
        ({"alerts": {"Slow": {"enabled": False}}}, "there is no Slow; there are Milvus"),
        ({"alerts": {SLOW: {"enable": False}}}, "there is no enable; there are enabled"),
        ({"alerts": {"MilvusExternalRefreshUnreliable": {"enabled": False}}}, "thresholds.unreliableFailures"),
        ({"severities": {"bad": "page"}}, "there is no bad; there are critical"),
        ({"extraLabels": {"cluster": "one"}}, "cluster is a label that alerts have already"),
        ({"alerts": {SLOW: {"labels": {"severity": "x"}}}}, "severity is a label"),
    ],
)
def test_the_mixin_refuses_what_cannot_work_and_says_what_would(config: dict[str, Any], named: str) -> None:
    """The chart's refusals are in test_values.py."""
    with pytest.raises(RuntimeError, match=re.escape(named)):
        mixin(config, "m.prometheusAlerts.groups")


@pytest.mark.parametrize("silent", opened.opened()["instead"])
def test_what_others_are_silent_for_is_put_out_of_reach_and_not_switched_off(filled: Fill, silent: str) -> None:
    """Its threshold is the others' too: with it out of reach nothing is left out for its sake."""
    threshold = opened.opened()["instead"][silent]
    assert len(opened.used_by()[threshold]) > 1
    assert ">= 1000000" in json.dumps(filled({"thresholds": {threshold: 1000000}}))


def test_the_readme_of_the_chart_has_every_threshold_and_every_alert() -> None:
    readme = (CHART / "README.md").read_text("utf-8")
    for name, each in opened.thresholds().items():
        (row,) = re.findall(rf"^\| `{opened.camel(name)}` \| (.+)\|$", readme, re.MULTILINE)
        default, meaning, users = (cell.strip() for cell in row.split("|"))
        assert default == f"`{each['default']}`"
        assert meaning, name
        assert users, name
    for alert in ALERTS:
        assert isinstance(alert, Alert)
        assert f"| [`{alert.name}`](../../../docs/runbooks/{alert.name}.md) | {alert.severity} |" in readme
