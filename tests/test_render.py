"""Snapshots in, exact text out."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace

import pytest
from golden.grammar import check_grammar, samples
from golden.snapshots import CASES, HOUR, NOW, collection, database, everything, job, outcome, rows
from golden_files import assert_golden
from hypothesis import example, given, settings
from hypothesis import strategies as st
from peers.parts import generations, missing

from exporter.metrics import contract, render
from exporter.metrics.contract import CONTRACT, PREFIX, Metric, Part
from exporter.metrics.render import Renderer
from exporter.metrics.text import Format, encoded, escape, head, number
from exporter.model import Collection, FailureClass, State
from exporter.snapshot import CollectionRow, Snapshot

TEXT, OPENMETRICS = Format.TEXT_0_0_4, Format.OPENMETRICS
BOTH = pytest.mark.parametrize("format_", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def printed(snapshot: Snapshot, format_: Format = TEXT, renderer: Renderer | None = None) -> str:
    """Return what a snapshot prints, by a renderer that has kept nothing unless one is given."""
    renderer = renderer or Renderer()
    return b"".join((*renderer.rest(snapshot, format_), *renderer.jobs(snapshot, format_))).decode()


def exposition(snapshot: Snapshot, format_: Format) -> str:
    return printed(snapshot, format_) + ("# EOF\n" if format_.openmetrics else "")


def values(snapshot: Snapshot, short: str) -> list[float]:
    """Return the values of one family, in their order."""
    return [value for name, _, value in samples(exposition(snapshot, TEXT), TEXT) if name == PREFIX + short]


# Golden pairs, and what the formats demand of each of them


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_golden_text_of_a_snapshot(case: str, format_: Format) -> None:
    suffix = "openmetrics" if format_.openmetrics else "text"
    assert_golden(f"exposition/{case}.{suffix}.txt", printed(CASES[case], format_))


def test_before_the_first_poll_there_is_nothing_to_tell_of_jobs() -> None:
    assert printed(Snapshot(0.0)) == printed(Snapshot(0.0), OPENMETRICS) == ""


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_every_snapshot_keeps_the_grammar(case: str, format_: Format) -> None:
    """Each family once and in one piece under HELP and TYPE, no series twice, no creation stamps."""
    check_grammar(exposition(CASES[case], format_), format_)


@pytest.mark.parametrize("case", CASES)
def test_both_formats_tell_the_same(case: str) -> None:
    def told(format_: Format) -> list[object]:
        return sorted(samples(exposition(CASES[case], format_), format_))

    assert told(TEXT) == told(OPENMETRICS) != []


@pytest.mark.parametrize("release", ["system", "debian-trixie", "debian-forky"])
def test_promtool_has_nothing_to_say(release: str) -> None:
    """Names, types, help and units are as Prometheus's own linter wants them."""
    promtool = generations("promtool").get(release) or missing(f"promtool ({release}) is not there")
    for case in CASES:
        text = encoded(exposition(CASES[case], TEXT))
        found = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
        assert (found.returncode, found.stdout, found.stderr) == (0, b"", b""), case


@BOTH
def test_every_family_of_a_snapshot_is_printed_with_its_labels_and_type(format_: Format) -> None:
    """The table is the promise; this is what keeps it."""
    text = exposition(everything(), format_)
    found = samples(text, format_)
    for metric in (each for each in CONTRACT if each.part is not Part.EXPORTER):
        suffix = "_count" if metric.kind == "histogram" else ""
        labels = {tuple(sorted(dict(labels))) for name, labels, _ in found if name == metric.name + suffix}
        assert labels == {tuple(sorted(metric.labels))}, metric.name
        assert head(metric, format_) in text


# Labels


