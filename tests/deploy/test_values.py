"""The chart's values: texts arrive as texts, null has a meaning, and what cannot work is refused in words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.parts import ROOT

from deploy.rendering import CHART, NAMESPACE, Objects, helm, names, objects, of_kind, run, template, workload, write

pytestmark = pytest.mark.real

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
EVERYTHING: dict[str, Any] = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text("utf-8"))
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
TRICKY = ("2024", "on", "1e3", "0x1f", "~", "eu #2", "a: b", "- x", "*y", "it's", 'say "x"', "{{ x }}", "%d", "007")
"""Texts that YAML takes for something else where they are not quoted."""


def rendered(values: Any, folder: Path, *arguments: str, release: str = "milvus-refresh-exporter") -> Objects:
    file = folder / "values.yaml"
    file.write_text(json.dumps(values) if not isinstance(values, str) else values, encoding="utf-8")
    line = ("helm", "template", release, str(CHART), "--namespace", NAMESPACE, "--values", str(file), *arguments)
    done = run("kubernetes", *line)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def assert_kubernetes_takes(made: Objects, folder: Path) -> None:
    plain = [each for each in made if not each["apiVersion"].startswith("monitoring.")]
    paths = map(str, write(plain, folder / "made"))
    done = run("deploy", "bin/kubernetes-validate", "--strict", "-k", "1.31", *paths)
    assert done.returncode == 0, done.stdout + done.stderr


# Texts


@pytest.mark.parametrize("text", TRICKY)
def test_a_text_arrives_as_that_text(text: str, tmp_path: Path) -> None:
    given = {
        "config": {"targets": {text: {"milvus": {"uri": "http://milvus:19530"}}}},
        "serviceMonitor": {"enabled": True, "milvus": text, "jobName": text, "labels": {"team": text}},
        "probe": {"enabled": True},
        "prometheusRule": {"enabled": True, "extraLabels": {"team": text}, "extraAnnotations": {"note": text}},
        "dashboards": {"enabled": True, "annotations": {"folder": text}},
        "credentials": {"existingSecret": "20260101"},
        "webConfig": {"existingSecret": "1e3", "key": "on"},
        "imagePullSecrets": [{"name": "2024"}],
        "serviceAccount": {"name": "2026", "annotations": {"note": text}},
        "state": {"enabled": True, "storageClassName": "1e3"},
        "service": {"annotations": {"note": text}},
        "priorityClassName": "1e3",
        "nameOverride": "2024",
        "image": {"tag": "1e3"},
        "podAnnotations": {"note": text},
    }
    made = rendered(given, tmp_path)
    (monitor,), (probe,), (rule,) = (of_kind(made, kind) for kind in ("ServiceMonitor", "Probe", "PrometheusRule"))
    relabelings = {one["targetLabel"]: one["replacement"] for one in monitor["spec"]["endpoints"][0]["relabelings"]}
    assert relabelings == {"job": text, "milvus": text}
    assert monitor["metadata"]["labels"]["team"] == text
    assert probe["spec"]["jobName"] == f"{text}-targets"
    assert probe["spec"]["targets"]["staticConfig"]["static"] == [text]
    alerts = [each for group in rule["spec"]["groups"] for each in group["rules"] if "alert" in each]
    assert all(each["labels"]["team"] == each["annotations"]["note"] == text for each in alerts)
    pod = workload(made)["spec"]["template"]
    volumes = {each["name"]: each["secret"]["secretName"] for each in pod["spec"]["volumes"] if "secret" in each}
    assert volumes == {"credentials": "20260101", "web": "1e3"}
    assert pod["spec"]["priorityClassName"] == "1e3"
    assert pod["spec"]["serviceAccountName"] == "2026"
    assert pod["metadata"]["annotations"]["note"] == text
    plain = [each for each in made if not each["apiVersion"].startswith("monitoring.")]
    done = run(
        "deploy", "bin/kubernetes-validate", "--strict", "-k", "1.31", *map(str, write(plain, tmp_path / "made"))
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("release", ["2026", "1e3", "on", "7.lake", "lake.prod", "milvus-refresh-exporter"])
def test_a_release_of_any_name_makes_objects_that_kubernetes_takes(release: str, tmp_path: Path) -> None:
    """A Service's name begins with a letter and has no dots, other names may do without."""
    made = rendered({"serviceMonitor": {"enabled": True}}, tmp_path, release=release)
    for each in made:
        assert SERVICE_NAME.fullmatch(each["metadata"]["name"]), each["metadata"]
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == release
    assert_kubernetes_takes(made, tmp_path)


def test_two_releases_in_one_namespace_share_no_name(tmp_path: Path) -> None:
    (one, other) = (names(rendered(EVERYTHING, tmp_path, release=release)) for release in ("first", "2026"))
    assert not set(one) & set(other)
    assert len(one) == len(other)


