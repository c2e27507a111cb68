"""Several Milvus in one process: each as if it were the only one."""

from __future__ import annotations

import gzip
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from peers.exporter import PREFIX, Exporter, Samples, call
from peers.many import Configured, Silent
from peers.parts import ROOT, generations, program
from peers.pymilvus_server import FAILED, PymilvusServer, databases, job
from peers.waiting import free_port, is_ready, until

from exporter.sharding import owner

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@pytest.fixture(scope="module")
def lake() -> Iterator[PymilvusServer]:
    with PymilvusServer(databases=databases(lake=["orders"])) as server:
        server.set_jobs(job(1, "orders", database="lake"), job(2, "orders", FAILED, database="lake"))
        yield server


@pytest.fixture(scope="module")
def sea() -> Iterator[PymilvusServer]:
    with PymilvusServer(databases=databases(sea=["fish"])) as server:
        server.set_jobs(job(1, "fish", database="sea"))
        yield server


def two(lake: PymilvusServer, sea: PymilvusServer) -> dict[str, Any]:
    return {"lake": {"milvus": {"uri": lake.uri}}, "sea": {"milvus": {"uri": sea.uri}}}


@pytest.fixture(scope="module")
def exporter(
    lake: PymilvusServer, sea: PymilvusServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Configured]:
    with Configured(tmp_path_factory.mktemp("two"), targets=two(lake, sea)) as daemon:
        yield daemon


def test_when_it_is_ready_each_target_has_been_polled(exporter: Configured) -> None:
    assert exporter.polls("lake") >= 1
    assert exporter.polls("sea") >= 1


def test_a_probe_shows_one_milvus_and_nothing_of_another(exporter: Configured) -> None:
    lake, sea = exporter.probe("lake"), exporter.probe("sea")
    assert (lake.total("jobs"), sea.total("jobs")) == (2, 1)
    assert {labels["collection"] for labels, _ in lake.all("jobs")} == {"orders"}
    assert {labels["collection"] for labels, _ in sea.all("jobs")} == {"fish"}
    assert lake.value("up") == sea.value("up") == 1


def test_a_probe_tells_nothing_of_the_process(exporter: Configured) -> None:
    """Five hundred targets would tell five hundred times the same, and a bad reload would be as many alerts."""
    names = {name for name, _, _ in exporter.probe("lake").parsed}
    assert [
        name for name in names if name.startswith(("process_", "python_", f"{PREFIX}config", f"{PREFIX}exporter"))
    ] == []


def test_the_metrics_tell_of_the_process_and_of_no_milvus(exporter: Configured) -> None:
    """An `up` or a last success of 0 for a Milvus that is nowhere would be an alert about nothing."""
    for accept in ("", OPENMETRICS):
        text = exporter.get("/metrics", accept=accept).text
        names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
        ours = {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}
        assert ours == {
            "config_last_reload_successful",
            "config_last_reload_success_timestamp_seconds",
            "exporter_build_info",
        }
        assert {"process_cpu_seconds_total", "python_info"} <= names
        assert text.endswith("# EOF\n") is (accept == OPENMETRICS)


def test_a_probe_is_negotiated_and_compressed_as_metrics_are(exporter: Configured) -> None:
    answer = exporter.get("/probe?target=lake", accept=OPENMETRICS, accept_encoding="gzip")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert gzip.decompress(answer.body).endswith(b"# EOF\n")
    again = exporter.get("/metrics", accept_encoding="gzip")
    assert b"exporter_build_info" in gzip.decompress(again.body)
    plain = exporter.get("/probe?target=lake")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?", 400),
        ("?target", 404),
        ("?target=", 404),
        ("?target=lake&target=lake", 400),
        ("?target=lake&target=sea", 400),
        ("?name=lake", 400),
        ("?target=CANARY", 404),
        ("?target=Lake", 404),
        ("?target=127.0.0.1:19530", 404),
        ("?target=http://169.254.169.254/", 404),
        ("?target=%6cake%00", 404),
        ("?target=%FF%FE", 404),
        ("?target=<script>CANARY", 404),
        ("?" + "a=b&" * 100 + "target=lake", 400),
    ],
)
def test_a_probe_of_anything_but_a_configured_name_is_refused_without_an_echo(
    exporter: Configured, query: str, status: int
) -> None:
    answer = exporter.get(f"/probe{query}")
    assert answer.status == status
    assert b"CANARY" not in answer.body
    assert b"169" not in answer.body
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_probe_may_carry_other_parameters(exporter: Configured) -> None:
    """Whoever adds `debug=true` for another exporter on the same job need not care."""
    assert exporter.get("/probe?debug=true&target=%6c%61ke").status == 200


