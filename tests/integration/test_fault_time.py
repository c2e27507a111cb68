"""The daemon's own time goes wrong: its wall clock is stepped, and a poll takes longer than the interval."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from peers.exporter import Exporter, Samples
from peers.pymilvus_server import PymilvusServer, databases, job
from peers.stepped_clock import SteppedClock

HOUR = 3600


@pytest.fixture
def world(milvus: PymilvusServer) -> PymilvusServer:
    milvus.set(databases=databases(default=["ext"]))
    return milvus


def test_our_wall_clock_is_stepped_back_and_forth(world: PymilvusServer, tmp_path: Path) -> None:
    """Polls go on within three seconds, one line says so, nothing goes stale, and each job is counted once."""
    clock = SteppedClock(tmp_path)
    with Exporter(world.uri, env=clock.env) as exporter:
        exporter.until(lambda now: now.value("up") == 1, "a good poll")
        for number, step in enumerate((-HOUR, HOUR, -HOUR), 1):
            world.set_jobs(*(job(each) for each in range(1, number + 1)))
            before = exporter.metrics()
            clock.step_to(step)
            # A poll under way when the clock is stepped would be the first; the second shows that the timer goes on.
            after = exporter.until(lambda now, before=before: polls(now) >= polls(before) + 2, "two polls", seconds=5)
            assert (after.value("up"), after.errors(), after.value("snapshot_stale")) == (1, {}, 0)
            assert after.value("poll_last_success_timestamp_seconds") == pytest.approx(time.time() + step, abs=30)
        counted = exporter.until(lambda now: finished(now) == 3, "three jobs counted", seconds=5)
        assert counted.errors() == {}
        assert exporter.log.count("the clock has been stepped") == 3
        assert "Traceback" not in exporter.log


def test_a_poll_takes_longer_than_the_interval(world: PymilvusServer) -> None:
    """Polls do not overlap: the tick between is skipped and counted, and the next one comes on time."""
    world.set_jobs(job(1))
    # The first poll waits for the inventory: three calls, each within its time-out of 0.9 s.
    world.set(
        faults={
            call: {"delay": 0.6}
            for call in ("ListDatabases", "ShowCollections", "DescribeCollection", "BatchDescribeCollection")
        }
    )
    with Exporter(world.uri) as exporter:
        slow = exporter.until(lambda now: now.value("up") == 1, "a good poll")
        assert (slow.value("polls_skipped_total") or 0) >= 1
        world.clear_faults()
        after = exporter.next_poll()
        assert after.value("polls_skipped_total") == slow.value("polls_skipped_total")
        assert (after.value("up"), after.errors()) == (1, {})
        assert "Traceback" not in exporter.log
    asked = [call["at"] for call in world.list_all_calls()]
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) > 0.5


def polls(now: Samples) -> float:
    return now.value("polls_total") or 0


def finished(now: Samples) -> float:
    return now.value("jobs_finished_total", collection="ext") or 0
