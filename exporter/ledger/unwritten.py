"""Jobs that Milvus lists as failed before it has written how they ended (docs/milvus.md, "States")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import Final

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import Ended, Stage
from exporter.model import Collection

FINAL_AFTER_SECONDS: Final = 20.0
"""Milvus writes the end within one tick of its checker, which are 10 s. One more for a slow metadata store."""
CLASS_AFTER_SECONDS: Final = 60.0
"""A counter cannot take back a class, so the counters by class wait longer for the reason."""


class Unwritten:
    """Decides by time, not by polls, when such a record is taken as final."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        waiting = (Stage.HALF_WRITTEN, Stage.UNCLASSIFIED)
        self._ids = {job_id for job_id, ended in memory.ended.items() if ended.stage in waiting}

    def add(self, job_id: int) -> None:
        """Wait for the rest of a job's record."""
        self._ids.add(job_id)

    def remove(self, job_id: int) -> None:
        """Wait no longer: it has been written, or the job is forgotten."""
        self._ids.discard(job_id)

    def given_up(self, now: float, covers: Callable[[Collection], bool]) -> Iterator[Ended]:
        """Yield jobs that have ended, as far as anybody will ever know, when we first saw them.

        ``covers`` tells of which collections this listing would have brought news.
        """
        for ended, waited in self._waiting(Stage.HALF_WRITTEN, now):
            if waited >= FINAL_AFTER_SECONDS and covers(ended.collection):
                yield final(ended)

    def unclassified(self, now: float, covers: Callable[[Collection], bool]) -> Iterator[Ended]:
        """Yield counted jobs whose reason has not come in time."""
        for ended, waited in self._waiting(Stage.UNCLASSIFIED, now):
            if waited >= CLASS_AFTER_SECONDS and covers(ended.collection):
                yield ended

    def unclassified_in(self, collections: Set[Collection]) -> tuple[Ended, ...]:
        """Return the counted jobs of some collections whose reason has not come yet."""
        known = map(self._memory.ended.__getitem__, sorted(self._ids))
        return tuple(e for e in known if e.stage is Stage.UNCLASSIFIED and e.collection in collections)

    def _waiting(self, stage: Stage, now: float) -> Iterator[tuple[Ended, float]]:
        for job_id in sorted(self._ids):
            ended = self._memory.ended[job_id]
            if ended.stage is stage:
                # A clock that has been set back must not make anybody wait for it to come round again.
                waited = now - ended.seen
                yield ended, waited if waited >= 0 else CLASS_AFTER_SECONDS


def final(ended: Ended) -> Ended:
    """Return a half-written job as ended when we first saw it so."""
    return ended._replace(job=ended.job._replace(end=ended.seen, half_written=False), stage=Stage.UNCLASSIFIED)
