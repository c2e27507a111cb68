"""Station 5, summarise: rows of what has changed, and the snapshot that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from exporter import summary
from exporter.catalog import Attribution, Inventory
from exporter.ledger import Board, Ledger, database_rows, outcome_row, outcome_rows
from exporter.model import Collection, Job, State
from exporter.poll.tables import Table
from exporter.snapshot import CollectionRow, JobRows, OutcomeRow, Snapshot

if TYPE_CHECKING:
    from exporter.config import Settings


def filter_of(settings: Settings) -> Callable[[Collection], bool]:
    """Return what tells whether the filters let a collection be shown."""
    database, filters = settings.milvus.address.database, settings.filters
    if not database and not filters.any:
        return lambda _: True
    return lambda c: database in ("", c.database) and filters.keeps(c.database, c.name)


class Overview:
    """Keeps the rows of a ledger up to date: a poll costs what it has changed."""

    def __init__(
        self, settings: Settings, ledger: Ledger, attribution: Attribution, *, keeps: Callable[[Collection], bool]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._attribution = attribution
        self._keeps = keeps
        self._jobs: Table[JobRows] = Table(self._joined)
        # A known id is the largest, and speaks for the name that a former generation bore as well.
        self._outcomes: Table[OutcomeRow] = Table(partial(max, key=attrgetter("collection")))
        self._outdated: set[int] = set()
        self._grounds: object = None
        self._shown_inventory: Inventory | None = None
        self._existing: tuple[CollectionRow, ...] = ()
        self._unseen: int | None = None
        self._listed: dict[Collection, tuple[Job, ...]] = {}

    def snapshot(self, now: float, monotonic: float) -> Snapshot:
        """Summarise what is remembered. ``now`` in epoch seconds, ``monotonic`` by the clock that never steps."""
        self._sweep(now)
        self._refresh_rows()
        memory, limits = self._ledger.memory, self._settings.limits
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
            listed_jobs=len(self._ledger.board),
            jobs_without_visible_collection=self._unseen,
            collections_folded=max(len(beyond), len(outcomes.rows) - limits.max_outcomes, 0),
            sources_folded=sum(row.sources_folded for row in kept),
        )

    def remembered(self, now: float) -> Snapshot:
        """Return what can be shown of a restored memory before the first listing: stamps, and failures in a row.

        No counters yet: where the last process could not write, a listing must first bring them to what it showed.
        """
        memory, limits = self._ledger.memory, self._settings.limits
        rows = outcome_rows(memory, self._keeps, self._max_age)
        outcomes = tuple(replace(row, finished=None, failed=None, failed_exemplar=None) for row in rows)
        return Snapshot(
            now=0.0,
            outcomes=summary.keep_outcomes_within(outcomes, lambda _: False, now=now, most=limits.max_outcomes),
            known_since=memory.since,
            collections_folded=max(len(outcomes) - limits.max_outcomes, 0),
        )

    def take_outdated(self) -> frozenset[int]:
        """Return ids of collections whose newest job has completed with another source than the inventory knows."""
        outdated, self._outdated = frozenset(self._outdated), set()
        return outdated

    def _max_age(self, collection: Collection) -> float | None:
        return self._settings.freshness.max_age_for(collection.database, collection.name)

    def _sweep(self, now: float) -> None:
        grounds = self._attribution.grounds()
        anew, self._grounds = grounds != self._grounds, grounds
        if anew:  # whether a collection exists is part of its rows
            self._ledger.board.dirty.update(self._ledger.board.groups)
        self._ledger.sweep(now, self._exists, all_of_them=anew)

    def _exists(self, collection: Collection) -> bool | None:
        """Return whether a collection exists; the settings say it of one that is in no database that is shown."""
        hidden = not collection.database and self._settings.inventory.unseen_collections == "hidden"
        return None if hidden else self._attribution.exists(collection)

    def _refresh_rows(self) -> None:
        board = self._ledger.board
        if board.dirty or not board.groups:  # a new inventory makes all of them dirty
            self._unseen = self._attribution.inventory.unseen_jobs(board.groups)
        dirty = [collection for collection in board.dirty if self._keeps(collection)]
        rows = [(collection, self._job_row(collection)) for collection in dirty]
        self._jobs.update(rows)
        self._listed = _listed_anew(self._listed, dirty, board)
        self._outcomes.update((c, self._outcome_row(c)) for c in filter(self._keeps, self._ledger.dirty))
        outdated = (c for c, row in rows if row is not None and self._is_outdated(c, row.newest))
        self._outdated.update(collection.collection_id for collection in outdated)
        board.dirty.clear()
        self._ledger.dirty.clear()

    def _job_row(self, collection: Collection) -> JobRows | None:
        """Return the row of one collection as the board has it; None where no job of it is listed."""
        group = self._ledger.board.groups.get(collection)
        if group is None:
            return None
        exists, most = self._exists(collection), self._settings.limits.max_sources
        return summary.job_rows(collection, group.jobs.values(), changed=group.changed, exists=exists, max_sources=most)

    def _outcome_row(self, collection: Collection) -> OutcomeRow | None:
        outcomes = self._ledger.memory.outcomes.get(collection)
        return outcome_row(collection, outcomes, self._max_age(collection)) if outcomes else None

    def _joined(self, rows: Sequence[JobRows]) -> JobRows:
        return rows[0] if len(rows) == 1 else summary.join(rows, max_sources=self._settings.limits.max_sources)

    def _is_outdated(self, collection: Collection, newest: Job | None) -> bool:
        known = self._attribution.inventory.entries.get(collection.collection_id)
        if known is None or newest is None or newest.state is not State.COMPLETED:
            return False
        return newest.source != known.source

    def _shown(self, monotonic: float) -> Sequence[JobRows]:
        """Return the rows that are fresh: unlisted collections go stale one by one, while the others stay."""
        board, stale_after = self._ledger.board, self._settings.poll.stale_after
        if monotonic - board.whole <= stale_after:
            return self._jobs.rows
        return self._jobs.where(lambda collection: monotonic - board.listed_at(collection) <= stale_after)

    def _is_active(self, collection: Collection) -> bool:
        row = self._jobs.get(collection[:2])
        return row is not None and row.active

    def _unlisted(self) -> tuple[Collection, ...]:
        # Two generations of one name are one series.
        by_place = {collection[:2]: collection for collection in sorted(self._ledger.board.unlisted)}
        return tuple(filter(self._keeps, by_place.values()))

    def _collections(self) -> tuple[CollectionRow, ...]:
        inventory = self._attribution.inventory
        if inventory is not self._shown_inventory:
            self._shown_inventory = inventory
            self._existing = tuple(
                CollectionRow(entry.collection, entry.source, entry.created)
                for entry in inventory.external
                if entry.seen and self._keeps(entry.collection)
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
