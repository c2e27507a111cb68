"""The end of the process, under load: within 5 s, with exit code 0, everything written and the last scrape answered."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from peers.many import Configured, Silent, Slow
from peers.parts import ROOT
from peers.pymilvus_server import LIST_JOBS, PymilvusServer, databases, job
from peers.waiting import until

COLLECTIONS = [f"orders_{number:04}_{'x' * 200}" for number in range(3000)]
MUCH = {"inventory": {"enabled": False}, "limits": {"max_collections": 3000}}


@pytest.fixture(scope="module")
def large() -> Iterator[PymilvusServer]:
    """A Milvus with enough collections for an answer that no socket's buffer holds."""
    with PymilvusServer(databases=databases(lake=[])) as server:
        server.set_jobs(*(job(number, name, database="lake") for number, name in enumerate(COLLECTIONS)))
        yield server


@pytest.fixture
def world(milvus: PymilvusServer) -> PymilvusServer:
    milvus.set(databases=databases(lake=["orders"]))
    milvus.set_jobs(job(1, "orders", database="lake"))
    return milvus


def stopped(daemon: Configured, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
    """Send a signal. Returns the exit code and how long it took."""
    began = time.monotonic()
    daemon.signal(number)
    return daemon.wait(6), time.monotonic() - began


@pytest.fixture
def reader(large: PymilvusServer, tmp_path: Path) -> Iterator[tuple[Configured, Slow]]:
    """An exporter with much to show, and somebody who has begun to read it and pauses."""
    with Configured(tmp_path, milvus={"uri": large.uri}, **MUCH) as daemon, Slow(daemon.port, "/metrics") as slow:
        slow.read_some()
        yield daemon, slow


def test_a_scrape_in_hand_is_answered_to_its_last_byte(reader: tuple[Configured, Slow]) -> None:
    """Its reader pauses for a second, and the end waits for that."""
    daemon, slow = reader
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    time.sleep(1)  # the reader's own slowness, which is what the promise is about
    assert daemon.running
    slow.read_all()
    assert slow.whole
    assert len(slow.answer) > 10_000_000
    assert daemon.wait(6) == 0
    assert time.monotonic() - began < 5


def test_a_reader_that_stops_reading_does_not_hold_up_the_end(reader: tuple[Configured, Slow]) -> None:
    code, took = stopped(reader[0])
    assert code == 0
    assert took < 5


def test_a_second_signal_ends_at_once(reader: tuple[Configured, Slow]) -> None:
    """Somebody who does not want to wait for the reader says so twice."""
    daemon, _ = reader
    daemon.signal(signal.SIGTERM)
    until(lambda: "stopping" in daemon.log, "the first signal has been taken")
    code, took = stopped(daemon)
    assert code == 128 + signal.SIGTERM
    assert took < 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_milvus_that_hangs_in_the_middle_of_a_poll_does_not_hold_up_the_end(
    number: signal.Signals, tmp_path: Path
) -> None:
    with Silent() as silent:
        poll = {"interval": "60s", "timeout": "50s"}
        targets = {"one": {"milvus": {"uri": silent.uri}, "poll": {"interval": "1s", "timeout": "900ms"}}}
        targets |= {f"hung-{n}": {"milvus": {"uri": silent.uri}, "poll": poll} for n in range(3)}
        state = {"path": str(tmp_path / "state.db")}
        with Configured(tmp_path, state=state, targets={"one": targets["one"]}) as daemon:
            daemon.reload(state=state, targets=targets)
            code, took = stopped(daemon, number)
            assert code == 0
            assert took < 2
            assert "Traceback" not in daemon.log
            assert "apscheduler" not in daemon.log


def test_what_a_poll_in_hand_has_counted_is_counted_once(world: PymilvusServer, tmp_path: Path) -> None:
    """Ended at ten moments of a poll, a job ending before each; the next process goes on with the very number."""
    state = {"path": str(tmp_path / "state.db")}
    jobs = list(world.world["jobs"])
    with Configured(tmp_path, state=state, milvus={"uri": world.uri}) as daemon:
        world.set(faults={LIST_JOBS: {"delay": 0.2}})
        for number in range(10):
            jobs.append(job(100 + number, "orders", database="lake"))
            world.set_jobs(*jobs)
            time.sleep(number * 0.1)  # another moment of the poll each time
            code, took = stopped(daemon)
            assert (code, took < 5) == (0, True)
            daemon.start()
        world.clear_faults()
        daemon.next_poll()
        assert daemon.metrics().value("jobs_finished_total", collection="orders") == 10


def test_many_targets_with_state_and_load_end_in_time(world: PymilvusServer, tmp_path: Path) -> None:
    """Sixty targets polled each second, a third of them hung, scrapes and a reload under way."""
    with Silent() as silent:
        state = {"path": str(tmp_path / "state.db")}
        targets = {f"m{n}": {"milvus": {"uri": silent.uri if n % 3 == 0 else world.uri}} for n in range(60)}
        changed = {name: {**each, "freshness": {"max_age": "1h"}} for name, each in targets.items()}
        with Configured(tmp_path, state=state, targets=targets) as daemon, ExitStack() as stack:
            paths = [f"/probe?target=m{n}" for n in range(1, 60, 6)]
            scrapes = [stack.enter_context(Slow(daemon.port, path, "Connection: close")) for path in paths]
            daemon.write(state=state, targets=changed)
            daemon.signal(signal.SIGHUP)
            daemon.signal(signal.SIGTERM)
            began = time.monotonic()
            for each in scrapes:
                each.read_all()
            assert all(each.whole for each in scrapes)
            assert daemon.wait(6) == 0
            assert time.monotonic() - began < 5
            assert "Traceback" not in daemon.log
            assert len(list(tmp_path.glob("state.m*.db"))) == len(targets)


def test_an_end_before_anything_has_begun_is_an_end(tmp_path: Path) -> None:
    """A signal in the very first moments of polling."""
    with Silent() as silent:
        daemon = Configured(tmp_path, milvus={"uri": silent.uri})
        with daemon:
            code, took = stopped(daemon)
            assert (code, took < 2) == (0, True)


# A shell lets what it starts in the background ignore SIGINT, and that is handed down to here.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from exporter.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("command", ["once", "check", "health"])
def test_a_command_that_is_interrupted_has_not_succeeded(command: str) -> None:
    """``once && deploy`` must not go on because somebody has lost patience with a Milvus that hangs."""
    with Silent() as silent:
        flags = [command, "--milvus.uri", silent.uri, "--poll.interval", "60s", "--poll.timeout", "50s"]
        flags += ["--web.listen-address", silent.uri.removeprefix("http://")]  # whom `health` asks
        command_line = [sys.executable, "-c", INTERRUPTIBLE, *flags]
        with subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as asking:
            try:
                with silent.accept():
                    asking.send_signal(signal.SIGINT)
                    _, said = asking.communicate(timeout=30)
            finally:
                asking.kill()
    assert asking.returncode == 130
    assert b"Traceback" not in said


HANGING_DISK = """
import os, sys, time
sys.path.insert(0, {root!r})
from exporter.ledger import StateFile
write = StateFile.save
StateFile.save = lambda *given: time.sleep(60) if os.path.exists({flag!r}) else write(*given)
from exporter.cli import main
sys.exit(main())
"""


def test_a_disk_that_hangs_does_not_hold_up_the_end_and_is_told_by_the_exit_code(
    world: PymilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to kill us; that the state was not written is not passed over either."""
    flag = tmp_path / "hangs"
    code = HANGING_DISK.format(root=str(ROOT), flag=str(flag))
    monkeypatch.setattr("peers.exporter.command_line", lambda: [sys.executable, "-c", code])
    with Configured(tmp_path, state={"path": str(tmp_path / "state.db")}, milvus={"uri": world.uri}) as daemon:
        flag.touch()
        ended, took = stopped(daemon)
        assert ended == 1
        assert took < 5
