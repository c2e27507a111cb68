"""Whom to ask about a job, where its name alone does not tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from exporter.catalog.inventory import Entry, Inventory
from exporter.model import Collection

# Asking costs a call each: so many databases (Milvus's own limit by default), and so many collections, those with the
# job's own source first.
MAX_DATABASES: Final = 64
_MAX_COLLECTIONS: Final = 16
DEFAULT: Final = "default"

Answers = Mapping[Collection, frozenset[int]]
"""The ids that listing a collection by name has shown."""
Hidden = frozenset[Collection]
"""Collections that exist and may not be listed."""


def others(inventory: Inventory, name: str, source: str, *, hidden: bool) -> tuple[Collection, ...]:
    """Return who may own a job although nothing bears its name.

    The name in each database, where a missing grant may hide it (``hidden``), and known collections, which may have
    borne the name before a rename or had it as alias. The default database always exists, shown or not.
    """
    databases = dict.fromkeys((*inventory.databases, DEFAULT)) if hidden else ()
    places = [Collection(database, name) for database in databases]
    unknown = [place for place in places if place[:2] not in inventory.by_place]
    nearest = [*inventory.by_source.get(source, ())[:_MAX_COLLECTIONS], *inventory.external[:_MAX_COLLECTIONS]]
    known = dict.fromkeys(entry.collection for entry in nearest)
    return (*unknown[:MAX_DATABASES], *list(known)[:_MAX_COLLECTIONS])


def only_hidden(candidates: Iterable[Collection], answers: Answers, hidden: Hidden) -> Collection | None:
    """Return the one candidate that exists and may not be listed, where every other one has answered."""
    silent = [candidate for candidate in candidates if candidate not in answers]
    return silent[0] if len(silent) == 1 and silent[0] in hidden else None


def may_be_older(start: float | None, entry: Entry) -> bool:
    """Return whether a job began before the collection existed, so that it can be a former one's of the same name."""
    return start is not None and entry.created is not None and start < entry.created


def renamed(before: Inventory, after: Inventory, settled: set[Collection]) -> dict[Collection, Collection]:
    """Return collections whose name or database changed while their id stayed."""
    known = settled | {entry.collection for entry in before.entries.values()}
    return {
        former: entry.collection
        for former in known
        if (entry := after.entries.get(former.collection_id)) is not None and former != entry.collection
    }


def heir(inventory: Inventory, collection: Collection, moment: float) -> Collection | None:
    """Return the collection, now known, to which belongs what was remembered without an id.

    ``moment``, epoch seconds, is when it happened, 0 where that is not known; what is older than the collection
    that bears the name now was a former one's.
    """
    if collection.database:
        bearer = inventory.by_place.get((collection.database, collection.name))
    else:
        named = inventory.by_name.get(collection.name, ())
        bearer = named[0] if len(named) == 1 and named[0].collection.name == collection.name else None
    if bearer is None or bearer.external is False:
        return None
    if bearer.created is None and not bearer.seen:
        return None  # known from before a restart alone, and not by age: it may have been made since
    return None if bearer.created is not None and 0 < moment < bearer.created else bearer.collection
