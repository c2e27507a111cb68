"""Listing by name: a few at a time, until the deadline."""

from __future__ import annotations

import asyncio

import pytest
from builders import Clock, ScriptedMilvus

from exporter import errors
from exporter.model import Collection
from exporter.poll.ask import ByName, Deadline, list_by_name, rotated


def ask(milvus: ScriptedMilvus, names: list[str], seconds: float = 10.0) -> ByName:
    deadline = Deadline(milvus.clock, milvus.clock.monotonic() + seconds)
    return asyncio.run(list_by_name(milvus, [Collection("default", name) for name in names], deadline))


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


def test_what_can_be_listed_is_listed_and_the_rest_is_told_apart(milvus: ScriptedMilvus) -> None:
    job_id = milvus.refreshed(milvus.create("docs"))
    milvus.create("broken")
    milvus.refuse_by_name["default", "broken"] = errors.ServerFault(code=5)
    found = ask(milvus, ["docs", "broken", "nobody"])
    assert [r.job_id for r in found.listed[Collection("default", "docs")]] == [job_id]
    assert found.failed == {Collection("default", "broken")}
    assert found.gone == {Collection("default", "nobody")}


def test_a_missing_database_is_a_missing_collection(milvus: ScriptedMilvus) -> None:
    milvus.refuse_by_name["default", "docs"] = errors.DatabaseGone(code=800)
    assert ask(milvus, ["docs"]).gone == {Collection("default", "docs")}


@pytest.mark.parametrize(("code", "hidden"), [(1401, True), (0, False)])
def test_a_collection_that_may_not_be_listed_exists_where_milvus_says_so(
    milvus: ScriptedMilvus, code: int, hidden: bool
) -> None:
    """Status 1401 is about this one; a gRPC refusal is about the call and says nothing of the collection."""
    milvus.refuse_by_name["default", "docs"] = errors.PermissionDenied(code=code)
    found = ask(milvus, ["docs"])
    assert (bool(found.hidden), bool(found.failed), found.gone) == (hidden, not hidden, frozenset())


@pytest.mark.parametrize("code", [105, 1100])
def test_an_ordinary_collection_has_no_jobs_to_list(milvus: ScriptedMilvus, code: int) -> None:
    """ "Not an external collection" is an answer and not a failure to be asked about for ever."""
    milvus.refuse_by_name["default", "docs"] = errors.ServerFault(code=code)
    assert ask(milvus, ["docs"]).gone == {Collection("default", "docs")}


def test_after_the_deadline_nothing_is_asked(milvus: ScriptedMilvus) -> None:
    for number in range(20):
        milvus.create(f"c{number:02}")
    milvus.seconds_per_call = 1.0
    found = ask(milvus, [f"c{n:02}" for n in range(20)], seconds=10.0)
    assert len(milvus.asked_by_name) == 10
    assert found.asked == 10
    assert len(found.listed) == 10
    assert len(found.failed) == 10


def test_only_a_few_are_asked_at_once(milvus: ScriptedMilvus) -> None:
    under_way = most = 0

    class Slow(ScriptedMilvus):
        async def list_jobs(self, **call: object) -> object:  # type: ignore[override]
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(5):
                await asyncio.sleep(0)
            under_way -= 1
            raise errors.CollectionGone(code=100)

    ask(Slow(milvus.clock), [f"c{n}" for n in range(40)])
    assert most == 8


def test_a_fault_of_ours_leaves_no_call_behind(milvus: ScriptedMilvus) -> None:
    """Calls of a poll that has failed must not run on into the next one."""
    milvus.create("docs")
    milvus.refuse_by_name["default", "c0"] = ZeroDivisionError()

    async def scenario() -> set[asyncio.Task[None]]:
        deadline = Deadline(milvus.clock, milvus.clock.monotonic() + 10)
        names = [Collection("default", f"c{n}") for n in range(30)]
        with pytest.raises(ZeroDivisionError):
            await list_by_name(milvus, names, deadline)
        return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]

    assert asyncio.run(scenario()) == set()


@pytest.mark.parametrize(("start", "names"), [(0, "abc"), (1, "bca"), (3, "abc"), (7, "bca")])
def test_each_poll_goes_on_where_the_last_one_stopped(start: int, names: str) -> None:
    assert rotated([Collection("", n) for n in "abc"], start) == [Collection("", n) for n in names]


def test_nothing_can_be_rotated_too() -> None:
    assert rotated([], 5) == []


def test_a_deadline_never_goes_below_zero() -> None:
    clock = Clock()
    deadline = Deadline(clock, clock.monotonic() + 1)
    clock.turn(5)
    assert deadline.left == 0.0
