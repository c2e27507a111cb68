"""Passes over the inventory: what they ask, what they keep when something fails, and whom they take for gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from builders import DAY, Clock, ScriptedMilvus

from exporter import errors
from exporter.catalog import Inventory, InventoryReader
from exporter.model import Collection


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


def reader(milvus: ScriptedMilvus, budget: float = 30.0) -> InventoryReader:
    return InventoryReader(milvus, milvus.clock, budget=budget, call_timeout=10.0)


def passes(made: InventoryReader, *between: Callable[[], object]) -> Inventory:
    """Make a pass, and one more after each thing that happens in ``between``."""
    asyncio.run(made.read())
    for happen in between:
        happen()
        asyncio.run(made.read())
    return made.latest


def names(picture: Inventory) -> set[tuple[str, str]]:
    return {e.collection[:2] for e in picture.entries.values()}


def test_a_pass_finds_all_collections_with_their_ids(milvus: ScriptedMilvus) -> None:
    first, second = milvus.create("docs", "sales"), milvus.create("docs", "hr")
    picture = passes(reader(milvus))
    assert {e.collection for e in picture.entries.values()} == {
        Collection("sales", "docs", first),
        Collection("hr", "docs", second),
    }
    assert picture.databases == ("default", "sales", "hr")


def test_a_pass_tells_external_collections_from_ordinary_ones(milvus: ScriptedMilvus) -> None:
    milvus.create("docs", source="s3://lake/a", created=milvus.clock.wall() - 5)
    milvus.create("vectors", external=False)
    picture = passes(reader(milvus))
    assert [(e.collection.name, e.source, e.created) for e in picture.external] == [
        ("docs", "s3://lake/a", milvus.clock.wall() - 5)
    ]


def test_what_has_been_described_is_not_described_again(milvus: ScriptedMilvus) -> None:
    milvus.create("docs")
    passes(reader(milvus), lambda: milvus.create("images"), lambda: None)
    assert milvus.asked("describe_collection", "default", "docs") == 1
    assert milvus.asked("describe_collection", "default", "images") == 1


def test_what_has_aliases_is_described_each_time(milvus: ScriptedMilvus) -> None:
    """An alias can be pointed elsewhere at any time."""
    milvus.create("docs", aliases=("current",))
    passes(reader(milvus), lambda: None)
    assert milvus.asked("describe_collection") == 2


def test_what_is_in_doubt_is_described_once_more(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")
    made = reader(milvus)

    def moved() -> None:
        milvus.places[number].source = "s3://lake/b"
        made.doubt([number])

    picture = passes(made, moved, lambda: None)
    assert milvus.asked("describe_collection") == 2
    assert picture.external[0].source == "s3://lake/b"


def test_doubts_about_what_is_gone_are_forgotten(milvus: ScriptedMilvus) -> None:
    made = reader(milvus)
    made.doubt([12345])
    passes(made)
    assert not made._doubted


def test_a_pass_without_a_failure_is_a_success(milvus: ScriptedMilvus) -> None:
    made = reader(milvus)
    passes(made)
    assert made.account.last_success == milvus.clock.wall()
    assert made.account.by_kind == {}
    assert made.account.last_failures == ()


def test_no_privilege_at_all(milvus: ScriptedMilvus) -> None:
    """Nothing is known, nothing is gone, and the failure is in the inventory's own account."""
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied()
    made = reader(milvus)
    assert passes(made).entries == {}
    assert made.account.by_kind == {"permission_denied": 1}
    assert made.account.last_success == 0.0


def test_a_failing_pass_keeps_what_was_known(milvus: ScriptedMilvus) -> None:
    milvus.create("docs")
    made = reader(milvus)
    picture = passes(made, lambda: milvus.refuse_inventory.update(list_databases=errors.Unreachable()))
    assert names(picture) == {("default", "docs")}
    assert picture.gone == frozenset()


def test_a_database_that_cannot_be_shown_is_kept_as_it_was(milvus: ScriptedMilvus) -> None:
    milvus.create("docs", "sales")
    milvus.create("docs", "hr")
    made = reader(milvus)

    def fail() -> None:
        milvus.refuse_inventory["show_collections sales"] = errors.RateLimited()
        milvus.create("images", "hr")

    assert names(passes(made, fail)) == {("sales", "docs"), ("hr", "docs"), ("hr", "images")}
    assert made.account.by_kind == {"rate_limited": 1}


