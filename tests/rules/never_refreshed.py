"""MilvusExternalCollectionNeverRefreshed: it exists for longer than its data may be old, and has none."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, decoys, fires, firing, given, of_collection, silent, stamp
from situations import REASON, failure_info

from exporter.metrics import contract

ALERT = "MilvusExternalCollectionNeverRefreshed"
HOUR = 3600


def created(minute: int, *, known_since: int = 0, max_age: int = HOUR, **labels: str) -> tuple[Series, ...]:
    target = {key: value for key, value in labels.items() if key not in ("database", "collection")}
    return (
        given(contract.CREATED, stamp(minute), **labels),
        given(contract.MAX_AGE, max_age, **labels),
        given(contract.KNOWN_SINCE, stamp(known_since), **target),
    )


def text(tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"No successful refresh of Milvus external collection {name} is known",
        f"{name} was created 1h 16m 0s ago and no successful refresh of it is known. Allowed: 1h 0m 0s. Searches find "
        f"nothing, or what was loaded before the exporter's memory began. {tail}",
        **labels,
    )


CASES = (
    Case(
        "fires fifteen minutes after the collection is older than its limit",
        (*created(10), *decoys(contract.MAX_AGE, 9999)),
        (*silent(ALERT, 85), fires(ALERT, 86, text("The reason is on the exporter's page."))),
    ),
    Case(
        "says why where its refreshes have failed",
        (*created(10), failure_info(), *decoys(contract.LAST_FAILURE_INFO)),
        (
            fires(
                ALERT,
                86,
                text(f"Source: s3://lake/orders. Class: access_denied. Reason: {REASON} (job 42)."),
            ),
        ),
    ),
    Case(
        "reads well without a database",
        created(10, database=""),
        (fires(ALERT, 86, text("The reason is on the exporter's page.", "orders", database="")),),
    ),
    Case(
        "silent until the exporter's memory reaches back further than the limit",
        created(0, known_since=10),
        (*silent(ALERT, 70, 85), *firing(ALERT, 86)),
    ),
    Case(
        "of two replicas the better memory counts",
        (*created(0), given(contract.KNOWN_SINCE, stamp(60), instance="b:19540", pod="exporter-1")),
        (*silent(ALERT, 75), *firing(ALERT, 76)),
    ),
    Case(
        "of two creation times the later one counts, of two limits the wider one",
        (
            *created(0),
            given(contract.CREATED, stamp(20), instance="b:19540", pod="exporter-1"),
            given(contract.MAX_AGE, HOUR + 600, instance="b:19540", pod="exporter-1"),
        ),
        (*silent(ALERT, 105), *firing(ALERT, 106)),
    ),
    Case(
        "the wider limit counts for the memory too",
        (
            *created(-600, known_since=0),
            given(contract.MAX_AGE, 2 * HOUR, instance="b:19540", pod="exporter-1"),
        ),
        (*silent(ALERT, 135), *firing(ALERT, 136)),
    ),
    Case(
        "never for a collection that was refreshed once, however long ago",
        (*created(-6000, known_since=-6000), given(contract.LAST_SUCCESS, stamp(-5000))),
        silent(ALERT, 0, 1, 60),
    ),
    Case(
        "the first success clears it at once",
        (*created(10), given(contract.LAST_SUCCESS, {0: None, 100: stamp(100)})),
        (*firing(ALERT, 99), *silent(ALERT, 100)),
    ),
    Case(
        "an exporter that restarts without its memory does not call an old collection new",
        (
            *created(-6000, known_since=-6000),
            given(contract.INFO, 1),
            given(contract.LAST_SUCCESS, {0: stamp(5), 30: None}),
        ),
        silent(ALERT, 45, 60),
    ),
    Case(
        "a collection without a known creation time is left alone, and one without a limit too",
        (
            given(contract.MAX_AGE, HOUR, collection="a"),
            given(contract.CREATED, 0, collection="b"),
            given(contract.KNOWN_SINCE, 0),
        ),
        silent(ALERT, 80),
    ),
)
