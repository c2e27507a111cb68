"""A record in our words: the quick way for an ordinary one says what the careful way says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.records import Record
from exporter.milvus.redact import SourceStyle
from exporter.milvus.translate import fingerprint, ordinary, translated
from exporter.model import Job, Problem

NOW = 1_790_000_000.0
MS = int(NOW * 1000)
times = st.sampled_from([0, -1, 1, MS - 60_000, MS, MS + 86_400_000, MS + 86_400_001, 2**63 - 1])
styles: st.SearchStrategy[SourceStyle] = st.sampled_from(["path", "bucket", "none"])


records = st.builds(
    Record,
    job_id=st.sampled_from([0, 1, 2**63 - 1]),
    state=st.sampled_from([*pb.RefreshExternalCollectionState.values(), 99, -1]),
    progress=st.sampled_from([-1, 0, 7, 100, 101]),
    start_time=times,
    end_time=times,
    reason=st.sampled_from(["", "timeout"]),
    collection_name=st.just("docs"),
    external_source=st.just("s3://user:secret@lake/docs"),
)


@given(records, styles)
def test_the_quick_way_says_what_the_careful_way_says_and_leaves_it_whatever_is_odd(
    record: Record, style: SourceStyle
) -> None:
    found: list[Problem] = []
    careful = translated(record, record.job_id, NOW, found, again=False, styles=(style, "safe"))
    quick = ordinary(record, record.job_id, fingerprint(record), NOW, style)
    assert quick in (careful, None)
    assert quick is None or (type(quick) is Job and not found)


@pytest.mark.parametrize(
    "record",
    [
        Record(job_id=1, state=pb.RefreshPending, start_time=MS),
        Record(job_id=1, state=pb.RefreshInProgress, start_time=MS, progress=50),
        Record(job_id=1, state=pb.RefreshCompleted, start_time=MS - 1, end_time=MS, progress=100),
    ],
    ids=lambda record: pb.RefreshExternalCollectionState.Name(record.state),
)
def test_most_jobs_go_the_quick_way(record: Record) -> None:
    assert ordinary(record, 1, fingerprint(record), NOW, "path") is not None
