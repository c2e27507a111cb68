"""Many collections with one cause: one alert, and no all-clear before."""

from __future__ import annotations

from rules.cases import (
    ROOT,
    Case,
    Fired,
    Series,
    Values,
    decoys,
    fires,
    firing,
    given,
    of_exporter,
    silent,
    stamp,
)
from situations import EACH_MINUTE, REASON, collection, failure_info, named

from exporter.metrics import contract

MANY = "MilvusExternalManyCollectionsStale"
STALE = "MilvusExternalCollectionStale"
SOURCE = "MilvusExternalRefreshSourceFailing"
FAILED = "MilvusExternalRefreshFailed"
REPEATED = "MilvusExternalRefreshFailingRepeatedly"
NEVER = "MilvusExternalCollectionNeverRefreshed"
DENIED = {"source_root": ROOT, "failure_class": "access_denied"}
NEW = {"instance": "b:19540", "pod": "exporter-1"}
HOUR = 3600
TWELVE = tuple(f"c{number:02}" for number in range(12))
LISTED = f" Among them: {', '.join(f'lake/{name}' for name in TWELVE[:10])} and more."


def failing(names: tuple[str, ...], since: Values | None = None, **labels: str) -> tuple[Series, ...]:
    """Collections that fail, all since minute 10 if nothing else is said."""
    target = {key: value for key, value in labels.items() if key in ("milvus", "instance", "pod", "cluster")}
    return tuple(
        one
        for name in names
        for one in (
            given(contract.LAST_FAILURE, since or {0: None, 10: 600}, collection=name, **target),
            failure_info({0: None, 10: 1}, collection=name, **labels),
        )
    )


def elsewhere(name: str) -> tuple[Series, ...]:
    """A collection that fails for the same cause at another Milvus."""
    others = decoys(contract.LAST_FAILURE_INFO, **{**DENIED, "collection": name})
    return tuple(one for one in others if one.labels["database"] == "lake" and one.labels["collection"] == name)


def counted(values: Values, failure_class: str = "access_denied", **labels: str) -> Series:
    return given(contract.FAILING, values, failure_class=failure_class, **labels)


def many_stale(count: int, why: str, milvus: str = "", **cause: str) -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"Many external collections of {name} serve data that is too old",
        f"{count} collections of {name} serve data that is older than promised.{why}",
        **cause,
        **labels,
    )


def source(count: int, why: str, tail: str, milvus: str = "", **cause: str) -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"Refreshes of many external collections of {name} fail for one cause",
        f"The latest refreshes of {count} collections of {name}{why} have failed, and Milvus does not try again by "
        f"itself. Most likely it is one cause: a key, a bucket, a network.{tail}",
        **cause,
        **labels,
    )


