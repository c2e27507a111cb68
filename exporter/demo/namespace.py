"""Databases, collections and aliases: what a name means at this moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from exporter.demo.refusals import INVALID_PARAMETER, Refused, invalid, missing, no_collection, no_database

DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Database:
    """A database. ``created`` in epoch seconds."""

    name: str
    database_id: int
    created: float


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A collection. ``created`` in epoch seconds; source and spec are both empty until a refresh supplies them."""

    collection_id: int
    database: str
    name: str
    created: float
    external: bool = True
    source: str = ""
    spec: str = ""
    aliases: tuple[str, ...] = ()


class Namespace:
    """Every database and collection. Names are unique within a database, and aliases share them."""

    def __init__(self, created: float) -> None:
        self._databases: dict[str, Database] = {}
        self._collections: dict[int, CollectionRecord] = {}
        self.add_database(DEFAULT, created)

    def add_database(self, name: str, created: float) -> None:
        """Create a database. Raises :class:`Refused` where the name is taken."""
        if name in self._databases:
            raise Refused(INVALID_PARAMETER, f"database already exist[database={name}]")
        self._databases[name] = Database(name, len(self._databases) + 1, created)

    def databases(self) -> tuple[Database, ...]:
        """Return all databases, oldest first."""
        return tuple(self._databases.values())

    def database(self, name: str) -> Database:
        """Return one database; an empty name is the default one. Raises :class:`Refused` (800)."""
        found = self._databases.get(name or DEFAULT)
        if found is None:
            raise no_database(name)
        return found

    def collections(self, database: str = "") -> tuple[CollectionRecord, ...]:
        """Return the collections of one database, oldest first. Raises :class:`Refused` (800)."""
        home = self.database(database).name
        return tuple(record for record in self._collections.values() if record.database == home)

    def find(self, database: str, name: str) -> CollectionRecord:
        """Return the collection of this name or alias. Raises :class:`Refused` (100, 800, 1101)."""
        here = self.collections(database)
        if not name:
            raise missing("collection name should not be empty")
        for record in here:
            if name == record.name or name in record.aliases:
                return record
        raise no_collection(database or DEFAULT, name)

    def by_id(self, collection_id: int) -> CollectionRecord | None:
        """Return the collection of this id, None where it was dropped."""
        return self._collections.get(collection_id)

    def add(self, record: CollectionRecord) -> None:
        """Add a collection. Raises :class:`Refused` (800, 1100)."""
        self._refuse_taken(record.database, record.name)
        self._collections[record.collection_id] = record

    def drop(self, database: str, name: str) -> CollectionRecord:
        """Remove a collection with its aliases and return what it was. Raises :class:`Refused` (100, 800)."""
        return self._collections.pop(self.find(database, name).collection_id)

    def rename(self, database: str, name: str, new_name: str) -> None:
        """Give a collection another name. Raises :class:`Refused` (100, 800, 1100)."""
        record = self.find(database, name)
        self._refuse_taken(database, new_name)
        self._collections[record.collection_id] = replace(record, name=new_name)

    def add_alias(self, database: str, name: str, alias: str) -> None:
        """Give a collection one more name. Raises :class:`Refused` (100, 800, 1100)."""
        record = self.find(database, name)
        self._refuse_taken(database, alias)
        self._collections[record.collection_id] = replace(record, aliases=(*record.aliases, alias))

    def publish(self, collection_id: int, source: str, spec: str) -> None:
        """Make the pair that a completed job used the collection's own, unless it was dropped meanwhile."""
        record = self._collections.get(collection_id)
        if record is not None:
            self._collections[collection_id] = replace(record, source=source, spec=spec)

    def _refuse_taken(self, database: str, name: str) -> None:
        for record in self.collections(database):
            if name == record.name or name in record.aliases:
                raise invalid(f"duplicated collection name {name}")
