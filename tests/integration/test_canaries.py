"""Every secret of the corpus on the real way: from a server's listing through the daemon to all that it shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import REASONS, SHORTEST, SOURCES, WORDS, Planted, plant
from peers.exporter import MAIN, Exporter, call, environment
from peers.pymilvus_server import FAILED, IN_PROGRESS, LIST_JOBS, PymilvusServer, collection, job

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PLANTED = [plant(text, WORDS[n % len(WORDS)].format(1000 + n)) for n, text in enumerate((*SOURCES, *REASONS))]
# Six digits in a row stand in any time stamp.
SECRETS = frozenset(window for planted in PLANTED for window in planted.windows() if not window.isdigit())
PATHS = (
    *("/", "/config", "/-/ready", "/nothing", "/api/v1/jobs?limit=1000", "/api/v1/collections?limit=1000"),
    *(f"/collection?database=lake&collection=ugly_{n}" for n in range(0, len(PLANTED), 25)),
    *(f"/api/v1/jobs?database=lake&collection=ugly_{n}&history=true" for n in range(0, len(PLANTED), 25)),
)
# The faults of ours: an exception that holds what it was given, from the middle of the decoding and from the rows.
BROKEN = """
from exporter import summary
from exporter.milvus import translate
def broken(*given, **named):
    raise ValueError(given, named, "hunter2canary1000")
assert callable({place}), "nobody calls it"
{place} = broken
"""


def no_secret(text: str, where: str) -> None:
    runs = {text[at : at + SHORTEST] for at in range(len(text))}
    found = sorted(runs & SECRETS)
    assert not found, f"{where} shows {found} of {[p.text for p in PLANTED if p.windows() & set(found)]}"


@pytest.fixture
def world(milvus: PymilvusServer) -> PymilvusServer:
    """A collection and two jobs for each text, which is their reason; and the sources in all places that have one."""
    there, jobs = [], []
    for n, planted in enumerate(PLANTED):
        source = PLANTED[n % len(SOURCES)].text
        name = f"ugly_{n}"
        there.append(collection(name, 1000 + n, source=source))
        told = {"database": "lake", "external_source": source, "reason": planted.text, "external_spec": planted.text}
        jobs += [job(2 * n, name, FAILED, **told), job(2 * n + 1, name, IN_PROGRESS, **told)]
    milvus.set(databases={"lake": {"id": 1, "collections": there}})
    milvus.set_jobs(*jobs)
    return milvus


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_of_the_corpus_is_seen_anywhere(world: PymilvusServer, log_format: str, tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    flags = ("--log.level", "debug", "--log.format", log_format, "--state.path", str(state))
    with Exporter(world.uri, *flags, env={"PYTHONFAULTHANDLER": "1"}) as exporter:
        shown = exporter.until(lambda now: len(now.all("collection_info")) == len(PLANTED), "all jobs", seconds=60)
        assert sum("***" not in labels["reason"] for labels, _ in shown.all("last_failure_info")) > 30
        assert len({labels["source"] for labels, _ in shown.all("last_job_state")}) > len(SOURCES) / 2
        assert len(shown.all("last_job_info")) == len(PLANTED)
        assert len(shown.all("last_failure_info")) > 0.9 * len(PLANTED)
        no_secret(shown.text, "/metrics")
        for headers in ({"accept": OPENMETRICS}, {"accept_encoding": "gzip"}):
            answer = exporter.get("/metrics", **headers)
            no_secret(answer.text, f"/metrics {headers}")
        for path in PATHS:
            no_secret(exporter.get(path).text, path)
        refuse_with(world, exporter)
        no_secret(exporter.metrics().text, "/metrics after refusals")
        no_secret(exporter.get("/").text, "/ after refusals")
        crash(exporter)
        assert "Fatal Python error" in exporter.log, "the crash has a text"
        no_secret(exporter.log, "the log at debug level")
    for file in tmp_path.iterdir():
        no_secret(file.read_bytes().decode("latin-1"), file.name)


def refuse_with(world: PymilvusServer, exporter: Exporter) -> None:
    """Let Milvus's errors carry secrets, by its own status and by gRPC's."""
    for n, planted in enumerate(PLANTED[:: len(PLANTED) // 6]):
        details = planted.text.encode("ascii", "replace").decode()
        fault = (
            {"grpc": "INTERNAL", "details": details} if n % 2 else {"status": {"code": 65535, "reason": planted.text}}
        )
        world.set_fault(LIST_JOBS, **fault)
        exporter.next_poll()
    world.clear_faults()


def crash(exporter: Exporter) -> None:
    """End the process as a failed assertion in a C library does."""
    process = exporter._process
    assert process
    os.kill(process.pid, signal.SIGABRT)
    process.wait(10)


@pytest.mark.parametrize("command", ["once", "check"])
def test_no_command_shows_a_secret_of_the_corpus(world: PymilvusServer, command: str) -> None:
    done = call(command, "--milvus.uri", world.uri, "--log.level", "debug")
    assert done.returncode == 0, done.stderr[-2000:]
    no_secret(done.stdout + done.stderr, command)
    for planted in PLANTED[:: len(PLANTED) // 5]:
        world.set_fault(LIST_JOBS, status={"code": 1009, "reason": planted.text})
        done = call(command, "--milvus.uri", world.uri, "--log.level", "debug")
        assert done.returncode == 1
        no_secret(done.stdout + done.stderr, f"{command} on an error")


@pytest.mark.parametrize("place", ["translate._class", "translate._end", "summary.job_rows"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_fault_of_our_own_tells_its_place_and_no_secret(world: PymilvusServer, place: str, log_format: str) -> None:
    line = [sys.executable, "-c", BROKEN.format(place=place) + MAIN, "once", "--milvus.uri", world.uri]
    line += ["--log.level", "debug", "--log.format", log_format]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "ValueError at" in done.stderr, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    no_secret(done.stdout + done.stderr, f"a fault in {place}")


def test_the_search_finds_what_it_looks_for() -> None:
    leak: Planted = PLANTED[7]
    with pytest.raises(AssertionError, match="shows"):
        no_secret(json.dumps({"reason": leak.text}), "a page")
