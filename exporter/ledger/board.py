"""The listing as it stands: jobs by collection, and when each was last listed. Gone with the next whole listing."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.model import Collection, Job


@dataclass(slots=True)
class Group:
    """The listed jobs of one collection."""

    jobs: dict[int, Job] = field(default_factory=dict)
    changed: dict[int, float] = field(default_factory=dict)
    """By job id, epoch seconds when we last saw the job, its state or its progress change."""
    listed: float = float("-inf")
    """When the last listing by name covered the collection, on the monotonic clock in seconds; see ``Board.whole``."""


class Board:
    """Jobs by collection; every change marks its collection as dirty."""

    def __init__(self) -> None:
        self.groups: dict[Collection, Group] = {}
        self.dirty: set[Collection] = set()
        self.whole = float("-inf")
        """When the last whole listing was, on the monotonic clock in seconds."""
        self.unlisted: frozenset[Collection] = frozenset()
        """Collections that the last poll could not list."""
        self._where: dict[int, Collection] = {}

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._where

    def put(self, job: Job, collection: Collection, now: float) -> None:
        """Set a job's record."""
        former = self._where.get(job.job_id)
        if former is not None and former != collection:
            self.move(job.job_id, collection)
        group = self.groups.get(collection)
        if group is None:
            group = self.groups[collection] = Group()
        known = group.jobs.get(job.job_id)
        if known is None or known.state is not job.state or known.progress != job.progress:
            group.changed[job.job_id] = now
        group.jobs[job.job_id] = job
        self._where[job.job_id] = collection
        self.dirty.add(collection)

    def job(self, job_id: int) -> tuple[Job, Collection]:
        """Return a listed job and where it is. Raises KeyError for an unknown id."""
        collection = self._where[job_id]
        return self.groups[collection].jobs[job_id], collection

    def set_end(self, job_id: int, end: float) -> None:
        """Give an ended job the end that its record lacks."""
        group = self.groups[self._where[job_id]]
        group.jobs[job_id] = group.jobs[job_id]._replace(end=end, half_written=False)

    def remove(self, job_id: int) -> Collection | None:
        """Drop a job that has left the listing. Returns where it was."""
        collection = self._where.pop(job_id, None)
        if collection is None:
            return None
        group = self.groups[collection]
        del group.jobs[job_id]
        del group.changed[job_id]
        self.dirty.add(collection)
        if not group.jobs:
            del self.groups[collection]
        return collection

    def move(self, job_id: int, to: Collection) -> Collection | None:
        """Move one job to another collection. Returns where it was, None for an unknown id."""
        former = self._where.get(job_id)
        if former is None or former == to:
            return former
        old = self.groups[former]
        new = self.groups.setdefault(to, Group(listed=old.listed))
        new.jobs[job_id] = old.jobs.pop(job_id)
        new.changed[job_id] = old.changed.pop(job_id)
        if not old.jobs:
            del self.groups[former]
        self._where[job_id] = to
        self.dirty.update((former, to))
        return former

    def all_ids(self) -> frozenset[int]:
        """Return the ids of all listed jobs."""
        return frozenset(self._where)

    def ids(self, collection: Collection) -> frozenset[int]:
        """Return the ids of a collection's listed jobs."""
        group = self.groups.get(collection)
        return frozenset(group.jobs) if group else frozenset()

    def listed_at(self, collection: Collection) -> float:
        """Return when the last listing covered the collection, on the monotonic clock in seconds."""
        group = self.groups.get(collection)
        return max(self.whole, group.listed) if group else self.whole
