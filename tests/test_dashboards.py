"""The checked-in dashboards keep every rule that Grafana's own linter has, and some of ours."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_files import EVERYTHING, NAMES, filled, groups, load, panels, targets, variables_in
from peers.parts import ROOT, fetched, generations, missing, program

from exporter.metrics.contract import CONTRACT
from exporter.model import State

CORE_PANELS = {"row", "stat", "table", "timeseries", "state-timeline", "bargauge", "heatmap", "text"}
UNITS = {"s", "percentunit", "none", "short", "bytes", "dateTimeAsIso", "dateTimeAsIsoNoDateIfToday"}
LIST, DETAIL, EXPORTER = NAMES
BUILT_IN = {"__interval", "__rate_interval", "__range", "__url_time_range", "__data", "__field", "__value", "__all"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
FOREIGN = {
    "ALERTS": {"alertname", "alertstate", "severity"},
    "up": set(),
    "process_start_time_seconds": set(),
    "process_resident_memory_bytes": set(),
    "scrape_samples_scraped": set(),
}
"""What is neither ours nor recorded, and the labels used of it."""
IDENTITY = {"cluster", "namespace", "job", "milvus"}
OF_THE_TARGET = {*IDENTITY, "instance"}
RULES = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"


@pytest.fixture(params=NAMES)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return load(request.param)


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """Every PromQL expression: of panels and of annotations."""
    found = [target.expr for target in targets(dashboard["uid"])]
    return found + [each["expr"] for each in dashboard["annotations"]["list"]]


def rules() -> list[dict[str, Any]]:
    if not RULES.exists():
        pytest.skip(f"{RULES} is not there")
    found = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


# Grid and identity


def test_ids_and_ref_ids_are_unique(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in panels(dashboard, rows=True)]
    assert len(ids) == len(set(ids))
    for panel in panels(dashboard):
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(refs) == len(set(refs)), panel["title"]
        assert all(refs), panel["title"]


def test_panels_lie_on_the_grid_and_on_nothing_else(dashboard: dict[str, Any]) -> None:
    for group in groups(dashboard):
        boxes = [(panel["gridPos"], panel["title"]) for panel in group]
        for box, title in boxes:
            assert box["x"] >= 0, title
            assert box["w"] > 0, title
            assert box["h"] > 0, title
            assert box["x"] + box["w"] <= 24, title
        for (one, first), (other, second) in itertools.combinations(boxes, 2):
            beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert beside or apart, f"{first!r} and {second!r} overlap"


def test_what_matters_most_is_on_the_first_screen() -> None:
    """A full-HD browser shows about 23 units below Grafana's own bars; whether all is watched is the first panel."""
    shown = panels(load("milvus-refresh-list"))
    (table,) = [panel for panel in shown if panel["title"].startswith("Collections in trouble")]
    assert table["gridPos"]["y"] + table["gridPos"]["h"] <= 18
    for name in NAMES:
        first = panels(load(name))[0]
        assert first["title"] == "Not watched now"
        assert (first["gridPos"]["x"], first["gridPos"]["y"]) == (0, 1)


# What a panel says


