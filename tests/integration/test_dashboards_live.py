"""On a real Prometheus that scrapes the demo, every query of every panel of every dashboard shows something."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_files import NAMES, Target, filled, load, panels, targets
from peers.exporter import Exporter
from peers.monitoring import Monitoring
from peers.parts import fetched, generations, missing, program
from peers.waiting import free_port, is_ready, until

pytestmark = pytest.mark.real

FLAGS = ("--poll.interval", "1s", "--demo.speed", "480", "--freshness.max-age", "30s")
"""480 times as fast: a day in three minutes. Data older than half a minute is too old."""
COLLECTION = "embeddings"
"""Waits for indexes, and now and then in vain: the one collection of the demo that in time has all there is to show."""
FAILING = "customers"
RANGE = 60.0
QUIET = ("Errors by kind", "Impossible values in job records")
"""Panels on which nothing is to be seen while all is well."""
SECONDS = 150.0


class Asked:
    """A Prometheus that has watched the demo for a while."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1"

    def __call__(self, path: str, **query: object) -> Any:
        """Ask the HTTP API; an error of the query fails with Prometheus's own words."""
        body = urllib.parse.urlencode(query).encode()
        try:
            with urllib.request.urlopen(f"{self._base}/{path}", data=body, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{json.load(error)['error']}\n{query['query']}", pytrace=False)

    def target(self, target: Target, collection: str = COLLECTION) -> list[dict[str, Any]]:
        """Return the series of a target, asked as its panel asks; ``collection`` is for the dashboard of one."""
        expr = filled(target.expr, collection=collection if target.dashboard == NAMES[1] else ".*")
        now = time.time()
        if target.instant:
            return list(self("query", query=expr, time=now)["result"])
        return list(self("query_range", query=expr, start=now - RANGE, end=now, step=2)["result"])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    prometheus = generations("prometheus").get("system") or missing("prometheus is not installed")
    state = tmp_path_factory.mktemp("state") / "state.json"
    with (
        Exporter("", *FLAGS, "--state.path", str(state), command="demo") as exporter,
        Monitoring(exporter.port, prometheus=prometheus) as monitoring,
    ):
        until(lambda: monitoring.query("milvus_external_refresh_up == 1"), "Prometheus scrapes the demo", seconds=30)
        yield Asked(monitoring.port)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_of_every_panel_shows_at_least_one_series(asked: Asked, name: str) -> None:
    """What depends on a failure or on a running job is asked again until the demo has one."""
    waiting = [target for target in targets(name) if target.panel not in QUIET]
    assert len(waiting) > 20

    def all_shown() -> bool:
        waiting[:] = [target for target in waiting if not asked.target(target)]
        return not waiting

    deadline = time.monotonic() + SECONDS
    while not all_shown() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not waiting, "no series: " + "; ".join(map(str, waiting))


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_offers_values_and_every_annotation_marks(asked: Asked, name: str) -> None:
    for variable in load(name)["templating"]["list"]:
        if variable["type"] == "query" and variable["name"] not in ("cluster", "namespace", "milvus"):
            selector, _, label = variable["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
            values = asked("series", **{"match[]": filled(selector)})
            assert [series for series in values if series.get(label)], variable["name"]
    for mark in load(name)["annotations"]["list"]:
        now = time.time()
        found = asked("query_range", query=filled(mark["expr"]), start=now - 600, end=now, step=2)["result"]
        assert found, mark["name"]
        stamps = [float(value) / 1000 for series in found for _, value in series["values"]]
        assert all(time.time() - 86400 < stamp < time.time() + 1 for stamp in stamps), mark["name"]


def test_what_tiles_count_is_what_the_table_lists(asked: Asked) -> None:
    """One moment, three views: how many have failed, which, and that each failure has its reason."""
    shown = {panel["title"]: panel for panel in panels(load(NAMES[0]))}
    table = shown["Collections in trouble, worst first"]["targets"]

    def at_once() -> bool:
        now = time.time()

        def ask(target: dict[str, Any]) -> list[dict[str, Any]]:
            return list(asked("query", query=filled(target["expr"]), time=now)["result"])

        (failed,) = ask(shown["Latest refresh failed"]["targets"][0])
        ranks = {series["metric"]["place"]: int(series["value"][1]) for series in ask(table[0])}
        reasons = ask(table[5])
        with_reason = {f"{series['metric']['database']}/{series['metric']['collection']}" for series in reasons}
        troubled = {place for place, rank in ranks.items() if rank}
        assert int(failed["value"][1]) >= 3
        assert {"analytics/customers", "ml/features", "ml/images"} <= troubled & with_reason
        assert ranks["lake/documents"] == 0
        return True

    until(at_once, "one good look", seconds=5)


# Grafana's own code on the tables' transformations

TRANSFORM = """
const grafana = require('@grafana/data');
globalThis.window = globalThis;
const known = new Map(Object.values(grafana.standardTransformers).map((each) => [each.id, each]));
grafana.standardTransformersRegistry.setInit(() => [...known.values()].map(
  (each) => ({ id: each.id, name: each.name, transformation: async () => each })));
const asked = JSON.parse(require('fs').readFileSync(0));
grafana.transformDataFrame(asked.transformations, asked.frames.map((frame) => grafana.toDataFrame(frame))).subscribe(
  (frames) => console.log(JSON.stringify(frames.map((frame) => frame.fields.map(
    (field) => [grafana.getFieldDisplayName(field, frame, frames), [...field.values]])))));
"""


def frame(ref: str, series: list[dict[str, Any]], now: float, *, alone: bool) -> dict[str, Any]:
    """An instant result as the data source hands it to a table: time, each label, the value."""
    labels = sorted({label for each in series for label in each["metric"]})
    columns = [(label, "string", [each["metric"].get(label, "") for each in series]) for label in labels]
    value = "Value" if alone else f"Value #{ref}"
    columns = [("Time", "time", [int(now * 1000)] * len(series)), *columns]
    columns.append((value, "number", [float(each["value"][1]) for each in series]))
    return {"refId": ref, "fields": [{"name": name, "type": kind, "values": found} for name, kind, found in columns]}


def transformed(panel: dict[str, Any], frames: list[dict[str, Any]], tmp_path: Path) -> dict[str, list[Any]]:
    """Let Grafana's own transformations make one table of frames. Returns its columns."""
    modules = fetched("grafana", "node_modules/@grafana/data/package.json").parents[2]
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "transform.cjs").write_text(TRANSFORM, encoding="utf-8")
    text = json.dumps({"transformations": panel["transformations"], "frames": frames})
    command = [program("node"), str(tmp_path / "transform.cjs")]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    (table,) = json.loads(done.stdout)
    return dict(table)


def tables() -> list[Any]:
    found = [(name, panel) for name in NAMES for panel in panels(load(name)) if panel["type"] == "table"]
    return [pytest.param(name, panel, id=f"{name}-{panel['title']}") for name, panel in found]


@pytest.mark.parametrize(("name", "panel"), tables())
def test_grafana_joins_each_table_into_one_row_for_each_subject(
    asked: Asked, name: str, panel: dict[str, Any], tmp_path: Path
) -> None:
    """By Grafana's own code: the columns are the wanted ones, and no collection or job stands in two rows."""
    fetched("grafana", "node_modules/@grafana/data/package.json")
    mine = [target for target in targets(name) if target.panel == panel["title"]]

    def frames() -> list[dict[str, Any]] | None:
        found = [(target.ref, asked.target(target, FAILING)) for target in mine]
        now = time.time()
        return [frame(ref, series, now, alone=len(mine) == 1) for ref, series in found] if found[0][1] else None

    made = until(frames, panel["title"], seconds=SECONDS)
    assert made
    table = transformed(panel, made, tmp_path)
    wanted = panel["transformations"][-1]["options"]["renameByName"]
    assert table.keys() <= set(wanted.values())
    assert {name for name in wanted.values() if name not in OPTIONAL} <= table.keys()
    subject = next(key for key in ("Collection", "Job id", "Class", "Python", "Instance", "Scrape job") if key in table)
    assert table[subject]
    assert len(set(table[subject])) == len(table[subject])


OPTIONAL = {"Milvus", "Reason", "Class", "Revision", "Source"}
"""Columns made of labels that may be missing; Grafana then leaves the column out."""


def test_table_of_troubles_is_empty_where_nothing_is_in_trouble(tmp_path: Path) -> None:
    (panel,) = [p for p in panels(load(NAMES[0])) if p["title"].startswith("Collections in trouble")]
    labels = {"job": "j", "database": "lake", "collection": "orders"}
    fine = {"metric": labels | {"place": "lake/orders"}, "value": [0, "0"]}
    other = {"metric": labels, "value": [0, "3"]}
    bad = {"metric": labels | {"place": "lake/orders", "alert": "Some"}, "value": [0, "4"]}
    for rank, rows in ((fine, 0), (bad, 1)):
        frames = [frame("A", [rank], 1.0, alone=False), frame("B", [other], 1.0, alone=False)]
        (tmp_path / str(rows)).mkdir()
        found = transformed(panel, frames, tmp_path / str(rows))
        assert len(found.get("Collection", [])) == rows


# Replicas and several Milvus

SEVERAL = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: milvus-refresh
    static_configs:
      - {{targets: ["127.0.0.1:{port}"], labels: {{instance: "one", pod: "a-0", milvus: "a", namespace: "x"}}}}
      - {{targets: ["127.0.0.1:{port}"], labels: {{instance: "two", pod: "a-1", milvus: "a", namespace: "x"}}}}
      - {{targets: ["127.0.0.1:{port}"], labels: {{instance: "three", pod: "b-0", milvus: "b", namespace: "y"}}}}
"""


@pytest.fixture
def two_replicas_and_another_milvus(tmp_path: Path) -> Iterator[Asked]:
    """One demo, scraped as two replicas of one exporter and as the exporter of a second Milvus."""
    prometheus, port = generations("prometheus").get("system") or missing("prometheus is not installed"), free_port()
    with Exporter("", *FLAGS, command="demo") as exporter:
        config = tmp_path / "prometheus.yml"
        config.write_text(SEVERAL.format(port=exporter.port), encoding="utf-8")
        here = [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen([prometheus, f"--config.file={config}", *here], stdout=log, stderr=log)
        try:
            until(lambda: is_ready(port), "Prometheus is ready", seconds=60)
            asked = Asked(port)
            rows = "count(count by (milvus, instance) (milvus_external_refresh_last_failure_info)) >= 3"
            until(lambda: asked("query", query=rows)["result"], "a scrape of each of the three", seconds=60)
            yield asked
        finally:
            process.terminate()
            process.wait(20)


def test_two_replicas_are_one_row_and_two_milvus_are_two(two_replicas_and_another_milvus: Asked) -> None:
    asked = two_replicas_and_another_milvus
    for name in NAMES:
        for target in targets(name):
            asked.target(target)  # an error, such as two matches where one is wanted, fails there
    (table,) = [panel for panel in panels(load(NAMES[0])) if panel["title"].startswith("Collections in trouble")]
    for target in table["targets"]:
        series = asked("query", query=filled(target["expr"]))["result"]
        rows = [tuple(each["metric"].get(name, "") for name in ("milvus", "database", "collection")) for each in series]
        assert len(rows) == len(set(rows)), target["refId"]
        assert {milvus for milvus, _, _ in rows} == {"a", "b"}, target["refId"]
        assert not any({"instance", "pod"} & each["metric"].keys() for each in series), target["refId"]
