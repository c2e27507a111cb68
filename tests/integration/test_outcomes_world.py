"""Outcomes of the running daemon, compared with what somebody says who looks at the same Milvus later."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from peers.exporter import Exporter, Samples
from peers.job_world import DATABASE, JobWorld
from peers.pymilvus_server import PymilvusServer
from peers.stepped_clock import SteppedClock
from peers.waiting import until

MINUTE, HOUR = 60, 3600
EMPTY = "no files found in external source: s3://lake/data"
LOST = "task result not found"
COUNTERS = ("jobs_finished_total", "jobs_failed_total")


def counts(now: Samples, name: str) -> tuple[float | None, ...]:
    """Return finished jobs, failed jobs, and failures in a row."""
    return tuple(now.value(metric, collection=name) for metric in (*COUNTERS, "consecutive_failures"))


def right(world: JobWorld, now: Samples) -> bool:
    return all(counts(now, name) == (t.finished, t.failed, t.in_a_row) for name, t in world.truth.items())


def compare(world: JobWorld, exporter: Exporter) -> Samples:
    """Wait for two polls and compare every count."""
    now = exporter.next_poll()
    for name, truth in world.truth.items():
        assert counts(now, name) == (truth.finished, truth.failed, truth.in_a_row), name
    return now


def stamp(now: Samples, metric: str, name: str) -> float:
    value = now.value(f"{metric}_timestamp_seconds", collection=name)
    assert value is not None, f"no {metric} of {name}"
    return value


def info(now: Samples, name: str) -> tuple[str, str, str] | None:
    found = [labels for labels, _ in now.all("last_failure_info", collection=name)]
    return (found[0]["job_id"], found[0]["failure_class"], found[0]["reason"]) if found else None


def api(exporter: Exporter, name: str) -> dict[str, Any]:
    answer = exporter.get(f"/api/v1/collections?database={DATABASE}&collection={quote(name)}")
    found: dict[str, Any] = json.loads(answer.text)["data"][0]
    return found


def history(exporter: Exporter, name: str) -> dict[str, Any]:
    """Return the newest job that the API tells of a collection, also one that Milvus no longer lists."""
    answer = exporter.get(f"/api/v1/history?database={DATABASE}&collection={quote(name)}")
    found: dict[str, Any] = json.loads(answer.text)["data"][0]
    return found


def logged(exporter: Exporter, job_id: int) -> int:
    return sum(str(job_id) in line for line in exporter.log.splitlines())


def ahead(now: Samples) -> list[tuple[str, float]]:
    """Return the stamps of jobs that are later than the last poll."""
    polled = now.value("poll_last_attempt_timestamp_seconds") or 0
    names = tuple(f"{what}_timestamp_seconds" for what in ("_success", "_failure", "_start", "_end"))
    return [(name, value) for name, _, value in now.parsed if name.endswith(names) and value > polled + 2]


def once_listed(milvus: PymilvusServer) -> None:
    """Wait until the exporter has asked for the jobs as they are now."""
    milvus.forget_calls()
    until(milvus.list_all_calls, "a listing")


def test_failures_that_milvus_writes_late(milvus: PymilvusServer, tmp_path: Path) -> None:
    """Four at once: written after seconds, written after half a minute, completed after half a minute, and at once.

    What has looked failed for 20 s is counted as failed. What Milvus writes afterwards is told everywhere, also after
    Milvus has forgotten the job and after a restart. A failure is logged once, when its class is known, and not where
    it has turned out to be none by then.
    """
    names = ("soon", "late", "healed", "healed_soon")
    world = JobWorld(milvus, *names)
    with Exporter(milvus.uri, "--state.path", str(tmp_path / "state.db")) as exporter:
        exporter.until(lambda now: counts(now, "late") == (0, 0, 0), "the counters at 0")
        for name in names:
            world.start(name)
            world.complete(name)
        before = exporter.until(lambda now: right(world, now), "a success of each")
        ids = {name: world.start(name) for name in names}
        exporter.next_poll()
        for name in names:
            world.half_fail(name)
        began = time.time()
        failed = {"state": "RefreshFailed"}
        shown = exporter.until(lambda now: now.value("last_job_state", collection="late", **failed) == 1, "failed")
        first_seen = shown.value("poll_last_success_timestamp_seconds") or 0
        assert {counts(shown, name) for name in names} == {(1, 0, 0)}, "counted at first sight"
        seen = exporter.next_poll()
        assert {counts(seen, name) for name in names} == {(1, 0, 0)}, "counted after one poll more"
        world.fail("soon", EMPTY)
        world.complete("healed_soon")
        seen = exporter.until(lambda now: counts(now, "soon") == (2, 1, 1), "counted as soon as it is written")
        assert info(seen, "soon") == (str(ids["soon"]), "source_empty", EMPTY)
        assert counts(seen, "late") == counts(seen, "healed") == (1, 0, 0)
        assert stamp(seen, "last_success", "healed_soon") > stamp(before, "last_success", "healed_soon")

        seen = exporter.until(lambda now: counts(now, "late") == (2, 1, 1), "taken for failed", seconds=30)
        assert time.time() - began > 19
        assert counts(seen, "healed") == (2, 1, 1)
        assert stamp(seen, "last_failure", "late") == pytest.approx(first_seen, abs=1.5)
        assert info(seen, "late") == (str(ids["late"]), "unknown", "")
        world.took_for_failed("healed")
        world.fail("late", LOST)
        world.complete("healed")
        exporter.until(lambda now: info(now, "late") == (str(ids["late"]), "worker_error", LOST), "the reason")
        after = compare(world, exporter)
        assert info(after, "healed") is None
        assert after.value("last_failure_timestamp_seconds", collection="healed") is None
        assert stamp(after, "last_success", "healed") > stamp(before, "last_success", "healed") + 15
        assert after.value("jobs_failed_by_class_total", failure_class="worker_error") == 1
        assert after.value("jobs_failed_by_class_total", failure_class="source_empty") == 1
        assert {name: logged(exporter, ids[name]) for name in names} == {
            "soon": 1, "late": 1, "healed": 0, "healed_soon": 0
        }  # fmt: skip
        late = api(exporter, "late")
        assert (late["newest_job"]["failure_class"], late["cause"]["failure_class"]) == ("worker_error", "worker_error")
        assert api(exporter, "healed")["conditions"] == ["fine"]
        world.leave_out(*names)
        exporter.stop()
        exporter.start()
        now = compare(world, exporter)
        assert info(now, "late") == (str(ids["late"]), "worker_error", LOST)
        assert info(now, "healed") is None
        told, healed = history(exporter, "late"), history(exporter, "healed")
        assert (told["failure_class"], told["reason"], told["listed"]) == ("worker_error", LOST, False)
        assert told["end_timestamp_seconds"] == pytest.approx(stamp(now, "last_failure", "late"), abs=0.01)
        assert (healed["state"], healed["failure_class"]) == ("RefreshCompleted", None)
        assert logged(exporter, ids["late"]) == 1


def test_a_success_from_two_hours_ahead_and_three_failures(milvus: PymilvusServer, tmp_path: Path) -> None:
    """No job ends after it was seen ended: three failures in a row, no age below 0, and a minute stays a minute."""
    world = JobWorld(milvus, "orders", "returns")
    with Exporter(milvus.uri, "--state.path", str(tmp_path / "state.db")) as exporter:
        exporter.until(lambda now: counts(now, "orders") == (0, 0, 0), "the counters at 0")
        world.ahead = 2 * HOUR
        world.start("orders", seconds_ago=MINUTE)
        world.complete("orders")
        seen = exporter.until(lambda now: counts(now, "orders") == (1, 0, 0), "the success")
        assert ahead(seen) == []
        assert seen.value("last_success_duration_seconds", collection="orders") == pytest.approx(MINUTE, abs=1)
        world.ahead = 0
        for number in range(1, 4):
            failure = world.start("orders")
            world.fail("orders", EMPTY)
            seen = exporter.until(lambda now, n=number: counts(now, "orders")[:2] == (1 + n, n), "a failure")
            assert ahead(seen) == []
        seen = compare(world, exporter)
        assert info(seen, "orders") == (str(failure), "source_empty", EMPTY)
        assert seen.value("last_job_info", collection="orders", job_id=str(failure)) == 1
        assert seen.value("last_job_state", collection="orders", state="RefreshFailed") == 1
        assert api(exporter, "orders")["age_seconds"] < MINUTE
        for end in (exporter.stop, exporter.kill):
            end()
            exporter.start()
            seen = exporter.until(lambda now: right(world, now), "the same after a restart")
            assert ahead(seen) == []
            assert info(seen, "orders") == (str(failure), "source_empty", EMPTY)
        world.start("orders")
        world.complete("orders")
        exporter.until(lambda now: right(world, now), "the failures are over")


def test_listings_with_gaps(milvus: PymilvusServer, tmp_path: Path) -> None:
    """Whatever is missing from a listing once or for longer, running, waiting or ended: each job is counted once."""
    names = ("orders", "returns")
    world = JobWorld(milvus, *names)
    with Exporter(milvus.uri, "--state.path", str(tmp_path / "state.db")) as exporter:
        exporter.until(lambda now: counts(now, "orders") == (0, 0, 0), "the counters at 0")
        for end in (exporter.stop, exporter.kill):
            world.start("orders")
            world.fail("orders", LOST)
            world.start("returns")
            exporter.until(lambda now: right(world, now), "the failure counted")
            world.leave_out(*names)
            once_listed(milvus)
            world.complete("returns")
            end()
            exporter.start()
            world.list_all()
            exporter.until(lambda now: right(world, now), "the success counted")
            world.leave_out(*names)
            once_listed(milvus)
            world.list_all()
            compare(world, exporter)


def test_a_clock_that_is_behind_and_a_job_that_is_almost_forgotten(milvus: PymilvusServer, tmp_path: Path) -> None:
    """Milvus is 50 minutes behind and lists a job that ended 23 h 40 min ago, but for one listing. It counts once."""
    clock = SteppedClock(tmp_path)
    ago = 23 * HOUR + 40 * MINUTE
    clock.step_to(-ago)
    there = [-ago]
    world = JobWorld(milvus, "orders", clock=lambda: time.time() + there[0])
    world.ahead = -50 * MINUTE
    with Exporter(milvus.uri, "--state.path", str(tmp_path / "state.db"), env=clock.env) as exporter:
        exporter.until(lambda now: counts(now, "orders") == (0, 0, 0), "the counters at 0")
        world.start("orders")
        world.fail("orders", EMPTY)
        exporter.until(lambda now: right(world, now), "the failure")
        there[0] = 0
        clock.step_to(0)
        compare(world, exporter)
        for end in (None, exporter.kill):
            world.leave_out("orders")
            once_listed(milvus)
            if end:
                end()
                exporter.start()
            world.list_all()
            compare(world, exporter)
        assert exporter.log.count("refresh failed") == 1
