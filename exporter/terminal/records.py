"""Jobs as JSON: the document that ``/api/v1/jobs`` answers with (docs/api/openapi.yaml)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from exporter.model import Collection, Job
from exporter.terminal.overview import Overview

Json = dict[str, Any]


def document(seen: Overview, now: float, *, stale: bool, one_line: bool) -> Iterator[str]:
    """Yield one document, piece by piece: there can be a hundred thousand jobs. ``now`` in epoch seconds.

    Without ``one_line`` each job has a line.
    """
    end = "" if one_line else "\n"
    yield '{"data": ['
    for number, (collection, job) in enumerate(seen.rows):
        yield (f",{end}" if number else end) + json.dumps(record(seen.target, collection, job))
    page = {"limit": seen.most or seen.total, "offset": 0, "total": seen.total, "next": None}
    yield f'{end}], "page": {json.dumps(page)},{end or " "}'
    yield f'"freshness": {json.dumps([_freshness(seen, now, stale=stale)])}}}\n'


def record(target: str, collection: Collection, job: Job) -> Json:
    """Return one job, field by field as the API has it."""
    measured = job.start is not None and job.end is not None and job.end >= job.start
    return {
        "target": target,
        "database": collection.database,
        "collection": collection.name,
        "job_id": str(job.job_id),  # 64 bits: more than a number in JavaScript can hold
        "state": str(job.state),
        "progress_ratio": job.progress,
        "source": job.source,
        "start_timestamp_seconds": job.start,
        "end_timestamp_seconds": job.end,
        "duration_seconds": round(job.end - job.start, 3) if measured and job.end and job.start is not None else None,
        "failure_class": str(job.failure_class) if job.failure_class else None,
        "reason": job.reason,
        "listed": True,
    }


def _freshness(seen: Overview, now: float, *, stale: bool) -> Json:
    listing = seen.listing
    return {
        "target": seen.target,
        "up": listing.up,
        "kind": listing.kind,
        "partial": listing.partial,
        "stale": stale,
        "data_age_seconds": None if listing.taken is None else max(now - listing.taken, 0.0),
        "last_success_timestamp_seconds": listing.taken,
    }
