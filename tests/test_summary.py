"""From remembered jobs to bounded rows, whatever the order of a listing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest
from builders import NOON, collection, completed, failed, job, job_row, outcome_row, total
from hypothesis import given
from hypothesis import strategies as st

from exporter import summary
from exporter.model import Collection, Job, State
from exporter.snapshot import OTHER, JobRows, OutcomeRow, Snapshot

DOCS = collection()


def rows_of(jobs: Iterable[Job], *, exists: bool | None = True, max_sources: int = 5, at: Collection = DOCS) -> JobRows:
    jobs = list(jobs)
    changed = {each.job_id: NOON + each.job_id for each in jobs}
    return summary.job_rows(at, jobs, changed=changed, exists=exists, max_sources=max_sources)


def keep(
    rows: Iterable[JobRows], outcomes: Iterable[OutcomeRow] = (), *, most: int
) -> tuple[Sequence[JobRows], Sequence[JobRows]]:
    ordered = sorted(rows, key=lambda row: row.collection)
    return summary.keep_within(ordered, {o.collection: o for o in outcomes}.get, now=NOON, most=most)


def kept_names(rows: Iterable[JobRows], outcomes: Iterable[OutcomeRow] = (), *, most: int) -> list[str]:
    return [row.collection.name for row in keep(rows, outcomes, most=most)[0]]


active = job(1, State.IN_PROGRESS)

# One collection


def test_jobs_are_counted_by_source_and_state() -> None:
    row = rows_of([completed(1, NOON), completed(2, NOON), failed(3, NOON), job(4, State.PENDING, source="s3://b")])
    assert row.counts == (("s3://b", (1, 0, 0, 0, 0)), ("s3://lake/docs", (0, 0, 2, 1, 0)))


def test_an_unknown_state_is_counted_as_active() -> None:
    row = rows_of([job(1, State.UNKNOWN)])
    assert total(row, State.UNKNOWN) == 1
    assert row.active


def test_the_job_with_the_latest_start_speaks_for_its_collection() -> None:
    row = rows_of([completed(9, NOON, start=NOON - 60), job(1, State.PENDING, start=NOON)])
    assert row.newest is not None
    assert row.newest.job_id == 1
    assert row.changed == NOON + 1


def test_of_equal_starts_the_largest_id_speaks() -> None:
    row = rows_of([job(2, start=NOON), job(3, start=NOON), job(1, start=NOON)])
    assert row.newest is not None
    assert row.newest.job_id == 3


def test_a_job_without_a_start_is_older_than_any_other() -> None:
    row = rows_of([job(9, State.PENDING, start=None), job(1, start=NOON)])
    assert row.newest is not None
    assert row.newest.job_id == 1


def test_nobody_speaks_for_a_dropped_collection() -> None:
    """Its jobs are counted as long as Milvus lists them, and no last_job row remains."""
    row = rows_of([completed(1, NOON)], exists=False)
    assert row.newest is None
    assert not row.active
    assert total(row, State.COMPLETED) == 1


def test_a_collection_that_may_exist_has_its_rows() -> None:
    assert rows_of([completed(1, NOON)], exists=None).newest is not None


def test_the_sources_of_the_newest_jobs_are_kept() -> None:
    """Some pipelines stamp the date into the path."""
    row = rows_of([job(n, start=NOON + n, source=f"s3://lake/{n}") for n in range(9)], max_sources=3)
    assert [source for source, _ in row.counts] == [OTHER, "s3://lake/6", "s3://lake/7", "s3://lake/8"]
    assert row.sources_folded == 6
    assert dict(row.counts)[OTHER] == (0, 0, 6, 0, 0)
    assert row.newest is not None
    assert row.newest.source == "s3://lake/8"


def test_as_many_sources_as_allowed_are_not_folded() -> None:
    row = rows_of([job(n, start=NOON + n, source=f"s3://lake/{n}") for n in range(3)], max_sources=3)
    assert OTHER not in dict(row.counts)
    assert row.sources_folded == 0


@pytest.mark.parametrize("at", [0, 5])
def test_a_source_that_is_literally_other_is_added_to_the_folded_ones(at: int) -> None:
    """One series, never two of one name."""
    sources = [f"s3://{n}" for n in range(5)]
    sources.insert(at, OTHER)
    row = rows_of([job(n, start=NOON + n, source=source) for n, source in enumerate(sources)], max_sources=2)
    names = [source for source, _ in row.counts]
    assert len(set(names)) == len(names)
    assert total(row, State.COMPLETED) == 6


@given(st.lists(st.tuples(st.sampled_from(State), st.integers(0, 3), st.integers(0, 6)), max_size=12), st.randoms())
def test_a_row_does_not_depend_on_the_order_of_the_list(
    made: list[tuple[State, int, int]], chance: random.Random
) -> None:
    jobs = [job(i, state, start=NOON + at, source=f"s3://{s}") for i, (state, at, s) in enumerate(made)]
    row = rows_of(jobs, max_sources=2)
    assert rows_of(chance.sample(jobs, len(jobs)), max_sources=2) == row
    assert sum(sum(counts) for _, counts in row.counts) == len(jobs)
    assert len(row.counts) <= 3


# Two generations of one name


def joined(*rows: JobRows, max_sources: int = 5) -> JobRows:
    return summary.join(rows, max_sources=max_sources)


def test_a_dropped_collection_and_its_successor_share_a_row() -> None:
    """The counts are added up and the one that exists speaks."""
    gone = rows_of([completed(1, NOON + 500)], exists=False)
    heir = rows_of([job(2, State.PENDING)], at=DOCS._replace(collection_id=70))
    for order in ((gone, heir), (heir, gone)):
        row = joined(*order)
        assert row.newest is not None
        assert row.newest.job_id == 2
        assert row.collection.collection_id == 70
        assert dict(row.counts) == {"s3://lake/docs": (1, 0, 1, 0, 0)}


def test_two_generations_keep_to_the_limit_of_one() -> None:
    gone = rows_of([completed(n, NOON + n, source=f"s3://old/{n}") for n in range(4)], exists=False, max_sources=3)
    jobs = [completed(n, NOON + n, source=f"s3://new/{n}") for n in range(10, 14)]
    heir = rows_of(jobs, at=DOCS._replace(collection_id=70), max_sources=3)
    row = joined(gone, heir, max_sources=3)
    assert [source for source, _ in row.counts] == [OTHER, "s3://new/11", "s3://new/12", "s3://new/13"]
    assert total(row, State.COMPLETED) == 8
    assert row.sources_folded == 5


def test_generations_share_a_row_whatever_their_order() -> None:
    rows = [rows_of([completed(n, NOON)], at=DOCS._replace(collection_id=n), exists=False) for n in range(3)]
    assert joined(*rows) == joined(*reversed(rows))


# The limit on collections


def test_within_the_limit_nothing_is_folded() -> None:
    rows = [job_row("b"), job_row("a")]
    kept, beyond = keep(rows, most=2)
    assert [row.collection.name for row in kept] == ["a", "b"]
    assert not beyond


def test_kept_first_are_active_then_failing_then_overdue_then_by_name() -> None:
    rows = [job_row("z", newest=active), job_row("y"), job_row("x"), job_row("a"), job_row("b")]
    outcomes = [
        outcome_row("y", failing=True, last_failure=NOON),
        outcome_row("x", last_success=NOON - 100, max_age=60.0),
        outcome_row("a", last_success=NOON, max_age=60.0),
    ]
    assert kept_names(rows, outcomes, most=1) == ["z"]
    assert kept_names(rows, outcomes, most=2) == ["y", "z"]
    assert kept_names(rows, outcomes, most=3) == ["x", "y", "z"]
    assert kept_names(rows, outcomes, most=4) == ["a", "x", "y", "z"]


def test_the_choice_is_stable_whatever_the_order_of_the_rows() -> None:
    rows = [job_row(name) for name in "dacb"]
    for order in (rows, rows[::-1]):
        kept, _ = summary.keep_within(order, lambda _: None, now=NOON, most=2)
        assert {row.collection.name for row in kept} == {"a", "b"}


def test_what_is_folded_is_added_up_by_database_and_totals_stay_right() -> None:
    rows = [job_row(f"c{n}", database, n) for n, database in enumerate(["hr", "hr", "sales", "sales", "sales"])]
    kept, beyond = keep(rows, most=2)
    assert summary.fold(beyond) == (("sales", (0, 0, 3, 0, 0)),)
    assert Snapshot(now=NOON, jobs=kept, folded=summary.fold(beyond)).states()[State.COMPLETED] == 5


def test_a_collection_that_is_literally_other_is_folded_first() -> None:
    """Its rows would bear the labels of the folded ones."""
    rows = [job_row(OTHER, newest=active), job_row("b"), job_row("c")]
    kept, beyond = keep(rows, most=2)
    assert [row.collection.name for row in kept] == ["b", "c"]
    assert summary.fold(beyond) == (("sales", (0, 0, 1, 0, 0)),)


def test_a_collection_that_is_literally_other_has_its_rows_while_nothing_is_folded() -> None:
    assert kept_names([job_row(OTHER), job_row("b")], most=2) == [OTHER, "b"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(State)), max_size=15), st.integers(1, 6))
def test_folding_loses_no_job(made: list[tuple[str, State]], most: int) -> None:
    rows = [rows_of([job(n, s)], at=Collection(d, f"c{n}", n)) for n, (d, s) in enumerate(made)]
    kept, beyond = keep(rows, most=most)
    shown = Snapshot(now=NOON, jobs=kept, folded=summary.fold(beyond))
    assert shown.states().total() == len(made)
    assert len(kept) <= most


# The limit on outcomes


def test_outcomes_have_a_limit_and_the_same_order_of_importance() -> None:
    rows = [
        outcome_row("a"),
        outcome_row("z", failing=True),
        outcome_row("y", last_success=NOON - 100, max_age=60.0),
        outcome_row("x"),
    ]
    active = frozenset({collection("x")}).__contains__
    rows.sort(key=lambda row: row.collection)

    def names(most: int) -> list[str]:
        return [r.collection.name for r in summary.keep_outcomes_within(rows, active, now=NOON, most=most)]

    assert names(1) == ["x"]
    assert names(2) == ["x", "z"]
    assert names(3) == ["x", "y", "z"]
    assert names(4) == ["a", "x", "y", "z"]
