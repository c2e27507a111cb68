"""One poll after the other, from a scripted Milvus to what is published."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from builders import DAY, HOUR, NOON, Clock, ScriptedMilvus, Watch, Watching, record, total, watches

from exporter import errors
from exporter.ledger import Memory
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import FailureClass, Problem, State
from exporter.snapshot import OTHER


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def watching(milvus: ScriptedMilvus) -> Iterator[Watching]:
    with watches(milvus) as watch:
        yield watch


# What a poll publishes


def test_an_empty_milvus(milvus: ScriptedMilvus, watching: Watching) -> None:
    watch = watching()
    snapshot = watch.poll()
    assert watch.account.up
    assert (snapshot.jobs, snapshot.outcomes, snapshot.listed_jobs) == ((), (), 0)


def test_the_first_poll_waits_for_the_inventory(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Nothing is published before its first pass or failure: no job shows up without its database first."""
    milvus.refreshed(milvus.create("docs", "sales"))
    watch = watching()
    watch.poll()
    assert watch.row("docs", "sales") is not None
    assert [row.collection[:2] for row in watch.snapshot.collections] == [("sales", "docs")]


def test_counters_of_the_inventory_stand_at_0_before_any_job(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.create("docs")
    watch = watching()
    watch.poll()
    found = watch.outcome("docs")
    assert found is not None
    assert (found.finished, found.failed, found.consecutive_failures) == (0, 0, 0)
    assert (found.last_success, found.last_failure) == (None, None)
    totals = watch.totals()
    assert totals is not None
    assert {failure_class for failure_class, _ in totals.failed_by_class} == set(FailureClass)


def test_the_first_increase_of_a_known_collection_is_shown_at_once(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)
    watch.poll()
    assert watch.finished("docs") == 1


def test_a_collection_and_database_that_nobody_knew_is_shown_at_0_first(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """Also with an empty database label: without an inventory every name is new once."""
    docs = milvus.create("docs")
    watch = watching(inventory=False)
    watch.poll()
    milvus.refreshed(docs)
    watch.poll()
    assert watch.finished("docs", "") == 0
    assert sum(watch.totals("").duration_buckets) == 0  # type: ignore[union-attr]
    watch.poll()
    assert watch.finished("docs", "") == 1
    assert sum(watch.totals("").duration_buckets) == 1  # type: ignore[union-attr]


def test_thirty_jobs_that_end_between_two_polls(milvus: ScriptedMilvus, watching: Watching) -> None:
    """They are counted thirty times, whatever falls out of the listing meanwhile."""
    docs = milvus.create("docs")
    old = [milvus.refreshed(docs) for _ in range(5)]
    watch = watching()
    watch.poll()
    for _ in range(30):
        milvus.clock.turn(0.5)
        milvus.refreshed(docs)
    milvus.forget(*old)
    watch.poll(3)
    assert watch.finished("docs") == 30
    assert sum(watch.totals().duration_buckets) == 30  # type: ignore[union-attr]


def test_a_job_from_beginning_to_end(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.submit(docs)
    watch.poll()
    row = watch.row("docs")
    assert row is not None
    assert row.active
    assert row.changed == milvus.clock.wall()
    seen = milvus.clock.wall()
    watch.poll()
    assert watch.row("docs").changed == seen  # type: ignore[union-attr]
    milvus.run(number, 40)
    watch.poll()
    assert watch.row("docs").changed == milvus.clock.wall()  # type: ignore[union-attr]
    milvus.fail(number, "no files found in external source: s3://lake")
    watch.poll()
    found = watch.outcome("docs")
    assert found is not None
    assert found.trouble is not None
    assert found.trouble.failure_class is FailureClass.SOURCE_EMPTY
    assert (found.failed, found.consecutive_failures, found.failing) == (1, 1, True)
    assert dict(watch.totals().failed_by_class)[FailureClass.SOURCE_EMPTY] == 1  # type: ignore[union-attr]


def test_outcomes_outlive_milvuss_memory(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    ended = milvus.clock.wall()
    watch.poll()
    milvus.forget(number)
    watch.poll()
    milvus.clock.turn(DAY)
    watch.poll()
    assert watch.row("docs") is None
    assert watch.outcome("docs").last_success == ended  # type: ignore[union-attr]
    assert watch.finished("docs") == 1
    assert watch.memory.ended == {}


def test_everything_about_a_job_is_forgotten_with_it(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Memory is bounded by what Milvus may list again: ledger, attribution, decode and board."""
    milvus.create("docs", "hr")
    docs = milvus.create("docs", "sales")
    watch = watching()
    numbers = [milvus.refreshed(docs), milvus.submit(docs), milvus.refreshed(milvus.create("gone"))]
    milvus.drop(milvus.jobs[numbers[2]][1])
    watch.poll()
    milvus.forget(*numbers)
    watch.poll()
    milvus.clock.turn(DAY)
    watch.poll()
    memory = watch.corridor._memory
    assert memory.ledger.memory.ended == {}
    assert memory.ledger.memory.running == {}
    assert len(memory.ledger.board) == 0
    assert (memory.attribution._settled, memory.attribution._open, memory.attribution._denied) == ({}, {}, {})
    assert (memory._decoder._said, memory._decoder._reported) == ({}, {})
    assert (len(memory._overview._jobs.rows), memory._overview._jobs._singly) == (0, {})
    assert memory._overview._outcomes._singly.keys() == {("hr", "docs"), ("sales", "docs")}


def test_a_job_that_vanishes_between_two_failed_polls_leaves_nothing(
    milvus: ScriptedMilvus, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    with monkeypatch.context() as broken:
        broken.setattr("exporter.ledger.Ledger.observe_whole", lambda *_: 1 / 0)
        watch.poll()
        milvus.forget(number)
        watch.poll()
    watch.poll()
    milvus.clock.turn(DAY)
    watch.poll()
    assert watch.corridor._memory.attribution.ids() == frozenset()


def test_the_order_of_the_list_does_not_matter(milvus: ScriptedMilvus) -> None:
    docs, images = milvus.create("docs"), milvus.create("docs", "hr")
    snapshots = []
    memories = []
    with Watch(milvus) as one, Watch(milvus) as other:
        for _ in range(6):
            milvus.refreshed(docs)
            milvus.refused(images)
            milvus.refused(docs, source=f"s3://lake/{random.random()}")
            milvus.clock.turn(30)
            milvus.order = list
            one.run(one.corridor.poll())
            milvus.order = lambda found: random.sample(found, len(found))
            other.run(other.corridor.poll())
            snapshots.append((one.snapshot, other.snapshot))
        memories = [one.memory.ended, other.memory.ended]
    assert all(first == second for first, second in snapshots)
    assert memories[0] == memories[1]


def test_a_job_listed_twice_is_counted_once(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    milvus.order = lambda found: [*found, record(number, pb.RefreshInProgress, collection_name="docs")]
    watch.poll(3)
    assert watch.finished("docs") == 1
    assert watch.row("docs").newest.state is State.COMPLETED  # type: ignore[union-attr]
    assert watch.account.problems[Problem.DUPLICATE_JOB_ID] == 1


# Half-written and impossible ends


def test_a_half_written_failure(milvus: ScriptedMilvus, watching: Watching) -> None:
    """RefreshFailed at once, counted and classified when Milvus has written the rest."""
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.half_fail(milvus.submit(docs))
    watch.poll()
    assert watch.row("docs").newest.state is State.FAILED  # type: ignore[union-attr]
    assert watch.outcome("docs").failed == 0  # type: ignore[union-attr]
    assert watch.outcome("docs").trouble is None  # type: ignore[union-attr]
    milvus.fail(number, "timeout")
    ended = milvus.clock.wall()
    watch.poll()
    found = watch.outcome("docs")
    assert found.failed == 1  # type: ignore[union-attr]
    assert found.last_failure == ended  # type: ignore[union-attr]
    assert found.trouble.failure_class is FailureClass.TIMEOUT  # type: ignore[union-attr]


def test_a_half_written_failure_that_stays_so(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.half_fail(milvus.submit(docs))
    watch.poll()
    ended = milvus.clock.wall()
    watch.poll(4)
    found = watch.outcome("docs")
    assert found.failed == 1  # type: ignore[union-attr]
    assert found.last_failure == ended  # type: ignore[union-attr]
    assert watch.row("docs").newest.end == ended  # type: ignore[union-attr]
    assert watch.account.problems[Problem.ENDED_WITHOUT_END_TIME] == 1


def test_a_half_written_failure_that_vanishes(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.half_fail(milvus.submit(docs))
    watch.poll()
    milvus.forget(number)
    watch.poll(2)
    assert watch.outcome("docs").failed == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("state", [pb.RefreshCompleted, pb.RefreshFailed])
@pytest.mark.parametrize("end", [NOON + 400 * DAY, -1.0])
def test_an_ended_job_with_an_impossible_end(
    milvus: ScriptedMilvus, watching: Watching, state: int, end: float
) -> None:
    """Our clock is its end, and it is counted once."""
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.submit(docs)
    milvus.jobs[number][0].state = state
    milvus.jobs[number][0].end_time = round(end * 1000)
    watch.poll(4)
    assert watch.finished("docs") == 1
    assert NOON < watch.memory.ended[number].end <= milvus.clock.wall()


def test_a_completed_job_without_a_start(milvus: ScriptedMilvus, watching: Watching) -> None:
    """It is counted and not measured."""
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    milvus.jobs[number][0].start_time = 0
    watch.poll(2)
    assert watch.finished("docs") == 1
    assert watch.outcome("docs").last_success_duration is None  # type: ignore[union-attr]
    assert sum(watch.totals().duration_buckets) == 0  # type: ignore[union-attr]


def test_an_unknown_state_is_active(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    number = milvus.submit(docs)
    milvus.jobs[number][0].state = 7  # type: ignore[assignment]
    watch = watching()
    watch.poll(2)
    assert watch.row("docs").active  # type: ignore[union-attr]
    assert watch.finished("docs") == 0
    assert watch.account.problems[Problem.UNKNOWN_STATE] == 1


# When a poll fails


@pytest.mark.parametrize(
    "error", [errors.Unreachable(), errors.DeadlineExceeded(), errors.RateLimited(), errors.ServerFault(code=2000)]
)
def test_a_failed_poll(milvus: ScriptedMilvus, watching: Watching, error: errors.MilvusError) -> None:
    """up goes to 0 at once, the kind is counted, the last snapshot stays, and what ended meanwhile is counted later."""
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    watch = watching()
    before = watch.poll()
    milvus.refused(docs)
    milvus.refuse_whole = error
    watch.poll(2)
    assert watch.snapshot is before
    assert not watch.account.up
    assert not watch.account.partial
    assert watch.account.errors[error.kind] == 2
    milvus.refuse_whole = None
    watch.poll()
    assert watch.account.up
    assert watch.outcome("docs").failed == 1  # type: ignore[union-attr]


STATIONS = {
    "decode": "exporter.milvus.decode.ListingDecoder.whole",
    "a record": "exporter.milvus.decode.translated",
    "attribute": "exporter.catalog.Attribution.assign",
    "questions": "exporter.catalog.Attribution.questions",
    "settle": "exporter.catalog.Attribution.answer",
    "remember": "exporter.ledger.Ledger.observe_whole",
    "forget": "exporter.ledger.missing.Missing.overdue",
    "summarise": "exporter.summary.job_rows",
    "bound": "exporter.summary.keep_within",
    "outcomes": "exporter.poll.overview.outcome_row",
}


@pytest.mark.parametrize("station", STATIONS)
def test_a_poll_that_raises_inside(
    milvus: ScriptedMilvus, watching: Watching, monkeypatch: pytest.MonkeyPatch, station: str
) -> None:
    """It is counted as a fault of ours, loses nothing, and the next poll recovers with nothing counted twice."""
    docs = milvus.create("docs")
    milvus.create("docs", "hr")
    half = milvus.half_fail(milvus.submit(docs))
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)
    milvus.fail(half, "timeout")
    gone = milvus.refreshed(docs)
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> object:
            raise ZeroDivisionError

        broken.setattr(STATIONS[station], fail)
        watch.poll()
    assert not watch.account.up
    assert watch.account.errors["internal"] == 1
    milvus.refused(docs)
    watch.poll(2)
    assert watch.account.up
    found = watch.outcome("docs")
    assert (found.finished, found.failed) == (3, 1)  # type: ignore[union-attr]
    assert watch.listed("docs") == 4
    milvus.forget(gone)
    watch.poll()
    assert watch.listed("docs") == 3


def test_a_fault_in_the_very_first_poll_counts_nothing_of_the_baseline(
    milvus: ScriptedMilvus, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    watch = watching()
    with monkeypatch.context() as broken:
        broken.setattr("exporter.summary.keep_within", lambda *_, **__: 1 / 0)
        watch.poll()
    watch.poll(2)
    assert watch.finished("docs") == 0
    assert watch.listed("docs") == 1


@pytest.mark.parametrize("at", ["list_jobs", "by name"])
def test_a_poll_that_is_broken_off(milvus: ScriptedMilvus, watching: Watching, at: str) -> None:
    """The process stops, or somebody gave up waiting: the next poll misses nothing."""
    docs = milvus.create("docs")
    milvus.create("docs", "hr")
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)

    def cancel(call: tuple[str, ...]) -> None:
        if call[0] == "list_jobs" and (len(call) > 1) == (at == "by name"):
            import asyncio

            asyncio.current_task().cancel()  # type: ignore[union-attr]
            task = watch_task[0]
            task.cancel()

    import asyncio

    watch_task: list[asyncio.Task[None]] = []

    async def broken_off() -> None:
        watch_task.append(asyncio.create_task(watch.corridor.poll()))
        with pytest.raises(asyncio.CancelledError):
            await watch_task[0]

    milvus.on_call = cancel
    milvus.clock.turn(30)
    watch.run(broken_off())
    milvus.on_call = lambda call: None
    watch.poll(2)
    assert watch.finished("docs") == 1


def test_a_poll_broken_off_in_the_middle_of_work_waits_for_its_thread(
    milvus: ScriptedMilvus, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two polls must never work on one memory."""
    import asyncio
    import threading

    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)
    entered, go_on, left = threading.Event(), threading.Event(), threading.Event()
    ledger = watch.corridor._memory.ledger
    whole = ledger.observe_whole

    def slow(*args: Any) -> Any:
        entered.set()
        go_on.wait(5)
        try:
            return whole(*args)
        finally:
            left.set()

    monkeypatch.setattr(ledger, "observe_whole", slow)

    async def broken_off() -> None:
        task = asyncio.create_task(watch.corridor.poll())
        await asyncio.to_thread(entered.wait, 5)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert left.is_set()

    milvus.clock.turn(30)
    watch.run(broken_off())
    monkeypatch.undo()
    watch.poll(2)
    assert watch.finished("docs") == 1


# Staleness and clocks


def test_a_wall_clock_that_is_stepped_about_changes_no_count(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    for step in (HOUR, -2 * HOUR, HOUR, -HOUR):
        milvus.refreshed(docs)
        milvus.clock.step_wall(step)
        watch.poll()
        assert not watch.store.stale(milvus.clock.monotonic())
        assert watch.row("docs") is not None
    watch.poll()
    assert watch.finished("docs") == 4


def test_a_listing_goes_stale_by_the_clock_that_never_steps(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.refreshed(milvus.create("docs"))
    watch = watching()
    watch.poll()
    milvus.refuse_whole = errors.Unreachable()
    milvus.clock.step_wall(-HOUR)
    watch.poll()
    assert not watch.store.stale(milvus.clock.monotonic())
    milvus.clock.step_wall(HOUR)
    milvus.clock.turn(91)
    assert watch.store.stale(milvus.clock.monotonic())


# Limits and filters


def test_folded_collections_are_added_up_in_their_database(milvus: ScriptedMilvus, watching: Watching) -> None:
    for n in range(6):
        milvus.refreshed(milvus.create(f"c{n}", "sales" if n % 2 else "hr"))
    active = milvus.create("zz", "sales")
    milvus.submit(active)
    watch = watching(limits={"max_collections": "2"})
    snapshot = watch.poll()
    assert [row.collection.name for row in snapshot.jobs] == ["c0", "zz"]
    assert snapshot.folded == (("hr", (0, 0, 2, 0, 0)), ("sales", (0, 0, 3, 0, 0)))
    assert snapshot.states().total() == 7
    assert snapshot.collections_folded == 5
    assert len(snapshot.outcomes) == 7


def test_a_collection_called_other_prints_no_series_twice(milvus: ScriptedMilvus, watching: Watching) -> None:
    for name in (OTHER, "a", "b"):
        milvus.refreshed(milvus.create(name, source=""))
    snapshot = watching(limits={"max_collections": "2"}).poll()
    assert [row.collection.name for row in snapshot.jobs] == ["a", "b"]
    assert snapshot.states()[State.COMPLETED] == 3


def test_outcomes_have_a_limit_and_counters_of_the_database_include_everything(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    numbers = [milvus.create(f"c{n}") for n in range(6)]
    watch = watching(limits={"max_outcomes": "2"})
    watch.poll()
    for number in numbers:
        milvus.refused(number)
    watch.poll()
    assert len(watch.snapshot.outcomes) == 2
    assert sum(count for _, count in watch.totals().failed_by_class) == 6  # type: ignore[union-attr]
    assert watch.snapshot.collections_folded == 4


def test_filters(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Whole-name matches, exclusion wins; what is not shown is neither counted nor listed as existing."""
    for name, database in (("docs", "sales"), ("docs_tmp", "sales"), ("docs", "hr")):
        milvus.refreshed(milvus.create(name, database))
    watch = watching(filters={"databases": {"include": ["sa.*"]}, "collections": {"exclude": [".*_tmp"]}})
    snapshot = watch.poll()
    assert [row.collection[:2] for row in snapshot.jobs] == [("sales", "docs")]
    assert [row.collection[:2] for row in snapshot.outcomes] == [("sales", "docs")]
    assert [row.collection[:2] for row in snapshot.collections] == [("sales", "docs")]
    assert [row.database for row in snapshot.databases] == ["sales"]
    assert snapshot.listed_jobs == 3


def test_a_database_in_the_uri_shows_that_database_alone(milvus: ScriptedMilvus, watching: Watching) -> None:
    """And still lists all at once, never per database."""
    milvus.refreshed(milvus.create("docs", "sales"))
    milvus.refreshed(milvus.create("docs", "hr"))
    watch = watching(milvus={"uri": "http://localhost:19530/sales"})
    snapshot = watch.poll()
    assert [row.collection[:2] for row in snapshot.jobs] == [("sales", "docs")]
    assert milvus.asked("list_jobs") == 3  # all at once, and two questions by name


def test_an_include_list_for_databases_cannot_match_an_unknown_one(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.refreshed(milvus.create("docs"))
    assert watching(inventory=False, filters={"databases": {"include": [".*"]}}).poll().jobs == ()
    assert len(watching(inventory=False, filters={"databases": {"exclude": ["hr"]}}).poll().jobs) == 1


def test_freshness_is_shown_for_what_has_a_promise(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.create("docs")
    milvus.create("docs", "hr")
    watch = watching(freshness={"overrides": [{"database": "hr", "max_age": "1h"}]})
    watch.poll()
    assert watch.outcome("docs").max_age is None  # type: ignore[union-attr]
    assert watch.outcome("docs", "hr").max_age == HOUR  # type: ignore[union-attr]


# A memory that was restored


def test_a_restart_with_its_memory_replays_nothing(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    first = watching()
    first.poll()
    milvus.refreshed(docs)
    first.poll()
    milvus.refused(docs)
    second = watching(memory=first.memory)
    second.poll(2)
    assert second.finished("docs") == 2


def test_a_restart_without_its_memory_takes_a_new_baseline(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watching().poll()
    milvus.refreshed(docs)
    second = watching(memory=Memory(since=NOON))
    second.poll(2)
    assert second.finished("docs") == 0
    assert second.outcome("docs").last_success is not None  # type: ignore[union-attr]


def test_totals_of_rows_are_totals_of_the_listing(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    for n in range(20):
        milvus.refreshed(docs, source=f"s3://lake/day={n}")
    watch = watching()
    watch.poll()
    row = watch.row("docs")
    assert row is not None
    assert total(row, State.COMPLETED) == 20
    assert len(row.counts) == 6
    assert watch.snapshot.sources_folded == 15
