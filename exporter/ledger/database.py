"""The SQLite side of the state file: what is ours and whole, its schema, and reading it (docs/decisions/0005)."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
import tempfile
import uuid
from pathlib import Path
from typing import Final

from exporter.errors import StateUnusable, StateUnwritable
from exporter.ledger.memory import Memory
from exporter.ledger.records import ENDED_COLUMNS, Damaged, Row, memory_from, sealed, unsealed
from exporter.ledger.upgrade import VERSION, Rules, upgrade

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_APPLICATION_ID: Final = 0x4D524558  # "MREX" in the file's header: a database of another program is told by its absence
# A reader holds the file for as long as it takes to fetch the rows; a stop has 5 s for everything.
_BUSY_SECONDS: Final = 2.0
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108  # can be written in a container whose root file system cannot

_TABLES: Final = (
    "SELECT key, value, seal FROM memory",
    "SELECT database, collection, collection_id, body, seal FROM outcomes",
    "SELECT database, body, seal FROM databases",
    f"SELECT {ENDED_COLUMNS}, seal FROM ended WHERE known = 1",
    "SELECT job_id, database, collection, collection_id, name, start, missed, seal FROM running",
)

_SENTENCES: Final = {
    sqlite3.SQLITE_READONLY: "cannot be written: it or its folder is read-only",
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be written: the disk reports an error, or a limit for files is reached",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: look at the permissions of the file and of its folder",
    sqlite3.SQLITE_PERM: "cannot be opened: look at the permissions of the file and of its folder",
    sqlite3.SQLITE_BUSY: "is locked by another program for longer than we wait",
}
_DAMAGED: Final = "damaged; keep it for repair and name another file in state.path"


def unusable(path: Path, error: Exception) -> StateUnusable:
    """Return what is wrong with the file, as one sentence that names it.

    :class:`exporter.errors.StateUnwritable` where it may well pass.
    """
    if isinstance(error, StateUnusable):
        return error
    if isinstance(error, OSError):
        return StateUnwritable(f"{path}: {error.strerror or error}")
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _SENTENCES:
            return StateUnwritable(f"{path}: {_SENTENCES[code]}")
        damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        return StateUnusable(f"{path}: {_DAMAGED if damaged else error}")
    if isinstance(error, Damaged):
        return StateUnusable(f"{path}: {_DAMAGED}")
    return StateUnusable(f"{path}: holds something that this version cannot read; name another file in state.path")


def connect(path: Path) -> sqlite3.Connection:
    """Open a state file, or an empty one, for writing; nothing is written yet. Raises what :func:`unusable` takes."""
    version_of(path)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # A shown count must survive a power cut too, so each transaction is on the disk when it ends.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        # What a text held before it was cleaned must not stay in free pages.
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def name_of(connection: sqlite3.Connection) -> str | None:
    """Return what tells this file from another state file, None for an empty one."""
    if not connection.execute("PRAGMA user_version").fetchone()[0]:
        return None
    found = connection.execute("SELECT value FROM memory WHERE key = 'file'").fetchone()
    if not found:
        raise Damaged
    return str(found[0])


def require_whole(connection: sqlite3.Connection) -> None:
    """Raise :class:`Damaged` where pages make no sense."""
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise Damaged


def probe(connection: sqlite3.Connection) -> None:
    """Write something that changes nothing: a disk that is full is found out now, not at the first job that ends."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Written although it is the same, unlike a row: SQLite leaves out an update that changes no byte.
        connection.execute(f"PRAGMA user_version = {version}")


def take(connection: sqlite3.Connection, rules: Rules, now: float) -> tuple[str, Memory | None]:
    """Bring the file up to date, prove that it can be written, and read it. Returns its name and the memory.

    One transaction: if any of it fails, the file stays as it was. ``now`` in epoch seconds.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        upgrade(connection, version, rules, now)
        if version == 0:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            row = sealed(("file", uuid.uuid4().hex))
            connection.execute("INSERT INTO memory VALUES (?, ?, ?)", row)
        connection.execute(f"PRAGMA user_version = {VERSION}")  # a write also where it is the same
        return name_of(connection) or "", _memory(_fetched(connection))


def look_at_state(path: Path, *, thorough: bool = False) -> tuple[str | None, Memory | None]:
    """Return the name of a state file and what it remembers, without writing to it; None for what is not there.

    ``thorough`` reads every page of it. Raises :class:`exporter.errors.StateUnusable`.
    """
    try:
        version = version_of(path)
        if version == VERSION:
            return _look_at_rows(path, thorough=thorough)
    except (OSError, sqlite3.Error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise unusable(path, error) from None
    if version:
        raise StateUnusable(f"{path}: written by an older version; start the daemon once to bring it up to date")
    return None, None


def read_state(path: Path) -> Memory | None:
    """Return what a state file remembers without writing to it, None where there is none yet.

    Raises :class:`exporter.errors.StateUnusable`.
    """
    return look_at_state(path)[1]


def _look_at_rows(path: Path, *, thorough: bool) -> tuple[str | None, Memory | None]:
    try:
        return _look(f"{path.absolute().as_uri()}?mode=ro", thorough=thorough)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise
        # A writer was killed half way. Whoever writes next rolls back; a reader does so in a copy.
        try:
            return _look_at_copy(path, None, thorough=thorough)
        except OSError:
            return _look_at_copy(path, _SHARED_MEMORY, thorough=thorough)


def _look_at_copy(path: Path, where: str | None, *, thorough: bool) -> tuple[str | None, Memory | None]:
    with tempfile.TemporaryDirectory(dir=where) as folder:
        copy = Path(folder, "copy")
        shutil.copyfile(path, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(f"{path.name}-journal"), Path(folder, "copy-journal"))
        return _look(copy.as_uri(), thorough=thorough)


def _look(uri: str, *, thorough: bool) -> tuple[str | None, Memory | None]:
    opened = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    with contextlib.closing(opened) as connection:
        if thorough:
            require_whole(connection)
        # One transaction, or a write of the daemon's between two tables would make one job count twice or not at all;
        # over as soon as the rows are fetched, since it keeps the daemon from writing.
        connection.execute("BEGIN")
        name, rows = name_of(connection), _fetched(connection)
        connection.rollback()
        return name, _memory(rows)


def _fetched(connection: sqlite3.Connection) -> list[list[Row]]:
    return [connection.execute(query).fetchall() for query in _TABLES]


def _memory(rows: list[list[Row]]) -> Memory | None:
    """Return what rows say, None where nothing has been written yet. Raises what :func:`unusable` takes."""
    pairs, *tables = rows
    header: dict[str, str] = dict(map(unsealed, pairs))
    return memory_from(header, *tables) if "since" in header else None


def version_of(path: Path) -> int:
    """Return the schema version of a state file, 0 where nothing is there yet. Raises StateUnusable, OSError.

    Read from the bytes: SQLite would roll back what somebody else's program has left half written.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StateUnusable(f"{path}: is no regular file; name another in state.path")
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return 0
    if not head:
        return 0
    if not head.startswith(_MAGIC) or len(head) < _HEADER_BYTES:
        raise StateUnusable(f"{path}: is no state file; name another in state.path")
    version = int.from_bytes(head[60:64], "big")
    if int.from_bytes(head[68:72], "big") != _APPLICATION_ID or not version:
        raise StateUnusable(f"{path}: a database of another program; name another file in state.path")
    if version > VERSION:
        raise StateUnusable(f"{path}: written by a newer version of this program; run that one, or name another file")
    return version
