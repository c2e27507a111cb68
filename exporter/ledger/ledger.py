"""The only station with memory of jobs: each ended job is counted once, whatever happens between two polls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.ledger.board import Board
from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import DatabaseTotals, Ended, Outcomes
from exporter.model import Collection, Job

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
        self._retention = retention
        self._forget_after = forget_after
        self._counts = counts
        self._half_written = memory.half_written
        self._missing: set[int] = set()
        """Jobs that have left the listing and may not be forgotten yet."""
        self._forgotten: set[int] = set()
        self._reconciled = False
        self._unshown = {collection for collection, outcomes in memory.outcomes.items() if not outcomes.shown}
        self._next_sweep = float("-inf")
        """Epoch seconds before which no collection can have been idle for long enough, unless it has changed."""
        self.dirty: set[Collection] = set(memory.outcomes)
        """Collections whose outcomes have changed; of their listed jobs the board knows."""

    def know(self, collections: Iterable[Collection]) -> None:
        """Begin to remember collections that the inventory shows: their counters stand at 0."""
        for collection in collections:
            if collection not in self.memory.outcomes:
                self._outcomes(collection)

    def observe_whole(self, changed: Iterable[Placed], gone: Iterable[int], now: float) -> tuple[Ended, ...]:
        """Take a listing of everything. Returns the jobs counted by it, in the order of their ends."""
        memory = self.memory
        counted = self._observe(changed, gone, now, lambda c: memory.baseline_done or c in memory.covered, scope=None)
        memory.baseline_done = True
        memory.covered.clear()
        self._forget_ids(now)
        return counted

    def observe_part(
        self, collection: Collection, changed: Iterable[Placed], gone: Iterable[int], now: float
    ) -> tuple[Ended, ...]:
        """Take the listing of one collection. A partial listing forgets nothing."""
        memory = self.memory
        known = memory.baseline_done or collection in memory.covered
        counted = self._observe(changed, gone, now, lambda _: known, scope=collection)
        if not memory.baseline_done:
            memory.covered.add(collection)
        return counted

    def move_jobs(self, moved: Mapping[int, Collection]) -> None:
        """Take over jobs whose collection has been learnt late, with what they left behind."""
        heirs: dict[Collection, set[Collection]] = {}
        estates: dict[Collection, list[Ended]] = {}
        for job_id, to in moved.items():
            former = self.board.move(job_id, to)
            ended = self.memory.ended.get(job_id)
            if ended is not None and ended.collection != to:
                former = ended.collection
                self._totals(ended, -1)
                ended.collection = to
                self._totals(ended)
                estates.setdefault(former, []).append(ended)
            if former is not None and former != to:
                heirs.setdefault(former, set()).add(to)
        if not heirs:
            return
        rests: dict[Collection, list[Ended]] = {}
        for ended in self.memory.ended.values():
            if ended.collection in heirs:
                rests.setdefault(ended.collection, []).append(ended)
        for former, takers in heirs.items():
            self._hand_over(former, takers, estates.get(former, []), rests.get(former, []))

    def rename(self, old: Collection, new: Collection) -> None:
        """Keep everything of a collection under its new name."""
        self.dirty.update((old, new))
        for job_id in self.board.ids(old):
            self.board.move(job_id, new)
        for ended in self.memory.ended.values():
            if ended.collection == old:
                ended.collection = new
        outcomes = self.memory.outcomes.pop(old, None)
        if outcomes is not None:
            self._outcomes(new).merge(outcomes)
        if old in self.memory.covered:
            self.memory.covered.discard(old)
            self.memory.covered.add(new)
        self._drop_empty_database(old.database)

    def forget_collection(self, collection: Collection) -> None:
        """Forget the outcomes of a collection that is known to be gone; its listed jobs stay as long as Milvus's."""
        if self.memory.outcomes.pop(collection, None) is not None:
            self.dirty.add(collection)
            self._drop_empty_database(collection.database)

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
        for collection in list(known_here) if all_of_them else known_here & (self.board.dirty | self.dirty):
            outcomes = memory.outcomes[collection]
            known = exists(collection)
            # A job that could not be placed and left without having ended has left nothing.
            idle = self._idle_from(outcomes) < now or (not collection.collection_id and outcomes.empty)
            if known is False or (idle and known is not True and collection not in self.board.groups):
                self.forget_collection(collection)
        if all_of_them:
            moments = map(self._idle_from, memory.outcomes.values())
            self._next_sweep = min((moment for moment in moments if moment >= now), default=now + self._forget_after)

    def _idle_from(self, outcomes: Outcomes) -> float:
        return max(outcomes.seen, self.memory.since) + self._forget_after

    def mark_shown(self) -> None:
        """Note that a snapshot with all counters as they stood has been published."""
        for collection in self._unshown:
            outcomes = self.memory.outcomes.get(collection)
            if outcomes is not None and not outcomes.shown:
                outcomes.shown = True
                self.dirty.add(collection)
        self._unshown.clear()
        for totals in self.memory.databases.values():
            totals.shown = True

    def _observe(
        self,
        changed: Iterable[Placed],
        gone: Iterable[int],
        now: float,
        counts: Callable[[Collection], bool],
        *,
        scope: Collection | None,
    ) -> tuple[Ended, ...]:
        waiting = frozenset(self._half_written)
        fresh: list[Ended] = []
        for job_id in gone:
            fresh.extend(self._leave(job_id, now))
        fresh.extend(self._arrive(tuple(changed), now, counts))
        fresh.extend(self._overdue(waiting, scope, now))
        fresh.sort(key=lambda ended: ended.moment)
        for ended in fresh:
            self._remember(ended)
        return tuple(ended for ended in fresh if ended.counted)

    def _arrive(self, placed: Sequence[Placed], now: float, counts: Callable[[Collection], bool]) -> Iterable[Ended]:
        """Set what is listed. Yields what has ended, each job once in its life."""
        for collection in self.board.put(placed, now):
            outcomes = self.memory.outcomes.get(collection) or self._outcomes(collection)
            outcomes.seen = max(outcomes.seen, now)
        if self._missing:
            self._missing.difference_update(job.job_id for job, _ in placed)
        for job, collection in placed:
            if job.state.ended:
                ended = self._end(job, collection, now, counts)
                if ended is not None:
                    yield ended
            elif self._half_written:
                self._half_written.pop(job.job_id, None)

    def _end(self, job: Job, collection: Collection, now: float, counts: Callable[[Collection], bool]) -> Ended | None:
        """Return an ended job that is not known yet; None where it is, or Milvus has yet to write how it ended."""
        job_id = job.job_id
        known = self.memory.ended.get(job_id)
        if known is not None:
            if job.end is None:
                self.board.set_end(job_id, known.end)
            return None
        if job.half_written and job_id not in self._half_written:
            self._half_written[job_id] = counts(collection)
            return None
        counted = self._half_written.pop(job_id, None)
        end = now if job.end is None else job.end
        if job.end is None:
            self.board.set_end(job_id, end)
        return Ended(job, collection, end, counts(collection) if counted is None else counted)

    def _overdue(self, waiting: frozenset[int], scope: Collection | None, now: float) -> Iterable[Ended]:
        """Half-written jobs of an earlier listing about which this one, which covers them, has said nothing new."""
        for job_id in waiting & self._half_written.keys():
            if job_id not in self.board:
                continue  # from before a restart, and not listed since
            job, collection = self.board.job(job_id)
            if scope is None or scope == collection:
                self.board.set_end(job_id, now)
                yield Ended(job, collection, now, self._half_written.pop(job_id))

    def _leave(self, job_id: int, now: float) -> Iterable[Ended]:
        if job_id in self._half_written:
            # It vanished before Milvus wrote its end: better counted without a reason than lost.
            job, collection = self.board.job(job_id)
            yield Ended(job, collection, now, self._half_written.pop(job_id))
        self.board.remove(job_id)
        self._missing.add(job_id)

    def _remember(self, ended: Ended) -> None:
        # The raw texts are gone already; what is kept is one small frozen record a job.
        if ended.job.half_written:
            ended.job = ended.job._replace(half_written=False)
        self.memory.ended[ended.job.job_id] = ended
        self._outcomes(ended.collection).add(ended)
        self._totals(ended)
        self.dirty.add(ended.collection)

    def _forget_ids(self, now: float) -> None:
        """Forget ids that a whole listing no longer has and whose end is older than Milvus's own memory."""
        if not self._reconciled:
            # A restored memory knows jobs that may have left the listing before we came.
            self._reconciled = True
            self._missing.update(job_id for job_id in self.memory.ended if job_id not in self.board)
        for job_id in list(self._missing):
            ended = self.memory.ended.get(job_id)
            if ended is None or ended.end < now - self._retention:
                self.memory.ended.pop(job_id, None)
                self._missing.discard(job_id)
                self._forgotten.add(job_id)

    def _outcomes(self, collection: Collection) -> Outcomes:
        outcomes = self.memory.outcomes.get(collection)
        if outcomes is None:
            outcomes = self.memory.outcomes[collection] = Outcomes()
            self._unshown.add(collection)
            self.dirty.add(collection)
            if self._counts(collection):
                self.memory.databases.setdefault(collection.database, DatabaseTotals())
        return outcomes

    def _totals(self, ended: Ended, sign: int = 1) -> None:
        if self._counts(ended.collection):
            self.memory.databases.setdefault(ended.collection.database, DatabaseTotals()).add(ended, sign)

    def _hand_over(self, former: Collection, heirs: set[Collection], moved: list[Ended], rest: list[Ended]) -> None:
        outcomes = self.memory.outcomes.pop(former, None) or Outcomes()
        stays = bool(rest) or former in self.board.groups
        self.dirty.update((former, *heirs))
        known = Outcomes.of(moved)
        if not former.collection_id and not stays and len(heirs) == 1 and outcomes.covers(known):
            # All that is known by id went one way: what is older, and has no id any more, goes with it. Not so from
            # a collection that was known: its successor under the same name begins anew.
            self._outcomes(next(iter(heirs))).merge(outcomes)
        else:
            for heir in heirs:
                self._outcomes(heir).merge(Outcomes.of(ended for ended in moved if ended.collection == heir))
        if stays or former.collection_id:
            self.memory.outcomes[former] = outcomes.without(moved, rest)
            self._unshown.add(former)
        self._drop_empty_database(former.database)

    def _drop_empty_database(self, database: str) -> None:
        if not any(collection.database == database for collection in self.memory.outcomes):
            self.memory.databases.pop(database, None)
