"""Durations and sizes read as Prometheus users write them, and read back as they are shown."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.units import format_bytes, format_duration, parse_bytes, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("5m", 300),
        ("1h30m", 5400),
        ("26h", 93_600),
        ("30d", 2_592_000),
        ("1w", 604_800),
        ("1y", 31_536_000),
        ("500ms", 0.5),
        ("1s500ms", 1.5),
        ("007s", 7),
        ("100y", 3_153_600_000),
    ],
)
def test_a_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("30", "has no unit; write 30s for seconds"),
        ("", "is not a duration"),
        ("s", "is not a duration"),
        ("1.5m", "is not a duration"),
        ("-1s", "is not a duration"),
        ("1m1h", "is not a duration"),
        ("1s1s", "is not a duration"),
        (" 1s", "is not a duration"),
        ("1s\n", "is not a duration"),
        ("1S", "is not a duration"),
        ("٣s", "is not a duration"),
        ("9" * 5000 + "s", "is not a duration"),
        ("0h", "longer than nothing"),
        ("100y1ms", "at most 100y"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_duration(text)


@given(st.integers(1, 3_153_600_000_000))
def test_every_duration_reads_back_as_it_was_shown(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(86_400, "24h"), (93_600, "26h"), (2_592_000, "30d"), (90, "1m30s"), (0.9009, "901ms"), (0, "0s")],
)
def test_a_duration_is_shown_as_people_write_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "count"), [("268435456", 268435456), ("256MiB", 268435456), ("1GiB", 1 << 30), ("4KiB", 4096), ("7", 7)]
)
def test_a_size_is_a_number_of_bytes_or_has_a_binary_unit(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "256MB", "256 MiB", "1.5GiB", "-1", "MiB", "1e6", "9" * 5000])
def test_what_is_no_size_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 256MiB"):
        parse_bytes(text)


@given(st.integers(0, 1 << 40))
def test_every_size_reads_back_as_it_was_shown(count: int) -> None:
    assert parse_bytes(format_bytes(count)) == count
