"""Asking Milvus by a process of its own: what an answer brings, and what stays when none comes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from builders import HOUR, Clock, ScriptedMilvus, settings

from exporter import errors
from exporter.model import State
from exporter.terminal import asking
from exporter.terminal.asking import Connection, Listing

Result = TypeVar("Result")
Run = Callable[[Coroutine[Any, Any, Result]], Result]


class Served(ScriptedMilvus):
    """A scripted Milvus in the place of the client."""

    closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def milvus(monkeypatch: pytest.MonkeyPatch) -> Served:
    served = Served(Clock())
    monkeypatch.setattr(asking, "MilvusClient", lambda _: served)
    return served


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    with asyncio.Runner() as runner:
        yield runner.run


def connection(milvus: Served, **sections: Any) -> Connection:
    return Connection(settings(**sections), milvus.clock)


def names(listing: Listing) -> list[tuple[str, str]]:
    return [(collection.database, collection.name) for collection, _ in listing.jobs]


def test_jobs_come_the_latest_first_with_their_databases(milvus: Served, run: Run[Listing]) -> None:
    old, new = milvus.create("docs", "sales"), milvus.create("docs", "lake")
    milvus.refreshed(old)
    milvus.clock.turn(60)
    milvus.run(milvus.submit(new), 40)
    found = run(connection(milvus).ask())
    assert names(found) == [("lake", "docs"), ("sales", "docs")]
    assert [job.state for _, job in found.jobs] == [State.IN_PROGRESS, State.COMPLETED]
    assert (found.up, found.partial, found.kind, found.why) == (True, False, "", "")
    assert found.taken == milvus.clock.wall()


def test_jobs_that_start_together_come_by_id(milvus: Served, run: Run[Listing]) -> None:
    ids = [milvus.submit(milvus.create(f"c{number}")) for number in range(5)]
    assert [job.job_id for _, job in run(connection(milvus).ask()).jobs] == ids[::-1]


def test_filters_of_the_settings_hold_here_too(milvus: Served, run: Run[Listing]) -> None:
    for database in ("sales", "lake"):
        milvus.refused(milvus.create("docs", database))
    found = run(connection(milvus, filters={"databases": {"exclude": ["sales"]}}).ask())
    assert names(found) == [("lake", "docs")]
    assert [row.collection.database for row in found.failing] == ["lake"]


def test_without_an_answer_the_last_one_stays_and_the_reason_is_told(milvus: Served, run: Run[Listing]) -> None:
    milvus.refreshed(milvus.create("docs"))
    there = connection(milvus)
    before = run(there.ask())
    milvus.refuse_whole = errors.Unreachable("UNAVAILABLE: gone")
    milvus.clock.turn(30)
    lost = run(there.ask())
    assert (lost.up, lost.kind, lost.why) == (False, "unreachable", "Milvus cannot be reached. UNAVAILABLE: gone")
    assert (lost.jobs, lost.taken) == (before.jobs, before.taken)
    milvus.refuse_whole = None
    again = run(there.ask())
    assert (again.up, again.kind, again.why) == (True, "", "")
    assert again.taken == before.taken + 30


def test_before_any_answer_there_is_nothing_but_the_reason(milvus: Served, run: Run[Listing]) -> None:
    milvus.refuse_whole = errors.Unauthenticated("Status 1400: no")
    found = run(connection(milvus).ask())
    assert found == Listing(kind="unauthenticated", why="Milvus rejects the credentials. Status 1400: no")


def test_a_fault_of_ours_is_told_as_one(milvus: Served, run: Run[Listing]) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    milvus.on_call = broken
    found = run(connection(milvus, inventory={"enabled": "false"}).ask())
    assert (found.up, found.kind, found.why) == (False, "internal", "The exporter itself is at fault.")


def test_a_listing_that_is_refused_whole_is_put_together_by_name(milvus: Served, run: Run[Listing]) -> None:
    good, bad = milvus.create("docs"), milvus.create("broken")
    milvus.refreshed(good)
    milvus.refreshed(bad)
    milvus.refuse_whole = errors.ServerFault("Status 5: job 7 is inconsistent", code=5)
    milvus.refuse_by_name["default", "broken"] = errors.ServerFault("no", code=5)
    found = run(connection(milvus).ask())
    assert (found.up, found.partial) == (True, True)
    assert names(found) == [("default", "docs")]
    assert [collection.name for collection in found.unlisted] == ["broken"]
    assert found.why == "Milvus answered with an error. Status 5: job 7 is inconsistent"


def test_without_privileges_for_the_inventory_the_reason_is_kept(milvus: Served, run: Run[Listing]) -> None:
    milvus.refreshed(milvus.create("docs", "sales"))
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied("Status 1401")
    found = run(connection(milvus).ask())
    assert names(found) == [("", "docs")]
    assert found.unplaced == "The Milvus user lacks a privilege. Status 1401"


def test_who_watches_for_long_sees_new_names(milvus: Served, run: Run[Listing]) -> None:
    """The inventory is read again at its own interval."""
    collection = milvus.create("docs")
    milvus.refreshed(collection)
    there = connection(milvus)
    run(there.ask())
    milvus.places[collection].name = "renamed"
    milvus.clock.turn(60)
    assert names(run(there.ask())) == [("default", "docs")]
    milvus.clock.turn(300)
    run(there.ask())
    assert names(run(there.ask())) == [("default", "renamed")]


def test_the_end_closes_the_channel(milvus: Served, run: Run[Any]) -> None:
    there = connection(milvus)
    run(there.ask())
    run(there.close())
    assert milvus.closed


def test_a_state_file_that_cannot_be_used_is_told_and_done_without(
    milvus: Served, run: Run[Listing], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database" * 100)
    milvus.refreshed(milvus.create("docs"))
    assert len(run(connection(milvus, state={"path": str(path)}).ask()).jobs) == 1
    assert "the state file cannot be used, going on without" in caplog.text
    assert path.read_bytes() == b"no database" * 100


def test_a_state_file_is_read_and_never_written(milvus: Served, run: Run[Listing], tmp_path: Path) -> None:
    """It knows the database of a collection that has been dropped since."""
    from builders import Watch

    path = tmp_path / "state.db"
    dropped = milvus.create("docs", "sales")
    milvus.refused(dropped)
    with Watch(milvus, state=path) as watch:
        watch.poll()
    milvus.drop(dropped)
    before = path.read_bytes()
    assert names(run(connection(milvus, state={"path": str(path)}).ask())) == [("sales", "docs")]
    assert path.read_bytes() == before
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    milvus.clock.turn(HOUR)
    assert names(run(connection(milvus).ask())) == [("", "docs")]
