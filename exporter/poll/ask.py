"""Ask for the jobs: all at once; one collection after the other where one broken job makes Milvus refuse the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from exporter import errors
from exporter.clock import Clock
from exporter.milvus.records import Record
from exporter.model import Collection

_AT_ONCE: Final = 8
# "Not an external collection" has no jobs to list (docs/milvus.md, "Status and errors").
_NOT_EXTERNAL: Final = (105, 1100)


class Listing(Protocol):
    """An answer with job records."""

    @property
    def jobs(self) -> Sequence[Record]:
        """Return the records."""


class JobSource(Protocol):
    """The one call a poll makes, in two ways. Times are seconds; failures are :class:`errors.MilvusError`."""

    async def list_all_jobs(self, *, timeout: float) -> Sequence[bytes]:
        """List the jobs of all databases: the records as they came."""

    async def list_jobs(self, *, timeout: float, database: str, collection: str) -> Listing:
        """List the jobs of one collection by name."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which all calls of one poll must have ended."""

    clock: Clock
    at: float

    @property
    def left(self) -> float:
        """Return the seconds that are left, never below 0."""
        return max(0.0, self.at - self.clock.monotonic())


@dataclass(frozen=True, slots=True)
class ByName:
    """What listing collections by name has brought."""

    listed: Mapping[Collection, Sequence[Record]] = field(default_factory=dict)
    gone: frozenset[Collection] = frozenset()
    """Milvus has no external collection of that name, or no such database."""
    hidden: frozenset[Collection] = frozenset()
    """It exists, and this user may not see it."""
    failed: frozenset[Collection] = frozenset()
    """Refused, or not reached within the deadline."""
    asked: int = 0
    """How many were reached within the deadline, whatever they answered."""


async def list_by_name(source: JobSource, collections: Iterable[Collection], deadline: Deadline) -> ByName:
    """List collections one by one, a few at a time, until the deadline. Raises no error of Milvus's."""
    listed: dict[Collection, Sequence[Record]] = {}
    gone: set[Collection] = set()
    hidden: set[Collection] = set()
    failed: set[Collection] = set()
    gate = asyncio.Semaphore(_AT_ONCE)
    asked = 0

    async def one(collection: Collection) -> None:
        nonlocal asked
        async with gate:
            if deadline.left <= 0:
                failed.add(collection)
                return
            asked += 1
            try:
                answer = await source.list_jobs(
                    timeout=deadline.left, database=collection.database, collection=collection.name
                )
            except (errors.CollectionGone, errors.DatabaseGone):
                gone.add(collection)
            except errors.PermissionDenied as denied:
                (hidden if denied.hides_one_collection else failed).add(collection)
            except errors.MilvusError as error:
                (gone if error.code in _NOT_EXTERNAL else failed).add(collection)
            else:
                listed[collection] = answer.jobs

    tasks = [asyncio.ensure_future(one(collection)) for collection in collections]
    try:
        await asyncio.gather(*tasks)
    finally:
        # After a fault of ours in one of them the others must not run on into the next poll.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return ByName(listed, frozenset(gone), frozenset(hidden), frozenset(failed), asked)


def rotated(collections: Sequence[Collection], start: int) -> list[Collection]:
    """Return the collections beginning with number ``start``: each poll goes on where the last one stopped."""
    if not collections:
        return []
    start %= len(collections)
    return [*collections[start:], *collections[:start]]
