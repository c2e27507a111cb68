"""What `run` builds for one Milvus, inside the test's own process and on a hand-turned clock, over real gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from builders import Clock

from exporter.config import Settings
from exporter.target import build
from peers.exporter import Samples

INTERVAL = 30.0
"""By the hand-turned clock. Calls have a timeout of real time."""


@dataclass(frozen=True)
class Footprint:
    """What a leak would make grow: asyncio's tasks, threads of Python's, sockets."""

    tasks: int
    threads: int
    sockets: int

    def __le__(self, other: Footprint) -> bool:
        """Whether nothing has grown. A loop's pool of threads fills up by and by, and is bounded."""
        pool = min(32, (os.cpu_count() or 1) + 4)
        grown = (self.tasks - other.tasks, self.threads - other.threads - pool, self.sockets - other.sockets)
        return max(grown) <= 0


class Watched:
    """One target on a loop of its own or on ``runner``. Use as a context manager; ``sections`` are settings."""

    def __init__(self, uri: str, clock: Clock, *, runner: asyncio.Runner | None = None, **sections: Any) -> None:
        self.clock = clock
        poll = {"interval": "1s", "timeout": "500ms", "stale_after": "90s", **sections.pop("poll", {})}
        milvus = {"uri": uri, **sections.pop("milvus", {})}
        self.settings = Settings.model_validate({"milvus": milvus, "poll": poll, **sections})
        self._runner, self._lent = runner or asyncio.Runner(), runner is not None

    def __enter__(self) -> Self:
        self.target = build(self.settings, self.clock)
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.target.close())
        if not self._lent:
            self._runner.close()

    def poll(self, times: int = 1, every: float = INTERVAL) -> Samples:
        """Let an interval pass and poll, as often as told. Returns what a scrape then shows."""
        for _ in range(times):
            self.clock.turn(every)
            self._runner.run(self.target.corridor.poll())
        return self.scrape()

    def read_inventory(self) -> None:
        """Make the inventory's own pass."""
        assert self.target.reader is not None
        self._runner.run(self.target.reader.read())
        self.target.store.touch()

    def scrape(self) -> Samples:
        return Samples.of(b"".join(self.target.exposition.body().chunks).decode())

    def footprint(self) -> Footprint:
        async def tasks() -> int:
            for _ in range(50):  # what has ended goes with the next turns of the loop
                await asyncio.sleep(0)
            return len(asyncio.all_tasks())

        return Footprint(self._runner.run(tasks()), threading.active_count(), sockets())


def sockets() -> int:
    """Return how many sockets this process holds."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            found += str(each.readlink()).startswith("socket:")
    return found
