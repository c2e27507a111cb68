"""Reading the kept jobs of a state file while it is being written."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import AS_IS, DAY, NOON, completed, ended, failed

from exporter.errors import StateUnusable
from exporter.ledger import History, Mark, Memory, StateFile
from exporter.ledger import history as module
from exporter.model import Collection, Job

DOCS = Collection("sales", "docs", 7)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    file = StateFile(tmp_path / "state.db", 30 * DAY, AS_IS)
    file.open(NOON)
    file.load(NOON)
    yield file
    file.close()


def keep(state: StateFile, *jobs: Job, collection: Collection = DOCS) -> Memory:
    memory = Memory(NOON)
    for job in jobs:
        memory.ended[job.job_id] = ended(job, collection)
    state.save(memory, NOON)
    return memory


def test_jobs_come_newest_first_with_what_a_chart_needs(state: StateFile) -> None:
    keep(state, completed(1, NOON - 50), failed(2, NOON - 20))
    assert History(state.path, AS_IS.clean).marks("sales", "docs", since=0.0, most=10) == (
        Mark(2, "RefreshFailed", NOON - 30, NOON - 20),
        Mark(1, "RefreshCompleted", NOON - 60, NOON - 50),
    )


def test_jobs_that_milvus_and_the_counting_have_forgotten_are_there(state: StateFile) -> None:
    keep(state, completed(1, NOON - 50))
    state.save(Memory(NOON), NOON)
    assert [mark.job_id for mark in History(state.path, AS_IS.clean).marks("sales", "docs", since=0.0, most=10)] == [1]


def test_other_collections_and_older_jobs_are_not(state: StateFile) -> None:
    memory = keep(state, completed(1, NOON - 5 * DAY), completed(2, NOON))
    memory.ended[3] = ended(completed(3, NOON), Collection("lake", "docs", 8))
    state.save(memory, NOON)
    assert [
        mark.job_id for mark in History(state.path, AS_IS.clean).marks("sales", "docs", since=NOON - DAY, most=10)
    ] == [2]


@pytest.mark.parametrize("most", [1, 4, 5, 7, 100])
def test_slices_leave_nothing_out_and_say_nothing_twice(
    state: StateFile, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLICE", 2)
    # Several end at the same moment, where a slice may end too.
    keep(state, *(completed(n, NOON - n // 3) for n in range(9)))
    found = [mark.job_id for mark in History(state.path, AS_IS.clean).marks("sales", "docs", since=0.0, most=most)]
    assert found == [2, 1, 0, 5, 4, 3, 8, 7, 6][:most]


def test_a_job_comes_back_whole(state: StateFile) -> None:
    job = failed(2, NOON - 20, reason="it's gone; DROP TABLE ended")
    keep(state, job)
    assert History(state.path, AS_IS.clean).jobs([2, 3]) == {2: job}
    assert History(state.path, AS_IS.clean).jobs([]) == {}


def test_a_row_that_was_tampered_with_is_refused(state: StateFile) -> None:
    keep(state, completed(1, NOON))
    with sqlite3.connect(state.path) as connection:
        connection.execute("UPDATE ended SET reason = 'x'")
    connection.close()
    with pytest.raises(StateUnusable, match="damaged"):
        History(state.path, AS_IS.clean).jobs([1])


def test_reading_never_makes_a_file(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable):
        History(tmp_path / "none.db", AS_IS.clean).marks("a", "b", since=0.0, most=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be looked at" * 20])
def test_a_file_that_is_none_of_ours_is_named_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd name?.db"
    path.write_bytes(content)
    with pytest.raises(StateUnusable, match="odd name"):
        History(path, AS_IS.clean).marks("a", "b", since=0.0, most=1)


def test_the_writer_can_write_between_two_slices(state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is half way through a long history holds no lock that a commit has to wait for."""
    monkeypatch.setattr(module, "_SLICE", 1)
    memory = keep(state, completed(1, NOON - 50), completed(2, NOON - 20))
    made: list[object] = []

    def between(row: tuple[object, ...]) -> Mark:
        memory.ended[10 + len(made)] = ended(completed(10 + len(made), NOON), DOCS)
        state.save(memory, NOON)
        made.append(row)
        return Mark(*row)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_mark", between)
    assert [mark.job_id for mark in History(state.path, AS_IS.clean).marks("sales", "docs", since=0.0, most=10)] == [
        2,
        1,
    ]
    assert state.account.ok
    assert len(made) == 2


def test_the_writers_locks_outlive_a_reader(state: StateFile) -> None:
    """Closing the file in the same process must not give the writer's lock away."""
    keep(state, completed(1, NOON))
    writer = sqlite3.connect(state.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    History(state.path, AS_IS.clean).marks("sales", "docs", since=0.0, most=1)
    code = f"import sqlite3; sqlite3.connect({str(state.path)!r}, timeout=0.05).execute('BEGIN IMMEDIATE')"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    writer.rollback()
    writer.close()
    assert "database is locked" in other.stderr
