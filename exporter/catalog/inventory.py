"""The inventory: an immutable picture of the collections that exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from exporter.model import Collection


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

    def exists(self, collection: Collection) -> bool | None:
        """Return whether the collection exists; None where that is not known."""
        if collection.collection_id:
            if collection.collection_id in self.gone:
                return False
            return True if collection.collection_id in self.entries else None
        # An id-less collection under a name that is taken is a former generation of it.
        return False if (collection.database, collection.name) in self.by_place else None