def test_a_pass_counts_its_first_failure_alone(milvus: ScriptedMilvus) -> None:
    milvus.create("docs")
    milvus.create("docs", "hr")
    milvus.refuse_inventory["show_collections"] = errors.ServerFault()
    milvus.refuse_inventory["describe_collection"] = errors.PermissionDenied()
    made = reader(milvus)
    passes(made)
    assert made.account.by_kind == {"server_error": 1}


def test_without_the_privilege_to_describe_collections_are_known_by_name(milvus: ScriptedMilvus) -> None:
    milvus.create("docs")
    milvus.refuse_inventory["describe_collection"] = errors.PermissionDenied()
    picture = passes(reader(milvus))
    assert "docs" in picture.by_name
    assert picture.external == ()


def test_a_refused_privilege_is_not_asked_for_again_for_each_collection(milvus: ScriptedMilvus) -> None:
    for number in range(5):
        milvus.create(f"c{number}")
    milvus.create("docs", "hr")
    milvus.refuse_inventory["describe_collection default"] = errors.PermissionDenied()
    picture = passes(reader(milvus))
    assert milvus.asked("describe_collection", "default") == 1
    assert [e.collection.name for e in picture.external] == ["docs"]


def test_one_collection_that_cannot_be_described_does_not_hide_the_others(milvus: ScriptedMilvus) -> None:
    milvus.create("broken")
    milvus.create("docs")
    milvus.refuse_inventory["describe_collection default.broken"] = errors.ServerFault()
    made = reader(milvus)
    assert [e.collection.name for e in passes(made).external] == ["docs"]
    assert made.account.by_kind == {"server_error": 1}


def many(milvus: ScriptedMilvus, number: int, database: str = "default") -> list[str]:
    names = [f"c{n:03}" for n in range(number)]
    for name in names:
        milvus.create(name, database)
    return names


def together(milvus: ScriptedMilvus) -> list[int]:
    """Return of how many collections each call about several was."""
    return [len(call) - 2 for call in milvus.calls if call[0] == "describe_collections"]


def test_a_hundred_collections_of_one_database_are_described_in_one_call(milvus: ScriptedMilvus) -> None:
    """Ten thousand one after the other would take longer than a pass may."""
    many(milvus, 230)
    many(milvus, 2, "hr")
    many(milvus, 1, "sales")
    picture = passes(reader(milvus))
    assert together(milvus) == [100, 100, 30, 2]
    assert len(picture.external) == 233
    assert milvus.asked("describe_collection", "sales") == 1


@pytest.mark.parametrize(
    "refusal",
    [
        errors.Unimplemented(),
        errors.DeadlineExceeded(),
        errors.BadResponse(),
        errors.ServerFault(),
        errors.ResponseTooLarge(),
    ],
    ids=lambda error: error.kind,
)
def test_where_several_cannot_be_described_at_once_each_is_described_alone(
    milvus: ScriptedMilvus, refusal: errors.MilvusError
) -> None:
    """Milvus before 2.6 has no such call; that is no failure."""
    many(milvus, 120)
    milvus.refuse_inventory["describe_collections"] = refusal
    made = reader(milvus)
    assert len(passes(made).external) == 120
    assert together(milvus) == [100]
    assert milvus.asked("describe_collection") == 120
    assert made.account.last_failures == ()


@pytest.mark.parametrize("refusal", [errors.PermissionDenied(), errors.Unreachable()], ids=lambda error: error.kind)
def test_where_a_database_refuses_all_of_it_is_left_alone(milvus: ScriptedMilvus, refusal: errors.MilvusError) -> None:
    many(milvus, 120)
    many(milvus, 2, "hr")
    milvus.refuse_inventory["describe_collections default"] = refusal
    made = reader(milvus)
    assert [e.collection.database for e in passes(made).external] == ["hr", "hr"]
    assert together(milvus) == [100, 2]
    assert made.account.last_failures == (refusal,)


