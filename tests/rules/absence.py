"""While no replica can be scraped nothing is taken back, and what was one alert does not become many."""

from __future__ import annotations

from rules.cases import ROOT, Case, Result, Series, Values, firing, given, result, silent, stamp
from situations import collection, failure_info, job

from exporter.metrics import contract
from exporter.model import State

FAILING = "collection:milvus_external_refresh_failing_since_timestamp_seconds:cause"
STALE = "collection:milvus_external_refresh_stale_age_seconds:cause"
MANY = "MilvusExternalManyCollectionsStale"
TOO_OLD = "MilvusExternalCollectionStale"
SOURCE = "MilvusExternalRefreshSourceFailing"
FAILED = "MilvusExternalRefreshFailed"
NEVER = "MilvusExternalCollectionNeverRefreshed"
PENDING = "MilvusExternalRefreshPendingTooLong"
STUCK = "MilvusExternalRefreshStuck"
SLOW = "MilvusExternalRefreshSlow"
PAST = "MilvusExternalRefreshPastServerTimeout"
REPEATED = "MilvusExternalRefreshFailingRepeatedly"
ORDERS = {"job": "milvus-refresh", "database": "lake", "collection": "orders"}
DENIED = {"source_root": ROOT, "failure_class": "access_denied"}
HOUR = 3600
NEW = {"instance": "b:19540", "pod": "exporter-1"}
GONE = 20
POLLED = given(contract.LAST_POLL_SUCCESS, {0: 1, GONE: None})


def away(value: float) -> Values:
    """The exporter goes at minute 20."""
    return {0: value, GONE: None}


def withheld(value: float) -> Values:
    """Milvus goes at minute 50."""
    return {0: value, 50: None}


def failing(name: str) -> tuple[Series, ...]:
    return (
        *collection(away(stamp(-60)), away(stamp(-30)), away(HOUR), collection=name),
        given(contract.CONSECUTIVE, away(3), collection=name),
        failure_info(away(1), collection=name),
    )


def counted(values: Values, failure_class: str = "access_denied", **labels: str) -> Series:
    return given(contract.FAILING, values, failure_class=failure_class, **labels)


def created(values: Values, **labels: str) -> tuple[Series, ...]:
    """A collection that was never refreshed."""
    return (
        given(contract.CREATED, values, **labels),
        given(contract.MAX_AGE, HOUR, **labels),
        given(contract.KNOWN_SINCE, stamp(-600)),
    )


CASES = (
    Case(
        "many that fail for one cause stay one alert",
        (
            POLLED,
            counted(away(3)),
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
    Case(
        "an outage brings back no job that had begun or ended before it",
        (
            given(contract.STALE, {0: 0, 50: 1}),
            given(contract.SERVER_TIMEOUT, 600),
            *job(
                {0: State.PENDING, 32: State.IN_PROGRESS, 50: None},
                start=withheld(0),
                progress=withheld(0),
                change=withheld(0),
                longest=36_000,
                collection="begun",
            ),
            *job(
                {0: State.IN_PROGRESS, 45: State.COMPLETED, 50: None},
                start=withheld(0),
                progress=withheld(0.5),
                change=withheld(0),
                longest=60,
                collection="ended",
            ),
        ),
        (
            *firing(PENDING, 31),
            *silent(PENDING, 32, 49, 50, 55, 58, 70),
            *(one for alert in (STUCK, SLOW) for one in (*firing(alert, 44), *silent(alert, 45, 49, 50, 55, 58, 70))),
            *firing(PAST, 44, count=2),
            *firing(PAST, 45, 50, 55, 70),
        ),
    ),
    Case(
        "nor does it where another alert tells of the collection",
        (
            given(contract.STALE, {0: 0, 50: 1}),
            given(contract.LAST_FAILURE, 60),
            *job(
                {0: State.IN_PROGRESS, 45: State.FAILED, 50: None},
                start=withheld(0),
                progress=withheld(0.5),
                change=withheld(0),
                longest=60,
            ),
        ),
        (*firing(FAILED, 40, 70), *firing(SLOW, 44), *silent(SLOW, 45, 58, 70), *silent(STUCK, 45, 58, 70)),
    ),
    Case(
        "a job that waits is not told as stuck besides when it is no longer seen",
        (
            given(contract.STALE, {0: 0, 50: 1}),
            *job(
                {0: State.PENDING, 50: None},
                start=withheld(0),
                progress=withheld(0),
                change=withheld(0),
                longest=60,
            ),
        ),
        (*firing(PENDING, 49, 60, 80), *silent(STUCK, 49, 55, 62, 80)),
    ),
    Case(
        "causes stay apart, and two are not many",
        (
            POLLED,
            counted(away(3)),
            counted(away(3), "timeout"),
            counted(away(3), source_root="s3://archive"),
            counted(away(2), "internal"),
        ),
        firing(SOURCE, 19, 22, 40, count=3),
    ),
    Case(
        "of two replicas the one with more failures counts, as before when both had polled at one moment",
        (
            *(given(contract.LAST_POLL_SUCCESS, away(1), **one) for one in ({}, NEW)),
            counted(away(3)),
            counted(away(2), **NEW),
            *(given(contract.LAST_FAILURE, away(60), **one) for one in ({}, NEW)),
            given(contract.CONSECUTIVE, away(3)),
            given(contract.CONSECUTIVE, away(2), **NEW),
        ),
        (*firing(SOURCE, 10, 19, 22, 40), *firing(REPEATED, 10, 19, 22, 40)),
    ),
    Case(
        "what a replica that is there no longer tells has ended, after as long as lost scrapes are read through",
        (
            counted(away(3)),
            given(contract.CONSECUTIVE, away(3)),
            given(contract.LAST_FAILURE, 60),
            *created(away(stamp(-90)), collection="dropped"),
        ),
        (
            *firing(SOURCE, 19, 23),
            *firing(REPEATED, 19, 23),
            *firing(NEVER, 19, 23),
            *silent(SOURCE, 26, 40),
            *silent(REPEATED, 26, 40),
            *silent(NEVER, 26, 40),
        ),
    ),
    Case(
        "collections that were never refreshed, or failed twice, are what they were",
        (
            *(given(contract.LAST_POLL_SUCCESS, away(1), **one) for one in ({}, NEW)),
            *created(away(stamp(-90)), collection="a"),
            *created(away(stamp(-90)), collection="b"),
            *created(away(stamp(-30)), collection="young"),
            given(contract.CREATED, away(stamp(-90)), collection="young", **NEW),
            *(given(contract.LAST_FAILURE, away(60), collection=one) for one in ("twice", "thrice")),
            given(contract.CONSECUTIVE, away(2), collection="twice"),
            given(contract.CONSECUTIVE, away(3), collection="thrice"),
        ),
        (
            *firing(NEVER, 19, 22, 40, count=2),
            *firing(REPEATED, 19, 22, 40),
            Result(f'count(ALERTS{{alertname="{NEVER}", collection=~"a|b"}})', 40, (({}, 2),), NEVER),
        ),
    ),
)
