"""Stations 2 to 5 with what they remember: decode, attribute, remember, summarise. No waiting in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from exporter.catalog import Attribution, Inventory, heir
from exporter.ledger import (
    Ended,
    Ledger,
    Memory,
    is_of_this_milvus,
)
from exporter.milvus.decode import ListingDecoder
from exporter.milvus.records import Record
from exporter.model import Collection, Job, Problem
from exporter.poll.ask import ByName
from exporter.poll.overview import Overview, filter_of
from exporter.snapshot import Snapshot

if TYPE_CHECKING:
    from exporter.config import Settings


class Entered(NamedTuple):
    """What a poll has brought."""

    counted: tuple[Ended, ...]
    """The jobs that it is the first to count."""
    snapshot: Snapshot


class Taken(NamedTuple):
    """A whole listing in our words: somebody has to be asked whose jobs some of these are."""

    changed: tuple[Job, ...]
    gone: tuple[int, ...]


class PollMemory:
    """What one target's polls know. Touched by one poll at a time, mostly from a worker thread."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self._settings = settings
        self._keeps = filter_of(settings)
        labels = settings.labels
        self._decoder = ListingDecoder(source_style=labels.source, reason_style=labels.failure_reason)
        self._problems: Counter[Problem] = Counter()
        self._recognised = False
        """Whether a listing has shown that the memory is of the Milvus that answers."""
        self.another_milvus = False
        """Whether it was another one's, and has begun again."""
        self._begin(memory, Inventory())

    def _begin(self, memory: Memory, inventory: Inventory) -> None:
        """Build everything that rests on a memory."""
        settings = self._settings
        self.attribution = Attribution()
        ended = ((e.job.job_id, e.job.name, e.job.start, e.collection) for e in memory.ended.values())
        running = ((id_, job.name, job.start, job.collection) for id_, job in memory.running.items())
        self.attribution.restore((*ended, *running))
        self.attribution.adopt(inventory)
        self.ledger = Ledger(
            memory,
            retention=settings.server.job_retention,
            forget_after=settings.state.forget_after,
            counts=self._keeps,
        )
        self._overview = Overview(settings, self.ledger, self.attribution, keeps=self._keeps)

    def keeps(self, collection: Collection) -> bool:
        """Return whether the filters let a collection be shown."""
        return self._keeps(collection)

    def take_problems(self) -> Counter[Problem]:
        """Return the impossible values met since the last call."""
        problems, self._problems = self._problems + self.ledger.problems, Counter()
        self.ledger.problems.clear()
        return problems

    def take_outdated(self) -> frozenset[int]:
        """Return ids of collections whose newest job has completed with another source than the inventory knows."""
        return self._overview.take_outdated()

    def snapshot(self, now: float, monotonic: float) -> Snapshot:
        """Summarise what is remembered. ``now`` in epoch seconds, ``monotonic`` by the clock that never steps."""
        return self._overview.snapshot(now, monotonic)

    def remembered(self, now: float) -> Snapshot:
        """Return what can be shown of a restored memory before the first listing."""
        return self._overview.remembered(now)

    def start_over(self) -> None:
        """Decode every record again next time: a poll has broken off half way, and counting is by job id anyway."""
        self._decoder.start_over(self.ledger.board.all_ids() | self.attribution.ids())

    def adopt(self, inventory: Inventory) -> None:
        """Take a new picture of what exists, with what it changes about jobs already known."""
        if inventory is self.attribution.inventory:
            return
        renames, moved = self.attribution.adopt(inventory)
        for old, new in {**self._renamed_while_away(inventory), **renames}.items():
            self.ledger.rename(old, new)
        self.ledger.move_jobs(moved)
        self.ledger.move_jobs(self.attribution.retry_open())
        self._take_home()
        self.ledger.know({entry.collection: entry.created for entry in inventory.external})

    def take_whole(self, listing: Sequence[bytes], now: float, monotonic: float) -> Taken | Entered:
        """Decode a listing of everything, and enter it where its jobs' collections are beyond doubt.

        Raises :class:`exporter.errors.BadResponse` for a record that cannot be decoded.
        """
        decoded = self._decoder.whole(listing, now)
        self._problems.update(decoded.problems)
        self._recognise(decoded.changed, now)
        self.attribution.miss(decoded.gone)
        self.attribution.assign(decoded.changed)
        taken = Taken(decoded.changed, decoded.gone)
        return taken if self.attribution.in_doubt else self.enter_whole(taken, now, monotonic)

    def _recognise(self, listed: Sequence[Job], now: float) -> None:
        """Begin again if the first listing shows that the memory is another Milvus's."""
        if self._recognised:
            return
        self._recognised = True
        memory, inventory = self.ledger.memory, self.attribution.inventory
        address = self._settings.milvus.address.authority
        if not is_of_this_milvus(memory, listed, self._shown_ids(inventory), address):
            self._begin_again(now)
        memory.milvus = address

    def _recognise_part(self, job_ids: Iterable[int], now: float) -> None:
        """Begin again if the memory is from another address and listings by name know nothing of it."""
        memory = self.ledger.memory
        elsewhere = memory.milvus not in ("", self._settings.milvus.address.authority)
        if (
            not self._recognised
            and elsewhere
            and not any(id_ in memory.ended or id_ in memory.running for id_ in job_ids)
        ):
            self._begin_again(now)
            self._recognised, memory.milvus = True, self._settings.milvus.address.authority

    def _begin_again(self, now: float) -> None:
        memory, inventory = self.ledger.memory, self.attribution.inventory
        memory.begin_again(now - self._settings.server.job_retention)
        self._begin(memory, inventory)
        self.ledger.know({entry.collection: entry.created for entry in inventory.external})
        self.another_milvus = True

    def enter_whole(self, taken: Taken, now: float, monotonic: float) -> Entered:
        """Remember a whole listing, and summarise."""
        changed, gone = taken
        counted = self.ledger.observe_whole(self.attribution.placed(changed), gone, now)
        forgotten = self.ledger.take_forgotten()
        self.attribution.forget(forgotten)
        self._decoder.forget(forgotten)
        self.ledger.board.whole, self.ledger.board.unlisted = monotonic, frozenset()
        return Entered(counted, self.snapshot(now, monotonic))

    def enter_parts(
        self, parts: Mapping[Collection, Sequence[Record]], known: Iterable[Collection], now: float, monotonic: float
    ) -> Entered:
        """Remember listings by name, of ``known`` those that could be had, and summarise."""
        self._recognise_part((record.job_id for records in parts.values() for record in records), now)
        board = self.ledger.board
        self.settle(ByName(parts))
        counted: list[Ended] = []
        for collection, records in parts.items():
            decoded = self._decoder.part(records, now, board.ids(collection))
            self._problems.update(decoded.problems)
            self.attribution.settle(decoded.changed, collection)
            self.ledger.move_jobs({job.job_id: collection for job in decoded.changed})
            placed = [(job, collection) for job in decoded.changed]
            counted.extend(self.ledger.observe_part(collection, placed, decoded.gone, now))
            if collection in board.groups:
                board.groups[collection].listed = monotonic
        listed = {collection[:2] for collection in parts}
        board.unlisted = frozenset(c for c in (*known, *board.groups) if c[:2] not in listed)
        return Entered(tuple(counted), self.snapshot(now, monotonic))

    def settle(self, found: ByName) -> None:
        """Settle open jobs by what listings by name have shown. Without a database that says too little for life."""
        answers = {c: frozenset(job.job_id for job in jobs) for c, jobs in found.listed.items() if c.database}
        answers.update(dict.fromkeys(found.gone, frozenset[int]()))
        self.ledger.move_jobs(self.attribution.answer(answers, found.hidden))

    @staticmethod
    def _shown_ids(inventory: Inventory) -> list[int]:
        return [id_ for id_, entry in inventory.entries.items() if entry.seen]

    def _renamed_while_away(self, inventory: Inventory) -> dict[Collection, Collection]:
        """Return restored collections, by their old names: where all jobs are forgotten nothing else knows these."""
        return {
            collection: entry.collection
            for collection in self.ledger.memory.outcomes
            if (entry := inventory.entries.get(collection.collection_id)) and entry.collection != collection
        }

    def _take_home(self) -> None:
        """Give memory without an id, whose jobs have all been forgotten, to the one collection it can belong to."""
        memory = self.ledger.memory
        homeless = [c for c in memory.outcomes if not c.collection_id and c not in self.ledger.board.groups]
        by_id = {ended.collection for ended in memory.ended.values()} if homeless else set()
        for collection in homeless:
            outcomes = memory.outcomes[collection]
            latest = max(outcomes.facts.last_live, outcomes.facts.last_failed)[0]
            taker = heir(self.attribution.inventory, collection, max(latest, 0.0))
            if taker is not None and collection not in by_id:
                self.ledger.rename(collection, taker)
