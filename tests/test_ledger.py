"""The memory of jobs: each ended job is counted once, whatever happens between two polls."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from builders import DAY, HOUR, NOON, collection, completed, failed, job, no_end

from exporter.ledger import Ended, Ledger, Memory, database_rows, outcome_rows
from exporter.model import Collection, FailureClass, Job, Problem, State
from exporter.snapshot import DatabaseRow, OutcomeRow

DOCS = collection("docs")
IMAGES = collection("images", collection_id=8)
OPEN = Collection("", "docs")


def ledger(memory: Memory | None = None, *, baseline_done: bool = True, **more: object) -> Ledger:
    memory = memory or Memory(since=NOON - DAY, baseline_done=baseline_done)
    return Ledger(memory, **({"retention": DAY, "forget_after": 30 * DAY} | more))  # type: ignore[arg-type]


def whole(
    book: Ledger, *jobs: Job, at: Collection = DOCS, gone: Iterable[int] = (), now: float = NOON
) -> tuple[Ended, ...]:
    return book.observe_whole([(each, at) for each in jobs], gone, now)


def part(
    book: Ledger, *jobs: Job, at: Collection = DOCS, gone: Iterable[int] = (), now: float = NOON
) -> tuple[Ended, ...]:
    return book.observe_part(at, [(each, at) for each in jobs], gone, now)


def ids(counted: tuple[Ended, ...]) -> list[int]:
    return [ended.job.job_id for ended in counted]


def row(book: Ledger, at: Collection = DOCS) -> OutcomeRow:
    return next(r for r in outcome_rows(book.memory, lambda _: True, lambda _: None) if r.collection == at)


def by_class(book: Ledger) -> dict[FailureClass, int]:
    """The counts of failures by class that are not 0."""
    shown = database(book)
    return {failure: count for failure, count in shown.failed_by_class if count} if shown is not None else {}


def database(book: Ledger, name: str = "sales") -> DatabaseRow | None:
    return next((r for r in database_rows(book.memory) if r.database == name), None)


# The baseline


def test_what_had_ended_in_the_first_whole_listing_is_the_baseline() -> None:
    """It sets the stamps and is not counted."""
    book = ledger(baseline_done=False)
    assert whole(book, completed(1, NOON - 60), failed(2, NOON - 30)) == ()
    book.mark_shown()
    assert (row(book).finished, row(book).failed) == (0, 0)
    assert row(book).last_success == NOON - 60
    assert row(book).last_failure == NOON - 30
    assert row(book).consecutive_failures == 1


def test_what_was_under_way_at_the_baseline_is_counted_when_it_ends() -> None:
    book = ledger(baseline_done=False)
    whole(book, job(1, State.IN_PROGRESS))
    assert ids(whole(book, completed(1, NOON + 5), now=NOON + 30)) == [1]


def test_a_name_that_appears_after_the_baseline_has_none() -> None:
    """The first whole listing completes the baseline for all."""
    book = ledger(baseline_done=False)
    whole(book)
    assert ids(whole(book, completed(1, NOON + 5), at=IMAGES, now=NOON + 30)) == [1]


def test_the_first_listing_by_name_is_the_baseline_of_its_collection_alone() -> None:
    book = ledger(baseline_done=False)
    assert part(book, completed(1, NOON)) == ()
    assert ids(part(book, completed(2, NOON + 5), now=NOON + 30)) == [2]
    assert part(book, completed(3, NOON + 5), at=IMAGES, now=NOON + 30) == ()


def test_the_first_whole_listing_spares_what_a_listing_by_name_has_covered() -> None:
    """Its baseline has been taken; the others take theirs now."""
    book = ledger(baseline_done=False)
    part(book, completed(1, NOON))
    counted = book.observe_whole([(completed(2, NOON + 5), DOCS), (completed(3, NOON + 5), IMAGES)], (), NOON + 30)
    assert ids(counted) == [2]


def test_an_empty_listing_by_name_is_a_baseline_too() -> None:
    book = ledger(baseline_done=False)
    part(book)
    assert ids(part(book, completed(1, NOON + 5), now=NOON + 30)) == [1]


def test_a_listing_by_name_after_the_baseline_counts() -> None:
    assert ids(part(ledger(), completed(1, NOON))) == [1]


def test_a_job_of_the_baseline_is_never_counted() -> None:
    book = ledger(baseline_done=False)
    whole(book, completed(1, NOON))
    assert whole(book, gone=[1], now=NOON + 30) == ()
    assert whole(book, completed(1, NOON), now=NOON + 60) == ()


# Each once


def test_a_job_that_starts_and_ends_between_two_polls_is_counted() -> None:
    book = ledger()
    assert ids(whole(book, completed(1, NOON))) == [1]
    book.mark_shown()
    assert row(book).finished == 1


def test_a_job_that_is_listed_again_is_not_counted_again() -> None:
    book = ledger()
    for now in (NOON, NOON + 30, NOON + 60):
        whole(book, completed(1, NOON), now=now)
    book.mark_shown()
    assert row(book).finished == 1


def test_a_job_that_vanishes_and_comes_back_is_not_counted_again() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1], now=NOON + 30)
    assert whole(book, completed(1, NOON), now=NOON + 60) == ()


def test_thirty_jobs_that_end_between_two_polls_are_counted_thirty_times() -> None:
    book = ledger()
    assert len(whole(book, *(completed(i, NOON + i) for i in range(30)))) == 30
    book.mark_shown()
    assert row(book).finished == 30


def test_counted_jobs_are_told_in_the_order_of_their_ends() -> None:
    """So that the exemplar is the latest failure, whatever the order of the list."""
    book = ledger()
    jobs = failed(3, NOON + 3), failed(1, NOON + 1), failed(2, NOON + 2)
    assert ids(whole(book, *jobs, now=NOON + 5)) == [1, 2, 3]
    book.mark_shown()
    assert row(book).failed_exemplar == (3, NOON + 3)


def test_a_superseded_job_is_counted_as_failed_and_not_as_a_failure() -> None:
    book = ledger()
    whole(book, failed(1, NOON, FailureClass.SUPERSEDED))
    book.mark_shown()
    assert (row(book).finished, row(book).failed, row(book).consecutive_failures) == (1, 1, 0)
    assert dict(database(book).failed_by_class)[FailureClass.SUPERSEDED] == 1  # type: ignore[union-attr]


def test_an_active_job_that_vanishes_is_not_counted() -> None:
    book = ledger()
    whole(book, job(1, State.IN_PROGRESS))
    assert whole(book, gone=[1], now=NOON + 30) == ()


# Repaired ends


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
def test_an_impossible_end_is_replaced_by_our_clock_at_first_sight(state: State) -> None:
    book = ledger()
    assert ids(whole(book, no_end(1, state, reason="x"))) == [1]
    assert book.memory.ended[1].end == NOON
    assert book.board.job(1)[0].end == NOON


def test_an_end_set_by_our_clock_does_not_wander() -> None:
    book = ledger()
    whole(book, no_end(1, State.COMPLETED))
    whole(book, no_end(1, State.COMPLETED, progress=0.9), now=NOON + 30)
    assert book.board.job(1)[0].end == NOON


# Half-written failures: Milvus lists them as failed before it has written how they ended


HALF = no_end(1, State.FAILED, half_written=True)


def test_a_half_written_failure_is_shown_at_once_and_counted_when_its_end_has_been_written() -> None:
    book = ledger()
    assert whole(book, HALF) == ()
    assert book.board.job(1)[0].state is State.FAILED
    assert ids(whole(book, failed(1, NOON + 5, FailureClass.TIMEOUT), now=NOON + 30)) == [1]
    book.mark_shown()
    assert (row(book).finished, row(book).failed, row(book).consecutive_failures) == (1, 1, 1)
    assert book.memory.ended[1].end == NOON + 5
    assert book.memory.ended[1].job.failure_class is FailureClass.TIMEOUT


def test_time_and_not_polls_decides_when_a_half_written_failure_is_taken_as_final() -> None:
    book = ledger()
    for second in range(20):
        assert whole(book, HALF, now=NOON + second) == ()
        assert row(book).last_failure is None
    whole(book, HALF, now=NOON + 20)
    assert row(book).last_failure == NOON
    assert row(book).consecutive_failures == 1
    assert book.board.job(1)[0].end == NOON
    assert not book.board.job(1)[0].half_written


def test_the_counters_by_class_wait_a_minute_for_the_reason() -> None:
    book = ledger()
    book.know({DOCS: None})
    book.mark_shown()
    for second in range(0, 60, 5):
        assert whole(book, HALF, now=NOON + second) == ()
        assert sum(by_class(book).values()) == 0
    assert ids(whole(book, HALF, now=NOON + 60)) == [1]
    assert by_class(book)[FailureClass.UNKNOWN] == 1
    assert whole(book, HALF, now=NOON + 90) == ()


def test_a_reason_within_a_minute_gives_the_class_in_the_counters() -> None:
    book = ledger()
    book.know({DOCS: None})
    book.mark_shown()
    whole(book, HALF)
    whole(book, HALF, now=NOON + 25)
    assert ids(whole(book, failed(1, NOON - 5, FailureClass.TIMEOUT), now=NOON + 59)) == [1]
    assert by_class(book) == {FailureClass.TIMEOUT: 1}
    assert row(book).failed == 1


def test_a_reason_that_comes_late_changes_everything_but_the_counters() -> None:
    book = ledger()
    book.know({DOCS: None})
    book.mark_shown()
    for second in (0, 20, 60):
        whole(book, HALF, now=NOON + second)
    assert whole(book, failed(1, NOON - 5, FailureClass.TIMEOUT), now=NOON + 300) == ()
    assert by_class(book) == {FailureClass.UNKNOWN: 1}
    assert (row(book).finished, row(book).failed, row(book).consecutive_failures) == (1, 1, 1)
    assert row(book).last_failure == NOON - 5
    assert row(book).trouble.failure_class is FailureClass.TIMEOUT  # type: ignore[union-attr]


def test_a_failure_that_turns_out_to_be_a_success_moves_the_stamps_and_takes_nothing_from_the_counters() -> None:
    book = ledger()
    book.know({DOCS: None})
    book.mark_shown()
    for second in (0, 20, 60):
        whole(book, HALF, now=NOON + second)
    whole(book, completed(1, NOON - 5), now=NOON + 90)
    assert (row(book).last_success, row(book).last_failure, row(book).consecutive_failures) == (NOON - 5, None, 0)
    assert (row(book).finished, row(book).failed, row(book).trouble) == (1, 1, None)


def test_a_wait_for_indexes_that_ran_out_is_a_success_of_the_data_however_late_milvus_says_so() -> None:
    book = ledger()
    for second in (0, 20, 60):
        whole(book, HALF, now=NOON + second)
    whole(book, failed(1, NOON - 5, FailureClass.INDEX_WAIT_TIMEOUT), now=NOON + 90)
    assert (row(book).last_success, row(book).consecutive_failures) == (NOON - 5, 0)


def test_a_failure_without_a_class_yet_is_classed_when_its_collection_is_dropped() -> None:
    """The totals of the database outlive the collection."""
    book = ledger()
    book.know({DOCS: None, IMAGES: None})
    book.mark_shown()
    whole(book, HALF)
    whole(book, HALF, now=NOON + 20)
    book.forget_collections([DOCS])
    assert by_class(book) == {FailureClass.UNKNOWN: 1}
    assert ids(whole(book, gone=[1], now=NOON + 90)) == [1]
    whole(book, now=NOON + 120)
    assert by_class(book) == {FailureClass.UNKNOWN: 1}


def test_a_half_written_failure_that_vanishes_is_counted() -> None:
    """Better counted without a reason than lost."""
    book = ledger()
    whole(book, HALF)
    whole(book, gone=[1], now=NOON + 30)
    assert ids(whole(book, now=NOON + 60)) == [1]
    assert book.memory.ended[1].end == NOON
    assert whole(book, failed(1, NOON + 1), now=NOON + 90) == ()


def test_a_half_written_failure_waits_for_a_listing_that_covers_it() -> None:
    book = ledger()
    part(book, HALF)
    part(book, at=IMAGES, now=NOON + 30)
    assert row(book).last_failure is None
    part(book, now=NOON + 31)
    assert row(book).last_failure == NOON


def test_a_half_written_failure_in_the_first_listing_belongs_to_the_baseline() -> None:
    book = ledger(baseline_done=False)
    whole(book, HALF)
    assert whole(book, failed(1, NOON + 5), now=NOON + 30) == ()
    assert row(book).last_failure == NOON + 5


def test_a_half_written_failure_that_runs_on_has_not_failed() -> None:
    """The live view can take it back; a job that then vanishes while it runs is not counted as ended."""
    book = ledger()
    whole(book, HALF)
    assert whole(book, job(1, State.IN_PROGRESS), now=NOON + 30) == ()
    assert whole(book, gone=[1], now=NOON + 60) == ()


def test_a_clock_that_is_set_back_does_not_make_a_half_written_failure_wait() -> None:
    book = ledger()
    whole(book, HALF)
    assert ids(whole(book, HALF, now=NOON - HOUR)) == [1]


def test_a_half_written_failure_that_is_given_up_is_counted_as_an_impossible_value() -> None:
    book = ledger()
    whole(book, HALF)
    assert not book.problems
    whole(book, HALF, now=NOON + 20)
    whole(book, HALF, now=NOON + 40)
    assert book.problems == {Problem.ENDED_WITHOUT_END_TIME: 1}


# Stamps of a clock that is not ours


def test_a_success_from_the_future_hides_no_failure_after_it() -> None:
    book = ledger()
    whole(book, completed(1, NOON + 2 * HOUR))
    for number in (2, 3, 4):
        whole(book, failed(number, NOON + number * 60), now=NOON + number * 60)
    assert row(book).last_success == NOON
    assert row(book).last_failure == NOON + 240
    assert row(book).consecutive_failures == 3


def test_a_capped_end_keeps_the_run_time_that_milvus_measured() -> None:
    book = ledger()
    whole(book, completed(1, NOON + 2 * HOUR, start=NOON + 2 * HOUR - 60))
    listed, _ = book.board.job(1)
    assert (listed.start, listed.end) == (NOON - 60, NOON)


def test_an_end_that_is_written_after_the_reason_is_taken_as_it_is_written() -> None:
    """No clock is ahead: we saw the failure before Milvus wrote when it was."""
    book = ledger()
    whole(book, no_end(1, State.FAILED, reason="x")._replace(start=NOON - 60))
    assert row(book).last_failure == NOON
    whole(book, failed(1, NOON + 5, start=NOON - 60, reason="x"), now=NOON + 10)
    assert row(book).last_failure == NOON + 5
    assert book.board.job(1)[0].start == NOON - 60
    whole(book, failed(1, NOON + 500, start=NOON - 60, reason="x"), now=NOON + 20)
    assert row(book).last_failure == NOON + 10, "no later than when we first saw one"


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_the_start_of_a_job_without_an_end_lies_no_later_than_its_first_sight(state: State) -> None:
    book = ledger()
    for later in (0, 10, 20, 40):
        whole(book, job(1, state, start=NOON + HOUR, half_written=state is State.FAILED), now=NOON + later)
        assert book.board.job(1)[0].start == NOON


def test_a_capped_end_does_not_wander_when_the_job_is_listed_again() -> None:
    book = ledger()
    for later in (0, 30, HOUR):
        whole(book, completed(1, NOON + 2 * HOUR), now=NOON + later)
        assert row(book).last_success == NOON
        assert book.board.job(1)[0].end == NOON


# Counters are seen at 0 first


def test_counters_of_an_unknown_collection_are_shown_at_0_for_one_snapshot() -> None:
    """A counter that appears with a value has no increase."""
    book = ledger()
    whole(book, failed(1, NOON))
    assert (row(book).finished, row(book).failed, row(book).failed_exemplar) == (0, 0, None)
    assert sum(count for _, count in database(book).failed_by_class) == 0  # type: ignore[union-attr]
    book.mark_shown()
    assert (row(book).finished, row(book).failed) == (1, 1)
    assert sum(count for _, count in database(book).failed_by_class) == 1  # type: ignore[union-attr]


def test_stamps_of_an_unknown_collection_are_shown_at_once() -> None:
    book = ledger()
    whole(book, failed(1, NOON))
    assert row(book).last_failure == NOON
    assert row(book).consecutive_failures == 1


def test_a_collection_of_the_inventory_stands_at_0_before_its_first_job() -> None:
    book = ledger()
    book.know({DOCS: None})
    assert (row(book).finished, row(book).failed, row(book).consecutive_failures) == (0, 0, 0)
    assert database(book) is not None
    book.mark_shown()
    whole(book, completed(1, NOON))
    assert row(book).finished == 1


def test_knowing_a_collection_again_takes_nothing_from_it() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    book.mark_shown()
    book.know({DOCS: None})
    assert row(book).finished == 1


def test_a_new_collection_in_a_shown_database_moves_the_databases_totals_at_once() -> None:
    book = ledger()
    book.know({DOCS: None})
    book.mark_shown()
    whole(book, completed(1, NOON), at=IMAGES)
    assert row(book, IMAGES).finished == 0
    assert sum(database(book).duration_buckets) == 1  # type: ignore[union-attr]


def test_what_the_filters_drop_does_not_enter_the_totals() -> None:
    book = ledger(counts=lambda c: c.name != "images")
    book.observe_whole([(failed(1, NOON), IMAGES), (failed(2, NOON), DOCS)], (), NOON)
    book.mark_shown()
    assert sum(count for _, count in database(book).failed_by_class) == 1  # type: ignore[union-attr]


def test_a_database_with_nothing_to_show_has_no_row() -> None:
    book = ledger(counts=lambda c: False)
    whole(book, failed(1, NOON))
    assert database(book) is None


# Forgetting


def test_an_id_is_forgotten_when_it_has_been_missing_for_as_long_as_milvus_lists_an_ended_job() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1], now=NOON + 30)
    whole(book, now=NOON + DAY + 29)
    assert book.take_forgotten() == frozenset()
    whole(book, now=NOON + DAY + 30)
    assert book.take_forgotten() == {1}
    assert book.memory.ended == {}


@pytest.mark.parametrize("behind", [0, 50 * 60, 30 * HOUR], ids=["no", "50_minutes", "30_hours"])
def test_a_gap_in_the_listing_counts_nothing_again_however_far_milvuss_clock_is_behind(behind: float) -> None:
    book = ledger()
    old = completed(1, NOON - 23 * HOUR - 40 * 60 - behind)
    counted = [whole(book, old)]
    for hour in range(3):
        counted.append(whole(book, gone=[1], now=NOON + hour * HOUR + 30))
        counted.append(whole(book, old, now=NOON + hour * HOUR + 60))
    assert [ids(each) for each in counted if each] == [[1]]


def test_an_id_that_is_still_listed_is_not_forgotten() -> None:
    """Milvus keeps a job for longer where its clean-up fails."""
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, now=NOON + 10 * DAY)
    assert 1 in book.memory.ended


def test_an_id_that_came_back_is_not_forgotten() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1], now=NOON + 30)
    whole(book, completed(1, NOON), now=NOON + 60)
    whole(book, now=NOON + 2 * DAY)
    assert 1 in book.memory.ended


def test_a_listing_by_name_forgets_nothing_at_once() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    part(book, gone=[1], now=NOON + 10 * DAY)
    assert book.take_forgotten() == frozenset()
    assert part(book, completed(1, NOON), now=NOON + 10 * DAY + 30) == ()


def test_outcomes_outlive_the_ids() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1], now=NOON + 3 * DAY)
    book.mark_shown()
    assert row(book).last_success == NOON
    assert row(book).finished == 1


def test_the_place_of_an_active_job_outlives_a_gap_in_the_listing() -> None:
    book = ledger()
    whole(book, job(1, State.PENDING))
    whole(book, gone=[1], now=NOON + 30)
    assert book.take_forgotten() == frozenset()
    assert book.memory.running[1].collection == DOCS
    whole(book, now=NOON + DAY + 30)
    assert book.take_forgotten() == {1}
    assert book.memory.running == {}


def test_forgotten_ids_are_told_once() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1])
    whole(book, now=NOON + DAY)
    assert book.take_forgotten() == {1}
    assert book.take_forgotten() == frozenset()


def test_ids_that_a_memory_brought_along_and_milvus_no_longer_lists_are_forgotten() -> None:
    """A restored memory is bounded by the listing as any other, and remembers since when each id has been missing."""
    first = ledger()
    whole(first, completed(1, NOON), completed(2, NOON))
    whole(first, gone=[1], now=NOON + HOUR)
    second = ledger(first.memory)
    whole(second, now=NOON + 2 * HOUR)
    whole(second, now=NOON + DAY + HOUR)
    assert set(second.memory.ended) == {2}
    whole(second, now=NOON + DAY + 2 * HOUR)
    assert set(second.memory.ended) == set()


def test_a_restored_memory_replays_nothing() -> None:
    first = ledger()
    whole(first, completed(1, NOON))
    second = ledger(first.memory)
    assert ids(whole(second, completed(1, NOON), completed(2, NOON + 5), now=NOON + 30)) == [2]


def test_outcomes_of_what_nobody_can_say_to_exist_are_forgotten_after_a_while() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1], now=NOON + DAY)
    book.sweep(NOON + 30 * DAY, lambda _: None)
    assert DOCS in book.memory.outcomes
    book.sweep(NOON + 31 * DAY, lambda _: None)
    assert DOCS not in book.memory.outcomes
    assert database(book) is None


def test_a_name_without_a_database_whose_only_job_left_unended_is_forgotten() -> None:
    book = ledger()
    whole(book, job(1, State.PENDING), at=OPEN)
    book.sweep(NOON, lambda _: None)
    assert OPEN in book.memory.outcomes
    whole(book, gone=[1], now=NOON + 30)
    book.sweep(NOON + 30, lambda _: None)
    assert OPEN not in book.memory.outcomes


def test_outcomes_of_a_collection_that_exists_are_kept_for_ever() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, gone=[1], now=NOON + DAY)
    book.sweep(NOON + 3650 * DAY, lambda _: True)
    assert DOCS in book.memory.outcomes


def test_outcomes_of_a_collection_with_listed_jobs_are_kept() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    book.sweep(NOON + 365 * DAY, lambda _: None)
    assert DOCS in book.memory.outcomes


def test_a_forgotten_collection_keeps_its_listed_jobs() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    book.forget_collections([DOCS])
    assert DOCS not in book.memory.outcomes
    assert book.board.ids(DOCS) == {1}


# Renames and what is learnt late


def test_a_rename_keeps_everything() -> None:
    book = ledger()
    whole(book, completed(1, NOON), failed(2, NOON + 5))
    book.mark_shown()
    new = DOCS._replace(name="texts")
    book.rename(DOCS, new)
    assert DOCS not in book.memory.outcomes
    assert (row(book, new).finished, row(book, new).failed) == (2, 1)
    assert book.board.ids(new) == {1, 2}
    assert whole(book, completed(1, NOON), failed(2, NOON + 5), at=new) == ()


def test_a_rename_keeps_the_baseline_of_a_listing_by_name() -> None:
    book = ledger(baseline_done=False)
    part(book, completed(1, NOON))
    new = DOCS._replace(name="texts")
    book.rename(DOCS, new)
    assert ids(part(book, completed(2, NOON + 5), at=new)) == [2]


def test_a_collection_learnt_late_inherits_what_its_jobs_left_behind() -> None:
    book = ledger()
    whole(book, completed(1, NOON), at=OPEN)
    book.mark_shown()
    book.move_jobs({1: DOCS})
    assert OPEN not in book.memory.outcomes
    assert row(book).finished == 1
    assert row(book).last_success == NOON
    assert database(book, "") is None


def test_what_is_older_than_the_ids_goes_with_the_only_heir() -> None:
    book = ledger()
    whole(book, completed(1, NOON), at=OPEN)
    whole(book, completed(2, NOON + 60), at=OPEN, gone=[1], now=NOON + 60)
    whole(book, at=OPEN, now=NOON + DAY + 60)
    assert set(book.memory.ended) == {2}
    book.mark_shown()
    book.move_jobs({2: DOCS})
    assert row(book).finished == 2


def test_jobs_of_one_name_can_go_to_several_collections() -> None:
    book = ledger()
    whole(book, completed(1, NOON), failed(2, NOON + 5), job(3, State.PENDING), at=OPEN)
    other = collection("docs", "hr", 9)
    book.move_jobs({1: DOCS, 2: other})
    book.mark_shown()
    assert (row(book).finished, row(book).failed) == (1, 0)
    assert (row(book, other).finished, row(book, other).failed) == (1, 1)
    assert row(book, OPEN).finished == 0
    assert book.board.ids(OPEN) == {3}
    assert sum(database(book, "").duration_buckets) == 0  # type: ignore[union-attr]
    assert sum(database(book, "hr").duration_buckets) == 0  # type: ignore[union-attr]
    assert sum(database(book).duration_buckets) == 1  # type: ignore[union-attr]


def test_totals_move_with_the_jobs() -> None:
    book = ledger()
    whole(book, completed(1, NOON), failed(2, NOON), at=OPEN)
    book.move_jobs({1: DOCS, 2: DOCS})
    book.mark_shown()
    assert sum(database(book).duration_buckets) == 1  # type: ignore[union-attr]
    assert sum(count for _, count in database(book).failed_by_class) == 1  # type: ignore[union-attr]
    assert database(book, "") is None


def test_a_long_row_of_failures_learnt_late_is_counted_in_full() -> None:
    """Whatever the order in which the listing has brought them."""
    book = ledger()
    jobs = [failed(i, NOON + i) for i in range(600)]
    whole(book, completed(1000, NOON - 60), *jobs, job(2000, State.PENDING), at=OPEN)
    book.move_jobs({each.job_id: DOCS for each in [*reversed(jobs), completed(1000, NOON - 60)]})
    assert row(book).consecutive_failures == 600


def test_a_job_found_after_its_name_was_taken_for_dropped_brings_its_count_along() -> None:
    """Forgotten with the name and learnt late: the new key has it all the same."""
    book = ledger()
    whole(book, completed(1, NOON), at=OPEN)
    book.forget_collections([OPEN])
    whole(book, completed(1, NOON), at=OPEN, now=NOON + 30)
    book.move_jobs({1: DOCS})
    book.mark_shown()
    assert row(book).finished == 1
    assert row(book).last_success == NOON


def test_a_job_moved_to_a_recreated_collection_takes_nothing_of_the_former_along() -> None:
    """A drop and recreate starts new outcomes: what the former collection left is not the new one's."""
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, failed(2, NOON + 3 * DAY), gone=[1], now=NOON + 3 * DAY)
    book.mark_shown()
    heir = DOCS._replace(collection_id=70)
    book.move_jobs({2: heir})
    book.mark_shown()
    assert row(book, heir).last_success is None
    assert row(book, heir).finished == 1


