"""A memory belongs to one Milvus, and each of its jobs to one collection: over restarts, gaps and copied files."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from builders import DAY, HOUR, Clock, ScriptedMilvus, Watch

from exporter import errors

HERE, ELSEWHERE = {"uri": "http://milvus:19530"}, {"uri": "http://other:19530"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


def another_one(clock: Clock) -> ScriptedMilvus:
    """Another Milvus with collections of the same names, whose ids are its own."""
    other = ScriptedMilvus(clock)
    other._next_id = 5000
    return other


def said(caplog: pytest.LogCaptureFixture) -> int:
    """Count how often the log says that the Milvus is another one."""
    return sum("another Milvus answers" in record.getMessage() for record in caplog.records)


# When a collection was created


def test_a_collection_created_anew_inherits_nothing_while_the_inventory_cannot_be_read(
    milvus: ScriptedMilvus, path: Path
) -> None:
    """The job began before it, so it is a former collection's: also when only the state file knows its age."""
    old = milvus.create("docs")
    number = milvus.refreshed(old)
    milvus.clock.turn(HOUR)
    milvus.drop(old)
    milvus.create("docs", created=milvus.clock.wall())
    with Watch(milvus, state=path) as before:
        before.poll(2)
        assert before.outcome("docs").last_success is None  # type: ignore[union-attr]
    milvus.refuse_inventory["list_databases"] = errors.Unreachable()
    with Watch(milvus, state=path) as after:
        after.poll()
        milvus.refuse_inventory.clear()
        after.read_inventory()
        after.poll()
        milvus.forget(number)
        after.poll()
        assert after.outcome("docs").last_success is None  # type: ignore[union-attr]


# Where a running job belongs


@pytest.mark.parametrize("meanwhile", ["a restart", "a gap in the listing"])
def test_a_running_job_stays_its_collections_own_when_that_is_dropped(
    milvus: ScriptedMilvus, path: Path, meanwhile: str
) -> None:
    milvus.create("orders", "one")
    theirs = milvus.create("orders", "two")
    watch = Watch(milvus, state=path)
    watch.poll()
    number = milvus.submit(theirs)
    milvus.run(number)
    watch.poll()
    milvus.drop(theirs)
    if meanwhile == "a restart":
        watch.killed()
        watch = Watch(milvus, state=path)
    else:
        away = milvus.jobs.pop(number)
        watch.poll()
        milvus.jobs[number] = away
    with watch:
        milvus.fail(number)
        watch.read_inventory()
        watch.poll(2)
        found = watch.outcome("orders", "one")
        assert found is not None
        assert (found.failed, found.last_failure) == (0, None)


# Another Milvus behind the same memory


@pytest.mark.parametrize("uri", [HERE, ELSEWHERE], ids=["same_address", "other_address"])
def test_old_jobs_of_another_milvus_are_a_baseline_and_the_log_says_so_once(
    milvus: ScriptedMilvus, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, uri: dict[str, str]
) -> None:
    """As with a state file that was copied to another cluster, where each Milvus has the same name."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        milvus.refreshed(docs)
        before.poll(2)
        assert before.finished("docs") == 1
    copied = tmp_path / "copied.db"
    shutil.copyfile(path, copied)
    other = another_one(milvus.clock)
    theirs = other.create("docs")
    for _ in range(10):
        other.clock.turn(-HOUR)
        other.refused(theirs)
        other.clock.turn(HOUR - 1)
    with caplog.at_level(logging.INFO), Watch(other, state=copied, milvus=uri) as after:
        after.poll(3)
        found = after.outcome("docs")
        assert found is not None
        assert (found.finished, found.failed, found.last_success, found.consecutive_failures) == (0, 0, None, 10)
        other.refused(theirs)
        after.poll()
        assert after.finished("docs") == 1
    assert said(caplog) == 1
    assert sum(record.getMessage() == "refresh failed" for record in caplog.records) == 1
    with Watch(other, state=copied, milvus=uri) as later:
        later.poll(2)
        assert later.finished("docs") == 1
    assert said(caplog) == 1


def test_a_milvus_that_has_got_another_address_is_the_same(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        milvus.refreshed(docs)
        before.poll(2)
    milvus.refreshed(docs)
    with Watch(milvus, state=path, milvus=ELSEWHERE) as after:
        after.poll(2)
        assert after.finished("docs") == 2
    assert said(caplog) == 0


def test_a_milvus_that_has_forgotten_all_its_jobs_is_the_same(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its collections are known by id, also where it has got another address."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        number = milvus.refreshed(docs)
        before.poll(2)
    milvus.clock.turn(3 * DAY)
    milvus.forget(number)
    milvus.refreshed(docs)
    with Watch(milvus, state=path, milvus=ELSEWHERE) as after:
        after.poll(2)
        assert after.finished("docs") == 2
    assert said(caplog) == 0


def test_a_memory_of_another_address_is_not_shown_before_its_milvus_is_known(
    milvus: ScriptedMilvus, path: Path
) -> None:
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        milvus.refreshed(docs)
        before.poll(2)
    with Watch(milvus, state=path, milvus=ELSEWHERE) as after:
        assert after.outcome("docs") is None
    with Watch(milvus, state=path, milvus=HERE) as after:
        assert after.outcome("docs") is not None


def test_a_younger_milvus_at_another_address_is_another_one(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its jobs ended after ours, and none of its collections is ours: what it shows itself proves nothing."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        milvus.refreshed(docs)
        before.poll(2)
    other = another_one(milvus.clock)
    other.refreshed(other.create("docs"))
    with Watch(other, state=path, milvus=ELSEWHERE) as after:
        after.poll(2)
        assert after.finished("docs") == 0
    assert said(caplog) == 1


def test_jobs_met_by_name_first_do_not_make_the_others_foreign(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While nobody watched, one job ended after another; a listing by name brings the later one alone."""
    docs, images = milvus.create("docs"), milvus.create("images")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        running = milvus.submit(docs)
        milvus.run(running)
        before.poll(2)
    milvus.clock.turn(60)
    milvus.refreshed(images)
    milvus.clock.turn(60)
    milvus.complete(running)
    with Watch(milvus, state=path, milvus=HERE) as after:
        milvus.refuse_whole = errors.ServerFault(code=5)
        milvus.refuse_by_name["default", "images"] = errors.ServerFault(code=5)
        after.poll()
        milvus.refuse_whole = None
        after.poll(2)
        assert (after.finished("docs"), after.finished("images")) == (1, 1)
    assert said(caplog) == 0


