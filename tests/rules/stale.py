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
    "ended 1h 16m 0s ago. Allowed: 1h 0m 0s. Searches answer from data of that time. The exporter's page says whether "
    "there is a failure and whether refreshes are still being started."
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
        "says where to look when no failure is found, and does not say that there is none",
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
        "a success clears it at once",
        collection({0: stamp(10), 100: stamp(100)}, max_age=HOUR),
        (*firing(ALERT, 86, 99), *silent(ALERT, 100)),
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
        (*silent(ALERT, 24 * 60 + 15, 25 * 60 + 15, 27 * 60), *firing(ALERT, 27 * 60 + 30, 30 * 60)),
        step=15,
    ),
    Case(
        "a stamp from a clock that is ahead of ours is fresh",
        collection(stamp(600), max_age=HOUR),
        silent(ALERT, 90),
    ),
    Case(
        "an exporter that is away for thirty minutes is no all-clear",
        (
            *collection({0: stamp(10), 100: None, 130: stamp(10)}, max_age={0: HOUR, 100: None, 130: HOUR}),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 100: None, 130: 1}),
        ),
        firing(ALERT, *range(99, 140)),
    ),
    Case(
        "one lost scrape in fourteen, or one in five, does not silence it",
        tuple(
            given(metric, f"{values} " * 20, collection=f"each_{each}")
            for each, metric, values in (
                (14, contract.LAST_SUCCESS, "-90000x12 stale"),
                (14, contract.MAX_AGE, "3600x12 stale"),
                (5, contract.LAST_SUCCESS, "-90000x3 stale"),
                (5, contract.MAX_AGE, "3600x3 stale"),
            )
        ),
        (*firing(ALERT, *range(1, 80), count=2), *firing(ALERT, 110, 200)),
    ),
    Case(
        "a dropped collection takes its alert along, after as long as lost scrapes are read through",
        collection({0: stamp(10), 100: None}, max_age={0: HOUR, 100: None}),
        (*firing(ALERT, 99, 103), *silent(ALERT, 105)),
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
