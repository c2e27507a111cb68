"""Every failure of the demo has a reason as Milvus words it, and the class that goes with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from builders import Clock, ScriptedMilvus, Watch

from exporter.demo import texts
from exporter.demo.answers import CALLS, Caller
from exporter.demo.scenario import believable_world
from exporter.demo.world import World
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.reasons import classify
from exporter.milvus.records import Listed
from exporter.model import FailureClass as Class
from exporter.model import Job, State

NOW = 1_790_000_123.0
MINUTE = 60.0
NOBODY = Caller(None, "")
CLASSES = {
    "ACCESS_DENIED": Class.ACCESS_DENIED,
    "UNRESOLVED_HOST": Class.SOURCE_UNREACHABLE,
    "PATH_MISSING": Class.SOURCE_NOT_FOUND,
    "SOURCE_EMPTY": Class.SOURCE_EMPTY,
    "COLUMN_MISSING": Class.SCHEMA_MISMATCH,
    "TYPE_MISMATCH": Class.SCHEMA_MISMATCH,
    "ALL_SEGMENTS_GONE": Class.SAFETY_CHECK,
    "RESULT_LOST": Class.WORKER_ERROR,
    "HOST_NOT_RESOLVED_YET": Class.SOURCE_UNREACHABLE,
    "NO_SUCH_BUCKET": Class.SOURCE_NOT_FOUND,
    "WORKER_RETRIED_OUT": Class.WORKER_ERROR,
    "MANIFEST_CONFLICT": Class.CONFLICT,
    "VORTEX_TOO_NEW": Class.FORMAT_ERROR,
    "SNAPSHOT_UNREADABLE": Class.MANIFEST_ERROR,
}


class SimulatedJobs(ScriptedMilvus):
    """Lists the jobs of a simulated world, as the simulated Milvus does on the wire."""

    def __init__(self, world: World) -> None:
        super().__init__(Clock(wall=world.now))
        self.world = world

    async def list_jobs(self, *, timeout: float, database: str = "", collection: str = "") -> Listed:
        self.world.advance(self.clock.wall())
        request = pb.ListRefreshExternalCollectionJobsRequest(db_name=database, collection_name=collection)
        answer = CALLS["ListRefreshExternalCollectionJobs"].answer(self.world, NOBODY, request)
        assert isinstance(answer, pb.ListRefreshExternalCollectionJobsResponse)
        return Listed([job.SerializeToString() for job in answer.jobs], answer.ByteSize())


def watched(speed: float, seconds: float, every: float) -> tuple[Counter[Class], list[Job]]:
    """Return what the exporter has counted after watching the demo, and the failed jobs that it then knows."""
    milvus = SimulatedJobs(believable_world(NOW, speed=speed))
    with Watch(milvus, inventory=False) as watch:
        watch.poll(times=round(seconds / every), every=every)
        totals = watch.totals("")
        assert totals is not None
        counted = Counter({failure_class: count for failure_class, count in totals.failed_by_class if count})
        failed = [each.trouble for each in watch.snapshot.outcomes if each.trouble is not None]
    return counted, failed


@pytest.mark.parametrize("name", CLASSES)
def test_a_text_of_the_demo_has_the_class_that_it_is_an_example_of(name: str) -> None:
    assert classify(getattr(texts, name)) == CLASSES[name]


def test_every_text_of_the_demo_is_here() -> None:
    assert {name for name in vars(texts) if name.isupper() and not name.startswith("_")} == set(CLASSES)


@pytest.mark.parametrize(("speed", "minutes"), [(1.0, 15.0), (60.0, 15.0)])
def test_what_the_exporter_tells_of_a_failure_of_the_demo_has_a_reason_and_a_class(
    speed: float, minutes: float
) -> None:
    counted, failed = watched(speed, minutes * MINUTE, every=10.0)
    assert counted
    assert Class.UNKNOWN not in counted, counted
    assert len({job.failure_class for job in failed}) >= 4
    assert all(job.state is State.FAILED and job.reason and job.failure_class for job in failed)
    assert Class.UNKNOWN not in {job.failure_class for job in failed}


def ends_and_notes(world: World, minutes: Sequence[float]) -> tuple[dict[int, str], set[str]]:
    """Return the reason of each failure by job, and those of jobs that are still pending."""
    ended, noted = {}, set()
    for minute in minutes:
        world.advance(NOW + minute * MINUTE)
        jobs = world.list_jobs()
        ended |= {job.job_id: job.reason for job in jobs if job.state == pb.RefreshFailed and job.end_ms}
        noted |= {job.reason for job in jobs if job.state == pb.RefreshPending and job.reason}
    return ended, noted


def test_every_failure_of_a_day_ends_with_a_reason_that_has_a_class() -> None:
    ended, _ = ends_and_notes(believable_world(NOW), range(0, 24 * 60 + 1, 5))
    assert len(ended) > 200
    found = Counter(classify(reason) for reason in ended.values())
    assert all(ended.values())
    assert Class.UNKNOWN not in found, found
    assert len(found) >= 10, found


def test_a_cause_that_is_noted_while_a_job_is_pending_has_a_class_too() -> None:
    # Every seventh hour the documents are planned twice, for 20 s: 285 minutes from now.
    _, noted = ends_and_notes(believable_world(NOW), [0, *(280 + number / 4 for number in range(40))])
    assert noted == {texts.NO_SUCH_BUCKET, texts.HOST_NOT_RESOLVED_YET}
    assert Class.UNKNOWN not in {classify(reason) for reason in noted}
