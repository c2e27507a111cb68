"""Job records from bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from exporter.milvus.lenient import repaired
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import Problem

Record = pb.RefreshExternalCollectionJobInfo


class Listed(NamedTuple):
    """The records of one answer as they came, each a copy made when it is looked at, and how many bytes it holds."""

    records: Sequence[bytes]
    size: int


Row = tuple[int, int, int, int, str, str, str]
"""What one record says: state, progress in percent, start and end in epoch milliseconds, reason, the collection's
name, source."""
row_of: Final[attrgetter[Row]] = attrgetter(
    "state", "progress", "start_time", "end_time", "reason", "collection_name", "external_source"
)
"""In one call: field by field takes half as long again."""

_LONGEST_ID: Final = 11
"""Bytes: the field's tag, and an int64 of up to ten."""


def parsed(raw: bytes, found: list[Problem]) -> Record | None:
    """Return one decoded record, with U+FFFD for what is not UTF-8; None where it is none. Either goes to ``found``."""
    try:
        return Record.FromString(raw)
    except DecodeError:
        pass
    try:
        record = repaired(Record, raw)
    except DecodeError:
        found.append(Problem.UNDECODABLE)
        return None
    found.append(Problem.TEXT_NOT_UTF8)
    return record


def job_ids(records: Iterable[bytes]) -> frozenset[int]:
    """Return the ids in a listing, as far as they can be read."""
    return frozenset(job_id for raw in records if (job_id := _any_id(raw)) is not None)


def _any_id(raw: bytes) -> int | None:
    record = parsed(raw, [])
    return job_id_of(raw) if record is None else record.job_id


def job_id_of(raw: bytes) -> int | None:
    """Return the job id of a record that is damaged behind it; None if it cannot be read."""
    for length in range(2, _LONGEST_ID + 1):  # the id comes first, and ends by itself
        try:
            return Record.FromString(raw[:length]).job_id or None
        except DecodeError:
            continue
    return None
