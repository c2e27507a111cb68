"""A job as the JSON that the API and ``jobs --output json`` give (docs/api/openapi.yaml)."""

from __future__ import annotations

from typing import Any

from exporter.model import Collection, Job

Json = dict[str, Any]


def job_record(job: Job) -> Json:
    """Return what is said of a job by itself: stamps in epoch seconds, lengths in seconds, progress from 0 to 1."""
    took = None if job.start is None or job.end is None or job.end < job.start else round(job.end - job.start, 3)
    return {
        "job_id": str(job.job_id),  # 64 bits: more than a number in JavaScript can hold
        "state": str(job.state),
        "progress_ratio": job.progress,
        "source": job.source,
        "start_timestamp_seconds": job.start,
        "end_timestamp_seconds": job.end,
        "duration_seconds": took,
        "failure_class": str(job.failure_class) if job.failure_class else None,
        "reason": job.reason,
    }


def placed_record(target: str, collection: Collection, job: Job, *, listed: bool) -> Json:
    """Return a job with where it belongs, and whether Milvus still lists it."""
    return {
        "target": target,
        "database": collection.database,
        "collection": collection.name,
        **job_record(job),
        "listed": listed,
    }
