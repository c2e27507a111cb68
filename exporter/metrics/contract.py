"""The metric contract: every family that ``/metrics`` can show, written once.

Rendering, the reference in docs/metrics.md and the tests of rules and dashboards all read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

PREFIX: Final = "milvus_external_refresh_"

Kind = Literal["gauge", "counter", "histogram"]


class Part(StrEnum):
    """Which account a family belongs to, and so how long its series stay."""

    JOBS = "jobs"
    OUTCOMES = "outcomes"
    INVENTORY = "inventory"
    EXPORTER = "exporter"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. ``help`` is what Prometheus shows, ``more`` what only the reference says."""

    short: str
    kind: Kind
    part: Part
    help: str
    labels: tuple[str, ...] = ()
    more: str = ""

    @property
    def name(self) -> str:
        """Return the full name, with ``_total`` for a counter."""
        return PREFIX + self.short

    @property
    def family(self) -> str:
        """Return the name without ``_total``: what OpenMetrics calls the family."""
        return self.name.removesuffix("_total")


_PLACE = ("database", "collection")
_ROW = (*_PLACE, "source")
_CACHED = " As of the last good poll."

JOBS: Final = Metric(
    "jobs",
    "gauge",
    Part.JOBS,
    "Refresh jobs that Milvus lists now, by state." + _CACHED,
    (*_ROW, "state"),
    "All five states, zero-filled. Finished jobs leave after the server's retention (24 h by default), so this is no "
    'running total. Collections beyond `limits.max_collections` are added up under `collection="__other__"`.',
)
LAST_STATE: Final = Metric(
    "last_job_state",
    "gauge",
    Part.JOBS,
    "1 for the state of the newest job, 0 for the others.",
    (*_ROW, "state"),
    "The newest job is the one with the largest start time, then the largest job id. `source` is that job's own.",
)
LAST_PROGRESS: Final = Metric(
    "last_job_progress_ratio",
    "gauge",
    Part.JOBS,
    "Progress of the newest job, 0 to 1.",
    _ROW,
    "As Milvus sends it. A job of one task stays at 0 until it is done; 0.90 to 0.99 is the wait for indexes; it can "
    "go down; a failed job keeps its last value.",
)
LAST_CHANGE: Final = Metric(
    "last_job_progress_change_timestamp_seconds",
    "gauge",
    Part.JOBS,
    "When this exporter last saw the newest job, its state or its progress change.",
    _ROW,
)
LAST_START: Final = Metric(
    "last_job_start_timestamp_seconds",
    "gauge",
    Part.JOBS,
    "Start of the newest job.",
    _ROW,
    "Absent while Milvus reports 0.",
)
LAST_END: Final = Metric(
    "last_job_end_timestamp_seconds",
    "gauge",
    Part.JOBS,
    "End of the newest job.",
    _ROW,
    "Absent until the job has ended.",
)
LAST_DURATION: Final = Metric(
    "last_job_duration_seconds",
    "gauge",
    Part.JOBS,
    "Run time of the newest job: to its end, or to the last poll while it is active.",
    _ROW,
    "For people. Rules compute it from the start, which does not lag behind by a poll.",
)
LAST_INFO: Final = Metric(
    "last_job_info",
    "gauge",
    Part.JOBS,
    "Identity of the newest job; always 1.",
    (*_ROW, "job_id", "failure_class", "reason"),
    "`failure_class` and `reason` are empty without a reason. A job that has not failed can have one: newer servers "
    "note there why planning is being retried.",
)
UNLISTED: Final = Metric(
    "collection_unlisted",
    "gauge",
    Part.JOBS,
    "1 for a collection that the last poll could not list; its rows are the last known ones.",
    _PLACE,
)

LAST_SUCCESS: Final = Metric(
    "last_success_timestamp_seconds",
    "gauge",
    Part.OUTCOMES,
    "End of the latest job whose data is live.",
    _PLACE,
    "Completed, or failed with `index_wait_timeout`: applied and serving, only the wait for indexes ran out. Absent "
    "until one is seen.",
)
LAST_FAILURE: Final = Metric(
    "last_failure_timestamp_seconds",
    "gauge",
    Part.OUTCOMES,
    "End of the latest failed job.",
    _PLACE,
    "`superseded`, `cancelled` and `index_wait_timeout` do not count. Absent until one is seen.",
)
LAST_SUCCESS_DURATION: Final = Metric(
    "last_success_duration_seconds",
    "gauge",
    Part.OUTCOMES,
    "Run time of the latest completed job.",
    _PLACE,
    "The baseline for slow.",
)
CONSECUTIVE: Final = Metric(
    "consecutive_failures",
    "gauge",
    Part.OUTCOMES,
    "Failed jobs since the last success.",
    _PLACE,
    "Counted as in `last_failure_timestamp_seconds`; right after a start, as far back as Milvus lists.",
)
LAST_FAILURE_INFO: Final = Metric(
    "last_failure_info",
    "gauge",
    Part.OUTCOMES,
    "The latest failure or index-wait time-out, while no later job has completed; always 1.",
    (*_ROW, "job_id", "failure_class", "reason"),
    "For alert texts: fetch the reason from here, so that it is no part of the alert's identity.",
)
FINISHED: Final = Metric(
    "jobs_finished_total",
    "counter",
    Part.OUTCOMES,
    "Jobs seen to end, each job id once.",
    _PLACE,
    "What had ended before the first listing is the baseline and is not counted.",
)
FAILED: Final = Metric(
    "jobs_failed_total",
    "counter",
    Part.OUTCOMES,
    "Jobs seen to end as RefreshFailed, whatever the class.",
    _PLACE,
    "In OpenMetrics with an exemplar `job_id`.",
)
MAX_AGE: Final = Metric(
    "max_age_seconds",
    "gauge",
    Part.OUTCOMES,
    "How old the data may be, from the configuration.",
    _PLACE,
    "Only where `freshness` sets an age.",
)
KNOWN_SINCE: Final = Metric(
    "outcomes_known_since_timestamp_seconds",
    "gauge",
    Part.OUTCOMES,
    "Since when the memory of outcomes reaches back.",
    more="The start of the process less the server's retention.",
)
DURATION: Final = Metric(
    "job_duration_seconds",
    "histogram",
    Part.OUTCOMES,
    "Run time of completed jobs, each job id once.",
    ("database",),
)
FAILED_BY_CLASS: Final = Metric(
    "jobs_failed_by_class_total",
    "counter",
    Part.OUTCOMES,
    "Failed jobs by class.",
    ("database", "failure_class"),
    "All classes zero-filled once the database is known.",
)

