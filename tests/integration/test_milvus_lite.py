"""milvus-lite: a server of the Milvus project that does not know the refresh calls."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from peers.exporter import Exporter, Samples, call
from peers.milvus_lite import MilvusLite

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def lite() -> Iterator[MilvusLite]:
    with MilvusLite() as server:
        yield server


def test_check_says_in_one_line_that_the_server_cannot_refresh(lite: MilvusLite) -> None:
    done = call("check", "--milvus.uri", lite.uri)
    assert done.returncode == 1, done.stdout + done.stderr
    (wrong, *more) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert not more, done.stdout
    assert re.search(r"Milvus 3\.0.*upgrade", wrong)
    assert "milvus_lite" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_run_serves_up_0_with_kind_unimplemented(lite: MilvusLite) -> None:
    with Exporter(lite.uri) as exporter:
        down = exporter.until(lambda now: now.errors().get("unimplemented", 0) >= 2, "two refused polls")
        assert down.value("up") == 0
        assert exporter.get("/-/healthy").status == 200
        assert "Traceback" not in exporter.log


def test_once_exits_1_and_says_why(lite: MilvusLite) -> None:
    done = call("once", "--milvus.uri", lite.uri)
    assert done.returncode == 1
    assert Samples.of(done.stdout).errors() == {"unimplemented": 1}
    assert "Traceback" not in done.stderr
