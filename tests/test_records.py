"""Rows and JSON texts of the state file: what goes in comes out, and what was changed in between is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import NOON, completed, ended, failed, job, outcomes_of
from hypothesis import given
from hypothesis import strategies as st

from exporter.ledger import DatabaseTotals, Ended, Facts, Memory, Outcomes, Running, Stage
from exporter.ledger.records import (
    Damaged,
    ended_from_row,
    ended_to_row,
    header_of,
    memory_from,
    outcomes_from_json,
    outcomes_to_json,
    running_to_row,
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
AllEnded = st.builds(lambda made, counted: ended(made, PLACE, counted=counted), Jobs, st.booleans())


@given(AllEnded)
def test_an_ended_job_comes_back_equal(made: Ended) -> None:
    """Ids beyond 2^53, times to the last bit, whatever a name is made of."""
    assert ended_from_row(unsealed(sealed(ended_to_row(made)))) == made


@given(st.lists(AllEnded, max_size=6, unique_by=lambda ended: ended.job.job_id))
def test_what_jobs_leave_behind_comes_back_equal(jobs: list[Ended]) -> None:
    """Stamps, failures in a row, counters and buckets."""
    outcomes, totals = outcomes_of(*jobs), DatabaseTotals()
    for each in jobs:
        totals.add(each)
    assert outcomes_from_json(outcomes_to_json(outcomes)) == outcomes
    assert totals_from_json(totals_to_json(totals)) == totals


def test_what_an_outcome_has_is_what_is_written() -> None:
    """A field that is added and not written would be lost at each restart, and nobody would see it."""
    outcomes = json.loads(outcomes_to_json(outcomes_of(ended(failed(1, NOON)))))
    assert outcomes.keys() == set(Outcomes.__slots__)
    assert outcomes["facts"].keys() == set(Facts.__slots__)
    assert json.loads(totals_to_json(DatabaseTotals())).keys() == set(DatabaseTotals.__slots__)


def test_a_whole_memory_comes_back_equal() -> None:
    memory = Memory(NOON + 0.1, "milvus:19530", 3, baseline_done=True, covered={Collection("", "x"), PLACE})
    memory.outcomes[PLACE] = outcomes_of(ended(failed(1, NOON), PLACE))
    memory.databases["sales"] = DatabaseTotals(shown=True)
    memory.ended[1] = ended(failed(1, NOON), PLACE)
    outcomes = [sealed((*PLACE, outcomes_to_json(memory.outcomes[PLACE])))]
    databases = [sealed(("sales", totals_to_json(memory.databases["sales"])))]
    half = Ended(job(2, State.FAILED, end=None, half_written=True), PLACE, NOON, True, Stage.HALF_WRITTEN, undated=True)
    memory.ended[2] = half
    memory.running[3] = Running(PLACE, "docs", NOON, missed=NOON + 1)
    rows = [sealed(ended_to_row(each)) for each in memory.ended.values()]
    running = [sealed(running_to_row(3, memory.running[3]))]
    tables = [outcomes, databases, rows, running]
    header = header_of(memory)
    assert memory_from(header, *tables) == memory
    for lost in range(len(tables)):
        missing = [table if number != lost else table[1:] for number, table in enumerate(tables)]
        with pytest.raises(Damaged):
            memory_from(header, *missing)


@pytest.mark.parametrize(
    "change",
    [
        (0, 2),
        (1, "sale"),
        (3, 8),
        (5, "RefreshFailed"),
        (6, 0.5),
        (8, NOON + 0.001),
        (8, None),
        (12, 0),
        (13, 0.0),
        (14, 1),
        (18, 0),
    ],
)
def test_a_row_with_another_value_is_damaged(change: tuple[int, Any]) -> None:
    """SQLite would hand it out as it is."""
    row = list(sealed(ended_to_row(ended(completed(1, NOON), PLACE))))
    assert unsealed(tuple(row))
    row[change[0]] = change[1]
    with pytest.raises(Damaged):
        unsealed(tuple(row))


def test_a_start_that_is_a_whole_number_of_seconds_keeps_its_seal() -> None:
    """The file gives it back as a fraction."""
    row = ended_to_row(Ended(job(1, start=5, end=7), PLACE, 9, counted=True))
    assert unsealed(sealed(row))[8:14] == (5.0, 7.0, None, "", 1, 9.0)
    assert [type(row[number]) for number in (8, 9, 13)] == [float, float, float]


def test_rows_of_one_collection_share_it() -> None:
    """A hundred thousand jobs of a few collections need not hold as many names."""
    known: dict[tuple[str, str, int], Collection] = {}
    row = ended_to_row(ended(completed(1, NOON), PLACE))
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
