"""Snapshots in, exact text out."""

from __future__ import annotations

import math
import random
import subprocess
from dataclasses import replace

import pytest
from golden.grammar import check_grammar, samples
from golden.snapshots import CASES, HOSTILE, NOW, Snapshot, collection, count, database, job, outcome, rows
from golden_files import assert_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.parts import generations, missing

from exporter.ledger import DURATION_BUCKETS
from exporter.metrics.render import Renderer
from exporter.metrics.text import Format, encoded, escape, head, number
from exporter.metrics.contract import PREFIX, Metric, Part
from exporter.model import Collection, FailureClass, Job, State
from exporter.snapshot import CollectionRow, DatabaseRow, JobRows, OutcomeRow

TEXT, OPENMETRICS = Format.TEXT_0_0_4, Format.OPENMETRICS
BOTH = pytest.mark.parametrize("format_", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])
LABEL_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def render(snapshot: Snapshot, format_: Format = TEXT, renderer: Renderer | None = None) -> str:
    """Return what a snapshot prints, by a renderer that has nothing kept unless one is given."""
    renderer = renderer or Renderer()
    return (renderer.rest(snapshot, format_) + renderer.jobs(snapshot, format_)).decode()


def whole(snapshot: Snapshot, format_: Format) -> str:
    """Return it as a parser wants it, which finds nothing in nothing."""
    return (render(snapshot, format_) + ("# EOF\n" if format_.openmetrics else "")) or "\n"


def values(snapshot: Snapshot, short: str, format_: Format = TEXT) -> dict[str, float]:
    """Return a family's samples by the collection they are of."""
    found = samples(whole(snapshot, format_), format_)
    return {dict(labels).get("collection", ""): value for name, labels, value in found if name == PREFIX + short}


# Golden pairs


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_golden_text_of_a_snapshot(case: str, format_: Format) -> None:
    suffix = "openmetrics" if format_.openmetrics else "text"
    assert_golden(f"exposition/{case}.{suffix}.txt", render(CASES[case], format_))


# What the formats demand


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_every_snapshot_keeps_the_grammar(case: str, format_: Format) -> None:
    """Each family once and in one piece under HELP and TYPE, no series twice, no creation stamps."""
    check_grammar(whole(CASES[case], format_).removeprefix("\n") or "\n"[1:] + "# none\n"[7:] or "\n", format_)


@pytest.mark.parametrize("case", CASES)
def test_both_formats_tell_the_same(case: str) -> None:
    def told(format_: Format) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
        return sorted(samples(whole(CASES[case], format_), format_))

    assert told(TEXT) == told(OPENMETRICS)
