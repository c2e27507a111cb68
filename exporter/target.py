"""One Milvus and everything that watches it: what is built, and what is closed again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from exporter.catalog import InventoryReader
from exporter.clock import Clock, SystemClock
from exporter.errors import StateUnusable
from exporter.ledger import Memory, StateFile, read_state
from exporter.metrics import Account, Body, Exposition
from exporter.milvus.client import MilvusClient
from exporter.poll import Corridor
from exporter.store import Publication, Store

if TYPE_CHECKING:
    from exporter.config import Settings

INVENTORY_BUDGET_SECONDS: Final = 30.0

log = logging.getLogger("exporter")


@dataclass(slots=True)
class Target:
    """One Milvus and everything that watches it."""

    client: MilvusClient
    store: Store
    reader: InventoryReader | None
    corridor: Corridor
    exposition: Exposition
    state: StateFile | None

    async def close(self) -> None:
        """Stop what is under way, write the state, close the channel."""
        await self.corridor.close()
        await self.client.close()
        if self.state is not None:
            self.state.close()


def build(settings: Settings, clock: Clock, *, writing: bool = True) -> Target:
    """Build what watches one Milvus. Without ``writing``, as ``once`` does: read-only, and no process families."""
    since = clock.wall() - settings.server.job_retention
    state, memory = _open_state(settings, since) if writing else (None, _read_state(settings, since))
    client = MilvusClient(settings)
    store = Store(settings.poll.stale_after)
    reader = None
    if settings.inventory.enabled:
        timeout = settings.poll.timeout
        budget = max(INVENTORY_BUDGET_SECONDS, timeout)
        reader = InventoryReader(client, clock, budget=budget, call_timeout=timeout, remembered=memory.collections())
    corridor = Corridor(settings, client, store, clock, reader=reader, memory=memory, state=state)
    account = _account(settings, reader, state, clock.wall())
    return Target(client, store, reader, corridor, Exposition(store, clock, account, process=writing), state)


def _open_state(settings: Settings, since: float) -> tuple[StateFile | None, Memory]:
    """Return the state file and what it remembers. One that cannot be used is named, left alone and done without."""
    path = settings.state.path
    if path is None:
        return None, Memory(since)
    state = StateFile(path, settings.state.history)
    try:
        state.open()
        return state, state.load(since)
    except StateUnusable as unusable:
        log.error("the state file cannot be used, going on from memory: %s", unusable)  # noqa: TRY400  # a user's matter
        state.close()
        return state, Memory(since)


def _read_state(settings: Settings, since: float) -> Memory:
    try:
        memory = read_state(settings.state.path) if settings.state.path else None
    except StateUnusable as unusable:
        log.error("the state file cannot be used, going on from memory: %s", unusable)  # noqa: TRY400
        memory = None
    return memory or Memory(since)


async def once(settings: Settings) -> tuple[Body, bool]:
    """Poll once. Returns the exposition without the process's own families, and whether the poll was good."""
    target = build(settings, SystemClock(), writing=False)
    try:
        await target.corridor.poll()
        return target.exposition.body(), target.store.current.account.up
    finally:
        await target.close()


def _account(
    settings: Settings, reader: InventoryReader | None, state: StateFile | None, loaded: float
) -> Callable[[Publication, bool], Account]:
    revision = _revision()

    def account(publication: Publication, stale: bool) -> Account:  # noqa: FBT001  # the shape Exposition calls
        inventory = reader.account if reader else None
        return Account(
            publication=publication,
            stale=stale,
            poll_interval=settings.poll.interval,
            job_timeout=settings.server.job_timeout,
            job_retention=settings.server.job_retention,
            config_loaded=loaded,
            inventory_last_success=inventory.last_success if inventory else 0.0,
            inventory_errors=inventory.by_kind if inventory else {},
            state=state.account if state else None,
            revision=revision,
        )

    return account


def _revision() -> str:
    """Return what the image build has written down, or nothing."""
    file = resources.files("exporter") / "REVISION"
    return file.read_text().strip() if file.is_file() else ""
