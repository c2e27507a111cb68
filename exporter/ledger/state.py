"""The ledger's memory in a file, so that it outlives the process: one SQLite file with one writer.

A change is written before the snapshot that shows it is published, so a count that somebody has seen is never taken
back, also not by a kill at any moment. What cannot be used is left alone: a state file is evidence, not a cache.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from exporter.errors import StateUnusable, StateUnwritable
from exporter.ledger.database import connect, look_at_state, name_of, probe, require_whole, take, unusable, version_of
from exporter.ledger.kept import MOST_HISTORY, Kept, history_rows, prune, write
from exporter.ledger.locks import claim, lock_beside, lock_path
from exporter.ledger.memory import Memory
from exporter.ledger.upgrade import MIXED, Rules, say_mixed

log = logging.getLogger("exporter.state")


@dataclass(frozen=True, slots=True)
class StateAccount:
    """How the file is doing. ``last_write`` in epoch seconds, 0 before the first."""

    ok: bool = True
    last_write: float = 0.0
    errors: int = 0


@dataclass(slots=True)
class StateFile:
    """One state file and the right to write to it. ``history`` is how long ended jobs stay readable, in seconds.

    All texts in it are cleaned by ``rules``: what others have cleaned is cleaned again when the file is opened.
    Its content is taken or refused once, at the start. A file that could be read and not written is tried again at
    each save.
    """

    path: Path
    history: float
    rules: Rules
    account: StateAccount = StateAccount(ok=False)
    trouble: StateUnusable | None = None
    """Why it cannot be used or written at present."""
    _refused: bool = False
    _loaded: bool = False
    _name: str | None = None
    """Of the file that was loaded, None where there was none."""
    _found: Memory | None = None
    _kept: Kept = field(default_factory=Kept)
    _old: int = 0
    """Jobs in the file that are kept for reading alone."""
    _cleaned_by: str = ""
    """The name of the rules that the file says its texts have been cleaned by."""
    _connection: sqlite3.Connection | None = None
    _lock: IO[bytes] | None = None
    _claim: IO[bytes] | None = None
    _inode: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        # Two names of one file must have one lock.
        self.path = Path(os.path.realpath(self.path))

    def open(self, now: float) -> None:
        """Open for writing, or make a new file; one that cannot be written now is :attr:`trouble`.

        ``now`` in epoch seconds.

        Raises :class:`exporter.errors.StateUnusable` for one that cannot be used at all: then nothing is ever written.
        """
        try:
            self._found = self._open(now)
        except StateUnwritable as unwritable:
            self.trouble = unwritable
        except StateUnusable as refused:
            self._refuse(refused)
            raise

    def load(self, since: float) -> Memory:
        """Return what is remembered. ``since`` (epoch seconds) is where a new file's memory begins.

        Raises :class:`exporter.errors.StateUnusable` as :meth:`open` does.
        """
        memory, self._found = self._found, None
        if self._connection is None:
            try:
                self._name, memory = look_at_state(self.path, thorough=True)
            except StateUnusable as refused:
                self._refuse(refused)
                raise
        elif memory is None:
            log.info("a new state file begins: %s", self.path)
        self._kept, self._loaded = Kept.of(memory), True
        self.account = replace(self.account, ok=self._connection is not None)
        if memory is None:
            return Memory(since)
        memory.clean(self.rules.clean)  # a file that cannot be written has the texts that it had
        return memory

    def save(self, memory: Memory, now: float) -> None:
        """Write what differs from what the file holds, in one transaction. ``now`` in epoch seconds.

        Raises :class:`exporter.errors.StateUnusable` where it is not in the file; the next save tries again, with all
        that has changed since: a full disk may have room by then.
        """
        if self._refused:
            return  # said when it was opened
        try:
            connection = self._ready(now)
            changes = self._kept.changes(memory)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                write(connection, changes)
                cleaned_by = self._say_by_whom_cleaned(connection)
                old = (0 if changes.begin_again else self._old) + len(changes.ended_gone)
                old -= prune(connection, now - self.history, old - MOST_HISTORY)
        except (StateUnusable, sqlite3.Error, OSError) as error:
            # Whatever state the connection is in, the next save has a new one.
            self._disconnect()
            self.trouble = unusable(self.path, error)
            self.account = replace(self.account, ok=False, errors=self.account.errors + 1)
            raise self.trouble from None
        self._kept.take(changes)
        self._old, self._cleaned_by = old, cleaned_by
        self.trouble = None
        self.account = StateAccount(ok=True, last_write=now, errors=self.account.errors)

    def close(self) -> None:
        """Close the file and let the next process have it."""
        self._disconnect()
        # After the connection: closing any handle of a file drops the locks that SQLite holds on it in this process.
        for held in (self._claim, self._lock):
            if held is not None:
                held.close()
        self._claim = self._lock = None

    def _say_by_whom_cleaned(self, connection: sqlite3.Connection) -> str:
        """Note it where other rules have come in since the file was opened, by settings read again."""
        if self._cleaned_by in (self.rules.name, MIXED):
            return self._cleaned_by
        say_mixed(connection)
        return MIXED

    def _refuse(self, why: StateUnusable) -> None:
        self.close()
        self._refused, self.trouble = True, why

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _ready(self, now: float) -> sqlite3.Connection:
        """Return a connection to the file that was loaded; anew where the last one failed or points elsewhere."""
        if self._connection is not None and self._is_in_place():
            return self._connection
        self._disconnect()
        known = self._name
        self._kept = Kept.of(self._open(now))
        if known is not None and known != self._name:
            log.warning("the state file was deleted while in use and is written anew: %s", self.path)
        return self._connected()

    def _is_in_place(self) -> bool:
        """Return whether the names in the folder lead to what we hold: what has been deleted can be written to."""
        return self._lock_is_in_place() and _inode(self.path) == self._inode

    def _lock_is_in_place(self) -> bool:
        if self._lock is None:
            return False
        held = os.fstat(self._lock.fileno())
        return _inode(lock_path(self.path)) == (held.st_dev, held.st_ino)

    def _open(self, now: float) -> Memory | None:
        """Lock, connect, and return what is in the file. Raises :class:`exporter.errors.StateUnusable`."""
        try:
            version_of(self.path)  # what is not ours is not even locked
            if not self._lock_is_in_place():
                self.close()
                self._lock = lock_beside(self.path)
            self._claim_file()
            self._connection = connect(self.path)
            self._require_fit(self._connection)
            self._name, memory = take(self._connection, self.rules, now)
            self._old, self._cleaned_by = history_rows(self._connection), self.rules.name
            self._inode = _inode(self.path)
        except (StateUnusable, OSError, sqlite3.Error, ValueError, LookupError, TypeError, AttributeError) as error:
            self._disconnect()
            raise unusable(self.path, error) from None
        return memory

    def _claim_file(self) -> None:
        if self._claim is not None and _inode(self.path) != self._inode:
            self._claim.close()
            self._claim = None
        if self._claim is None:
            self._claim = claim(self.path)

    def _require_fit(self, connection: sqlite3.Connection) -> None:
        name = name_of(connection)
        if not self._loaded:
            require_whole(connection)
        elif name is not None and name != self._name:
            raise StateUnusable(f"{self.path}: is not the file that was there at the start; restart to use it")
        elif name is not None:
            probe(connection)  # before everything is read in vain, at each poll of a full disk

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StateUnwritable(f"{self.path}: is not open")
        return self._connection


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