def test_a_collection_that_loses_a_job_to_another_keeps_what_is_older() -> None:
    """A job was taken for its own after a swap of names; counts and stamps from before are still there."""
    book = ledger()
    whole(book, completed(1, NOON), failed(2, NOON + 60))
    whole(book, failed(3, NOON + 3 * DAY), completed(4, NOON + 3 * DAY + 60), gone=[1, 2], now=NOON + 3 * DAY + 90)
    book.mark_shown()
    book.move_jobs({4: IMAGES})
    book.mark_shown()
    left = row(book)
    assert (left.finished, left.failed) == (3, 2)
    assert left.last_failure == NOON + 3 * DAY
    assert left.trouble is not None
    assert row(book, IMAGES).last_success == NOON + 3 * DAY + 60


def test_a_collection_that_loses_its_only_known_job_keeps_what_is_older() -> None:
    book = ledger()
    whole(book, completed(1, NOON))
    whole(book, failed(3, NOON + 3 * DAY), gone=[1], now=NOON + 3 * DAY + 90)
    book.mark_shown()
    book.move_jobs({3: IMAGES})
    assert (row(book).finished, row(book).failed) == (1, 0)
    assert row(book).last_success == NOON
    assert row(book).last_failure is None
    assert row(book).trouble is None
    assert row(book).consecutive_failures == 0


