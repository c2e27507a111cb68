"""The expressions: written once, put together by the panels. Every metric name comes from the contract.

``without (instance, pod)`` makes a pair of replicas one series and leaves every other label of the target (job, milvus,
namespace, ...) alone, so that several Milvus stay apart.
"""

from __future__ import annotations

from typing import Final

from rules.parameters import Parameters

from exporter.metrics import contract
from exporter.metrics.contract import Metric

OURS: Final = 'job=~"$job", milvus=~"$milvus"'
DATABASE: Final = f'{OURS}, database=~"$database"'
PLACE: Final = f'{DATABASE}, collection=~"$collection"'
ROW: Final = f'{PLACE}, source=~"$source"'

LIMITS: Final = Parameters()
"""The thresholds of the alerts, so that page and notification say the same."""

_STATES: Final = ("RefreshPending", "RefreshInProgress", "RefreshCompleted", "RefreshFailed", "RefreshUnknown")
_ACTIVE: Final = "RefreshPending|RefreshInProgress|RefreshUnknown"
_REASON: Final = "job_id, failure_class, reason"


def of(metric: Metric, scope: str, *matchers: str, suffix: str = "") -> str:
    """Return a selector. ``suffix`` names a part of a histogram, such as ``_bucket``."""
    return f"{metric.name}{suffix}{{{', '.join((scope, *matchers))}}}"


def one(selector: str, *dropped: str) -> str:
    """Return one series for the replicas of an exporter; ``dropped`` are labels to be dropped as well."""
    return f"max without ({', '.join(('instance', 'pod', *dropped))}) ({selector})"


def place(metric: Metric) -> str:
    """Return a metric of the chosen collections."""
    return one(of(metric, PLACE))


def ours(metric: Metric) -> str:
    """Return a metric of the chosen exporters themselves."""
    return one(of(metric, OURS))


def job(metric: Metric, *dropped: str, scope: str = ROW) -> str:
    """Return a metric of the newest jobs of the chosen collections."""
    return one(of(metric, scope), *dropped)


def chosen(expression: str, *ignored: str) -> str:
    """Take out collections whose source is known and not chosen; one without an inventory entry stays."""
    other = one(of(contract.INFO, PLACE, 'source!~"$source"'), "source")
    on = f" ignoring ({', '.join(ignored)})" if ignored else ""
    return f"({expression})\nunless{on} {other}"


def count(expression: str, known: str) -> str:
    """Return how many series there are: 0 only while ``known`` has series, so that silence is no all-clear."""
    return f"count({expression})\nor 0 * count({known})"


FAILED: Final = (
    f"{place(contract.LAST_FAILURE)}\n  > ({place(contract.LAST_SUCCESS)} or 0 * {place(contract.LAST_FAILURE)})"
)
REPEATEDLY: Final = f"{place(contract.CONSECUTIVE)} >= {LIMITS.failures_in_a_row}"
AGE: Final = f"time() - {place(contract.LAST_SUCCESS)}"
LIMIT: Final = place(contract.MAX_AGE)
STALE: Final = f"{AGE} > {LIMIT}"
FRESH: Final = f"{AGE} <= bool {LIMIT}"
BUDGET: Final = f"({AGE}) / {LIMIT}"
# A memory that does not reach back far enough cannot say never.
NEVER: Final = (
    f"((time() - {place(contract.CREATED)} > {LIMIT}) unless {place(contract.LAST_SUCCESS)})\n"
    f"  and ({LIMIT} < ignoring (database, collection) group_left () (time() - {ours(contract.KNOWN_SINCE)}))"
)


def _newest_in(states: str, scope: str) -> str:
    selector = of(contract.LAST_STATE, scope, f'state=~"{states}"')
    return f"{one(selector, 'state')} == 1"


def active(scope: str = ROW) -> str:
    """Return 1 for every newest job that has not ended."""
    return _newest_in(_ACTIVE, scope)


def elapsed(scope: str = ROW) -> str:
    """Return seconds since the start of every newest job that has not ended."""
    return f"(time() - {job(contract.LAST_START, scope=scope)}) and {active(scope)}"


def still(scope: str = ROW) -> str:
    """Return seconds without progress of every newest job that has not ended."""
    return f"(time() - {job(contract.LAST_CHANGE, scope=scope)}) and {active(scope)}"


