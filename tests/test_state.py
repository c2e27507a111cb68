"""What a restart must not lose, and what a file that cannot be used must not break."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import AS_IS, DAY, HOUR, NOON, Clock, ScriptedMilvus, Watch, completed, ended, failed, job
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter import errors
from exporter.errors import StateUnusable, StateUnwritable
from exporter.ledger import (
    DatabaseTotals,
    Ledger,
    Memory,
    Outcomes,
    Rules,
    Running,
    Stage,
    StateFile,
    database,
    database_rows,
    look_at_state,
    outcome_rows,
    read_state,
)
from exporter.ledger.records import sealed
from exporter.model import Collection, FailureClass, Job

PLACE = Collection("sales", "docs", 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def opened(path: Path) -> Iterator[StateFile]:
    state, _ = use(path)
    yield state
    state.close()


def rows(path: Path, query: str) -> list[Any]:
    """Ask, or change, behind the exporter's back."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(query).fetchall()


def use(path: Path, since: float = 0.0, history: float = 30 * DAY) -> tuple[StateFile, Memory]:
    state = StateFile(path, history, AS_IS)
    state.open(2 * DAY)
    return state, state.load(since)


def remembering(number: int = 3) -> Memory:
    """Build a memory in which everything is set."""
    memory = Memory(123.25, baseline_done=True)
    memory.outcomes[PLACE], memory.databases["sales"] = Outcomes(shown=True), DatabaseTotals(shown=True)
    for id_ in range(1, number + 1):
        end(memory, id_)
    return memory


def end(memory: Memory, id_: int, moment: float | None = None, place: Collection = PLACE) -> None:
    made = (failed if id_ % 3 == 0 else completed)(id_, DAY + id_ if moment is None else moment)
    memory.ended[id_] = one = ended(made, place)
    memory.outcomes.setdefault(place, Outcomes()).add(one)
    memory.databases[place.database].add(one)


def written(path: Path, memory: Memory, now: float = 2 * DAY) -> None:
    state, _ = use(path)
    state.save(memory, now)
    state.close()


