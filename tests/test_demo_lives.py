"""The life of a simulated job is a timeline whose oddities are Milvus's own."""

from __future__ import annotations

import pytest

from exporter.demo.lives import (
    Life,
    Phase,
    completing,
    ending,
    endless,
    explored_again,
    failing,
    failing_at_explore,
    replanned,
    scaled,
    sent_back,
    stage_at,
    stranded,
    stuck_pending,
    timed_out,
    waiting_for_index,
)

PENDING, IN_PROGRESS, COMPLETED, FAILED = range(4)


def seen(life: Life, *ages: float) -> list[tuple[int, int]]:
    """State and progress at each age."""
    return [(stage_at(life, age).phase.state, stage_at(life, age).progress) for age in ages]


def test_a_one_task_job_sits_at_0_then_jumps_to_99_and_100() -> None:
    life = completing(explore=2, run=10, apply=1)
    assert seen(life, 0, 1.9, 2, 11.9, 12, 12.9, 13, 999) == [
        (PENDING, 0),
        (PENDING, 0),
        (IN_PROGRESS, 0),
        (IN_PROGRESS, 0),
        (IN_PROGRESS, 99),
        (IN_PROGRESS, 99),
        (COMPLETED, 100),
        (COMPLETED, 100),
    ]


def test_a_job_of_many_tasks_shows_the_integer_mean_of_its_tasks() -> None:
    life = completing(explore=0.5, run=30, tasks=3)
    assert [stage.progress for stage in life] == [0, 0, 33, 66, 99, 100]


def test_a_job_goes_back_to_pending_when_one_task_is_done_and_none_runs() -> None:
    life = completing(explore=1, run=20, tasks=4, pause=5)
    assert seen(life, 5.9, 6, 10.9, 11) == [(IN_PROGRESS, 0), (PENDING, 25), (PENDING, 25), (IN_PROGRESS, 25)]
    end = ending(life)
    assert end is not None
    assert end.after == pytest.approx(1 + 20 + 5 + 1)


def test_an_index_wait_falls_from_99_to_90_and_never_shows_100() -> None:
    life = waiting_for_index(completing(explore=1, run=9, apply=1), wait=100, segments=4)
    assert seen(life, 10.5, 11, 36, 61, 86, 110.9) == [
        (IN_PROGRESS, 99),
        (IN_PROGRESS, 90),
        (IN_PROGRESS, 92),
        (IN_PROGRESS, 95),
        (IN_PROGRESS, 97),
        (IN_PROGRESS, 97),
    ]
    assert seen(life, 111) == [(COMPLETED, 100)]


def test_a_retried_job_falls_back_to_pending_at_0_and_runs_all_over_again() -> None:
    life = sent_back(completing(explore=1, run=10, tasks=2), at=8, wait=4)
    assert seen(life, 7, 8, 11.9, 12, 17, 22, 23) == [
        (IN_PROGRESS, 50),
        (PENDING, 0),
        (PENDING, 0),
        (IN_PROGRESS, 0),
        (IN_PROGRESS, 50),
        (IN_PROGRESS, 99),
        (COMPLETED, 100),
    ]


def test_a_failed_planning_notes_its_cause_on_a_job_that_has_not_failed_and_success_clears_it() -> None:
    life = replanned(completing(explore=1, run=5), "no route", wait=20)
    noted = stage_at(life, 10)
    assert (noted.phase.state, noted.reason) == (PENDING, "no route")
    end = ending(life)
    assert end is not None
    assert (end.phase, end.reason) == (Phase.COMPLETED, "")


def test_a_failing_job_has_neither_end_nor_reason_for_one_tick() -> None:
    life = failing(explore=1, run=8, reason="task result not found", tasks=2)
    half_written, saved = stage_at(life, 9), stage_at(life, 19)
    assert (half_written.phase.state, half_written.phase.ended, half_written.reason) == (FAILED, False, "")
    assert (saved.phase.state, saved.phase.ended, saved.reason) == (FAILED, True, "task result not found")
    assert saved.progress == 50


def test_a_job_that_fails_at_explore_was_never_in_progress() -> None:
    life = failing_at_explore(3, "denied")
    assert {stage.phase.state for stage in life} == {PENDING, FAILED}


def test_a_timeout_cuts_a_job_that_is_stuck_pending() -> None:
    life = timed_out(stuck_pending(), 3600)
    assert seen(life, 3599.9, 3600) == [(PENDING, 0), (FAILED, 0)]
    assert stage_at(life, 3600).reason == "timeout"


def test_a_timeout_names_the_cause_that_was_noted() -> None:
    assert (
        stage_at(timed_out(stuck_pending("NoSuchBucket"), 3600), 3600).reason == "timeout, last failure: NoSuchBucket"
    )


def test_a_timeout_in_the_index_wait_says_that_the_data_is_serving() -> None:
    life = timed_out(waiting_for_index(completing(1, 10), wait=9000, segments=8), 3600)
    stage = stage_at(life, 3600)
    assert stage.reason.startswith("timeout waiting for indexes: the refreshed data is applied and serving")
    assert stage.progress == 93


def test_a_job_whose_tasks_are_all_done_outlives_the_timeout() -> None:
    life = timed_out(endless(explore=1, run=10), 3600)
    assert seen(life, 90_000) == [(IN_PROGRESS, 99)]
    assert ending(life) is None


def test_a_timeout_waits_for_the_application_to_end_before_it_strikes_an_index_wait() -> None:
    life = timed_out(waiting_for_index(completing(1, 10, apply=5), wait=100, segments=2), 12)
    assert seen(life, 15.9, 16) == [(IN_PROGRESS, 99), (FAILED, 90)]


def test_a_job_that_ends_in_time_is_left_alone() -> None:
    life = completing(1, 10)
    assert timed_out(life, 3600) == life


def test_a_restart_makes_a_job_that_explores_start_over() -> None:
    life = explored_again(completing(explore=10, run=5), age=8)
    assert seen(life, 17.9, 18, 23) == [(PENDING, 0), (IN_PROGRESS, 0), (IN_PROGRESS, 99)]


def test_a_restart_leaves_a_running_job_alone() -> None:
    life = completing(explore=10, run=5)
    assert explored_again(life, age=11) == life


def test_a_dropped_collection_strands_a_job_that_explores_and_not_one_that_runs() -> None:
    life = completing(explore=10, run=5)
    assert ending(stranded(life, age=8)) is None
    assert stranded(life, age=11) == life


def test_speed_divides_every_duration() -> None:
    assert [stage.after for stage in scaled(completing(10, 20, apply=10), 10)] == [0, 1, 3, 4]
