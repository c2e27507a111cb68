"""Which collection a job belongs to. A job record says neither database nor collection id, only what its caller typed.

A name that can mean one collection is that collection. Where it can mean several, or might mean a former one, or is
an alias that can be pointed elsewhere, the candidates are listed by name: that list holds the ids which are theirs.
The answer is remembered per job id for life (docs/milvus.md, "Which database").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from exporter.catalog.inventory import Entry, Inventory
from exporter.model import Collection, Job

# Asking costs a call each: so many databases and so many collections, those with the job's own source first.
_MAX_CANDIDATES: Final = 16


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    start: float | None
    source: str


class Attribution:
    """Remembers the answer for each job id. Touched by one poll at a time."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self._settled: dict[int, tuple[Collection, float]] = {}
        self._open: dict[int, _Open] = {}
        self._denied: dict[int, tuple[Collection, ...]] = {}
        """Open jobs that none of these candidates, which are all there are, has owned up to."""

    def adopt(self, inventory: Inventory) -> tuple[dict[Collection, Collection], dict[int, Collection]]:
        """Take a new picture. Returns renames, and single jobs that turn out to belong elsewhere."""
        if inventory is self.inventory:
            return {}, {}
        before, self.inventory = self.inventory, inventory
        renames = _renamed(before, inventory)
        moved: dict[int, Collection] = {}
        successors = _successors(before, inventory)
        if renames or successors:
            for job_id, (collection, start) in list(self._settled.items()):
                new = renames.get(collection)
                heir = successors.get(collection)
                # Seen before we knew that the collection had been dropped and made anew.
                if heir is not None and heir.created is not None and start >= heir.created:
                    new = moved[job_id] = heir.collection
                if new is not None:
                    self._settled[job_id] = (new, start)
        return renames, moved

    def assign(self, jobs: Iterable[Job]) -> dict[int, Collection]:
        """Return the collection of each job; for one that is still open, its name in an unknown database."""
        placed: dict[int, Collection] = {}
        for job in jobs:
            settled = self._settled.get(job.job_id)
            if settled is not None:
                placed[job.job_id] = settled[0]
                continue
            self._open[job.job_id] = _Open(job.name, job.start, job.source)
            placed[job.job_id] = self._try(job.job_id) or Collection("", job.name)
        return placed

    def retry_open(self) -> dict[int, Collection]:
        """Return open jobs that the present inventory settles without a question."""
        found = {job_id: self._try(job_id) for job_id in list(self._open)}
        return {job_id: collection for job_id, collection in found.items() if collection is not None}

    def unknown_names(self) -> frozenset[str]:
        """Return names of open jobs that mean nothing the inventory knows."""
        return frozenset(job.name for job in self._open.values() if job.name not in self.inventory.by_name)

    def questions(self) -> tuple[Collection, ...]:
        """Return what to list by name so that open jobs can be settled; empty where nothing can be learnt."""
        wanted: dict[Collection, None] = {}
        if not self.inventory.databases:
            return ()
        for job_id, job in self._open.items():
            candidates = self._candidates(job)
            if self._denied.get(job_id) != candidates:
                wanted.update(dict.fromkeys(candidates))
        return tuple(wanted)

    def answer(self, answers: Mapping[Collection, frozenset[int]]) -> dict[int, Collection]:
        """Settle open jobs by which ids a listing by name has shown. Returns those that are settled now.

        A candidate that could not be asked has no entry: its jobs stay open until the next poll.
        """
        owners = {job_id: collection for collection, ids in answers.items() for job_id in ids if job_id in self._open}
        settled: dict[int, Collection] = {}
        for job_id, job in list(self._open.items()):
            candidates = self._candidates(job)
            if job_id in owners:
                settled[job_id] = self._settle(job_id, owners[job_id])
            elif candidates and all(candidate in answers for candidate in candidates):
                former = self._former(job)
                if former is not None:
                    settled[job_id] = self._settle(job_id, former)
                else:
                    self._denied[job_id] = candidates
        return settled

    def exists(self, collection: Collection) -> bool | None:
        """Return whether the collection exists; None where that cannot be known.

        A name whose jobs nothing has owned up to, in any database that we are shown, is that of a dropped collection.
        """
        if collection.database or collection.collection_id:
            return self.inventory.exists(collection)
        if not self._denied:
            return None
        open_ = [job_id for job_id, job in self._open.items() if job.name == collection.name]
        return False if open_ and all(job_id in self._denied for job_id in open_) else None

    def settle(self, jobs: Iterable[Job], collection: Collection) -> None:
        """Remember jobs that a listing by name has shown to be this collection's."""
        for job in jobs:
            self._open[job.job_id] = _Open(job.name, job.start, job.source)
            self._settle(job.job_id, collection)

    def forget(self, job_ids: Iterable[int]) -> None:
        """Forget jobs that have left the listing for good."""
        for job_id in job_ids:
            self._settled.pop(job_id, None)
            self._open.pop(job_id, None)
            self._denied.pop(job_id, None)

    def _try(self, job_id: int) -> Collection | None:
        job = self._open[job_id]
        candidates = self.inventory.by_name.get(job.name, ())
        if len(candidates) != 1:
            return None
        entry = candidates[0]
        if entry.collection.name != job.name or _may_be_older(job, entry):
            return None
        return self._settle(job_id, entry.collection)

    def _settle(self, job_id: int, collection: Collection) -> Collection:
        job = self._open.pop(job_id)
        self._denied.pop(job_id, None)
        self._settled[job_id] = (collection, job.start or 0.0)
        return collection

    def _candidates(self, job: _Open) -> tuple[Collection, ...]:
        named = self.inventory.by_name.get(job.name, ())
        if named:
            return tuple(entry.collection for entry in named)
        # Nothing bears the name now. It may be hidden from us by a grant, and answer to its name all the same; or it
        # is a name from before a rename, and only the renamed collection's own list tells.
        hidden = [Collection(database, job.name) for database in self.inventory.databases]
        by_source = sorted(self.inventory.external, key=lambda entry: entry.source != job.source)
        return (*hidden[:_MAX_CANDIDATES], *(entry.collection for entry in by_source[:_MAX_CANDIDATES]))

    def _former(self, job: _Open) -> Collection | None:
        """Return the former generation that a job must belong to when the only bearer of its name denies it."""
        bearers = self.inventory.by_name.get(job.name, ())
        if len(bearers) == 1 and bearers[0].collection.name == job.name and _may_be_older(job, bearers[0]):
            return Collection(bearers[0].collection.database, job.name)
        return None


def _may_be_older(job: _Open, entry: Entry) -> bool:
    return job.start is not None and entry.created is not None and job.start < entry.created


def _renamed(before: Inventory, after: Inventory) -> dict[Collection, Collection]:
    """Return collections whose name or database changed while their id stayed."""
    return {
        former.collection: entry.collection
        for id_, entry in after.entries.items()
        if (former := before.entries.get(id_)) is not None and former.collection != entry.collection
    }


def _successors(before: Inventory, after: Inventory) -> dict[Collection, Entry]:
    """Return collections that are gone and whose name another one has taken."""
    gone = ((id_, entry.collection) for id_, entry in before.entries.items() if id_ in after.gone)
    return {
        collection: heir
        for _, collection in gone
        if (heir := after.by_place.get((collection.database, collection.name))) is not None
    }
