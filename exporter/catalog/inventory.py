"""The inventory: an immutable picture of the collections that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from exporter.model import Collection


class HasJobs(Protocol):
    """The listed jobs of one collection."""

    @property
    def jobs(self) -> Sized:
        """Return them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One collection that Milvus shows."""

    collection: Collection
    created: float | None
    """Epoch seconds; None where the server does not say."""
    external: bool | None
    """None while DescribeCollection has not answered for it."""
    aliases: tuple[str, ...] = ()
    source: str = ""
    seen: bool = True
    """Whether Milvus has shown it to this process; not so for one that is known from before a restart alone."""


@dataclass(frozen=True)
class Inventory:
    """What one pass found; what it could not ask about is as the pass before had it."""

    entries: Mapping[int, Entry] = field(default_factory=dict)
    """By collection id."""
    gone: frozenset[int] = frozenset()
    """Ids once shown that are known to be dropped. A collection that is merely no longer shown is not here."""
    databases: tuple[str, ...] = ()
    hidden: frozenset[int] | None = None
    """Ids among the entries that Milvus no longer shows and that are not known to be dropped: a lost grant. None
    before a first pass."""

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Entry, ...]]:
        """Return what a name or an alias can mean, in all databases; ordinary collections have no refresh jobs."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries.values():
            if entry.external is False:
                continue
            for name in {entry.collection.name, *entry.aliases}:
                found.setdefault(name, []).append(entry)
        return {name: tuple(sorted(entries, key=lambda e: e.collection)) for name, entries in found.items()}

    @cached_property
    def by_place(self) -> Mapping[tuple[str, str], Entry]:
        """Return entries by database and current name."""
        return {(e.collection.database, e.collection.name): e for e in self.entries.values()}

    @cached_property
    def external(self) -> tuple[Entry, ...]:
        """Return the external collections, ordered by database and name."""
        return tuple(sorted((e for e in self.entries.values() if e.external), key=lambda e: e.collection))

    @cached_property
    def by_source(self) -> Mapping[str, tuple[Entry, ...]]:
        """Return external collections by their source."""
        found: dict[str, list[Entry]] = {}
        for entry in self.external:
            found.setdefault(entry.source, []).append(entry)
        return {source: tuple(entries) for source, entries in found.items()}

    def unseen_jobs(self, groups: Mapping[Collection, HasJobs]) -> int | None:
        """Return how many jobs are of collections that Milvus did not show; None before a first pass.

        Those of a collection that is known to be dropped do not count: no grant would show it.
        """
        if self.hidden is None:
            return None
        unseen = (c for c in groups if not self._shows(c, self.hidden) and self.exists(c) is not False)
        return sum(len(groups[collection].jobs) for collection in unseen)

    def _shows(self, collection: Collection, hidden: frozenset[int]) -> bool:
        """Return whether Milvus showed the collection; without a database or an id, one that its name can mean."""
        id_ = collection.collection_id
        if id_:
            return id_ in self.entries and id_ not in hidden
        if not collection.database:
            return any(e.collection.collection_id not in hidden for e in self.by_name.get(collection.name, ()))
        entry = self.by_place.get((collection.database, collection.name))
        return entry is not None and entry.collection.collection_id not in hidden

    def exists(self, collection: Collection) -> bool | None:
        """Return whether the collection exists; None where that is not known."""
        if collection.collection_id:
            if collection.collection_id in self.gone:
                return False
            return True if collection.collection_id in self.entries else None
        # An id-less collection under a name that is taken is a former generation of it.
        return False if (collection.database, collection.name) in self.by_place else None
