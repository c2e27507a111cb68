"""The JSON API: the same as the page, for programs (docs/api/openapi.yaml)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from exporter.errors import StateUnusable
from exporter.ledger import Mark
from exporter.model import Collection, Job, State
from exporter.page.detail import MOST_MARKS
from exporter.page.freshness import freshness
from exporter.page.orders import Orders, Placed, in_order
from exporter.page.parameters import COLLECTIONS, HISTORY_NEEDS, JOBS, Asked, BadParameters, asked
from exporter.page.parts import runbook
from exporter.page.rows import Row, rows
from exporter.page.source import Source
from exporter.record import Json, job_record, placed_record
from exporter.web import Reply

Found = tuple[str, Collection, Job | Mark]
"""Target, collection, and what is known of the job without reading more of the state file."""


def jobs_reply(sources: Mapping[str, Source], query: str, orders: Orders, now: float) -> Reply:
    """Answer ``/api/v1/jobs``. ``now`` in epoch seconds."""
    return _jobs_reply(sources, query, (), now, lambda chosen, read: _listed(chosen, read, orders))


def history_reply(sources: Mapping[str, Source], query: str, now: float) -> Reply:
    """Answer ``/api/v1/history``: of one collection, what is listed or kept. ``now`` in epoch seconds."""
    return _jobs_reply(sources, query, HISTORY_NEEDS, now, lambda chosen, read: _listed_or_kept(chosen, read, now))


def _jobs_reply(
    sources: Mapping[str, Source],
    query: str,
    required: Sequence[str],
    now: float,
    find: Callable[[Mapping[str, Source], Asked], Sequence[Found]],
) -> Reply:
    try:
        read, chosen = _asked(sources, query, JOBS, required)
        found = find(chosen, read)
        if read.states:
            found = [each for each in found if each[2].state in read.states]
        data = _jobs(chosen, found[read.offset : read.offset + read.limit])
    except BadParameters as bad:
        return _bad(bad)
    except LookupError:
        return _problem(404, "no Milvus of this name is configured")
    except StateUnusable:
        return _problem(503, "the state file cannot be read now")
    return _reply(200, {"data": data, **_frame(chosen, read, len(found), now)})


def collections_reply(sources: Mapping[str, Source], query: str, runbooks: str, now: float) -> Reply:
    """Answer ``/api/v1/collections``. ``now`` in epoch seconds, ``runbooks`` a base address or empty."""
    try:
        read, chosen = _asked(sources, query, COLLECTIONS)
    except BadParameters as bad:
        return _bad(bad)
    except LookupError:
        return _problem(404, "no Milvus of this name is configured")
    everything = chain.from_iterable(rows(name, source, now) for name, source in chosen.items())
    found = sorted((row for row in everything if _keeps(read, row)), key=lambda row: (row.target, row.place))
    shown = found[read.offset : read.offset + read.limit]
    return _reply(
        200, {"data": [_collection(row, runbooks, now) for row in shown], **_frame(chosen, read, len(found), now)}
    )


def _asked(
    sources: Mapping[str, Source], query: str, allowed: Sequence[str], required: Sequence[str] = ()
) -> tuple[Asked, Mapping[str, Source]]:
    """Return what is asked for, and of which targets. Raises :class:`BadParameters`, and LookupError for a target."""
    read = asked(query, allowed, required)
    return read, sources if read.target is None else {read.target: sources[read.target]}


def _listed(sources: Mapping[str, Source], read: Asked, orders: Orders) -> Sequence[Placed]:
    if read.database is None and read.collection is None:
        return orders.of(sources)
    kept = (
        (target, collection, jobs)
        for target, source in sources.items()
        for collection, jobs in source.listed().items()
        if read.keeps(collection.database, collection.name)
    )
    return in_order((target, collection, job) for target, collection, jobs in kept for job in jobs)


def _listed_or_kept(sources: Mapping[str, Source], read: Asked, now: float) -> Sequence[Found]:
    """Return the jobs of one collection, the latest first. Raises StateUnusable."""
    collection = Collection(read.database or "", read.collection or "")
    listed = _listed(sources, read, Orders())
    found: list[Found] = [*listed]
    for target, source in sources.items():
        if source.past is not None:
            known = {job.job_id for of, _, job in listed if of == target}
            since = now - source.kept
            marks = source.past.marks(collection.database, collection.name, since=since, most=MOST_MARKS)
            found += [(target, collection, mark) for mark in marks if mark.job_id not in known]
    return sorted(found, key=lambda each: (each[2].start or 0.0, each[2].job_id), reverse=True)


def _jobs(sources: Mapping[str, Source], shown: Sequence[Found]) -> list[Json]:
    """Return jobs as JSON; one that is only kept is read now that it is on the page. Raises StateUnusable."""
    kept: dict[str, list[int]] = {}
    for target, _, what in shown:
        if isinstance(what, Mark):
            kept.setdefault(target, []).append(what.job_id)
    read: dict[tuple[str, int], Job] = {}
    for target, ids in kept.items():
        past = sources[target].past
        read |= {(target, id_): job for id_, job in past.jobs(ids).items()} if past else {}
    data = []
    for target, collection, what in shown:
        job = read.get((target, what.job_id)) if isinstance(what, Mark) else what
        if job is not None:  # one that was dropped from the file meanwhile is left out
            data.append(placed_record(target, collection, job, listed=not isinstance(what, Mark)))
    return data


def _keeps(read: Asked, row: Row) -> bool:
    if not read.keeps(*row.place):
        return False
    if read.states and (row.newest is None or row.newest.state not in read.states):
        return False
    return read.trouble is None or read.trouble is row.trouble


def _collection(row: Row, runbooks: str, now: float) -> Json:
    outcome, cause = row.outcome, row.cause
    success = outcome.last_success if outcome else None
    counts = dict.fromkeys(map(str, State), 0)
    for job in row.jobs:
        counts[job.state] += 1
    return {
        "target": row.target,
        "database": row.place[0],
        "collection": row.place[1],
        "source": row.source,
        "trouble": row.trouble,
        "conditions": [condition.key for condition in row.conditions],
        "last_success_timestamp_seconds": success,
        "age_seconds": None if success is None else max(now - success, 0.0),
        "max_age_seconds": outcome.max_age if outcome else None,
        "last_success_duration_seconds": outcome.last_success_duration if outcome else None,
        "last_failure_timestamp_seconds": outcome.last_failure if outcome else None,
        "consecutive_failures": outcome.consecutive_failures if outcome else 0,
        "created_timestamp_seconds": row.created,
        "jobs": counts,
        "newest_job": job_record(row.newest) if row.newest else None,
        "cause": job_record(cause) if cause else None,
        "runbook": runbook(row, runbooks) or None,
    }


def _frame(sources: Mapping[str, Source], read: Asked, total: int, now: float) -> Json:
    """Return what every good answer has besides its data."""
    end = read.offset + read.limit
    return {
        "page": {
            "limit": read.limit,
            "offset": read.offset,
            "total": total,
            "next": read.reference(offset=end) if end < total else None,
        },
        "freshness": [_freshness(name, source, now) for name, source in sources.items()],
    }


def _freshness(target: str, source: Source, now: float) -> Json:
    fresh = freshness(source, now)
    return {
        "target": target,
        "up": fresh.up,
        "kind": fresh.kind,
        "partial": fresh.partial,
        "stale": fresh.stale,
        "data_age_seconds": fresh.age,
        "last_success_timestamp_seconds": fresh.last_success,
    }


def _bad(bad: BadParameters) -> Reply:
    faults = [{"parameter": name or None, "detail": text} for name, text in bad.faults]
    return _problem(400, str(bad), errors=faults)


def _problem(status: int, detail: str, **more: Any) -> Reply:
    """Return an error as RFC 9457 has it. Nothing of what was sent is repeated."""
    titles = {400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}
    body = {"type": "about:blank", "title": titles[status], "status": status, "detail": detail, **more}
    return _reply(status, body, "application/problem+json")


def _reply(status: int, body: Json, content_type: str = "application/json") -> Reply:
    return Reply(status, content_type, (json.dumps(body, separators=(",", ":")).encode(), b"\n"))
