"""Stations 2 to 5 with what they remember: decode, attribute, remember, summarise. No waiting in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from exporter import summary
from exporter.catalog import Attribution, Inventory
from exporter.ledger import Ended, Ledger, Memory, database_rows, outcome_rows
from exporter.milvus.decode import ListingDecoder, Record
from exporter.model import Collection, Job, Problem
from exporter.snapshot import CollectionRow, JobRows, Snapshot

if TYPE_CHECKING:
    from exporter.config import Settings


class PollMemory:
    """What one target's polls know. Touched by one poll at a time, mostly from a worker thread."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self._settings = settings
        self._only_database = settings.milvus.address.database
        labels = settings.labels
        self._decoder = ListingDecoder(source_style=labels.source, reason_style=labels.failure_reason)
        self.attribution = Attribution()
        self.ledger = Ledger(
            memory,
            retention=settings.server.job_retention,
            forget_after=settings.state.forget_after,
            counts=self.keeps,
        )
        self._problems: Counter[Problem] = Counter()
        self._rows: dict[Collection, JobRows] = {}

    def keeps(self, collection: Collection) -> bool:
        """Return whether the filters let a collection be shown."""
        if self._only_database and collection.database != self._only_database:
            return False
        return self._settings.filters.keeps(collection.database, collection.name)

    def take_problems(self) -> Counter[Problem]:
        """Return the impossible values met since the last call."""
        problems, self._problems = self._problems, Counter()
        return problems

    def start_over(self) -> None:
        """Decode every record again next time: a poll has broken off half way, and counting is by job id anyway."""
        self._decoder.start_over(self.ledger.board.all_ids())

    def adopt(self, inventory: Inventory) -> None:
        """Take a new picture of what exists, with what it changes about jobs already known."""
        if inventory is self.attribution.inventory:
            return
        renames, moved = self.attribution.adopt(inventory)
        for old, new in renames.items():
            self.ledger.rename(old, new)
        self.ledger.move_jobs(moved)
        self.ledger.move_jobs(self.attribution.retry_open())
        self.ledger.know(entry.collection for entry in inventory.external)
        # Whether a collection exists is part of its rows.
        self.ledger.board.dirty.update(self.ledger.board.groups)

    def decode_whole(self, records: Sequence[Record], now: float) -> tuple[tuple[Job, ...], tuple[int, ...]]:
        """Return new or changed jobs and the ids that are no longer listed; attributes as far as possible."""
        decoded = self._decoder.whole(records, now)
        self._problems.update(decoded.problems)
        self.attribution.assign(decoded.changed)
        return decoded.changed, decoded.gone

    def remember_whole(self, changed: Iterable[Job], gone: Iterable[int], now: float) -> tuple[Ended, ...]:
        """Enter a whole listing. Returns the jobs counted."""
        jobs = tuple(changed)
        places = self.attribution.assign(jobs)
        counted = self.ledger.observe_whole([(job, places[job.job_id]) for job in jobs], gone, now)
        self.attribution.forget(self.ledger.take_forgotten())
        self.ledger.board.unlisted = frozenset()
        return counted

    def remember_parts(
        self, parts: Mapping[Collection, Sequence[Record]], unlisted: frozenset[Collection], now: float
    ) -> tuple[Ended, ...]:
        """Enter listings by name. Returns the jobs counted."""
        counted: list[Ended] = []
        for collection, records in parts.items():
            decoded = self._decoder.part(records, now, self.ledger.board.ids(collection))
            self._problems.update(decoded.problems)
            self.attribution.settle(decoded.changed, collection)
            self.ledger.move_jobs({job.job_id: collection for job in decoded.changed})
            placed = [(job, collection) for job in decoded.changed]
            counted.extend(self.ledger.observe_part(collection, placed, decoded.gone, now))
        self.ledger.board.unlisted = unlisted
        return tuple(counted)

    def settle(self, answers: Mapping[Collection, Sequence[Record]], denied: frozenset[Collection]) -> None:
        """Settle open jobs by what listings by name have shown."""
        ids = {collection: frozenset(record.job_id for record in records) for collection, records in answers.items()}
        ids.update(dict.fromkeys(denied, frozenset[int]()))
        self.ledger.move_jobs(self.attribution.answer(ids))

    def snapshot(self, now: float) -> Snapshot:
        """Summarise what is remembered."""
        self._drop_gone(now)
        self._refresh_rows()
        memory, limits = self.ledger.memory, self._settings.limits
        outcomes = outcome_rows(memory, self.keeps, self._max_age)
        by_collection = {row.collection: row for row in outcomes}
        rows = summary.one_row_per_label_set(row for row in self._rows.values() if self._is_shown(row, now))
        kept, beyond = summary.keep_within(rows, by_collection, now=now, most=limits.max_collections)
        active = frozenset(row.collection for row in rows if row.active)
        return Snapshot(
            now=now,
            jobs=kept,
            folded=summary.fold(beyond),
            unlisted=tuple(sorted(filter(self.keeps, self.ledger.board.unlisted))),
            outcomes=summary.keep_outcomes_within(outcomes, active, now=now, most=limits.max_outcomes),
            databases=database_rows(memory),
            collections=self._collections(),
            known_since=memory.since,
            listed_jobs=len(self.ledger.board),
            collections_folded=max(len(beyond), len(outcomes) - limits.max_outcomes, 0),
            sources_folded=sum(row.sources_folded for row in kept),
        )

    def _max_age(self, collection: Collection) -> float | None:
        return self._settings.freshness.max_age_for(collection.database, collection.name)

    def _drop_gone(self, now: float) -> None:
        exists = self.attribution.exists
        for collection in [c for c in self.ledger.memory.outcomes if exists(c) is False]:
            self.ledger.forget_collection(collection)
        self.ledger.sweep(now, exists)

    def _refresh_rows(self) -> None:
        board = self.ledger.board
        for collection in board.dirty:
            group = board.groups.get(collection)
            if group is None:
                self._rows.pop(collection, None)
                continue
            self._rows[collection] = summary.job_rows(
                collection,
                group.jobs.values(),
                changed=group.changed,
                exists=self.attribution.exists(collection),
                max_sources=self._settings.limits.max_sources,
            )
        board.dirty.clear()

    def _is_shown(self, row: JobRows, now: float) -> bool:
        listed = self.ledger.board.listed_at(row.collection)
        # Unlisted collections go stale one by one, while the others stay fresh.
        return self.keeps(row.collection) and now - listed <= self._settings.poll.stale_after

    def _collections(self) -> tuple[CollectionRow, ...]:
        return tuple(
            CollectionRow(entry.collection, entry.source, entry.created)
            for entry in self.attribution.inventory.external
            if self.keeps(entry.collection)
        )