def test_moving_an_active_job_leaves_no_empty_collection_behind() -> None:
    book = ledger()
    whole(book, job(1, State.PENDING), at=OPEN)
    book.move_jobs({1: DOCS})
    assert set(book.memory.outcomes) == {DOCS}
    assert set(book.board.groups) == {DOCS}


def test_moving_jobs_that_nobody_has_seen_changes_nothing() -> None:
    book = ledger()
    book.move_jobs({1: DOCS})
    assert book.memory.outcomes == {}


def test_many_names_learnt_at_once_are_moved_without_reading_all_for_each() -> None:
    """The inventory that comes late moves everything in one go; that must not cost names times jobs."""
    names, each = 300, 10
    book = ledger()
    placed = [(completed(n * each + i, NOON + i), Collection("", f"c{n}")) for n in range(names) for i in range(each)]
    book.observe_whole(placed, (), NOON)
    looked_at = 0

    class Counting(dict[int, Ended]):
        def values(self):  # type: ignore[no-untyped-def]
            nonlocal looked_at
            looked_at += len(self)
            return super().values()

    book.memory.ended = Counting(book.memory.ended)
    book.move_jobs({made.job_id: Collection("sales", at.name, int(at.name[1:]) + 1) for made, at in placed})
    assert looked_at <= 2 * names * each


