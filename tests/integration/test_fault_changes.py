"""What changes in Milvus between two calls, and clocks that disagree: over real gRPC, on a hand-turned clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from builders import DAY, HOUR, Clock
from peers.exporter import Samples
from peers.watched import Watched
from wire import Call, serving

from exporter.demo import SimulatedMilvus, World
from exporter.demo.lives import completing, failing
from exporter.milvus.pb import milvus_refresh_pb2 as pb

QUICK = completing(1.0, 4.0)
BROKEN = failing(1.0, 4.0, "no files found in external source: invalid parameter")


@dataclass(frozen=True)
class Ahead:
    """The clock of another machine, ``seconds`` ahead of ours, and never stepped with it."""

    clock: Clock
    seconds: float
    began: float
    """What our two hands are apart at first."""

    def wall(self) -> float:
        return self.began + self.clock.monotonic() + self.seconds

    def monotonic(self) -> float:
        return self.clock.monotonic()


@dataclass(frozen=True)
class Simulation:
    """A simulated Milvus with two collections, and what watches it."""

    clock: Clock
    theirs: Ahead
    world: World
    watched: Watched

    def create(self, name: str, database: str = "default") -> int:
        self.world.advance(self.theirs.wall())
        return self.world.create_collection(name, database=database, source=f"s3://lake/{name}/", spec="{}")

    def submit(self, name: str = "docs", *, fails: bool = False) -> int:
        self.world.advance(self.theirs.wall())
        return self.world.submit(name, life=BROKEN if fails else QUICK)

    def poll(self, times: int = 1) -> Samples:
        return self.watched.poll(times)


@contextmanager
def simulated(ahead: float = 0.0) -> Iterator[Simulation]:
    clock = Clock()
    theirs = Ahead(clock, ahead, clock.wall() - clock.monotonic())
    world = World(theirs.wall())
    for name in ("docs", "orders"):
        world.create_collection(name, source=f"s3://lake/{name}/", spec="{}", created=theirs.wall() - DAY)
    milvus = SimulatedMilvus(world, clock=theirs)
    with asyncio.Runner() as runner:
        address = runner.run(milvus.start())
        try:
            with Watched(f"http://{address}", clock, runner=runner) as watched:
                yield Simulation(clock, theirs, world, watched)
        finally:
            runner.run(milvus.stop())


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield
    assert not [record for record in caplog.records if record.exc_info]


def finished(now: Samples, name: str = "docs") -> float | None:
    return now.value("jobs_finished_total", collection=name)


def good(now: Samples) -> bool:
    return now.value("up") == 1 and not now.errors()


def test_list_all_is_broken_by_one_job() -> None:
    """Every other collection is listed and counted, the one with the job says so, whole again when it is mended."""
    with simulated() as sim:
        sim.submit("docs")
        sim.submit("orders")
        sim.poll()
        before = sim.watched.footprint()
        sim.submit("orders")
        sim.poll()
        broken = sim.submit("docs")
        sim.world.break_one_job(broken)
        sim.submit("orders")
        partial = sim.poll(2)
        assert (partial.value("up"), partial.value("poll_partial"), partial.errors()) == (1, 1, {"server_error": 2})
        assert (finished(partial, "orders"), finished(partial, "docs")) == (2, 0)
        unlisted = {labels["collection"] for labels, value in partial.all("collection_unlisted") if value}
        assert unlisted == {"docs"}
        sim.world.mend()
        whole = sim.poll()
        assert (whole.value("up"), whole.value("poll_partial"), whole.errors()) == (1, 0, {"server_error": 2})
        assert (finished(whole, "orders"), finished(whole, "docs")) == (2, 1)
        assert sim.watched.footprint() <= before


def test_a_database_and_a_collection_dropped_between_two_calls() -> None:
    """Listed by the first call, gone for the second: no error, nothing of theirs is shown, the others are."""

    async def show(call: Call) -> pb.ShowCollectionsResponse:
        asked = pb.ShowCollectionsRequest.FromString(call.request)
        if asked.db_name == "lake":
            return pb.ShowCollectionsResponse(status=pb.Status(code=800, error_code=1))
        return pb.ShowCollectionsResponse(collection_names=["docs", "gone"], collection_ids=[7, 8])

    async def describe(call: Call) -> pb.DescribeCollectionResponse:
        asked = pb.DescribeCollectionRequest.FromString(call.request)
        if asked.collection_name == "gone":
            return pb.DescribeCollectionResponse(status=pb.Status(code=100, error_code=4))
        schema = pb.CollectionSchema(name="docs", external_source="s3://lake/docs/")
        return pb.DescribeCollectionResponse(schema=schema)

    with asyncio.Runner() as runner:
        served = serving({"ShowCollections": show, "DescribeCollection": describe})
        wire = runner.run(served.__aenter__())
        with Watched(f"http://{wire.target}", Clock(), runner=runner) as watched:
            shown = watched.poll(3)
        runner.run(served.__aexit__(None, None, None))
    assert good(shown)
    assert {labels["collection"] for labels, _ in shown.all("collection_info")} == {"docs"}
    assert shown.total("inventory_errors_total") == 0


def test_a_collection_renamed() -> None:
    """Its counters go on under the new name, nothing is counted twice, and the old name is gone."""
    with simulated() as sim:
        sim.poll()
        sim.submit("docs")
        assert finished(sim.poll()) == 1
        sim.world.names.rename("", "docs", "texts")
        sim.submit("texts", fails=True)
        sim.watched.read_inventory()
        after = sim.poll(2)
        assert good(after)
        assert (finished(after, "docs"), finished(after, "texts")) == (None, 2)
        assert after.value("jobs_failed_total", collection="texts") == 1
        assert after.total("jobs", collection="texts") == after.total("jobs") == 2


def test_a_collection_renamed_right_after_its_job_was_submitted() -> None:
    """Its name is borne in another database too, and that one, asked, denies the job: it goes to the renamed one."""
    with simulated() as sim:
        sim.world.names.add_database("lake", sim.theirs.wall())
        sim.create("docs", "lake")
        sim.watched.read_inventory()
        sim.poll()
        sim.submit("docs")
        sim.world.names.rename("", "docs", "texts")
        sim.poll(3)
        sim.watched.read_inventory()
        after = sim.poll(3)
        assert good(after)
        assert finished(after, "texts") == 1
        assert finished(after, "docs") == 0, "lake's own"


def test_a_collection_dropped_and_recreated() -> None:
    """The new one inherits neither counts nor failures, the jobs of the old one stay listed, and no poll fails."""
    with simulated() as sim:
        sim.poll()
        sim.submit("docs", fails=True)
        before = sim.poll(2)
        assert (finished(before), before.value("consecutive_failures", collection="docs")) == (1, 1)
        sim.world.drop("docs")
        sim.create("docs")
        sim.watched.read_inventory()
        sim.poll()
        sim.submit("docs")
        after = sim.poll(2)
        assert good(after)
        assert (finished(after), after.value("consecutive_failures", collection="docs")) == (1, 0)
        assert after.total("jobs", collection="docs") == 2
        assert after.total("job_duration_seconds_count") == 1
        assert after.total("jobs_failed_by_class_total", database="default") == 1


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_the_clock_of_milvus_is_an_hour_off(ahead: float) -> None:
    """Jobs run and are counted once, durations are their own, nothing is negative, and no value is impossible."""
    with simulated(ahead) as sim:
        sim.poll()
        for _ in range(3):
            sim.submit("docs")
            running = sim.watched.poll(every=2.0)
            assert good(running)
            assert running.total("jobs", state="RefreshInProgress") == 1
            assert (running.value("last_job_duration_seconds", collection="docs") or 0) >= 0
            sim.poll()
        shown = sim.watched.poll(320, every=300.0)  # past retention, by whichever clock
        assert good(shown)
        assert (finished(shown), shown.total("jobs")) == (3, 0)
        assert shown.total("invalid_records_total") == 0
        assert shown.value("last_success_duration_seconds", collection="docs") == pytest.approx(6.0, abs=1.1)


def test_our_clock_is_stepped_back_and_forth() -> None:
    """Each job is counted once, no listing goes stale or stays fresh because of it, and no poll fails."""
    with simulated() as sim:
        sim.poll()
        for count, step in enumerate((HOUR, -2 * HOUR, 2 * HOUR, -HOUR), 1):
            sim.submit("docs")
            sim.clock.step_wall(step)
            shown = sim.poll(2)
            assert good(shown)
            assert shown.value("snapshot_stale") == 0
            assert shown.value("poll_last_success_timestamp_seconds") == sim.clock.wall()
            assert finished(shown) == count
