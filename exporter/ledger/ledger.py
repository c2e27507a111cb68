"""The only step with memory of jobs: each ended job is counted once, whatever happens between two polls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from exporter.ledger.accounts import Accounts
from exporter.ledger.board import Board
from exporter.ledger.memory import Memory
from exporter.ledger.missing import Missing
from exporter.ledger.outcomes import Ended, Outcomes, Running, Stage
from exporter.ledger.stamps import Sight, dated
from exporter.ledger.unwritten import Unwritten, final
from exporter.model import Collection, FailureClass, Job, Problem, State

Placed = tuple[Job, Collection]


class Ledger:
    """Observe listings one after the other; read ``board`` and ``memory``.

    ``retention`` is how long Milvus lists an ended job, ``forget_after`` how long outcomes are kept of a collection
    that nobody can say to exist; both in seconds. ``counts`` tells which collections enter the totals of a database.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        retention: float,
        forget_after: float,
        counts: Callable[[Collection], bool] = lambda _: True,
    ) -> None:
        self.memory = memory
        self.board = Board()
        self.problems: Counter[Problem] = Counter()
        """Impossible values that only time has shown to be some, since they were last taken."""
        self._forget_after = forget_after
        self._accounts = Accounts(memory, counts)
        self._unwritten = Unwritten(memory)
        self._missing = Missing(memory, retention)
        self._sight = Sight()
        self._rewritten: set[Collection] = set()
        """Collections with a job of which Milvus now says something else than what was taken."""
        self._counted: list[Ended] = []
        """What this listing has brought into all counters."""
        self._forgotten: set[int] = set()
        self._next_sweep = float("-inf")
        """Epoch seconds before which no collection can have been idle for long enough, unless it has changed."""

    @property
    def dirty(self) -> set[Collection]:
        """Return collections whose outcomes have changed, to be cleared; of their listed jobs the board knows."""
        return self._accounts.dirty

    def know(self, collections: Mapping[Collection, float | None]) -> None:
        """Begin to remember collections that the inventory shows, by when they were created: counters stand at 0."""
        for collection, created in collections.items():
            outcomes = self._accounts.of(collection)
            if created is not None:
                outcomes.created = created

    def observe_whole(self, changed: Iterable[Placed], gone: Iterable[int], now: float) -> tuple[Ended, ...]:
        """Take a listing of everything. Returns the jobs that are in all counters now, in the order of their ends.

        ``now`` in epoch seconds: when the listing arrived.
        """
        memory = self.memory
        counted = self._observe(
            changed,
            gone,
            now,
            counts=lambda c: memory.baseline_done or c in memory.covered,
            covers=lambda _: True,
        )
        memory.baseline_done = True
        memory.covered.clear()
        self._missing.meet(self.board, now)
        self._forget_overdue(now)
        return counted

    def observe_part(
        self, collection: Collection, changed: Iterable[Placed], gone: Iterable[int], now: float
    ) -> tuple[Ended, ...]:
        """Take the listing of one collection."""
        memory = self.memory
        known = memory.baseline_done or collection in memory.covered
        counted = self._observe(changed, gone, now, counts=lambda _: known, covers=lambda c: c == collection)
        if not memory.baseline_done:
            memory.covered.add(collection)
        self._forget_overdue(now)
        return counted

    def move_jobs(self, moved: Mapping[int, Collection]) -> None:
        """Take over jobs whose collection has been learnt late, with what they left behind."""
        takers: dict[Collection, set[Collection]] = {}
        for job_id, to in moved.items():
            former = self.board.move(job_id, to)
            running, ended = self.memory.running.get(job_id), self.memory.ended.get(job_id)
            if running is not None:
                self.memory.running[job_id] = running._replace(collection=to)
            if ended is not None and ended.collection != to:
                former = ended.collection
                if self._accounts.move(ended, to).stage is Stage.UNCLASSIFIED:
                    self._unwritten.add(job_id)
            if former is not None and former != to:
                takers.setdefault(former, set()).add(to)
        if takers:
            self._accounts.settle(takers, {*self.board.groups, *(e.collection for e in self.memory.ended.values())})

    def rename(self, old: Collection, new: Collection) -> None:
        """Keep everything of a collection under its new name."""
        memory = self.memory
        for job_id in self.board.ids(old):
            self.board.move(job_id, new)
        for table in (memory.ended, memory.running):
            for job_id, job in table.items():
                if job.collection == old:
                    table[job_id] = job._replace(collection=new)  # type: ignore[assignment]
        if old in memory.covered:
            memory.covered.discard(old)
            memory.covered.add(new)
        self._accounts.rename(old, new)

    def forget_collections(self, collections: Iterable[Collection]) -> None:
        """Forget the outcomes of collections; their listed jobs stay for as long as Milvus lists them."""
        collections = frozenset(collections)
        for ended in self._unwritten.unclassified_in(collections):
            self._classify(ended, FailureClass.UNKNOWN)  # the totals of its database outlive it, and nobody else will
        self._accounts.forget(collections)
        # An id never comes back. A name may, and has had its baseline.
        self.memory.covered.difference_update(c for c in collections if c.collection_id)

    def take_forgotten(self) -> frozenset[int]:
        """Return the job ids forgotten since the last call."""
        forgotten, self._forgotten = frozenset(self._forgotten), set()
        return forgotten

    def sweep(self, now: float, exists: Callable[[Collection], bool | None], *, all_of_them: bool = False) -> None:
        """Forget outcomes of collections that are gone, and those that nobody has touched for ``forget_after``.

        ``exists`` is asked about what has changed, and with ``all_of_them`` about everything: its answers have.
        """
        all_of_them = all_of_them or now >= self._next_sweep
        memory = self.memory
        known_here = memory.outcomes.keys()
        gone = []
        for collection in list(known_here) if all_of_them else known_here & (self.board.dirty | self.dirty):
            outcomes = memory.outcomes[collection]
            known = exists(collection)
            # A job that could not be placed and left without having ended has left nothing.
            idle = self._idle_from(outcomes) < now or (not collection.collection_id and outcomes.empty)
            if known is False or (idle and known is not True and collection not in self.board.groups):
                gone.append(collection)
        self.forget_collections(gone)
        if all_of_them:
            moments = map(self._idle_from, memory.outcomes.values())
            self._next_sweep = min((moment for moment in moments if moment >= now), default=now + self._forget_after)

    def _idle_from(self, outcomes: Outcomes) -> float:
        return max(outcomes.seen, self.memory.since) + self._forget_after

    def mark_shown(self) -> None:
        """Note that a snapshot with all counters as they stood has been published."""
        self._accounts.mark_shown()

    def _observe(
        self,
        changed: Iterable[Placed],
        gone: Iterable[int],
        now: float,
        *,
        counts: Callable[[Collection], bool],
        covers: Callable[[Collection], bool],
    ) -> tuple[Ended, ...]:
        for job_id in gone:
            self.board.remove(job_id)
            self._missing.add(job_id, now)
        listed, sight = list(changed), self._sight.at(now)
        placed = [(dated(job, self.memory, now, sight), collection) for job, collection in listed]
        undated = {job.job_id for job, _ in listed if job.state.ended and job.end is None}
        fresh = [*self._arrive(placed, undated, now, counts), *self._unwritten.given_up(now, covers)]
        for ended in sorted(fresh, key=lambda ended: ended.moment):
            self._enter(ended)
        for ended in self._unwritten.unclassified(now, covers):
            self._classify(ended, FailureClass.UNKNOWN)
        self._accounts.rebuild(self._rewritten)
        counted, self._counted, self._rewritten = self._counted, [], set()
        return tuple(counted)

    def _arrive(
        self, placed: Sequence[Placed], undated: Set[int], now: float, counts: Callable[[Collection], bool]
    ) -> Iterable[Ended]:
        """Set what is listed. Yields what has ended, each job once in its life.

        ``undated`` are ids of jobs whose end Milvus has not written.
        """
        for collection in self.board.put(placed, now):
            outcomes = self._accounts.of(collection)
            outcomes.seen = max(outcomes.seen, now)
        self._missing.found(job.job_id for job, _ in placed)
        for job, collection in placed:
            if not job.state.ended:
                self._run(job, collection)
            elif (ended := self._end(job, collection, now, counts)) is not None:
                yield ended._replace(undated=job.job_id in undated)

    def _run(self, job: Job, collection: Collection) -> None:
        """Note where a job that is under way belongs."""
        known = self.memory.ended.get(job.job_id)
        if known is not None:
            if known.stage is not Stage.HALF_WRITTEN:
                return  # it has been counted, whatever Milvus says now
            self._unwritten.remove(job.job_id)  # it has not failed after all
            del self.memory.ended[job.job_id]
        running = Running(collection, job.name, job.start)
        if self.memory.running.get(job.job_id) != running:
            self.memory.running[job.job_id] = running

    def _end(self, job: Job, collection: Collection, now: float, counts: Callable[[Collection], bool]) -> Ended | None:
        """Return an ended job that is to be counted now; None if it has been, or Milvus has yet to write its end."""
        known = self.memory.ended.get(job.job_id)
        if known is None:
            self.memory.running.pop(job.job_id, None)
            known = Ended(job, collection, now, counts(collection), Stage.HALF_WRITTEN, undated=True)
        elif known.stage is not Stage.HALF_WRITTEN:
            self._rewrite(known, job, now)
            return None
        if job.half_written:
            self.memory.ended[job.job_id] = known
            self._unwritten.add(job.job_id)
            return None
        self._unwritten.remove(job.job_id)
        return known._replace(job=job, seen=self._sight.at(now), stage=Stage.COUNTED)

    def _rewrite(self, known: Ended, job: Job, now: float) -> None:
        """Take over what Milvus has written of a job that has been taken already. No counter goes back."""
        if job == known.job:
            return
        dates = known.undated and job.end != known.end
        seen = self._sight.at(now) if dates else known.seen
        known = known._replace(job=job, seen=seen, undated=known.undated and not dates)
        self.memory.ended[job.job_id] = known
        self._rewritten.add(known.collection)
        if known.stage is Stage.UNCLASSIFIED:
            self._classify(known, job.failure_class or FailureClass.UNKNOWN)

    def _enter(self, ended: Ended) -> None:
        """Take a job into outcomes and counters."""
        job = ended.job
        if ended.stage is Stage.UNCLASSIFIED:
            # Time has shown that its end is missing, so it is now that this is an impossible value.
            self.problems[Problem.ENDED_WITHOUT_END_TIME] += 1
            if job.job_id in self.board:
                self.board.set_end(job.job_id, ended.end)
        else:
            ended = ended._replace(classed=job.failure_class if job.state is State.FAILED else None)
            self._count(ended)
        self.memory.ended[job.job_id] = ended
        self._accounts.enter(ended)

    def _classify(self, ended: Ended, failure_class: FailureClass) -> None:
        """Bring a job that has been counted into the counters by class as well."""
        self._unwritten.remove(ended.job.job_id)
        ended = self.memory.ended[ended.job.job_id] = ended._replace(stage=Stage.COUNTED, classed=failure_class)
        self._count(ended)

    def _count(self, ended: Ended) -> None:
        self._accounts.count(ended)
        if ended.counted:
            self._counted.append(ended)

    def _forget_overdue(self, now: float) -> None:
        for job_id in self._missing.overdue(now):
            self._finish(job_id)
            self._forget(job_id)

    def _finish(self, job_id: int) -> None:
        """Count a job in full that still waits for a listing of its collection."""
        ended = self.memory.ended.get(job_id)
        if ended is not None and ended.stage is Stage.HALF_WRITTEN:
            self._enter(final(ended))
            ended = self.memory.ended[job_id]
        if ended is not None and ended.stage is Stage.UNCLASSIFIED:
            self._classify(ended, FailureClass.UNKNOWN)

    def _forget(self, job_id: int) -> None:
        """Forget an id, and keep what it has brought."""
        self._forgotten.add(job_id)
        self._unwritten.remove(job_id)
        self.memory.running.pop(job_id, None)
        ended = self.memory.ended.pop(job_id, None)
        outcomes = self.memory.outcomes.get(ended.collection) if ended is not None and ended.in_outcomes else None
        if ended is not None and outcomes is not None:
            outcomes.forget(ended)
