"""Who may see what, against a server of other people's code that filters as Milvus 3.0 does.

Grants are made by pymilvus, with the very lines that docs/milvus.md tells an administrator to run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from peers.exporter import Exporter, Samples, call, environment
from peers.parts import ROOT, program
from peers.pymilvus_server import COMPLETED, FAILED, PymilvusServer, databases, job

ALERT = "MilvusExternalRefreshNoCollectionVisible"
RULES = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"
USER, PASSWORD = "refresh_exporter", "Secret-of-the-exporter"
TOKEN = f"{USER}:{PASSWORD}"
ROOT_TOKEN = "root:Milvus"
GLOBAL = ("ListDatabases", "ShowCollections", "DescribeCollection")
ONLY_INDEX_DETAIL = 'grant IndexDetail with collection_name="*"'


def documented() -> dict[str, str]:
    """Return what docs/milvus.md has an administrator run, by what the role gets."""
    text = (ROOT / "docs" / "milvus.md").read_text(encoding="utf-8")
    section = text.partition("\n## Privileges\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    return {"two privileges": blocks[0], "a group": blocks[1]}


DOCUMENTED = documented()


def run(milvus: PymilvusServer, lines: str) -> None:
    """Run an administrator's lines in a process of their own: pymilvus and the exporter have one proto each."""
    for placeholder, real in (
        ("http://localhost:19530", milvus.uri),
        ("root:<root password>", ROOT_TOKEN),
        ("<password>", PASSWORD),
    ):
        lines = lines.replace(placeholder, real)
    done = subprocess.run([sys.executable, "-c", lines], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def grant(*privileges: str, database: str = "*") -> dict[str, Any]:
    """Return the world of a Milvus where the exporter's role holds these."""
    grants = [{"privilege": name, "db": database, "collection": "*"} for name in privileges]
    return {"users": {USER: ["watchers"]}, "roles": {"watchers": grants}, "groups": {}}


NO_ROLE: dict[str, Any] = {"users": {USER: []}, "roles": {}, "groups": {}}


@pytest.fixture
def world(milvus: PymilvusServer) -> PymilvusServer:
    """Two databases with one external collection each; jobs of both have succeeded."""
    milvus.set(
        databases=databases(default=["docs"], sales=["orders"]),
        auth={"tokens": [ROOT_TOKEN, TOKEN]},
        rbac=NO_ROLE,
    )
    milvus.set_jobs(*before())
    return milvus


def before() -> tuple[dict[str, Any], ...]:
    return job(1, "docs", COMPLETED), job(2, "orders", COMPLETED, database="sales")


def after() -> tuple[dict[str, Any], ...]:
    """Both collections have a failed job."""
    return *before(), job(3, "docs", FAILED), job(4, "orders", FAILED, database="sales")


def failing(milvus: PymilvusServer, *flags: str) -> Samples:
    """Watch both collections fail, and return what is shown then."""
    env = {"MILVUS_TOKEN": TOKEN}
    with Exporter(milvus.uri, *flags, env=env) as exporter:
        exporter.until(lambda now: now.value("snapshot_jobs") == 2, "the jobs")
        milvus.set_jobs(*after())
        exporter.until(lambda now: now.value("snapshot_jobs") == 4, "the failures")
        return exporter.next_poll()


def failures(now: Samples) -> dict[tuple[str, str], float]:
    found = now.all("jobs_failed_total")
    return {(labels["database"], labels["collection"]): value for labels, value in found if value}


def alerts(now: Samples) -> bool:
    """Return whether the shipped alert fires where Prometheus has these samples for half an hour."""
    names = ("snapshot_jobs", "jobs_without_visible_collection", "poll_last_success_timestamp_seconds")
    target = 'job="milvus-refresh",instance="a:19540"'
    series = [
        {"series": f"milvus_external_refresh_{name}{{{target}}}", "values": f"{now.value(name)}x30"}
        for name in names
        if now.value(name) is not None
    ]
    expr = f'count(ALERTS{{alertname="{ALERT}",alertstate="firing"}}) or vector(0)'
    return [fires for fires in (True, False) if _holds(series, expr, int(fires))] == [True]


def _holds(series: list[dict[str, str]], expr: str, value: int) -> bool:
    tests = [
        {
            "interval": "1m",
            "input_series": series,
            "promql_expr_test": [
                {"expr": expr, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": value}]},
            ],
        }
    ]
    content = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    line = [program("promtool"), "test", "rules", "/dev/stdin"]
    return subprocess.run(line, input=json.dumps(content), capture_output=True, text=True, check=False).returncode == 0


def inventory(milvus: PymilvusServer, *flags: str, token: str = TOKEN) -> str:
    """Return the line of check that speaks of the inventory."""
    done = call("check", "--milvus.uri", milvus.uri, *flags, env={"MILVUS_TOKEN": token} if token else {})
    assert done.returncode == 0, done.stdout
    assert PASSWORD not in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line[6:].startswith("inventory"))
    return line


# What the documents tell an administrator to do


@pytest.mark.parametrize("lines", DOCUMENTED.values(), ids=DOCUMENTED)
def test_the_documented_grants_show_everything(milvus: PymilvusServer, lines: str) -> None:
    milvus.set(databases=databases(default=["docs"], sales=["orders"]), auth={"tokens": [ROOT_TOKEN]}, rbac={})
    run(milvus, lines)
    milvus.set_jobs(*before())
    assert inventory(milvus) == "ok    inventory        2 collections in 2 databases"
    now = failing(milvus)
    assert {labels["collection"] for labels, _ in now.all("collection_info")} == {"docs", "orders"}
    assert failures(now) == {("default", "docs"): 1, ("sales", "orders"): 1}
    assert now.value("jobs_without_visible_collection") == 0
    assert not alerts(now)


def test_grants_that_show_nothing(world: PymilvusServer) -> None:
    """The three whose names look right: every failure is counted where it belongs, and all say what is missing."""
    world.set(rbac=grant(*GLOBAL))
    line = inventory(world)
    said = "jobs of 2 collections are listed, none of them is visible to this user: docs, orders;"
    assert line.startswith(f"warn  inventory        {said} {ONLY_INDEX_DETAIL}"), (
        "DescribeCollection is granted already"
    )
    now = failing(world)
    assert now.all("collection_info") == []
    assert failures(now) == {("default", "docs"): 1, ("sales", "orders"): 1}
    assert now.value("jobs_without_visible_collection") == 4
    assert now.total("inventory_errors_total") == 0
    assert alerts(now)


@pytest.mark.parametrize("setting", ["dropped", "hidden"])
def test_a_user_without_a_role(world: PymilvusServer, setting: str) -> None:
    """Nothing is shown, not even a database, and every failure is counted under its name."""
    assert "none of them is visible to this user: docs, orders;" in inventory(world)
    now = failing(world, "--inventory.unseen-collections", setting)
    assert failures(now) == {("", "docs"): 1, ("", "orders"): 1}
    assert {labels["collection"] for labels, _ in now.all("last_failure_info")} == {"docs", "orders"}
    assert now.value("jobs_without_visible_collection") == now.value("snapshot_jobs") == 4
    assert alerts(now)


def test_a_user_without_a_role_and_without_an_inventory(world: PymilvusServer) -> None:
    """As the documents say for jobs only: no alert complains of what nobody wants."""
    now = failing(world, "--inventory.enabled", "false")
    assert failures(now) == {("", "docs"): 1, ("", "orders"): 1}
    assert now.value("jobs_without_visible_collection") is None
    assert not alerts(now)


@pytest.mark.parametrize(("setting", "counted"), [("dropped", {}), ("hidden", {("", "orders"): 1})])
def test_grants_for_one_database(world: PymilvusServer, setting: str, counted: dict[tuple[str, str], float]) -> None:
    """A hidden database cannot be told from a dropped collection, and the number says so."""
    world.set(rbac=grant("DescribeCollection", "IndexDetail", database="default"))
    line = inventory(world)
    found = "1 collection in 1 database; of 2 collections with jobs 1 is not visible: orders"
    assert line.startswith(f"ok    inventory        {found}; dropped or renamed, or in a database that this user")
    now = failing(world, "--inventory.unseen-collections", setting)
    assert failures(now) == {("default", "docs"): 1, **counted}
    assert now.value("jobs_without_visible_collection") == 2
    assert not alerts(now)


def test_a_hardened_milvus_whose_role_public_is_empty(world: PymilvusServer) -> None:
    """Both grants are missing, and both are advised."""
    world.set(rbac={**NO_ROLE, "public": False})
    assert 'grant DescribeCollection and IndexDetail with collection_name="*"' in inventory(world)


def test_root_and_authorization_switched_off(world: PymilvusServer) -> None:
    """Nothing is hidden, so jobs of unknown names are left behind by collections that are gone."""
    world.set_jobs(*before(), job(3, "old", COMPLETED))
    left = "jobs are listed of 1 name that no collection bears any more: old"
    found = "ok    inventory        2 collections in 2 databases"
    assert inventory(world, token=ROOT_TOKEN) == f"{found}; root sees everything; {left}"
    world.set(auth={}, rbac={})
    assert inventory(world, token="") == f"{found}; authorization is off, so nothing is hidden; {left}"


def test_credentials_that_are_not_set(world: PymilvusServer) -> None:
    done = call("check", "--milvus.uri", world.uri)
    assert done.returncode == 1
    assert "FAIL  credentials      missing: Milvus asks for them and none are set." in done.stdout


def test_a_database_that_does_not_exist(world: PymilvusServer) -> None:
    """Told from one that is hidden, which only a grant shows."""
    world.set(rbac=grant("DescribeCollection", "IndexDetail", database="default"))
    env = {"MILVUS_TOKEN": TOKEN}
    typo = call("check", "--milvus.uri", f"{world.uri}/typo", env=env)
    assert typo.returncode == 1
    assert 'FAIL  filters          milvus.uri names the database "typo", which does not exist' in typo.stdout
    hidden = call("check", "--milvus.uri", f"{world.uri}/sales", env=env)
    assert hidden.returncode == 0
    assert 'warn  filters          milvus.uri names the database "sales", which this user may not see' in hidden.stdout
