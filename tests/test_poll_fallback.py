"""When Milvus refuses the whole listing because of one broken job: the known collections are listed one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from builders import DAY, HOUR, Clock, ScriptedMilvus, Watching, watches

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import Collection

BROKEN = errors.ServerFault("job 12 references missing task 34", code=5)
SHOWN = ("show_collections", "default")


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def watching(milvus: ScriptedMilvus) -> Iterator[Watching]:
    with watches(milvus) as watch:
        yield watch


@pytest.mark.parametrize("code", [5, 65535, 1100, 1101])
def test_a_refusal_that_one_broken_job_can_cause(milvus: ScriptedMilvus, watching: Watching, code: int) -> None:
    """The poll is partial and a success, and the refusal is counted once although it was rescued."""
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)
    milvus.refuse_whole = errors.ServerFault(code=code)
    watch.poll()
    assert watch.account.up
    assert watch.account.partial
    assert watch.account.errors["server_error"] == 1
    assert sum(watch.account.errors.values()) == 1
    assert watch.account.last_success == milvus.clock.wall()
    assert watch.finished("docs") == 1
    assert watch.snapshot.unlisted == ()


@pytest.mark.parametrize(
    "error",
    [
        errors.ServerFault(code=2000),
        errors.ServerFault(code=3),
        errors.NotReady(code=2),
        errors.RateLimited(code=8),
        errors.Unimplemented(code=10),
        errors.Unauthenticated(),
        errors.DeadlineExceeded(),
        errors.CollectionGone(code=100),
    ],
)
def test_nothing_else_starts_the_fallback(
    milvus: ScriptedMilvus, watching: Watching, error: errors.MilvusError
) -> None:
    milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = error
    watch.poll()
    assert milvus.asked_by_name == []
    assert not watch.account.up
    assert not watch.account.partial


def test_the_refused_listing_works_again(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    milvus.refreshed(docs)
    watch.poll(2)
    milvus.refuse_whole = None
    milvus.refreshed(docs)
    watch.poll(2)
    assert not watch.account.partial
    assert watch.finished("docs") == 2


def test_the_collection_with_the_broken_job_is_unlisted_and_keeps_its_last_known_rows(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    docs, broken = milvus.create("docs"), milvus.create("broken")
    milvus.refreshed(docs)
    milvus.refreshed(broken)
    watch = watching()
    watch.poll()
    milvus.refuse_whole, milvus.refuse_by_name["default", "broken"] = BROKEN, BROKEN
    milvus.refreshed(docs)
    watch.poll()
    assert [c.name for c in watch.snapshot.unlisted] == ["broken"]
    assert watch.listed("broken") == 1
    assert watch.listed("docs") == 2


def test_unlisted_collections_go_stale_one_by_one(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs, broken = milvus.create("docs"), milvus.create("broken")
    milvus.refreshed(docs)
    milvus.refreshed(broken)
    watch = watching()
    watch.poll()
    milvus.refuse_whole, milvus.refuse_by_name["default", "broken"] = BROKEN, BROKEN
    watch.poll(3)
    assert watch.row("broken") is not None
    watch.poll()
    assert watch.row("broken") is None
    assert watch.row("docs") is not None
    assert watch.outcome("broken") is not None
    milvus.refuse_whole = None
    watch.poll()
    assert watch.row("broken") is not None


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_rows_of_unlisted_collections_age_by_the_clock_that_never_steps(
    milvus: ScriptedMilvus, watching: Watching, step: float
) -> None:
    broken = milvus.create("broken")
    milvus.refreshed(broken)
    milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole, milvus.refuse_by_name["default", "broken"] = BROKEN, BROKEN
    milvus.clock.step_wall(step)
    watch.poll()
    assert watch.row("broken") is not None
    watch.poll(3)
    assert watch.row("broken") is None


def test_a_collection_without_jobs_listed_by_name_is_up_to_date(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    watch.poll(10)
    milvus.refreshed(docs)
    watch.poll()
    assert watch.listed("docs") == 1


def test_where_not_one_can_be_listed_the_poll_has_failed(milvus: ScriptedMilvus, watching: Watching) -> None:
    """And the one failure is counted once."""
    milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole, milvus.refuse_by_name["default", "docs"] = BROKEN, BROKEN
    watch.poll()
    assert not watch.account.up
    assert not watch.account.partial
    assert watch.account.errors["server_error"] == 1


def test_where_nothing_is_known_the_poll_has_failed(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.refuse_whole = BROKEN
    watch = watching()
    watch.poll()
    assert not watch.account.up
    assert milvus.asked_by_name == []


def test_the_first_poll_of_all_can_be_partial(milvus: ScriptedMilvus, watching: Watching) -> None:
    """It waits for the inventory, which says what to list; each listing is its collection's baseline."""
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    milvus.refuse_whole = BROKEN
    watch = watching()
    watch.poll()
    assert watch.account.partial
    assert watch.finished("docs") == 0
    milvus.refreshed(docs)
    watch.poll()
    assert watch.finished("docs") == 1
    milvus.refuse_whole = None
    milvus.refreshed(docs)
    watch.poll()
    assert watch.finished("docs") == 2