def test_of_several_collections_one_that_is_gone_and_one_that_is_broken_do_not_hide_the_others(
    milvus: ScriptedMilvus,
) -> None:
    milvus.create("gone")
    milvus.create("broken")
    milvus.create("docs")
    milvus.refuse_inventory["describe_collection default.gone"] = errors.CollectionGone(code=100)
    milvus.refuse_inventory["describe_collection default.broken"] = errors.ServerFault()
    made = reader(milvus)
    picture = passes(made)
    assert [e.collection.name for e in picture.external] == ["docs"]
    assert names(picture) == {("default", "docs"), ("default", "broken")}
    assert made.account.by_kind == {"server_error": 1}


def test_a_server_that_gets_tired_within_a_call_is_one_failure_and_what_it_has_said_is_kept(
    milvus: ScriptedMilvus,
) -> None:
    for name in many(milvus, 120)[3:]:
        milvus.refuse_inventory[f"describe_collection default.{name}"] = errors.RateLimited()
    made = reader(milvus)
    assert len(passes(made).external) == 3
    assert together(milvus) == [100]
    assert [type(each) for each in made.account.last_failures] == [errors.RateLimited]


def test_a_call_about_several_leaves_time_to_go_on_one_by_one(milvus: ScriptedMilvus) -> None:
    many(milvus, 100)
    milvus.seconds_per_call = 0.5
    made = reader(milvus, budget=30.0)
    passes(made)
    learnt = len(made.latest.external)
    assert 30 < learnt < 60
    assert len(passes(made).external) > learnt + 55, "no time is lost with trying again"
    milvus.seconds_per_call = 0.0
    many(milvus, 2, "hr")
    passes(made, lambda: many(milvus, 2, "sales"))
    assert together(milvus) == [100, 2]
    assert len(made.latest.external) == 104


def test_a_pass_that_runs_out_of_time_goes_on_where_it_stopped(milvus: ScriptedMilvus) -> None:
    for number in range(10):
        milvus.create(f"c{number}")
    milvus.seconds_per_call = 1.0
    made = reader(milvus, budget=8.0)
    first = len(passes(made).external)
    assert 0 < first < 10
    assert made.account.by_kind == {"deadline": 1}
    assert len(passes(made, lambda: None).external) == 10


def test_databases_that_were_not_reached_come_first_in_the_next_pass(milvus: ScriptedMilvus) -> None:
    milvus.databases = [f"d{number}" for number in range(9)]
    for database in milvus.databases:
        milvus.create("docs", database, external=False)

    def late(call: tuple[str, ...]) -> None:
        if call[0] == "show_collections":
            milvus.clock.turn(2)
            if milvus.clock.monotonic() > deadline:
                raise errors.DeadlineExceeded

    milvus.on_call = late
    made = reader(milvus, budget=10.0)
    for _ in range(3):
        deadline = milvus.clock.monotonic() + 10.0
        passes(made)
    assert len(made.latest.entries) == 9


def test_a_dropped_collection_is_gone(milvus: ScriptedMilvus) -> None:
    """The inventory no longer shows it and by name there is none."""
    number = milvus.create("docs")
    picture = passes(reader(milvus), lambda: milvus.drop(number))
    assert picture.gone == {number}
    assert picture.entries == {}


