"""When a job began and ended, by a clock that may differ from ours: capped at the moment when we first saw it."""

from __future__ import annotations

from typing import Final

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import Stage
from exporter.model import Job

_MAX_SET_BACK: Final = 86_400.0
"""A clock that has been set back by more had been wrong before, in seconds."""


class Sight:
    """When we saw something, by a clock of ours that may be set back: then the latest moment that it had shown.

    Otherwise a failure after that would be taken to have ended before a success that we saw earlier, and be hidden.
    """

    def __init__(self) -> None:
        self._latest = float("-inf")

    def at(self, now: float) -> float:
        """Return the moment for a listing that came at ``now``; both in epoch seconds."""
        self._latest = now if self._latest - now > _MAX_SET_BACK else max(self._latest, now)
        return self._latest


def dated(job: Job, memory: Memory, now: float, sight: float) -> Job:
    """Return a listed job with stamps that the past allows. ``now`` in epoch seconds: when the listing arrived.

    ``sight`` is the same, by :class:`Sight`.

    Milvus's clock can be hours ahead of ours. A job cannot have ended after we saw that it had, so a later end is
    taken as that moment, and the start moves with it: the run time stays what Milvus measured. Otherwise one success
    from the future would hide every failure until then.
    """
    known = memory.ended.get(job.job_id)
    if job.half_written and known is not None and known.stage is not Stage.HALF_WRITTEN:
        return known.job  # we know at least as much of it
    if job.end is None:
        job = _begun(job, memory, sight)
        dateless = not job.state.ended or job.half_written
        return job if dateless else job._replace(end=now if known is None else known.end)
    ahead = job.end - (sight if known is None or known.undated else known.seen)
    if ahead <= 0:
        return job
    return job._replace(end=job.end - ahead, start=None if job.start is None else job.start - ahead)


def _begun(job: Job, memory: Memory, sight: float) -> Job:
    """Return a job without a known end. Its start stays what it was at first sight, as far as it was known then."""
    running, ended = memory.running.get(job.job_id), memory.ended.get(job.job_id)
    first = running.start if running is not None else ended.job.start if ended is not None else None
    start = first if first is not None else None if job.start is None else min(job.start, sight)
    return job if start == job.start else job._replace(start=start)
