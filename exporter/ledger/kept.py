"""What the state file holds already, so that a save writes what differs and nothing else."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, replace
from typing import Final

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import Ended, Outcomes, Running
from exporter.ledger.records import (
    ENDED_COLUMNS,
    collection_key,
    ended_to_row,
    header_of,
    outcomes_to_json,
    running_to_row,
    sealed,
    totals_to_json,
)
from exporter.model import Collection

MOST_HISTORY: Final = 1_000_000
"""Jobs that are kept for reading alone: with about 300 bytes each the file stays within a few hundred MB."""
_PRUNE_AT_ONCE: Final = 5_000

_PRUNE: Final = "DELETE FROM ended WHERE job_id IN (SELECT job_id FROM ended WHERE known = 0"


@dataclass(slots=True)
class Changes:
    """What a save writes."""

    begin_again: bool
    """Whether all that the file holds was another Milvus's."""
    header: dict[str, str]
    outcomes: dict[Collection, Outcomes]
    outcomes_gone: set[Collection]
    databases: dict[str, str]
    databases_gone: set[str]
    ended: dict[int, Ended]
    ended_gone: set[int]
    running: dict[int, Running]
    running_gone: set[int]


@dataclass(slots=True)
class Kept:
    """The content of a file as of the last save. A save that fails leaves it as it is, so the next one catches up."""

    header: dict[str, str] = field(default_factory=dict)
    outcomes: dict[Collection, Outcomes] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)

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
        begin_again = self.header.get("generation", header["generation"]) != header["generation"]
        kept = Kept() if begin_again else self
        ended = {id_: e for id_, e in memory.ended.items() if kept.ended.get(id_) is not e}
        # As many as there were and are new: nothing is gone, and two large sets need not be compared.
        new = sum(id_ not in kept.ended for id_ in ended)
        same_ids = len(kept.ended) + new == len(memory.ended)
        return Changes(
            begin_again=begin_again,
            header={key: value for key, value in header.items() if kept.header.get(key) != value},
            outcomes={c: o for c, o in memory.outcomes.items() if kept.outcomes.get(c) != o},
            outcomes_gone=kept.outcomes.keys() - memory.outcomes.keys(),
            databases={name: body for name, body in databases.items() if kept.databases.get(name) != body},
            databases_gone=kept.databases.keys() - databases.keys(),
            ended=ended,
            ended_gone=set() if same_ids else kept.ended.keys() - memory.ended.keys(),
            running={id_: job for id_, job in memory.running.items() if kept.running.get(id_) is not job},
            running_gone=kept.running.keys() - memory.running.keys(),
        )

    def take(self, changes: Changes) -> None:
        """Note that these are in the file."""
        if changes.begin_again:
            for table in (self.header, self.outcomes, self.databases, self.ended, self.running):
                table.clear()
        self.header.update(changes.header)
        self.outcomes.update({c: _copy(o) for c, o in changes.outcomes.items()})
        self.databases.update(changes.databases)
        self.ended.update(changes.ended)
        self.running.update(changes.running)
        for collection in changes.outcomes_gone:
            del self.outcomes[collection]
        for database in changes.databases_gone:
            del self.databases[database]
        for id_ in changes.ended_gone:
            del self.ended[id_]
        for id_ in changes.running_gone:
            del self.running[id_]


def _copy(outcomes: Outcomes) -> Outcomes:
    """Copy what may change in place."""
    return replace(outcomes, facts=outcomes.facts.copy(), forgotten=outcomes.forgotten.copy())


def write(connection: sqlite3.Connection, changes: Changes) -> None:
    """Write what differs. The caller's transaction."""
    many = connection.executemany
    if changes.begin_again:
        for table in ("outcomes", "databases", "ended", "running"):
            connection.execute(f"DELETE FROM {table}")
    many("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", map(sealed, changes.header.items()))
    outcomes = ((*collection_key(c), outcomes_to_json(o)) for c, o in changes.outcomes.items())
    many("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)", map(sealed, outcomes))
    gone = map(collection_key, changes.outcomes_gone)
    many("DELETE FROM outcomes WHERE database = ? AND collection = ? AND collection_id = ?", gone)
    many("INSERT OR REPLACE INTO databases VALUES (?, ?, ?)", map(sealed, changes.databases.items()))
    many("DELETE FROM databases WHERE database = ?", ((name,) for name in changes.databases_gone))
    ended = (sealed(ended_to_row(one)) for one in changes.ended.values())
    marks = ", ".join("?" * (ENDED_COLUMNS.count(",") + 2))
    many(f"INSERT OR REPLACE INTO ended ({ENDED_COLUMNS}, seal, known) VALUES ({marks}, 1)", ended)
    running = (sealed(running_to_row(*item)) for item in changes.running.items())
    many("INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?, ?, ?, ?)", running)
    many("DELETE FROM running WHERE job_id = ?", ((id_,) for id_ in changes.running_gone))
    # A half-written failure can turn out to be under way after all.
    many("DELETE FROM ended WHERE job_id = ?", ((id_,) for id_ in changes.running))
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
