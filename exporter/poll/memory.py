"""Stations 2 to 5 with what they remember: decode, attribute, remember, summarise. No waiting in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from exporter import summary
from exporter.catalog import Attribution, Inventory
from exporter.ledger import Board, Ended, Ledger, Memory, database_rows, outcome_row, outcome_rows
from exporter.milvus.decode import ListingDecoder
from exporter.milvus.records import Record
from exporter.model import Collection, Job, Problem, State
from exporter.poll.ask import ByName
from exporter.poll.tables import Table
from exporter.snapshot import CollectionRow, JobRows, OutcomeRow, Snapshot

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
        self._only_database = settings.milvus.address.database
        self._keeps_all = not self._only_database and not settings.filters.any
        labels = settings.labels
        self._decoder = ListingDecoder(source_style=labels.source, reason_style=labels.failure_reason)
        self.attribution = Attribution()
        self.attribution.restore((ended.job, ended.collection) for ended in memory.ended.values())
        self.ledger = Ledger(
            memory,
            retention=settings.server.job_retention,
            forget_after=settings.state.forget_after,
            counts=self.keeps,
        )
        self._problems: Counter[Problem] = Counter()
        self._jobs: Table[JobRows] = Table(self._joined)
        # A known id is the largest, and speaks for the name that a former generation bore as well.
        self._outcomes: Table[OutcomeRow] = Table(partial(max, key=attrgetter("collection")))
        self._grounds: object = None
        self._shown_inventory: Inventory | None = None
        self._existing: tuple[CollectionRow, ...] = ()
        self._unseen: int | None = None
        self._listed: dict[Collection, tuple[Job, ...]] = {}
        self._outdated: set[int] = set()

    def keeps(self, collection: Collection) -> bool:
        """Return whether the filters let a collection be shown."""
        if self._keeps_all:
            return True
        if self._only_database and collection.database != self._only_database:
            return False
        return self._settings.filters.keeps(collection.database, collection.name)

    def take_problems(self) -> Counter[Problem]:
        """Return the impossible values met since the last call."""
        problems, self._problems = self._problems, Counter()
        return problems

    def take_outdated(self) -> frozenset[int]:
        """Return ids of collections whose newest job has completed with another source than the inventory knows."""
        outdated, self._outdated = frozenset(self._outdated), set()
        return outdated

    def start_over(self) -> None:
        """Decode every record again next time: a poll has broken off half way, and counting is by job id anyway."""
        self._decoder.start_over(self.ledger.board.all_ids() | self.attribution.ids())

    def adopt(self, inventory: Inventory) -> None:
        """Take a new picture of what exists, with what it changes about jobs already known."""
        renames, moved = self.attribution.adopt(inventory)
        for old, new in {**self._renamed_while_away(inventory), **renames}.items():
            self.ledger.rename(old, new)
        self.ledger.move_jobs(moved)
        self.ledger.move_jobs(self.attribution.retry_open())
        self._take_home()
        self.ledger.know(entry.collection for entry in inventory.external)

    def take_whole(self, listing: Sequence[bytes], now: float, monotonic: float) -> Taken | Entered:
        """Decode a listing of everything, and enter it where its jobs' collections are beyond doubt.

        Raises :class:`exporter.errors.BadResponse` for a record that cannot be decoded.
        """
        decoded = self._decoder.whole(listing, now)
        self._problems.update(decoded.problems)
        self.attribution.miss(decoded.gone)
        self.attribution.assign(decoded.changed)
        taken = Taken(decoded.changed, decoded.gone)
        return taken if self.attribution.in_doubt else self.enter_whole(taken, now, monotonic)

    def enter_whole(self, taken: Taken, now: float, monotonic: float) -> Entered:
        """Remember a whole listing, and summarise."""
        changed, gone = taken
        counted = self.ledger.observe_whole(self.attribution.placed(changed), gone, now)
        self.attribution.forget(self.ledger.take_forgotten())
        self.ledger.board.whole, self.ledger.board.unlisted = monotonic, frozenset()
        return Entered(counted, self.snapshot(now, monotonic))

    def enter_parts(
        self, parts: Mapping[Collection, Sequence[Record]], known: Iterable[Collection], now: float, monotonic: float
    ) -> Entered:
        """Remember listings by name, of ``known`` those that could be had, and summarise."""
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

    def snapshot(self, now: float, monotonic: float) -> Snapshot:
        """Summarise what is remembered. ``now`` in epoch seconds, ``monotonic`` by the clock that never steps."""
        self._sweep(now)
        self._refresh_rows()
        memory, limits = self.ledger.memory, self._settings.limits
        outcomes = self._outcomes
        kept, beyond = summary.keep_within(
            self._shown(monotonic), lambda c: outcomes.get(c[:2]), now=now, most=limits.max_collections
        )
        return Snapshot(
            now=now,
            jobs=kept,
            folded=summary.fold(beyond),
            unlisted=self._unlisted(),
            outcomes=summary.keep_outcomes_within(outcomes.rows, self._is_active, now=now, most=limits.max_outcomes),
            databases=database_rows(memory),
            collections=self._collections(),
            listed=self._listed,
            known_since=memory.since,
            listed_jobs=len(self.ledger.board),
            jobs_without_visible_collection=self._unseen,
            collections_folded=max(len(beyond), len(outcomes.rows) - limits.max_outcomes, 0),
            sources_folded=sum(row.sources_folded for row in kept),
        )

    def remembered(self, now: float) -> Snapshot:
        """Return what can be shown of a restored memory before the first listing: stamps, and failures in a row.

        No counters yet: where the last process could not write, a listing must first bring them to what it showed.
        """
        memory, limits = self.ledger.memory, self._settings.limits
        rows = outcome_rows(memory, self.keeps, self._max_age)
        outcomes = tuple(replace(row, finished=None, failed=None, failed_exemplar=None) for row in rows)
        return Snapshot(
            now=0.0,
            outcomes=summary.keep_outcomes_within(outcomes, lambda _: False, now=now, most=limits.max_outcomes),
            known_since=memory.since,
            collections_folded=max(len(outcomes) - limits.max_outcomes, 0),
        )

    def _renamed_while_away(self, inventory: Inventory) -> dict[Collection, Collection]:
        """Return restored collections, by their old names: where all jobs are forgotten nothing else knows these."""
        return {
            collection: entry.collection
            for collection in self.ledger.memory.outcomes
            if (entry := inventory.entries.get(collection.collection_id)) and entry.collection != collection
        }

    def _max_age(self, collection: Collection) -> float | None:
        return self._settings.freshness.max_age_for(collection.database, collection.name)

    def _take_home(self) -> None:
        """Give memory without an id, whose jobs have all been forgotten, to the one collection it can belong to."""
        memory = self.ledger.memory
        homeless = [c for c in memory.outcomes if not c.collection_id and c not in self.ledger.board.groups]
        by_id = {ended.collection for ended in memory.ended.values()} if homeless else set()
        for collection in homeless:
            outcomes = memory.outcomes[collection]
            latest = max(outcomes.last_live, outcomes.last_failed)[0]
            heir = self.attribution.heir(collection, max(latest, 0.0))
            if heir is not None and collection not in by_id:
                self.ledger.rename(collection, heir)

    def _sweep(self, now: float) -> None:
        grounds = self.attribution.grounds()
        anew, self._grounds = grounds != self._grounds, grounds
        if anew:  # whether a collection exists is part of its rows
            self.ledger.board.dirty.update(self.ledger.board.groups)
        self.ledger.sweep(now, self._exists, all_of_them=anew)

    def _exists(self, collection: Collection) -> bool | None:
        """Return whether a collection exists; the settings say it of one that is in no database that is shown."""
        hidden = not collection.database and self._settings.inventory.unseen_collections == "hidden"
        return None if hidden else self.attribution.exists(collection)

    def _refresh_rows(self) -> None:
        board = self.ledger.board
        if board.dirty or not board.groups:  # a new inventory makes all of them dirty
            self._unseen = self.attribution.inventory.unseen_jobs(board.groups)
        dirty = [collection for collection in board.dirty if self.keeps(collection)]
        rows = [(collection, self._job_row(collection)) for collection in dirty]
        self._jobs.update(rows)
        self._listed = _listed_anew(self._listed, dirty, board)
        self._outcomes.update((c, self._outcome_row(c)) for c in filter(self.keeps, self.ledger.dirty))
        outdated = (c for c, row in rows if row is not None and self._is_outdated(c, row.newest))
        self._outdated.update(collection.collection_id for collection in outdated)
        board.dirty.clear()
        self.ledger.dirty.clear()

    def _job_row(self, collection: Collection) -> JobRows | None:
        """Return the row of one collection as the board has it; None where no job of it is listed."""
        group = self.ledger.board.groups.get(collection)
        if group is None:
            return None
        exists, most = self._exists(collection), self._settings.limits.max_sources
        return summary.job_rows(collection, group.jobs.values(), changed=group.changed, exists=exists, max_sources=most)

    def _outcome_row(self, collection: Collection) -> OutcomeRow | None:
        outcomes = self.ledger.memory.outcomes.get(collection)
        return outcome_row(collection, outcomes, self._max_age(collection)) if outcomes else None

    def _joined(self, rows: Sequence[JobRows]) -> JobRows:
        return rows[0] if len(rows) == 1 else summary.join(rows, max_sources=self._settings.limits.max_sources)

    def _is_outdated(self, collection: Collection, newest: Job | None) -> bool:
        known = self.attribution.inventory.entries.get(collection.collection_id)
        if known is None or newest is None or newest.state is not State.COMPLETED:
            return False
        return newest.source != known.source

    def _shown(self, monotonic: float) -> Sequence[JobRows]:
        """Return the rows that are fresh: unlisted collections go stale one by one, while the others stay."""
        board, stale_after = self.ledger.board, self._settings.poll.stale_after
        if monotonic - board.whole <= stale_after:
            return self._jobs.rows
        return self._jobs.where(lambda collection: monotonic - board.listed_at(collection) <= stale_after)

    def _is_active(self, collection: Collection) -> bool:
        row = self._jobs.get(collection[:2])
        return row is not None and row.active

    def _unlisted(self) -> tuple[Collection, ...]:
        # Two generations of one name are one series.
        by_place = {collection[:2]: collection for collection in sorted(self.ledger.board.unlisted)}
        return tuple(filter(self.keeps, by_place.values()))

    def _collections(self) -> tuple[CollectionRow, ...]:
        inventory = self.attribution.inventory
        if inventory is not self._shown_inventory:
            self._shown_inventory = inventory
            self._existing = tuple(
                CollectionRow(entry.collection, entry.source, entry.created)
                for entry in inventory.external
                if entry.seen and self.keeps(entry.collection)
            )
        return self._existing


def _listed_anew(
    listed: dict[Collection, tuple[Job, ...]], dirty: Sequence[Collection], board: Board
) -> dict[Collection, tuple[Job, ...]]:
    """Return the listed jobs, of some collections anew. Not changed in place: a snapshot shows the old ones."""
    if not dirty:
        return listed
    news = dict(listed)
    for collection in dirty:
        group = board.groups.get(collection)
        if group is None:
            news.pop(collection, None)
        else:
            news[collection] = tuple(group.jobs.values())
    return news
