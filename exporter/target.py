"""One Milvus and everything that watches it: what is built, what is taken over by a successor, what is closed again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter.catalog import InventoryAccount, InventoryReader
from exporter.clock import Clock, SystemClock
from exporter.errors import StateUnusable
from exporter.ledger import Memory
from exporter.log import about
from exporter.metrics import Account, Body, Exposition
from exporter.milvus.client import MilvusClient
from exporter.poll import Corridor
from exporter.snapshot import Snapshot
from exporter.store import Publication, Store
from exporter.summary import cleaned
from exporter.texts import Texts

if TYPE_CHECKING:
    from exporter.config import Settings
    from exporter.ledger import Rules, StateFile

INVENTORY_BUDGET_SECONDS: Final = 30.0

log = logging.getLogger("exporter")


@dataclass(slots=True)
class InForce:
    """The configuration in force, as the metrics tell of it."""

    loaded: float
    """Epoch seconds when it was read."""
    good: bool = True
    """Whether the last attempt to read another one was good."""


@dataclass(slots=True)
class Target:
    """One Milvus and everything that watches it. ``name`` is empty for the only one."""

    name: str
    settings: Settings
    client: MilvusClient
    store: Store
    reader: InventoryReader | None
    inventory_before: InventoryAccount
    """What was counted before ``reader`` began; all there is while the inventory is switched off."""
    corridor: Corridor
    exposition: Exposition
    state: StateFile | None
    memory: Memory

    async def close(self) -> None:
        """Stop what is under way, write the state, close the channel."""
        with about(self.name):
            await self.corridor.close()
        await self.client.close()
        if self.state is not None:
            self.state.close()

    def inventory_account(self) -> InventoryAccount:
        """Return the inventory's account over all settings that there have been."""
        return _inventory_account(self.reader, self.inventory_before)


def build(
    settings: Settings, clock: Clock, *, name: str = "", in_force: InForce | None = None, writing: bool = True
) -> Target:
    """Build what watches one Milvus. Without ``writing``, as ``once`` does: read-only, and no process families."""
    since = clock.wall() - settings.server.job_retention
    with about(name):
        state, memory = _open_state(settings, since, clock.wall()) if writing else (None, _read_state(settings, since))
    client = MilvusClient(settings)
    reader = _reader(settings, client, clock, memory)
    store, counted = Store(settings.poll.stale_after), InventoryAccount()
    corridor = Corridor(settings, client, store, clock, reader=reader, memory=memory, state=state)
    in_force = in_force or InForce(clock.wall())
    account = _account(settings, lambda: _inventory_account(reader, counted), state, in_force, alone=not name)
    exposition = Exposition(store, clock, account, process=writing and not name)
    return Target(name, settings, client, store, reader, counted, corridor, exposition, state, memory)


def succeed(before: Target, settings: Settings, clock: Clock, in_force: InForce) -> Target:
    """Build what watches the same Milvus under other settings, once the polls under ``before`` have ended.

    What is remembered, every count and the state file go over as they are, and what was shown stays until the first
    poll. The channel and the inventory do where the settings say the same of them. Close the channel of ``before``
    otherwise, and nothing else of it.
    """
    was, name, memory, state = before.settings, before.name, before.memory, before.state
    if state is not None:
        state.history, state.rules = settings.state.history, _rules(settings)
    if was.labels != settings.labels:
        memory.clean(texts_of(settings).clean)
    client, reader, counted = before.client, before.reader, before.inventory_before
    asks_alike = (was.milvus, was.poll, was.labels) == (settings.milvus, settings.poll, settings.labels)
    if not asks_alike or was.inventory.enabled != settings.inventory.enabled:
        counted = before.inventory_account()
        client = client if asks_alike else MilvusClient(settings)
        reader = _reader(settings, client, clock, memory)
        if reader and before.reader and (was.milvus, was.labels) == (settings.milvus, settings.labels):
            reader.latest = before.reader.latest
    store = Store(settings.poll.stale_after)
    corridor = Corridor(settings, client, store, clock, reader=reader, memory=memory, state=state)
    account = _account(settings, lambda: _inventory_account(reader, counted), state, in_force, alone=not name)
    exposition = Exposition(store, clock, account, process=not name)
    # Last: the exposition takes what it finds at its own beginning for stale.
    store.resume(before.store, _shown_until_the_first_poll(before, settings))
    return Target(name, settings, client, store, reader, counted, corridor, exposition, state, memory)


