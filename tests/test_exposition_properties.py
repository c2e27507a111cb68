"""Whatever is listed, each parser of the formats reads it, and reads what was meant."""

from __future__ import annotations

import math
import random
import subprocess

import pytest
from canaries import REASONS, SOURCES, plant
from fuzz import targets
from golden.grammar import check_grammar, samples
from golden.snapshots import NOW, collection, job, outcome, rows
from hypothesis import example, given, settings
from hypothesis import strategies as st
from peers.parts import generations, missing

from exporter.metrics import Format
from exporter.metrics.render import Renderer
from exporter.metrics.text import encoded, escape, number
from exporter.model import FailureClass, State
from exporter.snapshot import CollectionRow, Snapshot

FORMATS = pytest.mark.parametrize("format_", list(Format), ids=lambda format_: format_.name.lower())
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PIECES = (*'\\\n\r"{}=,# \t\x00\x0b\x85\u2028…', "# EOF\n", "# TYPE x counter\n", '"} 1\n', "\\n", '\\"', "x 1\n")
UGLY = ANY_TEXT | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@FORMATS
@example(value='\\"\n\\n\\\\n"}')
@given(value=UGLY)
def test_any_label_value_comes_back_from_the_parser(format_: Format, value: str) -> None:
    text = f'# HELP x x\n# TYPE x gauge\nx{{a="{escape(value)}",b="{escape(value + "b")}"}} 1\n'
    ((_, labels, _),) = samples(text + ("# EOF\n" if format_.openmetrics else ""), format_)
    assert dict(labels) == {"a": value, "b": value + "b"}


@given(st.floats() | st.integers(-(2**63), 2**63))
def test_any_number_comes_back_as_it_was(value: float) -> None:
    read = float(number(value))
    assert read == float(value) or (math.isnan(read) and math.isnan(value))
    if isinstance(value, int):
        assert int(number(value)) == value, "a job id keeps every digit"


@FORMATS
@given(st.lists(st.tuples(UGLY, UGLY, UGLY), min_size=1, max_size=4))
@settings(max_examples=50)
def test_any_texts_make_a_page_with_each_series_once(format_: Format, texts: list[tuple[str, str, str]]) -> None:
    text = page(texts, format_)
    check_grammar(text, format_)
    told = {(labels["collection"], labels["source"], labels["reason"]) for labels in infos(text, format_)}
    assert told == {(f"{n}{name}", source, reason) for n, (name, source, reason) in enumerate(texts)}


def page(texts: list[tuple[str, str, str]], format_: Format) -> str:
    """Return the exposition of one failed job for each name, source and reason."""
    places = [collection(f"{n}{name}", name, n) for n, (name, _, _) in enumerate(texts)]
    jobs = [
        job(State.FAILED, n, source=source, reason=reason, failure_class=FailureClass.UNKNOWN)
        for n, (_, source, reason) in enumerate(texts)
    ]
    snapshot = Snapshot(
        NOW,
        tuple(rows(each, place) for each, place in zip(jobs, places, strict=True)),
        outcomes=tuple(outcome(place, trouble=each) for each, place in zip(jobs, places, strict=True)),
        collections=tuple(CollectionRow(place, each.source, NOW) for each, place in zip(jobs, places, strict=True)),
    )
    return targets.exposition(Renderer(), snapshot, format_)


def infos(text: str, format_: Format) -> list[dict[str, str]]:
    return [dict(labels) for name, labels, _ in samples(text, format_) if name.endswith("last_failure_info")]


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_answer_of_milvus_becomes_a_page_or_is_refused(data: bytes) -> None:
    targets.decode(data)


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_listings_compared_by_their_bytes_say_what_their_records_say(data: bytes) -> None:
    targets.listings(data)


@pytest.mark.real
@pytest.mark.parametrize("release", ["system", "debian-trixie", "debian-forky"])
def test_promtool_reads_fifty_ugly_jobs_at_a_time(release: str) -> None:
    promtool = generations("promtool").get(release) or missing(f"promtool ({release}) is not there")
    chance = random.Random(1)
    ugly = [plant(text, "hunter2canary").text for text in (*SOURCES, *REASONS)]
    for _ in range(12):
        # Raw texts: what the redaction lets through is tamer than this.
        texts = [(_noise(chance), chance.choice(ugly), chance.choice(ugly) + _noise(chance)) for _ in range(50)]
        text = encoded(page(texts, Format.TEXT_0_0_4))
        found = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
        assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def _noise(chance: random.Random) -> str:
    alphabet = [*PIECES, *map(chr, (0x07, 0x7F, 0xAD, 0x301, 0x202E, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF))]
    return "".join(chance.choices(alphabet, k=chance.randrange(1, 9)))
