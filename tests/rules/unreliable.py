"""MilvusExternalRefreshUnreliable: a collection that now fails and now does not."""

from __future__ import annotations

from rules.cases import (
    Case,
    Result,
    fires,
    firing,
    given,
    of_collection,
    result,
    silent,
    stamp,
)
from situations import REASON, collection, failure_info

from exporter.metrics import contract

FAILED = "MilvusExternalRefreshFailed"
UNRELIABLE = "MilvusExternalRefreshUnreliable"
RATIO = "collection:milvus_external_refresh_failure_ratio:unreliable"
HOUR = 3600

FAILS, SUCCEEDS = tuple(range(10, 200, 20)), tuple(range(20, 200, 20))
TURNS = collection({0: stamp(-60), **{m: stamp(m) for m in SUCCEEDS}}, {0: stamp(-70), **{m: stamp(m) for m in FAILS}})
TENS = {m: stamp(m) for m in (10, 20, 30)}
CASES = (
    Case(
        "a pipeline that fails every second time is one alert, on the share, and not one each time",
        (*TURNS, given(contract.MAX_AGE, HOUR), failure_info()),
        (
            *silent(UNRELIABLE, 49),
            fires(
                UNRELIABLE,
                50,
                of_collection(
                    "warning",
                    "Refreshes of Milvus external collection lake/orders fail every now and then",
                    "60% of the refreshes of lake/orders in the last 6h have failed, and the others have not. The data "
                    "is 10m 0s old. Allowed: 1h 0m 0s. Source: s3://lake/orders. Class: access_denied. Reason: "
                    f"{REASON} (job 42).",
                ),
            ),
            *firing(UNRELIABLE, 60, 70, 250, 360),
            *firing(FAILED, 15, 35),
            *silent(FAILED, 25, 45, 55, 65, 75, 95, 115),
        ),
    ),
    Case(
        "a failure that has been told stays until a success, also when it turns out to be one of many",
        collection({0: stamp(-60), 4: stamp(4), 6: stamp(6), 50: stamp(50)}, {0: stamp(-70), **TENS}),
        (*firing(UNRELIABLE, 30, 50), *firing(FAILED, 10, 29, 30, 31, 49), *silent(FAILED, 50)),
    ),
    Case(
        "one that always fails is no matter of shares, nor is one that fails now and then",
        (
            *collection(failure={0: stamp(-70), **{m: stamp(m) for m in FAILS}}, collection="always"),
            *collection(stamp(-60), {0: stamp(-70), **{m: stamp(m) for m in FAILS}}, collection="always_since"),
            *collection(
                {0: stamp(-60), **{m: stamp(m) for m in range(10, 200, 4)}},
                {0: stamp(-70), **{m: stamp(m) for m in (12, 50, 90)}},
                collection="rarely",
            ),
            *collection(
                {0: stamp(-60), **{m: stamp(m) for m in (20, 40, 60)}},
                {0: stamp(-70), **{m: stamp(m) for m in (30, 50)}},
                collection="twice",
            ),
        ),
        silent(UNRELIABLE, 100, 199),
    ),
    Case(
        "the share is of six hours",
        TURNS,
        (
            result(RATIO, 49),
            result(RATIO, 51, ({"job": "milvus-refresh", "database": "lake", "collection": "orders"}, 0.6)),
            Result(
                f'ALERTS{{alertname="{UNRELIABLE}", alertstate="firing"}} == 1',
                510,
                (
                    (
                        {
                            "__name__": "ALERTS",
                            "alertname": UNRELIABLE,
                            "alertstate": "firing",
                            "severity": "warning",
                            "job": "milvus-refresh",
                            "database": "lake",
                            "collection": "orders",
                        },
                        1,
                    ),
                ),
                UNRELIABLE,
            ),
            *silent(UNRELIABLE, 540),
        ),
    ),
)