def test_the_whole_listing_after_a_partial_beginning_is_the_baseline_of_the_rest(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    docs, broken = milvus.create("docs"), milvus.create("broken")
    milvus.refreshed(broken)
    milvus.refuse_whole, milvus.refuse_by_name["default", "broken"] = BROKEN, BROKEN
    watch = watching()
    watch.poll()
    milvus.refuse_whole = None
    milvus.refreshed(docs)
    watch.poll(2)
    assert watch.finished("broken") == 0
    assert watch.finished("docs") == 1


def test_a_partial_listing_forgets_nothing(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    watch.poll()
    held = milvus.jobs.pop(number)
    milvus.refuse_whole = BROKEN
    milvus.clock.turn(3 * DAY)
    watch.poll(2)
    milvus.jobs[number] = held
    watch.poll(2)
    assert watch.finished("docs") == 1


def test_a_half_written_failure_is_counted_by_the_next_listing_of_its_collection(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    milvus.half_fail(milvus.submit(docs))
    watch.poll()
    assert watch.finished("docs") == 0
    watch.poll(2)
    assert watch.finished("docs") == 1


def test_only_what_the_filters_keep_is_listed(milvus: ScriptedMilvus, watching: Watching) -> None:
    """The deadline is too short for what nobody wants to see."""
    milvus.create("docs", "sales")
    milvus.create("docs", "hr")
    watch = watching(filters={"databases": {"exclude": ["hr"]}})
    watch.poll()
    milvus.refuse_whole = BROKEN
    watch.poll()
    assert milvus.asked_by_name == [("sales", "docs")]
    assert watch.snapshot.unlisted == ()


def test_a_slow_fallback_is_bounded_by_the_polls_deadline(milvus: ScriptedMilvus, watching: Watching) -> None:
    for n in range(40):
        milvus.create(f"c{n:02}")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    milvus.seconds_per_call = 1.0
    begun = milvus.clock.monotonic()
    watch.poll(every=0.0)
    assert milvus.clock.monotonic() - begun <= 10.0
    assert 0 < len(watch.snapshot.unlisted) < 40


def test_a_slow_first_inventory_takes_no_time_from_the_first_polls_fallback(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """The inventory is what tells the names to list by, and has more time than a poll."""
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    milvus.refuse_whole = BROKEN
    milvus.on_call = lambda call: milvus.clock.turn(20.0) if call == SHOWN else None
    watch = watching()
    watch.poll()
    assert watch.account.partial
    assert watch.listed("docs") == 1


def test_a_slow_first_inventory_takes_no_time_from_asking_whose_a_job_is(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    for database in ("sales", "hr"):
        milvus.refreshed(milvus.create("docs", database))
    milvus.on_call = lambda call: milvus.clock.turn(20.0) if call == SHOWN else None
    watch = watching()
    watch.poll()
    assert sorted(milvus.asked_by_name) == [("hr", "docs"), ("sales", "docs")]
    assert watch.listed("docs", "sales") == watch.listed("docs", "hr") == 1


def test_each_poll_goes_on_where_the_last_one_stopped(milvus: ScriptedMilvus, watching: Watching) -> None:
    for n in range(40):
        milvus.create(f"c{n:02}")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    milvus.seconds_per_call = 1.0
    milvus.refuse_by_name["default", "c05"] = BROKEN
    watch.poll(5)
    assert {name for _, name in milvus.asked_by_name} == {f"c{n:02}" for n in range(40)}


def test_collections_that_hang_do_not_keep_the_others_from_being_listed_for_ever(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """Those that never answer stand first in line: the next poll begins behind them."""
    numbers = [milvus.create(f"c{n:02}") for n in range(20)]
    watch = watching()
    watch.poll()
    for number in numbers:
        milvus.refreshed(number)
    milvus.refuse_whole = BROKEN
    milvus.hang = {("default", f"c{n:02}") for n in range(9)}
    watch.poll(every=1.0)
    assert not watch.account.up
    watch.poll(9, every=1.0)
    assert [watch.finished(f"c{n:02}") for n in range(20)] == [0] * 9 + [1] * 11


def test_without_an_inventory_names_that_were_seen_are_listed(milvus: ScriptedMilvus, watching: Watching) -> None:
    """A request without a database means the default one; the answer settles nothing for life."""
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    watch = watching(inventory=False)
    watch.poll(2)
    milvus.refuse_whole = BROKEN
    milvus.refreshed(docs)
    watch.poll(2)
    assert watch.account.partial
    assert watch.finished("docs", "") == 1


def test_with_an_inventory_nothing_is_listed_without_a_database(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Milvus would answer for its default database, and another one's jobs would be taken for these."""
    milvus.create("docs")
    milvus.refreshed(milvus.create("docs", "hr"))
    milvus.refuse_by_name["hr", "docs"] = errors.Unreachable()
    watch = watching()
    watch.poll()
    assert watch.row("docs", "") is not None
    milvus.refuse_whole = BROKEN
    watch.poll()
    assert ("", "docs") not in milvus.asked_by_name
    assert Collection("", "docs") in watch.snapshot.unlisted


def test_a_listing_by_name_settles_jobs_that_were_open(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.create("docs")
    hr = milvus.create("docs", "hr")
    watch = watching()
    watch.poll()
    milvus.refuse_by_name = {("hr", "docs"): errors.Unreachable(), ("default", "docs"): errors.Unreachable()}
    milvus.refreshed(hr)
    watch.poll()
    assert watch.row("docs", "") is not None
    milvus.refuse_by_name.clear()
    milvus.refuse_whole = BROKEN
    watch.poll(2)
    assert watch.row("docs", "") is None
    assert watch.finished("docs", "hr") == 1


def test_a_fault_of_ours_in_a_partial_poll_counts_both(
    milvus: ScriptedMilvus, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    milvus.refreshed(docs)
    with monkeypatch.context() as broken:
        broken.setattr("exporter.ledger.Ledger.observe_part", lambda *_: 1 / 0)
        watch.poll()
    assert not watch.account.up
    assert watch.account.errors["internal"] == 1
    assert watch.account.errors["server_error"] == 1
    watch.poll(2)
    assert watch.finished("docs") == 1


def test_a_broken_off_partial_poll_loses_nothing(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refuse_whole = BROKEN
    number = milvus.submit(docs)
    watch.poll()
    milvus.refuse_by_name["default", "docs"] = ZeroDivisionError()
    milvus.complete(number)
    watch.poll()
    assert watch.account.errors["internal"] == 1
    milvus.refuse_by_name.clear()
    watch.poll()
    assert watch.finished("docs") == 1
    assert milvus.jobs[number][0].state == pb.RefreshCompleted


def test_listings_by_name_hold_no_more_than_one_listing_of_everything(
    milvus: ScriptedMilvus, watching: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    """What does not fit waits for the next poll, is counted and is said once."""
    caplog.set_level(logging.INFO, "exporter.poll")
    places = [milvus.create(f"c{number}", source=f"s3://lake/{'x' * 400}") for number in range(6)]
    for place in places:
        milvus.refreshed(place)
    watch = watching(milvus={"max_response_bytes": "1KiB"})
    watch.poll()
    milvus.refuse_whole = BROKEN
    unlisted = []
    for _ in range(3):
        watch.poll()
        unlisted.append({c.name for c in watch.snapshot.unlisted})
    assert [len(names) for names in unlisted] == [4, 4, 4]
    assert not set.intersection(*unlisted), "each has its turn"
    assert watch.account.up
    assert watch.account.errors["response_too_large"] == 3
    assert len([line for line in caplog.messages if "partial" in line]) == 1


def test_a_job_that_ends_while_collections_are_listed_by_name_keeps_its_end(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """No end is later than when we saw it, and that is when the listings had come, not when the poll began."""
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.submit(docs)
    milvus.refuse_whole = BROKEN

    def end(call: tuple[str, ...]) -> None:
        if call == ("list_jobs", "default", "docs"):
            milvus.clock.turn(5)
            milvus.complete(number)

    milvus.on_call = end
    watch.poll()
    assert watch.outcome("docs").last_success == milvus.clock.wall()  # type: ignore[union-attr]