def running() -> str:
    """Return the progress of every newest job that has not ended."""
    return f"{job(contract.LAST_PROGRESS)} and {active()}"


def longest() -> str:
    """Return the run time of the longest success in 14 days: what a job that runs is to be compared with."""
    latest = place(contract.LAST_SUCCESS_DURATION)
    # The second half: a subquery has no value before the first of its steps.
    return f"(max_over_time({latest}[14d:10m]) or {latest})"


def state_code(scope: str = ROW) -> str:
    """Return the newest job's state as a number: 1 pending, 2 in progress, 3 completed, 4 failed, 5 unknown."""
    selectors = (of(contract.LAST_STATE, scope, f'state="{state}"') for state in _STATES)
    arms = (f"({selector} == 1) * {code}" for code, selector in enumerate(selectors, 1))
    return "max without (instance, pod, source, state) (\n  " + "\n  or ".join(arms) + "\n)"


WAITING: Final = (
    f"(({elapsed()}) > {LIMITS.pending}\n"
    f"  and {_newest_in('RefreshPending', ROW)})\n"
    f"  unless {job(contract.LAST_PROGRESS)} > 0"
)
_BASELINE: Final = place(contract.LAST_SUCCESS_DURATION)
# A job of one task shows no progress until it is done, and one that waits for indexes stays above 90 %: these
# are compared with the latest success.
STUCK: Final = (
    f"((({still()}) > {LIMITS.still}) unless ({WAITING}))\n"
    f"  and ((({job(contract.LAST_PROGRESS)}) > 0 < {LIMITS.index_wait_from})\n"
    f"    or (({elapsed()}) > ignoring (source) group_left () ({LIMITS.slow_factor} * {_BASELINE}))\n"
    f"    or (({elapsed()}) unless ignoring (source) {_BASELINE}))"
)
PAST_TIMEOUT: Final = (
    f"({elapsed()}) > ignoring (database, collection, source) group_left ()\n"
    f"  ({ours(contract.SERVER_TIMEOUT)} + {LIMITS.timeout_margin})"
)


def _whole(expression: str) -> str:
    """Drop the source, so that what is said of a job can be put beside what is said of its collection."""
    return f"max without (source) ({expression})"


TROUBLES: Final = (
    ("MilvusExternalCollectionStale", "No fresh data", STALE),
    ("MilvusExternalRefreshFailingRepeatedly", "Fails again and again", REPEATEDLY),
    ("MilvusExternalRefreshPastServerTimeout", "Past Milvus's time-out", _whole(PAST_TIMEOUT)),
    ("MilvusExternalRefreshFailed", "Failed", FAILED),
    ("MilvusExternalRefreshStuck", "No progress", _whole(STUCK)),
    ("MilvusExternalRefreshPendingTooLong", "Pending for long", _whole(WAITING)),
    ("MilvusExternalCollectionNeverRefreshed", "Never refreshed", NEVER),
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
    return "\nor ignoring (alert) ".join(arms)


def reason() -> str:
    """Return one row for each collection that has a reason: of its latest failure, or of a job that cannot begin."""
    failure = _first(one(of(contract.LAST_FAILURE_INFO, PLACE), "source"))
    newest = _first(one(of(contract.LAST_INFO, PLACE, 'reason!=""'), "source"))
    return f"{failure}\nor ignoring ({_REASON}) {newest}"


def source() -> str:
    """Return one row for each collection, with its source."""
    return f"topk without (instance, pod, source) (1, {one(of(contract.INFO, PLACE))})"


def _first(expression: str) -> str:
    return f"topk without (instance, pod, {_REASON}) (1, {expression})"


def named(expression: str) -> str:
    """Add the labels ``place``, to be read, and ``link``, to be put into an address; both exist for every row."""
    joined = f'label_join(\n{expression}\n, "place", "/", "database", "collection")'
    place_ = f'label_replace({joined}, "place", "$1", "place", "/(.*)")'
    return (
        f'label_replace(label_join({place_}, "link", ";", "milvus", "database", "collection"),\n'
        '  "link", "var-milvus=$1&var-database=$2&var-collection=$3", "link", "([^;]*);([^;]*);(.*)")'
    )
