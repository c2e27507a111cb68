"""Each job that ends is counted once, whatever Milvus lists at the moment of a poll."""

from __future__ import annotations

from peers.exporter import Exporter, Samples
from peers.pymilvus_server import COMPLETED, FAILED, IN_PROGRESS, PENDING, PymilvusServer, databases, job


def finished(samples: Samples) -> float | None:
    return samples.value("jobs_finished_total", database="lake", collection="orders")


def failed(samples: Samples) -> float | None:
    return samples.value("jobs_failed_total", database="lake", collection="orders")


def ended(first: int, last: int) -> list[dict[str, object]]:
    """Jobs first..last, every third of them failed."""
    return [job(n, "orders", FAILED if n % 3 == 0 else COMPLETED, database="lake") for n in range(first, last + 1)]


def test_counters_stand_at_0_before_the_first_job_of_a_known_collection(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    with Exporter(milvus.uri) as exporter:
        first = exporter.until(lambda now: now.value("up") == 1, "the first good poll")
        assert (finished(first), failed(first)) == (0, 0)
        assert first.value("consecutive_failures", collection="orders") == 0


def test_thirty_jobs_that_end_between_two_polls_are_counted_thirty_times(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    with Exporter(milvus.uri) as exporter:
        exporter.until(lambda now: finished(now) == 0, "the counter at 0")
        milvus.set_jobs(*ended(1, 30))
        counted = exporter.until(finished, "an increase")
        assert (finished(counted), failed(counted)) == (30, 10)
        later = exporter.next_poll()
        assert (finished(later), failed(later)) == (30, 10)


def test_what_falls_out_of_the_listing_meanwhile_stays_counted(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    with Exporter(milvus.uri) as exporter:
        exporter.until(lambda now: finished(now) == 0, "the counter at 0")
        for first, last in ((1, 10), (11, 20), (21, 30)):
            milvus.set_jobs(*ended(first, last))
            exporter.until(lambda now, last=last: (finished(now) or 0) >= last, f"{last} jobs counted")
        milvus.set_jobs()
        emptied = exporter.next_poll()
        assert (finished(emptied), failed(emptied)) == (30, 10)
        milvus.set_jobs(*ended(1, 30))
        again = exporter.next_poll()
        assert (finished(again), failed(again)) == (30, 10)


def test_a_job_is_counted_when_it_ends_and_not_before(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    with Exporter(milvus.uri) as exporter:
        exporter.until(lambda now: finished(now) == 0, "the counter at 0")
        for state in (PENDING, IN_PROGRESS):
            milvus.set_jobs(job(1, "orders", state, database="lake"))
            assert finished(exporter.next_poll()) == 0
        milvus.set_jobs(job(1, "orders", COMPLETED, database="lake"))
        assert finished(exporter.next_poll()) == 1


def test_a_collection_nobody_knew_is_shown_at_0_before_its_first_increase(milvus: PymilvusServer) -> None:
    """Otherwise ``increase()`` would never see the first job of a new collection."""
    with Exporter(milvus.uri, "--inventory.enabled", "false") as exporter:
        exporter.until(lambda now: now.value("up") == 1, "the first good poll")
        milvus.set_jobs(job(1, "late"))
        seen: list[float] = []

        def counted(now: Samples) -> bool:
            value = now.value("jobs_finished_total", collection="late")
            if value is not None:
                seen.append(value)
            return value == 1

        exporter.until(counted, "the job counted")
        assert seen[0] == 0, "no scrape saw the counter at 0"


def test_a_restart_replays_nothing(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    milvus.set_jobs(*ended(1, 30))
    with Exporter(milvus.uri) as exporter:
        assert finished(exporter.next_poll()) == 0
        exporter.kill()
        exporter.start()
        after = exporter.next_poll()
        assert (finished(after), failed(after)) == (0, 0)
        assert after.value("last_failure_timestamp_seconds", collection="orders")
        milvus.set_jobs(*ended(1, 31))
        assert finished(exporter.until(finished, "the new job counted")) == 1


def test_an_outage_replays_nothing_and_loses_nothing(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    milvus.set_jobs(*ended(1, 5))
    with Exporter(milvus.uri) as exporter:
        exporter.until(lambda now: finished(now) == 0, "the counter at 0")
        milvus.kill()
        exporter.until(lambda now: now.value("up") == 0, "up 0")
        milvus.world["jobs"] = ended(1, 35)
        milvus.start()
        after = exporter.until(lambda now: now.value("up") == 1 and finished(now), "the jobs counted")
        assert finished(after) == 30
