"""Whether a memory belongs to the Milvus that answers. Nothing on the wire names a Milvus, so its jobs must tell."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable

from exporter.ledger.memory import Memory
from exporter.model import Job


class Recognition:
    """Compares what a memory knew at first with what is listed. Make it before anything is added to the memory.

    An address alone says little: a Milvus can get another one, and in Kubernetes each cluster's has the same.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._collections = {collection.collection_id for collection in memory.outcomes} - {0}
        self._met: set[int] = set()
        """Ids that listings by name have brought into the memory."""

    def by_name(self, job_ids: Several[int], collection_ids: Several[int], address: str) -> bool | None:
        """Return what listings by name say, before they are entered; None where they say nothing.

        ``collection_ids`` are those that the inventory shows, ``address`` is where Milvus was reached.
        """
        if self._knows_one_of(job_ids):
            return True
        self._met.update(job_ids)
        if self._memory.milvus in ("", address) or not (job_ids or collection_ids):
            return None
        return not self._collections.isdisjoint(collection_ids)

    def whole(self, listed: Iterable[Job], collection_ids: Iterable[int], address: str, now: float) -> bool:
        """Return whether the memory can be of the Milvus whose first whole listing came at ``now`` (epoch seconds)."""
        jobs = list(listed)
        if self._knows_one_of(job.job_id for job in jobs):
            return True
        # What ended before a job that we know would have been listed beside it, and be known.
        latest = self._latest(now)
        if any(job.end is not None and job.end < latest for job in jobs):
            return False
        return not self._collections.isdisjoint(collection_ids) or self._memory.milvus in ("", address)

    def _latest(self, now: float) -> float:
        """Return the latest end that was known at first, but for those that a clock of ours which was wrong has set."""
        known = (ended for id_, ended in self._memory.ended.items() if id_ not in self._met)
        return max((ended.end for ended in known if not ended.undated and ended.end <= now), default=float("-inf"))

    def _knows_one_of(self, job_ids: Iterable[int]) -> bool:
        memory, met = self._memory, self._met
        return any((id_ in memory.ended or id_ in memory.running) and id_ not in met for id_ in job_ids)
