"""Remembered things as rows and JSON texts of the state file, and back. Schema version 2.

Each row bears a checksum: SQLite notices a page that makes no sense, and not a digit that has become another one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import NEVER, DatabaseTotals, Ended, Facts, Moment, Outcomes, Running, Stage
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
        "milvus": memory.milvus,
        "generation": str(memory.generation),
        "rows": json.dumps([len(memory.outcomes), len(memory.databases), len(memory.ended), len(memory.running)]),
    }


def memory_from(header: Mapping[str, str], *tables: list[Row]) -> Memory:
    """Return what header and rows hold, their checksums included.

    The tables are outcomes, databases, ended and running jobs. Raises :class:`Damaged`, and ValueError, LookupError or
    TypeError for what this version does not know.
    """
    if json.loads(header["rows"]) != [len(table) for table in tables]:
        raise Damaged
    outcomes, databases, ended, running = (map(unsealed, table) for table in tables)
    memory = Memory(since=float(header["since"]), baseline_done=header["baseline_done"] == "1")
    memory.milvus, memory.generation = header["milvus"], int(header["generation"])
    memory.covered = {Collection(*place) for place in json.loads(header["covered"])}
    known: dict[tuple[str, str, int], Collection] = {}
    for row in ended:
        one = ended_from_row(row, known)
        memory.ended[one.job.job_id] = one
    for row in running:
        memory.running[row[0]] = _running_from_row(row[1:], known)
    for database, name, id_, body in outcomes:
        memory.outcomes[_collection((database, name, id_), known)] = outcomes_from_json(body)
    for database, body in databases:
        memory.databases[database] = totals_from_json(body)
    return memory


ENDED_COLUMNS: Final = (
    "job_id, database, collection, collection_id, name, state, progress, source, start, stop, failure_class, reason, "
    "counted, seen, stage, undated, classed, missed"
)
"""In the order of :func:`ended_to_row`."""


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
        _float(job.start),
        float(ended.end),
        _text(job.failure_class),
        job.reason,
        int(ended.counted),
        float(ended.seen),
        int(ended.stage),
        int(ended.undated),
        _text(ended.classed),
        _float(ended.missed),
    )


def ended_from_row(row: Row, known: dict[tuple[str, str, int], Collection] | None = None) -> Ended:
    """Return what :func:`ended_to_row` was given. Raises ValueError for what this version does not know.

    ``known`` are collections to share: most rows name one that another row has named.
    """
    job_id, database, collection, id_, name, state, progress, source, start, stop, class_, reason, *rest = row
    counted, seen, stage, undated, classed, missed = rest
    half_written = stage == Stage.HALF_WRITTEN
    job = Job(
        job_id=job_id,
        name=name,
        state=State(state),
        progress=progress,
        source=source,
        start=start,
        end=None if half_written else stop,
        failure_class=_class(class_),
        reason=reason,
        half_written=half_written,
    )
    place = _collection((database, collection, id_), {} if known is None else known)
    return Ended(job, place, seen, bool(counted), Stage(stage), bool(undated), _class(classed), missed)


def running_to_row(job_id: int, running: Running) -> Row:
    """Return the columns of a job that is under way, but for the checksum."""
    return (job_id, *collection_key(running.collection), running.name, _float(running.start), _float(running.missed))


def _running_from_row(row: Row, known: dict[tuple[str, str, int], Collection]) -> Running:
    database, collection, id_, name, start, missed = row
    return Running(_collection((database, collection, id_), known), name, start, missed)


def outcomes_to_json(outcomes: Outcomes) -> str:
    """Return the outcomes of one collection as a JSON object."""
    return json.dumps(
        {
            "facts": _facts_to_dict(outcomes.facts),
            "forgotten": _facts_to_dict(outcomes.forgotten),
            "finished": outcomes.finished,
            "failed": outcomes.failed,
            "last_failed_counted": outcomes.last_failed_counted,
            "shown": outcomes.shown,
            "seen": outcomes.seen,
            "created": outcomes.created,
        }
    )


def outcomes_from_json(text: str) -> Outcomes:
    """Return what :func:`outcomes_to_json` has written."""
    body = json.loads(text)
    exemplar = body["last_failed_counted"]
    return Outcomes(
        facts=_facts_from_dict(body["facts"]),
        forgotten=_facts_from_dict(body["forgotten"]),
        finished=body["finished"],
        failed=body["failed"],
        last_failed_counted=(exemplar[0], exemplar[1]) if exemplar else None,
        shown=body["shown"],
        seen=body["seen"],
        created=body["created"],
    )


def _facts_to_dict(facts: Facts) -> dict[str, Any] | None:
    if facts == _NOTHING:
        return None  # as of nearly all that has been forgotten
    return {
        "last_live": _moment(facts.last_live),
        "last_completed": _moment(facts.last_completed),
        "last_failed": _moment(facts.last_failed),
        "last_duration": facts.last_duration,
        "measured": _moment(facts.measured),
        "trouble": ended_to_row(facts.trouble) if facts.trouble else None,
        "recent": facts.recent,
        "older": facts.older,
    }


def _facts_from_dict(body: dict[str, Any] | None) -> Facts:
    if body is None:
        return Facts()
    return Facts(
        last_live=_to_moment(body["last_live"]),
        last_completed=_to_moment(body["last_completed"]),
        last_failed=_to_moment(body["last_failed"]),
        last_duration=body["last_duration"],
        measured=_to_moment(body["measured"]),
        trouble=ended_from_row(tuple(body["trouble"])) if body["trouble"] else None,
        recent=[_to_moment(moment) for moment in body["recent"]],
        older=body["older"],
    )


_NOTHING: Final = Facts()


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


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _text(value: FailureClass | None) -> str | None:
    return None if value is None else str(value)


def _class(value: str | None) -> FailureClass | None:
    return FailureClass(value) if value else None


def _moment(moment: Moment) -> Moment | None:
    return None if moment == NEVER else moment


def _to_moment(value: list[Any] | None) -> Moment:
    return NEVER if value is None else (float(value[0]), int(value[1]))
