"""The metric contract: every family that ``/metrics`` can show, written once.

Rendering, the reference in docs/metrics.md and the tests of rules and dashboards all read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
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

    part: Part
    kind: Kind
    short: str
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
_job = partial(Metric, Part.JOBS, "gauge")
_outcome = partial(Metric, Part.OUTCOMES, "gauge")
_outcome_counter = partial(Metric, Part.OUTCOMES, "counter")
_inventory = partial(Metric, Part.INVENTORY, "gauge")
_own = partial(Metric, Part.EXPORTER, "gauge")
_own_counter = partial(Metric, Part.EXPORTER, "counter")
_CACHED = " Cached: as of the last good poll."

JOBS: Final = _job(
    "jobs",
    "Refresh jobs that Milvus lists now, by state." + _CACHED,
    (*_ROW, "state"),
    "All five states, zero-filled. Finished jobs leave after the server's retention (24 h by default), so this is no "
    'running total. Collections beyond `limits.max_collections` are added up under `collection="__other__"`.',
)
LAST_STATE: Final = _job(
    "last_job_state",
    "1 for the state of the newest job, 0 for the others." + _CACHED,
    (*_ROW, "state"),
    "The newest job is the one with the largest start time, then the largest job id. `source` is that job's own.",
)
LAST_PROGRESS: Final = _job(
    "last_job_progress_ratio",
    "Progress of the newest job, 0 to 1." + _CACHED,
    _ROW,
    "As Milvus sends it. A job of one task stays at 0 until it is done; 0.90 to 0.99 is the wait for indexes; it can "
    "go down; a failed job keeps its last value.",
)
LAST_CHANGE: Final = _job(
    "last_job_progress_change_timestamp_seconds",
    "When this exporter last saw the newest job, its state or its progress change." + _CACHED,
    _ROW,
)
LAST_START: Final = _job(
    "last_job_start_timestamp_seconds", "Start of the newest job." + _CACHED, _ROW, "Absent while Milvus reports 0."
)
LAST_END: Final = _job(
    "last_job_end_timestamp_seconds", "End of the newest job." + _CACHED, _ROW, "Absent until the job has ended."
)
LAST_DURATION: Final = _job(
    "last_job_duration_seconds",
    "Run time of the newest job: to its end, or to the last poll while it is active." + _CACHED,
    _ROW,
    "Absent while the start is unknown. For people: rules compute it from the start, which does not lag behind.",
)
LAST_INFO: Final = _job(
    "last_job_info",
    "Identity of the newest job; always 1." + _CACHED,
    (*_ROW, "job_id", "failure_class", "reason"),
    "`failure_class` and `reason` are empty without a reason. A job that has not failed can have one, where the "
    "server notes why planning is being retried.",
)
UNLISTED: Final = _job(
    "collection_unlisted",
    "1 for a collection that the last poll could not list; its rows are the last known ones." + _CACHED,
    _PLACE,
)

LAST_SUCCESS: Final = _outcome(
    "last_success_timestamp_seconds",
    "End of the latest job whose data is live.",
    _PLACE,
    "Completed, or failed with `index_wait_timeout`: applied and serving, only the wait for indexes ran out. Absent "
    "until one is seen.",
)
LAST_FAILURE: Final = _outcome(
    "last_failure_timestamp_seconds",
    "End of the latest failed job.",
    _PLACE,
    "`superseded`, `cancelled` and `index_wait_timeout` do not count. Absent until one is seen.",
)
LAST_SUCCESS_DURATION: Final = _outcome(
    "last_success_duration_seconds",
    "Run time of the latest completed job.",
    _PLACE,
    "The baseline for slow. Absent until a completed job with a known start is seen.",
)
CONSECUTIVE: Final = _outcome(
    "consecutive_failures",
    "Failed jobs since the last success.",
    _PLACE,
    "Counted as in `last_failure_timestamp_seconds`; after a start of the exporter, as far back as Milvus lists.",
)
LAST_FAILURE_INFO: Final = _outcome(
    "last_failure_info",
    "The latest failure or index-wait time-out, while no later job has completed; always 1.",
    (*_ROW, "source_root", "job_id", "failure_class", "reason"),
    "For alert texts: fetch the reason from here, so that it is no part of the alert's identity.",
)
FAILING: Final = _outcome(
    "failing_collections",
    "Collections whose latest refresh failed, by what they have in common.",
    ("source_root", "failure_class"),
    "One bucket that refuses is one series, however many collections read it. The commonest fifty; the others are "
    'added up under `source_root="__other__"`.',
)
FINISHED: Final = _outcome_counter(
    "jobs_finished_total",
    "Jobs seen to end, each job id once.",
    _PLACE,
    "What had ended before the first listing is the baseline and is not counted. Stands at 0 for one snapshot before "
    "its first increase.",
)
FAILED: Final = _outcome_counter(
    "jobs_failed_total",
    "Jobs seen to end as RefreshFailed, whatever the class.",
    _PLACE,
    "In OpenMetrics with an exemplar `job_id`.",
)
MAX_AGE: Final = _outcome(
    "max_age_seconds", "How old the data may be, from the configuration.", _PLACE, "Only where `freshness` sets an age."
)
KNOWN_SINCE: Final = _outcome(
    "outcomes_known_since_timestamp_seconds",
    "Since when the memory of outcomes reaches back.",
    more="The beginning of the state file; without one, the start of the process less the server's retention.",
)
DURATION: Final = Metric(
    Part.OUTCOMES,
    "histogram",
    "job_duration_seconds",
    "Run time of completed jobs, each job id once.",
    ("database",),
    "A completed job whose start is unknown is counted in `jobs_finished_total` and not measured here.",
)
FAILED_BY_CLASS: Final = _outcome_counter(
    "jobs_failed_by_class_total",
    "Failed jobs by class.",
    ("database", "failure_class"),
    "All classes zero-filled once the database is known.",
)

INFO: Final = _inventory("collection_info", "An external collection that exists, refreshed or not; always 1.", _ROW)
CREATED: Final = _inventory(
    "collection_created_timestamp_seconds",
    "When the collection was created.",
    _PLACE,
    'The clock of "never refreshed". Absent where the server does not say.',
)
COLLECTIONS: Final = _inventory(
    "collections", "External collections known.", ("database",), "Absent for a database without any."
)
INVENTORY_SUCCESS: Final = _own(
    "inventory_last_success_timestamp_seconds",
    "When the inventory was last read without an error; 0 before the first time.",
)
INVENTORY_ERRORS: Final = _own_counter(
    "inventory_errors_total",
    "Inventory passes that met an error, by the first one's kind.",
    ("kind",),
    "Never touches `up` or `poll_errors_total`.",
)
UP: Final = _own("up", "1 if the last poll succeeded in full or in part.")
PARTIAL: Final = _own("poll_partial", "1 if the last poll could not list everything at once.")
LAST_ATTEMPT: Final = _own("poll_last_attempt_timestamp_seconds", "Start of the last poll; 0 before the first.")
LAST_POLL_SUCCESS: Final = _own(
    "poll_last_success_timestamp_seconds",
    "Start of the last good poll; 0 before the first.",
    more="A partial poll is a success.",
)
INTERVAL: Final = _own("poll_interval_seconds", "Time between polls, as configured.")
POLL_DURATION: Final = Metric(Part.EXPORTER, "histogram", "poll_duration_seconds", "Wall time of a poll.")
POLLS: Final = _own_counter("polls_total", "Polls attempted.")
SKIPPED: Final = _own_counter("polls_skipped_total", "Ticks skipped because the poll before still ran.")
POLL_ERRORS: Final = _own_counter(
    "poll_errors_total",
    "Errors of polls, by kind.",
    ("kind",),
    "Zero-filled. A refused list-all counts once, also where listing by name rescues the poll.",
)
STALE: Final = _own("snapshot_stale", "1 while job series are withheld because the last good poll is too old.")
SNAPSHOT_JOBS: Final = _own("snapshot_jobs", "Jobs in the last good listing, before filters.")
JOBS_WITHOUT_VISIBLE_COLLECTION: Final = _own(
    "jobs_without_visible_collection",
    "Jobs in the last good listing whose collection the inventory does not show: hidden by grants, or dropped.",
    more="Those of a collection that is known to be dropped do not count. Absent without `inventory.enabled`, and "
    "until the inventory has been read without an error. Which of these jobs have outcomes and alerts: "
    "[milvus.md](milvus.md#which-database).",
)
COLLECTIONS_FOLDED: Final = _own(
    "collections_folded", "Collections without series of their own, because of the limits."
)
SOURCES_FOLDED: Final = _own("sources_folded", 'Sources added up under source="__other__", because of the limits.')
INVALID: Final = _own_counter(
    "invalid_records_total",
    "Impossible values in job records, each once per job id.",
    ("problem",),
    "Zero-filled. The values are repaired as docs/milvus.md says.",
)
SERVER_TIMEOUT: Final = _own("server_job_timeout_seconds", "Milvus's own time-out of a job, as configured here.")
SERVER_RETENTION: Final = _own(
    "server_job_retention_seconds", "How long Milvus lists an ended job, as configured here."
)
STATE_OK: Final = _own(
    "state_ok", "1 while the state file is usable and what is remembered is in it.", more="Only with `state.path`."
)
STATE_LAST_WRITE: Final = _own(
    "state_last_write_success_timestamp_seconds",
    "When the state file was last written; 0 before the first time.",
    more="Only with `state.path`.",
)
STATE_WRITE_ERRORS: Final = _own_counter(
    "state_write_errors_total", "Times the state file could not be written.", more="Only with `state.path`."
)
CONFIG_GOOD: Final = _own(
    "config_last_reload_successful", "1 if the configuration could be read when that was last tried."
)
CONFIG_LOADED: Final = _own("config_last_reload_success_timestamp_seconds", "When the configuration in force was read.")
BUILD_INFO: Final = _own("exporter_build_info", "What is running; always 1.", ("version", "revision", "python_version"))

CONTRACT: Final[tuple[Metric, ...]] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""Every family, in the order of the reference."""
