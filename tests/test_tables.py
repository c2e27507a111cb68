"""The rows of a snapshot, kept up to date: as if made from scratch, and made anew only where something changed."""

from __future__ import annotations

from collections.abc import Sequence

from golden.snapshots import job, rows
from hypothesis import given
from hypothesis import strategies as st

from exporter import summary
from exporter.model import Collection, State
from exporter.poll.tables import Table
from exporter.snapshot import JobRows

PLACES = [Collection(base, name, id_) for base in ("a", "b") for name in ("x", "y") for id_ in (0, 1, 2)]
SOURCES = st.lists(st.sampled_from(["s1", "s2", "s3"]), unique=True, min_size=1)


def joined(several: Sequence[JobRows]) -> JobRows:
    return several[0] if len(several) == 1 else summary.join(several, max_sources=2)


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
    table = Table(joined)
    truth: dict[Collection, JobRows] = {}
    for step in history:
        table.update(step)
        for place, row in step:
            truth.pop(place, None)
            if row is not None:
                truth[place] = row
        by_place = {c[:2]: [row for other, row in truth.items() if other[:2] == c[:2]] for c in truth}
        expected = [joined(same) for _, same in sorted(by_place.items())]
        assert table.rows == tuple(expected)
        assert table.where(lambda _: True) == tuple(expected)


def test_one_name_in_two_databases_is_two_rows() -> None:
    table = Table(joined)
    table.update((c, rows(job(), c)) for c in (Collection("hr", "docs"), Collection("sales", "docs")))
    assert len(table.rows) == 2


def test_rows_of_some_collections_alone_are_joined_without_the_others() -> None:
    old, new = Collection("a", "x", 1), Collection("a", "x", 2)
    table = Table(joined)
    one = rows(job(), new)
    table.update([(old, rows(job(), old)), (new, one)])
    assert table.where(lambda c: c == new) == (one,)


def test_rows_that_are_set_to_what_they_were_stay_the_very_same_objects() -> None:
    table, places = Table(joined), [Collection("a", f"c{n}") for n in range(5)]
    table.update([(place, rows(job(), place)) for place in places])
    before = table.rows
    table.update([(place, rows(job(), place)) for place in places])
    assert table.rows is before
    table.update([(places[2], rows(job(State.FAILED), places[2]))])
    assert [new is old for new, old in zip(table.rows, before, strict=True)] == [True, True, False, True, True]
