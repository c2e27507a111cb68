"""The nouns everybody shares: a job in our words, where it lives, and the closed lists that are label values.

Nothing here is a raw string of Milvus's: ``source`` and ``reason`` have been made safe before a :class:`Job`
exists, so no later station has anything to hide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Milvus's own state names (docs/milvus.md, "States"), and one of ours for a number that is newer than us."""

    PENDING = "RefreshPending"
    IN_PROGRESS = "RefreshInProgress"
    COMPLETED = "RefreshCompleted"
    FAILED = "RefreshFailed"
    UNKNOWN = "RefreshUnknown"

    ended: bool
    """Whether Milvus never leaves this state. An unknown state counts as active."""

    def __init__(self, value: str) -> None:
        self.ended = value in ("RefreshCompleted", "RefreshFailed")


class FailureClass(StrEnum):
    """Why a job failed, as a closed list that is safe as a label (docs/milvus.md, "Failure classes")."""

    TIMEOUT = "timeout"
    INDEX_WAIT_TIMEOUT = "index_wait_timeout"
    ACCESS_DENIED = "access_denied"
    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_UNREACHABLE = "source_unreachable"
    SOURCE_EMPTY = "source_empty"
    SCHEMA_MISMATCH = "schema_mismatch"
    FORMAT_ERROR = "format_error"
    MANIFEST_ERROR = "manifest_error"
    SPEC_INVALID = "spec_invalid"
    FUNCTION_ERROR = "function_error"
    WORKER_ERROR = "worker_error"
    CONFLICT = "conflict"
    SAFETY_CHECK = "safety_check"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    COLLECTION_GONE = "collection_gone"
    STORAGE_ERROR = "storage_error"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


class Problem(StrEnum):
    """An impossible value in a job record, repaired and counted (docs/milvus.md, "Impossible values")."""

    MISSING_JOB_ID = "missing_job_id"
    NAME_TOO_LONG = "name_too_long"
    TEXT_NOT_UTF8 = "text_not_utf8"
    UNDECODABLE = "undecodable"
    DUPLICATE_JOB_ID = "duplicate_job_id"
    UNKNOWN_STATE = "unknown_state"
    PROGRESS_OUT_OF_RANGE = "progress_out_of_range"
    NEGATIVE_TIME = "negative_time"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    END_BEFORE_START = "end_before_start"
    ENDED_WITHOUT_END_TIME = "ended_without_end_time"
    ACTIVE_WITH_END_TIME = "active_with_end_time"


class Collection(NamedTuple):
    """Where a job lives. The identity of everything that is remembered.

    ``database`` is empty when it is not known; ``collection_id`` is 0 when the inventory does not know the
    collection. ``name`` is the current name where the inventory knows it, the name in the job otherwise.
    """

    database: str
    name: str
    collection_id: int = 0


class Job(NamedTuple):
    """One refresh job, translated: epoch seconds, ratio 0-1, safe texts.

    A tuple: there can be a hundred thousand, and this is the cheapest object that cannot change.
    """

    job_id: int
    name: str
    """The collection name as the record has it: what the caller typed at submission."""
    state: State
    progress: float
    source: str
    start: float | None
    end: float | None
    """None until the job has ended, and for an ended job whose end time is impossible or missing."""
    failure_class: FailureClass | None = None
    """Always set for a failed job; for an active one only when it carries a reason."""
    reason: str = ""
    half_written: bool = False
    """Failed, without end time and without reason: Milvus has yet to write how it ended."""


@dataclass(frozen=True, slots=True)
class ShownCollection:
    """One line of ShowCollections. ``created`` in epoch seconds, None where the server does not say."""

    name: str
    collection_id: int
    created: float | None


@dataclass(frozen=True, slots=True)
class DescribedCollection:
    """What DescribeCollection says that matters here; ``source`` is safe."""

    external: bool
    aliases: tuple[str, ...] = ()
    source: str = ""
