"""Pieces of PromQL and what is built of them. Every metric name comes from the contract.

Three habits. What identifies a Milvus and a collection is named (``by``), so that a pair of replicas is one series,
whatever other labels their targets have, and several clusters stay apart. Stamps are merged: the latest is true,
whoever saw it. Counts, states and reasons are those of the replica with the newest good poll.
"""

from __future__ import annotations

from typing import Final

from rules.parameters import Parameters

from exporter.metrics import contract
from exporter.metrics.contract import PREFIX, Metric
from exporter.model import State

IDENTITY: Final = ("cluster", "namespace", "job", "milvus")
"""What tells one watched Milvus from another, as in the rules. A label that is not there does no harm."""
_COLLECTION: Final = ("database", "collection")

EXPORTERS: Final = 'cluster=~"$cluster", namespace=~"$namespace", job=~"$job"'
OURS: Final = f'{EXPORTERS}, milvus=~"$milvus"'
DATABASE: Final = f'{OURS}, database=~"$database"'
PLACE: Final = f'{DATABASE}, collection=~"$collection"'
ROW: Final = f'{PLACE}, source=~"$source"'

LIMITS: Final = Parameters()
"""The thresholds of the alerts, so that page and notification say the same."""
FRESHNESS: Final = f"collection:{PREFIX}fresh:bool"
LONGEST: Final = f"collection:{PREFIX}success_duration_seconds:longest"
_MISSED_SECONDS: Final = 3600
"""For how long a Milvus that is no longer there is missed."""


def identity(*more: str) -> str:
    """Return the labels of a Milvus and more, as they stand in an expression."""
    return f"({', '.join((*IDENTITY, *more))})"


BY_PLACE: Final = identity(*_COLLECTION)


def of(metric: Metric, scope: str, *matchers: str, suffix: str = "") -> str:
    """Return a selector. ``suffix`` names a part of a histogram, such as ``_bucket``."""
    return f"{metric.name}{suffix}{{{', '.join((scope, *matchers))}}}"


def place(metric: Metric, *, at_end: bool = False) -> str:
    """Return a stamp or a setting of the chosen collections. ``at_end``: as it is at the end of the time shown."""
    return f"max by {BY_PLACE} ({of(metric, PLACE)}{' @ end()' if at_end else ''})"


def ours(metric: Metric) -> str:
    """Return a stamp or a setting of the exporters of the chosen Milvus."""
    return f"max by {identity()} ({of(metric, OURS)})"


def leading(value: str, *keep: str) -> str:
    """Return what the replica with the newest good poll says, for each Milvus and the labels to be kept."""
    polled = of(contract.LAST_POLL_SUCCESS, OURS)
    newest = f"max by {identity('instance')} ({polled}) == on {identity()} group_left () max by {identity()} ({polled})"
    return f"max by {identity(*keep)} (\n  {value}\n  and on {identity('instance')} ({newest})\n)"


def counted(metric: Metric, scope: str = OURS) -> str:
    """Return a count, a state or a flag by its own labels."""
    return leading(of(metric, scope), *metric.labels)


def newest(metric: Metric, scope: str = ROW) -> str:
    """Return a value of the newest jobs, for each collection."""
    return leading(of(metric, scope), *_COLLECTION)


def grown(metric: Metric, scope: str, *keep: str, suffix: str = "", within: str = "$__rate_interval") -> str:
    """Return how much a counter has grown: of two replicas the larger, of which the other may have missed a part."""
    kept = keep or tuple(label for label in metric.labels if label != "le")
    return f"max by {identity(*kept)} (increase({of(metric, scope, suffix=suffix)}[{within}]))"


def results() -> tuple[str, str]:
    """Return how many jobs of each collection succeeded and failed within an interval.

    The difference is taken at each replica: of two replicas the larger ones may be of different lives.
    """
    finished, failed = (f"increase({of(m, PLACE)}[$__interval])" for m in (contract.FINISHED, contract.FAILED))
    return f"max by {BY_PLACE} (clamp_min({finished} - {failed}, 0))", f"max by {BY_PLACE} ({failed})"


def chosen(expression: str, *, at_end: bool = False) -> str:
    """Take out collections whose source is known and not chosen; one without an inventory entry stays."""
    other = of(contract.INFO, PLACE, 'source!~"$source"') + (" @ end()" if at_end else "")
    return f"({expression})\nunless on {BY_PLACE} {other}"


def count(expression: str, known: str) -> str:
    """Return how many series there are: 0 only while ``known`` has series, so that silence is no all-clear."""
    return f"count({expression})\nor 0 * count({known})"


def only(expression: str, these: str) -> str:
    """Return the series of the collections that ``these`` name."""
    return f"({expression})\nand on {BY_PLACE}\n{these}"


