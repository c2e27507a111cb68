"""Jobs that have left the listing: they may come back, and must not be counted again then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporter.ledger.board import Board
from exporter.ledger.memory import Memory


class Missing:
    """Remembers, by our own clock, since when each job has been missing.

    Milvus lists an ended job for ``retention`` seconds after its end by its own clock, which may differ from ours by
    hours, and for longer where it is configured so. What has been missing for that long by our clock cannot come back.
    """

    def __init__(self, memory: Memory, retention: float) -> None:
        self._memory = memory
        self._retention = retention
        missed: dict[int, float] = {}
        for known in (memory.running, memory.ended):
            missed.update((job_id, job.missed) for job_id, job in known.items() if job.missed is not None)
        self._since = dict(sorted(missed.items(), key=lambda item: item[1]))
        """By job id, the earliest first."""
        self._latest = max(self._since.values(), default=float("-inf"))
        self._met_all = False
        """Whether a whole listing has been met: a restored memory may hold jobs that left before we came."""

    def add(self, job_id: int, now: float) -> None:
        """Note a job that this listing lacks, unless the last one lacked it too. ``now`` in epoch seconds."""
        if job_id in self._since:
            return
        self._set_back_to(now)
        self._since[job_id] = self._latest = now
        self._mark(job_id, now)

    def found(self, job_ids: Iterable[int]) -> None:
        """Note jobs that are listed."""
        if self._since:
            for job_id in job_ids:
                if self._since.pop(job_id, None) is not None:
                    self._mark(job_id, None)

    def meet(self, board: Board, now: float) -> None:
        """Take a whole listing, which ``board`` shows: what is known and not in it is missing."""
        if self._met_all:
            return
        self._met_all = True
        for known in (self._memory.running, self._memory.ended):
            for job_id in [job_id for job_id in known if job_id not in board]:
                self.add(job_id, now)

    def overdue(self, now: float) -> Iterator[int]:
        """Yield jobs that need not be remembered any longer."""
        self._set_back_to(now)
        for job_id, since in list(self._since.items()):
            if now - since < self._retention:
                break
            del self._since[job_id]
            yield job_id

    def _set_back_to(self, now: float) -> None:
        """Bring moments that have yet to come back to now: a clock that was set back need not come round again."""
        if now >= self._latest:
            return
        self._latest = now
        for job_id, since in self._since.items():
            if since > now:
                self._since[job_id] = now
                self._mark(job_id, now)

    def _mark(self, job_id: int, since: float | None) -> None:
        memory = self._memory
        ended, running = memory.ended.get(job_id), memory.running.get(job_id)
        if ended is not None and ended.missed != since:
            memory.ended[job_id] = ended._replace(missed=since)
        if running is not None and running.missed != since:
            memory.running[job_id] = running._replace(missed=since)
