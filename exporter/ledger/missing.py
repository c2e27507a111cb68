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
        self._since: dict[int, float] | None = None
        """By job id, the earliest first; None until a restored memory has met its first whole listing."""

    def add(self, job_id: int, now: float) -> None:
        """Note a job that this listing lacks. ``now`` in epoch seconds."""
        self._mark(job_id, now)
        if self._since is not None:
            self._since[job_id] = now

    def found(self, job_ids: Iterable[int]) -> None:
        """Note jobs that are listed."""
        if self._since is None:
            for job_id in job_ids:
                self._mark(job_id, None)
            return
        if self._since:
            for job_id in job_ids:
                if self._since.pop(job_id, None) is not None:
                    self._mark(job_id, None)

    def overdue(self, board: Board, now: float) -> Iterator[int]:
        """Yield jobs that need not be remembered any longer. After a whole listing, which ``board`` shows."""
        if self._since is None:
            self._since = self._restored(board, now)
        for job_id, since in list(self._since.items()):
            if now - since < self._retention:
                break
            del self._since[job_id]
            yield job_id

    def _restored(self, board: Board, now: float) -> dict[int, float]:
        """Return what a restored memory knows and the listing lacks: some may have left before we came."""
        missed: dict[int, float] = {}
        for known in (self._memory.running, self._memory.ended):
            for job_id, job in known.items():
                if job_id not in board:
                    missed[job_id] = now if job.missed is None else job.missed
        for job_id, since in missed.items():
            self._mark(job_id, since)
        return dict(sorted(missed.items(), key=lambda item: item[1]))

    def _mark(self, job_id: int, since: float | None) -> None:
        memory = self._memory
        ended, running = memory.ended.get(job_id), memory.running.get(job_id)
        if ended is not None and ended.missed != since:
            memory.ended[job_id] = ended._replace(missed=since)
        if running is not None and running.missed != since:
            memory.running[job_id] = running._replace(missed=since)
