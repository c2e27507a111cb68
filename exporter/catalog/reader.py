"""Read the inventory from Milvus, in passes with a time budget; a pass resumes where the last one stopped."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol

from exporter import errors
from exporter.catalog.inventory import Entry, Inventory
from exporter.clock import Clock
from exporter.model import Collection, DescribedCollection, ShownCollection

# Dropped collections whose jobs Milvus may still list; a pipeline that makes one for each run must not fill the memory.
_MAX_GONE: Final = 20_000
_TOGETHER: Final = 100
"""Collections described in one call: few enough that Milvus, which describes one after the other, is done in time."""
_NOT_TOGETHER: Final = (
    errors.Unimplemented,
    errors.DeadlineExceeded,
    errors.ResponseTooLarge,
    errors.BadResponse,
    errors.ServerFault,
)
"""What says nothing about describing one collection alone."""

log = logging.getLogger("exporter.inventory")


class InventorySource(Protocol):
    """The calls a pass makes. Times are seconds; failures are :class:`errors.MilvusError`."""

    async def list_databases(self, *, timeout: float) -> tuple[str, ...]:
        """Return the databases this user may see."""

    async def show_collections(self, database: str, *, timeout: float) -> tuple[ShownCollection, ...]:
        """Return the collections of one database that this user may see."""

    async def describe_collection(self, database: str, name: str, *, timeout: float) -> DescribedCollection:
        """Describe one collection."""

    async def describe_collections(
        self, database: str, names: Sequence[str], *, timeout: float
    ) -> Sequence[DescribedCollection | errors.MilvusError]:
        """Describe several of one database: for each name its description or its refusal."""

    async def collection_exists(self, database: str, name: str, *, timeout: float) -> bool:
        """Ask by name, which needs no privilege."""


@dataclass(frozen=True, slots=True)
class InventoryAccount:
    """The inventory's own account; it never touches that of the polls."""

    last_success: float = 0.0
    """Epoch seconds of the last pass without a failure, 0 before the first."""
    by_kind: Mapping[str, int] = field(default_factory=dict)
    """Passes that met a failure, by the kind of the first."""
    last_failures: tuple[errors.MilvusError, ...] = ()

    def after(self, failures: tuple[errors.MilvusError, ...], now: float) -> InventoryAccount:
        """Return the account with one more pass."""
        counted = dict(self.by_kind)
        if failures:
            counted[failures[0].kind] = counted.get(failures[0].kind, 0) + 1
        return InventoryAccount(self.last_success if failures else now, counted, last_failures=failures)


