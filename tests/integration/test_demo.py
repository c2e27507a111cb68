"""``demo``: with nothing but the package, within ten seconds, a day of believable jobs that move."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from peers.exporter import Exporter

STATES = ("RefreshPending", "RefreshInProgress", "RefreshCompleted", "RefreshFailed")


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[Exporter, float]]:
    began = time.monotonic()
    with Exporter("", "--poll.interval", "1s", "--demo.speed", "20", command="demo") as exporter:
        exporter.until(lambda now: now.total("jobs") > 0, "jobs")
        yield exporter, time.monotonic() - began


def test_jobs_are_there_within_ten_seconds(demo: tuple[Exporter, float]) -> None:
    _, took = demo
    assert took < 10


def test_a_day_of_jobs_in_several_databases_in_all_states(demo: tuple[Exporter, float]) -> None:
    exporter, _ = demo
    for state in STATES:
        exporter.until(lambda now, state=state: now.total("jobs", state=state) > 0, f"a job in {state}", seconds=30)
    samples = exporter.metrics()
    assert samples.value("snapshot_jobs") == samples.total("jobs")
    assert len({labels["database"] for labels, _ in samples.all("collection_info")}) >= 2
    assert samples.total("jobs") >= 50
    assert {labels["source"].split(":")[0] for labels, _ in samples.all("collection_info")} >= {"s3"}
    assert any(labels["reason"] for labels, _ in samples.all("last_failure_info"))


def test_every_failure_says_why(demo: tuple[Exporter, float]) -> None:
    exporter, _ = demo
    samples = exporter.until(lambda now: now.all("last_failure_info"), "a failure")
    told = [(labels["failure_class"], labels["reason"]) for labels, _ in samples.all("last_failure_info")]
    assert all(reason for _, reason in told)
    # These three fail at any hour.
    assert {failure_class for failure_class, _ in told} >= {"access_denied", "source_not_found", "timeout"}
    assert "unknown" not in {failure_class for failure_class, _ in told}


def test_numbers_move_while_one_looks(demo: tuple[Exporter, float]) -> None:
    exporter, _ = demo

    def progress() -> dict[tuple[str, str], float]:
        found = exporter.metrics().all("last_job_progress_ratio")
        return {(labels["database"], labels["collection"]): value for labels, value in found}

    before, counted = progress(), exporter.metrics().total("jobs_finished_total")
    exporter.until(lambda _: progress() != before, "progress that changes", seconds=30)
    exporter.until(lambda now: now.total("jobs_finished_total") > counted, "a job that ends", seconds=60)


def test_it_says_where_to_look(demo: tuple[Exporter, float]) -> None:
    exporter, _ = demo
    assert f"127.0.0.1:{exporter.port}" in exporter.log
    assert "Traceback" not in exporter.log


def test_ctrl_c_or_sigterm_ends_it_with_0() -> None:
    with Exporter("", command="demo") as exporter:
        assert exporter.stop() == 0
        assert "Traceback" not in exporter.log
