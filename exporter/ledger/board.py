"""The listing as it stands: jobs by collection, and when each was last listed. Gone with the next whole listing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.model import Collection, Job


@dataclass(slots=True)
class Group:
    """The listed jobs of one collection."""

    collection: Collection
    jobs: dict[int, Job] = field(default_factory=dict)
    changed: dict[int, float] = field(default_factory=dict)
    """By job id, epoch seconds when we last saw the job, its state or its progress change."""
    listed: float = float("-inf")
    """When the last listing by name covered the collection, on the monotonic clock in seconds; see ``Board.whole``."""
    turn: int = 0
    """The last :meth:`Board.put` that brought a job of it."""


class Board:
    """Jobs by collection; every change marks its collection as dirty."""

    def __init__(self) -> None:
        self.groups: dict[Collection, Group] = {}
        self.dirty: set[Collection] = set()
        self.whole = float("-inf")
        """When the last whole listing was, on the monotonic clock in seconds."""
        self.unlisted: frozenset[Collection] = frozenset()
        """Collections that the last poll could not list."""
        self._where: dict[int, Group] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._where

    def put(self, placed: Iterable[tuple[Job, Collection]], now: float) -> list[Collection]:
        """Set the records of jobs, each in its collection. Returns these collections.

        One loop without a call of ours for each job: of a first listing it sees every one.
        """
        where, touched = self._where, []
        self._turn = turn = self._turn + 1
        for job, collection in placed:
            job_id, _, state, progress, *_ = job
            group = where.get(job_id)
            if group is None or (group.collection is not collection and group.collection != collection):
                group = self._place(job_id, collection)
            jobs = group.jobs
            known = jobs.get(job_id)
            if known is None or known[2] is not state or known[3] != progress:
                group.changed[job_id] = now
            jobs[job_id] = job
            if group.turn != turn:
                group.turn = turn
                touched.append(group.collection)
        self.dirty.update(touched)
        return touched

    def _place(self, job_id: int, collection: Collection) -> Group:
        """Return the group of a collection, and have a job in it that is new or was elsewhere."""
        self.move(job_id, collection)
        group = self._where[job_id] = self.groups.get(collection) or self._begin(collection)
        return group

    def job(self, job_id: int) -> tuple[Job, Collection]:
        """Return a listed job and where it is. Raises KeyError for an unknown id."""
        group = self._where[job_id]
        return group.jobs[job_id], group.collection

    def set_end(self, job_id: int, end: float) -> None:
        """Give an ended job the end that its record lacks."""
        group = self._where[job_id]
        group.jobs[job_id] = group.jobs[job_id]._replace(end=end, half_written=False)
        self.dirty.add(group.collection)

    def remove(self, job_id: int) -> Collection | None:
        """Drop a job that has left the listing. Returns where it was."""
        group = self._where.pop(job_id, None)
        if group is None:
            return None
        del group.jobs[job_id]
        del group.changed[job_id]
        self._changed(group)
        return group.collection

    def move(self, job_id: int, to: Collection) -> Collection | None:
        """Move one job to another collection. Returns where it was, None for an unknown id."""
        old = self._where.get(job_id)
        if old is None:
            return None
        if old.collection != to:
            new = self._where[job_id] = self.groups.get(to) or self._begin(to, old.listed)
            new.jobs[job_id] = old.jobs.pop(job_id)
            new.changed[job_id] = old.changed.pop(job_id)
            self._changed(old)
            self._changed(new)
        return old.collection

    def _begin(self, collection: Collection, listed: float = float("-inf")) -> Group:
        group = self.groups[collection] = Group(collection, listed=listed)
        return group

    def _changed(self, group: Group) -> None:
        self.dirty.add(group.collection)
        if not group.jobs:
            del self.groups[group.collection]

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
