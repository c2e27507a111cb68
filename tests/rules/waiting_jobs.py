"""MilvusExternalRefreshPendingTooLong and ...Stuck: a job that does not begin, and one that does not go on."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, decoys, fires, firing, given, of_collection, silent, stamp
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


def pending(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"A refresh of Milvus external collection {name} does not get beyond pending",
        f"The refresh of {name} has been pending for {how_long} with nothing done. Mostly Milvus cannot list the "
        f"source and keeps trying until it times the job out; meanwhile no other refresh of this collection can start. "
        f"{tail}",
        **labels,
    )


def until(minute: int, series: tuple[Series, ...]) -> tuple[Series, ...]:
    """The same series as far as a minute."""
    return tuple(
        Series(
            one.name, one.labels, {0: one.values, minute: None} if isinstance(one.values, int | float) else one.values
        )
        for one in series
    )


def stuck(how_long: str, tail: str, name: str = "lake/orders", **labels: str) -> Fired:
    return of_collection(
        "warning",
        f"A refresh of Milvus external collection {name} makes no progress",
        f"The running refresh of {name} has shown no progress for {how_long}. Its data is not live yet, and no other "
        f"refresh of this collection can start before it ends. {tail}",
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
        "a job that starts running clears it at once",
        job({0: State.PENDING, 40: State.IN_PROGRESS}),
        (*firing(PENDING, 39), *silent(PENDING, 40)),
    ),
    Case(
        "stays for an hour while an outage withholds the series, and ends with the job where it does not",
        (
            *until(40, job({0: State.PENDING, 40: None})),
            given(contract.STALE, {0: 0, 40: 1}),
            *until(40, job({0: State.PENDING, 40: None}, milvus="east")),
        ),
        (*firing(PENDING, 39, count=2), *firing(PENDING, 45, 70, 98), *silent(PENDING, 106)),
    ),
    Case(
        "a new pending job on another source has its own time",
        (
            *job({0: State.PENDING, 40: None}, start={0: 0, 40: None}, progress={0: 0, 40: None}),
            *job(
                {0: None, 40: State.PENDING},
                start={0: None, 40: stamp(40)},
                progress={0: None, 40: 0},
                source="s3://lake/new",
            ),
        ),
        (*firing(PENDING, 39), *silent(PENDING, 40, 60), *firing(PENDING, 61, 70)),
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
        "of two replicas the one that polled last knows whether it has started",
        (
            *job(WAITS),
            *job(RUNS, **NEW),
            given(contract.LAST_POLL_SUCCESS, {0: 60, 30: 1800}),
            given(contract.LAST_POLL_SUCCESS, {0: 0, 40: 2400}, **NEW),
        ),
        (*firing(PENDING, 21, 39), *silent(PENDING, 40)),
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
        "without any history Milvus's time-out is the measure: nobody is accused for want of one",
        (*job(RUNS), given(contract.SERVER_TIMEOUT, 3600), *job(RUNS, longest=600, collection="known")),
        (*silent(STUCK, 35), *firing(STUCK, 36, 65), *firing(STUCK, 66, count=2)),
    ),
    Case(
        "history that has come to its end is no history, a late evaluation of it is",
        (
            *job(RUNS),
            given(contract.SERVER_TIMEOUT, 60),
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
        "a job that has ended is not stuck",
        job({0: State.IN_PROGRESS, 50: State.COMPLETED}, progress={0: 0.5, 50: 1}),
        (*firing(STUCK, 36, 49), *silent(STUCK, 50)),
    ),
    Case(
        "a job in a state that is newer than the exporter can be stuck as well",
        job({0: State.UNKNOWN}, progress=0.5),
        (*silent(STUCK, 35), *firing(STUCK, 36)),
    ),
    Case(
        "stays for an hour while an outage withholds the series",
        (
            *until(40, job({0: State.IN_PROGRESS, 40: None}, progress=0.5, longest=LONG)),
            given(contract.STALE, {0: 0, 40: 1}),
        ),
        (*firing(STUCK, 39, 45, 70, 98), *silent(STUCK, 106)),
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

CASES = (*OF_PENDING, *OF_STUCK)
