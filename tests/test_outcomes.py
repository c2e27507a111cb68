"""What ended jobs leave behind, whatever the order in which they are learnt."""

from __future__ import annotations

import random
from itertools import permutations

import builders
import pytest
from builders import NOON, completed, failed, job, outcome_row
from hypothesis import given
from hypothesis import strategies as st

from exporter.ledger import DURATION_BUCKETS, DatabaseTotals, Ended, Outcomes
from exporter.model import Collection, FailureClass, Job, State

HERE = Collection("sales", "docs", 7)
FailureClasses = st.sampled_from([FailureClass.SOURCE_EMPTY, FailureClass.SUPERSEDED, FailureClass.INDEX_WAIT_TIMEOUT])


def ended(made: Job, *, counted: bool = True) -> Ended:
    return builders.ended(made, HERE, counted=counted)


def outcomes(*jobs: Job, counted: bool = True) -> Outcomes:
    made = Outcomes()
    for each in jobs:
        made.add(ended(each, counted=counted))
    return made


def test_nothing_has_ended() -> None:
    """Stamps are absent until a job is seen, not 0: a 0 would fire every naive "too old" rule."""
    fresh = Outcomes()
    assert fresh.consecutive_failures == fresh.finished == fresh.failed == 0
    assert not fresh.failing
    assert fresh.facts.trouble is None
    assert fresh.facts.last_duration is None


def test_a_completed_job_is_a_success() -> None:
    """Its end is the last success and its run time the baseline for "slow"."""
    made = outcomes(completed(1, NOON, start=NOON - 42))
    assert made.facts.last_live == (NOON, 1)
    assert made.facts.last_duration == 42
    assert (made.finished, made.failed, made.consecutive_failures) == (1, 0, 0)


def test_an_index_wait_that_ran_out_is_a_success_that_failed() -> None:
    """The data is applied and serving: it is live, counts as failed job, and is no failure in a row."""
    made = outcomes(failed(1, NOON - 60), failed(2, NOON, FailureClass.INDEX_WAIT_TIMEOUT))
    assert made.facts.last_live == (NOON, 2)
    assert made.facts.last_failed == (NOON - 60, 1)
    assert made.consecutive_failures == 0
    assert not made.failing
    assert (made.finished, made.failed) == (2, 2)


def test_an_index_wait_that_ran_out_has_no_duration() -> None:
    """The baseline for "slow" is that of the latest completed job alone."""
    made = outcomes(completed(1, NOON, start=NOON - 5), failed(2, NOON + 60, FailureClass.INDEX_WAIT_TIMEOUT))
    assert made.facts.last_duration == 5


def test_an_index_wait_that_ran_out_is_shown_until_a_job_completes() -> None:
    """last_failure_info names the latest failure or index-wait time-out while no later job has completed."""
    made = outcomes(completed(1, NOON), failed(2, NOON + 60, FailureClass.INDEX_WAIT_TIMEOUT))
    assert made.facts.trouble is not None
    assert made.facts.trouble.job.job_id == 2
    made.add(ended(completed(3, NOON + 120)))
    assert made.facts.trouble is None


@pytest.mark.parametrize("harmless", [FailureClass.SUPERSEDED, FailureClass.CANCELLED])
def test_a_job_that_nobody_has_to_repair_is_counted_and_not_a_failure(harmless: FailureClass) -> None:
    """Superseded and cancelled jobs move the failed counter, and neither the stamp, nor the row, nor the info."""
    made = outcomes(failed(1, NOON - 60), failed(2, NOON, harmless))
    assert made.failed == 2
    assert made.facts.last_failed == (NOON - 60, 1)
    assert made.consecutive_failures == 1
    assert made.facts.trouble is not None
    assert made.facts.trouble.job.job_id == 1


def test_a_superseded_job_after_a_success_leaves_the_success_alone() -> None:
    made = outcomes(completed(1, NOON), failed(2, NOON + 5, FailureClass.SUPERSEDED))
    assert not made.failing
    assert made.consecutive_failures == 0
    assert made.facts.trouble is None


def test_a_failure_learnt_after_a_later_completion_is_no_trouble() -> None:
    """Only what no later job has made good is shown, also when it is learnt late."""
    made = outcomes(completed(2, NOON), failed(1, NOON - 60))
    assert made.facts.trouble is None
    assert made.facts.last_failed == (NOON - 60, 1)
    assert made.consecutive_failures == 0


def test_a_completion_learnt_late_does_not_clear_a_later_failure() -> None:
    made = outcomes(failed(2, NOON), completed(1, NOON - 60))
    assert made.facts.trouble is not None
    assert made.consecutive_failures == 1
    assert made.failing


def test_a_success_learnt_between_two_failures_splits_them() -> None:
    """Failures in a row are those since the last success by time, not by the order of learning."""
    made = outcomes(failed(1, NOON), failed(3, NOON + 20), completed(2, NOON + 10))
    assert made.consecutive_failures == 1


def test_ends_that_are_equal_are_told_apart_by_job_id() -> None:
    for order in permutations([failed(1, NOON), completed(2, NOON), failed(3, NOON)]):
        made = outcomes(*order)
        assert made.consecutive_failures == 1
        assert made.facts.trouble is not None
        assert made.facts.trouble.job.job_id == 3


