"""Job records from bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from google.protobuf.message import DecodeError

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.pb.listing_view_pb2 import ListingView

Record = pb.RefreshExternalCollectionJobInfo

_TOGETHER: Final = 512
"""Records decoded at once: a message of their own for each costs three times as much."""
_MOST_AT_ONCE: Final = 16_384
"""Decoded records kept side by side; a first listing can have a million."""


class _Batches:
    """Records decoded anew each time one goes through them: all at once they take several times their bytes."""

    def __init__(self, records: Iterable[bytes]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Record]:
        left = iter(self._records)
        try:
            while batch := ListingView(jobs=islice(left, _TOGETHER)).SerializeToString():
                yield from pb.ListRefreshExternalCollectionJobsResponse.FromString(batch).jobs
        except DecodeError:
            raise errors.BadResponse("a job record that is none") from None


def parsed(records: Sequence[bytes]) -> Iterable[Record]:
    """Return the decoded records, to be gone through as often as one likes.

    Going through them raises :class:`exporter.errors.BadResponse` at one that is none.
    """
    batches = _Batches(records)
    return batches if len(records) > _MOST_AT_ONCE else list(batches)
