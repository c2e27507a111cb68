"""Walk the stations in order, once per tick (docs/architecture.md). What goes wrong becomes an outcome, not a crash."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from exporter import errors
from exporter.catalog import InventoryReader
from exporter.clock import Clock
from exporter.ledger import Ended, Memory
from exporter.milvus.decode import Record
from exporter.model import Collection
from exporter.poll.ask import Deadline, JobSource, list_by_name, rotated
from exporter.poll.memory import PollMemory
from exporter.poll.report import Report
from exporter.store import PollOutcome, Store

if TYPE_CHECKING:
    from exporter.config import Settings

Result = TypeVar("Result")

_LASTING: Final = (errors.Unauthenticated, errors.PermissionDenied, errors.Unimplemented)
"""What trying again at the next poll will not mend."""

log = logging.getLogger("exporter.poll")


class Corridor:
    """One target's polls. ``memory`` is what a state file would restore; ``reader`` is None without an inventory."""

    def __init__(
        self,
        settings: Settings,
        source: JobSource,
        store: Store,
        clock: Clock,
        *,
        reader: InventoryReader | None,
        memory: Memory,
    ) -> None:
        self._settings = settings
        self._source = source
        self._store = store
        self._clock = clock
        self._reader = reader
        self._memory = PollMemory(settings, memory)
        self._report = Report()
        self._asked_names: frozenset[str] = frozenset()
        self._pass: asyncio.Task[None] | None = None
        self._next_part = 0

    async def poll(self) -> None:
        """Make one poll and publish it. Raises nothing but cancellation."""
        started, begun = self._clock.wall(), self._clock.monotonic()
        deadline = Deadline(self._clock, begun + self._settings.poll.timeout)
        refused: errors.MilvusError | None = None
        failure: errors.MilvusError | None = None
        snapshot = None
        try:
            refused, counted = await self._walk(started, deadline)
            snapshot = await asyncio.to_thread(self._memory.snapshot, started)
            self._report.ended(counted)
        except errors.MilvusError as error:
            failure = error
        except Exception as error:  # a poll that raises is counted and must not end the schedule
            log.debug("a poll failed inside the exporter", exc_info=True)
            failure = errors.InternalFault(type(error).__name__)
            self._memory.start_over()
        now = self._clock.monotonic()
        outcome = PollOutcome(
            started=started,
            duration=now - begun,
            up=failure is None,
            partial=refused is not None,
            kinds=tuple(error.kind for error in (refused, failure) if error is not None),
            problems=self._memory.take_problems(),
        )
        self._store.publish(outcome, snapshot, now)
        if snapshot is not None:
            self._memory.ledger.mark_shown()
        self._report.poll(outcome, failure or refused)

    async def close(self) -> None:
        """Break off an inventory pass that is still under way."""
        if self._pass is not None:
            self._pass.cancel()
            await asyncio.gather(self._pass, return_exceptions=True)

    async def _walk(self, now: float, deadline: Deadline) -> tuple[errors.MilvusError | None, tuple[Ended, ...]]:
        """Ask and remember. Returns what the whole listing was refused with, if it was, and the jobs counted."""
        first_pass = self._begin_first_pass()
        try:
            answer = await self._source.list_jobs(timeout=deadline.left)
        except errors.ServerFault as refused:
            if not refused.may_be_one_broken_job:
                raise
            await self._finish(first_pass)
            return refused, await self._list_parts(refused, now, deadline)
        await self._finish(first_pass)
        return None, await self._enter(answer.jobs, now, deadline, just_read=first_pass is not None)

    async def _enter(
        self, records: Sequence[Record], now: float, deadline: Deadline, *, just_read: bool
    ) -> tuple[Ended, ...]:
        """Enter a whole listing: decode, find out whose jobs they are, remember."""
        memory = self._memory
        if self._reader is not None:
            memory.adopt(self._reader.latest)
        changed, gone = await asyncio.to_thread(_quietly, memory.decode_whole, records, now)
        await self._look_up_unknown_names(deadline, just_read=just_read)
        questions = memory.attribution.questions()
        if questions:
            found = await list_by_name(self._source, questions, deadline)
            memory.settle(found.listed, found.gone)
        return await asyncio.to_thread(_quietly, memory.remember_whole, changed, gone, now)

    async def _list_parts(self, refused: errors.MilvusError, now: float, deadline: Deadline) -> tuple[Ended, ...]:
        """List the known collections one by one. Raises the refusal where not one of them can be listed."""
        if self._reader is not None:
            self._memory.adopt(self._reader.latest)
        known = self._known_collections()
        found = await list_by_name(self._source, rotated(known, self._next_part), deadline)
        if not found.listed:
            raise refused
        self._next_part = (self._next_part + len(found.listed) + len(found.gone)) % len(known) if found.failed else 0
        unlisted = frozenset(known) - found.listed.keys()
        return await asyncio.to_thread(self._memory.remember_parts, found.listed, unlisted, now)

    def _known_collections(self) -> list[Collection]:
        inventory = self._memory.attribution.inventory
        shown = [entry.collection for entry in inventory.external]
        places = {collection[:2] for collection in shown}
        remembered = [c for c in self._memory.ledger.memory.outcomes if c[:2] not in places]
        return sorted([*shown, *remembered])

    def _begin_first_pass(self) -> asyncio.Task[None] | None:
        """Read the inventory beside the first listing: nothing is published before its first pass or failure."""
        if self._reader is None or self._reader.latest.databases:
            return None
        failures = self._reader.account.last_failures
        if failures and isinstance(failures[0], _LASTING):
            return None  # asked again at the inventory's own, slower pace
        return self._begin_pass(self._reader)

    def _begin_pass(self, reader: InventoryReader) -> asyncio.Task[None]:
        if self._pass is None or self._pass.done():
            self._pass = asyncio.create_task(reader.read())
        return self._pass

    async def _finish(self, inventory_pass: asyncio.Task[None] | None) -> None:
        if inventory_pass is not None:
            await asyncio.wait({inventory_pass})

    async def _look_up_unknown_names(self, deadline: Deadline, *, just_read: bool) -> None:
        """Read the inventory again, once for each name that it does not know: most are collections just created."""
        if self._reader is None or not self._reader.latest.databases:
            return
        unknown = self._memory.attribution.unknown_names()
        fresh = unknown - self._asked_names
        self._asked_names = unknown
        if not fresh or just_read:
            return
        self._reader.doubt(entry.collection.collection_id for entry in self._reader.latest.external)
        await asyncio.wait({self._begin_pass(self._reader)}, timeout=deadline.left)
        self._memory.adopt(self._reader.latest)


def _quietly(work: Callable[..., Result], *args: object) -> Result:
    """Run pure work with the garbage collector off: a large listing makes many objects and no cycles."""
    gc.disable()
    try:
        return work(*args)
    finally:
        gc.enable()