def test_two_releases_with_the_same_targets_are_two_replicas_of_one_milvus(tmp_path: Path) -> None:
    """What Prometheus would scrape twice under the same labels would be one series with two truths."""
    given = {"config": {"targets": {"a": {}}}, "probe": {"enabled": True}}
    urls = set()
    for release in ("first", "second"):
        (probe,) = of_kind(rendered(given, tmp_path, release=release), "Probe")
        relabelings = probe["spec"]["targets"]["staticConfig"]["relabelingConfigs"]
        assert {"sourceLabels": ["__address__"], "targetLabel": "instance"} in relabelings
        urls.add(probe["spec"]["prober"]["url"])  # the operator makes it the address, before these
    assert len(urls) == 2


# Null


@pytest.mark.parametrize("key", VALUES)
def test_a_value_set_to_null_is_off_or_empty_or_its_default(key: str, tmp_path: Path) -> None:
    made = rendered({key: None}, tmp_path)
    gone = {
        "networkPolicy": ["NetworkPolicy"],
        "podDisruptionBudget": ["PodDisruptionBudget"],
        "serviceAccount": ["ServiceAccount"],
    }.get(key, [])
    assert {each["kind"] for each in helm()} - {each["kind"] for each in made} == set(gone)


OPTIONAL = ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards", "state")


@pytest.mark.parametrize("key", [key for key, value in VALUES.items() if isinstance(value, dict) and value])
def test_a_part_set_to_null_is_empty_or_its_default(key: str, tmp_path: Path) -> None:
    if key == "config":
        made = rendered({key: {"milvus": None}}, tmp_path)
    else:
        made = rendered(
            {key: {**dict.fromkeys(VALUES[key]), **({"enabled": True} if key in OPTIONAL else {})}}, tmp_path
        )
    assert workload(made)["spec"]["replicas"] == 1
    assert_kubernetes_takes(made, tmp_path)


def test_every_template_begins_with_what_null_means() -> None:
    for path in [*CHART.glob("templates/**/*.yaml"), CHART / "templates" / "NOTES.txt"]:
        assert path.read_text("utf-8").startswith('{{- include "mre.prepare" . -}}\n'), path.name


