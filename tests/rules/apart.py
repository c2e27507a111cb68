"""Collections of one database, and causes of one Milvus, have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Mapping

from rules.cases import ROOT, Case, Series, firing, given, result, silent, stamp
from situations import LONG, collection, failure_info, job

from exporter.metrics import contract
from exporter.model import State

SUCCESS = "collection:milvus_external_refresh_last_success_timestamp_seconds:remembered"
FAILURE = "collection:milvus_external_refresh_last_failure_timestamp_seconds:remembered"
FAILING = "collection:milvus_external_refresh_failing_since_timestamp_seconds:cause"
TOO_OLD = "collection:milvus_external_refresh_stale_age_seconds:cause"
FRESH = "collection:milvus_external_refresh_fresh:bool"
WAITING = "collection:milvus_external_refresh_job_pending_seconds:max"
RATIO = "collection:milvus_external_refresh_failure_ratio:unreliable"
LONGEST = "collection:milvus_external_refresh_success_duration_seconds:longest"
NEVER = "MilvusExternalCollectionNeverRefreshed"
STALE = "MilvusExternalCollectionStale"
FAILED = "MilvusExternalRefreshFailed"
REPEATED = "MilvusExternalRefreshFailingRepeatedly"
PENDING = "MilvusExternalRefreshPendingTooLong"
STUCK = "MilvusExternalRefreshStuck"
SLOW = "MilvusExternalRefreshSlow"
PAST = "MilvusExternalRefreshPastServerTimeout"
HOUR = 3600
DENIED = {"source_root": ROOT, "failure_class": "access_denied"}
ARCHIVE = {"source_root": "s3://archive", "failure_class": "timeout"}
RUNS, WAITS = {0: State.IN_PROGRESS}, {0: State.PENDING}


def of(name: str, **labels: str) -> Mapping[str, str]:
    return {"job": "milvus-refresh", "database": "lake", "collection": name, **labels}


def failing(name: str, **cause: str) -> tuple[Series, ...]:
    return (
        *collection(failure=60, max_age=HOUR, collection=name),
        given(contract.CONSECUTIVE, 3, collection=name),
        given(contract.CREATED, stamp(-120), collection=name),
        *([failure_info(collection=name, **cause)] if cause else []),
    )


SHARED = (
    given(contract.FAILING, 3, failure_class="access_denied"),
    given(contract.KNOWN_SINCE, stamp(-600)),
    *(one for name in "abc" for one in failing(name, **DENIED)),
)
CASES = (
    Case(
        "each has its own cause of failing, or none",
        (
            *collection(60, 120, collection="orders"),
            failure_info(collection="orders"),
            *collection(failure=180, collection="parts"),
            failure_info(collection="parts", **ARCHIVE),
            *collection(failure=240, collection="plain"),
            *collection(300, 240, collection="good"),
            *collection(60, 120, collection="orders", milvus="east"),
        ),
        (
            result(
                FAILING,
                10,
                (of("orders", **DENIED), 120),
                (of("parts", **ARCHIVE), 180),
                (of("plain"), 240),
                (of("orders", milvus="east"), 120),
            ),
        ),
    ),
    Case(
        "each has its own cause of being too old, or none, and its own limit",
        (
            *collection(60, max_age=600, collection="orders"),
            failure_info(collection="orders"),
            *collection(120, max_age=660, collection="parts"),
            failure_info(collection="parts", **ARCHIVE),
            *collection(60, max_age=600, collection="plain"),
            *collection(60, max_age=HOUR, collection="good"),
        ),
        (
            result(TOO_OLD, 30, (of("orders", **DENIED), 1740), (of("parts", **ARCHIVE), 1680), (of("plain"), 1740)),
            result(FRESH, 30, *((of(name), 0) for name in ("orders", "parts", "plain")), (of("good"), 1)),
        ),
    ),
    Case(
        "what three have in common is not told of them one by one, but of those with half the cause or none",
        (
            *SHARED,
            *failing("class", source_root="s3://archive", failure_class="access_denied"),
            *failing("root", source_root=ROOT, failure_class="timeout"),
            *failing("plain"),
        ),
        (
            *firing(FAILED, 10, count=3),
            *firing(REPEATED, 10, count=3),
            *firing(NEVER, 10, count=3),
        ),
    ),
    Case(
        "of those that are too old likewise",
        tuple(
            one
            for name, root, kind in (
                *((name, ROOT, "access_denied") for name in "abc"),
                ("class", "s3://archive", "access_denied"),
                ("root", ROOT, "timeout"),
            )
            for one in (
                *collection(stamp(-100), stamp(-90), max_age=HOUR, collection=name),
                failure_info(collection=name, source_root=root, failure_class=kind),
            )
        ),
        (
            *firing(STALE, 10, count=2),
            *firing("MilvusExternalManyCollectionsStale", 10),
        ),
    ),
    Case(
        "that a collection has another alert already does not make it an exception",
        (
            given(contract.FAILING, {0: 1, 20: 3}, failure_class="access_denied"),
            given(contract.KNOWN_SINCE, stamp(-600)),
            *(
                one
                for name in "abc"
                for one in (
                    *collection(failure=60, max_age=HOUR, collection=name),
                    failure_info(collection=name),
                    given(contract.CREATED, 0, collection=name),
                    given(contract.CONSECUTIVE, {0: 1, 30: 3}, collection=name),
                )
            ),
        ),
        (*firing(FAILED, 10, 90, count=3), *silent(REPEATED, 30, 90), *silent(NEVER, 80, 90)),
    ),
    Case(
        "nor does it of one that is too old, or that fails",
        (
            given(contract.FAILING, {0: 0, 20: 3}, failure_class="access_denied"),
            *(
                one
                for name in "abc"
                for one in (
                    *collection(stamp(-59), {0: stamp(-70), 10: stamp(10)}, max_age=HOUR, collection=name),
                    failure_info({0: None, 10: 1}, collection=name),
                )
            ),
            *collection(stamp(-100), {0: None, 30: stamp(30)}, max_age=HOUR, collection="d"),
            failure_info({0: None, 30: 1}, collection="d"),
        ),
        (*firing(STALE, 5, 40, count=1), *firing(FAILED, 10, 40, count=3)),
    ),
    Case(
        "one that was refreshed says nothing of one that never was",
        (
            given(contract.KNOWN_SINCE, stamp(-600)),
            *collection(60, max_age=HOUR, collection="good"),
            given(contract.CREATED, stamp(-120), collection="good"),
            given(contract.CREATED, stamp(-120), collection="new"),
            given(contract.MAX_AGE, HOUR, collection="new"),
        ),
        firing(NEVER, 10),
    ),
    Case(
        "each keeps its own stamps where the exporter has forgotten them, and is created for itself",
        (
            *collection({0: 60, 10: None}, {0: 120, 10: None}, collection="old"),
            *collection({0: 180, 10: None}, {0: 240, 10: None}, collection="older"),
            *collection({0: 60, 10: None}, {0: 120, 10: None}, collection="again"),
            *(given(contract.INFO, 1, collection=name) for name in ("old", "older", "again")),
            given(contract.CREATED, {0: 30, 10: 600}, collection="again"),
        ),
        (
            result(SUCCESS, 20, (of("old"), 60), (of("older"), 180)),
            result(FAILURE, 20, (of("old"), 120), (of("older"), 240)),
        ),
    ),
    Case(
        "one that runs is not pending, and each has its own time and progress",
        (
            *job(WAITS, collection="waits"),
            *job(RUNS, collection="runs"),
            *job(WAITS, progress=0.5, collection="back"),
            *job(WAITS, start=300, collection="late"),
        ),
        (result(WAITING, 30, (of("waits"), 1800), (of("late"), 1500)),),
    ),
    Case(
        "each has its own time-outs, standstills and past, also while an outage withholds the jobs",
        (
            given(contract.STALE, {0: 0, 40: 1}),
            given(contract.SERVER_TIMEOUT, 1200),
            *(
                one
                for name, states, progress in (("a", RUNS, 0.5), ("b", RUNS, 0.6), ("c", WAITS, 0.0))
                for one in job(
                    {**states, 40: None},
                    start={0: 0, 40: None},
                    progress={0: progress, 40: None},
                    change={0: 0, 40: None},
                    longest=LONG if name == "a" else 300,
                    collection=name,
                )
            ),
        ),
        (
            *firing(PENDING, 39, 50),
            *firing(STUCK, 39, 50, count=2),
            *firing(SLOW, 39, 50, count=2),
            *firing(PAST, 39, 50, count=3),
        ),
    ),
)