def test_a_completed_job_without_a_start_is_counted_and_not_measured() -> None:
    """The run time of the last one that could be measured stays."""
    made = outcomes(completed(1, NOON, start=NOON - 7), job(2, State.COMPLETED, start=None, end=NOON + 60))
    assert made.finished == 2
    assert made.facts.last_live == (NOON + 60, 2)
    assert made.facts.last_duration == 7
    totals = DatabaseTotals()
    totals.add(ended(job(2, State.COMPLETED, start=None, end=NOON)))
    assert sum(totals.buckets) == 0


def test_the_baseline_sets_stamps_and_moves_no_counter() -> None:
    made = outcomes(completed(1, NOON), failed(2, NOON + 60), counted=False)
    assert (made.finished, made.failed) == (0, 0)
    assert made.last_failed_counted is None
    assert made.facts.last_live == (NOON, 1)
    assert made.consecutive_failures == 1
    assert made.facts.trouble is not None


def test_more_failures_in_a_row_than_are_remembered_singly_are_all_counted() -> None:
    """The memory of a collection is bounded; the number of failures in a row is not."""
    made = outcomes(*(failed(i, NOON + i) for i in range(1000)))
    assert made.consecutive_failures == 1000
    assert len(made.facts.recent) < 300
    made.add(ended(completed(5000, NOON + 5000)))
    assert made.consecutive_failures == 0


def test_a_long_row_of_failures_ends_at_a_success_in_its_middle() -> None:
    made = outcomes(*(failed(i, NOON + i) for i in range(1000)), completed(2000, NOON + 899.5))
    assert made.consecutive_failures == 100


@given(st.lists(st.tuples(st.booleans(), FailureClasses, st.integers(0, 20)), max_size=12), st.randoms())
def test_any_order_of_learning_leaves_the_same(
    rows: list[tuple[bool, FailureClass, int]], chance: random.Random
) -> None:
    """Milvus's order is not stable for equal times, so nothing may depend on it."""
    jobs = [completed(i, NOON + at) if good else failed(i, NOON + at, kind) for i, (good, kind, at) in enumerate(rows)]
    shuffled = chance.sample(jobs, len(jobs))
    one, other = outcomes(*jobs), outcomes(*shuffled)
    one.last_failed_counted = other.last_failed_counted = None  # the exemplar is whichever moved the counter last
    assert one == other


@given(st.lists(st.tuples(st.booleans(), FailureClasses, st.integers(0, 20)), max_size=12), st.data())
def test_two_memories_of_one_collection_join_into_what_one_would_be(
    rows: list[tuple[bool, FailureClass, int]], data: st.DataObject
) -> None:
    jobs = [completed(i, NOON + at) if good else failed(i, NOON + at, kind) for i, (good, kind, at) in enumerate(rows)]
    left = data.draw(st.lists(st.booleans(), min_size=len(jobs), max_size=len(jobs)))
    whole = outcomes(*sorted(jobs, key=lambda j: (j.end, j.job_id)))
    joined = outcomes(*(j for j, is_left in zip(jobs, left, strict=True) if is_left))
    joined.merge(outcomes(*(j for j, is_left in zip(jobs, left, strict=True) if not is_left)))
    joined.last_failed_counted = whole.last_failed_counted
    assert joined == whole


def test_a_joined_memory_is_as_bounded_as_a_single_one() -> None:
    made = outcomes(*(failed(2 * i, NOON + 2 * i) for i in range(300)))
    made.merge(outcomes(*(failed(2 * i + 1, NOON + 2 * i + 1) for i in range(300))))
    assert made.consecutive_failures == 600
    assert len(made.facts.recent) < 300


def test_the_exemplar_of_a_joined_memory_is_the_latest() -> None:
    made = outcomes(failed(2, NOON + 60))
    made.merge(outcomes(failed(1, NOON)))
    assert made.last_failed_counted == (2, NOON + 60)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (1.0, 0), (1.001, 1), (7200.0, 12), (7200.5, 13)])
def test_a_run_time_falls_into_the_bucket_whose_bound_it_does_not_exceed(seconds: float, bucket: int) -> None:
    totals = DatabaseTotals()
    totals.add(ended(completed(1, NOON, start=NOON - seconds)))
    assert totals.buckets.index(1) == bucket
    assert len(totals.buckets) == len(DURATION_BUCKETS) + 1


def test_totals_of_a_database_know_all_failure_classes() -> None:
    """All classes are zero-filled, so that an increase from nothing is seen."""
    totals = DatabaseTotals()
    assert set(totals.failed_by_class) == set(FailureClass)
    assert not any(totals.failed_by_class.values())


def test_totals_take_back_what_turns_out_to_be_another_databases() -> None:
    totals = DatabaseTotals()
    for each in (completed(1, NOON), failed(2, NOON)):
        totals.add(ended(each))
        totals.add(ended(each), -1)
    assert totals == DatabaseTotals()


def test_the_baseline_does_not_enter_the_totals() -> None:
    totals = DatabaseTotals()
    totals.add(ended(completed(1, NOON), counted=False))
    totals.add(ended(failed(2, NOON), counted=False))
    assert totals == DatabaseTotals()


def test_data_older_than_promised_is_overdue() -> None:
    row = outcome_row(last_success=NOON - 100, max_age=60.0)
    assert row.overdue(NOON)
    assert not row.overdue(NOON - 41)


def test_without_a_promise_or_a_success_nothing_is_overdue() -> None:
    assert not outcome_row(last_success=NOON - 1e9).overdue(NOON)
    assert not outcome_row(max_age=60.0).overdue(NOON)
