"""Ask Milvus, as the daemon's polls do, and keep nothing but the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from exporter import errors
from exporter.catalog import InventoryReader
from exporter.clock import Clock
from exporter.ledger import Memory, read_state
from exporter.milvus.client import MilvusClient
from exporter.milvus.records import Listed
from exporter.model import Collection, Job
from exporter.poll import Corridor
from exporter.snapshot import OutcomeRow
from exporter.store import Store

if TYPE_CHECKING:
    from exporter.config import Settings

_INVENTORY_BUDGET_SECONDS: Final = 30.0

Placed = tuple[Collection, Job]

log = logging.getLogger("exporter.terminal")


@dataclass(frozen=True, slots=True)
class Listing:
    """What Milvus has listed, and whether that is still so. Only collections that the settings' filters keep."""

    up: bool = False
    """Whether Milvus has answered when last asked."""
    kind: str = ""
    """Of the failure, where it has not."""
    why: str = ""
    """What has failed, in a sentence or two."""
    partial: bool = False
    """Whether Milvus refuses the whole listing, and was asked for one collection after the other."""
    taken: float | None = None
    """Epoch seconds of the last answer."""
    jobs: Sequence[Placed] = ()
    """The latest started first."""
    failing: Sequence[OutcomeRow] = ()
    """Collections whose last refresh has failed, by name."""
    unlisted: Sequence[Collection] = ()
    """Collections that could not be listed this time."""
    unplaced: str = ""
    """Why the databases of some jobs are not known."""


class Connection:
    """One Milvus, asked by this process alone. To be closed."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._store = Store(settings.poll.stale_after)
        self._client = MilvusClient(settings)
        self._source = _Remembering(self._client)
        memory = _memory(settings, clock.wall())
        self._reader = None
        if settings.inventory.enabled:
            timeout = settings.poll.timeout
            budget = max(_INVENTORY_BUDGET_SECONDS, timeout)
            remembered = memory.collections()
            self._reader = InventoryReader(
                self._client, clock, budget=budget, call_timeout=timeout, remembered=remembered
            )
        self._corridor = Corridor(settings, self._source, self._store, clock, reader=self._reader, memory=memory)
        self._inventory_every = settings.inventory.interval
        self._inventory_read = clock.monotonic()
        self._latest = Listing()

    async def ask(self) -> Listing:
        """Ask once. Where Milvus does not answer, what it has said before stays. Raises nothing but cancellation."""
        self._source.refused = None
        await asyncio.gather(self._corridor.poll(), *self._inventory_if_due())
        account, snapshot = self._store.current.account, self._store.current.snapshot
        refused = self._source.refused
        why = sentence(account.kind, refused) if account.kind or refused else ""
        if not account.up:
            self._latest = replace(self._latest, up=False, kind=account.kind, why=why)
            return self._latest
        self._latest = Listing(
            up=True,
            why=why,
            partial=account.partial,
            taken=account.last_success,
            jobs=await asyncio.to_thread(_in_order, snapshot.listed),
            failing=tuple(row for row in snapshot.outcomes if row.failing),
            unlisted=snapshot.unlisted,
            unplaced=self._why_unplaced(),
        )
        return self._latest

    async def close(self) -> None:
        """Break off what is under way and close the channel."""
        await self._corridor.close()
        await self._client.close()

    def _inventory_if_due(self) -> tuple[asyncio.Task[None], ...]:
        """Begin a pass of the inventory where the last one is old: names and aliases change while somebody watches."""
        now = self._clock.monotonic()
        if self._reader is None or now - self._inventory_read < self._inventory_every:
            return ()
        self._inventory_read = now
        return (asyncio.create_task(self._reader.read()),)

    def _why_unplaced(self) -> str:
        failures = self._reader.account.last_failures if self._reader is not None else ()
        return str(failures[0]) if failures else ""


class _Remembering:
    """The client, and why the whole listing was refused when it last was."""

    def __init__(self, client: MilvusClient) -> None:
        self._client = client
        self.refused: errors.MilvusError | None = None

    async def list_all_jobs(self, *, timeout: float) -> Sequence[bytes]:
        try:
            return await self._client.list_all_jobs(timeout=timeout)
        except errors.MilvusError as error:
            self.refused = error
            raise

    async def list_jobs(self, *, timeout: float, database: str, collection: str) -> Listed:
        return await self._client.list_jobs(timeout=timeout, database=database, collection=collection)


def _memory(settings: Settings, now: float) -> Memory:
    """Return what a daemon's state file knows of dropped collections and of ends that Milvus has not written."""
    path = settings.state.path
    try:
        memory = read_state(path) if path else None
    except errors.StateUnusable as unusable:
        log.warning("the state file cannot be used, going on without: %s", unusable)
        memory = None
    return memory or Memory(now - settings.server.job_retention)


def sentence(kind: str, refused: errors.MilvusError | None) -> str:
    """Return what has failed: the error itself where it is of that kind, and what its kind stands for otherwise."""
    if refused is not None and kind in ("", refused.kind):
        return str(refused)
    return next(leaf.sentence for leaf in errors.leaves() if leaf.kind == kind)


def _in_order(listed: Mapping[Collection, Sequence[Job]]) -> tuple[Placed, ...]:
    placed = ((at, job) for at, jobs in listed.items() for job in jobs)
    return tuple(sorted(placed, key=_started, reverse=True))


def _started(placed: Placed) -> tuple[float, int]:
    job = placed[1]
    return (job.start if job.start is not None else 0.0, job.job_id)