@BOTH
@example(name="x" * 10_000, source="y" * 10_000, reason="z" * 10_000)
@example(name="\x00", source=" ", reason='\\"\n\r\u2028')
@given(name=ANY_TEXT, source=ANY_TEXT, reason=ANY_TEXT)
@settings(max_examples=60)
def test_any_text_in_a_label_comes_back_from_a_parser(format_: Format, name: str, source: str, reason: str) -> None:
    where = Collection(name, name, 1)
    failed = job(State.FAILED, source=source, reason=reason)
    snapshot = Snapshot(NOW, (rows(failed, where),), outcomes=(outcome(where, trouble=failed),))
    text = exposition(snapshot, format_)
    check_grammar(text, format_)
    infos = [dict(labels) for metric, labels, _ in samples(text, format_) if metric.endswith("_info")]
    told = {"database": name, "collection": name, "source": source, "reason": reason}
    assert len(infos) == 2
    assert all(told.items() <= info.items() for info in infos)


def test_half_of_a_surrogate_pair_costs_one_character_and_not_the_answer() -> None:
    text = printed(Snapshot(NOW, (rows(job(source="a\ud800b")),)))
    assert 'source="a?b"' in text


def test_a_job_id_beyond_2_to_the_53_keeps_every_digit() -> None:
    odd = 2**63 - 1
    text = printed(Snapshot(NOW, (rows(job(job_id=odd)),)))
    assert f'job_id="{odd}"' in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain_name1", "plain_name1"),
        ('"', r"\""),
        ("\n", r"\n"),
        ("\\", r"\\"),
        ("\\n", r"\\n"),
        ('\\"', r"\\\""),
        ("\r\t\x00", "\r\t\x00"),
    ],
)
def test_a_label_value_is_escaped_in_three_characters(value: str, text: str) -> None:
    assert escape(value) == text