def test_every_panel_has_title_description_and_unit(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["title"].strip()
        assert panel["description"].strip().endswith("."), panel["title"]
        if panel["type"] != "text":
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            units = [each["value"] for each in override["properties"] if each["id"] == "unit"]
            assert set(units) <= UNITS, panel["title"]


def test_panels_are_of_grafanas_core(dashboard: dict[str, Any]) -> None:
    assert {panel["type"] for panel in panels(dashboard, rows=True)} <= CORE_PANELS
    assert "libraryPanel" not in json.dumps(dashboard)


def mappings(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Every value mapping, of panels and of columns."""
    configs = [panel.get("fieldConfig", {}) for panel in panels(dashboard)]
    own = [each for config in configs for each in config.get("defaults", {}).get("mappings", [])]
    properties = [each for config in configs for o in config.get("overrides", []) for each in o["properties"]]
    return own + [mapping for each in properties if each["id"] == "mappings" for mapping in each["value"]]


def results(mapping: dict[str, Any]) -> list[dict[str, Any]]:
    options = mapping["options"]
    return [options["result"]] if mapping["type"] in ("range", "regex", "special") else list(options.values())


def test_only_what_is_bad_fills_a_tile(dashboard: dict[str, Any]) -> None:
    """And that all is watched, on which everything else depends."""
    bad, odd, calm = "#D55E00", "#E69F00", "#0B5345"
    for panel in panels(dashboard):
        if panel["type"] != "stat":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        colors = {step["color"] for step in defaults["thresholds"]["steps"]}
        colors |= {result["color"] for mapping in defaults["mappings"] for result in results(mapping)}
        assert colors <= {bad, odd, "transparent"} | ({calm} if panel["title"] == "Not watched now" else set()), panel[
            "title"
        ]


def test_no_state_is_told_by_colour_alone(dashboard: dict[str, Any]) -> None:
    assert mappings(dashboard)
    for mapping in mappings(dashboard):
        assert all(result["text"].strip() for result in results(mapping))


# Viénot, Brettel, Mollon 1999: what somebody without red or green cones sees, in linear RGB.
LINEAR = {
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


def seen(color: str, how: str) -> tuple[float, float, float]:
    """A colour in CIELAB, as somebody with this colour vision sees it."""
    bytes_ = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in bytes_]
    if how in LINEAR:
        linear = [sum(m * v for m, v in zip(row, linear, strict=True)) for row in LINEAR[how]]
    r, g, b = (min(max(value, 0.0), 1.0) for value in linear)
    xyz = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b, (
        0.0193 * r + 0.1192 * g + 0.9505 * b
    ) / 1.089  # fmt: skip
    x, y, z = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("how", ["usual", *LINEAR])
def test_states_differ_in_colour_for_colour_blind_readers_too(dashboard: dict[str, Any], how: str) -> None:
    """15 in CIELAB is far more than the just noticeable difference of about 2."""
    for mapping in mappings(dashboard):
        colors = sorted({result["color"] for result in results(mapping)} - {"transparent"})
        for one, other in itertools.combinations(colors, 2):
            assert math.dist(seen(one, how), seen(other, how)) > 15, (one, other)


# Variables and data source


def test_every_variable_is_declared_and_used(dashboard: dict[str, Any]) -> None:
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    # A variable's own definition does not make it used.
    uses = set()
    for variable in dashboard["templating"]["list"]:
        uses |= variables_in(json.dumps(variable)) - {variable["name"], *BUILT_IN}
    rest = {key: value for key, value in dashboard.items() if key != "templating"}
    repeats = {panel["repeat"] for panel in panels(dashboard, rows=True) if panel.get("repeat")}
    uses |= (variables_in(json.dumps(rest)) | repeats) - BUILT_IN
    assert uses == declared


def test_variables_cascade_from_what_outlives_a_stale_snapshot(dashboard: dict[str, Any]) -> None:
    order = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert order[:5] == ["datasource", "cluster", "namespace", "job", "milvus"]
    assert order[5:8] == ([] if dashboard["uid"] == EXPORTER else ["database", "collection", "source"])
    kept = {metric.name for metric in CONTRACT if metric.part != "jobs"}
    for place, variable in enumerate(dashboard["templating"]["list"]):
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r'label_values\(\{__name__=~?"([^"]+)"(.*)\}, (\w+)\)', variable["query"])
        assert found, variable["query"]
        assert found[3] == variable["name"]
        assert set(found[1].split("|")) & kept
        assert variables_in(found[2]) <= set(order[:place])
        assert variable["refresh"] == 2, "reload on time change"
        assert variable["datasource"] == SOURCE


def test_no_job_and_no_data_source_is_fixed(dashboard: dict[str, Any]) -> None:
    found: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.extend([node["datasource"]] if "datasource" in node else [])
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    walk(dashboard)
    assert found
    assert all(each == SOURCE for each in found)
    for expression in expressions(dashboard):
        for _, matchers in selectors(expression):
            scope = {name: value.removesuffix("|") for name, _, value in matchers if value.startswith("$")}
            asked = IDENTITY - ({"milvus"} if "milvus" not in scope else set())
            assert {name: scope.get(name) for name in asked} == {name: f"${name}" for name in asked}, expression


def test_it_is_read_only_and_shows_a_day_every_minute_with_a_shared_crosshair(dashboard: dict[str, Any]) -> None:
    assert dashboard["editable"] is False
    assert dashboard["time"] == {"from": "now-24h", "to": "now"}
    assert (dashboard["refresh"], dashboard["graphTooltip"]) == ("1m", 1)
    assert "id" not in dashboard


def test_failures_successes_and_restarts_are_marked(dashboard: dict[str, Any]) -> None:
    marks = {each["name"]: each for each in dashboard["annotations"]["list"]}
    of_collections = set() if dashboard["uid"] == EXPORTER else {"Failures", "Successes"}
    assert set(marks) == {"Exporter starts", *of_collections}
    # Those of a thousand collections are too many to load unasked.
    unasked = {name for name, mark in marks.items() if mark["enable"]}
    assert unasked == {"Exporter starts"} | ({"Failures"} if dashboard["uid"] == DETAIL else set())
    # Marked at the stamp itself, which Grafana wants in milliseconds.
    assert all(each["useValueForTime"] and each["expr"].endswith("* 1000") for each in marks.values())


# Expressions


def selectors(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Every selector of an expression: name and (label, operator, value), variables as they stand."""
    parser = pytest.importorskip("promql_parser")
    macros = {name: value for name, value in EVERYTHING.items() if name.startswith("__")}
    text = re.sub(r"\$(__\w+)", lambda match: macros.get(match[1], match[0]), expression)
    found = []

    def visit(node: Any) -> bool:
        if isinstance(node, parser.VectorSelector):
            found.append((node.name or "", [(m.name, str(m.op), m.value) for m in node.matchers.matchers]))
        return True

    parser.walk(parser.parse(text), visit)
    return found


def test_every_metric_and_label_is_in_the_contract(dashboard: dict[str, Any]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    labels: dict[str, set[str]] = FOREIGN | {record: {"database", "collection"} for record in recorded}
    for metric in CONTRACT:
        parts = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        labels.update({metric.name + part: {*metric.labels, "le"} for part in parts})
    for expression in expressions(dashboard):
        for name, matchers in selectors(expression):
            if not name:
                (pattern,) = [value for label, _, value in matchers if label == "__name__"]
                assert any(re.fullmatch(pattern, each) for each in recorded), pattern
                continue
            assert name in labels, f"{name} is not in the contract"
            assert {label for label, _, _ in matchers} <= labels[name] | OF_THE_TARGET, expression


def test_every_label_named_in_a_grouping_exists(dashboard: dict[str, Any]) -> None:
    known = {label for metric in CONTRACT for label in metric.labels} | OF_THE_TARGET | {"le"}
    for expression in expressions(dashboard):
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= known, group


def test_every_state_is_one_of_milvus(dashboard: dict[str, Any]) -> None:
    states = {str(state) for state in State}
    for expression in expressions(dashboard):
        for _, matchers in selectors(expression):
            for label, _, value in matchers:
                assert label != "state" or set(value.split("|")) <= states, value


def test_counters_are_read_through_their_increase_over_grafanas_interval(dashboard: dict[str, Any]) -> None:
    counters = [metric.name for metric in CONTRACT if metric.kind == "counter"]
    counters += [f"{metric.name}_bucket" for metric in CONTRACT if metric.kind == "histogram"]
    for expression in expressions(dashboard):
        for counter in counters:
            for match in re.finditer(rf"\b{counter}\b\{{[^}}]*\}}(\S*)", expression):
                before = expression[: match.start()]
                assert before.endswith(("increase(", "rate(")), expression
                assert match[1].startswith(("[$__rate_interval]", "[$__interval]")), expression


def test_replicas_are_one_series_and_several_milvus_stay_apart(dashboard: dict[str, Any]) -> None:
    """What identifies a Milvus is named: whatever other labels targets have, they double nothing."""
    for expression in expressions(dashboard):
        assert not re.search(r"\b(?:without|ignoring)\b", expression), expression
        for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert {label.strip() for label in labels.split(",")} >= IDENTITY or labels == "le", expression


def test_the_largest_are_chosen_once_and_not_at_each_point(dashboard: dict[str, Any]) -> None:
    """``topk`` in a course takes others at each point, and in the end everybody has been among them."""
    for target in targets(dashboard["uid"]):
        for match in re.finditer(
            r"\b(?:topk|bottomk)(?: by \([^)]*\))? \((\d+), |\b(?:topk|bottomk)\((\d+), ", target.expr
        ):
            most = int(match[1] or match[2])
            assert target.instant or most == 1 or "@ end()" in target.expr[match.end() :], target


def test_nothing_is_worked_out_again_that_a_record_has(dashboard: dict[str, Any]) -> None:
    """The only subquery is over one collection and what no record has."""
    found = [str(target) for target in targets(dashboard["uid"]) if re.search(r"\[[^\]]*:[^\]]*\]", target.expr)]
    assert found in ([], [f"{DETAIL} / Newest jobs in the time shown, latest first / A"])


@pytest.mark.parametrize("release", ["system", "debian-trixie", "debian-forky"])
def test_promtool_takes_every_expression(tmp_path: Path, release: str) -> None:
    """Prometheus's own parser, with each expression as a recording rule."""
    promtool = generations("promtool").get(release) or missing(f"there is no promtool of {release}")
    found = [filled(expr) for name in NAMES for expr in expressions(load(name))]
    made = [{"record": f"expression:number:{number}", "expr": expr} for number, expr in enumerate(found)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": made}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(found)} rules found" in done.stdout


# Alerts, runbooks, source


def test_dashboards_that_alerts_lead_to_exist_with_their_variables() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert alerts
    for alert in alerts:
        url = alert["annotations"]["dashboard_url"]
        found = re.search(r"/d/([\w-]+)", url)
        assert found, alert["alert"]
        declared = {variable["name"] for variable in load(found[1])["templating"]["list"]}
        assert set(re.findall(r"\bvar-(\w+)=", url)) <= declared, alert["alert"]


def links(node: Any) -> list[str]:
    """Every address in a dashboard."""
    if isinstance(node, dict):
        own = [node["url"]] if isinstance(node.get("url"), str) else []
        return own + [url for each in node.values() for url in links(each)]
    return [url for each in node for url in links(each)] if isinstance(node, list) else []


def test_links_to_a_collection_are_of_the_row_and_not_of_the_selection(dashboard: dict[str, Any]) -> None:
    """Each label escaped; only the data source and the time are taken over."""
    found = {url for url in links(dashboard["panels"]) if "/d/" in url}
    assert bool(found) == (dashboard["uid"] == LIST)
    for url in found:
        given = dict(re.findall(r"var-(\w+)=\$\{__(?:data\.fields|field\.labels)\.(\w+):percentencode\}", url))
        assert given.keys() == {*IDENTITY, "database", "collection"}
        assert variables_in(re.sub(r"\$\{__[^}]*\}", "", url)) == {"datasource"}


def test_the_dashboards_link_to_each_other_with_what_all_of_them_have(dashboard: dict[str, Any]) -> None:
    """One collection is not all of them, and the other way round."""
    found = {
        url.partition("?")[0].removeprefix("/d/"): url for url in links(dashboard["links"]) if url.startswith("/d/")
    }
    assert found.keys() == {*NAMES} - {dashboard["uid"]}
    assert all(variables_in(url) == {"datasource", *IDENTITY} for url in found.values())


def test_every_trouble_of_the_table_is_an_alert_with_a_runbook() -> None:
    (table,) = [p for p in panels(load(LIST)) if p["title"].startswith("Collections in trouble")]
    named = set(re.findall(r'"alert", "(\w+)"', table["targets"][0]["expr"]))
    assert len(named) == 7
    assert named <= {rule.get("alert") for rule in rules()}
    if RUNBOOKS.exists():
        assert not [name for name in named if not (RUNBOOKS / f"{name}.md").exists()]


def test_the_files_are_what_their_source_makes() -> None:
    if importlib.util.find_spec("grafana_foundation_sdk") is None:
        pytest.skip("grafana-foundation-sdk is not installed")
    command = [sys.executable, str(ROOT / "tools" / "generate_dashboards.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Grafana's published schema

LOOSE = """\
import type { AnnotationQuery, Dashboard } from '@grafana/schema';
// A JSON file has words where the schema has enumerations.
type Loose<T> = T extends string ? (string extends T ? string : `${T}`) : T extends number ? T
  : T extends Array<infer U> ? Array<Loose<U>> : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;
// What the data source for Prometheus reads of an annotation; the schema knows only what all data sources have.
type Marks = { list?: Array<AnnotationQuery
  & { expr?: string, step?: string, titleFormat?: string, useValueForTime?: boolean }> };
type Ours = Omit<Dashboard, 'annotations'> & { annotations?: Marks };
"""
COMPILER = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node", "--target", "es2022"]


def as_typescript(dashboards: list[dict[str, Any]]) -> str:
    """Dashboards as typed literals, and beside them what the schema of a dashboard leaves open: options of panels."""
    kinds = sorted({panel["type"] for dashboard in dashboards for panel in panels(dashboard)})
    lines = [LOOSE]
    for kind in kinds:
        name = kind.replace("-", "")
        path = f"@grafana/schema/dist/types/raw/composable/{name}/panelcfg/x/types.gen"
        lines.append(f"import type * as {name} from '{path}';")
    for dashboard in dashboards:
        lines.append(f"export const d{len(lines)}: Loose<Ours> = {json.dumps(dashboard)};")
        for panel in panels(dashboard):
            name = panel["type"].replace("-", "")
            lines.append(
                f"export const o{len(lines)}: Loose<Partial<{name}.Options>> = {json.dumps(panel['options'])};"
            )
            for custom in customs(panel):
                lines.append(f"export const c{len(lines)}: Loose<Partial<{name}.FieldConfig>> = {json.dumps(custom)};")
    return "\n".join(lines)


def customs(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """The options of a panel's fields. ``custom.hidden`` is for Grafana before 12.2, the schema is newer."""
    config = panel.get("fieldConfig", {})
    found = [config["defaults"]["custom"]] if config.get("defaults", {}).get("custom") else []
    for override in config.get("overrides", []):
        for each in override["properties"]:
            head, _, key = each["id"].partition(".")
            if head == "custom" and key != "hidden":
                found.append({key: each["value"]})
    return found


@pytest.fixture
def compile_typescript(tmp_path: Path) -> Any:
    node = program("node")
    compiler = fetched("grafana", "node_modules/typescript/bin/tsc")
    (tmp_path / "node_modules").symlink_to(compiler.parents[2])

    def compile_(text: str) -> list[str]:
        (tmp_path / "check.ts").write_text(text, encoding="utf-8")
        command = [node, str(compiler), *COMPILER, "check.ts"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        return [line[:300] for line in done.stdout.splitlines()]

    return compile_


@pytest.mark.real
def test_dashboards_fit_grafanas_published_schema(compile_typescript: Any) -> None:
    assert compile_typescript(as_typescript([load(name) for name in NAMES])) == []


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("refresh",), 5),
        (("panels", 1, "fieldConfig", "defaults", "unitt"), "s"),
        (("panels", 1, "options", "colorMode"), "backgroundd"),
        (("templating", "list", 1, "refresh"), 7),
    ],
)
def test_the_schema_finds_what_is_wrong(compile_typescript: Any, path: tuple[Any, ...], wrong: object) -> None:
    broken = json.loads(json.dumps(load("milvus-refresh-list")))
    node = broken
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = wrong
    assert len(compile_typescript(as_typescript([broken]))) == 1