@contextlib.contextmanager
def no_room(path: Path, size: int = 0) -> Iterator[None]:
    """Let no file grow beyond ``size``, or the size that this one has: to SQLite that is a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size or path.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Keep everybody, root included, from making the lock, as a folder that is read-only does."""
    lock = path.with_name(f"{path.name}.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    yield
    lock.rmdir()


def half_way(path: Path, to: Path, change: str) -> None:
    """Copy a database as a kill in the middle of a transaction leaves it: changed pages and a journal to undo them."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(change)
        for name in (path.name, f"{path.name}-journal"):
            shutil.copyfile(path.with_name(name), to / name)
        connection.execute("ROLLBACK")
    assert (to / f"{path.name}-journal").read_bytes()[:1] != b"\0", "there is nothing to undo"


def test_counts_go_on_after_a_kill_at_any_moment_between_polls(milvus: ScriptedMilvus, path: Path) -> None:
    """Each ended job once, whichever process saw it first."""
    docs, chance, ended = milvus.create("docs"), random.Random(7), 0
    with Watch(milvus, state=path) as first:
        first.poll()
    watch, shown = Watch(milvus, state=path), 0
    for _ in range(30):
        for _ in range(chance.randrange(3)):
            (milvus.refreshed if chance.random() < 0.7 else milvus.refused)(docs)
            ended += 1
        polls = chance.randrange(3)
        watch.poll(polls)
        if polls and chance.random() < 0.5:  # a day later Milvus lists none of them any more
            milvus.clock.turn(1.1 * DAY)
            milvus.forget(*list(milvus.jobs))
        finished = watch.finished("docs")
        assert finished is None or finished >= shown, "a count that had been shown went back"
        shown = finished or shown
        if chance.random() < 0.5:
            watch.killed()
            watch = Watch(milvus, state=path)
    watch.poll(2)
    assert watch.finished("docs") == ended
    watch.__exit__()


def test_jobs_that_ended_while_nobody_watched_are_counted_after_the_restart(milvus: ScriptedMilvus, path: Path) -> None:
    """With a file there is no second baseline."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as before:
        before.poll()
    for _ in range(3):
        milvus.refreshed(docs)
    with Watch(milvus, state=path) as after:
        after.poll()
        assert after.finished("docs") == 3


def test_a_restored_counter_is_shown_as_it_was(milvus: ScriptedMilvus, path: Path) -> None:
    """At 0 for one snapshot it would be a reset, and what follows would be counted twice by Prometheus."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as before:
        before.poll()
        milvus.refused(docs)
        before.poll(2)
        failures = before.outcome("docs")
    with Watch(milvus, state=path) as after:
        after.poll()
        assert after.outcome("docs") == failures
        assert after.totals() == before.totals()


def test_outcomes_outlive_both_milvus_and_the_process(milvus: ScriptedMilvus, path: Path) -> None:
    """A last success older than a day is still known after a restart."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as before:
        before.poll()
        job = milvus.refreshed(docs)
        before.poll()
        milvus.clock.turn(3 * DAY)
        milvus.forget(job)
        before.poll()
        known = before.outcome("docs")
        since = before.snapshot.known_since
    with Watch(milvus, state=path) as after:
        after.poll()
        assert after.outcome("docs") == known
        assert known is not None
        assert known.last_success is not None
        assert after.snapshot.known_since == since


def test_a_collection_dropped_while_nobody_watched_is_gone_after_the_first_pass(
    milvus: ScriptedMilvus, path: Path
) -> None:
    """Nobody is alarmed for a month about a collection that nobody has."""
    docs, other = milvus.create("docs"), milvus.create("other")
    milvus.refused(docs)
    milvus.refreshed(other)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.drop(docs)
    with Watch(milvus, state=path) as after:
        after.poll()
        assert after.outcome("docs") is None
        assert after.outcome("other") is not None


def test_a_dropped_collection_whose_jobs_are_listed_stays_gone_over_restarts(
    milvus: ScriptedMilvus, path: Path
) -> None:
    """Its last failure must not come back for the day that Milvus still lists it."""
    docs = milvus.create("docs")
    milvus.refused(docs)
    with Watch(milvus, state=path) as before:
        before.poll()
        milvus.drop(docs)
        before.read_inventory()
        before.poll()
        assert before.row("docs") is not None
        assert before.row("docs").newest is None  # type: ignore[union-attr]
    for _ in range(2):
        with Watch(milvus, state=path) as after:
            after.poll()
            assert after.outcome("docs") is None
            assert after.row("docs") is not None
            assert after.row("docs").newest is None  # type: ignore[union-attr]


def test_a_job_counted_in_an_unknown_database_finds_its_home_after_the_restart(
    milvus: ScriptedMilvus, path: Path
) -> None:
    """What was learnt too late for one process is learnt by the next, and moves what was counted."""
    docs = milvus.create("docs", "hr")
    milvus.refuse_inventory["list_databases"] = errors.Unreachable()
    with Watch(milvus, state=path) as before:
        before.poll()
        milvus.refreshed(docs)
        before.poll(2)
        assert before.finished("docs", "") == 1
    milvus.refuse_inventory.clear()
    with Watch(milvus, state=path) as after:
        after.poll(2)
        assert (after.finished("docs", ""), after.finished("docs", "hr")) == (None, 1)
        assert after.totals("") is None
        assert sum(after.totals("hr").duration_buckets) == 1  # type: ignore[union-attr]


def test_what_was_external_before_the_restart_still_is(milvus: ScriptedMilvus, path: Path) -> None:
    """A job under a former name is asked for where it can be, also while nothing can be described."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as before:
        before.poll()
    number = milvus.submit(docs)
    milvus.clock.turn(1)
    milvus.places[docs].name = "texts"
    milvus.create("docs", created=milvus.clock.wall())
    milvus.refuse_inventory["describe_collection"] = errors.Unreachable()
    with Watch(milvus, state=path) as after:
        after.poll()
        milvus.complete(number)
        milvus.refuse_inventory.clear()
        after.read_inventory()
        after.poll(3)
        assert (after.finished("texts"), after.finished("docs")) == (1, 0)


def test_a_lost_grant_over_a_restart_forgets_nothing(milvus: ScriptedMilvus, path: Path) -> None:
    """The collection still answers to its name, so it exists."""
    docs = milvus.create("docs")
    milvus.refused(docs)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.places[docs].hidden = True
    with Watch(milvus, state=path) as after:
        after.poll(2)
        assert after.outcome("docs") is not None


def test_whose_job_it_is_was_learnt_once_and_is_not_asked_again(milvus: ScriptedMilvus, path: Path) -> None:
    """Same name in two databases: the answer is for life, and a restart is no death."""
    first, second = milvus.create("docs"), milvus.create("docs", "hr")
    milvus.refreshed(first)
    milvus.refreshed(second)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.calls.clear()
    with Watch(milvus, state=path) as after:
        after.poll()
        assert milvus.asked_by_name == []
        assert (after.listed("docs"), after.listed("docs", "hr")) == (1, 1)


def test_ids_forgotten_by_milvus_while_nobody_watched_are_forgotten_here(milvus: ScriptedMilvus, path: Path) -> None:
    """The memory of ids is bounded by the listing, over restarts too; the history keeps the jobs."""
    docs = milvus.create("docs")
    job = milvus.refreshed(docs)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.forget(job)
    with Watch(milvus, state=path) as after:
        after.poll()
        milvus.clock.turn(DAY)
        after.poll()
        assert after.memory.ended == {}
    assert rows(path, "SELECT job_id, known FROM ended") == [(job, 0)]


def test_a_poll_writes_what_has_changed_and_nothing_else(milvus: ScriptedMilvus, path: Path) -> None:
    """The cost of the file follows the change, not the size of the lake."""
    collections = [milvus.create(f"c{number}") for number in range(50)]
    for each in collections:
        milvus.refreshed(each)
    with Watch(milvus, state=path) as watch:
        watch.poll(3)
        connection = watch.state._connection if watch.state else None
        assert connection is not None
        before, changed = connection.total_changes, path.stat().st_mtime_ns
        watch.poll()
        assert connection.total_changes == before
        assert path.stat().st_mtime_ns == changed
        milvus.refreshed(collections[0])
        watch.poll()
        # The job, its collection's outcomes, its database's totals, how many rows there are.
        assert connection.total_changes - before == 4


def test_history_is_kept_for_its_time_and_then_dropped(opened: StateFile, path: Path) -> None:
    """Bounded: what is neither needed for counting nor young enough goes."""
    memory = remembering(0)
    end(memory, 1, 10 * DAY)
    end(memory, 2, 35 * DAY)
    opened.save(memory, 36 * DAY)
    opened.save(memory, 80 * DAY)
    assert rows(path, "SELECT job_id, known FROM ended") == [(1, 1), (2, 1)], "what counting needs was dropped"
    memory.ended.clear()
    opened.save(memory, 40 * DAY + HOUR)
    assert rows(path, "SELECT job_id, known FROM ended") == [(2, 0)]


def test_history_is_bounded_in_size(opened: StateFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, and never one that counting needs; also after a restart."""
    monkeypatch.setattr("exporter.ledger.state.MOST_HISTORY", 5)
    memory = remembering(10)
    opened.save(memory, 2 * DAY)
    for id_ in range(1, 8):
        del memory.ended[id_]
    opened.save(memory, 2 * DAY)
    assert rows(path, "SELECT job_id FROM ended ORDER BY 1") == [(id_,) for id_ in range(3, 11)]
    opened.close()
    state, memory = use(path)
    memory.ended.clear()
    state.save(memory, 2 * DAY)
    state.close()
    assert rows(path, "SELECT job_id FROM ended ORDER BY 1") == [(id_,) for id_ in range(6, 11)]


def test_history_of_another_milvus_takes_no_room_from_that_of_this_one(
    opened: StateFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.ledger.state.MOST_HISTORY", 5)
    memory = remembering(5)
    opened.save(memory, 2 * DAY)
    memory.ended.clear()
    opened.save(memory, 2 * DAY)
    memory.begin_again(0.0)
    opened.save(memory, 2 * DAY)
    memory.databases["sales"] = DatabaseTotals()
    end(memory, 11)
    opened.save(memory, 2 * DAY)
    memory.ended.clear()
    opened.save(memory, 2 * DAY)
    assert rows(path, "SELECT job_id FROM ended") == [(11,)]


def test_everything_that_is_remembered_comes_back_equal(path: Path) -> None:
    """Nothing is rounded, renamed or lost on the way through the file."""
    memory, place = remembering(5), Collection("sales", 'do"cs\n', 8)
    memory.covered.add(Collection("", "x"))
    for made in (completed(2**62, 1000.125), failed(-3, 2000.5, FailureClass.INDEX_WAIT_TIMEOUT), job(0, end=0.1)):
        memory.ended[made.job_id] = ended(made, place, counted=False)
    memory.running[7] = Running(place, "docs", 3000.5, missed=4000.25)
    memory.running[8] = Running(PLACE, "docs", None)
    written(path, memory)
    assert read_state(path) == memory


@pytest.mark.parametrize("turn", range(6))
def test_what_is_written_bit_by_bit_is_what_is_remembered(opened: StateFile, path: Path, turn: int) -> None:
    """Whatever changes between two saves, the file says the same as memory; also where some saves fail."""
    memory, chance, number = remembering(5), random.Random(turn), 100
    for step in range(60):
        number += 1
        places = [Collection("sales", "docs", 7), Collection("hr", "docs", chance.randrange(3))]
        match chance.randrange(6):
            case 0 | 1:
                place = chance.choice(places)
                memory.databases.setdefault(place.database, DatabaseTotals())
                end(memory, number, place=place)
            case 2 if memory.ended:
                del memory.ended[chance.choice(list(memory.ended))]
            case 3 if memory.outcomes:
                del memory.outcomes[chance.choice(list(memory.outcomes))]
            case 4 if memory.ended:
                moved = chance.choice(list(memory.ended))
                memory.ended[moved] = memory.ended[moved]._replace(collection=chance.choice(places))
            case 5:
                memory.databases.pop(chance.choice(["hr", "sales", "none"]), None)
                memory.databases.setdefault("sales", DatabaseTotals())
                memory.covered ^= {places[1]}
        if chance.random() < 0.5:
            continue  # more than one change between two saves
        if chance.random() < 0.3:
            with no_room(path), contextlib.suppress(StateUnusable):
                opened.save(memory, 2 * DAY)
            continue
        opened.save(memory, 2 * DAY)
        assert read_state(path) == memory, f"after step {step}"


def test_a_job_forgotten_and_listed_anew_between_two_saves(opened: StateFile, path: Path) -> None:
    """Its row says what is known of it now."""
    memory = remembering(1)
    opened.save(memory, 2 * DAY)
    memory.ended[1] = ended(failed(1, DAY), memory.ended[1].collection, counted=False)
    opened.save(memory, 2 * DAY)
    assert read_state(path) == memory


def test_a_failure_learnt_late_is_written(opened: StateFile, path: Path) -> None:
    """It may move nothing but the row of failures: older than the latest, and part of the baseline."""
    memory = remembering(3)
    opened.save(memory, 2 * DAY)
    outcomes = memory.outcomes[PLACE]
    outcomes.add(ended(failed(99, DAY + 2.5), PLACE, counted=False))
    assert outcomes.consecutive_failures == 2
    opened.save(memory, 2 * DAY)
    assert read_state(path) == memory


def test_a_reader_sees_one_save_or_the_next(opened: StateFile, path: Path) -> None:
    """Read in two halves, a job would be counted twice or not at all."""
    one, two = remembering(3), remembering(5)
    opened.save(one, 1.0)
    stop = threading.Event()

    def save() -> None:
        while not stop.is_set():
            opened.save(two, 1.0)
            opened.save(one, 1.0)
            stop.wait(0.003)

    writer = threading.Thread(target=save)
    writer.start()
    try:
        seen = [read_state(path) for _ in range(60)]
    finally:
        stop.set()
        writer.join()
    assert all(memory in (one, two) for memory in seen)


def test_a_second_process_is_told_who_has_the_file(opened: StateFile, path: Path) -> None:
    """One writer: two would count everything twice."""
    with pytest.raises(StateUnusable, match="another process uses it; give each exporter a file of its own"):
        StateFile(path, DAY, AS_IS).open(2 * DAY)


def test_the_lock_goes_with_the_process(opened: StateFile, path: Path) -> None:
    """No stale lock has to be removed by hand."""
    opened.close()
    other = StateFile(path, DAY, AS_IS)
    other.open(2 * DAY)
    other.close()


def test_a_running_daemons_file_can_be_read(milvus: ScriptedMilvus, path: Path) -> None:
    """``once`` looks on without writing."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as watch:
        watch.poll()
        milvus.refreshed(docs)
        watch.poll()
        seen = read_state(path)
    assert seen is not None
    assert [outcomes.finished for outcomes in seen.outcomes.values()] == [1]


def test_reading_a_file_that_is_not_there_makes_none(path: Path) -> None:
    """A look is not a write."""
    assert read_state(path) is None
    assert not path.exists()


# What a restart must not lose, in the corner cases


def test_a_kill_between_the_write_and_the_publication(milvus: ScriptedMilvus, path: Path) -> None:
    """The file is ahead of what was shown, never behind."""
    docs = milvus.create("docs")
    watch = Watch(milvus, state=path)
    watch.poll()
    milvus.refreshed(docs)
    watch.store.publish = lambda *_: None  # type: ignore[method-assign]
    watch.poll()
    watch.killed()
    assert watch.finished("docs") == 0
    with Watch(milvus, state=path) as after:
        after.poll()
        assert after.finished("docs") == 1
        after.poll()
        assert after.finished("docs") == 1


def test_what_is_counted_is_in_the_file_before_it_is_shown(milvus: ScriptedMilvus, path: Path) -> None:
    """A count that somebody has seen is never taken back, also not by a kill in between."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as watch:
        watch.poll()
        milvus.refreshed(docs)
        publish, in_file = watch.store.publish, []

        def look(*arguments: object) -> None:
            seen = read_state(path)
            in_file.append([o.finished for o in seen.outcomes.values()] if seen else None)
            publish(*arguments)  # type: ignore[arg-type]

        watch.store.publish = look  # type: ignore[method-assign]
        watch.poll()
        assert in_file == [[1]]


def test_a_new_collection_shown_at_0_is_shown_at_0_again_after_a_kill(milvus: ScriptedMilvus, path: Path) -> None:
    """That its value may be shown is written only after the 0 has been, so it rises after the restart, not in it."""
    with Watch(milvus, state=path, inventory=False) as before:
        before.poll()
    watch = Watch(milvus, state=path, inventory=False)
    watch.poll()
    milvus.refreshed(milvus.create("docs"))
    watch.poll()
    assert watch.finished("docs", "") == 0
    watch.killed()
    with Watch(milvus, state=path, inventory=False) as after:
        seen = []
        for _ in range(3):
            after.poll()
            seen.append(after.finished("docs", ""))
    assert seen == [0, 1, 1]


def test_what_is_remembered_is_shown_while_milvus_is_away(milvus: ScriptedMilvus, path: Path) -> None:
    """A restart in an outage must not take the age of the data from an alert. Counters wait for the first listing."""
    milvus.refused(milvus.create("docs"))
    with Watch(milvus, state=path) as before:
        before.poll(2)
        known, since = before.outcome("docs"), before.snapshot.known_since
    milvus.refuse_whole = errors.Unreachable()
    with Watch(milvus, state=path) as after:
        for _ in range(2):
            assert known is not None
            assert after.outcome("docs") == replace(known, finished=None, failed=None, failed_exemplar=None)
            assert after.snapshot.known_since == since
            assert (after.snapshot.jobs, after.snapshot.databases) == ((), ())
            after.poll()


def test_a_count_shown_and_not_written_is_not_shown_lower_after_the_restart(milvus: ScriptedMilvus, path: Path) -> None:
    """Prometheus would take it for a restart from 0 and count everything again."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as before:
        milvus.refreshed(docs)
        before.poll(2)
    with unwritable(path):
        watch = Watch(milvus, state=path)
        for _ in range(3):
            milvus.refreshed(docs)
        watch.poll()
        assert watch.finished("docs") == 3
        watch.killed()
    with Watch(milvus, state=path) as after:
        assert after.finished("docs") is None
        after.poll()
        assert after.finished("docs") == 3


@pytest.mark.parametrize("meanwhile", ["still half", "written", "gone from the list"])
def test_a_half_written_failure_over_a_restart_is_counted_once(
    milvus: ScriptedMilvus, path: Path, meanwhile: str
) -> None:
    """Seen half-written before, and whatever is listed afterwards."""
    docs = milvus.create("docs")
    watch = Watch(milvus, state=path)
    watch.poll()
    number = milvus.half_fail(milvus.submit(docs))
    watch.poll()
    assert watch.finished("docs") == 0
    watch.killed()
    if meanwhile == "written":
        milvus.fail(number)
    with Watch(milvus, state=path) as after:
        after.poll()
        if meanwhile == "gone from the list":
            milvus.forget(number)
        after.poll(2)
        assert after.finished("docs") == 1
    with Watch(milvus, state=path) as later:
        later.poll(2)
        assert later.finished("docs") == 1


def test_a_collection_renamed_while_nobody_watched_keeps_its_memory(milvus: ScriptedMilvus, path: Path) -> None:
    """Also when all its jobs are forgotten, so that only its id is left to know it by."""
    docs = milvus.create("docs")
    number = milvus.refused(docs)
    with Watch(milvus, state=path) as before:
        before.poll()
        milvus.forget(number)
        before.poll()
        milvus.clock.turn(DAY)
        before.poll()
        assert before.memory.ended == {}
        known = before.outcome("docs")
    milvus.places[docs].name = "texts"
    with Watch(milvus, state=path) as after:
        after.poll()
        found = after.outcome("texts")
        assert after.outcome("docs") is None
        assert known is not None
        assert found is not None
        assert (found.last_failure, found.consecutive_failures) == (known.last_failure, 1)


def test_a_collection_created_anew_while_nobody_watched_begins_anew(milvus: ScriptedMilvus, path: Path) -> None:
    """Another id is another collection, whatever its name."""
    docs = milvus.create("docs")
    milvus.refused(docs)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.drop(docs)
    milvus.clock.turn(HOUR)
    milvus.refreshed(milvus.create("docs", created=milvus.clock.wall() - 60))
    with Watch(milvus, state=path) as after:
        after.poll()
        found = after.outcome("docs")
        assert found is not None
        assert (found.last_failure, found.finished) == (None, 0)
        after.poll()
        assert after.finished("docs") == 1


def test_an_inventory_that_fails_after_the_restart_forgets_nothing(milvus: ScriptedMilvus, path: Path) -> None:
    """A collection refreshed last before ``forget_after`` is not forgotten because the first pass fails."""
    docs = milvus.create("docs")
    number = milvus.refreshed(docs)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.clock.turn(40 * DAY)
    milvus.forget(number)
    milvus.refuse_inventory["list_databases"] = errors.Unreachable()
    with Watch(milvus, state=path) as after:
        after.poll(3)
        assert after.outcome("docs") is not None
        assert after.snapshot.collections == (), "nobody has said that it exists"
        milvus.refuse_inventory.clear()
        after.read_inventory()
        after.poll()
        assert after.outcome("docs") is not None


def test_a_baseline_taken_by_name_is_not_counted_after_the_restart(milvus: ScriptedMilvus, path: Path) -> None:
    """What had ended in the first listing of a collection stays the baseline, whichever process completes it."""
    docs, other = milvus.create("docs"), milvus.create("other")
    milvus.refreshed(docs)
    milvus.refreshed(other)
    milvus.refuse_whole = errors.ServerFault(code=65535)
    milvus.refuse_by_name["default", "other"] = errors.ServerFault(code=65535)
    with Watch(milvus, state=path) as before:
        before.poll()
    milvus.refuse_whole = None
    milvus.refreshed(docs)
    with Watch(milvus, state=path) as after:
        after.poll(2)
        assert (after.finished("docs"), after.finished("other")) == (1, 0)


# What cannot be used at all


def newer(path: Path) -> None:
    written(path, remembering())
    rows(path, "PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    rows(path, "CREATE TABLE somebody (elses TEXT)")


def foreign_without_tables(path: Path) -> None:
    rows(path, "PRAGMA user_version = 7")


def damaged(path: Path) -> None:
    written(path, remembering(2000))
    content = bytearray(path.read_bytes())
    for at in range(4096, len(content) - 4096, 4096):
        content[at : at + 512] = b"\xff" * 512
    path.write_bytes(content)


def damaged_index(path: Path) -> None:
    """Nothing that a start reads for itself; the next job that ends would be written into it."""
    written(path, remembering())
    [(page,)] = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = 'ended_by_collection'")
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : (page - 1) * 4096 + 8] = b"\xff" * 8
    path.write_bytes(content)


def truncated(path: Path) -> None:
    written(path, remembering(2000))
    os.truncate(path, path.stat().st_size // 2)


def unknown_content(path: Path) -> None:
    written(path, remembering())
    row = database.sealed(("sales", '{"buckets": [1]}'))
    rows(path, f"UPDATE databases SET body = '{row[1]}', seal = {row[2]}")


def a_digit_changed(path: Path) -> None:
    written(path, remembering())
    rows(path, """UPDATE outcomes SET body = replace(body, '"finished": 3', '"finished": 4')""")


def a_row_missing(path: Path) -> None:
    written(path, remembering())
    rows(path, "DELETE FROM ended WHERE job_id = 2")


def no_header(path: Path) -> None:
    written(path, remembering())
    rows(path, "DELETE FROM memory")


DAMAGED = "damaged; keep it for repair and name another file in state.path"
UNUSABLE: list[tuple[Any, str]] = [
    (lambda path: path.write_bytes(b"somebody's notes " * 200), "is no state file; name another in state.path"),
    (lambda path: path.write_bytes(b"SQLite format 3\0"), "is no state file; name another in state.path"),
    (lambda path: path.mkdir(), "is no regular file; name another in state.path"),
    (os.mkfifo, "is no regular file; name another in state.path"),
    (foreign, "a database of another program; name another file in state.path"),
    (foreign_without_tables, "a database of another program; name another file in state.path"),
    (newer, "written by a newer version of this program; run that one, or name another file"),
    (damaged, DAMAGED),
    (damaged_index, DAMAGED),
    (truncated, DAMAGED),
    (a_digit_changed, DAMAGED),
    (a_row_missing, DAMAGED),
    (no_header, DAMAGED),
    (unknown_content, "holds something that this version cannot read; name another file in state.path"),
]


@pytest.mark.parametrize(("spoil", "why"), UNUSABLE)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(path: Path, spoil: Any, why: str) -> None:
    """A state file is evidence: it is never reset in silence, and nothing is written to it later either."""
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    state = StateFile(path, DAY, AS_IS)
    with pytest.raises(StateUnusable) as said:
        state.open(2 * DAY)
    assert str(said.value) == f"{path}: {why}"
    assert not isinstance(said.value, StateUnwritable)
    state.save(remembering(), 5.0)
    assert not state.account.ok
    state.close()
    if before is not None:
        assert path.read_bytes() == before
    with pytest.raises(StateUnusable) as said:
        look_at_state(path, thorough=True)
    assert str(said.value) == f"{path}: {why}"


def test_what_another_program_has_left_half_written_is_left_alone(path: Path, tmp_path: Path) -> None:
    """Opened as a database it would be rolled back: not ours to do."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE somebody (elses TEXT)")
        connection.executemany("INSERT INTO somebody VALUES (?)", [("x" * 500,)] * 500)
    half_way(path, theirs, "UPDATE somebody SET elses = 'y' || elses")
    before = [file.read_bytes() for file in sorted(theirs.iterdir())]
    with pytest.raises(StateUnusable, match="another program"):
        StateFile(theirs / path.name, DAY, AS_IS).open(2 * DAY)
    assert not (theirs / f"{path.name}.lock").exists()
    assert [file.read_bytes() for file in sorted(theirs.iterdir())] == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Memory, Path]:
    path = tmp_path_factory.mktemp("whole") / "state.db"
    memory = remembering(150)
    written(path, memory)
    return path.read_bytes(), memory, path


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bits_are_noticed_or_change_nothing(
    whole: tuple[bytes, Memory, Path], flips: list[tuple[float, int]]
) -> None:
    """A wrong count must not come out of a damaged file, and neither a traceback."""
    content, memory, path = whole
    spoilt = bytearray(content)
    for where, mask in flips:
        spoilt[int(where * len(spoilt))] ^= mask
    path.write_bytes(spoilt)
    state = StateFile(path, 30 * DAY, AS_IS)
    with contextlib.suppress(StateUnusable):
        state.open(2 * DAY)
        assert state.load(0.0) == memory
        state.save(memory, 2 * DAY)
    state.close()


