"""MilvusExternalRefreshSlow and ...PastServerTimeout: a job that takes longer than usual, or than Milvus allows."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, decoys, fires, firing, given, of_collection, result, silent, stamp
from situations import REASON, job

from exporter.metrics import contract
from exporter.model import State

PENDING = "MilvusExternalRefreshPendingTooLong"
STUCK = "MilvusExternalRefreshStuck"
SLOW = "MilvusExternalRefreshSlow"
PAST = "MilvusExternalRefreshPastServerTimeout"
WAITS, RUNS, DONE = {0: State.PENDING}, {0: State.IN_PROGRESS}, State.COMPLETED
SILENT_JOB = "Source: s3://lake/orders. Milvus states no reason (job 42)."
KNOWN = f"Source: s3://lake/orders. Class: access_denied. Reason: {REASON} (job 42)."
LONGEST = "collection:milvus_external_refresh_success_duration_seconds:longest"
NEW = {"instance": "b:19540", "pod": "exporter-1"}


def timeout(**labels: str) -> Series:
    return given(contract.SERVER_TIMEOUT, 3600, **labels)


def slow(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "info",
        f"A refresh of Milvus external collection {name} takes unusually long",
        f"The refresh of {name} has been running for {how_long}. {tail}",
        **labels,
    )


def past(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"Milvus does not time out a refresh of external collection {name}",
        f"The refresh of {name} has been running for {how_long}. Milvus should have ended it after 1h 0m 0s itself and "
        f"has not. Either the checker in DataCoord does not run, the last step of the job fails again and again, or "
        f"the time-out was raised and server.job_timeout here was not. {tail}",
        **labels,
    )


OF_SLOW = (
    Case(
        "fires five minutes after three times the longest success, however it creeps",
        (
            *job(RUNS, progress=0.4, change=stamp(60), longest=600),
            *decoys(contract.LAST_INFO),
            *decoys(contract.LAST_PROGRESS, 0.7),
        ),
        (
            *silent(SLOW, 35),
            fires(
                SLOW,
                36,
                slow("36m 0s, more than 3 times as long as its longest success of late, at 40%", SILENT_JOB),
            ),
        ),
    ),
    Case(
        "a short job is not slow before ten minutes, whatever its past; a success that took no time is no measure",
        (*job(RUNS, longest=60), *job(RUNS, longest=0, collection="no_time"), *job(RUNS, collection="no_past")),
        (*silent(SLOW, 15), *firing(SLOW, 16, 30)),
    ),
    Case(
        "history that has come to its end fifteen minutes ago is no measure, a late evaluation of it is",
        (*job(RUNS), given(LONGEST, "570x20", instance="", pod="", database="lake", collection="orders")),
        (*silent(SLOW, 33), *firing(SLOW, 34), *silent(SLOW, 36)),
    ),
    Case(
        "the end of the job clears it at once; reads well without a database",
        job({0: State.IN_PROGRESS, 30: State.FAILED}, longest=60, database=""),
        (
            fires(
                SLOW,
                20,
                slow(
                    "20m 0s, more than 3 times as long as its longest success of late, at 0%",
                    SILENT_JOB,
                    "orders",
                    database="",
                ),
            ),
            *firing(SLOW, 29),
            *silent(SLOW, 30),
        ),
    ),
    Case(
        "the longest success of two weeks counts, of either replica, and no longer than that",
        (
            given(contract.LAST_SUCCESS_DURATION, {0: 900, 60: 100}),
            given(contract.LAST_SUCCESS_DURATION, {0: 700, 60: 100}, **NEW),
        ),
        (
            result(LONGEST, 300 * 60, ({"job": "milvus-refresh", "database": "lake", "collection": "orders"}, 900)),
            result(LONGEST, 335 * 60, ({"job": "milvus-refresh", "database": "lake", "collection": "orders"}, 900)),
            result(LONGEST, 338 * 60, ({"job": "milvus-refresh", "database": "lake", "collection": "orders"}, 100)),
        ),
        step=60,
    ),
)

OF_PAST = (
    Case(
        "fires when a job outlives Milvus's time-out by ten minutes and five more",
        (
            *job(RUNS, progress=0.5),
            timeout(),
            *decoys(contract.LAST_INFO),
            *decoys(contract.LAST_PROGRESS, 0.7),
            *decoys(contract.SERVER_TIMEOUT, 9999),
        ),
        (*silent(PAST, 69, 75), fires(PAST, 76, past("1h 16m 0s, at 50%", SILENT_JOB)), *firing(PAST, 80)),
    ),
    Case(
        "a job that may be waiting for indexes gets the time-out twice; reads well without a database",
        (*job(RUNS, progress=0.9, database="", milvus="east"), timeout(milvus="east")),
        (
            *silent(PAST, 76, 135),
            fires(
                PAST,
                136,
                past("2h 16m 0s, at 90%", SILENT_JOB, "orders on Milvus east", database="", milvus="east"),
            ),
        ),
    ),
    Case(
        "just below 0.9 it waits for no index",
        (*job(RUNS, progress=0.89), timeout()),
        (*silent(PAST, 75), *firing(PAST, 76)),
    ),
    Case(
        "a job that is pending past the time-out counts too, one that has ended does not",
        (
            *job(WAITS),
            *job({0: DONE}, progress=1, collection="done"),
            *job({0: State.FAILED}, collection="failed"),
            timeout(),
        ),
        firing(PAST, 76, 85),
    ),
    Case(
        "the end of the job clears it at once",
        (*job({0: State.IN_PROGRESS, 80: State.FAILED}), timeout()),
        (*firing(PAST, 79), *silent(PAST, 80)),
    ),
    Case(
        "of two replicas with different time-outs the longer one counts, at either progress",
        (
            *job(RUNS),
            *job(RUNS, progress=0.95, collection="waits"),
            timeout(),
            given(contract.SERVER_TIMEOUT, 5400, **NEW),
        ),
        (*silent(PAST, 105), *firing(PAST, 106, 195), *firing(PAST, 196, count=2)),
    ),
    Case(
        "of two replicas the one that has seen more progress counts",
        (*job(RUNS, progress=0.5), *job(RUNS, progress=0.95, **NEW), timeout()),
        (*silent(PAST, 135), *firing(PAST, 136)),
    ),
)

CASES = (*OF_SLOW, *OF_PAST)
