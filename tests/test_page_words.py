"""Lengths of time and moments, as people say them."""

from __future__ import annotations

import pytest
from builders import NOON

from exporter.page import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (1.8169, "1.8 s"),
        (9, "9 s"),
        (59.6, "60 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (5 * 3600 + 18 * 60, "5 h 18 min"),
        (31 * 3600 + 600, "31 h"),
        (172_800, "2 d"),
        (1e9, "11574 d"),
    ],
)
def test_a_length_of_time_is_short(seconds: float, text: str) -> None:
    assert words.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(("seconds", "text"), [(93_600, "26 h"), (90, "90 s"), (5400, "90 min"), (2_592_000, "30 d")])
def test_a_limit_is_exact(seconds: float, text: str) -> None:
    assert words.limit(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


def test_what_a_wrong_clock_puts_ahead_of_us_is_now() -> None:
    assert words.ago(-100) == "just now"


@pytest.mark.parametrize("moment", [1e18, -1e18, float("inf"), float("nan")])
def test_a_moment_that_is_none_is_no_traceback(moment: float) -> None:
    assert words.stamp(moment).endswith(" s")
    assert words.iso(moment) == ""


def test_moments_are_utc() -> None:
    assert words.stamp(NOON) == "2026-09-21 14:13:20 UTC"
    assert words.iso(NOON) == "2026-09-21T14:13:20Z"
