"""Packets that vanish and names that do not resolve, in a network of the test's own with a name server of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers.exporter import Exporter, Samples
from peers.namespace import Namespace
from peers.ordeal import endure, unharmed
from peers.parts import ROOT, program
from peers.pymilvus_server import PymilvusServer, databases, job
from wire import replace

PORT = 19530
FIRST, SECOND, NAMES = "127.0.0.1", "127.0.0.2", "127.0.0.53"
URI = f"http://milvus.test:{PORT}"
WORLD = {"databases": databases(default=["ext"]), "jobs": [job(1)]}


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with Namespace() as space:
        yield space


@pytest.fixture(scope="module")
def server(space: Namespace) -> Iterator[PymilvusServer]:
    with PymilvusServer(prefix=space.prefix, listen=f"{FIRST}:{PORT}", **WORLD) as server:
        yield server


@pytest.fixture(scope="module")
def held(space: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the name server says of milvus.test."""
    path = tmp_path_factory.mktemp("names") / "milvus.test"
    path.write_text(FIRST)
    line = [*space.prefix, sys.executable, str(ROOT / "tests/peers/dns_process.py"), NAMES, str(path)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "listening\n"
        yield path
        process.kill()


@contextmanager
def exporting(space: Namespace, held: Path, uri: str = URI) -> Iterator[Exporter]:
    """Run the exporter inside, with a resolv.conf of its own."""
    resolver = held.with_name("resolv.conf")
    resolver.write_text(f"nameserver {NAMES}\n")
    mounted = f'mount --bind {resolver} /etc/resolv.conf && exec "$@"'
    with Exporter(uri, prefix=(*space.prefix, "unshare", "-m", "sh", "-c", mounted, "sh")) as exporter:
        yield exporter


@pytest.fixture(scope="module")
def exporter(space: Namespace, server: PymilvusServer, held: Path) -> Iterator[Exporter]:
    with exporting(space, held) as exporter, unharmed(exporter):
        yield exporter


def test_packets_vanish(exporter: Exporter, space: Namespace) -> None:
    """``deadline``, and good again as soon as TCP tries again, which is within as many polls as were lost."""
    drop = ["-p", "tcp", "--dport", str(PORT), "-j", "DROP"]

    def rule(verb: str) -> None:
        subprocess.run([*space.prefix, program("iptables"), verb, "INPUT", *drop], check=True, capture_output=True)

    endure(exporter, lambda: rule("-A"), lambda: rule("-D"), "deadline", "unreachable", recovery=3)


def test_a_milvus_that_moves_to_another_address(
    exporter: Exporter, space: Namespace, server: PymilvusServer, held: Path
) -> None:
    """Found at the new one, within two polls of being there."""
    listen = f"{SECOND}:{PORT}"
    with PymilvusServer(prefix=space.prefix, listen=listen, **WORLD) as second:
        endure(exporter, server.kill, lambda: replace(held, SECOND), "unreachable", recovery=2)
        assert second.list_all_calls()
        server.start()
        endure(exporter, second.kill, lambda: replace(held, FIRST), "unreachable", recovery=2)
    assert server.list_all_calls()


def test_a_connection_that_stands_needs_no_name_server(exporter: Exporter, held: Path) -> None:
    exporter.until(lambda now: now.value("up") == 1, "a good poll")
    before = exporter.metrics().errors()
    replace(held, "SERVFAIL")
    after = exporter.next_poll()
    assert (after.value("up"), after.errors()) == (1, before)
    replace(held, FIRST)


@pytest.mark.parametrize("trouble", ["NXDOMAIN", "SILENT"])
def test_started_while_the_name_does_not_resolve(
    space: Namespace, server: PymilvusServer, held: Path, trouble: str
) -> None:
    """Down and serving; the name is asked for anew by each poll, so what comes back is found at once.

    gRPC's own resolver would wait longer and longer, up to two minutes.
    """
    replace(held, trouble)
    with exporting(space, held) as exporter:
        before, asked_before = exporter.metrics(), asked(held)
        failed = exporter.until(lambda now: polls(now) >= polls(before) + 4, "four more polls")
        assert failed.value("up") == 0
        assert failed.errors().keys() <= {"unreachable", "deadline"}
        if trouble != "SILENT":  # then a question is still open when the next poll comes
            assert asked(held) - asked_before >= 4
        replace(held, FIRST)
        found = exporter.until(lambda now: now.value("up") == 1, "the jobs", seconds=60)
        took = polls(found) - polls(failed)
        # The question that nobody answered has to time out first; gRPC alone would take nine or ten polls.
        assert took <= (5 if trouble == "SILENT" else 2), f"found after {took} polls"
        assert "Traceback" not in exporter.log


def polls(now: Samples) -> float:
    return now.value("polls_total") or 0


def asked(held: Path) -> int:
    """Return how often the name server has been asked for the address."""
    return held.with_name(held.name + ".asked").stat().st_size
