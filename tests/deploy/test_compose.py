"""Compose: valid, every file it mounts is there and right, and Prometheus and Alertmanager run on these very files."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from peers.exporter import command_line, environment
from peers.parts import ROOT, fetched, generations, missing, private_networks, program

COMPOSE = ROOT / "deploy" / "compose"
FILES = sorted(COMPOSE.glob("compose*.yaml"))
STACK: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]


def mounts(service: str) -> dict[str, Path]:
    """Return which of our files is seen where: path inside -> path here."""
    found = {}
    for volume in SERVICES[service].get("volumes", []):
        source, inside, *_ = volume.split(":")
        if source.startswith("."):
            found[inside] = (COMPOSE / source).resolve()
    return found


def seen(service: str, inside: str) -> Path:
    """Return our file behind a path inside a service."""
    for mount, path in mounts(service).items():
        if inside == mount or inside.startswith(mount + "/"):
            return path / inside.removeprefix(mount).lstrip("/")
    raise AssertionError(f"{service} has nothing of ours at {inside}")


@pytest.mark.real
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_file_fits_the_compose_specification(file: Path) -> None:
    checker = str(fetched("deploy", "bin/check-jsonschema"))
    line = [checker, "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_that_is_mounted_is_there(service: str) -> None:
    for inside, path in mounts(service).items():
        assert path.exists(), inside
        assert path.is_relative_to(ROOT)


def test_every_named_volume_and_secret_is_declared() -> None:
    used = {v.split(":")[0] for each in SERVICES.values() for v in each.get("volumes", []) if not v.startswith(".")}
    assert used == set(STACK["volumes"])
    token = yaml.safe_load((COMPOSE / "compose.token.yaml").read_text(encoding="utf-8"))
    assert token["services"]["exporter"]["secrets"] == list(token["secrets"])
    (variable,) = token["services"]["exporter"]["environment"].values()
    assert variable == f"/run/secrets/{next(iter(token['secrets']))}"


def test_nothing_is_open_to_other_machines_and_nothing_keeps_rights_it_does_not_need() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not re.search(r":latest\b|:main\b", service["image"]), name


def test_the_build_is_the_repositorys_own() -> None:
    context = (COMPOSE / SERVICES["exporter"]["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / "Dockerfile").exists()


def test_grafana_finds_its_data_source_and_both_dashboards() -> None:
    (source,) = yaml.safe_load(seen("grafana", "/etc/grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    host, port = re.fullmatch(r"http://(\w+):(\d+)", source["url"]).groups()  # type: ignore[union-attr]
    assert f":{port}:{port}" in SERVICES[host]["ports"][0]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load(
        seen("grafana", "/etc/grafana/provisioning/dashboards/milvus-refresh.yaml").read_text()
    )["providers"]
    provisioned = {
        inside: json.loads(path.read_text(encoding="utf-8"))
        for inside, path in mounts("grafana").items()
        if inside.startswith(provider["options"]["path"] + "/")
    }
    assert {each["uid"] for each in provisioned.values()} == {"milvus-refresh-list", "milvus-refresh-collection"}
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in provisioned


def test_every_name_that_a_configuration_asks_for_is_a_service() -> None:
    prometheus = yaml.safe_load((COMPOSE / "prometheus.yml").read_text(encoding="utf-8"))
    asked = [
        target for job in prometheus["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    ]
    asked += [
        target
        for each in prometheus["alerting"]["alertmanagers"]
        for static in each["static_configs"]
        for target in static["targets"]
    ]
    assert {target.partition(":")[0] for target in asked} == {"exporter", "alertmanager"}


def test_alerts_are_grouped_and_muted_as_in_the_example() -> None:
    example = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.example.yml").read_text(encoding="utf-8"))
    ours = yaml.safe_load((COMPOSE / "alertmanager.yml").read_text(encoding="utf-8"))
    for key in ("route", "inhibit_rules"):
        assert ours[key] == example[key]
    assert [each["name"] for each in ours["receivers"]] == [each["name"] for each in example["receivers"]]


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_its_own_check_has_nothing_to_complain_about(service: str, tmp_path: Path) -> None:
    for inside, path in mounts(service).items():
        (tmp_path / Path(inside).name).write_bytes(path.read_bytes())
    checks = {
        "prometheus": [next(iter(generations("promtool").values()), "promtool"), "check", "config", "prometheus.yml"],
        "alertmanager": ["amtool", "check-config", "alertmanager.yml"],
    }
    line = [program(checks[service][0]), *checks[service][1:]]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
def test_prometheus_and_alertmanager_run_on_these_files_and_see_the_demo(tmp_path: Path) -> None:
    """Their command lines are those of compose.yaml, the paths put right; Grafana alone is not there."""
    if not private_networks():
        missing("a private network namespace is not possible (needs root, or user namespaces)")
    prometheus = list(generations("prometheus").values()) or missing("prometheus is not installed")
    programs = {"prometheus": prometheus[0], "alertmanager": program("prometheus-alertmanager")}
    etc = tmp_path / "etc"
    etc.mkdir()
    for service in programs:
        for inside, path in mounts(service).items():
            text = path.read_text(encoding="utf-8")
            (etc / Path(inside).name).write_text(text.replace("_interval: 15s", "_interval: 1s"), encoding="utf-8")
    lines = [[*command_line(), *SERVICES["exporter"]["command"], "--poll.interval", "1s"]]
    for service, path in programs.items():
        flags = []
        for flag in SERVICES[service]["command"]:
            for folder in ("/etc/prometheus", "/etc/alertmanager"):
                flag = flag.replace(folder, str(etc))  # noqa: PLW2901
            flags.append(re.sub(r"=/(prometheus|alertmanager)$", rf"={tmp_path}/\1", flag))
        lines.append([path, *flags])
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(SERVICES)}\n", encoding="utf-8")
    script = f'ip link set lo up; mount --bind {shlex.quote(str(hosts))} /etc/hosts; exec "$@"'
    inside_line = [sys.executable, str(Path(__file__).parent / "stack.py"), json.dumps(lines)]
    done = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", f"PATH=$PATH:/usr/sbin:/sbin; {script}", "sh", *inside_line],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/milvus-refresh.rules.yml").read_text(encoding="utf-8"))
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "targets": {"milvus-refresh": "up"},
        "groups": sorted(each["name"] for each in rules["groups"]),
        "alertmanagers": ["http://alertmanager:9093/api/v2/alerts"],
        "up": ["1"],
    }, done.stderr[-3000:]
