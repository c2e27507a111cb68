"""Job records from bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from google.protobuf.message import DecodeError

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb

Record = pb.RefreshExternalCollectionJobInfo

_MOST_AT_ONCE: Final = 16_384
"""Decoded records kept side by side; a first listing can have a million."""


class _OneByOne:
    """Records decoded anew each time one goes through them: all at once they take several times their bytes."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Record]:
        try:
            yield from map(Record.FromString, self._records)
        except DecodeError:
            raise errors.BadResponse("a job record that is none") from None


def parsed(records: Sequence[bytes]) -> Iterable[Record]:
    """Return the decoded records, to be gone through as often as one likes.

    Going through them raises :class:`exporter.errors.BadResponse` at one that is none.
    """
    one_by_one = _OneByOne(records)
    return one_by_one if len(records) > _MOST_AT_ONCE else list(one_by_one)