def test_the_list_for_http_sd_has_each_target(exporter: Configured) -> None:
    answer = exporter.get("/sd")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text) == [
        {"targets": [name], "labels": {"__param_target": name}} for name in ("lake", "sea")
    ]
    assert exporter.get("/sd", method="POST").status == 405


def test_the_settings_in_force_show_each_target(exporter: Configured, lake: PymilvusServer) -> None:
    text = exporter.get("/config").text
    assert f"uri: {lake.uri}" in text
    assert "\nmilvus:" not in text


def test_the_page_shows_that_there_are_several(exporter: Configured) -> None:
    assert exporter.get("/").status == 200


def test_lines_of_the_log_name_the_target(exporter: Configured) -> None:
    """A failed refresh of one of five hundred Milvus is of no use without its name."""
    (failed,) = [line for line in exporter.log.splitlines() if "poll succeeded" in line and "target=lake" in line]
    assert "target=sea" not in failed


def test_one_milvus_has_neither_probe_nor_list(lake: PymilvusServer) -> None:
    with Exporter(lake.uri) as daemon:
        assert daemon.get("/probe?target=").status == 404
        assert daemon.get("/sd").status == 404


def test_a_milvus_that_hangs_delays_no_other(lake: PymilvusServer, tmp_path: Path) -> None:
    """Twenty silent ones beside it: the one that answers is polled each second and answers a scrape at once."""
    with Silent() as silent:
        targets = {f"hung-{n}": {"milvus": {"uri": silent.uri}, "poll": {"timeout": "900ms"}} for n in range(20)}
        targets["lake"] = {"milvus": {"uri": lake.uri}}
        with Configured(tmp_path, targets=targets) as daemon:
            before = daemon.probe("lake").value("poll_last_success_timestamp_seconds") or 0
            now = daemon.until_polled("lake", 5)
            assert 3.0 < (now.value("poll_last_success_timestamp_seconds") or 0) - before < 8.0
            assert now.value("polls_skipped_total") == 0
            assert now.errors() == {}
            hung = daemon.probe("hung-3")
            assert hung.value("up") == 0
            assert "deadline" in hung.errors()
            assert daemon.get("/-/healthy").status == 200


def test_each_target_has_its_own_memory_through_a_restart(
    lake: PymilvusServer, sea: PymilvusServer, tmp_path: Path
) -> None:
    with Configured(tmp_path, state={"path": str(tmp_path / "state.db")}, targets=two(lake, sea)) as daemon:
        sea.set_jobs(job(1, "fish", database="sea"), job(3, "fish", database="sea"))
        until(lambda: daemon.probe("sea").total("jobs_finished_total") == 1, "the job is counted")
        assert daemon.stop() == 0
        assert (tmp_path / "state.lake.db").exists()
        assert (tmp_path / "state.sea.db").exists()
        assert not (tmp_path / "state.db").exists()
        daemon.start()
        assert daemon.until_polled("sea").total("jobs_finished_total") == 1
        assert daemon.probe("lake").total("jobs_finished_total") == 0
        assert daemon.probe("sea").value("state_ok") == 1


def test_shares_are_disjoint_and_complete(lake: PymilvusServer, tmp_path: Path) -> None:
    """Each of three processes lists, polls and answers for its own targets alone."""
    targets = {f"m{n}": {"milvus": {"uri": lake.uri}} for n in range(12)}
    found: list[str] = []
    for index in range(3):
        with Configured(tmp_path, "--shard.total=3", f"--shard.index={index}", targets=targets) as daemon:
            mine = [each["targets"][0] for each in json.loads(daemon.get("/sd").text)]
            for name in targets:
                assert daemon.get(f"/probe?target={name}").status == (200 if name in mine else 404)
            found += mine
    assert sorted(found) == sorted(targets)


def test_a_process_without_a_share_waits_for_one(lake: PymilvusServer, tmp_path: Path) -> None:
    """More pods than targets: alive, ready, with nothing to tell, and none of its pages in trouble."""
    targets = {"m0": {"milvus": {"uri": lake.uri}}}
    idle = 1 - owner("m0", 2)
    with Configured(tmp_path, "--shard.total=2", f"--shard.index={idle}", targets=targets) as daemon:
        assert daemon.get("/sd").text == "[]"
        assert [daemon.get(path).status for path in ("/-/healthy", "/-/ready", "/metrics", "/", "/config")] == [200] * 5
        # Another target, whose share it is, by a reload.
        theirs = next(name for name in (f"m{n}" for n in range(1, 99)) if owner(name, 2) == idle)
        assert daemon.reload(targets={**targets, theirs: targets["m0"]}).status == 200
        until(lambda: daemon.probe(theirs).value("up") == 1, "it is polled")


