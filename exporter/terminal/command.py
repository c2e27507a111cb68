"""``jobs``: ask Milvus, show what it says, and with ``--watch`` go on doing so."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from exporter.clock import SystemClock
from exporter.config import Poll
from exporter.terminal.asking import Connection, Listing
from exporter.terminal.choice import Choice, choice_of
from exporter.terminal.display import Display
from exporter.terminal.visible import bear_everything, visible

if TYPE_CHECKING:
    import argparse

    from exporter.config import Settings

_WATCHED_EVERY: Final = "5s"
"""A poll of a daemon need not be so quick; somebody who watches wants to see it move."""


def jobs(target: str, settings: Settings, flags: argparse.Namespace) -> str:
    """Show the jobs of one Milvus as the flags say. Returns why it cannot be asked, "" where it can.

    Raises :class:`exporter.errors.UsageError` for flags that make no sense.
    """
    choice = choice_of(flags)
    bear_everything(sys.stdout)
    with _unlogged() if settings.log.level != "debug" else nullcontext():
        return asyncio.run(_jobs(target, _quick(settings) if choice.watch else settings, choice))


async def _jobs(target: str, settings: Settings, choice: Choice) -> str:
    clock = SystemClock()
    connection = Connection(settings, clock)
    try:
        listing = await connection.ask()
        if not listing.up:
            return f"{visible(listing.why)} ({listing.kind}); try: milvus-refresh-exporter check"
        display = Display(target, settings, choice, clock)
        if not choice.watch:
            display.show(listing)
            return ""
        with display.screen():
            display.show(listing)
            await _until_stopped(_watch(connection, display.show, settings.poll.interval))
        return ""
    finally:
        await connection.close()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Log nothing of polls and the inventory: what they have to say is on the screen, or the sentence at the end."""
    loggers = [logging.getLogger(name) for name in ("exporter.poll", "exporter.inventory")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def _watch(connection: Connection, show: Callable[[Listing], None], every: float) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + every, loop.time())
        await asyncio.sleep(due - loop.time())
        show(await connection.ask())


async def _until_stopped(work: Awaitable[None]) -> None:
    """Do the work until SIGINT or SIGTERM: the terminal is to be left as it was found."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    stops = (signal.SIGINT, signal.SIGTERM)
    for number in stops:
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
    finally:
        for number in stops:
            loop.remove_signal_handler(number)


def _quick(settings: Settings) -> Settings:
    poll = settings.poll
    if "interval" in poll.model_fields_set:
        return settings
    poll = Poll.model_validate({"interval": _WATCHED_EVERY, **poll.model_dump(exclude_unset=True)})
    return settings.model_copy(update={"poll": poll})
