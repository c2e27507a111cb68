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

    jobs: str = "milvus-refresh(-targets)?"
    """Prometheus's names of the scrape jobs, as a regular expression. Only alerts on missing targets need them."""
    runbooks: str = "https://example.com/milvus-refresh-exporter/docs/runbooks"
    """Where docs/runbooks is published."""
    grafana: str = "http://localhost:3000"
    list_dashboard: str = "milvus-refresh-list"
    collection_dashboard: str = "milvus-refresh-collection"
    identity: tuple[str, ...] = ("cluster", "namespace", "job", "milvus")
    """What tells one watched Milvus from another. Every other label of a target is a replica's own and no part of any
    alert: whoever tells Milvus apart by a label that is not here must add it. Missing ones do no harm."""
    replica: str = "instance"
    """What tells replicas of one exporter apart."""

    failures_in_a_row: int = 3
    """From so many failures on, with no success between them, refreshes keep failing."""
    shared_from: int = 3
    """From so many collections on with one cause the cause is told, and not each collection."""
    pending: int = 15 * MINUTE
    """How long a job may wait with nothing done."""
    still: int = 30 * MINUTE
    """How long a running job may show no progress."""
    index_wait_from: float = 0.9
    """From this progress on a job may be waiting for indexes (ratio)."""
    slow_factor: int = 3
    """How many times its longest recent success a job may take."""
    slow_floor: int = 10 * MINUTE
    """A job shorter than this is never slow."""
    baseline: int = 14 * DAY
    """How far back the longest success is looked for."""
    baseline_interval: int = HOUR
    """How often the longest success is noted down: two weeks of samples are read from these notes."""
    collections_interval: int = MINUTE
    """How often what grows with the number of collections is worked out. None of it is a matter of seconds."""
    history_interval: int = 5 * MINUTE
    """How often what is worked out from hours or weeks is worked out."""
    baseline_lasts: int = 15 * MINUTE
    """How long a looked-up value is good: longer than the interval, so that a late evaluation leaves no gap."""
    unreliable_within: int = 6 * HOUR
    """Over how long failures and successes that take turns are counted."""
    unreliable_failures: int = 3
    """How many failures there are then at least."""
    unreliable_successes: int = 2
    """How many successes there are then at least."""
    unreliable_ratio: float = 0.25
    """Share of failures from which on they are one alert of their own."""
    timeout_margin: int = 10 * MINUTE
    """How much longer than Milvus's own time-out a job may take."""
    missed_polls: int = 3
    """How many poll intervals without a good poll make us blind."""
    outdated_floor: int = 5 * MINUTE
    """Data of this age is never outdated, however short the interval."""
    stale_margin: int = 15 * MINUTE
    """How much later than promised data may be: a limit is not to be met to the second."""
    clock_ahead: int = 10 * MINUTE
    """How far Milvus's clock may be ahead."""
    clock_behind: int = 35 * MINUTE
    """How far Milvus's clock may be behind: more, as it is told from ends that are old when first seen."""

    gap: int = 5 * MINUTE
    """How far lost scrapes are read through."""
    memory: int = HOUR
    """How long what was known stands in for an exporter that is away, and for one that has forgotten; each evaluation
    renews the latter."""
    targets_within: int = 6 * HOUR
    """How long a target that is gone is missed."""
    scrapes_within: int = 5 * MINUTE
    """Over how long the share of good scrapes is taken."""
    scrapes_good: float = 0.65
    """Share of scrapes that must be good. One in two is not enough, not even three in five, as one in two is at times
    where there is one a minute."""
    partial_within: int = 10 * MINUTE
    """Over how long the share of partial listings is taken."""
    errors_within: int = 30 * MINUTE
    """How far back errors count. Longer than one interval of the slowest polls that are sensible."""
    inventory_floor: int = 6 * MINUTE
    """How old the inventory may be where reading it fails. With ``account_for`` more than twice its interval of five
    minutes, so that one failure is nothing."""

    job_for: int = 5 * MINUTE
    blind_for: int = 5 * MINUTE
    down_for: int = 6 * MINUTE
    """With ``scrapes_within`` and ``scrapes_good``: one that is away for four minutes and a half is not down, and one
    that loses every second scrape is told before ten."""
    account_for: int = 5 * MINUTE
    folded_for: int = 15 * MINUTE
    reload_for: int = 5 * MINUTE
    clock_within: int = 10 * MINUTE
    """How long an end that is first seen is new."""
    clock_keep: int = 2 * HOUR
    """A wrong clock is seen for a moment only, when a job ends."""