# Rare turns of events


def test_listings_by_name_alone_forget_what_they_have_lacked_for_as_long_as_milvus_lists_an_ended_job() -> None:
    """Early Milvus 3 answers no other listing, for as long as it runs."""
    book = ledger(baseline_done=False)
    part(book)
    for day in range(10):
        now = NOON + day * DAY
        part(book, completed(day + 1, now), gone=[day] if day else [], now=now)
    assert set(book.memory.ended) == {9, 10}
    assert book.take_forgotten() == set(range(1, 9))


def test_a_clock_that_is_set_back_does_not_keep_ids_until_it_comes_round_again() -> None:
    book = ledger()
    whole(book, completed(1, NOON), completed(2, NOON))
    whole(book, gone=[1], now=NOON + 300 * DAY)
    whole(book, gone=[2], now=NOON + 60)
    whole(book, now=NOON + 120)
    whole(book, now=NOON + 2 * DAY)
    assert set(book.memory.ended) == set()


def test_an_id_said_to_be_gone_again_has_been_missing_since_the_first_time() -> None:
    """After a poll that broke off, all that is remembered and not listed is told as gone once more."""
    book = ledger()
    whole(book, completed(1, NOON), completed(2, NOON))
    whole(book, gone=[1, 2], now=NOON + 30)
    whole(book, gone=[1, 2], now=NOON + DAY)
    whole(book, now=NOON + DAY + 60)
    assert set(book.memory.ended) == set()


