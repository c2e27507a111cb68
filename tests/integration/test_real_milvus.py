"""Real Milvus 2.3.5 with authorization on: a server that is too old, with real texts and real refusals."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from peers.exporter import Exporter, Samples, call
from peers.real_milvus import RealMilvus

pytestmark = pytest.mark.real

MAKE_BOB = """
from pymilvus import MilvusClient
client = MilvusClient(uri="http://127.0.0.1:19530", token="root:Milvus")
client.create_user("bob", "Secret-of-bob1")
for name in ("one", "two"):
    client.create_collection(name, dimension=4)
"""
LEARN = """
import asyncio
from exporter import errors
from exporter.catalog import InventoryReader
from exporter.clock import SystemClock
from exporter.config import Settings
from exporter.milvus.client import MilvusClient

async def main():
    milvus = {"uri": "http://127.0.0.1:19530", "token": "root:Milvus"}
    client = MilvusClient(Settings.model_validate({"milvus": milvus}))
    try:
        await client.describe_collections("default", ["one", "two"], timeout=30)
    except errors.MilvusError as refused:
        print(refused.kind)
    reader = InventoryReader(client, SystemClock(), budget=60, call_timeout=30)
    await reader.read()
    print(reader.account.last_failures, sorted((e.collection.name, e.external) for e in reader.latest.entries.values()))
    await client.close()

asyncio.run(main())
"""
ROOT_TOKEN = {"MILVUS_TOKEN": "root:Milvus"}
BOB_TOKEN = {"MILVUS_TOKEN": "bob:Secret-of-bob1"}
REFRESH = re.compile(r"Milvus 3\.0.*upgrade")
REMEDY = re.compile(r"milvus\.token_file.*milvus\.password_file")


@pytest.fixture(scope="module")
def real() -> Iterator[RealMilvus]:
    with RealMilvus() as milvus:
        made = milvus.run([sys.executable, "-W", "ignore", "-c", MAKE_BOB])
        assert made.returncode == 0, made.stderr
        yield milvus


def failures(report: str) -> list[str]:
    return [line for line in report.splitlines() if line.startswith("FAIL")]


def test_check_says_in_one_line_that_the_server_is_too_old_and_what_to_do(real: RealMilvus) -> None:
    done = call("check", "--milvus.uri", real.uri, env=ROOT_TOKEN, prefix=real.prefix)
    assert done.returncode == 1, done.stdout + done.stderr
    (wrong, *more) = failures(done.stdout)
    assert not more, done.stdout
    assert "refresh API" in wrong
    assert REFRESH.search(wrong)
    assert "v2.3.5" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("env", [{}, {"MILVUS_TOKEN": "root:wrong"}, {"MILVUS_TOKEN": "apikey123"}], ids=str)
def test_check_says_in_one_line_that_the_credentials_are_wrong(real: RealMilvus, env: dict[str, str]) -> None:
    done = call("check", "--milvus.uri", real.uri, env=env, prefix=real.prefix)
    assert done.returncode == 1, done.stdout + done.stderr
    (first, *_) = failures(done.stdout)
    assert "credentials" in first
    assert REMEDY.search(first)
    for secret in ("root:wrong", "wrong\n", "apikey123"):
        assert secret not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_run_serves_up_0_with_kind_unimplemented(real: RealMilvus) -> None:
    with Exporter(real.uri, env=ROOT_TOKEN, prefix=real.prefix) as exporter:
        down = exporter.until(lambda now: now.errors().get("unimplemented", 0) >= 2, "two refused polls")
        assert down.value("up") == 0
        assert set(down.errors()) <= {"unimplemented", "deadline"}
        assert exporter.get("/-/healthy").status == 200
        assert "Traceback" not in exporter.log


def inventory_kinds(samples: Samples) -> set[str]:
    return {labels["kind"] for labels, value in samples.all("inventory_errors_total") if value}


def test_wrong_credentials_show_in_the_inventory_where_the_listing_cannot_tell(real: RealMilvus) -> None:
    """This old server looks whether it knows a call before it looks at credentials; ListDatabases tells the truth."""
    wrong = {"MILVUS_TOKEN": "root:wrong"}
    with Exporter(real.uri, "--inventory.interval", "1s", env=wrong, prefix=real.prefix) as exporter:
        down = exporter.until(lambda now: "unauthenticated" in inventory_kinds(now), "an unauthenticated inventory")
        assert down.value("up") == 0
        assert "Traceback" not in exporter.log
        assert "root:wrong" not in exporter.log


def test_a_user_without_a_role_is_refused_the_inventory(real: RealMilvus) -> None:
    with Exporter(real.uri, "--inventory.interval", "1s", env=BOB_TOKEN, prefix=real.prefix) as exporter:
        down = exporter.until(lambda now: "permission_denied" in inventory_kinds(now), "a refused inventory")
        assert down.value("up") == 0
        assert "Traceback" not in exporter.log


def test_a_server_that_cannot_describe_several_collections_at_once_is_asked_about_each(real: RealMilvus) -> None:
    done = real.run([sys.executable, "-W", "ignore", "-c", LEARN])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["unimplemented", "() [('one', False), ('two', False)]"]


def test_once_exits_1_and_says_why(real: RealMilvus) -> None:
    done = call("once", "--milvus.uri", real.uri, env=ROOT_TOKEN, prefix=real.prefix)
    assert done.returncode == 1
    assert Samples.of(done.stdout).errors() == {"unimplemented": 1}
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_killed_and_started_again_on_its_data(real: RealMilvus) -> None:
    with Exporter(real.uri, env=ROOT_TOKEN, prefix=real.prefix) as exporter:
        exporter.until(lambda now: "unimplemented" in now.errors(), "the first refused poll")
        real.kill()
        down = exporter.until(lambda now: "unreachable" in now.errors(), "kind unreachable")
        real.restart()
        before = down.errors()["unimplemented"]
        exporter.until(lambda now: now.errors()["unimplemented"] > before, "an answer again", seconds=90)
        assert exporter.get("/-/healthy").status == 200
        assert "Traceback" not in exporter.log