def _shown_until_the_first_poll(before: Target, settings: Settings) -> Snapshot | None:
    """Return what was shown, as far as it may be shown now; None if it is about another Milvus."""
    was, shown = before.settings, before.store.current.snapshot
    if was.milvus.address != settings.milvus.address:
        return None
    return shown if was.labels == settings.labels else cleaned(shown, texts_of(settings))


def _reader(settings: Settings, client: MilvusClient, clock: Clock, memory: Memory) -> InventoryReader | None:
    if not settings.inventory.enabled:
        return None
    timeout = settings.poll.timeout
    budget = max(INVENTORY_BUDGET_SECONDS, timeout)
    return InventoryReader(client, clock, budget=budget, call_timeout=timeout, remembered=memory.collections())


def _open_state(settings: Settings, since: float, now: float) -> tuple[StateFile | None, Memory]:
    """Return the state file and what it remembers. One that cannot be used is named, left alone and done without."""
    path = settings.state.path
    if path is None:
        return None, Memory(since)
    from exporter.ledger import StateFile  # noqa: PLC0415  # brings SQLite

    state = StateFile(path, settings.state.history, _rules(settings))
    try:
        state.open(now)
        return state, state.load(since)
    except StateUnusable as unusable:
        log.error("the state file cannot be used, going on from memory: %s", unusable)  # noqa: TRY400  # a user's matter
        state.close()
        return state, Memory(since)


def _read_state(settings: Settings, since: float) -> Memory:
    if settings.state.path is None:
        return Memory(since)
    from exporter.ledger import read_state  # noqa: PLC0415  # brings SQLite

    try:
        memory = read_state(settings.state.path)
    except StateUnusable as unusable:
        log.error("the state file cannot be used, going on from memory: %s", unusable)  # noqa: TRY400
        memory = None
    if memory is None:
        return Memory(since)
    memory.clean(texts_of(settings).clean)
    return memory


def texts_of(settings: Settings) -> Texts:
    """Return how texts are shown under these settings."""
    return Texts(settings.labels.source, settings.labels.failure_reason)


def _rules(settings: Settings) -> Rules:
    from exporter.ledger import Rules  # noqa: PLC0415  # brings SQLite

    texts = texts_of(settings)
    return Rules(texts.rules, texts.clean)


async def once(settings: Settings, name: str = "") -> tuple[Body, bool]:
    """Poll once. Returns the exposition without the process's own families, and whether the poll was good."""
    target = build(settings, SystemClock(), name=name, writing=False)
    try:
        with about(name):
            await target.corridor.poll()
        return target.exposition.body(), target.store.current.account.up
    finally:
        await target.close()


def _account(
    settings: Settings,
    inventory_account: Callable[[], InventoryAccount],
    state: StateFile | None,
    in_force: InForce,
    *,
    alone: bool,
) -> Callable[[Publication, bool], Account]:
    build_revision = revision()

    def account(publication: Publication, stale: bool) -> Account:  # noqa: FBT001  # the shape Exposition calls
        inventory = inventory_account()
        return Account(
            publication=publication,
            stale=stale,
            poll_interval=settings.poll.interval,
            job_timeout=settings.server.job_timeout,
            job_retention=settings.server.job_retention,
            config_loaded=in_force.loaded,
            config_good=in_force.good,
            inventory_last_success=inventory.last_success,
            inventory_errors=inventory.by_kind,
            state=state.account if state else None,
            revision=build_revision,
            alone=alone,
        )

    return account


def _inventory_account(reader: InventoryReader | None, before: InventoryAccount) -> InventoryAccount:
    if reader is None:
        return before
    now = reader.account
    kinds = before.by_kind.keys() | now.by_kind.keys()
    by_kind = {kind: before.by_kind.get(kind, 0) + now.by_kind.get(kind, 0) for kind in kinds}
    return replace(now, last_success=now.last_success or before.last_success, by_kind=by_kind)


@cache
def revision() -> str:
    """Return what the image build has written down, or nothing."""
    file = Path(__file__).with_name("REVISION")
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
