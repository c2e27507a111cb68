"""Which database, poll after poll: with as few calls as can be, and right in the end whatever users do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from builders import DAY, HOUR, Clock, ScriptedMilvus, Watching, watches

from exporter import errors


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def watching(milvus: ScriptedMilvus) -> Iterator[Watching]:
    with watches(milvus) as watch:
        yield watch


def test_all_databases_are_listed_with_one_call(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Never list-all per database: every job would be counted once per database."""
    for database in ("default", "sales", "hr"):
        milvus.refreshed(milvus.create(f"docs_{database}", database))
    watching().poll(3)
    assert milvus.asked("list_jobs") == 3


def test_a_name_in_two_databases_is_settled_by_one_call_to_each(milvus: ScriptedMilvus, watching: Watching) -> None:
    """One call settles all open jobs of a collection, and the answer is remembered."""
    sales, hr = milvus.create("docs", "sales"), milvus.create("docs", "hr")
    for _ in range(5):
        milvus.refreshed(sales)
        milvus.refreshed(hr)
    watch = watching()
    watch.poll(5)
    assert sorted(milvus.asked_by_name) == [("hr", "docs"), ("sales", "docs")]
    assert watch.listed("docs", "sales") == watch.listed("docs", "hr") == 5
    milvus.refreshed(hr)
    watch.poll(5)
    assert len(milvus.asked_by_name) == 4
    assert watch.finished("docs", "hr") == 1
    assert watch.finished("docs", "sales") == 0


