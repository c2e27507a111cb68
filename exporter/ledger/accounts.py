"""Outcomes by collection and totals by database, kept in step with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import DatabaseTotals, Ended, Outcomes, Stage
from exporter.model import Collection, State


class Accounts:
    """Writes ``memory.outcomes`` and ``memory.databases``.

    ``counts`` tells which collections enter the totals of a database.
    """

    def __init__(self, memory: Memory, counts: Callable[[Collection], bool]) -> None:
        self._memory = memory
        self._counts = counts
        self._unshown = {collection for collection, outcomes in memory.outcomes.items() if not outcomes.shown}
        self.dirty: set[Collection] = set(memory.outcomes)
        """Collections whose outcomes have changed; cleared by whoever reads them."""

    def of(self, collection: Collection) -> Outcomes:
        """Return the outcomes of a collection; a new one's counters stand at 0."""
        outcomes = self._memory.outcomes.get(collection)
        if outcomes is None:
            outcomes = self._memory.outcomes[collection] = Outcomes()
            self._unshown.add(collection)
            self.dirty.add(collection)
            if self._counts(collection):
                self._memory.databases.setdefault(collection.database, DatabaseTotals())
        return outcomes

    def enter(self, ended: Ended) -> None:
        """Take a job into the outcomes of its collection."""
        self.of(ended.collection).add(ended)
        self.dirty.add(ended.collection)

    def count(self, ended: Ended, sign: int = 1) -> None:
        """Take a job into the totals of its database; with ``sign`` -1 take it out again."""
        if self._counts(ended.collection):
            self._memory.databases.setdefault(ended.collection.database, DatabaseTotals()).add(ended, sign)

    def rebuild(self, collections: Iterable[Collection]) -> None:
        """Derive the facts of collections again from the jobs that are known."""
        outcomes = self._memory.outcomes
        jobs: dict[Collection, list[Ended]] = {c: [] for c in collections if c in outcomes}
        if not jobs:
            return
        for ended in self._memory.ended.values():
            if ended.collection in jobs and ended.in_outcomes:
                jobs[ended.collection].append(ended)
        for collection, known in jobs.items():
            outcomes[collection].rebuild(known)
        self.dirty.update(jobs)

    def move(self, ended: Ended, to: Collection) -> Ended:
        """Move one ended job to another collection, with what it counts for; the facts are rebuilt later."""
        # What was dropped with its collection counts again, since it was another one's.
        stage = _before_the_drop(ended) if ended.stage is Stage.DROPPED else ended.stage
        moved = self._memory.ended[ended.job.job_id] = ended._replace(collection=to, stage=stage)
        outcomes = self.of(to)
        if ended.stage is Stage.HALF_WRITTEN:
            return moved
        self.count(ended, -1)
        self.count(moved)
        outcomes.count(moved)
        outcomes.seen = max(outcomes.seen, moved.end)
        if ended.in_outcomes and (former := self._memory.outcomes.get(ended.collection)) is not None:
            former.count(ended, -1)
        return moved

    def settle(self, moves: Mapping[Collection, set[Collection]], present: set[Collection]) -> None:
        """Finish moves of jobs, given as takers by former collection. ``present`` are the former ones that stay."""
        for former, takers in moves.items():
            outcomes = self._memory.outcomes.get(former)
            for taker in takers:
                self.of(taker)
            if outcomes is not None and not former.collection_id and former not in present:
                # What is older than all known ids goes with them if these went one way. Not so from a collection that
                # was known: its successor under the same name begins with nothing.
                del self._memory.outcomes[former]
                if len(takers) == 1:
                    self.of(next(iter(takers))).merge(outcomes)
            self._unshown.add(former)
            self.dirty.update((former, *takers))
            self._drop_empty_database(former.database)
        self.rebuild({*moves, *(taker for takers in moves.values() for taker in takers)})

    def rename(self, old: Collection, new: Collection) -> None:
        """Keep the outcomes of a collection under its new name."""
        self.dirty.update((old, new))
        outcomes = self._memory.outcomes.pop(old, None)
        if outcomes is not None:
            self.of(new).merge(outcomes)
        self._drop_empty_database(old.database)

    def forget(self, collections: Iterable[Collection]) -> None:
        """Forget the outcomes of collections; their jobs stay known by id, so that they are never counted again."""
        memory = self._memory
        gone = {collection for collection in collections if memory.outcomes.pop(collection, None) is not None}
        if not gone:
            return
        for job_id, ended in memory.ended.items():
            if ended.collection in gone and ended.in_outcomes:
                memory.ended[job_id] = ended._replace(stage=Stage.DROPPED)
        self.dirty.update(gone)
        for database in {collection.database for collection in gone}:
            self._drop_empty_database(database)

    def mark_shown(self) -> None:
        """Note that a snapshot with all counters as they stood has been published."""
        for collection in self._unshown:
            outcomes = self._memory.outcomes.get(collection)
            if outcomes is not None and not outcomes.shown:
                outcomes.shown = True
                self.dirty.add(collection)
        self._unshown.clear()
        for totals in self._memory.databases.values():
            totals.shown = True

    def _drop_empty_database(self, database: str) -> None:
        if not any(collection.database == database for collection in self._memory.outcomes):
            self._memory.databases.pop(database, None)


def _before_the_drop(ended: Ended) -> Stage:
    waits = ended.job.state is State.FAILED and ended.classed is None
    return Stage.UNCLASSIFIED if waits else Stage.COUNTED