INFO: Final = Metric(
    "collection_info",
    "gauge",
    Part.INVENTORY,
    "An external collection that exists, refreshed or not; always 1.",
    _ROW,
)
CREATED: Final = Metric(
    "collection_created_timestamp_seconds",
    "gauge",
    Part.INVENTORY,
    "When the collection was created.",
    _PLACE,
    'The clock of "never refreshed".',
)
COLLECTIONS: Final = Metric(
    "collections",
    "gauge",
    Part.INVENTORY,
    "External collections known.",
    ("database",),
)
INVENTORY_SUCCESS: Final = Metric(
    "inventory_last_success_timestamp_seconds",
    "gauge",
    Part.EXPORTER,
    "When the inventory was last read without an error; 0 before the first time.",
)
INVENTORY_ERRORS: Final = Metric(
    "inventory_errors_total",
    "counter",
    Part.EXPORTER,
    "Inventory passes that met an error, by the first one's kind.",
    ("kind",),
    "Never touches `up` or `poll_errors_total`.",
)
UP: Final = Metric("up", "gauge", Part.EXPORTER, "1 if the last poll succeeded in full or in part.")
PARTIAL: Final = Metric("poll_partial", "gauge", Part.EXPORTER, "1 if the last poll could not list everything at once.")
LAST_ATTEMPT: Final = Metric(
    "poll_last_attempt_timestamp_seconds",
    "gauge",
    Part.EXPORTER,
    "Start of the last poll; 0 before the first.",
)
LAST_POLL_SUCCESS: Final = Metric(
    "poll_last_success_timestamp_seconds",
    "gauge",
    Part.EXPORTER,
    "Start of the last good poll; 0 before the first.",
    more="A partial poll is a success.",
)
INTERVAL: Final = Metric("poll_interval_seconds", "gauge", Part.EXPORTER, "Time between polls, as configured.")
POLL_DURATION: Final = Metric("poll_duration_seconds", "histogram", Part.EXPORTER, "Wall time of a poll.")
POLLS: Final = Metric("polls_total", "counter", Part.EXPORTER, "Polls attempted.")
SKIPPED: Final = Metric(
    "polls_skipped_total",
    "counter",
    Part.EXPORTER,
    "Ticks skipped because the poll before still ran.",
)
POLL_ERRORS: Final = Metric(
    "poll_errors_total",
    "counter",
    Part.EXPORTER,
    "Errors of polls, by kind.",
    ("kind",),
    "Zero-filled. A refused list-all counts once, also where listing by name rescues the poll.",
)
STALE: Final = Metric(
    "snapshot_stale",
    "gauge",
    Part.EXPORTER,
    "1 while job series are withheld because the last good poll is too old.",
)
SNAPSHOT_JOBS: Final = Metric("snapshot_jobs", "gauge", Part.EXPORTER, "Jobs in the last good listing, before filters.")
COLLECTIONS_FOLDED: Final = Metric(
    "collections_folded",
    "gauge",
    Part.EXPORTER,
    "Collections without series of their own, because of the limits.",
)
SOURCES_FOLDED: Final = Metric(
    "sources_folded",
    "gauge",
    Part.EXPORTER,
    'Sources added up under source="__other__", because of the limits.',
)
INVALID: Final = Metric(
    "invalid_records_total",
    "counter",
    Part.EXPORTER,
    "Impossible values in job records, each once per job id.",
    ("problem",),
    "Zero-filled. The values are repaired as docs/milvus.md says.",
)
SERVER_TIMEOUT: Final = Metric(
    "server_job_timeout_seconds",
    "gauge",
    Part.EXPORTER,
    "Milvus's own time-out of a job, as configured here.",
)
SERVER_RETENTION: Final = Metric(
    "server_job_retention_seconds",
    "gauge",
    Part.EXPORTER,
    "How long Milvus lists an ended job, as configured here.",
)
BUILD_INFO: Final = Metric(
    "exporter_build_info",
    "gauge",
    Part.EXPORTER,
    "What is running; always 1.",
    ("version", "revision", "python_version"),
)

CONTRACT: Final[tuple[Metric, ...]] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""Every family, in the order of the reference."""
