"""Bring a state file up to date: its schema, and the rules by which its texts have been cleaned."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from exporter.ledger.outcomes import NEVER, Stage
from exporter.ledger.records import (
    ENDED_COLUMNS,
    Row,
    ended_from_row,
    ended_to_row,
    outcomes_from_json,
    outcomes_to_json,
    sealed,
    unsealed,
)
from exporter.model import Job

VERSION: Final = 2
MIXED: Final = "several"
"""In place of a name of rules: of texts that several have cleaned."""
_SLICE: Final = 5_000
"""Rows read in one go: a file can hold a million."""
_INSERT: Final = (
    f"INSERT OR REPLACE INTO ended ({ENDED_COLUMNS}, seal, known) "
    f"VALUES ({', '.join('?' * (ENDED_COLUMNS.count(',') + 3))})"
)

_FIRST: Final = """
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE outcomes (
  database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL, body TEXT NOT NULL,
  seal INTEGER NOT NULL,
  PRIMARY KEY (database, collection, collection_id)
) WITHOUT ROWID;
CREATE TABLE databases (database TEXT PRIMARY KEY, body TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE ended (
  job_id INTEGER PRIMARY KEY, database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL,
  name TEXT NOT NULL, state TEXT NOT NULL, progress REAL NOT NULL, source TEXT NOT NULL,
  start REAL, stop REAL NOT NULL, failure_class TEXT, reason TEXT NOT NULL, counted INTEGER NOT NULL,
  seal INTEGER NOT NULL,
  known INTEGER NOT NULL
);
CREATE INDEX ended_by_collection ON ended (database, collection, stop);
CREATE INDEX ended_by_stop ON ended (stop) WHERE known = 0
"""
_SECOND: Final = """
ALTER TABLE ended ADD COLUMN seen REAL NOT NULL DEFAULT 0;
ALTER TABLE ended ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ended ADD COLUMN undated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ended ADD COLUMN classed TEXT;
ALTER TABLE ended ADD COLUMN missed REAL;
CREATE TABLE running (
  job_id INTEGER PRIMARY KEY, database TEXT NOT NULL, collection TEXT NOT NULL, collection_id INTEGER NOT NULL,
  name TEXT NOT NULL, start REAL, missed REAL, seal INTEGER NOT NULL
)
"""
_ENDED_COLUMNS_1: Final = (
    "job_id, database, collection, collection_id, name, state, progress, source, start, stop, failure_class, reason, "
    "counted"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """By which rules texts are cleaned, and the cleaning itself."""

    name: str
    """Names the rules; others have another name."""
    clean: Callable[[Job], Job]


def upgrade(connection: sqlite3.Connection, version: int, rules: Rules, now: float) -> None:
    """Bring a file from ``version``, 0 for an empty one, up to date, in the caller's transaction.

    ``now`` in epoch seconds. Raises what :func:`exporter.ledger.records.unsealed` and the functions beside it do.
    """
    if version < 1:
        _run(connection, _FIRST)
    if version < 2:  # noqa: PLR2004
        _run(connection, _SECOND)
        _second(connection, now)
    found = connection.execute("SELECT value FROM memory WHERE key = 'texts'").fetchone()
    if found is None or found[0] != rules.name:
        _clean(connection, rules.clean)
        connection.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", sealed(("texts", rules.name)))


def say_mixed(connection: sqlite3.Connection) -> None:
    """Note that texts have been cleaned by more than one set of rules: whoever opens the file next cleans all."""
    connection.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", sealed(("texts", MIXED)))


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):
        connection.execute(statement)


def _second(connection: sqlite3.Connection, now: float) -> None:
    """Version 2 knows when the end of each job was seen, how far it was counted, and what no known job tells."""
    outcomes = _outcomes(connection)
    remembered = {row[:3] for row in outcomes}
    known: dict[Row, dict[tuple[float, int], bool]] = {}
    for columns, is_known in _ended(connection, _ENDED_COLUMNS_1):
        place = columns[1:4]
        # Version 1 forgot the outcomes of a collection and did not say so of its jobs.
        row = _second_row(columns, now, Stage.COUNTED if place in remembered else Stage.DROPPED)
        if is_known:
            known.setdefault(place, {})[columns[9], columns[0]] = ended_from_row(row).failure
        connection.execute(_INSERT, (*sealed(row), is_known))
    for *where, text in outcomes:
        body = json.dumps(_second_body(json.loads(text), known.get(tuple(where), {}), now))
        connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)", sealed((*where, body)))
    header = dict(connection.execute("SELECT key, value FROM memory").fetchall())
    if "since" in header:
        header.update(milvus="", generation="0", rows=json.dumps([*json.loads(header["rows"]), 0]))
        header.pop("half_written")  # listed again, it is met as if for the first time
        connection.execute("DELETE FROM memory")
        connection.executemany("INSERT INTO memory VALUES (?, ?, ?)", map(sealed, header.items()))


def _second_row(columns: Row, now: float, stage: Stage = Stage.COUNTED) -> Row:
    """Return the columns of version 2 for one job; no end can have been seen later than now."""
    *before, start, stop, failure_class, reason, counted = columns
    end = min(stop, now)
    start = None if start is None else start - (stop - end)
    failed = columns[5] == "RefreshFailed"
    classed = failure_class if failed and counted else None
    return (*before, start, end, failure_class, reason, counted, end, int(stage), 0, classed, None)


def _second_body(body: dict[str, Any], known: dict[tuple[float, int], bool], now: float) -> dict[str, Any]:
    """Return the outcomes of version 2 for those of one collection.

    ``known`` are its jobs that are known by id, by their moments, and whether each is a failure.
    """
    facts = {name: body[name] for name in ("last_live", "last_completed", "last_failed", "last_duration", "measured")}
    facts |= {"trouble": body["trouble"], "recent": body["recent"], "older": body["older"]}
    if facts["trouble"]:
        facts["trouble"] = _second_row(tuple(facts["trouble"]), now)
    forgotten = dict(facts)
    for name in ("last_live", "last_completed", "last_failed", "measured"):
        moment = facts[name]
        if moment is not None:
            facts[name] = [min(moment[0], now), moment[1]]
            forgotten[name] = None if tuple(moment) in known else facts[name]
    if forgotten["measured"] is None:
        forgotten["last_duration"] = None
    facts["recent"] = [[min(end, now), job_id] for end, job_id in body["recent"]]
    forgotten["recent"] = [[min(end, now), id_] for end, id_ in body["recent"] if (end, id_) not in known]
    # Failures that are counted alone are older than those in the row; some of them may be known all the same.
    row = {tuple(moment) for moment in body["recent"]}
    live = tuple(body["last_live"] or NEVER)
    both = sum(failure and moment > live and moment not in row for moment, failure in known.items())
    forgotten["older"] = max(0, body["older"] - both)
    if facts["trouble"] and (body["trouble"][9], body["trouble"][0]) in known:
        forgotten["trouble"] = None
    rest = {name: body[name] for name in ("finished", "failed", "last_failed_counted", "shown", "seen")}
    return {"facts": facts, "forgotten": forgotten, **rest, "created": None}


def _clean(connection: sqlite3.Connection, clean: Callable[[Job], Job]) -> None:
    """Let every text in the file pass through the rules, also what is kept for reading alone."""
    for columns, is_known in _ended(connection, ENDED_COLUMNS):
        ended = ended_from_row(columns)
        cleaned = clean(ended.job)
        if cleaned != ended.job:
            row = sealed(ended_to_row(ended._replace(job=cleaned)))
            connection.execute(_INSERT, (*row, is_known))
    for *place, text in _outcomes(connection):
        outcomes = outcomes_from_json(text)
        for facts in (outcomes.facts, outcomes.forgotten):
            if facts.trouble is not None:
                facts.trouble = facts.trouble._replace(job=clean(facts.trouble.job))
        body = outcomes_to_json(outcomes)
        if body != text:
            connection.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?)", sealed((*place, body)))


def _ended(connection: sqlite3.Connection, columns: str) -> Iterator[tuple[Row, int]]:
    """Yield the ended jobs in a file, checksums verified, and whether each is still known by id."""
    query = f"SELECT {columns}, seal, known FROM ended WHERE job_id > ? ORDER BY job_id LIMIT {_SLICE}"
    after = -(2**63)
    while rows := connection.execute(query, (after,)).fetchall():
        for *row, is_known in rows:
            yield unsealed(tuple(row)), is_known
        after = rows[-1][0]


def _outcomes(connection: sqlite3.Connection) -> list[Row]:
    rows = connection.execute("SELECT database, collection, collection_id, body, seal FROM outcomes").fetchall()
    return [unsealed(row) for row in rows]
