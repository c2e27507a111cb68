"""Jobs of a Milvus made of pymilvus's servicer, moved on step by step by a test, and what they come to in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from peers.pymilvus_server import COMPLETED, FAILED, IN_PROGRESS, PymilvusServer, databases, job

DATABASE = "lake"


@dataclass
class Truth:
    """What somebody who looks later knows of one collection: how its jobs ended, in the order in which they did."""

    ended: list[tuple[int, int]] = field(default_factory=list)
    """Job id and state."""
    looked_failed: set[int] = field(default_factory=set)
    """Jobs that looked failed for so long that they were taken for it."""

    @property
    def finished(self) -> int:
        return len(self.ended)

    @property
    def failed(self) -> int:
        return len({number for number, state in self.ended if state == FAILED} | self.looked_failed)

    @property
    def in_a_row(self) -> int:
        states = [state for _, state in reversed(self.ended)]
        return states.index(COMPLETED) if COMPLETED in states else len(states)


class JobWorld:
    """The jobs of some collections, one at a time each.

    ``ahead`` is by how many seconds Milvus's clock is ahead of ``clock``.
    """

    def __init__(self, server: PymilvusServer, *collections: str, clock: Callable[[], float] = time.time) -> None:
        self.truth = {name: Truth() for name in collections}
        self.ahead = 0.0
        self._server, self._clock = server, clock
        self._jobs: dict[int, dict[str, Any]] = {}
        self._running: dict[str, int] = {}
        self._left_out: set[int] = set()
        server.set(databases=databases(**{DATABASE: list(collections)}))
        server.set_jobs()

    @property
    def now(self) -> int:
        """Milvus's clock, in milliseconds."""
        return round((self._clock() + self.ahead) * 1000)

    def start(self, name: str, *, seconds_ago: float = 0.0) -> int:
        number = len(self._jobs) + 1
        fields = job(number, name, IN_PROGRESS, database=DATABASE, start_time=self.now - round(seconds_ago * 1000))
        self._jobs[number] = fields
        self._running[name] = number
        self._show()
        return int(fields["job_id"])

    def half_fail(self, name: str) -> None:
        """A task has failed, and the job is not stored yet: no end and no reason."""
        self._change(name, state=FAILED)

    def fail(self, name: str, reason: str) -> None:
        self._end(name, state=FAILED, reason=reason, end_time=self.now)

    def complete(self, name: str) -> None:
        self._end(name, state=COMPLETED, progress=100, end_time=self.now)

    def took_for_failed(self, name: str) -> None:
        """Note that the running job has looked failed for long enough to be counted as such, however it ends."""
        self.truth[name].looked_failed.add(self._jobs[self._running[name]]["job_id"])

    def leave_out(self, *names: str) -> None:
        """List no job of these collections."""
        self._left_out = {number for number, each in self._jobs.items() if each["collection_name"] in names}
        self._show()

    def list_all(self) -> None:
        self._left_out = set()
        self._show()

    def _end(self, name: str, **fields: Any) -> None:
        number = self._jobs[self._running[name]]["job_id"]
        self._change(name, **fields)
        del self._running[name]
        self.truth[name].ended.append((number, fields["state"]))

    def _change(self, name: str, **fields: Any) -> None:
        self._jobs[self._running[name]].update(fields)
        self._show()

    def _show(self) -> None:
        self._server.set_jobs(*(each for number, each in self._jobs.items() if number not in self._left_out))
