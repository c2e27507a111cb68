"""What a restart must not lose, and what a file that cannot be used must not break."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import DAY, HOUR, Clock, ScriptedMilvus, Watch, completed, failed

from exporter.errors import StateUnusable
from exporter.ledger import Memory, StateFile, read_state
from exporter.model import Collection, FailureClass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def opened(path: Path) -> Iterator[StateFile]:
    state = StateFile(path, 30 * DAY)
    state.open()
    state.load(0.0)
    yield state
    state.close()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


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
    milvus.clock.turn(2 * DAY)
    milvus.forget(job)
    with Watch(milvus, state=path) as after:
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
        before = connection.total_changes
        watch.poll()
        assert connection.total_changes == before
        milvus.refreshed(collections[0])
        watch.poll()
        # The job, its collection's outcomes, its database's totals.
        assert connection.total_changes - before <= 3


def test_history_is_kept_for_its_time_and_then_dropped(opened: StateFile, path: Path) -> None:
    """Bounded: what is neither needed for counting nor young enough goes."""
    memory = Memory(0.0)
    old, young = completed(1, 10 * DAY), completed(2, 35 * DAY)
    from exporter.ledger import Ended

    for job in (old, young):
        memory.ended[job.job_id] = Ended(job, Collection("sales", "docs", 7), job.end or 0.0, counted=True)
    opened.save(memory, 36 * DAY)
    memory.ended.clear()
    opened.save(memory, 36 * DAY + HOUR)
    opened.save(memory, 41 * DAY)
    assert rows(path, "SELECT job_id FROM ended") == [(2,)]


def test_everything_that_is_remembered_comes_back_equal(opened: StateFile, path: Path) -> None:
    """Nothing is rounded, renamed or lost on the way through the file."""
    from exporter.ledger import DatabaseTotals, Ended, Outcomes

    memory, place = Memory(123.25, baseline_done=True), Collection("sales", 'do"cs\n', 7)
    memory.covered.add(Collection("", "x"))
    outcomes, totals = Outcomes(), DatabaseTotals()
    for job in (completed(2**62, 1000.125), failed(-3, 2000.5, FailureClass.INDEX_WAIT_TIMEOUT), failed(4, 3000.0)):
        ended = Ended(job, place, job.end or 0.0, counted=True)
        memory.ended[job.job_id] = ended
        outcomes.add(ended)
        totals.add(ended)
    memory.outcomes[place], memory.databases["sales"] = outcomes, totals
    opened.save(memory, 4000.0)
    opened.close()
    assert read_state(path) == memory


def test_a_second_process_is_told_who_has_the_file(opened: StateFile, path: Path) -> None:
    """One writer: two would count everything twice."""
    with pytest.raises(StateUnusable, match="another process uses it; give each exporter a file of its own"):
        StateFile(path, DAY).open()


def test_the_lock_goes_with_the_process(opened: StateFile, path: Path) -> None:
    """No stale lock has to be removed by hand."""
    opened.close()
    other = StateFile(path, DAY)
    other.open()
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


UNUSABLE = {
    "no database": b"not a database, but somebody's notes " * 200,
    "damaged": None,
    "foreign": None,
    "newer": None,
    "unreadable content": None,
}


def spoil(path: Path, how: str) -> None:
    if how == "no database":
        path.write_bytes(UNUSABLE[how] or b"")
        return
    if how == "foreign":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE somebody (elses TEXT)")
        return
    state = StateFile(path, DAY)
    state.open()
    memory = state.load(0.0)
    from exporter.ledger import Outcomes

    for number in range(2000):
        memory.outcomes[Collection("sales", f"collection_{number}", number)] = Outcomes()
    state.save(memory, 1.0)
    state.close()
    if how == "damaged":
        content = bytearray(path.read_bytes())
        for at in range(4096, len(content) - 4096, 4096):
            content[at : at + 512] = b"\xff" * 512
        path.write_bytes(content)
    else:
        statement = "PRAGMA user_version = 99" if how == "newer" else "UPDATE outcomes SET body = '{}'"
        with sqlite3.connect(path) as connection:
            connection.execute(statement)


def use(state: StateFile) -> None:
    state.open()
    state.load(0.0)


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(path: Path, how: str) -> None:
    """A state file is evidence: it is never reset in silence."""
    spoil(path, how)
    before = path.read_bytes()
    state = StateFile(path, DAY)
    with pytest.raises(StateUnusable) as said:
        use(state)
    state.close()
    assert str(path) in str(said.value)
    assert not state.account.ok
    if how != "unreadable content":  # that one is ours, and opening notes that it can be written
        assert path.read_bytes() == before
    with pytest.raises(StateUnusable):
        read_state(path)


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    """What mktemp and volume mounts leave is no damage."""
    path.touch()
    state = StateFile(path, DAY)
    state.open()
    assert state.load(5.0).since == 5.0
    state.close()


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    """No traceback for a volume that is not mounted."""
    with pytest.raises(StateUnusable, match="No such file or directory"):
        StateFile(tmp_path / "gone" / "state.db", DAY).open()


def test_a_write_that_fails_is_counted_and_caught_up(
    milvus: ScriptedMilvus, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Service goes on from memory; when there is room again everything is in the file."""
    docs = milvus.create("docs")
    with Watch(milvus, state=path) as watch:
        watch.poll()
        assert watch.state is not None
        assert watch.state.account.ok
        connection = watch.state._connection
        assert connection is not None
        connection.execute("PRAGMA max_page_count = 1")  # as a disk that is full: the file cannot grow
        connection.execute("PRAGMA query_only = 1")
        milvus.refreshed(docs)
        watch.poll(2)
        assert watch.account.up
        assert (watch.finished("docs"), watch.state.account.ok, watch.state.account.errors) == (1, False, 2)
        assert caplog.text.count("the state file cannot be written") == 1
        connection.execute("PRAGMA query_only = 0")
        connection.execute("PRAGMA max_page_count = 1000000")
        watch.poll()
        assert watch.state.account.ok
    after = read_state(path)
    assert after is not None
    assert [outcomes.finished for outcomes in after.outcomes.values()] == [1]


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