@dataclass(slots=True)
class _Pass:
    """One pass under way."""

    deadline: float
    inventory: Inventory
    entries: dict[int, Entry] = field(default_factory=dict)
    gone: dict[int, None] = field(default_factory=dict)
    """In the order of learning."""
    hidden: set[int] = field(default_factory=set)
    """Collections that are known and no longer shown, although nobody says that they are gone."""
    failures: list[errors.MilvusError] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Databases of which nothing more is to be described."""


class _NotTogetherError(Exception):
    """A call about many collections has failed in a way that says nothing about each of them."""


class InventoryReader:
    """Owns what is remembered between passes: descriptions by collection id.

    ``budget`` is the time for one pass, ``call_timeout`` for one call, in seconds; ``remembered`` are the collections
    that a state file knows, and when each was created if that is known.
    """

    def __init__(
        self,
        source: InventorySource,
        clock: Clock,
        *,
        budget: float,
        call_timeout: float,
        remembered: Mapping[Collection, float | None] = MappingProxyType({}),
    ) -> None:
        self._source = source
        self._clock = clock
        self._budget = budget
        self._call_timeout = call_timeout
        self._described: dict[int, DescribedCollection] = {}
        self._doubted: set[int] = set()
        self._gone: dict[int, None] = {}
        self._not_reached: frozenset[str] = frozenset()
        """Databases that the last pass could not show; they come first in the next."""
        self._together = True
        """Whether to describe many in one call: not where that has just failed, until a pass gets through."""
        self._one_at_a_time = asyncio.Lock()
        self.account = InventoryAccount()
        # From before a restart: the first pass must tell which of them have been dropped meanwhile.
        known = {c.collection_id: (c, created) for c, created in remembered.items() if c.collection_id}
        entries = {id_: Entry(c, created, external=True, seen=False) for id_, (c, created) in known.items()}
        self._once_external = frozenset(entries)
        self.latest = Inventory(entries)
        """The newest picture; swapped whole at the end of a pass."""

    def doubt(self, collection_ids: Iterable[int]) -> None:
        """Describe these again at the next pass: their source or their aliases may have changed."""
        self._doubted.update(collection_ids)

    @property
    def busy(self) -> bool:
        """Whether a pass is under way."""
        return self._one_at_a_time.locked()

    async def read(self) -> None:
        """Make one pass, after the one under way if there is one. Raises nothing; what failed is in ``account``."""
        async with self._one_at_a_time:
            try:
                failures = await self._read()
            except Exception as error:  # a pass that raises is counted and must not end the schedule
                log.debug("an inventory pass failed inside the exporter", exc_info=True)
                failures = (errors.InternalFault(type(error).__name__),)
            self.account = self.account.after(failures, self._clock.wall())

    async def _read(self) -> tuple[errors.MilvusError, ...]:
        here = _Pass(self._clock.monotonic() + self._budget, self.latest, gone=dict(self._gone))
        try:
            databases = await self._source.list_databases(timeout=self._left(here))
        except errors.MilvusError as error:
            return (error,)
        await self._show_all(here, databases)
        await self._describe_new(here)
        await self._find_gone(here)
        # What is shown again was not gone: its old name had no bearer while a grant was missing.
        gone = [id_ for id_ in here.gone if id_ not in here.entries]
        self._gone = dict.fromkeys(gone[-_MAX_GONE:])
        self.latest = Inventory(here.entries, frozenset(self._gone), databases, frozenset(here.hidden))
        self._described = {id_: found for id_, found in self._described.items() if id_ in here.entries}
        self._doubted &= here.entries.keys()
        return tuple(here.failures)

    async def _show_all(self, here: _Pass, databases: tuple[str, ...]) -> None:
        not_reached: set[str] = set()
        for database in sorted(databases, key=lambda name: name not in self._not_reached):
            try:
                shown = await self._source.show_collections(database, timeout=self._left(here))
            except errors.DatabaseGone:
                continue  # dropped between the two calls
            except errors.MilvusError as error:
                here.failures.append(error)
                not_reached.add(database)
                self._keep_database(here, database)
                continue
            for line in shown:
                collection = Collection(database, sys.intern(line.name), line.collection_id)  # as the jobs have it
                here.entries[line.collection_id] = self._entry(collection, line.created)
        self._not_reached = frozenset(not_reached)

    def _keep_database(self, here: _Pass, database: str) -> None:
        """Keep what the pass before knew of a database that could not be asked."""
        for id_, entry in here.inventory.entries.items():
            if entry.collection.database == database:
                here.entries[id_] = entry

    def _entry(self, collection: Collection, created: float | None) -> Entry:
        found = self._described.get(collection.collection_id)
        if found is None:
            return Entry(collection, created, external=collection.collection_id in self._once_external or None)
        return Entry(collection, created, found.external, found.aliases, found.source)

    async def _describe_new(self, here: _Pass) -> None:
        wanted = [e for e in here.entries.values() if self._in_doubt(e)]
        # An alias can be pointed elsewhere at any time, so what has aliases is asked about each time; new ones first.
        waiting = deque(sorted(wanted, key=lambda e: e.collection.collection_id in self._described))
        while waiting:
            batch = _next_batch(waiting, _TOGETHER if self._together else 1)
            if batch[0].collection.database in here.refused:
                continue
            if self._left(here) <= 0:
                here.failures.append(errors.DeadlineExceeded("the inventory's time budget is used up"))
                return
            try:
                found = await self._describe(here, batch)
            except _NotTogetherError:
                self._together = False
                waiting.extendleft(reversed(batch))
                continue
            for entry, one in zip(batch, found, strict=False):
                self._learn(here, entry, one)
        self._together = True

    async def _describe(
        self, here: _Pass, batch: Sequence[Entry]
    ) -> Sequence[DescribedCollection | errors.MilvusError]:
        """Return what is answered about each, or about the first of them alone what holds for the whole database.

        Raises :class:`_NotTogetherError` where each has to be asked about by itself.
        """
        database, names = batch[0].collection.database, [entry.collection.name for entry in batch]
        try:
            if len(names) == 1:
                return [await self._source.describe_collection(database, names[0], timeout=self._left(here))]
            # Whatever the call's time-out is, there must be time left to go on one by one.
            patience = min(self._left(here), self._budget / 3)
            return await self._source.describe_collections(database, names, timeout=patience)
        except errors.MilvusError as error:
            if len(names) > 1 and isinstance(error, _NOT_TOGETHER):
                raise _NotTogetherError from None
            return [error]

    def _learn(self, here: _Pass, entry: Entry, found: DescribedCollection | errors.MilvusError) -> None:
        collection = entry.collection
        id_ = collection.collection_id
        if isinstance(found, errors.CollectionGone | errors.DatabaseGone):
            # Dropped or renamed between the two calls. One that was known is not gone until it is no longer shown.
            if id_ not in here.inventory.entries:
                here.entries.pop(id_)
        elif isinstance(found, errors.MilvusError):
            if collection.database not in here.refused:
                here.failures.append(found)
            if not isinstance(found, errors.ServerFault):  # which may be about this one collection
                here.refused.add(collection.database)
        else:
            self._described[id_] = replace(found, source=sys.intern(found.source))  # as the jobs have it
            self._doubted.discard(id_)
            here.entries[id_] = self._entry(collection, entry.created)

    def _in_doubt(self, entry: Entry) -> bool:
        id_ = entry.collection.collection_id
        return id_ not in self._described or id_ in self._doubted or bool(entry.external and entry.aliases)

    async def _find_gone(self, here: _Pass) -> None:
        """Tell dropped collections from those that a lost grant hides: only the first answer 100 or 800 by name."""
        taken = {(e.collection.database, e.collection.name) for e in here.entries.values()}
        for id_, entry in here.inventory.entries.items():
            if id_ in here.entries:
                continue
            place = (entry.collection.database, entry.collection.name)
            if place in taken or entry.external is False:
                here.gone[id_] = None
                continue
            here.entries[id_] = entry  # until it is known to be gone it stays
            here.hidden.add(id_)
            if self._left(here) <= 0:
                continue
            try:
                exists = await self._source.collection_exists(*place, timeout=self._left(here))
            except errors.MilvusError as error:
                here.failures.append(error)
                continue
            if not exists:
                here.gone[id_] = None
                here.hidden.discard(id_)
                del here.entries[id_]

    def _left(self, here: _Pass) -> float:
        return min(self._call_timeout, here.deadline - self._clock.monotonic())


def _next_batch(waiting: deque[Entry], most: int) -> list[Entry]:
    """Take the next entries of one database."""
    batch = [waiting.popleft()]
    while waiting and len(batch) < most and waiting[0].collection.database == batch[0].collection.database:
        batch.append(waiting.popleft())
    return batch
