"""Ask for the jobs: all at once; one collection after the other where one broken job makes Milvus refuse the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from exporter import errors
from exporter.clock import Clock
from exporter.milvus.records import Listed
from exporter.model import Collection

_AT_ONCE: Final = 8
# "Not an external collection" has no jobs to list (docs/milvus.md, "Status and errors").
_NOT_EXTERNAL: Final = (105, 1100)


class JobSource(Protocol):
    """The one call a poll makes, in two ways. Times are seconds; failures are :class:`errors.MilvusError`."""

    async def list_all_jobs(self, *, timeout: float) -> Sequence[bytes]:
        """List the jobs of all databases: the records as they came."""

    async def list_jobs(self, *, timeout: float, database: str, collection: str) -> Listed:
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

    listed: Mapping[Collection, Sequence[bytes]] = field(default_factory=dict)
    gone: frozenset[Collection] = frozenset()
    """Milvus has no external collection of that name, or no such database."""
    hidden: frozenset[Collection] = frozenset()
    """It exists, and this user may not see it."""
    failed: frozenset[Collection] = frozenset()
    """Refused, or not reached within the deadline or the bytes that may be held."""
    asked: int = 0
    """How many were reached, whatever they answered."""
    full: bool = False
    """Whether more was answered than may be held."""


async def list_by_name(
    source: JobSource, collections: Iterable[Collection], deadline: Deadline, most_bytes: int
) -> ByName:
    """List collections one by one, a few at a time, until the deadline or ``most_bytes``.

    Raises no error of Milvus's.
    """
    asking = _Asking(source, iter(collections), deadline, most_bytes)
    workers = [asyncio.ensure_future(asking.work()) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        # After a fault of ours in one of them the others must not run on into the next poll.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return ByName(
        asking.listed,
        gone=frozenset(asking.gone),
        hidden=frozenset(asking.hidden),
        failed=frozenset(asking.failed),
        asked=asking.asked,
        full=asking.full,
    )


@dataclass(slots=True)
class _Asking:
    """What several workers share: whom to ask, and what has been answered."""

    source: JobSource
    waiting: Iterator[Collection]
    deadline: Deadline
    room: int
    """Bytes that may still be held."""
    listed: dict[Collection, Sequence[bytes]] = field(default_factory=dict)
    gone: set[Collection] = field(default_factory=set)
    hidden: set[Collection] = field(default_factory=set)
    failed: set[Collection] = field(default_factory=set)
    asked: int = 0
    full: bool = False
    workers: int = _AT_ONCE

    async def work(self) -> None:
        """Ask about one collection after the other, as long as it makes sense that so many do."""
        for collection in self.waiting:
            if self.full or self.deadline.left <= 0:
                self.failed.add(collection)
                continue
            size = await self._ask(collection)
            if size * self.workers > self.room and self.workers > 1:  # the next answers may be as large
                self.workers -= 1
                return

    async def _ask(self, collection: Collection) -> int:
        """Return how many bytes were answered."""
        self.asked += 1
        try:
            answer = await self.source.list_jobs(
                timeout=self.deadline.left, database=collection.database, collection=collection.name
            )
        except (errors.CollectionGone, errors.DatabaseGone):
            self.gone.add(collection)
        except errors.PermissionDenied as denied:
            (self.hidden if denied.hides_one_collection else self.failed).add(collection)
        except errors.MilvusError as error:
            (self.gone if error.code in _NOT_EXTERNAL else self.failed).add(collection)
        else:
            self._take(collection, answer)
            return answer.size
        return 0

    def _take(self, collection: Collection, answer: Listed) -> None:
        if answer.size > self.room:
            self.full = True
            self.asked -= 1  # the next poll begins with it
            self.failed.add(collection)
            return
        self.room -= answer.size
        self.listed[collection] = answer.records


def rotated(collections: Sequence[Collection], start: int) -> list[Collection]:
    """Return the collections beginning with number ``start``: each poll goes on where the last one stopped."""
    if not collections:
        return []
    start %= len(collections)
    return [*collections[start:], *collections[:start]]
