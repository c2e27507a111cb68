"""The rows of a snapshot, kept up to date: as if made from scratch, and made anew only where something changed."""

from __future__ import annotations

import pytest
from golden.snapshots import NOW, collection, job, rows
from hypothesis import given
from hypothesis import strategies as st

from exporter import summary
from exporter.ledger import Memory, Outcomes, outcome_rows
from exporter.model import Collection, State
from exporter.poll.tables import JobTable, OutcomeTable
from exporter.snapshot import JobRows

PLACES = [Collection(base, name, id_) for base in ("a", "b") for name in ("x", "y") for id_ in (0, 1, 2)]
SOURCES = st.lists(st.sampled_from(["s1", "s2", "s3"]), unique=True, min_size=1)


@st.composite
def a_row(draw: st.DrawFn, place: Collection) -> JobRows:
    counts = tuple((source, (0, 0, draw(st.integers(1, 3)), 0, 0)) for source in sorted(draw(SOURCES)))
    newest = draw(st.one_of(st.none(), st.builds(lambda n: job(State.COMPLETED, n), st.integers(1, 5))))
    return rows(newest, place, counts=counts)


changes = st.lists(
    st.sampled_from(PLACES).flatmap(lambda c: st.tuples(st.just(c), st.one_of(st.none(), a_row(c)))), max_size=6
)


@given(st.lists(changes, max_size=6))
def test_job_rows_are_those_of_all_collections_joined_by_place(
    history: list[list[tuple[Collection, JobRows | None]]],
) -> None:
    table = JobTable(max_sources=2)
    truth: dict[Collection, JobRows] = {}
    for step in history:
        table.update(step)
        for place, row in step:
            truth.pop(place, None)
            if row is not None:
                truth[place] = row
        by_place = {c[:2]: [row for other, row in truth.items() if other[:2] == c[:2]] for c in truth}
        expected = [
            same[0] if len(same) == 1 else summary.join(same, max_sources=2) for _, same in sorted(by_place.items())
        ]
        assert table.rows.pages == tuple(expected)
        assert table.sources_folded == sum(row.sources_folded for row in expected)
        assert table.where(lambda _: True) == tuple(expected)


def test_one_name_in_two_databases_is_two_rows() -> None:
    table = JobTable(max_sources=5)
    table.update((c, rows(job(), c)) for c in (Collection("hr", "docs"), Collection("sales", "docs")))
    assert len(table.rows) == 2


def test_rows_of_some_collections_alone_are_joined_without_the_others() -> None:
    old, new = Collection("a", "x", 1), Collection("a", "x", 2)
    table = JobTable(max_sources=5)
    one = rows(job(), new)
    table.update([(old, rows(job(), old)), (new, one)])
    assert table.where(lambda c: c == new) == (one,)


outcome_changes = st.lists(
    st.lists(st.tuples(st.sampled_from(PLACES), st.one_of(st.none(), st.integers(0, 9))), max_size=6), max_size=6
)


@given(outcome_changes)
def test_outcome_rows_are_those_that_making_all_of_them_gives(
    history: list[list[tuple[Collection, int | None]]],
) -> None:
    memory, table = Memory(NOW), OutcomeTable(lambda c: 60.0 if c.database == "a" else None)
    for step in history:
        for place, finished in step:
            memory.outcomes.pop(place, None)
            if finished is not None:
                memory.outcomes[place] = Outcomes(finished=finished, shown=True)
        table.update([place for place, _ in step], memory)
        assert table.rows.pages == outcome_rows(memory, lambda _: True, table.max_age)


def test_a_row_is_made_anew_only_where_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, table = Memory(NOW), OutcomeTable(lambda _: None)
    places = [collection(f"c{n}") for n in range(10)]
    memory.outcomes.update({place: Outcomes() for place in places})
    table.update(places, memory)
    made: list[Collection] = []
    monkeypatch.setattr("exporter.poll.tables.outcome_row", lambda c, *_: made.append(c))
    table.update(places[3:4], memory)
    assert made == places[3:4]
