"""While no replica can be scraped nothing is taken back, and what was one alert does not become many."""

from __future__ import annotations

from rules.cases import ROOT, Case, Fired, Series, Values, fires, firing, given, of_exporter, result, silent, stamp
from situations import collection, failure_info

from exporter.metrics import contract

FAILING = "collection:milvus_external_refresh_failing_since_timestamp_seconds:cause"
STALE = "collection:milvus_external_refresh_stale_age_seconds:cause"
MANY = "MilvusExternalManyCollectionsStale"
TOO_OLD = "MilvusExternalCollectionStale"
SOURCE = "MilvusExternalRefreshSourceFailing"
FAILED = "MilvusExternalRefreshFailed"
NEVER = "MilvusExternalCollectionNeverRefreshed"
REPEATED = "MilvusExternalRefreshFailingRepeatedly"
ORDERS = {"job": "milvus-refresh", "database": "lake", "collection": "orders"}
DENIED = {"source_root": ROOT, "failure_class": "access_denied"}
HOUR = 3600
GONE = 20
POLLED = given(contract.LAST_POLL_SUCCESS, {0: 1, GONE: None})


def away(value: float) -> Values:
    """The exporter goes at minute 20."""
    return {0: value, GONE: None}


def failing(name: str) -> tuple[Series, ...]:
    return (
        *collection(away(stamp(-60)), away(stamp(-30)), away(HOUR), collection=name),
        given(contract.CONSECUTIVE, away(3), collection=name),
        failure_info(away(1), collection=name),
    )


def page(count: int, why: str, **labels: str) -> Fired:
    return of_exporter(
        "critical",
        "Many external collections of Milvus serve data that is too old",
        f"{count} collections of Milvus serve data that is older than promised.{why}",
        **labels,
    )


CASES = (
    Case(
        "many that fail for one cause stay one alert",
        (
            POLLED,
            given(contract.FAILING, away(3), failure_class="access_denied"),
            *(one for name in "abc" for one in failing(name)),
        ),
        (
            *firing(SOURCE, 19, 22, 40, 75),
            *silent(FAILED, 1, 19, 22, 26, 40, 75),
            *silent(REPEATED, 1, 19, 22, 26, 40, 75),
            *firing(MANY, 19, 22, 26, 40, 75),
            *silent(TOO_OLD, 19, 22, 26, 40, 75),
        ),
    ),
    Case(
        "the cause lasts as long as the fact, and is gone when the exporter no longer tells it",
        (
            POLLED,
            *failing("orders"),
            given(contract.LAST_SUCCESS, stamp(-60), milvus="east"),
            given(contract.LAST_FAILURE, stamp(-30), milvus="east"),
            given(contract.MAX_AGE, HOUR, milvus="east"),
            failure_info(away(1), milvus="east"),
        ),
        (
            result(FAILING, 22, ({**ORDERS, **DENIED}, -1800), ({**ORDERS, **DENIED, "milvus": "east"}, -1800)),
            result(FAILING, 60, ({**ORDERS, **DENIED}, -1800), ({**ORDERS, "milvus": "east"}, -1800)),
            result(STALE, 60, ({**ORDERS, **DENIED}, 7200), ({**ORDERS, "milvus": "east"}, 7200)),
        ),
    ),
)
