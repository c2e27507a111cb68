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
    if not job.state.ended:
        return _begun(job, memory, now)
    known = memory.ended.get(job.job_id)
    if job.half_written:
        # Once it has been taken, we know at least as much of it.
        return job if known is None or known.stage is Stage.HALF_WRITTEN else known.job
    if job.end is None:
        return job._replace(end=now if known is None else known.end)
    ahead = job.end - (now if known is None or known.undated else known.seen)
    if ahead <= 0:
        return job
    return job._replace(end=job.end - ahead, start=None if job.start is None else job.start - ahead)


def _begun(job: Job, memory: Memory, now: float) -> Job:
    """Return a job that is under way. Its start stays what it was at first sight, as far as it was known then."""
    known = memory.running.get(job.job_id)
    first = known.start if known is not None else None
    start = first if first is not None else None if job.start is None else min(job.start, now)
    return job if start == job.start else job._replace(start=start)
