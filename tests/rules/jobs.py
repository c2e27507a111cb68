"""The four alerts on a running job: pending for too long, stuck, slow, and past Milvus's own time-out."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, decoys, fires, firing, given, of_collection, result, silent, stamp
from situations import LONG, REASON, job

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


def pending(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"A refresh of Milvus external collection {name} does not get beyond pending",
        f"The refresh of {name} has been pending for {how_long} with nothing done. Mostly Milvus cannot list the "
        f"source and keeps trying until it times the job out; meanwhile no other refresh of this collection can start. "
        f"{tail}",
        **labels,
    )


def stuck(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"A refresh of Milvus external collection {name} makes no progress",
        f"The running refresh of {name} has shown no progress for {how_long}. Its data is not live yet, and no other "
        f"refresh of this collection can start before it ends. {tail}",
        **labels,
    )


def slow(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "info",
        f"A refresh of Milvus external collection {name} takes unusually long",
        f"The refresh of {name} has been running for {how_long}. {tail}",
        **labels,
    )


def past(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "critical",
        f"Milvus does not time out a refresh of external collection {name}",
        f"The refresh of {name} has been running for {how_long}. Milvus should have ended it after 1h 0m 0s itself and "
        f"has not: the checker in DataCoord does not run, the last step of the job fails again and again, or the "
        f"time-out was raised and server.job_timeout here was not. {tail}",
        **labels,
    )


OF_PENDING = (
    Case(
        "fires when a job has been pending for fifteen minutes and five more, with the cause that its record notes",
        (
            *job(WAITS, start=stamp(10), failure_class="access_denied", reason=REASON),
            *decoys(contract.LAST_INFO),
        ),
        (*silent(PENDING, 19, 30), fires(PENDING, 31, pending("21m 0s", KNOWN))),
    ),
    Case(
        "says so where Milvus states no cause, and reads well without a database",
        job(WAITS, start=stamp(10), database=""),
        (fires(PENDING, 31, pending("21m 0s", SILENT_JOB, "orders", database="")),),
    ),
    Case(
        "sends the reader to the page where the job's record is not shown",
        tuple(one for one in job(WAITS, start=stamp(10)) if one.name != contract.LAST_INFO.name),
        (fires(PENDING, 31, pending("21m 0s", "See the exporter's page.")),),
    ),
    Case(
        "silent for a job that runs, that has fallen back to pending with a third done, and that has ended",
        (
            *job(RUNS, collection="runs"),
            *job(WAITS, progress=0.33, collection="back", milvus="east"),
            *job({0: DONE}, progress=1, collection="done"),
        ),
        silent(PENDING, 30, 40),
    ),
    Case(
        "a job that starts running clears it twenty minutes later, not before",
        job({0: State.PENDING, 40: State.IN_PROGRESS}),
        (*firing(PENDING, 39, 59), *silent(PENDING, 60)),
    ),
    Case(
        "stays while an outage withholds the series, for longer than the alert on outdated data takes",
        tuple(
            Series(
                one.name, one.labels, {0: one.values, 40: None} if isinstance(one.values, int | float) else one.values
            )
            for one in job({0: State.PENDING, 40: None})
        ),
        (*firing(PENDING, 39, 40, 59), *silent(PENDING, 60)),
    ),
    Case(
        "a pending job that moves to another source goes on as one alert",
        (
            *job({0: State.PENDING, 40: None}, start={0: 0, 40: None}, progress={0: 0, 40: None}),
            *job(
                {0: None, 40: State.PENDING},
                start={0: None, 40: stamp(40)},
                progress={0: None, 40: 0},
                source="s3://lake/new",
            ),
        ),
        firing(PENDING, 39, 45, 59, 70),
    ),
    Case(
        "two replicas that disagree: the later start and the more advanced progress count",
        (
            *job(WAITS),
            *job(WAITS, start=stamp(10), **NEW),
            *job(WAITS, collection="moved"),
            *job(WAITS, progress=0.5, collection="moved", **NEW),
        ),
        (*silent(PENDING, 30), *firing(PENDING, 31)),
    ),
    Case(
        "two replicas of which one has yet to see it start: it counts as pending",
        (*job(WAITS), *job(RUNS, **NEW)),
        firing(PENDING, 21),
    ),
)

OF_STUCK = (
    Case(
        "several tasks, none done for half an hour: fires five minutes later, however long it usually takes",
        (
            *job(RUNS, progress=0.5, change=stamp(10), longest=LONG),
            *decoys(contract.LAST_INFO),
            *decoys(contract.LAST_PROGRESS, 0.7),
        ),
        (*silent(STUCK, 45), fires(STUCK, 46, stuck("36m 0s, at 50%", SILENT_JOB))),
    ),
    Case(
        "reads well without a database, and quotes the cause where the record notes one",
        job(RUNS, progress=0.5, database="", failure_class="access_denied", reason=REASON),
        (fires(STUCK, 36, stuck("36m 0s, at 50%", KNOWN, "orders", database="")),),
    ),
    Case(
        "one task at 0: measured against three times the longest success",
        job(RUNS, longest=1200),
        (*silent(STUCK, 40, 65), *firing(STUCK, 66)),
    ),
    Case(
        "waiting for indexes at 0.9 or more: measured against three times the longest success",
        (
            *job(RUNS, progress=0.9, longest=1200),
            *job(RUNS, progress=0.95, longest=LONG, collection="usually_long"),
        ),
        (*silent(STUCK, 40, 65), *firing(STUCK, 66, 75)),
    ),
    Case(
        "just below 0.9 a standstill tells by itself, and 0 does not",
        (
            *job(RUNS, progress=0.89, longest=LONG),
            *job(RUNS, longest=LONG, collection="one_task"),
        ),
        (*silent(STUCK, 35), *firing(STUCK, 36, 60)),
    ),
    Case(
        "without any history half an hour is enough, one task or not",
        job(RUNS),
        (*silent(STUCK, 35), *firing(STUCK, 36)),
    ),
    Case(
        "history that has come to its end is no history, a late evaluation of it is",
        (
            *job(RUNS),
            given(LONGEST, "36000x20", instance="", pod="", database="lake", collection="orders"),
        ),
        (*silent(STUCK, 36, 39), *firing(STUCK, 41)),
    ),
    Case(
        "creeping is not stuck",
        job(RUNS, progress="0.1+0.001x130", change={minute: stamp(minute) for minute in range(0, 76, 20)}),
        silent(STUCK, 36, 60, 75),
    ),
    Case(
        "pending with nothing done is the other alert's, pending with a third done is stuck",
        (*job(WAITS, collection="planning"), *job(WAITS, progress=0.33, collection="fell_back")),
        (
            *firing(PENDING, 36),
            *silent(STUCK, 35),
            fires(STUCK, 36, stuck("36m 0s, at 33%", SILENT_JOB, "lake/fell_back", collection="fell_back")),
        ),
    ),
    Case(
        "a job that has ended is not stuck, and its alert is gone twenty minutes after its end",
        job({0: State.IN_PROGRESS, 50: State.COMPLETED}, progress={0: 0.5, 50: 1}),
        (*firing(STUCK, 36, 49, 69), *silent(STUCK, 70)),
    ),
    Case(
        "a restart of the exporter starts its clock again and can delay but not invent it",
        job(RUNS, progress=0.5, change={0: 0, 30: stamp(30)}, longest=LONG),
        (*silent(STUCK, 36, 65), *firing(STUCK, 66)),
    ),
    Case(
        "of two replicas the one that has seen it move counts, by progress and by time",
        (
            *job(RUNS, progress=0.5, change=0, longest=LONG),
            *job(RUNS, progress=0.5, change=stamp(10), longest=LONG, **NEW),
            *job(RUNS, progress=0.5, longest=LONG, collection="far"),
            *job(RUNS, progress=0.95, longest=LONG, collection="far", **NEW),
        ),
        (*silent(STUCK, 45), *firing(STUCK, 46)),
    ),
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
        (*silent(SLOW, 33), *firing(SLOW, 34), *silent(SLOW, 56)),
    ),
    Case(
        "the end of the job clears it twenty minutes later; reads well without a database",
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
            *firing(SLOW, 29, 49),
            *silent(SLOW, 50),
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
        "the end of the job clears it twenty minutes later",
        (*job({0: State.IN_PROGRESS, 80: State.FAILED}), timeout()),
        (*firing(PAST, 79, 99), *silent(PAST, 100)),
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

CASES = (*OF_PENDING, *OF_STUCK, *OF_SLOW, *OF_PAST)
