"""Remembered things as rows and JSON texts of the state file, and back. Schema version 1."""

from __future__ import annotations

import json
from typing import Any

from exporter.ledger.outcomes import NEVER, DatabaseTotals, Ended, Moment, Outcomes
from exporter.model import Collection, FailureClass, Job, State

Row = tuple[Any, ...]


def collection_key(collection: Collection) -> tuple[str, str, int]:
    """Return the three columns that name a collection."""
    return (collection.database, collection.name, collection.collection_id)


def ended_to_row(ended: Ended) -> Row:
    """Return the columns of ``ended``, but for ``known``."""
    job = ended.job
    failure_class = str(job.failure_class) if job.failure_class else None
    return (
        job.job_id,
        *collection_key(ended.collection),
        job.name,
        str(job.state),
        job.progress,
        job.source,
        job.start,
        ended.end,
        failure_class,
        job.reason,
        int(ended.counted),
    )


def ended_from_row(row: Row) -> Ended:
    """Return what a row of ``ended`` holds. Raises ValueError for what this version does not know."""
    job_id, database, collection, collection_id, name, state, progress, source, start, stop, class_, reason, *rest = row
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
    return Ended(job, Collection(database, collection, collection_id), stop, counted=bool(rest[0]))


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


def _moment(moment: Moment) -> Moment | None:
    return None if moment == NEVER else moment


def _to_moment(value: list[Any] | None) -> Moment:
    return NEVER if value is None else (float(value[0]), int(value[1]))
