"""Walk the stations in order, once per tick (docs/architecture.md). What goes wrong becomes an outcome, not a crash."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from exporter import errors, heap
from exporter.catalog import InventoryReader
from exporter.clock import Clock
from exporter.ledger import Memory
from exporter.model import Collection
from exporter.poll.ask import Deadline, JobSource, list_by_name, rotated
from exporter.poll.memory import Entered, PollMemory
from exporter.poll.report import Report
from exporter.store import PollOutcome, Store

if TYPE_CHECKING:
    from exporter.config import Settings
    from exporter.ledger import StateFile

Result = TypeVar("Result")

_LASTING: Final = (errors.Unauthenticated, errors.PermissionDenied, errors.Unimplemented)
"""What trying again at the next poll will not mend."""

log = logging.getLogger("exporter.poll")


class Corridor:
    """One target's polls. ``memory`` is what ``state`` has restored; ``reader`` is None without an inventory."""

    def __init__(
        self,
        settings: Settings,
        source: JobSource,
        store: Store,
        clock: Clock,
        *,
        reader: InventoryReader | None,
        memory: Memory,
        state: StateFile | None = None,
    ) -> None:
        self._settings = settings
        self._source = source
        self._store = store
        self._clock = clock
        self._reader = reader
        self._state = state
        self._memory = PollMemory(settings, memory)
        self._report = Report()
        self._asked_names: frozenset[str] = frozenset()
        self._pass: asyncio.Task[None] | None = None
        self._next_part = 0
        self._settled = False
        self._refused: errors.MilvusError | None = None
        """What the whole listing was refused with in this poll, where the fallback may rescue it."""
        if memory.outcomes and memory.milvus in ("", settings.milvus.address.authority):
            store.restore(self._memory.remembered(clock.wall()))
        if state is not None and isinstance(state.trouble, errors.StateUnwritable):
            self._report.state(state.trouble)

    async def poll(self) -> None:
        """Make one poll and publish it. Raises nothing but cancellation."""
        started, begun = self._clock.wall(), self._clock.monotonic()
        failure: errors.MilvusError | None = None
        snapshot = self._refused = None
        try:
            counted, snapshot = await self._walk(started, begun)
            # Before it is published: a count that somebody has seen must not be taken back by a kill.
            await self._save(started)
            if self._memory.another_milvus:
                self._report.another_milvus()
                self._memory.another_milvus = False
            self._report.ended(counted)
            if self._reader is not None:
                self._reader.doubt(self._memory.take_outdated())
        except errors.MilvusError as error:
            failure = error
        except asyncio.CancelledError:
            self._memory.start_over()
            raise
        except Exception as error:  # a poll that raises is counted and must not end the schedule
            log.debug("a poll failed inside the exporter", exc_info=True)
            failure = errors.InternalFault(type(error).__name__)
            self._memory.start_over()
        now = self._clock.monotonic()
        outcome = PollOutcome(
            started=started,
            duration=now - begun,
            up=failure is None,
            partial=failure is None and self._refused is not None,
            kinds=tuple(dict.fromkeys(error.kind for error in (self._refused, failure) if error is not None)),
            problems=self._memory.take_problems(),
        )
        self._store.publish(outcome, snapshot, now)
        if snapshot is not None:
            self._memory.ledger.mark_shown()
            self._settle()
        gc.enable()  # off from the start of the process to the end of the first poll, whatever came of it
        self._report.poll(outcome, failure or self._refused)

    def _settle(self) -> None:
        if not self._settled:
            self._settled = True
            heap.freeze()

    async def close(self) -> None:
        """Break off an inventory pass that is still under way, and write what the last publication has changed."""
        if self._pass is not None:
            self._pass.cancel()
            await asyncio.gather(self._pass, return_exceptions=True)
        if self._store.current.snapshot.now:
            await self._save(self._clock.wall())

    async def _save(self, now: float) -> None:
        if self._state is None:
            return
        try:
            await _in_thread(self._state.save, self._memory.ledger.memory, now)
        except errors.StateUnusable as unusable:
            self._report.state(unusable)
        else:
            self._report.state(None)

    async def _walk(self, now: float, begun: float) -> Entered:
        """Ask, remember and summarise."""
        deadline = Deadline(self._clock, begun + self._settings.poll.timeout)
        first_pass = self._begin_first_pass()
        try:
            listing = await self._source.list_all_jobs(timeout=deadline.left)
        except errors.ServerFault as refused:
            if not refused.may_be_one_broken_job:
                raise
            self._refused = refused
            deadline = await self._finish(first_pass, deadline)
            return await self._list_parts(refused, now, begun, deadline)
        now = self._clock.wall()  # nothing that is listed can have ended later
        deadline = await self._finish(first_pass, deadline)
        await self._adopt()
        taken = await _in_thread(self._memory.take_whole, listing, now, begun)
        del listing  # by far the largest thing in memory
        if isinstance(taken, Entered):  # in one go, as nearly always: each change of thread costs a small poll a tenth
            self._asked_names = frozenset()
            return taken
        await self._settle_doubts(deadline, just_read=first_pass is not None)
        return await _in_thread(self._memory.enter_whole, taken, now, begun)

    async def _settle_doubts(self, deadline: Deadline, *, just_read: bool) -> None:
        """Find out, as far as that can be done now, whose jobs those are that could not be placed."""
        memory = self._memory
        await self._look_up_unknown_names(deadline, just_read=just_read)
        questions = memory.attribution.questions()
        if questions:
            found = await list_by_name(self._source, questions, deadline)
            await _in_thread(memory.settle, found)

    async def _adopt(self) -> None:
        if self._reader is not None and self._reader.latest is not self._memory.attribution.inventory:
            await _in_thread(self._memory.adopt, self._reader.latest)

    async def _list_parts(self, refused: errors.MilvusError, now: float, begun: float, deadline: Deadline) -> Entered:
        """List the known collections one by one. Raises the refusal where not one of them can be listed."""
        await self._adopt()
        known = self._known_collections()
        found = await list_by_name(self._source, rotated(known, self._next_part), deadline)
        # Also where all that were reached hang or fail: the next poll begins behind them.
        self._next_part = (self._next_part + found.asked) % max(1, len(known))
        if not found.listed:
            raise refused
        return await _in_thread(self._memory.enter_parts, found.listed, known, now, begun)

    def _known_collections(self) -> list[Collection]:
        inventory = self._memory.attribution.inventory
        shown = [entry.collection for entry in inventory.external]
        places = {collection[:2] for collection in shown}
        remembered = (c for c in self._memory.ledger.memory.outcomes if c[:2] not in places)
        # Asked without a database, Milvus answers for its default one: of use only where no database is known.
        askable = (c for c in remembered if c.database or not inventory.databases)
        return sorted(filter(self._memory.keeps, (*shown, *askable)))

    def _begin_first_pass(self) -> asyncio.Task[None] | None:
        """Read the inventory beside the first listing: nothing is published before its first pass or failure."""
        if self._reader is None or self._reader.latest.databases or self._reader.account.last_success:
            return None
        failures = self._reader.account.last_failures
        if failures and isinstance(failures[0], _LASTING):
            return None  # asked again at the inventory's own, slower pace
        return self._begin_pass(self._reader)

    def _begin_pass(self, reader: InventoryReader) -> asyncio.Task[None]:
        if self._pass is None or self._pass.done():
            self._pass = asyncio.create_task(reader.read())
        return self._pass

    async def _finish(self, inventory_pass: asyncio.Task[None] | None, deadline: Deadline) -> Deadline:
        """Wait for a pass, which has a time budget of its own. Returns the deadline without the time of waiting."""
        left = deadline.left
        if inventory_pass is not None:
            await asyncio.wait({inventory_pass})
        return Deadline(self._clock, self._clock.monotonic() + left)

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
        await self._adopt()


async def _in_thread(work: Callable[..., Result], *args: object) -> Result:
    """Run pure work off the loop. Broken off, it is waited for all the same: two polls must not meet in one memory."""
    running = asyncio.ensure_future(asyncio.to_thread(_quietly, work, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise


def _quietly(work: Callable[..., Result], *args: object) -> Result:
    with heap.paused():
        return work(*args)