def oldest(most: int) -> str:
    """Name the collections with the oldest success at the end of the time shown: the same ones over all of it."""
    return f"bottomk({most}, {chosen(place(contract.LAST_SUCCESS, at_end=True), at_end=True)})"


def most_failing(most: int) -> str:
    """Name the collections with the most failures in a row at the end of the time shown."""
    return f"topk({most}, {chosen(place(contract.CONSECUTIVE, at_end=True), at_end=True)})"


# Conditions: those of the alerts without their waiting times

FAILED: Final = (
    f"({place(contract.LAST_FAILURE)}\n  > ({place(contract.LAST_SUCCESS)} or 0 * {place(contract.LAST_FAILURE)}))"
)
IN_A_ROW: Final = counted(contract.CONSECUTIVE, PLACE)
REPEATEDLY: Final = f"{IN_A_ROW} >= {LIMITS.failures_in_a_row}"
AGE: Final = f"time() - {place(contract.LAST_SUCCESS)}"
LIMIT: Final = place(contract.MAX_AGE)
STALE: Final = f"({AGE} > {LIMIT})"
BUDGET: Final = f"({AGE}) / {LIMIT}"
# A memory that does not reach back far enough cannot say never.
NEVER: Final = (
    f"((time() - {place(contract.CREATED)} > {LIMIT}) unless {place(contract.LAST_SUCCESS)})\n"
    f"  and ({LIMIT} < on {identity()} group_left () (time() - {ours(contract.KNOWN_SINCE)}))"
)
OVERDUE: Final = f"{STALE}\nor {NEVER}"
"""Older than promised, which is also what was never loaded in the time promised."""


def _newest_in(*states: State) -> str:
    matcher = 'state=~"' + "|".join(states) + '"'
    return leading(f"({of(contract.LAST_STATE, ROW, matcher)} == 1)", *_COLLECTION)


ACTIVE: Final = _newest_in(State.PENDING, State.IN_PROGRESS, State.UNKNOWN)
ELAPSED: Final = f"((time() - max by {BY_PLACE} ({of(contract.LAST_START, ROW)})) and {ACTIVE})"
STILL: Final = f"((time() - max by {BY_PLACE} ({of(contract.LAST_CHANGE, ROW)})) and {ACTIVE})"
PROGRESS: Final = newest(contract.LAST_PROGRESS)
RUNNING: Final = f"{PROGRESS} and {ACTIVE}"
TOOK: Final = place(contract.LAST_SUCCESS_DURATION)
LONGEST_KNOWN: Final = f"(max by {BY_PLACE} ({LONGEST}{{{PLACE}}}) or {TOOK})"
"""The longest success of 14 days; without the recording rules, the latest."""


def state_code() -> str:
    """Return the newest job's state as a number: 1 pending, 2 in progress, 3 completed, 4 failed, 5 unknown."""
    selectors = (of(contract.LAST_STATE, ROW, f'state="{state}"') for state in State)
    arms = (f"({selector} == 1) * {code}" for code, selector in enumerate(selectors, 1))
    return leading("(" + "\n    or ".join(arms) + ")", *_COLLECTION)


WAITING: Final = f"(({ELAPSED} > {LIMITS.pending}\n  and {_newest_in(State.PENDING)})\n  unless {PROGRESS} > 0)"
# A job of one task shows no progress until it is done, and one that waits for indexes stays above 90 %: these
# are compared with the longest success.
STUCK: Final = (
    f"({STILL} > {LIMITS.still})\n"
    f"  and (({PROGRESS} > 0 < {LIMITS.index_wait_from})\n"
    f"    or ({ELAPSED} > {LIMITS.slow_factor} * {LONGEST_KNOWN})\n"
    f"    or ({ELAPSED} unless {LONGEST_KNOWN}))"
)
PAST_TIMEOUT: Final = (
    f"{ELAPSED} > on {identity()} group_left () ({ours(contract.SERVER_TIMEOUT)} + {LIMITS.timeout_margin})"
)

_OLD: Final = "MilvusExternalCollectionStale"
_NONE: Final = "MilvusExternalCollectionNeverRefreshed"
OLDER_THAN_PROMISED: Final = (_OLD, _NONE)
TROUBLES: Final = (
    (_OLD, "Too old, refreshes fail", f"{STALE} and {FAILED}"),
    (_OLD, "Too old, refresh stuck", f"{STALE} and (({STUCK}) or {PAST_TIMEOUT})"),
    (_OLD, "Too old, none started", f"{STALE} unless {ACTIVE}"),
    (_OLD, "Too old, refresh runs", STALE),
    (_NONE, "No success, all fail", f"({NEVER}) and {FAILED}"),
    (_NONE, "No success, none started", f"({NEVER}) unless {ACTIVE}"),
    (_NONE, "No success, first runs", NEVER),
    ("MilvusExternalRefreshFailingRepeatedly", "Fails again and again", REPEATEDLY),
    ("MilvusExternalRefreshPastServerTimeout", "Past Milvus's time-out", PAST_TIMEOUT),
    ("MilvusExternalRefreshFailed", "Latest refresh failed", FAILED),
    ("MilvusExternalRefreshPendingTooLong", "Pending for long", WAITING),
    ("MilvusExternalRefreshStuck", "No progress", STUCK),
)
"""Alert, text and condition of each kind of trouble, worst first. A collection shows the first that fits."""