def test_a_question_that_fails_leaves_the_job_open_and_is_asked_again(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """Nothing is lost and nothing is shown twice: the memory moves to the new key."""
    milvus.create("docs", "sales")
    hr = milvus.create("docs", "hr")
    watch = watching()
    watch.poll()
    milvus.refreshed(hr)
    milvus.refuse_by_name["hr", "docs"] = errors.Unreachable()
    watch.poll(2)
    assert watch.row("docs", "") is not None
    assert watch.account.up
    assert watch.account.errors["unreachable"] == 0
    milvus.refuse_by_name.clear()
    watch.poll(2)
    assert watch.row("docs", "") is None
    assert watch.outcome("docs", "") is None
    assert watch.totals("") is None
    assert watch.finished("docs", "hr") == 1
    assert sum(watch.totals("hr").duration_buckets) == 1  # type: ignore[union-attr]


def test_an_open_job_that_a_listing_lacks_for_a_while(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.create("docs")
    hr = milvus.create("docs", "hr")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(hr)
    milvus.refuse_by_name["hr", "docs"] = errors.Unreachable()
    watch.poll()
    milvus.refuse_by_name.clear()
    held = milvus.jobs.pop(number)
    watch.poll(2)
    milvus.jobs[number] = held
    watch.poll(2)
    assert watch.finished("docs", "hr") == 1
    assert watch.listed("docs", "hr") == 1


def test_an_alias(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Its jobs are shown under the collection's real name."""
    number = milvus.create("docs_v2", aliases=("docs",))
    watch = watching()
    watch.poll()
    milvus.refreshed(number, typed="docs")
    watch.poll()
    assert watch.listed("docs_v2") == 1
    assert watch.row("docs", "") is None
    assert watch.finished("docs_v2") == 1


def test_a_new_alias(milvus: ScriptedMilvus, watching: Watching) -> None:
    """The unknown name makes the inventory look again, also at collections that it has described."""
    number = milvus.create("docs_v2")
    watch = watching()
    watch.poll()
    milvus.places[number].aliases = ("docs",)
    milvus.refreshed(number, typed="docs")
    watch.poll()
    assert watch.finished("docs_v2") == 1


def test_an_alias_that_was_pointed_elsewhere(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Old jobs stay with the collection they were run for; new ones go where the alias leads."""
    first, second = milvus.create("v1", aliases=("docs",)), milvus.create("v2")
    watch = watching()
    watch.poll()
    milvus.refreshed(first, typed="docs")
    watch.poll()
    milvus.places[first].aliases, milvus.places[second].aliases = (), ("docs",)
    milvus.refreshed(second, typed="docs")
    watch.poll(3)
    assert watch.finished("v1") == watch.finished("v2") == 1
    assert watch.outcome("docs", "") is None


def test_a_rename_keeps_what_is_remembered(milvus: ScriptedMilvus, watching: Watching) -> None:
    number = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refused(number)
    watch.poll()
    milvus.places[number].name = "texts"
    watch.read_inventory()
    milvus.refused(number)
    watch.poll()
    assert watch.outcome("docs") is None
    found = watch.outcome("texts")
    assert (found.failed, found.consecutive_failures) == (2, 2)  # type: ignore[union-attr]
    assert watch.listed("texts") == 2


def test_a_rename_that_a_new_job_gives_away(milvus: ScriptedMilvus, watching: Watching) -> None:
    number = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refreshed(number)
    watch.poll()
    milvus.places[number].name = "texts"
    milvus.refreshed(number)
    watch.poll()
    assert watch.finished("texts") == 2
    assert watch.outcome("docs") is None


def test_a_rename_before_the_job_was_seen(milvus: ScriptedMilvus, watching: Watching) -> None:
    """The record bears a name that nobody bears: the collection's own list tells."""
    number = milvus.create("docs")
    milvus.refreshed(number)
    milvus.places[number].name = "texts"
    watch = watching()
    watch.poll()
    assert watch.listed("texts") == 1
    assert watch.row("docs", "") is None


def test_a_renamed_collection_whose_name_was_taken_over(milvus: ScriptedMilvus, watching: Watching) -> None:
    old = milvus.create("docs")
    milvus.refreshed(old)
    milvus.clock.turn(HOUR)
    milvus.places[old].name = "docs_old"
    new = milvus.create("docs", created=milvus.clock.wall())
    milvus.clock.turn(60)
    milvus.refreshed(new)
    watch = watching()
    watch.poll()
    assert watch.listed("docs_old") == 1
    assert watch.listed("docs") == 1


def test_a_dropped_collection(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Outcomes and last_job rows go; its jobs stay as long as Milvus lists them."""
    number = milvus.create("docs")
    milvus.create("other")
    watch = watching()
    watch.poll()
    milvus.refreshed(number)
    watch.poll()
    milvus.drop(number)
    watch.read_inventory()
    watch.poll()
    assert watch.outcome("docs") is None
    assert watch.row("docs").newest is None  # type: ignore[union-attr]
    assert watch.listed("docs") == 1
    assert sum(watch.totals().duration_buckets) == 1  # type: ignore[union-attr]


def test_a_collection_dropped_with_its_last_job_unseen(milvus: ScriptedMilvus, watching: Watching) -> None:
    number = milvus.create("docs")
    milvus.create("other")
    watch = watching()
    watch.poll()
    milvus.refreshed(number)
    milvus.drop(number)
    watch.read_inventory()
    watch.poll(2)
    assert watch.outcome("docs") is None
    assert watch.snapshot.listed_jobs == 1
    assert watch.snapshot.states().total() == 1


def test_a_dropped_collection_after_a_restart(milvus: ScriptedMilvus, watching: Watching) -> None:
    """It has no outcomes and no last_job rows, and its jobs count."""
    number = milvus.create("docs")
    milvus.create("other")
    milvus.refused(number)
    milvus.drop(number)
    watch = watching()
    watch.poll(3)
    assert watch.snapshot.states().total() == 1
    assert [row.newest for row in watch.snapshot.jobs] == [None]
    assert {row.collection.name for row in watch.snapshot.outcomes} == {"other"}


def test_a_dropped_collection_is_asked_about_once(milvus: ScriptedMilvus, watching: Watching) -> None:
    number = milvus.create("docs")
    milvus.create("other")
    milvus.refused(number)
    milvus.drop(number)
    watch = watching()
    watch.poll()
    asked = list(milvus.asked_by_name)
    assert asked == [("default", "docs"), ("default", "other")]
    watch.poll(5)
    assert milvus.asked_by_name == asked


def test_dropped_and_recreated_and_the_inventory_knows(milvus: ScriptedMilvus, watching: Watching) -> None:
    """A new collection id starts new outcomes."""
    number = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refused(number)
    watch.poll()
    milvus.drop(number)
    milvus.clock.turn(60)
    again = milvus.create("docs", created=milvus.clock.wall())
    watch.read_inventory()
    milvus.clock.turn(1)
    milvus.refreshed(again)
    watch.poll(2)
    found = watch.outcome("docs")
    assert (found.finished, found.failed, found.last_failure) == (1, 0, None)  # type: ignore[union-attr]
    assert watch.listed("docs") == 2


def test_dropped_and_recreated_and_a_job_is_seen_before_the_inventory_knows(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    number = milvus.create("docs")
    watch = watching()
    watch.poll()
    old = milvus.refused(number)
    watch.poll()
    milvus.clock.turn(2 * DAY)
    milvus.forget(old)
    watch.poll()
    milvus.drop(number)
    again = milvus.create("docs", created=milvus.clock.wall())
    milvus.clock.turn(1)
    milvus.refreshed(again)
    watch.poll()
    watch.read_inventory()
    watch.poll(2)
    found = watch.outcome("docs")
    assert (found.finished, found.failed, found.last_failure) == (1, 0, None)  # type: ignore[union-attr]
    assert found.last_success is not None  # type: ignore[union-attr]


def test_a_former_generation_after_a_restart(milvus: ScriptedMilvus, watching: Watching) -> None:
    """By-name shows the new one's jobs alone; the old one's still count and speak for nobody."""
    number = milvus.create("docs")
    milvus.refused(number)
    milvus.drop(number)
    milvus.clock.turn(60)
    again = milvus.create("docs", created=milvus.clock.wall())
    milvus.clock.turn(1)
    milvus.refreshed(again)
    watch = watching()
    watch.poll(2)
    found = watch.outcome("docs")
    assert (found.last_failure, found.consecutive_failures) == (None, 0)  # type: ignore[union-attr]
    assert watch.listed("docs") == 2
    assert watch.row("docs").newest.job_id == max(milvus.jobs)  # type: ignore[union-attr]


def test_a_new_version_that_takes_the_name_of_the_old_one(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Built beside it, then both renamed: each keeps its own jobs, also those seen before the swap was learnt."""
    old, new = milvus.create("docs"), milvus.create("docs_new")
    watch = watching()
    watch.poll()
    milvus.refused(old)
    milvus.refreshed(new)
    watch.poll()
    milvus.places[old].name, milvus.places[new].name = "docs_old", "docs"
    milvus.clock.turn(1)
    milvus.refreshed(new)
    watch.poll()
    watch.read_inventory()
    watch.poll(3)
    assert (watch.finished("docs_old"), watch.outcome("docs_old").failed) == (1, 1)  # type: ignore[union-attr]
    assert (watch.finished("docs"), watch.outcome("docs").failed) == (2, 0)  # type: ignore[union-attr]
    assert watch.listed("docs_old") == 1


def test_a_lost_grant_forgets_nothing(milvus: ScriptedMilvus, watching: Watching) -> None:
    number = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refreshed(number)
    watch.poll()
    milvus.places[number].hidden = True
    watch.read_inventory()
    milvus.refreshed(number)
    watch.poll()
    assert watch.finished("docs") == 2
    assert watch.listed("docs") == 2
    assert watch.row("docs").newest is not None  # type: ignore[union-attr]


def test_no_inventory_privilege_at_all(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Everything works with an empty database; up and poll errors know nothing of it."""
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied()
    docs = milvus.create("docs")
    watch = watching()
    watch.poll(2)
    milvus.refused(docs)
    watch.poll(2)
    assert watch.outcome("docs", "").failed == 1  # type: ignore[union-attr]
    assert watch.account.up
    assert sum(watch.account.errors.values()) == 0
    assert watch.reader.account.by_kind == {"permission_denied": 1}  # type: ignore[union-attr]
    assert milvus.asked("list_databases") == 1


def test_grants_that_show_no_database(milvus: ScriptedMilvus, watching: Watching) -> None:
    """Filtered to nothing is an answer too: the inventory is read at its own pace and not at that of the polls."""
    milvus.refuse_inventory["hidden_databases"] = ["default"]  # type: ignore[assignment]
    milvus.refreshed(milvus.create("docs"))
    watching().poll(5)
    assert milvus.asked("list_databases") == 1


def test_an_inventory_that_cannot_be_reached_is_read_at_the_next_poll(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    milvus.refreshed(milvus.create("docs"))
    milvus.refuse_inventory["list_databases"] = errors.Unreachable()
    watch = watching()
    watch.poll()
    assert watch.row("docs", "") is not None
    milvus.refuse_inventory.clear()
    watch.poll()
    assert watch.row("docs") is not None
    assert watch.row("docs", "") is None


def test_the_inventory_that_comes_late_takes_the_memory_to_the_new_key(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied()
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    milvus.refused(docs)
    watch.poll(2)
    assert watch.outcome("docs", "").failed == 1  # type: ignore[union-attr]
    milvus.refuse_inventory.clear()
    watch.read_inventory()
    watch.poll()
    found = watch.outcome("docs")
    assert (found.failed, found.consecutive_failures) == (1, 1)  # type: ignore[union-attr]
    assert milvus.asked_by_name == []
    assert watch.outcome("docs", "") is None
    assert watch.totals("") is None


def test_the_inventory_that_comes_after_the_jobs_are_gone_takes_the_memory_along(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """No job id is left that could tell; the one collection of that name can only be it."""
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied()
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    ended = milvus.clock.wall()
    watch.poll(2)
    milvus.clock.turn(3 * DAY)
    milvus.forget(number)
    watch.poll()
    milvus.refuse_inventory.clear()
    watch.read_inventory()
    watch.poll()
    assert watch.outcome("docs").last_success == ended  # type: ignore[union-attr]
    assert watch.finished("docs") == 1
    assert watch.outcome("docs", "") is None


def test_what_is_older_than_the_collection_is_not_its_memory(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.refuse_inventory["list_databases"] = errors.PermissionDenied()
    docs = milvus.create("docs")
    watch = watching()
    watch.poll()
    number = milvus.refreshed(docs)
    watch.poll(2)
    milvus.clock.turn(3 * DAY)
    milvus.forget(number)
    watch.poll()
    milvus.drop(docs)
    milvus.create("docs", created=milvus.clock.wall())
    milvus.refuse_inventory.clear()
    watch.read_inventory()
    watch.poll()
    assert watch.outcome("docs").last_success is None  # type: ignore[union-attr]


@pytest.mark.parametrize("days", [0, 3])
def test_a_hidden_collection_that_is_shown_at_last(milvus: ScriptedMilvus, watching: Watching, days: int) -> None:
    """A grant that comes late forgets nothing either."""
    number = milvus.create("docs", hidden=True)
    milvus.create("other")
    watch = watching()
    watch.poll()
    made = milvus.refreshed(number)
    ended = milvus.clock.wall()
    watch.poll(2)
    assert watch.finished("docs") == 1
    if days:
        milvus.clock.turn(days * DAY)
        milvus.forget(made)
        watch.poll()
    milvus.places[number].hidden = False
    watch.read_inventory()
    watch.poll()
    assert watch.finished("docs") == 1
    assert watch.outcome("docs").last_success == ended  # type: ignore[union-attr]
    assert watch.row("docs") is None or watch.row("docs").newest is not None  # type: ignore[union-attr]


def test_a_collection_just_created_is_found_at_once(milvus: ScriptedMilvus, watching: Watching) -> None:
    """An unknown name makes the inventory look again, before the poll publishes."""
    watch = watching()
    watch.poll()
    milvus.refreshed(milvus.create("docs", "sales"))
    watch.poll()
    assert watch.listed("docs", "sales") == 1
    assert watch.finished("docs", "sales") == 0
    watch.poll()
    assert watch.finished("docs", "sales") == 1


def test_an_unknown_name_makes_the_inventory_look_once_and_not_at_each_poll(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    milvus.create("other")
    watch = watching()
    watch.poll()
    passes = milvus.asked("list_databases")
    for _ in range(3):
        lost = milvus.create("lost")
        milvus.refreshed(lost)
        milvus.drop(lost)
        watch.poll(3)
    assert milvus.asked("list_databases") == passes + 1


def test_two_unknown_names_at_once_make_it_look_once(milvus: ScriptedMilvus, watching: Watching) -> None:
    watch = watching()
    watch.poll()
    passes = milvus.asked("list_databases")
    for name in ("a", "b", "c"):
        milvus.refreshed(milvus.create(name))
    watch.poll(3)
    assert milvus.asked("list_databases") == passes + 1


def test_an_ordinary_collection_of_the_name_is_not_asked_about_at_each_poll(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    milvus.create("docs", "hr", external=False, hidden=True)
    number = milvus.create("docs")
    milvus.create("other")
    milvus.refreshed(number)
    milvus.drop(number)
    milvus.refuse_by_name["hr", "docs"] = errors.ServerFault(code=1100)
    watch = watching()
    watch.poll()
    asked = len(milvus.asked_by_name)
    watch.poll(3)
    assert len(milvus.asked_by_name) == asked


def test_a_job_that_brought_another_source_makes_the_inventory_look_again(
    milvus: ScriptedMilvus, watching: Watching
) -> None:
    """On success the collection's own source is the job's: DescribeCollection is asked again at the next pass."""
    number = milvus.create("docs", source="s3://lake/a")
    watch = watching()
    watch.poll()
    milvus.places[number].source = "s3://lake/b"
    milvus.refreshed(number, source="s3://lake/b")
    watch.poll()
    watch.read_inventory()
    watch.poll()
    assert [row.source for row in watch.snapshot.collections] == ["s3://lake/b"]
    described = milvus.asked("describe_collection")
    watch.poll()
    watch.read_inventory()
    assert milvus.asked("describe_collection") == described


def test_an_inventory_that_breaks_does_not_touch_the_polls(milvus: ScriptedMilvus, watching: Watching) -> None:
    milvus.refuse_inventory["list_databases"] = ZeroDivisionError()  # type: ignore[assignment]
    milvus.refreshed(milvus.create("docs"))
    watch = watching()
    watch.poll()
    assert watch.account.up
    assert watch.row("docs", "") is not None
    assert watch.reader.account.by_kind == {"internal": 1}  # type: ignore[union-attr]


def test_a_database_that_was_dropped_and_made_anew(milvus: ScriptedMilvus, watching: Watching) -> None:
    number = milvus.create("docs", "sales")
    milvus.create("other")
    watch = watching()
    watch.poll()
    milvus.refreshed(number)
    watch.poll()
    milvus.drop(number)
    milvus.databases.remove("sales")
    watch.read_inventory()
    watch.poll()
    assert watch.outcome("docs", "sales") is None
    assert watch.totals("sales") is None
    again = milvus.create("docs", "sales", created=milvus.clock.wall())
    milvus.clock.turn(1)
    milvus.refreshed(again)
    watch.poll(2)
    assert watch.finished("docs", "sales") == 1
