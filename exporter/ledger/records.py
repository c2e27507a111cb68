"""Remembered things as rows and JSON texts of the state file, and back. Schema version 1.

Each row bears a checksum: SQLite notices a page that makes no sense, and not a digit that has become another one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import NEVER, DatabaseTotals, Ended, Moment, Outcomes
from exporter.model import Collection, FailureClass, Job, State

Row = tuple[Any, ...]


class Damaged(ValueError):
    """A row does not say what was written, or one is missing."""


def sealed(row: Row) -> Row:
    """Return ``row`` with a checksum after its last column."""
    return (*row, zlib.crc32(repr(row).encode()))


def unsealed(row: Row) -> Row:
    """Return what :func:`sealed` was given. Raises :class:`Damaged`."""
    *columns, checksum = row
    if sealed(tuple(columns))[-1] != checksum:
        raise Damaged
    return tuple(columns)


def collection_key(collection: Collection) -> tuple[str, str, int]:
    """Return the three columns that name a collection."""
    return (collection.database, collection.name, collection.collection_id)


def header_of(memory: Memory) -> dict[str, str]:
    """Return what is no table of its own; with how many rows the tables have, since a row can be missing."""
    return {
        "since": repr(memory.since),
        "baseline_done": str(int(memory.baseline_done)),
        "covered": json.dumps(sorted(memory.covered)),
        "half_written": json.dumps(sorted(memory.half_written.items())),
        "rows": json.dumps([len(memory.outcomes), len(memory.databases), len(memory.ended)]),
    }


def memory_from(header: Mapping[str, str], outcomes: list[Row], databases: list[Row], ended: list[Row]) -> Memory:
    """Return what header and rows hold, their checksums included.

    Raises :class:`Damaged`, and ValueError, LookupError or TypeError for what this version does not know.
    """
    if json.loads(header["rows"]) != [len(outcomes), len(databases), len(ended)]:
        raise Damaged
    memory = Memory(since=float(header["since"]), baseline_done=header["baseline_done"] == "1")
    memory.covered = {Collection(*place) for place in json.loads(header["covered"])}
    memory.half_written = {int(job_id): bool(counts) for job_id, counts in json.loads(header["half_written"])}
    known: dict[tuple[str, str, int], Collection] = {}
    for row in map(unsealed, ended):
        one = ended_from_row(row, known)
        memory.ended[one.job.job_id] = one
    for database, name, id_, body in map(unsealed, outcomes):
        memory.outcomes[_collection((database, name, id_), known)] = outcomes_from_json(body)
    for database, body in map(unsealed, databases):
        memory.databases[database] = totals_from_json(body)
    return memory


def ended_to_row(ended: Ended) -> Row:
    """Return the columns of ``ended``, but for the checksum and ``known``."""
    job = ended.job
    return (
        job.job_id,
        *collection_key(ended.collection),
        job.name,
        str(job.state),
        float(job.progress),
        job.source,
        None if job.start is None else float(job.start),
        float(ended.end),
        str(job.failure_class) if job.failure_class else None,
        job.reason,
        int(ended.counted),
    )


def ended_from_row(row: Row, known: dict[tuple[str, str, int], Collection] | None = None) -> Ended:
    """Return what :func:`ended_to_row` was given. Raises ValueError for what this version does not know.

    ``known`` are collections to share: most rows name one that another row has named.
    """
    job_id, database, collection, id_, name, state, progress, source, start, stop, class_, reason, counted = row
    job = Job(
        job_id=job_id,
        name=name,
        state=State(state),
        progress=progress,
        source=source,
        start=start,
        end=stop,
        failure_class=FailureClass(class_) if class_ else None,
        reason=reason,
    )
    place = _collection((database, collection, id_), {} if known is None else known)
    return Ended(job, place, stop, counted=bool(counted))


def outcomes_to_json(outcomes: Outcomes) -> str:
    """Return the outcomes of one collection as a JSON object."""
    return json.dumps(
        {
            "last_live": _moment(outcomes.last_live),
            "last_completed": _moment(outcomes.last_completed),
            "last_failed": _moment(outcomes.last_failed),
            "last_duration": outcomes.last_duration,
            "measured": _moment(outcomes.measured),
            "trouble": ended_to_row(outcomes.trouble) if outcomes.trouble else None,
            "recent": outcomes.recent,
            "older": outcomes.older,
            "finished": outcomes.finished,
            "failed": outcomes.failed,
            "last_failed_counted": outcomes.last_failed_counted,
            "shown": outcomes.shown,
            "seen": outcomes.seen,
        }
    )


def outcomes_from_json(text: str) -> Outcomes:
    """Return what :func:`outcomes_to_json` has written."""
    body = json.loads(text)
    exemplar = body["last_failed_counted"]
    return Outcomes(
        last_live=_to_moment(body["last_live"]),
        last_completed=_to_moment(body["last_completed"]),
        last_failed=_to_moment(body["last_failed"]),
        last_duration=body["last_duration"],
        measured=_to_moment(body["measured"]),
        trouble=ended_from_row(tuple(body["trouble"])) if body["trouble"] else None,
        recent=[_to_moment(moment) for moment in body["recent"]],
        older=body["older"],
        finished=body["finished"],
        failed=body["failed"],
        last_failed_counted=(exemplar[0], exemplar[1]) if exemplar else None,
        shown=body["shown"],
        seen=body["seen"],
    )


def totals_to_json(totals: DatabaseTotals) -> str:
    """Return the counters of one database as a JSON object."""
    return json.dumps(
        {
            "buckets": totals.buckets,
            "duration_sum": totals.duration_sum,
            "failed_by_class": {str(class_): count for class_, count in totals.failed_by_class.items()},
            "shown": totals.shown,
        }
    )


def totals_from_json(text: str) -> DatabaseTotals:
    """Return what :func:`totals_to_json` has written. A class that has since been added stands at 0."""
    body = json.loads(text)
    failed = dict.fromkeys(FailureClass, 0)
    failed.update({FailureClass(class_): count for class_, count in body["failed_by_class"].items()})
    buckets = DatabaseTotals().buckets
    if len(body["buckets"]) != len(buckets):
        raise ValueError("other buckets")
    return DatabaseTotals(body["buckets"], body["duration_sum"], failed, body["shown"])


def _collection(key: tuple[str, str, int], known: dict[tuple[str, str, int], Collection]) -> Collection:
    return known.setdefault(key, Collection(*key))


def _moment(moment: Moment) -> Moment | None:
    return None if moment == NEVER else moment


def _to_moment(value: list[Any] | None) -> Moment:
    return NEVER if value is None else (float(value[0]), int(value[1]))