def test_a_failure_dropped_before_its_reason_came_is_counted_where_it_is_found() -> None:
    book = ledger()
    book.know({OPEN: None})
    half = job(1, State.FAILED, start=NOON - 10, end=None, half_written=True)
    whole(book, half, at=OPEN, now=NOON)
    whole(book, now=NOON + 25)
    assert book.memory.ended[1].stage.name == "UNCLASSIFIED"
    book.forget_collections([OPEN])
    book.move_jobs({1: DOCS})
    whole(book, now=NOON + 90)
    book.mark_shown()
    assert (row(book).finished, row(book).failed) == (1, 1)
    assert by_class(book) == {FailureClass.UNKNOWN: 1}


def test_a_job_that_leaves_a_database_begun_anew_takes_nothing_from_it() -> None:
    """The counters of the database went with its last collection; those of now have never had the job."""
    book = ledger()
    whole(book, completed(1, NOON), at=OPEN)
    book.forget_collections([OPEN])
    other = Collection("", "images")
    whole(book, completed(2, NOON + 100, start=NOON), at=other, now=NOON + 100)
    book.move_jobs({1: DOCS})
    book.mark_shown()
    found = database(book, "")
    assert found is not None
    assert min(found.duration_buckets) >= 0
    assert found.duration_sum == 100