@pytest.mark.parametrize(("format_", "text"), [(TEXT, r'a \\ \n "b"'), (OPENMETRICS, r"a \\ \n \"b\"")])
def test_help_escapes_quotation_marks_in_openmetrics_alone(format_: Format, text: str) -> None:
    assert head(Metric(Part.JOBS, "gauge", "x", 'a \\ \n "b"'), format_).startswith(f"# HELP {PREFIX}x {text}\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (7.0, "7"),
        (0.35, "0.35"),
        (1_760_000_000.123, "1760000000.123"),
        (2**53 - 1.0, "9007199254740991"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_is_printed_in_its_shortest_exact_form(value: float, text: str) -> None:
    assert number(value) == text


# What is there and what is absent


@pytest.mark.parametrize("state", State)
def test_a_collection_has_all_five_states_and_is_in_one(state: State) -> None:
    snapshot = Snapshot(NOW, (rows(job(state)),))
    assert sorted(values(snapshot, "jobs")) == sorted(values(snapshot, "last_job_state")) == [0, 0, 0, 0, 1]


def test_a_job_without_a_start_has_neither_start_nor_duration() -> None:
    snapshot = Snapshot(NOW, (rows(job(start=None)),))
    assert values(snapshot, "last_job_start_timestamp_seconds") == []
    assert values(snapshot, "last_job_duration_seconds") == []
    assert len(values(snapshot, "last_job_end_timestamp_seconds")) == 1


def test_an_active_job_has_no_end_and_runs_until_the_poll() -> None:
    snapshot = Snapshot(NOW, (rows(job(State.IN_PROGRESS, start=NOW - 12.5)),))
    assert values(snapshot, "last_job_end_timestamp_seconds") == []
    assert values(snapshot, "last_job_duration_seconds") == [12.5]


def test_a_duration_is_never_negative() -> None:
    ahead = Snapshot(NOW, (rows(job(State.IN_PROGRESS, start=NOW + 5)),))
    assert values(ahead, "last_job_duration_seconds") == [0]


def test_an_ended_job_without_an_end_has_no_duration() -> None:
    snapshot = Snapshot(NOW, (rows(job(State.FAILED, end=None)),))
    assert values(snapshot, "last_job_duration_seconds") == values(snapshot, "last_job_end_timestamp_seconds") == []


def test_a_dropped_collection_keeps_its_counts_alone() -> None:
    text = printed(Snapshot(NOW, (rows(None, counts=(("s3://lake", (0, 0, 1, 0, 0)),)),)))
    assert "last_job" not in text
    assert text.count("\nmilvus_external_refresh_jobs{") == 5


def test_what_has_not_been_seen_is_absent_and_not_0() -> None:
    """A stamp of 0 would fire every rule that says "too old"."""
    text = printed(Snapshot(NOW, outcomes=(outcome(),)))
    families = [line.split(" ")[2].removeprefix(PREFIX) for line in text.split("\n") if line.startswith("# TYPE ")]
    assert families == ["consecutive_failures", "jobs_finished_total", "jobs_failed_total"]


def test_a_reason_is_known_of_a_job_that_has_not_failed_too() -> None:
    told = job(State.PENDING, failure_class=FailureClass.SOURCE_UNREACHABLE, reason="will retry")
    assert 'failure_class="source_unreachable",reason="will retry"} 1\n' in printed(Snapshot(NOW, (rows(told),)))


def test_folded_jobs_stand_under_other_and_have_nothing_else() -> None:
    text = printed(Snapshot(NOW, folded=(("sales", (1, 2, 3, 4, 5)),)))
    assert values(Snapshot(NOW, folded=(("sales", (1, 2, 3, 4, 5)),)), "jobs") == [1, 2, 3, 4, 5]
    assert text.count('database="sales",collection="__other__",source="",state=') == 5 == text.count("{")


def test_a_histogram_is_cumulated_and_ends_in_its_count() -> None:
    snapshot = Snapshot(NOW, databases=(database("sales", tuple(range(1, 15)), 0.5),))
    buckets = values(snapshot, "job_duration_seconds_bucket")
    assert buckets == [sum(range(1, n + 2)) for n in range(14)]
    assert values(snapshot, "job_duration_seconds_count") == [105]
    assert values(snapshot, "job_duration_seconds_sum") == [0.5]


def test_collections_are_counted_by_database() -> None:
    places = [collection("a"), collection("b"), collection("a", "archive")]
    found = samples(printed(Snapshot(NOW, collections=tuple(CollectionRow(each, "", None) for each in places))), TEXT)
    totals = [(dict(labels)["database"], value) for name, labels, value in found if name == PREFIX + "collections"]
    assert totals == [("archive", 1), ("sales", 2)]


def test_only_openmetrics_has_the_exemplar_and_it_names_the_job() -> None:
    snapshot = Snapshot(NOW, outcomes=(outcome(failed=2, failed_exemplar=(42, NOW - 0.5)),))
    assert ' 2 # {job_id="42"} 1 1759999999.5\n' in printed(snapshot, OPENMETRICS)
    assert " # {" not in printed(snapshot, TEXT)


def test_no_sample_carries_a_timestamp_of_its_own() -> None:
    """Prometheus would keep stale samples of a target that is gone, and refuse old ones."""
    for case in CASES:
        lines = [line for line in printed(CASES[case]).split("\n") if line and not line.startswith("#")]
        assert all(line.rsplit("} ", 1)[-1].count(" ") <= 1 for line in lines)
        assert all(len(line.rsplit("} ", 1)[1].split(" ")) == 1 for line in lines if "{" in line)


# Lines kept from one snapshot to the next

_PLACES = [Collection(database, name, 1) for database in ("a", "b") for name in ("x", "y", "z")]
_JOBS = st.builds(
    job,
    st.sampled_from(State),
    st.integers(1, 2),
    progress=st.sampled_from([0.0, 0.5]),
    source=st.sampled_from(["s3://lake", 's3://"quoted"']),
    start=st.sampled_from([None, NOW - HOUR]),
)


def _some(one_of: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one_of, max_size=5).map(tuple)


_SNAPSHOTS = st.builds(
    Snapshot,
    now=st.sampled_from([NOW, NOW + 1, NOW + 30.25]),
    jobs=_some(st.builds(rows, st.none() | _JOBS, st.sampled_from(_PLACES), changed=st.sampled_from([NOW, NOW - 1]))),
    folded=_some(st.tuples(st.sampled_from("ab"), st.just((0, 0, 1, 0, 0)))),
    unlisted=_some(st.sampled_from(_PLACES)),
    outcomes=_some(
        st.builds(
            outcome,
            st.sampled_from(_PLACES),
            failed=st.integers(0, 1),
            failed_exemplar=st.sampled_from([None, (1, NOW), (2, NOW)]),
            trouble=st.none() | _JOBS,
            max_age=st.sampled_from([None, 1.0]),
        )
    ),
    databases=_some(st.builds(database, st.sampled_from("ab"), total=st.sampled_from([0.0, 2.5]))),
    collections=_some(
        st.builds(
            CollectionRow, st.sampled_from(_PLACES), st.sampled_from(["", "s3://x"]), st.sampled_from([None, 1.0])
        )
    ),
)


@given(st.lists(st.tuples(_SNAPSHOTS, st.sampled_from(Format)), min_size=2, max_size=4))
@settings(max_examples=100)
def test_what_is_kept_never_changes_the_text(history: list[tuple[Snapshot, Format]]) -> None:
    """Rows that come, change, go, return and trade places, now and then in the other format: as if printed anew."""
    renderer = Renderer()
    for snapshot, format_ in history:
        assert printed(snapshot, format_, renderer) == printed(snapshot, format_)


def _rows_printed_by(monkeypatch: pytest.MonkeyPatch, history: list[tuple[Snapshot, Format]]) -> list[int]:
    """Return how many rows each step of a history printed."""
    calls: list[object] = []

    def counted(name: str) -> None:
        true = getattr(render, name)
        monkeypatch.setattr(render, name, lambda row, *more: calls.append(row) or true(row, *more))

    for name in ("_job_texts", "_outcome_texts", "_collection_texts"):
        counted(name)
    renderer = Renderer()
    counts = []
    for snapshot, format_ in history:
        before = len(calls)
        printed(snapshot, format_, renderer)
        counts.append(len(calls) - before)
    return counts


def test_a_row_that_stays_the_same_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll costs what has changed."""
    first = everything()
    later = replace(first, now=NOW + 30)
    changed = replace(later, collections=(CollectionRow(collection(), "s3://moved", None),))
    history = [(first, TEXT), (later, TEXT), (changed, TEXT), (later, TEXT)]
    assert _rows_printed_by(monkeypatch, history) == [3, 0, 1, 1]


def test_of_a_row_under_way_the_duration_goes_on_and_the_rest_is_printed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    active = Snapshot(NOW, (rows(job(State.PENDING)), rows(job(), collection("other"))))
    later = replace(active, now=NOW + 1)
    assert _rows_printed_by(monkeypatch, [(active, TEXT), (later, TEXT)]) == [2, 0]
    renderer = Renderer()
    printed(active, TEXT, renderer)
    assert printed(later, TEXT, renderer) == printed(later)
    changed = values(later, "last_job_duration_seconds")[0] - values(active, "last_job_duration_seconds")[0]
    assert changed == pytest.approx(1)


def test_a_second_format_prints_no_row_again(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = everything()
    assert _rows_printed_by(monkeypatch, [(snapshot, TEXT), (snapshot, OPENMETRICS)]) == [3, 0]


def test_rows_that_are_gone_are_not_kept() -> None:
    """Memory is bounded by what is shown."""
    renderer = Renderer()
    printed(everything(), TEXT, renderer)
    printed(Snapshot(NOW), TEXT, renderer)
    kept = [renderer._jobs, renderer._collections, renderer._outcomes]
    assert [len(each._texts) for each in kept] == [0, 0, 0]


def test_a_collection_costs_27_series_at_most_and_a_further_source_5() -> None:
    """The budget that docs/metrics.md tells users."""

    def series(sources: int) -> int:
        failed = job(State.FAILED)
        counts = tuple((f"s3://lake/{each}", (0, 0, 0, 1, 0)) for each in range(sources))
        whole = replace(everything(), folded=(), unlisted=(), databases=(), known_since=0.0)
        snapshot = replace(whole, jobs=(rows(failed, counts=counts),))
        found = samples(printed(snapshot), TEXT)
        return len([name for name, _, _ in found if name != contract.COLLECTIONS.name])

    assert [series(n) for n in (1, 2, 3)] == [27, 32, 37]
