"""What the state file holds already, so that a save writes what differs and nothing else."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, replace
from typing import Final

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import Ended, Outcomes
from exporter.ledger.records import (
    collection_key,
    ended_to_row,
    header_of,
    outcomes_to_json,
    sealed,
    totals_to_json,
)
from exporter.model import Collection, Job

MOST_HISTORY: Final = 1_000_000
"""Jobs that are kept for reading alone: with about 300 bytes each the file stays within a few hundred MB."""
_PRUNE_AT_ONCE: Final = 5_000

_PRUNE: Final = "DELETE FROM ended WHERE job_id IN (SELECT job_id FROM ended WHERE known = 0"


@dataclass(slots=True)
class Changes:
    """What a save writes."""

    header: dict[str, str]
    outcomes: dict[Collection, Outcomes]
    outcomes_gone: set[Collection]
    databases: dict[str, str]
    databases_gone: set[str]
    ended: dict[int, Ended]
    ended_gone: set[int]


@dataclass(slots=True)
class Kept:
    """The content of a file as of the last save. A save that fails leaves it as it is, so the next one catches up."""

    header: dict[str, str] = field(default_factory=dict)
    outcomes: dict[Collection, Outcomes] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    ended: dict[int, tuple[Collection, Job]] = field(default_factory=dict)

    @classmethod
    def of(cls, memory: Memory | None) -> Kept:
        """Return what a file holds that ``memory`` was read from."""
        kept = cls()
        if memory is not None:
            kept.take(kept.changes(memory))
        return kept

    def changes(self, memory: Memory) -> Changes:
        """Return how ``memory`` differs. Looks at everything, and copies nothing."""
        header, databases = header_of(memory), {name: totals_to_json(t) for name, t in memory.databases.items()}
        kept, known = self.ended, self.outcomes
        ended = {
            id_: e
            for id_, e in memory.ended.items()
            if (was := kept.get(id_)) is None or was[0] is not e.collection or was[1] is not e.job
        }
        # As many as there were and are new: nothing is gone, and two large sets need not be compared.
        new = sum(id_ not in kept for id_ in ended)
        return Changes(
            header={key: value for key, value in header.items() if self.header.get(key) != value},
            outcomes={c: o for c, o in memory.outcomes.items() if known.get(c) != o},
            outcomes_gone=known.keys() - memory.outcomes.keys(),
            databases={name: body for name, body in databases.items() if self.databases.get(name) != body},
            databases_gone=self.databases.keys() - databases.keys(),
            ended=ended,
            ended_gone=set() if len(kept) + new == len(memory.ended) else kept.keys() - memory.ended.keys(),
        )

    def take(self, changes: Changes) -> None:
        """Note that these are in the file."""
        self.header.update(changes.header)
        self.outcomes.update({c: _copy(o) for c, o in changes.outcomes.items()})
        self.databases.update(changes.databases)
        self.ended.update({id_: (e.collection, e.job) for id_, e in changes.ended.items()})
        for collection in changes.outcomes_gone:
            del self.outcomes[collection]
        for database in changes.databases_gone:
            del self.databases[database]
        for id_ in changes.ended_gone:
            del self.ended[id_]


def _copy(outcomes: Outcomes) -> Outcomes:
    """Copy what may change in place."""
    trouble = replace(outcomes.trouble) if outcomes.trouble else None
    return replace(outcomes, recent=list(outcomes.recent), trouble=trouble)


def write(connection: sqlite3.Connection, changes: Changes) -> None:
    """Write what differs. The caller's transaction."""
    many = connection.executemany
    many("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", map(sealed, changes.header.items()))
    outcomes = ((*collection_key(c), outcomes_to_json(o)) for c, o in changes.outcomes.items())
    many("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)", map(sealed, outcomes))
    gone = map(collection_key, changes.outcomes_gone)
    many("DELETE FROM outcomes WHERE database = ? AND collection = ? AND collection_id = ?", gone)
    many("INSERT OR REPLACE INTO databases VALUES (?, ?, ?)", map(sealed, changes.databases.items()))
    many("DELETE FROM databases WHERE database = ?", ((name,) for name in changes.databases_gone))
    ended = (sealed(ended_to_row(one)) for one in changes.ended.values())
    many("INSERT OR REPLACE INTO ended VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", ended)
    many("UPDATE ended SET known = 0 WHERE job_id = ?", ((id_,) for id_ in changes.ended_gone))


def history_rows(connection: sqlite3.Connection) -> int:
    """Return how many jobs are kept for reading alone."""
    return int(connection.execute("SELECT count(*) FROM ended WHERE known = 0").fetchone()[0])


def prune(connection: sqlite3.Connection, before: float, excess: int) -> int:
    """Drop history that ended before a moment (epoch seconds), and the ``excess`` oldest, a bounded number at a time.

    Returns how many were dropped. What counting needs is never touched.
    """
    dropped = connection.execute(f"{_PRUNE} AND stop < ? LIMIT ?)", (before, _PRUNE_AT_ONCE)).rowcount
    more = min(excess - dropped, _PRUNE_AT_ONCE)
    if more > 0:
        dropped += connection.execute(f"{_PRUNE} ORDER BY stop LIMIT ?)", (more,)).rowcount
    return dropped