def test_a_run_time_that_was_written_later_leaves_no_bucket_below_0() -> None:
    book = ledger()
    whole(book, no_end(1, State.COMPLETED, start=NOON), at=OPEN, now=NOON + 100)
    whole(book, completed(1, NOON + 3, start=NOON), at=OPEN, now=NOON + 130)
    whole(book, completed(2, NOON + 50, start=NOON), at=Collection("", "images"), now=NOON + 130)
    book.move_jobs({1: DOCS})
    book.mark_shown()
    found, theirs = database(book, ""), database(book)
    assert found is not None
    assert theirs is not None
    assert min(found.duration_buckets) >= 0
    assert found.duration_sum >= 50
    assert (sum(theirs.duration_buckets), theirs.duration_sum) == (1, 3)


def test_a_start_from_the_future_is_first_sight_also_while_no_end_is_written() -> None:
    """No age is below 0, and the run time is known when the failure is given up on."""
    book = ledger()
    half = job(1, State.FAILED, start=NOON + HOUR, end=None, half_written=True)
    for now in (NOON, NOON + 10, NOON + 30):
        whole(book, half, now=now)
        assert book.board.job(1)[0].start == NOON
    assert book.memory.ended[1].job.start == NOON


def test_a_start_from_the_future_of_a_job_without_an_end_is_first_sight() -> None:
    book = ledger()
    whole(book, job(1, State.IN_PROGRESS, start=NOON + HOUR), now=NOON)
    for now in (NOON + 30, NOON + 60):
        whole(book, job(1, State.COMPLETED, start=NOON + HOUR, end=None)._replace(end=None), now=now)
        assert book.board.job(1)[0][4:7] == ("s3://lake/docs", NOON, NOON + 30)