def test_a_lost_grant_forgets_nothing(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")

    def hide() -> None:
        milvus.places[number].hidden = True

    picture = passes(reader(milvus), hide)
    assert picture.gone == frozenset()
    assert names(picture) == {("default", "docs")}


def test_a_lost_grant_for_a_whole_database_forgets_nothing(milvus: ScriptedMilvus) -> None:
    milvus.create("docs", "hr")
    picture = passes(reader(milvus), lambda: milvus.refuse_inventory.update(hidden_databases=["hr"]))  # type: ignore[arg-type]
    assert names(picture) == {("hr", "docs")}
    assert picture.gone == frozenset()


def test_a_dropped_database_takes_its_collections_along(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs", "hr")

    def drop() -> None:
        milvus.drop(number)
        milvus.databases.remove("hr")

    assert passes(reader(milvus), drop).gone == {number}


def test_an_unanswered_question_by_name_forgets_nothing(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")

    def drop() -> None:
        milvus.drop(number)
        milvus.refuse_inventory["collection_exists"] = errors.Unreachable()

    picture = passes(reader(milvus), drop)
    assert picture.gone == frozenset()
    assert names(picture) == {("default", "docs")}


def test_a_recreated_collection_is_another_one(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")

    def recreate() -> None:
        milvus.drop(number)
        milvus.create("docs")

    picture = passes(reader(milvus), recreate)
    assert picture.gone == {number}
    assert names(picture) == {("default", "docs")}
    assert milvus.asked("collection_exists") == 0


def test_a_renamed_collection_is_the_same_one(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")

    def rename() -> None:
        milvus.places[number].name = "texts"

    picture = passes(reader(milvus), rename)
    assert picture.gone == frozenset()
    assert picture.entries[number].collection == Collection("default", "texts", number)


def test_what_is_shown_again_is_not_gone(milvus: ScriptedMilvus) -> None:
    """Renamed while a grant was missing, its old name answered "no such collection"."""
    number = milvus.create("docs")

    def hide_and_rename() -> None:
        milvus.places[number].hidden = True
        milvus.places[number].name = "texts"

    def show() -> None:
        milvus.places[number].hidden = False

    picture = passes(reader(milvus), hide_and_rename, show)
    assert picture.gone == frozenset()
    assert picture.exists(Collection("default", "texts", number)) is True


def test_a_collection_dropped_between_two_calls_of_a_pass(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")

    def drop(call: tuple[str, ...]) -> None:
        if call[0] == "describe_collection" and number in milvus.places:
            milvus.drop(number)

    milvus.on_call = drop
    made = reader(milvus)
    assert passes(made).entries == {}
    assert made.account.last_failures == ()


def test_a_collection_renamed_between_two_calls_of_a_pass_is_not_gone(milvus: ScriptedMilvus) -> None:
    """Shown under one name and described under another: the next pass shows it again."""
    number = milvus.create("docs", aliases=("current",))

    def rename(call: tuple[str, ...]) -> None:
        if call[0] == "describe_collection" and len(milvus.calls) > 3:
            milvus.places[number].name = "texts"

    def watch_out() -> None:
        milvus.on_call = rename

    made = reader(milvus)
    picture = passes(made, watch_out)
    assert picture.gone == frozenset()
    assert picture.exists(Collection("default", "docs", number)) is True
    assert names(passes(made)) == {("default", "texts")}


def test_a_renamed_collection_in_a_database_that_cannot_be_shown_is_not_gone(milvus: ScriptedMilvus) -> None:
    number = milvus.create("docs")
    made = reader(milvus)

    def rename() -> None:
        milvus.places[number].name = "texts"
        milvus.refuse_inventory["show_collections"] = errors.Unreachable()
        made.doubt([number])

    assert passes(made, rename).gone == frozenset()


def test_the_ids_of_the_dropped_are_bounded(milvus: ScriptedMilvus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipelines that make a collection a run would fill the memory otherwise; the latest are those with listed jobs."""
    monkeypatch.setattr("exporter.catalog.reader._MAX_GONE", 3)
    made = reader(milvus)
    dropped = []
    for _ in range(5):
        dropped.append(milvus.create("docs"))
        passes(made, lambda: milvus.drop(dropped[-1]))
    assert made.latest.gone == set(dropped[-3:])


def test_a_fault_of_ours_is_counted_as_such(milvus: ScriptedMilvus) -> None:
    """A pass raises nothing."""
    milvus.refuse_inventory["list_databases"] = ZeroDivisionError()
    made = reader(milvus)
    passes(made)
    assert made.account.by_kind == {"internal": 1}


def test_two_passes_at_once_follow_each_other(milvus: ScriptedMilvus) -> None:
    made = reader(milvus)

    async def both() -> None:
        await asyncio.gather(made.read(), made.read())

    asyncio.run(both())
    assert not made.busy
    assert [call[0] for call in milvus.calls] == ["list_databases", "show_collections"] * 2


def test_a_pass_broken_off_leaves_the_picture_as_it_was(milvus: ScriptedMilvus) -> None:
    milvus.create("docs")
    made = reader(milvus)
    before = passes(made)
    milvus.clock.turn(DAY)

    async def broken_off() -> None:
        task = asyncio.create_task(made.read())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(broken_off())
    assert made.latest is before
    assert not made.busy
