"""Milvus goes away in every way, and the daemon stays: /metrics answers 200 on every scrape below."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from peers.exporter import Exporter, Samples
from peers.pymilvus_server import IN_PROGRESS, LIST_JOBS, PymilvusServer, databases, job
from peers.waiting import free_port, until

# One poll interval of a second, half of one for gRPC's own reconnect, and the time of a poll on a busy machine.
RECOVERY = 2.5


@pytest.fixture
def world(milvus: PymilvusServer) -> Iterator[PymilvusServer]:
    milvus.set(databases=databases(default=["ext"], lake=["orders"]))
    milvus.set_jobs(job(1), job(2, "orders", IN_PROGRESS, database="lake"))
    yield milvus
    milvus.ensure_running()


def is_up(samples: Samples) -> bool:
    return samples.value("up") == 1


def is_down(samples: Samples) -> bool:
    return samples.value("up") == 0


def no_traceback(exporter: Exporter) -> None:
    assert "Traceback" not in exporter.log, exporter.log[-3000:]


def test_milvus_killed_and_started_again(world: PymilvusServer) -> None:
    """Down at once and ``unreachable``, the last jobs still shown, up again within one interval of Milvus's return."""
    with Exporter(world.uri) as exporter:
        exporter.until(is_up, "the first good poll")
        world.kill()
        down = exporter.until(lambda now: is_down(now) and "unreachable" in now.errors(), "up 0, kind unreachable")
        assert down.total("jobs") == 2
        assert down.value("snapshot_stale") == 0
        world.start()
        exporter.until(is_up, "up 1 after the restart", seconds=RECOVERY)
        no_traceback(exporter)


def test_milvus_frozen_and_thawed(world: PymilvusServer) -> None:
    """``deadline``, scrapes are not held up, and it recovers within one interval."""
    with Exporter(world.uri) as exporter:
        exporter.until(is_up, "the first good poll")
        world.freeze()
        exporter.until(lambda now: is_down(now) and "deadline" in now.errors(), "up 0, kind deadline")
        began = time.monotonic()
        exporter.metrics()
        assert time.monotonic() - began < 0.5
        world.thaw()
        exporter.until(is_up, "up 1 after the thaw", seconds=RECOVERY)
        no_traceback(exporter)


def test_started_before_milvus(world: PymilvusServer) -> None:
    """Ready, healthy and serving with ``up 0``; the jobs appear when Milvus does."""
    world.kill()
    with Exporter(world.uri) as exporter:
        first = exporter.metrics()
        assert is_down(first)
        assert first.value("poll_last_success_timestamp_seconds") == 0
        assert exporter.get("/-/healthy").status == 200
        world.start()
        exporter.until(lambda now: now.total("jobs") == 2, "the jobs", seconds=RECOVERY)
        no_traceback(exporter)


def test_milvus_restarting_answers_not_ready(world: PymilvusServer) -> None:
    with Exporter(world.uri) as exporter:
        exporter.until(is_up, "the first good poll")
        world.set_fault(LIST_JOBS, status={"code": 1, "error_code": 1, "reason": "service not ready[mixcoord]"})
        exporter.until(lambda now: is_down(now) and "not_ready" in now.errors(), "up 0, kind not_ready")
        world.clear_faults()
        exporter.until(is_up, "up 1 again", seconds=RECOVERY)
        no_traceback(exporter)


def test_garbage_on_the_wire(world: PymilvusServer) -> None:
    with Exporter(world.uri) as exporter:
        exporter.until(is_up, "the first good poll")
        world.set_fault(LIST_JOBS, raw_hex="ff" * 64)
        exporter.until(lambda now: is_down(now) and "bad_response" in now.errors(), "up 0, kind bad_response")
        world.clear_faults()
        exporter.until(is_up, "up 1 again", seconds=RECOVERY)
        no_traceback(exporter)


def test_snapshot_grows_stale(world: PymilvusServer) -> None:
    """After ``poll.stale_after`` the jobs are withheld; what outlives Milvus's memory stays."""
    with Exporter(world.uri, "--poll.stale-after", "2s") as exporter:
        exporter.until(is_up, "the first good poll")
        world.set_fault(LIST_JOBS, grpc="UNAVAILABLE", details="gone")
        stale = exporter.until(lambda now: now.value("snapshot_stale") == 1, "snapshot_stale 1")
        assert stale.all("jobs") == []
        assert stale.all("last_job_state") == []
        assert stale.value("last_success_timestamp_seconds", database="default", collection="ext")
        assert {labels["collection"] for labels, _ in stale.all("collection_info")} == {"ext", "orders"}
        world.clear_faults()
        exporter.until(lambda now: now.total("jobs") == 2 and now.value("snapshot_stale") == 0, "fresh jobs")


