"""Job records from bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final

from google.protobuf.message import DecodeError

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.pb.listing_view_pb2 import ListingView

Record = pb.RefreshExternalCollectionJobInfo

Row = tuple[int, int, int, int, int, str, str, str]
"""What one record says: job id, state, progress in percent, start and end in epoch milliseconds, reason, the
collection's name, source."""
row_of: Final[attrgetter[Row]] = attrgetter(
    "job_id", "state", "progress", "start_time", "end_time", "reason", "collection_name", "external_source"
)
"""In one call: field by field takes half as long again."""

_TOGETHER: Final = 512
"""Records decoded at once: a message of their own for each costs three times as much."""
_MOST_AT_ONCE: Final = 16_384
"""Decoded records kept side by side; a first listing can have a million."""


class Batch:
    """Records to be gone through as often as one likes.

    Going through them raises :class:`exporter.errors.BadResponse` at one that is none. More than some thousands are
    decoded anew each time: all at once they take several times their bytes.
    """

    def __init__(self, records: Sequence[bytes]) -> None:
        self._records = records
        self._rows = list(map(row_of, self._decoded())) if len(records) <= _MOST_AT_ONCE else None

    def ids(self) -> list[int]:
        """Return the job ids."""
        if self._rows is None:
            return [record.job_id for record in self._decoded()]
        return [row[0] for row in self._rows]

    def rows(self) -> Iterable[Row]:
        """Return what the records say."""
        return map(row_of, self._decoded()) if self._rows is None else self._rows

    def _decoded(self) -> Iterator[Record]:
        left = iter(self._records)
        try:
            while batch := ListingView(jobs=islice(left, _TOGETHER)).SerializeToString():
                yield from pb.ListRefreshExternalCollectionJobsResponse.FromString(batch).jobs
        except DecodeError:
            raise errors.BadResponse("a job record that is none") from None


def parsed(raw: bytes) -> Record:
    """Return one decoded record. Raises :class:`exporter.errors.BadResponse` where it is none."""
    try:
        return Record.FromString(raw)
    except DecodeError:
        raise errors.BadResponse("a job record that is none") from None