OF_SOURCE = (
    Case(
        "a bucket that refuses is one alert with ten names and one reason, and no collection is told by itself",
        (
            counted({0: None, 10: 12, 40: 2}),
            *failing(TWELVE),
            *(given(contract.CONSECUTIVE, {0: 0, 10: 5, 40: 0}, collection=name) for name in TWELVE),
            *elsewhere("a"),
            failure_info(collection="b", failure_class="timeout"),
        ),
        (
            *silent(SOURCE, 9),
            fires(
                SOURCE,
                10,
                source(
                    12,
                    " from s3://lake with access_denied",
                    f"{LISTED} One reason: {REASON} (job 42).",
                    **DENIED,
                ),
            ),
            *silent(FAILED, *range(10, 40)),
            *silent(REPEATED, *range(10, 40)),
            *silent(SOURCE, 40),
        ),
    ),
    Case(
        "two are not many; another class, another bucket and another Milvus are counted for themselves",
        (
            counted(2),
            counted(2, "timeout"),
            counted(2, source_root="s3://archive"),
            counted(2, milvus="east"),
            counted(2, cluster="eu"),
            *failing(("a", "b")),
            *failing(("c", "d"), failure_class="timeout"),
        ),
        (*silent(SOURCE, 20), *firing(FAILED, 20, count=4)),
    ),
    Case(
        "only those of the cause are left out",
        (
            counted(3),
            *failing(("a", "b", "c")),
            *failing(("late",), failure_class="timeout"),
            *failing(("elsewhere",), source_root="s3://archive"),
            *failing(("a",), milvus="east"),
        ),
        (*firing(SOURCE, 20), *firing(FAILED, 20, count=3)),
    ),
    Case(
        "what has been told before its cause became common stays, as an end would look like an all-clear",
        (
            counted({0: 1, 10: 2, 20: 3, 40: 12}),
            *failing(("first",), {0: stamp(1)}),
            *failing(("second",), {0: None, 12: stamp(12)}),
            *failing(("third",), {0: None, 20: stamp(20)}),
            given(contract.CONSECUTIVE, 3, collection="first"),
            given(contract.CONSECUTIVE, {0: 0, 20: 3}, collection="third"),
            given(contract.CREATED, stamp(-600), collection="first"),
            given(contract.CREATED, {0: stamp(0)}, collection="third"),
            given(contract.MAX_AGE, HOUR, collection="first"),
            given(contract.MAX_AGE, HOUR, collection="third"),
            given(contract.KNOWN_SINCE, stamp(-600)),
        ),
        (
            *firing(FAILED, 11),
            *firing(FAILED, 12, 19, 20, 90, count=2),
            *firing(REPEATED, 11, 20, 90),
            *firing(NEVER, 11, 20, 90),
            *firing(SOURCE, 20, 90),
        ),
    ),
    Case(
        "an exporter that is away takes nothing back, and a cause without a bucket reads well",
        (
            counted({0: 3, 20: None}, "worker_error", source_root="", milvus="east"),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 20: None, 60: 1}, milvus="east"),
        ),
        (
            fires(SOURCE, 30, source(3, " with worker_error", "", "east", failure_class="worker_error")),
            *firing(SOURCE, *range(1, 60)),
            *silent(SOURCE, 60),
        ),
    ),
    Case(
        "of two replicas the one that polled last counts",
        (
            counted(9),
            given(contract.LAST_POLL_SUCCESS, {**EACH_MINUTE, 31: stamp(30)}),
            counted({0: 9, 40: 0}, **NEW),
            given(contract.LAST_POLL_SUCCESS, "0+60x80", **NEW),
        ),
        (*firing(SOURCE, 39), *silent(SOURCE, 40, 60)),
    ),
    Case(
        "no reason can call a whole channel together",
        (
            *collection(failure=stamp(1)),
            failure_info(reason="<!channel> @here denied <@U1>", source="s3://lake/<!here>"),
            counted(3),
        ),
        (
            fires(
                SOURCE,
                5,
                source(
                    3,
                    " from s3://lake with access_denied",
                    " Among them: lake/orders. One reason: |!channel|  at here denied | at U1| (job 42).",
                    **DENIED,
                ),
            ),
        ),
    ),
)

OLD = tuple(one for name in TWELVE for one in collection(stamp(10), max_age=HOUR, collection=name))
OF_STALE = (
    Case(
        "many collections that are too old for one cause are one page, with names and a reason",
        (
            *OLD,
            *(failure_info(collection=name) for name in TWELVE),
            *elsewhere("a"),
        ),
        (
            *silent(MANY, 85),
            fires(
                MANY,
                86,
                many_stale(
                    12,
                    f" Their refreshes from s3://lake with access_denied fail.{LISTED} One reason: {REASON} (job 42).",
                    **DENIED,
                ),
            ),
            *silent(STALE, 86, 120),
        ),
    ),
    Case(
        "many of which no failure is known have their schedule in common",
        OLD[: 3 * 2],
        (
            fires(
                MANY,
                86,
                many_stale(
                    3,
                    " No failure is recorded with them: look whether refreshes are still being started."
                    " Among them: lake/c00, lake/c01, lake/c02.",
                ),
            ),
            *silent(STALE, 86),
        ),
    ),
    Case(
        "two causes are two pages, and a collection with a cause of its own is told by itself",
        (
            *OLD,
            *(failure_info(collection=name) for name in TWELVE[:3]),
            failure_info(collection=TWELVE[3], failure_class="timeout"),
        ),
        (*firing(MANY, 86, count=2), *firing(STALE, 86)),
    ),
    Case(
        "two are not many, of another Milvus or not; what was told before there were many stays",
        (
            *OLD[: 2 * 2],
            *collection({0: stamp(20), 120: stamp(120)}, max_age=HOUR, collection="late"),
            *collection(stamp(10), max_age=HOUR, milvus="east"),
            *collection(stamp(10), max_age=HOUR, cluster="eu"),
        ),
        (
            *silent(MANY, 95),
            *firing(STALE, 86, 95, 96, 110, count=4),
            *firing(MANY, 96, 119),
            *silent(MANY, 120),
        ),
    ),
)

CASES = (*OF_SOURCE, *OF_STALE)
