"""What may differ from one installation to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names and thresholds. Numbers are seconds unless they say otherwise; ``*_for`` is how long before it fires."""

    job: str = "milvus-refresh"
    """Prometheus's name of the scrape job. Only the alert on a missing exporter needs it."""
    runbooks: str = "https://example.com/milvus-refresh-exporter/docs/runbooks"
    """Where docs/runbooks is published."""
    grafana: str = "http://localhost:3000"
    list_dashboard: str = "milvus-refresh-list"
    collection_dashboard: str = "milvus-refresh-collection"
    replica_labels: tuple[str, ...] = ("instance", "pod")
    """What tells replicas of one exporter apart: two replicas raise one alert."""
    target_labels: tuple[str, ...] = ("job", "namespace", "milvus")
    """What tells exporters of different Milvus apart, so that a text quotes the right one. Missing ones do no harm."""

    failures_in_a_row: int = 3
    pending: int = 15 * MINUTE
    still: int = 30 * MINUTE
    """How long a running job may show no progress."""
    index_wait_from: float = 0.9
    """From this progress on a job may be waiting for indexes (ratio)."""
    slow_factor: int = 3
    """How many times its longest recent success a job may take."""
    slow_floor: int = 10 * MINUTE
    """A job shorter than this is never slow."""
    baseline: int = 14 * DAY
    baseline_interval: int = 5 * MINUTE
    """How often the longest success is looked up: two weeks of samples are not read at every evaluation."""
    baseline_lasts: int = 15 * MINUTE
    """How long a looked-up value is good: longer than the interval, so that a late evaluation leaves no gap."""
    timeout_margin: int = 10 * MINUTE
    missed_polls: int = 3
    outdated_floor: int = 10 * MINUTE
    memory: int = DAY
    """How long Prometheus stands in for an exporter that has forgotten; each evaluation renews it."""
    errors_within: int = 10 * MINUTE
    """Shorter than ``account_for``, so that one error alone does not raise an alert."""
    reload_within: int = 5 * MINUTE
    """How far a failed scrape is bridged."""

    stale_for: int = 15 * MINUTE
    job_for: int = 5 * MINUTE
    blind_for: int = 5 * MINUTE
    account_for: int = 15 * MINUTE
    reload_for: int = 10 * MINUTE
    fact_keep: int = 5 * MINUTE
    """How long an alert on a fact outlives its series: a restart of the exporter is no all-clear."""
    job_keep: int = 20 * MINUTE
    """The same for an alert on a running job, whose series are withheld when our data is too old. Longer than it takes
    the alert on outdated data to fire."""
