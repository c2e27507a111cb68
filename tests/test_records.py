"""Rows and JSON texts of the state file: what goes in comes out, and what was changed in between is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import DAY, NOON, completed, failed, job
from hypothesis import given
from hypothesis import strategies as st

from exporter.ledger import DatabaseTotals, Ended, Memory, Outcomes
from exporter.ledger.records import (
    Damaged,
    ended_from_row,
    ended_to_row,
    header_of,
    memory_from,
    outcomes_from_json,
    outcomes_to_json,
    sealed,
    totals_from_json,
    totals_to_json,
    unsealed,
)
from exporter.model import Collection, FailureClass, State

PLACE = Collection("sales", "docs", 470646631114473475)
Texts = st.text(st.characters(exclude_categories=["Cs"]))
Moments = st.floats(0, 4e9)
Jobs = st.builds(
    job,
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([State.COMPLETED, State.FAILED]),
    start=st.none() | Moments,
    end=Moments,
    name=Texts,
    source=Texts,
    reason=Texts,
    progress=st.floats(0, 1),
    failure_class=st.none() | st.sampled_from(list(FailureClass)),
)
AllEnded = st.builds(lambda made, counted: Ended(made, PLACE, made.end or 0.0, counted), Jobs, st.booleans())


@given(AllEnded)
def test_an_ended_job_comes_back_equal(ended: Ended) -> None:
    """Ids beyond 2^53, times to the last bit, whatever a name is made of."""
    assert ended_from_row(unsealed(sealed(ended_to_row(ended)))) == ended


@given(st.lists(AllEnded, max_size=6, unique_by=lambda ended: ended.job.job_id))
def test_what_jobs_leave_behind_comes_back_equal(jobs: list[Ended]) -> None:
    """Stamps, failures in a row, counters and buckets."""
    outcomes, totals = Outcomes.of(jobs), DatabaseTotals()
    for ended in jobs:
        totals.add(ended)
    assert outcomes_from_json(outcomes_to_json(outcomes)) == outcomes
    assert totals_from_json(totals_to_json(totals)) == totals


def test_what_an_outcome_has_is_what_is_written() -> None:
    """A field that is added and not written would be lost at each restart, and nobody would see it."""
    assert json.loads(outcomes_to_json(Outcomes())).keys() == set(Outcomes.__slots__)
    assert json.loads(totals_to_json(DatabaseTotals())).keys() == set(DatabaseTotals.__slots__)


def test_a_whole_memory_comes_back_equal() -> None:
    memory = Memory(
        NOON + 0.1, baseline_done=True, covered={Collection("", "x"), PLACE}, half_written={5: True, 6: False}
    )
    memory.outcomes[PLACE] = Outcomes.of([Ended(failed(1, NOON), PLACE, NOON, counted=True)])
    memory.databases["sales"] = DatabaseTotals(shown=True)
    memory.ended[1] = Ended(failed(1, NOON), PLACE, NOON, counted=True)
    outcomes = [sealed((*PLACE, outcomes_to_json(memory.outcomes[PLACE])))]
    databases = [sealed(("sales", totals_to_json(memory.databases["sales"])))]
    ended = [sealed(ended_to_row(memory.ended[1]))]
    header = header_of(memory)
    assert memory_from(header, outcomes, databases, ended) == memory
    for missing in ([], databases, ended), (outcomes, [], ended), (outcomes, databases, []):
        with pytest.raises(Damaged):
            memory_from(header, *missing)


@pytest.mark.parametrize(
    "change",
    [(0, 2), (1, "sale"), (3, 8), (5, "RefreshFailed"), (6, 0.5), (8, NOON + 0.001), (8, None), (12, 0), (13, 0)],
)
def test_a_row_with_another_value_is_damaged(change: tuple[int, Any]) -> None:
    """SQLite would hand it out as it is."""
    row = list(sealed(ended_to_row(Ended(completed(1, NOON), PLACE, NOON, counted=True))))
    assert unsealed(tuple(row))
    row[change[0]] = change[1]
    with pytest.raises(Damaged):
        unsealed(tuple(row))


def test_a_start_that_is_a_whole_number_of_seconds_keeps_its_seal() -> None:
    """The file gives it back as a fraction."""
    ended = Ended(job(1, start=5, end=DAY), PLACE, 7, counted=True)  # type: ignore[arg-type]
    assert unsealed(sealed(ended_to_row(ended)))[8:10] == (5.0, 7.0)
    assert [type(value) for value in ended_to_row(ended)[8:10]] == [float, float]


def test_rows_of_one_collection_share_it() -> None:
    """A hundred thousand jobs of a few collections need not hold as many names."""
    known: dict[tuple[str, str, int], Collection] = {}
    row = ended_to_row(Ended(completed(1, NOON), PLACE, NOON, counted=True))
    other = json.loads(json.dumps(row))
    assert ended_from_row(row, known).collection is ended_from_row(tuple(other), known).collection


def test_a_class_that_has_been_added_since_stands_at_0() -> None:
    body = json.loads(totals_to_json(DatabaseTotals()))
    del body["failed_by_class"]["cancelled"]
    assert totals_from_json(json.dumps(body)).failed_by_class[FailureClass.CANCELLED] == 0


@pytest.mark.parametrize(
    ("key", "value"), [("buckets", [0] * 3), ("failed_by_class", {"a class of a newer version": 1})]
)
def test_totals_that_this_version_cannot_read(key: str, value: Any) -> None:
    """Read wrongly they would be wrong counts."""
    body = json.loads(totals_to_json(DatabaseTotals())) | {key: value}
    with pytest.raises(ValueError, match=r"other buckets|not a valid FailureClass"):
        totals_from_json(json.dumps(body))
