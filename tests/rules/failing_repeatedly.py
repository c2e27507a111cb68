"""MilvusExternalRefreshFailingRepeatedly and ...IndexWaitTimedOut: what the outcomes say beyond one failure."""

from __future__ import annotations

from collections.abc import Mapping

from rules.cases import Case, Fired, Series, Values, decoys, fires, firing, given, of_collection, silent, stamp
from situations import EACH_MINUTE, REASON, collection, failure_info

from exporter.metrics import contract

ALERT = "MilvusExternalRefreshFailingRepeatedly"
WAIT = "MilvusExternalRefreshIndexWaitTimedOut"
KNOWN = f"Source: s3://lake/orders. Class: access_denied. Reason: {REASON} (job 42)."


def text(count: int, tail: str = KNOWN, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"Refreshes of Milvus external collection {name} keep failing",
        f"The last {count} refreshes of {name} have all failed: trying again does not help, and searches answer from "
        f"data that grows older. {tail}",
        **labels,
    )


def in_a_row(values: Values, **labels: str) -> tuple[Series, ...]:
    """So many failures from which minute on, and the stamp of the latest one."""
    times = values if isinstance(values, Mapping) else {0: values}
    since = {minute: None if count is None else 600.0 for minute, count in times.items()}
    return given(contract.CONSECUTIVE, values, **labels), given(contract.LAST_FAILURE, since, **labels)


def late(tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "info",
        f"The indexes of Milvus external collection {name} were not ready in time",
        f"The latest refresh of {name} is applied and its data is served, but Milvus gave up waiting for the indexes: "
        f"searches can be slow until they are built. {tail}",
        **labels,
    )


CASES = (
    Case(
        "fires at the third failure in a row, at once and with its own reason, and one alert goes on as they grow",
        (
            *in_a_row({0: 2, 10: 3, 20: 1_234_567}),
            failure_info(),
            *decoys(contract.LAST_FAILURE_INFO),
            *collection(stamp(4), max_age=7200),
            *decoys(contract.MAX_AGE, 9999),
            *decoys(contract.LAST_SUCCESS, 1),
        ),
        (
            *silent(ALERT, 9),
            fires(ALERT, 10, text(3, f"The data is 6m 0s old. Allowed: 2h 0m 0s. {KNOWN}")),
            fires(ALERT, 20, text(1234567, f"The data is 16m 0s old. Allowed: 2h 0m 0s. {KNOWN}")),
        ),
    ),
    Case(
        "keeps its sentence whole without a reason and without a database",
        (*in_a_row(4, database=""),),
        (fires(ALERT, 5, text(4, "The reason is on the exporter's page.", "orders", database="")),),
    ),
    Case(
        "a success clears it at once",
        (*in_a_row({0: 3, 20: 0}),),
        (*firing(ALERT, 19), *silent(ALERT, 20)),
    ),
    Case(
        "an exporter that is away for three minutes, or for thirty, is no all-clear",
        (
            *in_a_row({0: 3, 20: None, 23: 3, 30: None, 60: 3}),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 20: None, 23: 1, 30: None, 60: 1}),
        ),
        firing(ALERT, *range(19, 65)),
    ),
    Case(
        "of two replicas the one that polled last counts: one that is cut off has not seen the success",
        (
            *in_a_row({0: 3, 40: 0}),
            given(contract.LAST_POLL_SUCCESS, "0+60x240"),
            *in_a_row(3, instance="b:19540", pod="exporter-1"),
            given(contract.LAST_POLL_SUCCESS, {**EACH_MINUTE, 31: stamp(30)}, instance="b:19540", pod="exporter-1"),
        ),
        (*firing(ALERT, 5, 39), *silent(ALERT, 40, 240)),
    ),
    Case(
        "an index wait that ran out is told at once, by its own class alone, with its own reason",
        (
            failure_info({0: None, 10: 1}, failure_class="index_wait_timeout", reason="timeout waiting for indexes"),
            failure_info(collection="failed"),
            *decoys(contract.LAST_FAILURE_INFO),
        ),
        (
            *silent(WAIT, 9),
            fires(
                WAIT,
                10,
                late(
                    "Source: s3://lake/orders. Class: index_wait_timeout. Reason: timeout waiting for indexes (job 42)."
                ),
            ),
        ),
    ),
    Case(
        "an index wait without a database and without a reason keeps its sentence whole",
        (failure_info(failure_class="index_wait_timeout", reason="", database=""),),
        (
            fires(
                WAIT,
                5,
                late(
                    "Source: s3://lake/orders. Class: index_wait_timeout. Milvus states no reason (job 42).",
                    "orders",
                    database="",
                ),
            ),
        ),
    ),
    Case(
        "the next job that completes clears it, and a new job that waits in vain is the same alert",
        (
            failure_info({0: 1, 10: None}, failure_class="index_wait_timeout", job_id="1"),
            failure_info({0: None, 10: 1, 20: None}, failure_class="index_wait_timeout", job_id="2", reason="new"),
        ),
        (*firing(WAIT, 9, 10, 19, 23), *silent(WAIT, 25)),
    ),
    Case(
        "an index wait is one alert whatever the two replicas say of its reason",
        (
            failure_info(failure_class="index_wait_timeout", job_id="1", reason="one"),
            failure_info(
                failure_class="index_wait_timeout", job_id="2", reason="two", instance="b:19540", pod="exporter-1"
            ),
        ),
        firing(WAIT, 5),
    ),
)
