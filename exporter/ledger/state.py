"""The ledger's memory in a file, so that it outlives the process: one SQLite file with one writer.

A change is written before the snapshot that shows it is published, so a count that somebody has seen is never taken
back, also not by a kill at any moment. What cannot be used is left alone: a state file is evidence, not a cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from exporter.errors import StateUnusable
from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import Outcomes
from exporter.ledger.records import (
    collection_key,
    ended_from_row,
    ended_to_row,
    outcomes_from_json,
    outcomes_to_json,
    totals_from_json,
    totals_to_json,
)
from exporter.model import Collection, Job

_APPLICATION_ID: Final = 0x4D524558  # "MREX" in the file's header: a foreign database is told by its absence
_SCHEMA_VERSION: Final = 1
_BUSY_SECONDS: Final = 5.0
_PRUNE_AT_ONCE: Final = 5_000

_SCHEMA: Final = """
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outcomes (
  database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (database, collection, collection_id)
) WITHOUT ROWID;
CREATE TABLE databases (database TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ended (
  job_id INTEGER PRIMARY KEY, database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL,
  name TEXT NOT NULL, state TEXT NOT NULL, progress REAL NOT NULL, source TEXT NOT NULL, start REAL, stop REAL NOT NULL,
  failure_class TEXT, reason TEXT NOT NULL, counted INTEGER NOT NULL,
  known INTEGER NOT NULL
);
CREATE INDEX ended_by_collection ON ended (database, collection, stop);
CREATE INDEX ended_by_stop ON ended (stop) WHERE known = 0;
"""


@dataclass(frozen=True, slots=True)
class StateAccount:
    """How the file is doing. ``last_write`` in epoch seconds, 0 before the first."""

    ok: bool = True
    last_write: float = 0.0
    errors: int = 0


@dataclass(slots=True)
class _Kept:
    """What the file holds, so that a save writes what differs and nothing else."""

    header: tuple[tuple[str, str], ...] = ()
    outcomes: dict[Collection, Outcomes] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    ended: dict[int, tuple[Collection, Job]] = field(default_factory=dict)


@dataclass(slots=True)
class StateFile:
    """An open state file. ``history`` is how long ended jobs stay readable, in seconds."""

    path: Path
    history: float
    account: StateAccount = field(default_factory=StateAccount)
    _kept: _Kept = field(default_factory=_Kept)
    _connection: sqlite3.Connection | None = None
    _lock: IO[bytes] | None = None

    def open(self) -> None:
        """Open for writing, or make a new file. Raises :class:`exporter.errors.StateUnusable`, which says why."""
        self.account = replace(self.account, ok=False)
        try:
            self._lock = _lock(self.path)
            self._connection = _connect(self.path)
        except (OSError, sqlite3.Error) as error:
            raise StateUnusable(f"{self.path}: {_why(error)}") from None

    def load(self, since: float) -> Memory:
        """Return what is remembered. ``since`` (epoch seconds) is where a new file's memory begins.

        Raises :class:`exporter.errors.StateUnusable`.
        """
        try:
            memory = _load(self._open_connection()) or Memory(since)
        except (sqlite3.Error, ValueError, KeyError, TypeError, IndexError) as error:
            raise StateUnusable(f"{self.path}: {_why(error)}") from None
        self._kept = _kept(memory)
        self._kept.header = ()  # a new file has none yet
        self.account = replace(self.account, ok=True)
        return memory

    def save(self, memory: Memory, now: float) -> None:
        """Write what differs from what the file holds, in one transaction. ``now`` in epoch seconds.

        Raises :class:`exporter.errors.StateUnusable` where it is not in the file; the next save tries again, with all
        that has changed since: a full disk may have room by then.
        """
        if self._connection is None:
            return  # said when it was opened
        try:
            with self._connection as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._write(connection, memory)
                _prune(connection, now - self.history)
        except sqlite3.Error as error:
            self.account = replace(self.account, ok=False, errors=self.account.errors + 1)
            raise StateUnusable(f"{self.path}: {_why(error)}") from None
        self._kept = _kept(memory)
        self.account = StateAccount(ok=True, last_write=now, errors=self.account.errors)

    def close(self) -> None:
        """Close the file and let the next process have it."""
        if self._connection is not None:
            self._connection.close()
        if self._lock is not None:
            self._lock.close()
        self._connection, self._lock = None, None

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("closed")
        return self._connection

    def _write(self, connection: sqlite3.Connection, memory: Memory) -> None:
        kept, header = self._kept, _header(memory)
        if header != kept.header:
            connection.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?)", header)
        changed = ((c, o) for c, o in memory.outcomes.items() if kept.outcomes.get(c) != o)
        connection.executemany(
            "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?)",
            ((*collection_key(collection), outcomes_to_json(outcomes)) for collection, outcomes in changed),
        )
        connection.executemany(
            "DELETE FROM outcomes WHERE database = ? AND collection = ? AND collection_id = ?",
            (collection_key(collection) for collection in kept.outcomes.keys() - memory.outcomes.keys()),
        )
        totals = {database: totals_to_json(totals) for database, totals in memory.databases.items()}
        connection.executemany(
            "INSERT OR REPLACE INTO databases VALUES (?, ?)", totals.items() - kept.databases.items()
        )
        gone = ((database,) for database in kept.databases.keys() - totals.keys())
        connection.executemany("DELETE FROM databases WHERE database = ?", gone)
        self._write_ended(connection, memory)

    def _write_ended(self, connection: sqlite3.Connection, memory: Memory) -> None:
        kept = self._kept.ended
        changed = (e for id_, e in memory.ended.items() if kept.get(id_) != (e.collection, e.job))
        columns = ", ".join("?" * 13)
        connection.executemany(f"INSERT OR REPLACE INTO ended VALUES ({columns}, 1)", map(ended_to_row, changed))  # noqa: S608
        forgotten = ((job_id,) for job_id in kept.keys() - memory.ended.keys())
        connection.executemany("UPDATE ended SET known = 0 WHERE job_id = ?", forgotten)


def read_state(path: Path) -> Memory | None:
    """Return what a state file remembers without writing to it, None where there is none yet.

    Raises :class:`exporter.errors.StateUnusable`.
    """
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            _require_ours(connection, path)
            return _load(connection)
    except (sqlite3.Error, ValueError, KeyError, TypeError, IndexError) as error:
        raise StateUnusable(f"{path}: {_why(error)}") from None


def _lock(path: Path) -> IO[bytes]:
    """Hold a lock beside the file: SQLite's own are let go between two transactions."""
    file = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StateUnusable(f"{path}: another process uses it; give each exporter a file of its own") from None
    return file


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _require_ours(connection, path)
        # A shown count must survive a power cut too, so each transaction is on the disk when it ends.
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            else:
                # A file that cannot be written is found out now, not at the first job that ends.
                connection.execute("INSERT OR REPLACE INTO memory VALUES ('opened', '1')")
    except BaseException:
        connection.close()
        raise
    return connection


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != _APPLICATION_ID and tables:
        raise StateUnusable(f"{path}: a database of another program; name another file in state.path")
    if version > _SCHEMA_VERSION:
        raise StateUnusable(f"{path}: written by a newer version of this program; run that one, or name another file")
    damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise StateUnusable(f"{path}: damaged; keep it for repair and name another file in state.path")


def _load(connection: sqlite3.Connection) -> Memory | None:
    kept = dict(connection.execute("SELECT key, value FROM memory"))
    if "since" not in kept:
        return None
    memory = Memory(since=float(kept["since"]), baseline_done=kept["baseline_done"] == "1")
    memory.covered = {Collection(*place) for place in json.loads(kept["covered"])}
    for row in connection.execute("SELECT * FROM ended WHERE known = 1"):
        ended = ended_from_row(row)
        memory.ended[ended.job.job_id] = ended
    for database, name, id_, body in connection.execute("SELECT * FROM outcomes"):
        memory.outcomes[Collection(database, name, id_)] = outcomes_from_json(body)
    for database, body in connection.execute("SELECT * FROM databases"):
        memory.databases[database] = totals_from_json(body)
    return memory


def _kept(memory: Memory) -> _Kept:
    return _Kept(
        header=_header(memory),
        outcomes={c: replace(o, recent=list(o.recent)) for c, o in memory.outcomes.items()},
        databases={database: totals_to_json(totals) for database, totals in memory.databases.items()},
        ended={job_id: (ended.collection, ended.job) for job_id, ended in memory.ended.items()},
    )


def _header(memory: Memory) -> tuple[tuple[str, str], ...]:
    covered = json.dumps(sorted(memory.covered))
    return ("since", repr(memory.since)), ("baseline_done", str(int(memory.baseline_done))), ("covered", covered)


def _prune(connection: sqlite3.Connection, before: float) -> None:
    """Drop what is neither needed for counting nor of the history any more, a bounded number at a time."""
    connection.execute(
        "DELETE FROM ended WHERE job_id IN (SELECT job_id FROM ended WHERE known = 0 AND stop < ? LIMIT ?)",
        (before, _PRUNE_AT_ONCE),
    )


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, (ValueError, LookupError, TypeError)):
        return "holds something that this version cannot read"
    return str(error)