def test_a_listing_by_name_without_a_job_does_not_make_a_milvus_another_one(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its collections are known by id."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        number = milvus.refreshed(docs)
        before.poll(2)
    milvus.clock.turn(3 * DAY)
    milvus.forget(number)
    with Watch(milvus, state=path, milvus=ELSEWHERE) as after:
        milvus.refuse_whole = errors.ServerFault(code=5)
        after.poll(2)
        milvus.refuse_whole = None
        after.poll(2)
        assert after.finished("docs") == 1
    assert said(caplog) == 0


def test_a_milvus_once_known_by_name_stays_known(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without an inventory: the second listing by name reaches a collection without jobs alone."""
    docs, images = milvus.create("docs"), milvus.create("images")
    with Watch(milvus, state=path, milvus=HERE, inventory=False) as before:
        before.poll()
        number = milvus.refreshed(images)
        milvus.refreshed(docs)
        before.poll(2)
    milvus.forget(number)
    with Watch(milvus, state=path, milvus=ELSEWHERE, inventory=False) as after:
        milvus.refuse_whole = errors.ServerFault(code=5)
        after.poll()
        milvus.refuse_by_name["", "docs"] = errors.ServerFault(code=5)
        after.poll()
        milvus.refuse_whole = None
        after.poll(2)
        assert after.finished("docs", "") == 1
    assert said(caplog) == 0


def test_another_milvus_met_by_name_first_is_another_one(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the listing by name has brought is no proof that the memory knew it, and all of it is shown."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        milvus.refreshed(docs)
        before.poll(2)
    other = another_one(milvus.clock)
    theirs, more = other.create("docs"), other.create("images")
    other.clock.turn(-HOUR)
    other.refreshed(theirs)
    other.refreshed(more)
    other.clock.turn(HOUR)
    with Watch(other, state=path, milvus=HERE) as after:
        other.refuse_whole = errors.ServerFault(code=5)
        after.poll()
        other.refuse_whole = None
        after.poll(2)
        assert (after.finished("docs"), after.finished("images")) == (0, 0)
        assert (after.listed("docs"), after.listed("images")) == (1, 1)
        other.forget(*other.jobs)
        other.refreshed(theirs)
        after.poll()
        assert after.finished("docs") == 1
    assert said(caplog) == 1


def test_an_end_by_a_clock_of_ours_that_was_wrong_does_not_make_a_milvus_another_one(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    docs = milvus.create("docs")
    milvus.clock.step_wall(300 * DAY)
    with Watch(milvus, state=path, milvus=HERE) as before:
        before.poll()
        number = milvus.refreshed(docs)
        milvus.jobs[number][0].end_time = 0
        before.poll(2)
    milvus.clock.step_wall(-300 * DAY)
    milvus.clock.turn(2 * DAY)
    milvus.forget(number)
    milvus.refreshed(docs)
    with Watch(milvus, state=path, milvus=HERE) as after:
        after.poll(2)
        assert after.finished("docs") == 2
    assert said(caplog) == 0
