"""Which format and encoding a caller gets, for the headers that real callers send and for those that nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.negotiate import accepts_gzip, choose_format
from exporter.metrics.text import Format

PLAIN, PLAIN_1, OPENMETRICS = Format.TEXT_0_0_4, Format.TEXT_1_0_0, Format.OPENMETRICS

# Recorded from Debian's 2.42.0 and 3.5.3; the protobuf ones with --enable-feature=native-histograms.
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_42_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3_5 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_5_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_TEXT_ONLY = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_2_42_PROTOBUF, OPENMETRICS),
        (PROMETHEUS_3_5, OPENMETRICS),
        (PROMETHEUS_3_5_PROTOBUF, OPENMETRICS),
        (PROMETHEUS_3_TEXT_ONLY, PLAIN_1),
        (BROWSER, PLAIN),
        ("*/*", PLAIN),
        ("", PLAIN),
    ],
    ids=["2.42", "2.42 protobuf", "3.5", "3.5 protobuf", "3.x text", "browser", "curl", "none"],
)
def test_a_known_caller_gets_what_it_likes_best(accept: str, format_: Format) -> None:
    assert choose_format(accept) is format_


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("application/openmetrics-text;q=0.4, text/plain;q=0.5", PLAIN),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.4", OPENMETRICS),
        ("text/plain;q=0.4, application/openmetrics-text;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=0, text/plain;q=0.1", PLAIN),
        ("application/openmetrics-text;q=0", PLAIN),
        ("text/plain, application/openmetrics-text", PLAIN),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ("text/plain;q=0.001, application/openmetrics-text;q=0.002", OPENMETRICS),
        ("text/*;q=0.9, application/openmetrics-text;q=0.8", PLAIN),
    ],
)
def test_quality_decides_and_then_the_order(accept: str, format_: Format) -> None:
    assert choose_format(accept) is format_


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text;VERSION=1.0.0;Q=0.9", OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", PLAIN),
        ("application/openmetrics-text;version=0.0.1", PLAIN),
        ("text/plain;version=1.0.0", PLAIN_1),
        ("text/plain;version=0.0.4", PLAIN),
        ("text/plain;version=9", PLAIN),
    ],
)
def test_a_version_that_is_not_spoken_here_is_never_claimed(accept: str, format_: Format) -> None:
    assert choose_format(accept) is format_


@pytest.mark.parametrize(
    "accept",
    [
        ",,,;;;===",
        ";",
        "application/openmetrics-text;q=much",
        "application/openmetrics-text;q=",
        "application/openmetrics-text;q=nan",
        "application/openmetrics-text;q=inf",
        "application/openmetrics-text;q=-1",
        "application/openmetrics-text;q=1.1",
        "application/openmetrics-textual",
        "xapplication/openmetrics-text",
        "application / openmetrics-text",
        "a" * 100_000,
        "," * 100_000,
        "\x00\xff",
        "application/json",
        "image/*",
    ],
)
def test_garbage_gets_plain_text(accept: str) -> None:
    """A monitoring endpoint that answers 406 helps nobody."""
    assert choose_format(accept) is PLAIN


def test_a_wish_beyond_the_first_4_kib_is_not_read() -> None:
    filler = "text/html,"
    assert choose_format(filler * 10 + "application/openmetrics-text") is OPENMETRICS
    assert choose_format(filler * 410 + "application/openmetrics-text") is PLAIN


def test_half_a_wish_is_no_wish() -> None:
    """Where a long header is cut, the rest of the last item is gone, and with it the q=0 that forbade it."""
    filler = "x" * (4096 - len(",gzip"))
    assert accepts_gzip(f"{filler},gzip;q=0") is False


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("gzip, deflate, br, zstd", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0.5", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("identity;q=0, gzip;q=0.1", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.6, *;q=0.5", False),
        ("gzip;q=often", False),
        ("gzipped", False),
        ("x" * 100_000, False),
    ],
)
def test_gzip_goes_to_whoever_takes_it_and_likes_plain_bytes_no_better(accept_encoding: str, gzip: bool) -> None:
    assert accepts_gzip(accept_encoding) is gzip


@given(st.text(max_size=200) | st.text("*/;,=q.01 \"'aeg", max_size=200))
def test_no_header_raises(header: str) -> None:
    """What a caller sends is never a reason for an answer of 500."""
    assert choose_format(header) in Format
    assert accepts_gzip(header) in (True, False)
