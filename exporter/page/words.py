"""What the page says in plain words: kinds of failure, classes, states, lengths of time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from exporter.model import FailureClass, Job, State

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
"""Between a number and its unit."""
_FEW: Final = 10
"""Below this a number alone is coarse."""

KINDS: Final = {
    "unreachable": "Milvus cannot be reached",
    "tls": "the TLS handshake with Milvus failed",
    "deadline": "Milvus did not answer in time",
    "not_ready": "Milvus is starting or restarting",
    "rate_limited": "Milvus refuses calls because there are too many",
    "unauthenticated": "Milvus rejects the exporter's credentials",
    "permission_denied": "the exporter's Milvus user lacks a privilege",
    "unimplemented": "this Milvus does not know refresh jobs",
    "response_too_large": "the answer of Milvus is larger than the limit",
    "bad_response": "the answer of Milvus cannot be decoded",
    "server_error": "Milvus answered with an error",
    "internal": "the exporter itself is at fault",
}
"""By ``PollAccount.kind``."""

CLASSES: Final = {
    FailureClass.ACCESS_DENIED: "the storage refuses Milvus",
    FailureClass.SOURCE_NOT_FOUND: "the bucket or path is not there",
    FailureClass.SOURCE_UNREACHABLE: "network, DNS or TLS on the way to the storage",
    FailureClass.SOURCE_EMPTY: "no files or no rows under the path",
    FailureClass.SAFETY_CHECK: "the refresh would have removed everything",
    FailureClass.STORAGE_ERROR: "reading or writing storage failed, cause not known",
    FailureClass.SCHEMA_MISMATCH: "columns or types do not fit the collection",
    FailureClass.FORMAT_ERROR: "Milvus cannot read the files",
    FailureClass.MANIFEST_ERROR: "a manifest or snapshot file cannot be used",
    FailureClass.SPEC_INVALID: "the source address or its spec is wrong",
    FailureClass.FUNCTION_ERROR: "a function of the collection failed on the data",
    FailureClass.TIMEOUT: "older than Milvus allows a job to be",
    FailureClass.INDEX_WAIT_TIMEOUT: "the data is live, indexes are late",
    FailureClass.WORKER_ERROR: "a DataNode failed or was lost",
    FailureClass.CONFLICT: "the collection changed meanwhile",
    FailureClass.INTERNAL: "Milvus's own bookkeeping",
    FailureClass.SUPERSEDED: "the work belonged to another job",
    FailureClass.CANCELLED: "ended by the server",
    FailureClass.COLLECTION_GONE: "the collection was dropped meanwhile",
    FailureClass.UNKNOWN: "a text that has no class",
}
"""In one line each, as docs/runbooks/README.md, "By failure class" has them."""

_BARE: Final = frozenset({"timeout", "job timeout"})
"""Reasons of a time-out that say no more than its class (docs/milvus.md, "Failure classes")."""

STATES: Final = {
    State.PENDING: "Pending",
    State.IN_PROGRESS: "Running",
    State.COMPLETED: "Completed",
    State.FAILED: "Failed",
    State.UNKNOWN: "Unknown state",
}


def blame(job: Job) -> tuple[str, str, str]:
    """Return why a job failed: its class in words, the cleaned reason, and what there is to know where none is kept."""
    class_ = job.failure_class or FailureClass.UNKNOWN
    if job.state is not State.FAILED or class_ is not FailureClass.TIMEOUT or job.reason not in _BARE:
        return CLASSES[class_], job.reason, ""
    measured = job.start is not None and job.end is not None and job.end > job.start
    after = f"after {duration(job.end - job.start)}, " if measured and job.end and job.start is not None else ""
    told = f"timed out: Milvus ended it {after}by its own limit"
    return told, "", "It has kept no other reason. Often the source could not be reached: check that first."


def duration(seconds: float) -> str:
    """Return a length of time the way people say it, in one unit: in two where one alone would be coarse."""
    seconds = max(seconds, 0.0)
    if seconds < _FEW and seconds != int(seconds):
        return f"{seconds:.1f}{_NO_BREAK}s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f}{_NO_BREAK}s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f}{_NO_BREAK}min"
    if seconds < 2 * _DAY:
        hours, minutes = divmod(round(seconds / _MINUTE), 60)
        few = f"{_NO_BREAK}{minutes}{_NO_BREAK}min" if minutes and hours < _FEW else ""
        return f"{hours if few else round(seconds / _HOUR)}{_NO_BREAK}h{few}"
    return f"{seconds / _DAY:.0f}{_NO_BREAK}d"


def limit(seconds: float) -> str:
    """Return a length of time that somebody has set, exactly."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * size and not seconds % size:
            return f"{seconds / size:.0f}{_NO_BREAK}{unit}"
    return duration(seconds)


def ago(seconds: float) -> str:
    """Return how long ago something was; what is ahead of us by a clock that differs is now."""
    return "just now" if seconds < 1 else f"{duration(round(seconds))} ago"


def stamp(moment: float) -> str:
    """Return epoch seconds as date and time in UTC; what is no such moment (a wrong clock), as a number."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{moment:.0f} s"


def iso(moment: float) -> str:
    """Return epoch seconds as an HTML time element wants them, "" where it cannot be."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
