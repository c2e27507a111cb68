"""Free text in, closed failure class out: three generations of Milvus, and names that try to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.milvus import reasons
from exporter.milvus.reasons import Row, classify, strip_wrappers
from exporter.model import FailureClass as Class

TEXTS = yaml.safe_load((Path(__file__).parent / "data" / "reasons.yaml").read_text())
WRAPPINGS = {
    "timeout, last failure: {}": Class.TIMEOUT,
    "worker failure 3/10: {}": Class.WORKER_ERROR,
    "manifest conflict 10/10: {}": Class.CONFLICT,
    "explore external files failed: {}": Class.STORAGE_ERROR,
    "failed to explore external files: {}": Class.STORAGE_ERROR,
    "external field size sampling failed for all 3 segment(s): {}": Class.SCHEMA_MISMATCH,
}
FFI = "FFI operation failed: ERROR: Got exception(code 5) details: {}: loon FFI transient error"
STRANGE = "something nobody has seen before"


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: f"{case['pattern']}-{case['generation']}-{case['text'][:30]}")
def test_each_known_text_has_its_class(case: dict[str, str]) -> None:
    assert classify(case["text"]) == Class(case["class"])


def test_no_pattern_is_left_out_of_the_data() -> None:
    assert {case["pattern"] for case in TEXTS} == set(range(1, 49))


def _smaller_rows(row: Row) -> Iterator[Row]:
    """Return the row without one of its phrases, for each, and without its pattern."""
    for phrase in row.phrases:
        yield replace(row, phrases=tuple(other for other in row.phrases if other != phrase))
    if row.pattern:
        yield replace(row, pattern=None)


@pytest.mark.parametrize("table", ["TABLE", "WEAK"])
def test_no_phrase_of_the_table_can_go_without_a_text_losing_its_class(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: tuple[Row, ...] = getattr(reasons, table)
    idle = []
    for number, row in enumerate(rows):
        for smaller in _smaller_rows(row):
            monkeypatch.setattr(reasons, table, (*rows[:number], smaller, *rows[number + 1 :]))
            if all(classify(case["text"]) == Class(case["class"]) for case in TEXTS):
                idle.append((row.found, set(row.phrases) - set(smaller.phrases) or row.pattern))
    assert not idle


def test_every_class_is_the_answer_to_some_text() -> None:
    assert {case["class"] for case in TEXTS} == set(Class)


@pytest.mark.parametrize("outer", WRAPPINGS)
@pytest.mark.parametrize("middle", ["{}", *WRAPPINGS, FFI])
@pytest.mark.parametrize(
    ("cause", "found"),
    [
        ("NoSuchBucket", Class.SOURCE_NOT_FOUND),
        ("access denied", Class.ACCESS_DENIED),
        ("job timeout", Class.TIMEOUT),
        ("context deadline exceeded", Class.STORAGE_ERROR),
    ],
)
def test_a_known_cause_decides_whatever_is_wrapped_around_it(outer: str, middle: str, cause: str, found: Class) -> None:
    assert classify(outer.format(middle.format(cause))) == found


@pytest.mark.parametrize("outer", WRAPPINGS)
@pytest.mark.parametrize("inner", WRAPPINGS)
def test_around_an_unknown_cause_the_innermost_wrapper_stands(outer: str, inner: str) -> None:
    assert classify(outer.format(inner.format(STRANGE))) == WRAPPINGS[inner]


@pytest.mark.parametrize("wrapper", WRAPPINGS)
def test_a_wrapper_around_an_unknown_storage_error_keeps_its_own_class(wrapper: str) -> None:
    assert classify(wrapper.format(FFI.format(STRANGE))) == WRAPPINGS[wrapper]


@pytest.mark.parametrize("wrapper", WRAPPINGS)
def test_a_wrapper_around_nothing_keeps_its_own_class(wrapper: str) -> None:
    assert classify(wrapper.format("")) == WRAPPINGS[wrapper]


@pytest.mark.parametrize(
    "name",
    [
        "s3://access-denied/permission denied/x".replace(" ", "%20"),
        "s3://nosuchbucket/timeout/403/404",
        "s3://b/accessdenied/no_such_key.parquet",
        "'connection-refused/accessdenied/403.parquet'",
        "bucket/forbidden/unreachable/part-404.parquet",
        "column 'permission denied'",
        'column "no such file"',
        "unauthorized-45/no-such-key",
        "lake.forbidden/404",
        "[key=unauthorized/403]",
        "[path=s3://b/timeout/403.parquet]",
        "<BucketName>access-denied</BucketName>",
        "<Key>timeout/corrupt/no such file</Key>",
        "b-403.parquet",
        "403.parquet",
    ],
)
def test_names_of_buckets_paths_and_columns_are_no_evidence(name: str) -> None:
    assert classify(f"could not make sense of {name}") == Class.UNKNOWN
    assert classify(f"worker failure 1/10: could not make sense of {name}: oh") == Class.WORKER_ERROR


@pytest.mark.parametrize(
    "text", ["HTTP 403", "(403)", "status=403, retry", "code: 401", "got status 403.", "HTTP/1.1 403 x"]
)
def test_a_status_that_stands_alone_is_evidence(text: str) -> None:
    assert classify(text) == Class.ACCESS_DENIED


@pytest.mark.parametrize(
    "text",
    [
        "4031 bytes",
        "403 rows",
        "segment 403 is odd",
        "id 403",
        "all 403 of them",
        "10.403.1.2",
        "id=1403",
        "403,211 things",
    ],
)
def test_a_number_that_only_looks_like_a_status_is_none(text: str) -> None:
    assert classify(text) == Class.UNKNOWN


def test_transient_is_no_evidence_of_a_passing_fault() -> None:
    assert classify("loon FFI transient error: Registry missing encoding with id vortex.patched") == Class.FORMAT_ERROR


def test_a_storage_that_does_not_answer_is_not_the_jobs_own_timeout() -> None:
    assert classify("operation timed out") == Class.STORAGE_ERROR
    assert classify("timeout") == Class.TIMEOUT


@pytest.mark.parametrize("text", ["TIMEOUT", " timeout\n", "Timeout"])
def test_case_and_blanks_do_not_matter(text: str) -> None:
    assert classify(text) == Class.TIMEOUT


def test_a_phrase_over_a_line_break_is_found() -> None:
    assert classify("permission\n  denied") == Class.ACCESS_DENIED


def test_the_cause_at_the_end_of_a_very_long_text_is_found() -> None:
    assert classify("explore external files failed: " + "x y " * 300_000 + ": access denied") == Class.ACCESS_DENIED


def test_only_both_ends_of_a_very_long_text_are_read() -> None:
    """The work is bounded: what stands in the middle is not looked at, however long the text."""
    middle = "a " * reasons._WINDOW
    assert len(reasons._evidence(middle + "access denied " + middle)) <= 2 * reasons._WINDOW + 3
    assert classify(middle + "access denied " + middle) == Class.UNKNOWN


def test_wrappers_stay_where_nothing_is_inside() -> None:
    assert strip_wrappers("timeout, last failure: ") == ("timeout, last failure: ", Class.TIMEOUT)


def test_wrappers_nested_beyond_reason_end_in_a_wrappers_class() -> None:
    assert classify("worker failure 1/2: " * 10_000) == Class.WORKER_ERROR


@given(
    st.text(alphabet=st.characters(), max_size=300)
    | st.lists(st.sampled_from([*WRAPPINGS, FFI, "://", "403", "{", "\ud800"])).map("".join)
)
def test_any_text_has_a_class(text: str) -> None:
    assert classify(text) in set(Class)
