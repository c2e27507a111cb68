"""The Milvus that are watched, by name: each with polls of its own, none waiting for another."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from exporter import heap
from exporter.clock import Clock
from exporter.log import about
from exporter.schedule import Schedule
from exporter.sharding import moment, owner
from exporter.target import INVENTORY_BUDGET_SECONDS, InForce, Target, build, succeed

if TYPE_CHECKING:
    from exporter.config import Settings

_SPREAD_SECONDS: Final = 60.0
"""Over so much of a long interval polls are spread: readiness waits for the first of each."""
_PATIENCE_SECONDS: Final = 5.0
"""For a poll under way when its settings change. One that is broken off has counted all the same."""


@dataclass(frozen=True, slots=True)
class Change:
    """What other settings have changed, by names of targets."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def share(settings: Settings) -> Mapping[str, Settings]:
    """Return the targets that are this process's."""
    total, index = settings.shard.total, settings.shard.index
    return {name: each for name, each in settings.by_target().items() if owner(name, total) == index}


class Fleet:
    """Owns the targets and the timer that polls them."""

    def __init__(self, targets: Mapping[str, Settings], clock: Clock, in_force: InForce) -> None:
        self._clock = clock
        self._in_force = in_force
        self._schedule = Schedule(clock, self._skipped)
        self._targets = {name: build(each, clock, name=name, in_force=in_force) for name, each in targets.items()}
        self._pulses: dict[str, _Pulse] = {}
        self._ready = False
        self.targets: Mapping[str, Target] = MappingProxyType(self._targets)
        """As they are now, also after a change."""

    def start(self) -> None:
        """Begin to poll, on the running loop."""
        for target in self._targets.values():
            self._begin(target)
        self._schedule.start()
        if not self._targets:
            gc.enable()  # off from the start of the process to the end of the first poll, and there is none

    @property
    def healthy(self) -> bool:
        """Whether polls go on. One target that hangs is a matter of its own metrics: a restart would hit the others."""
        if not self._schedule.running:
            return False
        return not self._pulses or any(pulse.beats for pulse in self._pulses.values())

    @property
    def ready(self) -> bool:
        """Whether the first poll of each target has ended, whatever its outcome. Stays so when targets are added."""
        self._ready = self._ready or all(each.store.current.account.attempts for each in self._targets.values())
        return self._ready

    def touch(self) -> None:
        """Note that what is told of the configuration has changed."""
        for target in self._targets.values():
            target.store.touch()

    async def change(self, targets: Mapping[str, Settings]) -> Change:
        """Watch these from now on. What is watched already in the same way goes on untouched."""
        now = self._targets
        change = Change(
            added=tuple(name for name in targets if name not in now),
            removed=tuple(name for name in now if name not in targets),
            changed=tuple(
                name for name, each in targets.items() if name in now and not each.watches_like(now[name].settings)
            ),
        )
        done = await asyncio.gather(
            *(self._remove(now[name]) for name in change.removed),
            *(self._replace(now[name], targets[name]) for name in change.changed),
            *(self._add(name, targets[name]) for name in change.added),
            return_exceptions=True,  # a fault of ours with one of them must not leave the others half done
        )
        for fault in done:
            if fault is not None:
                raise fault
        if change.removed or change.changed:
            # What polls remember refers to itself, and what was left out of the search for garbage is never found.
            heap.refreeze()
        gc.enable()  # none of those that are left may be due for its first poll
        return change

    async def stop(self) -> None:
        """Stop the timer and break off the polls that are under way."""
        await self._schedule.stop()

    async def close(self) -> None:
        """Write what is remembered, and close everything. After :meth:`stop`."""
        await asyncio.gather(*(target.close() for target in self._targets.values()))

    def _skipped(self, job: str) -> None:
        kind, _, name = job.partition(" ")
        if kind == "poll":
            self._targets[name].store.skip()

    def _begin(self, target: Target, *, inventory_at_once: bool = False) -> None:
        name, settings = target.name, target.settings
        # The only one is polled at once, and each other at its own moment.
        delay = moment(name) * min(settings.poll.interval, _SPREAD_SECONDS) if name else 0.0
        pulse = self._pulses[name] = _Pulse(settings, self._clock, delay)

        async def poll() -> None:
            with about(name):
                await target.corridor.poll()
                pulse.beat()
                await asyncio.to_thread(target.exposition.prepare)

        self._schedule.every(settings.poll.interval, _job("poll", name), poll, at_once=True, delay=delay)
        reader = target.reader
        if reader is None:
            return

        async def inventory() -> None:
            with about(name):
                await reader.read()
                target.store.touch()

        # The first pass is the first poll's: it waits for it before it publishes.
        interval, job = settings.inventory.interval, _job("inventory", name)
        self._schedule.every(interval, job, inventory, at_once=inventory_at_once, delay=delay)

    async def _end(self, name: str) -> None:
        await self._schedule.remove(_job("inventory", name), 0.0)
        await self._schedule.remove(_job("poll", name), _PATIENCE_SECONDS)

    async def _add(self, name: str, settings: Settings) -> None:
        self._targets[name] = await asyncio.to_thread(build, settings, self._clock, name=name, in_force=self._in_force)
        self._begin(self._targets[name])

    async def _remove(self, target: Target) -> None:
        await self._end(target.name)
        del self._targets[target.name], self._pulses[target.name]
        await target.close()

    async def _replace(self, before: Target, settings: Settings) -> None:
        interrupted = before.reader is not None and before.reader.busy
        await self._end(before.name)
        with about(before.name):
            await before.corridor.close()
        after = await asyncio.to_thread(succeed, before, settings, self._clock, self._in_force)
        self._targets[before.name] = after
        self._begin(after, inventory_at_once=interrupted)
        if after.client is not before.client:
            await before.client.close()


def _job(kind: str, name: str) -> str:
    return f"{kind} {name}" if name else kind


class _Pulse:
    """When the last poll ended, whatever its outcome: a loop that no longer polls is dead."""

    def __init__(self, settings: Settings, clock: Clock, delay: float) -> None:
        self._clock = clock
        self._patience = 3 * settings.poll.interval + settings.poll.timeout + 2 * INVENTORY_BUDGET_SECONDS
        self._last = clock.monotonic() + delay

    def beat(self) -> None:
        """Note that a poll has ended."""
        self._last = self._clock.monotonic()

    @property
    def beats(self) -> bool:
        """Whether the last poll is not too long ago."""
        return self._clock.monotonic() - self._last <= self._patience
