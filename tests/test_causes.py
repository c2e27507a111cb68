"""Collections that fail together are counted by what they have in common, and there is an end to such counts."""

from __future__ import annotations

import pytest
from golden.snapshots import NOW, collection, job, outcome

from exporter.metrics import Format
from exporter.metrics.causes import MAX_CAUSES, failing_by_cause, root_of
from exporter.metrics.render import Renderer
from exporter.model import FailureClass, State
from exporter.snapshot import OTHER, OutcomeRow, Snapshot


def failing(name: str, source: str, **given: object) -> OutcomeRow:
    return outcome(collection(name), failing=True, trouble=job(State.FAILED, source=source, **given))


@pytest.mark.parametrize(
    ("source", "root"),
    [
        ("s3://lake/orders/2026", "s3://lake"),
        ("s3://minio.example.com:9000/lake", "s3://minio.example.com:9000"),
        ("s3://lake", "s3://lake"),
        ("//lake/orders", "//lake"),
        ("orders/2026", ""),
        ("", ""),
        ("***", ""),
    ],
)
def test_the_root_of_a_source_is_its_scheme_and_bucket(source: str, root: str) -> None:
    assert root_of(source) == root


def test_one_bucket_that_refuses_is_one_cause_and_another_class_or_bucket_another() -> None:
    refused = [failing(f"c{number}", f"s3://lake/{number}") for number in range(200)]
    empty = failing("empty", "s3://lake/empty", failure_class=FailureClass.SOURCE_EMPTY)
    elsewhere = failing("elsewhere", "s3://archive/docs")
    assert failing_by_cause([*refused, empty, elsewhere]) == [
        (("s3://archive", "access_denied"), 1),
        (("s3://lake", "access_denied"), 200),
        (("s3://lake", "source_empty"), 1),
    ]


def test_a_collection_that_has_succeeded_since_or_only_waited_for_indexes_is_not_counted() -> None:
    waited = job(State.FAILED, failure_class=FailureClass.INDEX_WAIT_TIMEOUT)
    rows = [outcome(collection("good")), outcome(collection("waited"), trouble=waited)]
    assert failing_by_cause(rows) == []


def test_causes_beyond_the_commonest_are_added_up_and_no_collection_is_lost() -> None:
    common = [failing(f"c{number}", "s3://lake/docs") for number in range(3)]
    rare = [failing(f"r{number}", f"s3://bucket-{number:03}/docs") for number in range(MAX_CAUSES + 9)]
    counted = dict(failing_by_cause([*common, *rare]))
    assert counted["s3://lake", "access_denied"] == 3
    assert counted[OTHER, "access_denied"] == 10
    assert len(counted) == MAX_CAUSES + 1
    assert sum(counted.values()) == len(common) + len(rare)


def test_the_series_of_a_cause_names_it_and_the_collection_that_fails_names_it_in_the_same_words() -> None:
    snapshot = Snapshot(NOW, outcomes=(failing("docs", 's3://la"ke/docs'),))
    text = b"".join(Renderer().rest(snapshot, Format.TEXT_1_0_0)).decode()
    cause = 'source_root="s3://la\\"ke"'
    assert f'failing_collections{{{cause},failure_class="access_denied"}} 1\n' in text
    assert cause in next(line for line in text.splitlines() if line.startswith("milvus_external_refresh_last_failure"))
