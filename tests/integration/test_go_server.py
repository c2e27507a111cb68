"""A server in Go: Milvus's own language and gRPC library, with one job whose reason is not UTF-8."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
from builders import Clock
from peers.parts import ROOT
from peers.watched import Watched

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    program = tmp_path_factory.mktemp("go") / "milvus"
    source = ROOT / "tests" / "peers" / "go"
    build = [go, "build", "-o", program, "."]
    built = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the Go server cannot be built: {built.stderr[-200:]}")
    with subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def test_a_text_that_the_server_cannot_send_costs_its_own_collection_alone(uri: str) -> None:
    with Watched(uri, Clock(time.time())) as watched:
        shown = watched.poll(2)
    assert (shown.value("up"), shown.value("poll_partial"), shown.errors()) == (1, 1, {"server_error": 2})
    assert shown.total("jobs", collection="good") == 1
    assert {labels["collection"] for labels, value in shown.all("collection_unlisted") if value} == {"damaged"}
