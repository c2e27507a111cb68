"""MilvusExternalCollectionStale: the data is older than was promised."""

from __future__ import annotations

from rules.cases import Case, decoys, fires, firing, given, of_collection, silent, stamp
from situations import collection, failure_info

from exporter.metrics import contract

ALERT = "MilvusExternalCollectionStale"
HOUR = 3600
WITH_REASON = of_collection(
    "critical",
    "Milvus external collection lake/orders serves data that is too old",
    "The last successful refresh of lake/orders ended 1h 16m 0s ago. Allowed: 1h 0m 0s. Searches answer from data of "
    'that time. Source: s3://lake/orders. Class: access_denied. Reason: IOError: Access Denied on "orders" (job 42).',
)
WITHOUT = (
    "ended 1h 16m 0s ago. Allowed: 1h 0m 0s. Searches answer from data of that time. No failure is known since: look "
    "whether refreshes are still being started."
)

CASES = (
    Case(
        "fires fifteen minutes after the limit, not at it, with its own limit and reason",
        (
            *collection(stamp(10), max_age=HOUR),
            failure_info(),
            *decoys(contract.LAST_FAILURE_INFO),
            *decoys(contract.MAX_AGE, 9999),
        ),
        (*silent(ALERT, 85), fires(ALERT, 86, WITH_REASON)),
    ),
    Case(
        "says where to look when no failure is known",
        collection(stamp(10), max_age=HOUR),
        (
            fires(
                ALERT,
                86,
                of_collection(
                    "critical",
                    "Milvus external collection lake/orders serves data that is too old",
                    f"The last successful refresh of lake/orders {WITHOUT}",
                ),
            ),
        ),
    ),
    Case(
        "reads well without a database",
        collection(stamp(10), max_age=HOUR, database=""),
        (
            fires(
                ALERT,
                86,
                of_collection(
                    "critical",
                    "Milvus external collection orders serves data that is too old",
                    f"The last successful refresh of orders {WITHOUT}",
                    database="",
                ),
            ),
        ),
    ),
    Case(
        "a success clears it after five minutes, not before",
        collection({0: stamp(10), 100: stamp(100)}, max_age=HOUR),
        (*firing(ALERT, 86, 99, 104), *silent(ALERT, 105)),
    ),
    Case(
        "never for a collection without a limit, nor for one that was never refreshed",
        (*collection(stamp(10), collection="no_limit"), *collection(max_age=HOUR, collection="never")),
        silent(ALERT, 90),
    ),
    Case(
        "Milvus forgetting the job after a day neither raises nor delays it",
        (
            *collection(stamp(60), max_age=26 * HOUR),
            given(contract.LAST_END, {0: stamp(60), 25 * 60: None}),
        ),
        (*silent(ALERT, 24 * 60 + 15, 25 * 60 + 15, 27 * 60 + 15), *firing(ALERT, 27 * 60 + 30, 30 * 60)),
        step=15,
    ),
    Case(
        "a stamp from a clock that is ahead of ours is fresh",
        collection(stamp(600), max_age=HOUR),
        silent(ALERT, 90),
    ),
    Case(
        "a restart of the exporter that takes three minutes is no all-clear",
        collection({0: stamp(10), 100: None, 103: stamp(10)}, max_age={0: HOUR, 100: None, 103: HOUR}),
        firing(ALERT, 99, 100, 102, 103, 104, 110),
    ),
    Case(
        "a dropped collection takes its alert along, after five minutes",
        collection({0: stamp(10), 100: None}, max_age={0: HOUR, 100: None}),
        (*firing(ALERT, 99, 104), *silent(ALERT, 105)),
    ),
    Case(
        "a replica that is behind does not raise it",
        (
            *collection(stamp(10), max_age=HOUR),
            *collection(stamp(110), max_age=HOUR, instance="b:19540", pod="exporter-1"),
        ),
        silent(ALERT, 90),
    ),
    Case(
        "with two limits from two replicas the wider one counts",
        (
            *collection(stamp(10), max_age=HOUR),
            *collection(stamp(10), max_age=2 * HOUR, instance="b:19540", pod="exporter-1"),
        ),
        (*silent(ALERT, 120, 145), *firing(ALERT, 146)),
    ),
)
