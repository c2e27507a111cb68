"""Which collection a job belongs to. A job record says neither database nor collection id, only what its caller typed.

A name that can mean one collection is that collection. Where it can mean several, or might mean a former one, or is
an alias that can be pointed elsewhere, the candidates are listed by name: that list holds the ids which are theirs.
The answer is remembered per job id for life (docs/milvus.md, "Which database").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from exporter.catalog.candidates import (
    MAX_DATABASES,
    Answers,
    Hidden,
    heir,
    may_be_older,
    only_hidden,
    others,
    renamed,
)
from exporter.catalog.inventory import Inventory
from exporter.model import Collection, Job


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    start: float | None
    source: str
    former: Collection | None = None
    """Where it was settled before that came into doubt; where it stays when nobody else owns up to it."""


class Attribution:
    """Remembers the answer for each job id. Touched by one poll at a time."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self._settled: dict[int, tuple[Collection, float, str]] = {}
        """Where a job belongs, its start (0 where it is not known) and its name."""
        self._open: dict[int, _Open] = {}
        self._denied: dict[int, tuple[Collection, ...]] = {}
        """Open jobs that none of these candidates, which are all there are, has owned up to."""
        self._disowned: dict[int, tuple[Collection, ...]] = {}
        """Open jobs that none of these, which bear their name or have it as alias, has owned up to."""
        self._formers: set[Collection] = set()
        """Former generations of a name: gone, also when the one that succeeded them is gone too."""
        self._away: set[int] = set()
        """Open jobs that the last listing lacked: nobody could show them, so nobody is asked."""
        self._asked: dict[tuple[str, str, bool], tuple[Collection, ...]] = {}
        self._dropped: frozenset[str] | None = None

    def adopt(self, inventory: Inventory) -> tuple[dict[Collection, Collection], dict[int, Collection]]:
        """Take a new picture. Returns renames, and single jobs that turn out to belong elsewhere."""
        if inventory is self.inventory:
            return {}, {}
        before, self.inventory = self.inventory, inventory
        self._asked.clear()
        self._formers &= (held := {collection for collection, _, _ in self._settled.values()})
        renames = renamed(before, inventory, held)
        for job_id, job in self._open.items():
            if job.former in renames:
                self._open[job_id] = replace(job, former=renames[job.former])
        moved: dict[int, Collection] = {}
        for job_id, (collection, start, name) in list(self._settled.items()):
            new = renames.get(collection, collection)
            if self._is_taken(collection, start, before) or self._is_alias(collection):
                # Settled, also by name, before we knew that another collection bears it: whose it was has to be asked.
                del self._settled[job_id]
                self._open[job_id] = _Open(name, start or None, "", former=new)
                continue
            if not new.collection_id and (known := heir(inventory, new, start)) is not None:
                new = moved[job_id] = known
            if new != collection:
                self._settled[job_id] = (new, start, name)
        return renames, moved

    def _is_taken(self, collection: Collection, start: float, before: Inventory) -> bool:
        """Return whether the name of a known collection has passed to another one, perhaps before a job began."""
        id_ = collection.collection_id
        taker = self.inventory.by_place.get((collection.database, collection.name))
        if taker is None or id_ not in before.entries or taker.collection.collection_id == id_:
            return False
        return not 0 < start < (taker.created or 0.0)

    def restore(self, placed: Iterable[tuple[int, str, float | None, Collection]]) -> None:
        """Take over answers from before a restart, as far as they name a database: the others are still open.

        Each has a job's id, the name in its record, its start in epoch seconds, and where it was.
        """
        for job_id, name, start, collection in placed:
            if collection.database:
                self._settled[job_id] = (collection, start or 0.0, name)
            else:
                self._open[job_id] = _Open(name, start, "")
                self._away.add(job_id)  # until it is listed again

    def _is_alias(self, collection: Collection) -> bool:
        """Return whether a bare name, under which a job was found, is now known to be another collection's alias."""
        if collection.collection_id or not collection.database or collection[:2] in self.inventory.by_place:
            return False
        named = self.inventory.by_name.get(collection.name, ())
        return any(entry.collection.database == collection.database for entry in named)

    def assign(self, jobs: Iterable[Job]) -> None:
        """Find out whose jobs those are that are not settled yet, as far as that takes no question."""
        for job in jobs:
            if job.job_id not in self._settled:
                self._leave_open(job)
                self._away.discard(job.job_id)
                self._try(job.job_id)

    def placed(self, jobs: Iterable[Job]) -> list[tuple[Job, Collection]]:
        """Return jobs that have been assigned, each with its collection."""
        known = self._settled
        return [(job, here[0] if (here := known.get(job.job_id)) else self.place(job)) for job in jobs]

    def place(self, job: Job) -> Collection:
        """Return the collection of a job that has been assigned; while it is open, its name in an unknown database."""
        known = self._settled.get(job.job_id)
        return known[0] if known else self._open[job.job_id].former or Collection("", job.name)

    def ids(self) -> frozenset[int]:
        """Return the ids of all jobs remembered here."""
        return frozenset((*self._settled, *self._open))

    @property
    def in_doubt(self) -> bool:
        """Whether of any job it is not known where it belongs."""
        return len(self._open) > 0

    def miss(self, job_ids: Iterable[int]) -> None:
        """Note jobs that a listing lacks; they may come back."""
        self._away.update(self._open.keys() & set(job_ids))

    def retry_open(self) -> dict[int, Collection]:
        """Return open jobs that the present inventory settles without a question."""
        found = {job_id: self._try(job_id) for job_id in list(self._open)}
        return {job_id: collection for job_id, collection in found.items() if collection is not None}

    def unknown_names(self) -> frozenset[str]:
        """Return names of open jobs that mean nothing the inventory knows, or nothing that owns up to them.

        The latter is an alias that was pointed elsewhere since the inventory was read.
        """
        known = self.inventory.by_name
        return frozenset(job.name for id_, job in self._open.items() if job.name not in known or id_ in self._disowned)

    def questions(self) -> tuple[Collection, ...]:
        """Return what to list by name so that open jobs can be settled; empty where nothing can be learnt."""
        wanted: dict[Collection, None] = {}
        for job_id, job in self._listed() if self.inventory.databases else ():
            candidates = self._candidates(job_id, job)
            if self._denied.get(job_id) != candidates:
                wanted.update(dict.fromkeys(candidates))
        return tuple(wanted)

    def answer(self, answers: Answers, hidden: Hidden = frozenset()) -> dict[int, Collection]:
        """Settle open jobs by which ids a listing by name has shown. Returns those that are settled now.

        A candidate that could not be asked is in neither: its jobs stay open until the next poll.
        """
        # A collection that is known goes before a bare name, under which it answers too when that is a new alias.
        in_order = sorted(answers.items(), key=lambda item: (item[0].collection_id != 0, item[0]))
        owners = {job_id: collection for collection, ids in in_order for job_id in ids if job_id in self._open}
        settled: dict[int, Collection] = {}
        for job_id, job in self._listed():
            candidates = self._candidates(job_id, job)
            owner = owners.get(job_id) or only_hidden(candidates, answers, hidden)
            if owner is not None:
                self._formers.discard(owner)
                settled[job_id] = self._settle(job_id, owner)
            elif candidates and all(candidate in answers for candidate in candidates):
                former = self._former(job)
                if former is not None and job.former is None:
                    self._formers.add(former)
                    settled[job_id] = self._settle(job_id, former)
                else:
                    self._deny(job_id, job, candidates)
        return settled

    def exists(self, collection: Collection) -> bool | None:
        """Return whether the collection exists; None where that cannot be known.

        A name whose jobs nothing has owned up to, in any database that we are shown, is that of a dropped collection.
        """
        if collection in self._formers:
            return False
        if collection.database or collection.collection_id:
            return self.inventory.exists(collection)
        return False if collection.name in self._dropped_names() else None

    def grounds(self) -> tuple[Inventory, frozenset[Collection], frozenset[str]]:
        """Return what the answers of :meth:`exists` depend on: while it is the same, they are."""
        return self.inventory, frozenset(self._formers), self._dropped_names()

    def _dropped_names(self) -> frozenset[str]:
        if not self._denied or len(self.inventory.databases) > MAX_DATABASES:
            return frozenset()
        if self._dropped is None:
            hoped = {job.name for job_id, job in self._open.items() if job_id not in self._denied}
            self._dropped = frozenset(self._open[job_id].name for job_id in self._denied) - hoped
        return self._dropped

    def settle(self, jobs: Iterable[Job], collection: Collection) -> None:
        """Remember jobs that a listing by name has shown to be this collection's.

        Without a database that list says too little for life.
        """
        for job in jobs:
            if collection.database:
                self._leave_open(job)
                self._settle(job.job_id, collection)
            elif job.job_id not in self._settled:
                self._leave_open(job)

    def forget(self, job_ids: Iterable[int]) -> None:
        """Forget jobs that have left the listing for good."""
        for job_id in job_ids:
            self._settled.pop(job_id, None)
            self._open.pop(job_id, None)
            self._denied.pop(job_id, None)
            self._disowned.pop(job_id, None)
            self._away.discard(job_id)
            self._asked.clear()
        self._dropped = None

    def _listed(self) -> list[tuple[int, _Open]]:
        return [(job_id, job) for job_id, job in self._open.items() if job_id not in self._away]

    def _leave_open(self, job: Job) -> None:
        known = self._open.get(job.job_id)
        self._open[job.job_id] = _Open(job.name, job.start, job.source, known.former if known else None)
        self._dropped = None

    def _try(self, job_id: int) -> Collection | None:
        job = self._open[job_id]
        candidates = self.inventory.by_name.get(job.name, ())
        if len(candidates) != 1 or job.former is not None:
            return None
        entry = candidates[0]
        if entry.collection.name != job.name or may_be_older(job.start, entry):
            return None
        if entry.collection in (*self._disowned.get(job_id, ()), *self._denied.get(job_id, ())):
            return None  # another one bore the name too, and bears another now
        return self._settle(job_id, entry.collection)

    def _settle(self, job_id: int, collection: Collection) -> Collection:
        job = self._open.pop(job_id)
        self._denied.pop(job_id, None)
        self._disowned.pop(job_id, None)
        self._away.discard(job_id)
        self._dropped = None
        self._settled[job_id] = (collection, job.start or 0.0, job.name)
        return collection

    def _deny(self, job_id: int, job: _Open, candidates: tuple[Collection, ...]) -> None:
        if candidates == self._named(job) and self._disowned.get(job_id) != candidates:
            # An alias may have been pointed elsewhere before we saw the job. Ask the others too, next time.
            self._disowned[job_id] = candidates
            if candidates := self._candidates(job_id, job):
                return
        if job.former is not None:
            self._settle(job_id, job.former)
            return
        self._denied[job_id] = candidates
        self._dropped = None

    def _named(self, job: _Open) -> tuple[Collection, ...]:
        return tuple(entry.collection for entry in self.inventory.by_name.get(job.name, ()))

    def _candidates(self, job_id: int, job: _Open) -> tuple[Collection, ...]:
        named = self._named(job)
        if named and not all(may_be_older(job.start, entry) for entry in self.inventory.by_name[job.name]):
            if self._disowned.get(job_id) != named:
                return named
            return tuple(c for c in self._others(job.name, job.source, hidden=False) if c not in named)
        # Nothing bears the name, or only what is younger than the job. A grant may hide the collection, which answers
        # to its name all the same; or it was renamed since, and only the renamed collection's own list tells.
        return tuple(dict.fromkeys((*named, *self._others(job.name, job.source, hidden=not named))))

    def _others(self, name: str, source: str, *, hidden: bool) -> tuple[Collection, ...]:
        key = (name, source, hidden)
        if key not in self._asked:
            self._asked[key] = others(self.inventory, name, source, hidden=hidden)
        return self._asked[key]

    def _former(self, job: _Open) -> Collection | None:
        """Return the former generation that a job must belong to when the only bearer of its name denies it."""
        bearers = self.inventory.by_name.get(job.name, ())
        if len(bearers) == 1 and bearers[0].collection.name == job.name and may_be_older(job.start, bearers[0]):
            return Collection(bearers[0].collection.database, job.name)
        return None
