"""Collections that this user may not see: their failures are counted, or it is said that nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from builders import Clock, ScriptedMilvus, Watch, Watching, watches

from exporter import errors

HIDDEN = errors.PermissionDenied("Status 1401: not allowed to access collection", code=1401)


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def watching(milvus: ScriptedMilvus) -> Iterator[Watching]:
    with watches(milvus) as watch:
        yield watch


def hide_databases(milvus: ScriptedMilvus, *names: str) -> None:
    milvus.refuse_inventory["hidden_databases"] = list(names)  # type: ignore[assignment]


def unseen(watch: Watch) -> int | None:
    return watch.snapshot.jobs_without_visible_collection


def failures(watch: Watch) -> dict[tuple[str, str], int | None]:
    """Return failures counted, by database and collection, of all that have outcomes."""
    return {row.collection[:2]: row.failed for row in watch.snapshot.outcomes}


def failing_in_a_row(watch: Watch) -> dict[tuple[str, str], int]:
    return {row.collection[:2]: row.consecutive_failures for row in watch.snapshot.outcomes}


# Everything hidden


def test_grants_that_show_the_databases_and_no_collection(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Each failure is counted where it belongs: listing by name needs no privilege."""
    docs, orders = milvus.create("docs", hidden=True), milvus.create("orders", "sales", hidden=True)
    watch = watching()
    watch.poll()
    milvus.refused(docs)
    milvus.refused(orders)
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("default", "docs"): 1, ("sales", "orders"): 2}
    assert {row.newest is not None for row in watch.snapshot.jobs} == {True}
    assert unseen(watch) == watch.snapshot.listed_jobs == 3


@pytest.mark.parametrize("unseen_collections", ["dropped", "hidden"])
def test_no_grant_at_all(milvus: ScriptedMilvus, watching: Watching, unseen_collections: str) -> None:
    """The inventory succeeds and shows nothing: every failure is counted under its name, without a database."""
    docs, orders = milvus.create("docs", hidden=True), milvus.create("orders", "sales", hidden=True)
    hide_databases(milvus, "default", "sales")
    watch = watching(unseen_collections=unseen_collections)
    watch.poll()
    milvus.refused(docs)
    milvus.refused(orders)
    watch.poll(2)
    assert watch.reader is not None
    assert watch.reader.account.last_success > 0
    assert failures(watch) == {("", "docs"): 1, ("", "orders"): 1}
    assert {row.newest is not None for row in watch.snapshot.jobs} == {True}
    assert unseen(watch) == 2


# Some hidden


def test_a_hidden_collection_in_a_database_that_is_shown(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs, orders = milvus.create("docs"), milvus.create("orders", hidden=True)
    watch = watching()
    watch.poll()
    milvus.refused(docs)
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("default", "docs"): 1, ("default", "orders"): 1}
    assert unseen(watch) == 1


def test_a_hidden_collection_whose_jobs_may_not_be_listed_by_name_either(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """Status 1401 says that it exists, and where."""
    milvus.create("docs", "sales")
    orders = milvus.create("orders", hidden=True)
    milvus.refuse_by_name["default", "orders"] = HIDDEN
    watch = watching()
    watch.poll()
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("sales", "docs"): 0, ("default", "orders"): 1}
    assert unseen(watch) == 1


def test_a_name_that_is_hidden_in_two_databases(milvus: ScriptedMilvus, watching: Watching) -> None:
    """It cannot be told whose job it is, and it is counted all the same."""
    milvus.create("orders", "sales", hidden=True)
    orders = milvus.create("orders", hidden=True)
    milvus.refuse_by_name |= {("default", "orders"): HIDDEN, ("sales", "orders"): HIDDEN}
    watch = watching()
    watch.poll()
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("", "orders"): 1}


def test_a_hidden_default_database(milvus: ScriptedMilvus, watching: Watching) -> None:
    """It always exists, so it can be asked although it is not shown."""
    milvus.create("docs", "sales")
    orders = milvus.create("orders")
    hide_databases(milvus, "default")
    watch = watching()
    watch.poll()
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("sales", "docs"): 0, ("default", "orders"): 1}
    assert unseen(watch) == 1


# What cannot be told apart


def test_a_hidden_database_looks_like_dropped_collections(milvus: ScriptedMilvus, watching: Watching) -> None:
    """By default its jobs are listed and nothing more is said of them; their number says that there are some."""
    docs, orders = milvus.create("docs"), milvus.create("orders", "hr")
    hide_databases(milvus, "hr")
    watch = watching()
    watch.poll()
    milvus.refused(docs)
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("default", "docs"): 1}
    assert watch.listed("orders", "") == 1
    assert unseen(watch) == 1