def trouble_rank() -> str:
    """Return a number for each collection: how bad it is with it, 0 where it is fine. Adds the label ``alert``."""
    total = len(TROUBLES)
    arms = [
        f'label_replace(0 * ({condition}) + {total - index}, "alert", "{alert}", "", "")'
        for index, (alert, _, condition) in enumerate(TROUBLES)
    ]
    arms.append(f"0 * {place(contract.CONSECUTIVE)}")
    return f"\nor on {BY_PLACE} ".join(arms)


def reason() -> str:
    """Return one row for each collection that has a reason: of its latest failure, or of a job that cannot begin."""
    labels = (*_COLLECTION, "job_id", "failure_class", "reason")
    failure = leading(of(contract.LAST_FAILURE_INFO, ROW), *labels)
    waits = leading(of(contract.LAST_INFO, ROW, 'reason!=""'), *labels)
    return f"{_first(failure)}\nor on {BY_PLACE} {_first(waits)}"


def source() -> str:
    """Return one row for each collection, with its source."""
    return _first(leading(of(contract.INFO, ROW), *_COLLECTION, "source"))


def _first(expression: str) -> str:
    return f"topk by {BY_PLACE} (1, {expression})"


# Links


def named(expression: str) -> str:
    """Add ``place`` and ``where``, to be read, and for links ``at_...``: a label that may be missing, or all of them.

    A label that no row has makes no field, and what is missing cannot be put into an address.
    """
    joined = f'label_join(\n{expression}\n, "place", "/", "database", "collection")'
    made = f'label_replace({joined}, "place", "$1", "place", "/(.*)")'
    made = f'label_join({made}, "where", " ", "cluster", "namespace", "milvus")'
    made = f'label_replace({made}, "where", "$1", "where", " *(.*?) *")'
    for label in ("cluster", "namespace", "milvus", "database"):
        # Prometheus reads two dollar signs as one.
        missing = f'label_replace({made}, "at_{label}", "$$__all", "", "")'
        made = f'label_replace({missing}, "at_{label}", "$1", "{label}", "(.+)")'
    return made


def call() -> str:
    """Add ``call``: the Python that refreshes a collection, in the row's own names."""
    joined = f'label_join({named(place(contract.CONSECUTIVE))}, "call", ";", "database", "collection")'
    text = "MilvusClient(uri, token=token, db_name='$1').refresh_external_collection('$2')"
    return f'label_replace({joined}, "call", "{text}", "call", "(.*);(.*)")'


# What is watched

_HOUR: Final = f"[{_MISSED_SECONDS // 3600}h]"
_UP: Final = f"up{{{OURS}}}"
WATCHED: Final = (
    f"group by {identity()} (last_over_time({of(contract.UP, OURS)}{_HOUR}))\n"
    f'or group by {identity()} (last_over_time(up{{{OURS}, milvus!=""}}{_HOUR}))'
)
"""Every Milvus that was watched within an hour, also one whose target is gone."""
POLL_AGE: Final = f"(time() - max by {identity()} (last_over_time({of(contract.LAST_POLL_SUCCESS, OURS)}{_HOUR})))"
"""Time since the newest good poll of each Milvus, also while nobody can be asked."""
_POLL_LIMIT: Final = (
    f"clamp_min({LIMITS.missed_polls} * max by {identity()} (last_over_time({of(contract.INTERVAL, OURS)}{_HOUR})), "
    f"{LIMITS.outdated_floor})"
)
UNSEEN: Final = (
    f"({WATCHED})\nunless on {identity()}\n({POLL_AGE} <= {_POLL_LIMIT} and on {identity()} {of(contract.UP, OURS)})"
)
"""Every Milvus of :data:`WATCHED` that has no fresh poll now."""
EXPORTERS_MISSING: Final = (
    f"(count by {identity()} ({_UP} == 0))\n"
    f"or on {identity()} (count by {identity()} ({_UP} offset 1h) - count by {identity()} ({_UP} == 1) > 0)\n"
    f"or on {identity()} (count by {identity()} ({_UP} offset 1h) unless on {identity()} {_UP})"
)
"""How many targets of each Milvus cannot be scraped, or are fewer than an hour ago: a rollout changes no count."""
