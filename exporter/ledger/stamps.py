"""When a job began and ended, by a clock that may differ from ours: capped at the moment when we first saw it."""

from __future__ import annotations

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import Stage
from exporter.model import Job


def dated(job: Job, memory: Memory, now: float) -> Job:
    """Return a listed job with stamps that the past allows. ``now`` in epoch seconds: when the listing arrived.

    Milvus's clock can be hours ahead of ours. A job cannot have ended after we saw that it had, so a later end is
    taken as that moment, and the start moves with it: the run time stays what Milvus measured. Otherwise one success
    from the future would hide every failure until then.
    """
    known = memory.ended.get(job.job_id)
    if job.half_written and known is not None and known.stage is not Stage.HALF_WRITTEN:
        return known.job  # it has been taken, so we know at least as much of it
    if job.end is None:
        running = memory.running.get(job.job_id)
        job = _begun(job, known.job.start if known else running.start if running else None, now)
        dateless = not job.state.ended or job.half_written
        return job if dateless else job._replace(end=now if known is None else known.end)
    ahead = job.end - (now if known is None or known.undated else known.seen)
    if ahead <= 0:
        return job
    return job._replace(end=job.end - ahead, start=None if job.start is None else job.start - ahead)


def _begun(job: Job, first: float | None, now: float) -> Job:
    """Return a job whose end is not known. Its start stays what it was at ``first`` sight, if it was known then."""
    start = first if first is not None else None if job.start is None else min(job.start, now)
    return job if start == job.start else job._replace(start=start)