@pytest.mark.parametrize("left", [1, 99, 100, 4096, 5000, -4096, -1])
def test_a_file_cut_off_anywhere_is_not_taken_for_a_new_one(path: Path, left: int) -> None:
    """Only an empty file is a new one."""
    written(path, remembering(150))
    os.truncate(path, left if left > 0 else path.stat().st_size + left)
    before = path.read_bytes()
    with pytest.raises(StateUnusable):
        use(path)
    assert path.read_bytes() == before


def test_an_empty_file_is_a_new_one(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What touch and mounts of a single file leave is no damage. Said, since somebody may have emptied it."""
    caplog.set_level("INFO")
    path.touch()
    assert look_at_state(path, thorough=True) == (None, None)
    state, memory = use(path, since=5.0)
    assert (memory.since, state.account.ok) == (5.0, True)
    assert f"a new state file begins: {path}" in caplog.text
    state.close()


def test_a_file_that_was_never_saved_to_is_a_new_one(path: Path) -> None:
    """A kill before the first good poll leaves a schema and nothing in it."""
    use(path)[0].close()
    assert read_state(path) is None
    state, memory = use(path, since=7.0)
    assert memory == Memory(7.0)
    state.close()


# One writer


def test_two_names_of_one_file_have_one_lock(opened: StateFile, path: Path, tmp_path: Path) -> None:
    """A symbolic link leads to the same counts."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(StateUnusable, match="another process uses it"):
        StateFile(link, DAY, AS_IS).open(2 * DAY)


def test_a_link_to_nowhere_yet_makes_the_file_there(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    written(link, remembering())
    assert link.is_symlink()
    assert read_state(path) == read_state(link) == remembering()


def test_a_link_to_itself_is_named(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(StateUnusable, match="Too many levels of symbolic links"):
        use(path)


def test_the_loser_of_a_lock_never_writes(opened: StateFile, path: Path) -> None:
    """Not even when the winner has gone: its memory began without the file's."""
    opened.save(remembering(), 1.0)
    loser = StateFile(path, DAY, AS_IS)
    with pytest.raises(StateUnusable, match="another process"):
        loser.open(2 * DAY)
    opened.close()
    loser.save(Memory(5.0), 2.0)
    loser.close()
    assert read_state(path) == remembering()


# What can be read and not written


def test_a_file_that_cannot_be_written_is_read_and_caught_up_with(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Counts go on from what it holds; one error line; when it can be written everything is in it."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as before:
        before.poll()
        milvus.refreshed(docs)
        before.poll()
    caplog.clear()
    caplog.set_level("INFO")
    with unwritable(path):
        watch = Watch(milvus, state=path)
        assert watch.state is not None
        assert not watch.state.account.ok
        assert caplog.text.count("ERROR") == 1, "said before the first poll, which may not be for long"
        milvus.refused(docs)
        watch.poll(3)
        assert watch.finished("docs") == 2
        assert (watch.state.account.ok, watch.state.account.errors, watch.account.up) == (False, 3, True)
        assert caplog.text.count("ERROR") == 1
        assert f"a restart would forget: {path}: Is a directory" in caplog.text
    watch.poll()
    assert watch.state.account.ok
    assert caplog.text.count("the state file is written again") == 1
    watch.killed()
    with Watch(milvus, state=path) as after:
        after.poll()
        assert after.finished("docs") == 2


def test_a_file_that_could_not_be_made_is_made_later(path: Path) -> None:
    """A folder that is read-only or full at the start is no reason to forget for ever."""
    with unwritable(path):
        state, memory = use(path, since=5.0)
        with pytest.raises(StateUnwritable):
            state.save(memory, 6.0)
    state.save(memory, 7.0)
    state.close()
    assert read_state(path) == Memory(5.0)


def test_a_file_that_appears_later_is_not_overwritten(path: Path, tmp_path: Path) -> None:
    """A volume that is mounted late has a history that this process does not know."""
    volume = tmp_path / "volume"
    late = volume / "state.db"
    state, memory = use(late, since=5.0)
    assert isinstance(state.trouble, StateUnwritable)
    volume.mkdir()
    written(late, remembering())
    for now in (6.0, 7.0):
        with pytest.raises(StateUnusable, match="is not the file that was there at the start; restart to use it"):
            state.save(memory, now)
    state.close()
    assert read_state(late) == remembering()


def test_a_disk_that_is_full_at_the_start(path: Path) -> None:
    """What the file holds is read, and the end of the shortage is noticed."""
    written(path, remembering(200))
    with no_room(path):
        state, memory = use(path)
        assert memory == remembering(200)
        for id_ in range(201, 400):
            end(memory, id_)
        with pytest.raises(StateUnwritable, match="cannot be written: the disk"):
            state.save(memory, 3 * DAY)
        assert not state.account.ok
    state.save(memory, 3 * DAY)
    assert (state.account.ok, state.trouble, state.account.errors) == (True, None, 1)
    state.close()
    assert read_state(path) == memory


def test_a_disk_that_takes_nothing_is_found_out_at_the_start(path: Path) -> None:
    """Not at the first job that ends."""
    written(path, remembering(200))
    with no_room(path, size=1):
        state, memory = use(path)
        assert (memory, state.account.ok) == (remembering(200), False)
        assert isinstance(state.trouble, StateUnwritable)
    state.close()


def test_a_disk_that_stays_full_costs_little(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each poll tries again, and reads the file only once it can be written."""
    written(path, remembering(200))
    state, memory = use(path)
    taken = []
    monkeypatch.setattr("exporter.ledger.state.take", lambda *given: taken.append(given) or database.take(*given))
    end(memory, 999)
    with no_room(path, size=1):
        for _ in range(3):
            with pytest.raises(StateUnwritable):
                state.save(memory, 1.0)
    assert taken == []
    state.save(memory, 2.0)
    assert len(taken) == 1
    state.close()


def test_a_connection_that_has_broken_is_replaced(opened: StateFile, path: Path) -> None:
    """Whatever it was, the next save begins anew."""
    assert opened._connection is not None
    opened._connection.close()
    with pytest.raises(StateUnusable):
        opened.save(remembering(), 1.0)
    opened.save(remembering(), 2.0)
    assert read_state(path) == remembering()


def test_a_write_that_fails_is_counted_and_caught_up(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Service goes on from memory; when there is room again everything is in the file."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as watch:
        watch.poll()
        assert watch.state is not None
        assert watch.state.account.ok
        for _ in range(100):
            milvus.refreshed(docs)
        with no_room(path):
            watch.poll(2)
        assert watch.account.up
        assert (watch.finished("docs"), watch.state.account.ok, watch.state.account.errors) == (100, False, 2)
        assert caplog.text.count("the state file cannot be written") == 1
        watch.poll()
        assert watch.state.account.ok
        assert watch.state.account.errors == 2
    after = read_state(path)
    assert after is not None
    assert [outcomes.finished for outcomes in after.outcomes.values()] == [100]


def test_a_file_that_somebody_holds_for_too_long(
    opened: StateFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person in a SQLite shell is waited for, not for ever."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.0)
    opened.save(remembering(), 1.0)
    opened._disconnect()  # the next one waits no longer than that
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateUnwritable, match="is locked by another program"):
            opened.save(remembering(5), 2.0)
        shell.execute("ROLLBACK")
    opened.save(remembering(5), 3.0)
    assert read_state(path) == remembering(5)


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    """No traceback for a volume that is not mounted."""
    state, memory = use(tmp_path / "gone" / "state.db")
    with pytest.raises(StateUnwritable, match="No such file or directory"):
        state.save(memory, 1.0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_permissions_that_let_us_read_only(path: Path, tmp_path: Path, what: str) -> None:
    """As after a restore by root: read, said, and written as soon as it may be."""
    written(path, remembering())
    path.with_name("state.db-journal").unlink(missing_ok=True)
    path.with_name("state.db.lock").unlink()
    for parent in [*tmp_path.parents][:-1]:
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755 if what != "file" else 0o777)
    path.chmod(0o644 if what != "folder" else 0o666)
    os.seteuid(65534)
    try:
        assert read_state(path) == remembering()
        state, memory = use(path)
        assert memory == remembering()
        with pytest.raises(StateUnwritable):
            state.save(memory, 2.0)
    finally:
        os.seteuid(0)
    tmp_path.chmod(0o777)
    path.chmod(0o666)
    os.seteuid(65534)
    try:
        end(memory, 9)
        state.save(memory, 3.0)
    finally:
        os.seteuid(0)
    state.close()
    assert read_state(path) == memory


# While it runs


def test_a_file_deleted_while_in_use_is_written_anew(
    opened: StateFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What has no name can be written to, and is gone after the restart."""
    memory = remembering()
    opened.save(memory, 1.0)
    for file in path.parent.iterdir():
        file.unlink()
    end(memory, 9)
    opened.save(memory, 2.0)
    assert read_state(path) == memory
    assert f"the state file was deleted while in use and is written anew: {path}" in caplog.text
    with pytest.raises(StateUnusable, match="another process"):
        StateFile(path, DAY, AS_IS).open(2 * DAY)


def test_a_file_replaced_while_in_use_is_left_alone(opened: StateFile, path: Path, tmp_path: Path) -> None:
    """Somebody has put another history there. It is for the next start."""
    opened.save(remembering(), 1.0)
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "state.db"
    written(other, remembering(7))
    other.rename(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StateUnusable, match="is not the file that was there at the start; restart to use it"):
            opened.save(remembering(5), 2.0)
    assert path.read_bytes() == before
    assert (opened.account.ok, opened.account.errors) == (False, 2)


def test_a_backup_put_back_while_in_use_is_brought_up_to_date(opened: StateFile, path: Path, tmp_path: Path) -> None:
    """It is the same file at an earlier time, and memory knows all that it knows."""
    opened.save(remembering(), 1.0)
    shutil.copy(path, tmp_path / "backup")
    opened.save(remembering(5), 2.0)
    (tmp_path / "backup").rename(path)
    opened.save(remembering(6), 3.0)
    assert read_state(path) == remembering(6)


def test_a_lock_deleted_while_in_use_is_taken_again(opened: StateFile, path: Path) -> None:
    """People delete lock files that they take for stale."""
    opened.save(remembering(), 1.0)
    path.with_name("state.db.lock").unlink()
    opened.save(remembering(5), 2.0)
    with pytest.raises(StateUnusable, match="another process"):
        StateFile(path, DAY, AS_IS).open(2 * DAY)
    assert read_state(path) == remembering(5)


# Killed in the middle of a write


def test_what_a_kill_leaves_half_written_is_as_if_it_had_not_begun(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the next daemon, and for a reader that must not write."""
    memory, killed = remembering(300), tmp_path / "killed"
    killed.mkdir()
    written(path, memory)
    half_way(path, killed, "UPDATE ended SET source = source || 'x', known = 0")
    left = [file.read_bytes() for file in sorted(killed.iterdir())]
    assert look_at_state(killed / path.name, thorough=True)[1] == memory
    assert [file.read_bytes() for file in sorted(killed.iterdir())] == left, "a look is not a write"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    assert read_state(killed / path.name) == memory, "there is no other folder to undo it in"
    state, found = use(killed / path.name)
    assert found == memory
    state.close()


# The schema


def first_version(path: Path) -> None:
    """Write a file as the first release left it at an hour past noon."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(Path(__file__).with_name("data").joinpath("state-v1.sql").read_text())


IMAGES = Collection("sales", "images", 8)
STRICT = Rules("strict", lambda job: job._replace(source="***", reason="***"))


def test_an_older_file_is_brought_up_to_date_with_all_it_holds(path: Path) -> None:
    first_version(path)
    with pytest.raises(StateUnusable, match="written by an older version; start the daemon once"):
        read_state(path)
    state = StateFile(path, 30 * DAY, AS_IS)
    state.open(NOON + HOUR)
    memory = state.load(0.0)
    state.close()
    assert (memory.since, memory.baseline_done, memory.milvus, memory.running) == (NOON - DAY, True, "", {})
    assert {id_: (known.counted, known.stage) for id_, known in memory.ended.items()} == {
        3: (True, Stage.COUNTED),
        4: (True, Stage.COUNTED),
        5: (True, Stage.COUNTED),
    }
    docs, images = outcome_rows(memory, lambda _: True, lambda _: None)
    assert (docs.last_success, docs.last_failure, docs.consecutive_failures) == (NOON - HOUR, NOON - 60, 1)
    assert (docs.finished, docs.failed, docs.trouble) == (3, 2, memory.ended[4].job)
    assert (images.last_success, images.finished) == (NOON + HOUR, 1), "an end in the future is now"
    [sales] = database_rows(memory)
    assert sum(sales.duration_buckets) == 2
    assert {class_: count for class_, count in sales.failed_by_class if count} == {
        FailureClass.TIMEOUT: 1,
        FailureClass.ACCESS_DENIED: 1,
    }
    assert read_state(path) == memory


def test_facts_of_an_older_file_survive_what_milvus_says_later_of_its_jobs(path: Path) -> None:
    """What rested on forgotten jobs stays when the facts are derived again from the known ones."""
    first_version(path)
    state = StateFile(path, 30 * DAY, AS_IS)
    state.open(NOON + HOUR)
    memory = state.load(0.0)
    state.close()
    book = Ledger(memory, retention=DAY, forget_after=30 * DAY)
    rewritten = memory.ended[4].job._replace(failure_class=FailureClass.INDEX_WAIT_TIMEOUT)
    book.observe_whole([(rewritten, PLACE)], (), NOON + 2 * HOUR)
    docs, _ = outcome_rows(memory, lambda _: True, lambda _: None)
    assert (docs.last_success, docs.consecutive_failures, docs.trouble) == (NOON - 60, 0, rewritten)
    assert (docs.finished, docs.failed) == (3, 2)


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    first_version(path)
    rows(path, "UPDATE ended SET state = 'RefreshDreamt', seal = 0 WHERE job_id = 5")
    before = path.read_bytes()
    with pytest.raises(StateUnusable, match="damaged"):
        use(path)
    assert path.read_bytes() == before


# The rules by which its texts were cleaned


@pytest.mark.parametrize("version", [1, 2])
def test_what_was_cleaned_by_other_rules_is_cleaned_when_the_file_is_opened(path: Path, version: int) -> None:
    """An older release may have let through what today's rules hide; history, and free pages, included."""
    first_version(path)
    if version != 1:
        use(path)[0].close()
    state = StateFile(path, 30 * DAY, STRICT)
    state.open(NOON + HOUR)
    memory = state.load(0.0)
    state.close()
    assert {known.job.reason for known in memory.ended.values()} == {"***"}
    assert memory.outcomes[PLACE].facts.trouble == memory.ended[4]
    assert {source for (source,) in rows(path, "SELECT source FROM ended")} == {"***"}
    left = path.read_bytes()
    assert b"Zebra" not in left
    assert b"job timeout" not in left
    assert read_state(path) == memory


def test_texts_cleaned_by_the_same_rules_are_not_read_again(path: Path) -> None:
    first_version(path)
    first = StateFile(path, 30 * DAY, STRICT)
    first.open(NOON + HOUR)
    first.close()

    def refuse(job: Job) -> Job:
        raise AssertionError("cleaned again")

    again = StateFile(path, 30 * DAY, Rules("strict", refuse))
    again.open(NOON + HOUR)
    again.close()


def test_what_other_rules_have_let_in_meanwhile_is_cleaned_too(path: Path) -> None:
    """Settings read again change the rules while the file is open; the next start can have the first ones again."""
    state = StateFile(path, 30 * DAY, STRICT)
    state.open(2 * DAY)
    memory = remembering(3)
    state.rules = AS_IS
    state.save(memory, 2 * DAY)
    memory.ended.clear()
    state.save(memory, 2 * DAY)
    state.close()
    again = StateFile(path, 30 * DAY, STRICT)
    again.open(2 * DAY)
    again.close()
    assert {source for (source,) in rows(path, "SELECT source FROM ended")} == {"***"}


def set_rows(connection: sqlite3.Connection, numbers: str) -> None:
    """Say how many rows the tables have."""
    connection.execute("UPDATE memory SET value = ?, seal = ? WHERE key = 'rows'", sealed(("rows", numbers))[1:])


def test_failures_that_an_older_file_knows_one_by_one_are_not_counted_twice(path: Path) -> None:
    """A row of failures longer than the newest 256: the others are a number there, and known by id all the same."""
    first_version(path)
    failures = [(1_000 + number, NOON - 50 + number / 10) for number in range(300)]
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for id_, stop in failures:
            row = (id_, *PLACE, "docs", "RefreshFailed", 0.5, "s3://lake/docs", stop - 1, stop, "timeout", "timeout", 1)
            connection.execute(f"INSERT INTO ended VALUES ({'?, ' * 14}?)", (*sealed(row), 1))
        [(text,)] = connection.execute("SELECT body FROM outcomes WHERE collection = 'docs'").fetchall()
        body = json.loads(text)
        moments = [*body["recent"], *([stop, id_] for id_, stop in failures)]
        body |= {"recent": moments[-256:], "older": len(moments) - 256, "last_failed": moments[-1]}
        text = json.dumps(body)
        seal = sealed((*PLACE, text))[-1]
        connection.execute("UPDATE outcomes SET body = ?, seal = ? WHERE collection = 'docs'", (text, seal))
        connection.execute("UPDATE ended SET known = 0 WHERE job_id = 3")
        set_rows(connection, "[2, 1, 302]")
    state = StateFile(path, 30 * DAY, AS_IS)
    state.open(NOON + HOUR)
    memory = state.load(0.0)
    state.close()
    assert memory.outcomes[PLACE].consecutive_failures == 301
    memory.outcomes[PLACE].rebuild(known for known in memory.ended.values() if known.collection == PLACE)
    assert memory.outcomes[PLACE].consecutive_failures == 301


def test_jobs_of_a_collection_that_an_older_file_has_forgotten_stay_out_of_its_outcomes(path: Path) -> None:
    first_version(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM outcomes WHERE collection = 'images'")
        set_rows(connection, "[1, 1, 3]")
    state = StateFile(path, 30 * DAY, AS_IS)
    state.open(NOON + HOUR)
    memory = state.load(0.0)
    state.close()
    assert {id_: known.stage for id_, known in memory.ended.items()} == {
        3: Stage.COUNTED,
        4: Stage.COUNTED,
        5: Stage.DROPPED,
    }
