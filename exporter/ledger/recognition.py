"""Whether a memory belongs to the Milvus that answers. Nothing on the wire names a Milvus, so its jobs must tell."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.ledger.memory import Memory
from exporter.model import Job


def is_of_this_milvus(memory: Memory, listed: Iterable[Job], collection_ids: Iterable[int], address: str) -> bool:
    """Return whether ``memory`` can be of the Milvus whose first whole listing this is.

    ``collection_ids`` are those that its inventory shows, ``address`` is where it was reached. An address alone says
    little: a Milvus can get another one, and in Kubernetes each cluster's has the same.
    """
    jobs = list(listed)
    if any(job.job_id in memory.ended or job.job_id in memory.running for job in jobs):
        return True
    # What ended before a job that we know would have been listed beside it, and be known.
    latest = max((ended.end for ended in memory.ended.values()), default=float("-inf"))
    if any(job.end is not None and job.end < latest for job in jobs):
        return False
    remembered = {collection.collection_id for collection in memory.outcomes} - {0}
    if not remembered.isdisjoint(collection_ids):
        return True
    return memory.milvus in ("", address)