def test_one_broken_job_makes_the_whole_listing_fail(world: PymilvusServer) -> None:
    """Partial: listed by name, ``up 1``, every collection there; whole again when the job is gone."""
    with Exporter(world.uri) as exporter:
        exporter.until(is_up, "the first good poll")
        broken = {"code": 5, "error_code": 1, "reason": "job 12 references missing task 34"}
        world.set_fault(LIST_JOBS, status=broken, list_all_only=True)
        partial = exporter.until(lambda now: now.value("poll_partial") == 1, "poll_partial 1")
        assert is_up(partial)
        assert partial.total("jobs") == 2
        world.clear_faults()
        exporter.until(lambda now: is_up(now) and now.value("poll_partial") == 0, "whole again", seconds=RECOVERY)
        no_traceback(exporter)


def test_the_inventory_is_refused_later_on(world: PymilvusServer) -> None:
    """A lost grant forgets nothing and touches neither ``up`` nor ``poll_errors_total``."""
    with Exporter(world.uri, "--inventory.interval", "1s") as exporter:
        exporter.until(is_up, "the first good poll")
        world.set_fault(
            "ListDatabases", grpc="PERMISSION_DENIED", details="PrivilegeListDatabases: permission deny to bob"
        )

        def refused(now: Samples) -> bool:
            return (now.value("inventory_errors_total", kind="permission_denied") or 0) >= 2

        after = exporter.until(refused, "two refused inventories")
        assert is_up(after)
        assert after.errors() == {}
        assert after.total("jobs", database="lake", collection="orders") == 1
        assert {labels["collection"] for labels, _ in after.all("collection_info")} == {"ext", "orders"}
        no_traceback(exporter)


def test_list_all_is_called_once_per_poll(world: PymilvusServer) -> None:
    with Exporter(world.uri) as exporter:
        exporter.until(lambda now: (now.value("polls_total") or 0) >= 4, "four polls")
        exporter.kill()
    calls = world.list_all_calls()
    apart = [later["at"] - earlier["at"] for earlier, later in itertools.pairwise(calls)]
    assert 4 <= len(calls) <= 6
    assert min(apart) > 0.5


def test_the_log_has_one_line_per_change_and_none_per_poll(world: PymilvusServer) -> None:
    with Exporter(world.uri) as exporter:
        exporter.until(lambda now: (now.value("polls_total") or 0) >= 2, "two polls")
        quiet = exporter.log.count("\n")
        exporter.next_poll()
        assert exporter.log.count("\n") == quiet
        world.set_fault(LIST_JOBS, grpc="UNAVAILABLE", details="gone")
        exporter.until(lambda now: now.errors().get("unreachable", 0) >= 3, "three refused polls")
        lines = [line for line in exporter.log.splitlines() if "unreachable" in line]
        assert len(lines) == 1, exporter.log


def test_sigterm_ends_it_with_0_though_milvus_hangs(world: PymilvusServer) -> None:
    with Exporter(world.uri) as exporter:
        exporter.until(is_up, "the first good poll")
        world.freeze()
        exporter.until(is_down, "up 0")
        assert exporter.stop() == 0
        no_traceback(exporter)


def test_a_port_in_use_is_one_sentence_and_no_traceback(world: PymilvusServer) -> None:
    from peers.exporter import call

    with Exporter(world.uri) as exporter:
        taken = f"127.0.0.1:{exporter.port}"
        done = call("run", "--milvus.uri", world.uri, "--web.listen-address", taken)
        assert done.returncode != 0
        assert str(exporter.port) in done.stderr
        assert "Traceback" not in done.stderr


def test_milvus_that_was_never_there_is_tried_again_each_interval() -> None:
    port = free_port()
    with Exporter(f"http://127.0.0.1:{port}") as exporter:
        tries = exporter.until(lambda now: now.errors().get("unreachable", 0) >= 3, "three attempts")
        assert is_down(tries)
        until(lambda: exporter.get("/-/healthy").status == 200, "healthy all the same")
        no_traceback(exporter)
