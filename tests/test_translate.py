"""A record in our words: the quick way for an ordinary one says what the careful way says."""

from __future__ import annotations

from itertools import product

import pytest

from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.records import Record, row_of
from exporter.milvus.redact import SourceStyle
from exporter.milvus.translate import ordinary, translated
from exporter.model import Job, Problem

NOW = 1_790_000_000.0
MS = int(NOW * 1000)
TIMES = (0, -1, MS - 60_000, MS, MS + 86_400_000, MS + 86_400_001, 2**63 - 1)
FIELDS = {
    "job_id": (0, 1),
    "state": (*pb.RefreshExternalCollectionState.values(), 99, -1),
    "progress": (-1, 0, 7, 100, 101),
    "start_time": TIMES,
    "end_time": TIMES,
    "reason": ("", "timeout"),
}


def test_the_quick_way_says_what_the_careful_way_says_and_leaves_it_whatever_is_odd() -> None:
    styles: tuple[SourceStyle, ...] = ("path", "bucket", "none")
    for number, values in enumerate(product(*FIELDS.values())):
        record = Record(collection_name="docs", external_source="s3://user:secret@lake/docs")
        for name, value in zip(FIELDS, values, strict=True):
            setattr(record, name, value)
        style, found = styles[number % 3], list[Problem]()
        careful = translated(record, record.job_id, NOW, found, again=False, styles=(style, "safe"), sources={})
        (quick,) = ordinary([row_of(record)], {}, NOW, style, {})
        assert quick == record.job_id or (type(quick) is Job and not found and quick == careful), values


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
    (quick,) = ordinary([row_of(record)], {}, NOW, "path", {})
    assert type(quick) is Job