def written(folder: Path, text: str) -> str:
    path = folder / "once.yaml"
    path.write_text(text)
    return str(path)


def test_once_polls_the_target_that_is_named(lake: PymilvusServer, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f"targets: {{lake: {{milvus: {{uri: '{lake.uri}'}}}}, down: {{milvus: {{uri: 'http://127.0.0.1:1'}}}}}}",
    )
    done = call("once", "--config.file", file, "--target", "lake")
    assert done.returncode == 0
    assert Samples.of(done.stdout).total("jobs") == 2
    failed = call("once", "--config.file", file, "--target", "down")
    assert failed.returncode == 1
    assert "target=down" in failed.stderr
    for more in ([], ["--target", "CANARY"]):
        refused = call("once", "--config.file", file, *more)
        assert refused.returncode == 2
        assert "--target: " in refused.stderr
        assert "CANARY" not in refused.stderr
    assert call("once", "--milvus.uri", lake.uri, "--target", "lake").returncode == 2


def test_check_tries_each_target_and_fails_for_one(lake: PymilvusServer, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f"targets: {{lake: {{milvus: {{uri: '{lake.uri}'}}}}, down: {{milvus: {{uri: 'http://127.0.0.1:1'}}}}}}",
    )
    done = call("check", "--config.file", file)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert any(line.startswith("ok    lake: refresh API") for line in lines)
    assert any(line.startswith("FAIL  down: tcp") for line in lines)
    assert [line.split(": ")[0][6:] for line in lines] == sorted(
        (line.split(": ")[0][6:] for line in lines), reverse=True
    )
    alone = call("check", "--config.file", file, "--target", "lake")
    assert alone.returncode == 0
    assert "down" not in alone.stdout


def test_the_example_for_prometheus_is_about_the_paths_that_there_are() -> None:
    text = (ROOT / "deploy" / "prometheus" / "many-milvus.example.yml").read_text(encoding="utf-8")
    assert "metrics_path: /probe" in text
    assert "/sd" in text


@pytest.mark.real
def test_prometheus_finds_each_target_and_labels_it_with_its_name(exporter: Configured, tmp_path: Path) -> None:
    """The shipped example, with the address alone put in."""
    shipped = (ROOT / "deploy" / "prometheus" / "many-milvus.example.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(shipped.replace("localhost:19540", f"127.0.0.1:{exporter.port}"))
    config["global"]["scrape_interval"] = "1s"
    del config["rule_files"], config["alerting"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    with prometheus(program("prometheus"), tmp_path / "prometheus.yml") as ask:
        query = f"{PREFIX}up"
        found = until(lambda: len(ask(query)) == 2 and ask(query), "both targets are scraped", seconds=30)
        assert {(each["milvus"], each["instance"], each["job"]) for each in found} == {
            (name, f"127.0.0.1:{exporter.port}", "milvus-refresh-targets") for name in ("lake", "sea")
        }
        (process,) = until(lambda: ask(f"{PREFIX}config_last_reload_successful"), "the exporter itself is scraped")
        assert process["job"] == "milvus-refresh"


@pytest.mark.real
def test_the_example_is_valid() -> None:
    file = ROOT / "deploy" / "prometheus" / "many-milvus.example.yml"
    for path in generations("promtool").values() or [program("promtool")]:
        done = subprocess.run(
            [path, "check", "config", str(file)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(binary: str, config: Path) -> Iterator[Callable[[str], list[dict[str, str]]]]:
    """Run Prometheus; yields how to ask it for the labels of what a query finds."""
    port = free_port()
    line = [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    with (config.parent / "log").open("wb") as log:
        running = subprocess.Popen([*line, f"--storage.tsdb.path={config.parent / 'data'}"], stdout=log, stderr=log)
    try:
        until(lambda: is_ready(port), "Prometheus is ready", seconds=30)

        def ask(query: str) -> list[dict[str, str]]:
            url = f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': query})}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return [each["metric"] for each in json.load(answer)["data"]["result"]]

        yield ask
    finally:
        running.kill()
        running.wait()
