"""Reading the configuration again: all of it takes effect, or nothing does and the faults are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from exporter import log as logs
from exporter.clock import Clock
from exporter.errors import UsageError
from exporter.fleet import Fleet, share
from exporter.target import InForce

if TYPE_CHECKING:
    from exporter.config import Settings

Reread = Callable[[], "Settings"]
"""Reads the configuration from where it came from. Raises :class:`exporter.errors.UsageError`."""

_FIXED: Final = (
    ("web", "listen_address"),
    ("web", "config_file"),
    ("web", "telemetry_path"),
    ("web", "runbooks_url"),
    ("state", "path"),
)
"""What is settled by the start: sockets are bound, files are locked, paths are told to others."""

log = logging.getLogger("exporter.reload")


class Reloader:
    """Owns the settings in force. ``reread_web`` reads again what ``web.config_file`` names; returns the faults."""

    def __init__(
        self,
        settings: Settings,
        reread: Reread,
        fleet: Fleet,
        *,
        in_force: InForce,
        clock: Clock,
        reread_web: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.settings = settings
        self._reread = reread
        self._fleet = fleet
        self._in_force = in_force
        self._clock = clock
        self._reread_web = reread_web
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> Sequence[str]:
        """Read everything again. Returns the faults; with any, everything stays as it was. One after the other."""
        async with self._one_at_a_time:
            loaded = self._clock.wall()
            try:
                settings = await asyncio.to_thread(self._reread)
                faults = (
                    lost(self.settings, settings)
                    or (*unchangeable(self.settings, settings),)
                    or tuple(self._reread_web())
                )
            except UsageError as refused:
                faults = refused.faults
            if faults:
                self._in_force.good = False
                log.error("the configuration cannot be taken over, the one before stays: %s", "; ".join(faults))
            else:
                try:
                    await self._take_over(settings, loaded)
                except Exception:
                    self._in_force.good = False
                    raise
            self._fleet.touch()
            return faults

    async def _take_over(self, settings: Settings, loaded: float) -> None:
        logs.configure(settings.log.level, settings.log.format)
        change = await self._fleet.change(share(settings))
        self.settings = settings
        self._in_force.good, self._in_force.loaded = True, loaded
        named = {"added": change.added, "removed": change.removed, "changed": change.changed}
        log.info(
            "configuration reloaded",
            extra={what: ",".join(name or "milvus" for name in names) for what, names in named.items() if names},
        )


def lost(before: Settings, after: Settings) -> tuple[str, ...]:
    """Return a fault where the file has lost all that it held: something writes it, or has failed to."""
    if after.file_is_empty and not before.file_is_empty:
        return (f"{after.config.file}: config.file: sets nothing any more; restart to run without it",)
    return ()


def unchangeable(before: Settings, after: Settings) -> Iterator[str]:
    """Yield a fault for each setting that only a restart can change."""
    for section, name in _FIXED:
        was, wanted = (getattr(getattr(settings, section), name) for settings in (before, after))
        if was != wanted:
            yield f"{section}.{name}: cannot change without a restart; it stays {_written(was)}"
    if bool(before.targets) != bool(after.targets):
        now = "targets are" if before.targets else "a single Milvus is"
        yield f"targets: cannot begin or end without a restart; {now} watched"


def _written(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
