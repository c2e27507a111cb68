"""Refresh jobs as Milvus would list them, as bytes that are ready to be sent.

A day of jobs, newest first, spread evenly over the collections in turn. A record is 239 bytes on the wire: an id of 18
digits, a collection name of 25 characters, a source of 74, a spec of 96, and a reason where it has failed.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Final

from exporter.milvus.pb import milvus_refresh_pb2 as pb

DATABASES: Final = ("default", "sales", "research", "archive")
FIRST_COLLECTION_ID: Final = 449_000_000_000_000_000
WINDOW_TURN_SECONDS: Final = 15.0
"""How far one turn moves the sliding day window: the poll interval that the shares of a day are reckoned with."""

_FIRST_JOB_ID: Final = 460_000_000_000_000_000
_DAY: Final = 86_400.0
_LAG: Final = 3_600.0
"""The world lives this far behind the clock, so that turning it faster than time passes never leads into the future."""
_LONGEST: Final = 90.0
_FAILED_EVERY: Final = 23
_REASON: Final = "no files found in external source: "
_SPEC: Final = '{"format":"parquet","extfs":{"region":"eu-west-1","use_iam":"true","use_ssl":"true","zone":"a"}}'
_STATUS: Final = pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status()).SerializeToString()


@dataclass(frozen=True, slots=True)
class Shape:
    """What changes at each turn: a share of the jobs flips between two states, or the day window slides."""

    share: float = 0.0
    together: bool = False
    """Whether the jobs that change are those of neighbours by name; otherwise they are drawn at random."""
    window: bool = False


def collection_name(number: int) -> str:
    """Return a name of 25 characters, which ends with the number."""
    return f"warehouse_{_scattered(number):08x}_{number:06d}"


def collection_source(number: int) -> str:
    """Return a source of 74 characters."""
    return f"s3://analytics-lake-production/warehouse/region=eu-west-1/{_scattered(number):08x}/{number:07d}"


def number_of(name: str) -> int:
    """Return the number of the collection that has this name."""
    return int(name[-6:])


def database_of(number: int) -> str:
    """Return the database that a collection lives in."""
    return DATABASES[number % len(DATABASES)]


class World:
    """The jobs of ``collections`` collections. ``now`` in epoch seconds."""

    def __init__(self, jobs: int, collections: int, now: float | None = None, *, active: bool = False) -> None:
        self.jobs = jobs
        self.collections = collections
        self._spacing = _DAY / jobs
        self._now = (time.time() if now is None else now) - _LAG
        self._began = self._now - _DAY
        self._newest = jobs - 1
        self._shape = Shape()
        self._flipping = list(range(jobs)) if active else []
        self._flip = False
        self._idle = frozenset(range(jobs - max(1, jobs // 1000), jobs))
        """The few jobs that are under way on any day, the newest ones."""
        flipping = set(self._flipping)
        self._records = [self._record(number, number in flipping) for number in range(jobs - 1, -1, -1)]

    def answer(self) -> bytes:
        """Return the whole listing."""
        return b"".join((_STATUS, *self._records))

    def take(self, shape: Shape) -> None:
        """Change what changes. Only jobs that have flipped so far can go on doing so; the others end."""
        self._shape = shape
        if shape.together:
            by_name = sorted(range(self.collections), key=lambda number: (database_of(number), collection_name(number)))
            busy = set(by_name[: round(self.collections * shape.share)])
            keep = [number for number in self._flipping if number % self.collections in busy]
        else:
            count = min(round(self.jobs * shape.share), len(self._flipping))
            keep = sorted(random.Random(1).sample(self._flipping, count))
        kept = set(keep)
        for number in self._flipping:
            if number not in kept:
                self._put(number, flipping=False)
        self._flipping = keep
        if shape.window:
            self._idle = frozenset()
            self._records = [self._record(n, flipping=False) for n in self._numbers()]

    def turn(self) -> None:
        """Let one interval pass."""
        if self._shape.window:
            self._slide()
        self._flip = not self._flip
        for number in self._flipping:
            self._put(number, flipping=True)

    def by_name(self, name: str) -> bytes:
        """Return the listing of one collection."""
        number = number_of(name)
        mine = [r for n, r in zip(self._numbers(), self._records, strict=True) if n % self.collections == number]
        return b"".join((_STATUS, *mine))

    def _numbers(self) -> range:
        return range(self._newest, self._newest - self.jobs, -1)

    def _slide(self) -> None:
        came = max(1, round(self.jobs * WINDOW_TURN_SECONDS / _DAY))
        self._newest += came
        self._now += came * self._spacing
        self._records[:0] = [b""] * came
        del self._records[-came:]
        still = came + int(_LONGEST / self._spacing) + 2
        for index, number in enumerate(self._numbers()[:still]):
            self._records[index] = self._record(number, flipping=False)

    def _put(self, number: int, *, flipping: bool) -> None:
        self._records[self._newest - number] = self._record(number, flipping)

    def _record(self, number: int, flipping: bool) -> bytes:  # noqa: FBT001
        collection = number % self.collections
        start = self._began + (number + _scattered(number) / 2**33) * self._spacing
        job = pb.RefreshExternalCollectionJobInfo(
            # As Milvus's own, of which the lower 18 bits count within a millisecond.
            job_id=_FIRST_JOB_ID + (int((start - self._began) * 1000) << 18) + number % 2**18,
            collection_name=collection_name(collection),
            external_source=collection_source(collection),
            external_spec=_SPEC,
            start_time=int(start * 1000),
        )
        if flipping:
            job.state = pb.RefreshPending if self._flip else pb.RefreshInProgress
            job.progress = 0 if self._flip else 50
        elif number in self._idle or start + _runs(number) > self._now:
            job.state, job.progress = pb.RefreshInProgress, 50
        else:
            failed = number % _FAILED_EVERY == 0
            job.state = pb.RefreshFailed if failed else pb.RefreshCompleted
            job.progress = 0 if failed else 100
            job.end_time = int((start + _runs(number)) * 1000)
            job.reason = _REASON + job.external_source if failed else ""
        return pb.ListRefreshExternalCollectionJobsResponse(jobs=[job]).SerializeToString()


def _runs(number: int) -> float:
    """Return how long a job runs, in seconds: most start and end between two polls."""
    return _LONGEST if number % 10 == 0 else 3.0 + _scattered(number) / 2**29


def _scattered(number: int) -> int:
    """Return 32 bits that look random and are the same each time (Knuth's multiplicative hash)."""
    return (number + 1) * 2_654_435_761 % 2**32
