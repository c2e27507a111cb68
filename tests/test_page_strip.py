"""Jobs over time as shapes: where they are, how wide, and never more than can be drawn."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from builders import DAY, NOON, completed, failed, job, no_end
from hypothesis import given
from hypothesis import strategies as st

from exporter.ledger import Mark
from exporter.model import State
from exporter.page.strip import CHART_WIDTH, COARSE, WIDTH, chart, strip


def bars(path: str) -> list[tuple[float, float, int]]:
    """Return left, width and top of each bar of a path."""
    return [(float(x), float(w), int(y)) for x, y, w in re.findall(r"M(-?[\d.]+) (\d+)h([\d.]+)v", path)]


def test_a_job_stands_where_it_ran_as_wide_as_it_took() -> None:
    drawn = strip([completed(1, NOON - DAY / 2, start=NOON - DAY * 3 / 4)], NOON)
    assert bars(drawn.completed) == [(WIDTH / 4, WIDTH / 4, 10)]


def test_a_failed_job_is_higher_than_a_completed_one() -> None:
    drawn = strip([completed(1, NOON - 9000), failed(2, NOON - 5000)], NOON)
    assert bars(drawn.failed)[0][2] < bars(drawn.completed)[0][2]
    assert drawn.counts == (1, 1, 0)


def test_a_job_under_way_reaches_to_now() -> None:
    drawn = strip([job(1, State.IN_PROGRESS, start=NOON - 3600)], NOON)
    assert bars(drawn.running) == [(WIDTH - 12, 12, 5)]


def test_a_short_job_can_be_seen() -> None:
    assert bars(strip([completed(1, NOON - 5000, start=NOON - 5001)], NOON).completed)[0][1] == COARSE


def test_a_job_that_ends_now_is_not_cut_off() -> None:
    assert bars(strip([completed(1, NOON, start=NOON - 1)], NOON).completed) == [(WIDTH - COARSE, COARSE, 10)]


def test_short_jobs_every_quarter_of_an_hour_are_not_one_long_job() -> None:
    jobs = [failed(n, NOON - n * 900, start=NOON - n * 900 - 2) for n in range(1, 96)]
    assert len(bars(strip(jobs, NOON).failed)) == 95


def test_dense_jobs_become_one_bar() -> None:
    jobs = [completed(n, NOON - n * 120) for n in range(700)]
    assert len(bars(strip(jobs, NOON).completed)) == 1


@pytest.mark.parametrize(
    "it",
    [
        completed(1, NOON - DAY - 1),
        completed(1, NOON + 100, start=NOON + 50),
        no_end(1, State.FAILED),
        job(1, State.PENDING, start=NOON + 50),
    ],
    ids=["older than a day", "ahead of us", "without stamps", "begins ahead of us"],
)
def test_what_is_not_within_the_day_is_not_drawn(it: object) -> None:
    assert strip([it], NOON).counts == (0, 0, 0)  # type: ignore[list-item]


stamps = st.floats(NOON - 3 * DAY, NOON + DAY)


@given(st.lists(st.tuples(stamps, stamps, st.sampled_from(State)), max_size=60))
def test_bars_stay_on_the_strip_and_apart(spans: list[tuple[float, float, State]]) -> None:
    """Whatever the stamps: at most a bar per two units, none over another of its kind, none over the edge."""
    jobs = [job(n, state, start=start, end=end if state.ended else None) for n, (start, end, state) in enumerate(spans)]
    drawn = strip(jobs, NOON)
    for path in (drawn.completed, drawn.failed, drawn.running):
        found = bars(path)
        assert path.count("M") == len(found) <= WIDTH / COARSE
        assert all(x >= 0 and x + width <= WIDTH + 0.11 for x, width, _ in found)
        assert all(one[0] + one[1] <= other[0] + 0.11 for one, other in pairwise(found))


def test_the_chart_is_bounded_however_many_jobs_there_are() -> None:
    marks = [Mark(n, "RefreshCompleted", NOON - n - 5 - n % 900, NOON - n) for n in range(20_000)]
    assert len(chart(marks, NOON - DAY, NOON).completed) < 200_000


@pytest.mark.parametrize("duration", [0.0, 0.05, 3.0, 1e9])
def test_any_duration_has_a_place_on_the_chart(duration: float) -> None:
    drawn = chart([Mark(1, "RefreshCompleted", NOON - 50 - duration, NOON - 50)], NOON - DAY, NOON)
    x, y = re.fullmatch(r"M(\d+) (\d+)h0", drawn.completed).groups()  # type: ignore[union-attr]
    assert int(x) <= CHART_WIDTH
    assert 0 <= int(y) <= 181


def test_a_kept_job_without_a_start_has_no_duration_and_no_mark() -> None:
    assert chart([Mark(1, "RefreshFailed", None, NOON)], NOON - DAY, NOON).failed == ""
