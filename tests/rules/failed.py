"""MilvusExternalRefreshFailed: the latest failure is later than the latest success."""

from __future__ import annotations

from rules.cases import Case, Fired, Result, decoys, fires, firing, given, of_collection, silent, stamp
from situations import REASON, collection, failure_info

from exporter.metrics import contract

ALERT = "MilvusExternalRefreshFailed"
KNOWN = f"Source: s3://lake/orders. Class: access_denied. Reason: {REASON} (job 42)."
UNKNOWN = "The reason is on the exporter's page."


def text(when: str, tail: str = KNOWN, name: str = "lake/orders", age: str = "", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"The latest refresh of Milvus external collection {name} failed",
        f"The refresh of {name} failed at 1970-01-01 {when} +0000 UTC and none has succeeded since: searches answer "
        f"from older data, and Milvus does not try again by itself.{age} {tail}",
        **labels,
    )


CASES = (
    Case(
        "fires at once with its own reason when the failure is later than the success",
        (
            *collection(stamp(10), {0: stamp(5), 40: stamp(40)}, max_age=7200),
            failure_info({0: None, 40: 1}),
            *decoys(contract.LAST_FAILURE_INFO),
            *decoys(contract.MAX_AGE, 9999),
            *decoys(contract.LAST_SUCCESS, 1),
        ),
        (
            *silent(ALERT, 39),
            fires(ALERT, 40, text("00:40:00", age=" The data is 30m 0s old. Allowed: 2h 0m 0s.")),
            fires(ALERT, 55, text("00:40:00", age=" The data is 45m 0s old. Allowed: 2h 0m 0s.")),
        ),
    ),
    Case(
        "fires where no refresh has ever succeeded",
        (*collection(failure=stamp(1)), failure_info()),
        (fires(ALERT, 5, text("00:01:00")),),
    ),
    Case(
        "silent for a collection that never failed, and for one that succeeded in the same second",
        (*collection(stamp(10), collection="good"), *collection(stamp(10), stamp(10), collection="same")),
        silent(ALERT, 20),
    ),
    Case(
        "a success clears it at once",
        collection({0: 0, 20: stamp(20)}, stamp(1)),
        (*firing(ALERT, 1, 19), *silent(ALERT, 20)),
    ),
    Case(
        "a pipeline that fails, runs and fails again is one alert every minute, and its text follows the last failure",
        (
            *collection(failure={0: stamp(1), 10: stamp(10), 20: stamp(20), 30: stamp(30)}),
            failure_info({0: 1, 10: None}, job_id="1"),
            failure_info({0: None, 30: 1}, job_id="4"),
        ),
        (
            fires(ALERT, 5, text("00:01:00", KNOWN.replace("42", "1"))),
            fires(ALERT, 16, text("00:10:00", UNKNOWN)),
            fires(ALERT, 35, text("00:30:00", KNOWN.replace("42", "4"))),
            Result(
                f'count_over_time(ALERTS{{alertname="{ALERT}", alertstate="firing"}}[30m1s])',
                39,
                (
                    (
                        {
                            "alertname": ALERT,
                            "alertstate": "firing",
                            "severity": "warning",
                            "job": "milvus-refresh",
                            "database": "lake",
                            "collection": "orders",
                        },
                        31,
                    ),
                ),
                ALERT,
            ),
        ),
    ),
    Case(
        "an exporter that is away for three minutes, or for thirty, is no all-clear",
        (
            *collection(failure={0: stamp(1), 10: None, 13: stamp(1), 30: None, 60: stamp(1)}),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 10: None, 13: 1, 30: None, 60: 1}),
        ),
        firing(ALERT, *range(9, 65)),
    ),
    Case(
        "what was known when the exporter went holds for an hour",
        (
            *collection(stamp(0), {0: stamp(1), 30: None}),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 30: None}),
        ),
        (*firing(ALERT, 29, 60, 88), *silent(ALERT, 91)),
    ),
    Case(
        "an exporter that comes back without its memory does not clear it: Prometheus remembers both stamps",
        (
            *collection({0: stamp(2), 10: None}, {0: stamp(5), 10: None}),
            given(contract.INFO, {0: 1, 10: None, 13: 1}),
        ),
        firing(ALERT, 9, 12, 20, 40),
    ),
    Case(
        "a success that was forgotten still counts",
        (*collection({0: stamp(8), 10: None}, stamp(5)), given(contract.INFO, 1)),
        silent(ALERT, 9, 12, 30),
    ),
    Case(
        "a dropped collection takes its alert along, after as long as lost scrapes are read through",
        (*collection(failure={0: stamp(1), 10: None}), given(contract.INFO, {0: 1, 10: None})),
        (*firing(ALERT, 9, 13), *silent(ALERT, 15)),
    ),
    Case(
        "a collection that is dropped and created again does not inherit it",
        (
            *collection(failure={0: stamp(1), 10: None}),
            given(contract.INFO, {0: 1, 10: None, 12: 1}),
            given(contract.CREATED, {0: 0, 10: None, 12: stamp(11)}),
        ),
        (*firing(ALERT, 9, 13), *silent(ALERT, 15, 30)),
    ),
    Case(
        "an outage of Milvus leaves it as it is",
        (
            *collection(stamp(1), stamp(5)),
            failure_info(),
            given(contract.LAST_POLL_SUCCESS, {0: stamp(10)}),
            given(contract.INTERVAL, 30),
        ),
        (fires(ALERT, 40, text("00:05:00", age=" The data is 39m 0s old.")),),
    ),
    Case(
        "a replica that is behind neither raises nor ends it",
        (
            *collection(stamp(30), stamp(60), collection="failed"),
            *collection(stamp(30), stamp(20), collection="failed", instance="b:19540", pod="exporter-1"),
            *collection(stamp(30), stamp(40), collection="good"),
            *collection(stamp(50), stamp(40), collection="good", instance="b:19540", pod="exporter-1"),
        ),
        (
            fires(
                ALERT,
                10,
                text("01:00:00", UNKNOWN, "lake/failed", " The data is -20m 0s old.", collection="failed"),
            ),
        ),
    ),
    Case(
        "stamps from a clock that is ahead are compared with each other and not with now",
        (
            *collection(86000, 86400, collection="failed"),
            *collection(86500, 86400, collection="good"),
        ),
        (
            fires(
                ALERT,
                10,
                of_collection(
                    "warning",
                    "The latest refresh of Milvus external collection lake/failed failed",
                    "The refresh of lake/failed failed at 1970-01-02 00:00:00 +0000 UTC and none has succeeded since: "
                    "searches answer from older data, and Milvus does not try again by itself. The data is "
                    "-23h 43m 20s old. The reason is on the exporter's page.",
                    collection="failed",
                ),
            ),
        ),
    ),
    Case(
        "a reason that is not told leaves the sentence whole, with and without a source",
        (
            *collection(failure=stamp(1), collection="a"),
            failure_info(collection="a", reason="", failure_class="unknown"),
            *collection(failure=stamp(1), collection="b"),
            failure_info(collection="b", reason="", source="", failure_class=""),
        ),
        (
            fires(
                ALERT,
                5,
                text(
                    "00:01:00",
                    "Source: s3://lake/orders. Class: unknown. Milvus states no reason (job 42).",
                    "lake/a",
                    collection="a",
                ),
                text("00:01:00", "Milvus states no reason (job 42).", "lake/b", collection="b"),
            ),
        ),
    ),
    Case(
        "quotes, backslashes, braces, other scripts and 200 bytes come through unharmed",
        (
            *collection(failure=stamp(1), collection='größe"n\\'),
            failure_info(
                collection='größe"n\\',
                source="s3://b/ü",
                reason='AccessDenied: "GetObject" on C:\\x {{ $labels.job }} `数据` ' + 150 * "x",
            ),
        ),
        (
            fires(
                ALERT,
                5,
                text(
                    "00:01:00",
                    'Source: s3://b/ü. Class: access_denied. Reason: AccessDenied: "GetObject" on C:\\x '
                    "{{ $labels.job }} `数据` " + 150 * "x" + " (job 42).",
                    'lake/größe"n\\',
                    collection='größe"n\\',
                ),
            ),
        ),
    ),
    Case(
        "reads well without a database, and is not the collection of that name in another one",
        (
            *collection(failure=stamp(1), database=""),
            failure_info(database=""),
            failure_info(2, reason="of another database"),
        ),
        (fires(ALERT, 5, text("00:01:00", KNOWN, "orders", database="")),),
    ),
)