# What cannot work


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ("replicaCuont: 2", "replicaCuont"),
        ("state: {enable: true}", "enable"),
        ("config: {milvus: {token: CANARYx7}}", "/config/milvus/token"),
        ("config: {milvus: {password: CANARYx7}}", "/config/milvus/password"),
        ('config: {milvus: {uri: "http://user:CANARYx7@milvus"}}', "/config/milvus/uri"),
        ("config: {targets: {a: {milvus: {uri: x, token: CANARYx7}}}}", "/config/targets/a/milvus/token"),
        ('config: {web: {listen_address: [":1"]}}', "/config/web/listen_address"),
        ("config: {state: {path: /x}}", "/config/state/path"),
        ("serviceMonitor: {interval: 30 seconds}", "/serviceMonitor/interval"),
        ("shards: 2", "shards: has no effect"),
        ("{shards: 2, replicaCount: 2, config: {targets: {a: {}}}}", "shards and replicaCount"),
        ("{serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}", "everything is scraped twice"),
        ("probe: {enabled: true}", "need config.targets"),
        ("{probe: {enabled: true}, scrapeConfig: {enabled: true}, config: {targets: {a: {}}}}", "scraped twice"),
        ("{probe: {enabled: true}, shards: 2, config: {targets: {a: {}}}}", "use scrapeConfig"),
        ("{probe: {enabled: true}, replicaCount: 2, config: {targets: {a: {}}}}", "install the chart twice"),
        ("{scrapeConfig: {enabled: true}, replicaCount: 2, config: {targets: {a: {}}}}", "install the chart twice"),
        ("{probe: {enabled: true, targets: [b]}, config: {targets: {a: {}}}}", '"b" is not in config.targets'),
        ("serviceMonitor: {relabelings: [{targetLabel: job, replacement: x}]}", "serviceMonitor.jobName"),
        ("serviceMonitor: {interval: 30s, scrapeTimeout: 1m}", "scrapeTimeout is longer than interval"),
        ("probes: {scheme: HTTPS}", "needs a webConfig"),
        ("credentials: {existingSecret: s, userKey: user}", "userKey and passwordKey go together"),
        ("credentials: {existingSecret: s, keyKey: key}", "certKey and keyKey go together"),
        ('config: {milvus: {uri: "http://milvus:29530"}}', "milvusPorts: lacks 29530"),
        ('config: {targets: {a: {milvus: {uri: "https://milvus:29530/"}}}}', "milvusPorts: lacks 29530"),
        ('fullnameOverride: "2026"', "/fullnameOverride"),
        ("prometheusRule: {thresholds: {pendnig: 5m}}", "pendnig"),
        ("prometheusRule: {thresholds: {pending: 5 minutes}}", "/thresholds/pending"),
        ("prometheusRule: {thresholds: {pending: 0m}}", "/thresholds/pending"),
        ("prometheusRule: {thresholds: {sharedFrom: 0}}", "/thresholds/sharedFrom"),
        ("prometheusRule: {thresholds: {scrapesGood: 1.5}}", "/thresholds/scrapesGood"),
        ("prometheusRule: {enabled: true, thresholds: {baselineLasts: 1m}}", "must be longer than historyInterval"),
        ("prometheusRule: {enabled: true, thresholds: {collectionsInterval: 5m}}", "must be shorter than 5m"),
        (
            "{prometheusRule: {enabled: true, thresholds: {gap: 1m}}, serviceMonitor: {enabled: true, interval: 45s}}",
            "at least twice",
        ),
        ("prometheusRule: {alerts: {MilvusExternalRefreshSlwo: {enabled: false}}}", "MilvusExternalRefreshSlwo"),
        ("prometheusRule: {alerts: {MilvusExternalRefreshSlow: {enable: false}}}", "enable"),
        ("prometheusRule: {alerts: {MilvusExternalRefreshSlow: null}}", "MilvusExternalRefreshSlow"),
        (
            "prometheusRule: {enabled: true, alerts: {MilvusExternalRefreshUnreliable: {enabled: false}}}",
            "thresholds.unreliableFailures",
        ),
        ("prometheusRule: {severities: {bad: page}}", "bad"),
        ("prometheusRule: {enabled: true, extraLabels: {cluster: one}}", "cluster is a label that alerts have already"),
        (
            "prometheusRule: {enabled: true, alerts: {MilvusExternalRefreshSlow: {labels: {severity: x}}}}",
            "severity is a label",
        ),
        ('prometheusRule: {grafana: "grafana.example.com"}', "/prometheusRule/grafana"),
    ],
)
def test_a_value_that_cannot_work_is_refused_before_anything_is_installed(
    values: str, named: str, tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(values, encoding="utf-8")
    done = template("--values", str(file))
    assert done.returncode != 0
    assert named in done.stderr.replace("'", ""), done.stderr


def test_every_value_has_a_schema_and_a_row_in_the_readme() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    readme = (CHART / "README.md").read_text("utf-8")

    def walk(have: dict[str, Any], known: dict[str, Any], path: str) -> None:
        for key, value in have.items():
            assert key in known["properties"], path + key
            below = known["properties"][key]
            if isinstance(value, dict) and value and below.get("additionalProperties") is False:
                walk(value, below, f"{path}{key}.")
            else:
                assert re.search(rf"^\| `{re.escape(path + key)}` \| .+ \| \S.+ \|$", readme, re.MULTILINE), path + key

    walk(values, schema, "")


def test_what_the_chart_takes_over_is_up_to_date() -> None:
    line = [sys.executable, str(ROOT / "tools" / "generate_chart.py"), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NOTES = {
    "Without state.enabled": "state.enabled=true",
    "Nothing scrapes it yet": "serviceMonitor.enabled=true",
    "No alerts yet": "prometheusRule.enabled=true",
    "No collection has an age": "config.freshness.max_age=26h",
}


def notes(*settings: str) -> str:
    flags = [flag for setting in settings for flag in ("--set", setting)]
    done = run("kubernetes", "helm", "install", "x", str(CHART), "--dry-run=client", *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


@pytest.mark.parametrize(("said", "setting"), NOTES.items())
def test_the_notes_say_what_is_still_missing(said: str, setting: str) -> None:
    assert said in notes()
    assert said not in notes(setting)


def test_the_notes_say_that_links_lead_to_examples() -> None:
    said, ours = "Links of alerts lead to examples", ("runbooks=https://wiki.org", "grafana=https://grafana.org")
    assert said in notes("prometheusRule.enabled=true")
    assert said not in notes("prometheusRule.enabled=true", *(f"prometheusRule.{each}" for each in ours))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{}", False),
        ("{existingSecret: login}", True),
        ("{existingSecret: login}, config: {inventory: {enabled: false}}", False),
    ],
    ids=["without credentials", "with credentials", "jobs only"],
)
def test_the_notes_name_the_grants_that_show_collections(values: str, said: bool, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(f"{{credentials: {values}}}", encoding="utf-8")
    done = run("kubernetes", "helm", "install", "x", str(CHART), "--dry-run=client", "--values", str(file))
    assert done.returncode == 0, done.stderr
    assert ("DescribeCollection and IndexDetail" in done.stdout) is said
