"""Reading the ended jobs that the state file keeps, while the process goes on writing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from exporter.ledger.database import unusable
from exporter.ledger.records import ENDED_COLUMNS, Row, ended_from_row, unsealed
from exporter.model import Job, State

Result = TypeVar("Result")

_SLICE: Final = 2_000
"""Rows in one go, 2 ms of reading: as long as rows are being fetched, a writer that wants to commit has to wait."""
_BUSY_SECONDS: Final = 1.0

_MARKS: Final = """
SELECT job_id, state, start, stop FROM ended
WHERE database = ? AND collection = ? AND stop > ? AND (stop, job_id) < (?, ?)
ORDER BY stop DESC, job_id DESC LIMIT ?
"""
_JOBS: Final = f"SELECT {ENDED_COLUMNS}, seal FROM ended WHERE job_id IN "


class Mark(NamedTuple):
    """One ended job as a chart needs it. Stamps in epoch seconds."""

    job_id: int
    state: str
    start: float | None
    end: float

    @property
    def completed(self) -> bool:
        """Return whether it did all it was asked to."""
        return self.state == State.COMPLETED


@dataclass(frozen=True, slots=True)
class History:
    """The ended jobs in a state file. Each call has a read-only connection of its own, so any thread may call.

    Both methods raise :class:`exporter.errors.StateUnusable` where the file cannot be read now.
    """

    path: Path
    clean: Callable[[Job], Job]
    """Lets the texts of a job pass through the rules in force: the file may hold some that others have cleaned."""

    def marks(self, database: str, collection: str, *, since: float, most: int) -> tuple[Mark, ...]:
        """Return jobs of a collection that ended after ``since`` (epoch seconds), newest first, at most ``most``.

        Jobs are kept under the name that their collection bore when they were last counted.
        """

        def read(connection: sqlite3.Connection) -> tuple[Mark, ...]:
            found: list[Mark] = []
            before = (float("inf"), 0)
            while len(found) < most:
                wanted = min(_SLICE, most - len(found))
                # Fetched whole, so that the file is let go between two slices and a waiting writer gets its turn.
                rows = connection.execute(_MARKS, (database, collection, since, *before, wanted)).fetchall()
                found.extend(map(_mark, rows))
                if len(rows) < wanted:
                    break
                before = (found[-1].end, found[-1].job_id)
            return tuple(found)

        return self._read(read)

    def jobs(self, job_ids: Iterable[int]) -> dict[int, Job]:
        """Return the jobs with these ids, as far as the file has them. For a page of them, not for thousands."""
        wanted = tuple(job_ids)
        query = f"{_JOBS} ({','.join('?' * len(wanted))})"

        def read(connection: sqlite3.Connection) -> dict[int, Job]:
            rows = connection.execute(query, wanted).fetchall()
            return {row[0]: self.clean(ended_from_row(unsealed(row)).job) for row in rows}

        return self._read(read) if wanted else {}

    def _read(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        # By SQLite alone: opening and closing the file in another way would drop the locks that this process's own
        # writer holds on it (https://www.sqlite.org/howtocorrupt.html, "Posix advisory locks").
        try:
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                return read(connection)
            finally:
                connection.close()
        except (sqlite3.Error, OSError, ValueError, LookupError, TypeError) as error:
            raise unusable(self.path, error) from None


def _mark(row: Row) -> Mark:
    return Mark._make(row)