def test_what_listings_by_name_have_covered_is_forgotten_with_its_collection() -> None:
    book = ledger(baseline_done=False)
    part(book)
    book.forget_collections([DOCS])
    assert book.memory.covered == set()


@pytest.mark.parametrize("back", [60.0, 2 * HOUR])
def test_a_clock_that_is_set_back_hides_no_failure_after_a_success(back: float) -> None:
    """It says when we saw a job for as long as it has not come round; Milvus's own stamps keep their order."""
    book = ledger()
    whole(book, completed(1, NOON), now=NOON)
    for now in (NOON - back + 30, NOON - back + 60):
        whole(book, failed(2, NOON + 20), now=now)
        assert row(book).failing
        assert row(book).consecutive_failures == 1


def test_a_clock_that_had_been_days_ahead_sets_no_end() -> None:
    book = ledger()
    whole(book, now=NOON + 300 * DAY)
    whole(book, no_end(1, State.COMPLETED), completed(2, NOON + HOUR), now=NOON)
    assert row(book).last_success == NOON


def test_a_half_written_failure_whose_collection_is_never_listed_again_is_counted_before_it_is_forgotten() -> None:
    book = ledger()
    part(book, job(1, State.FAILED, end=None, half_written=True))
    part(book, gone=[1], now=NOON + 10)
    part(book, at=IMAGES, now=NOON + DAY + 10)
    part(book, at=IMAGES, now=NOON + DAY + 40)
    book.mark_shown()
    assert book.memory.ended == {}
    assert (row(book).finished, row(book).failed, row(book).last_failure) == (1, 1, NOON)
    assert by_class(book) == {FailureClass.UNKNOWN: 1}