def test_a_hidden_database_whose_failures_somebody_wants(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs, orders = milvus.create("docs"), milvus.create("orders", "hr")
    hide_databases(milvus, "hr")
    watch = watching(unseen_collections="hidden")
    watch.poll()
    milvus.refused(docs)
    milvus.refused(orders)
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch) == {("default", "docs"): 1, ("", "orders"): 2}
    assert failing_in_a_row(watch)["", "orders"] == 2
    assert watch.totals("") is not None
    assert watch.row("orders", "").newest is not None  # type: ignore[union-attr]
    assert unseen(watch) == 2
    milvus.refreshed(orders)
    watch.poll()
    assert failing_in_a_row(watch)["", "orders"] == 0


@pytest.mark.parametrize(("unseen_collections", "counted"), [("dropped", False), ("hidden", True)])
def test_a_collection_dropped_before_its_last_job_was_seen(
    milvus: ScriptedMilvus, watching: Watching, unseen_collections: str, counted: bool
) -> None:
    """Which is the price of counting: this cannot be told from a hidden database."""
    milvus.create("docs")
    orders = milvus.create("orders")
    watch = watching(unseen_collections=unseen_collections)
    watch.poll()
    milvus.refused(orders)
    milvus.drop(orders)
    watch.read_inventory()
    watch.poll(2)
    assert (("", "orders") in failures(watch)) is counted
    assert unseen(watch) == 1


@pytest.mark.parametrize("unseen_collections", ["dropped", "hidden"])
def test_a_collection_that_was_seen_before_it_was_dropped_is_known_to_be_gone(
    milvus: ScriptedMilvus, watching: Watching, unseen_collections: str
) -> None:
    """Whatever the setting: its outcomes go, and its jobs are no matter of grants."""
    orders = milvus.create("orders")
    watch = watching(unseen_collections=unseen_collections)
    watch.poll()
    milvus.refused(orders)
    watch.poll()
    milvus.drop(orders)
    watch.read_inventory()
    watch.poll()
    assert failures(watch) == {}
    assert (unseen(watch), watch.snapshot.listed_jobs) == (0, 1)


# Grants that come later


def test_a_hidden_collection_that_becomes_visible_keeps_its_outcomes(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    milvus.create("docs")
    orders = milvus.create("orders", hidden=True)
    watch = watching()
    watch.poll()
    milvus.refused(orders)
    watch.poll()
    milvus.places[orders].hidden = False
    watch.read_inventory()
    watch.poll()
    assert failures(watch) == {("default", "docs"): 0, ("default", "orders"): 1}
    assert unseen(watch) == 0


def test_a_hidden_database_that_becomes_visible_takes_over_what_was_counted(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    milvus.create("docs")
    orders = milvus.create("orders", "hr")
    hide_databases(milvus, "hr")
    watch = watching(unseen_collections="hidden")
    watch.poll()
    milvus.refused(orders)
    watch.poll(2)
    assert failures(watch)["", "orders"] == 1
    hide_databases(milvus)
    watch.read_inventory()
    watch.poll()
    assert failures(watch) == {("default", "docs"): 0, ("hr", "orders"): 1}
    assert (watch.totals(""), unseen(watch)) == (None, 0)


# The number of jobs without a visible collection


def test_jobs_of_visible_collections_under_whatever_name(milvus: ScriptedMilvus, watching: Watching) -> None:
    """A name in two databases, an alias, and a former generation of a name."""
    sales, hr = milvus.create("docs", "sales"), milvus.create("docs", "hr", aliases=("texts",))
    milvus.refreshed(sales)
    milvus.refreshed(hr)
    milvus.refreshed(hr, typed="texts")
    old = milvus.create("old")
    milvus.refreshed(old)
    milvus.drop(old)
    milvus.clock.turn(60)
    milvus.create("old", created=milvus.clock.wall())
    watch = watching()
    watch.poll(2)
    assert (unseen(watch), watch.snapshot.listed_jobs) == (0, 4)


def test_grants_that_are_lost_and_given_back(milvus: ScriptedMilvus, watching: Watching) -> None:
    """What was known stays known, and the number says that it is no longer shown."""
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    watch = watching()
    watch.poll()
    assert unseen(watch) == 0
    milvus.places[docs].hidden = True
    watch.read_inventory()
    watch.poll()
    assert unseen(watch) == 1
    assert watch.row("docs").newest is not None  # type: ignore[union-attr]
    milvus.places[docs].hidden = False
    watch.read_inventory()
    watch.poll()
    assert unseen(watch) == 0


def test_an_inventory_that_cannot_be_read_says_nothing_of_grants(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Neither where it never could be, nor where a database cannot be asked for a while."""
    docs = milvus.create("docs")
    milvus.refreshed(docs)
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied()
    never = watching()
    never.poll()
    assert unseen(never) is None
    assert unseen_without_inventory(watching(inventory=False)) is None
    milvus.refuse_inventory.clear()
    watch = watching()
    watch.poll()
    milvus.refuse_inventory["show_collections"] = errors.Unreachable()
    watch.read_inventory()
    watch.poll()
    assert unseen(watch) == 0


def unseen_without_inventory(watch: Watch) -> int | None:
    watch.poll()
    return unseen(watch)
