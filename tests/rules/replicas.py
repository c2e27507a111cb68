"""Of two replicas the one whose good poll is the newest is believed on counts, states, reasons and progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rules.cases import ROOT, TARGET, Case, Result, Series, firing, given, result, silent, stamp
from situations import LONG, REASON, collection, failure_info, job

from exporter.metrics import contract
from exporter.model import State

FAILURE = "collection:milvus_external_refresh_last_failure_info:newest"
FAILING = "collection:milvus_external_refresh_failing_since_timestamp_seconds:cause"
STALE = "collection:milvus_external_refresh_stale_age_seconds:cause"
ELAPSED = "collection:milvus_external_refresh_job_elapsed_seconds:max"
STILL = "collection:milvus_external_refresh_job_progress_age_seconds:min"
WAITING = "collection:milvus_external_refresh_job_pending_seconds:max"
STUCK = "MilvusExternalRefreshStuck"
PAST = "MilvusExternalRefreshPastServerTimeout"
WAIT = "MilvusExternalRefreshIndexWaitTimedOut"
NEVER = "MilvusExternalCollectionNeverRefreshed"
SOURCE = "MilvusExternalRefreshSourceFailing"
REPEATED = "MilvusExternalRefreshFailingRepeatedly"
OLD = {"instance": TARGET["instance"], "pod": TARGET["pod"]}
NEW = {"instance": "b:19540", "pod": "exporter-1"}
HOUR = 3600
RUNS, WAITS = {0: State.IN_PROGRESS}, {0: State.PENDING}
EAST, WEST = ({"job": TARGET["job"], "database": "lake", "collection": "orders", "milvus": one} for one in "ew")
DENIED = {"source_root": ROOT, "failure_class": "access_denied"}
QUOTED = {**DENIED, "source": "s3://lake/orders", "job_id": "42", "reason": REASON}

ONE_EACH = tuple(({"collection": name}, 1) for name in ("orders", "parts"))

Says = Callable[..., tuple[Series, ...]]


def told(true: Says, outdated: Says) -> tuple[Series, ...]:
    """What the replica says that polled last, and what the other one says: of e it is the one, of w the other."""
    return tuple(
        one
        for milvus, leads, lags in (("e", OLD, NEW), ("w", NEW, OLD))
        for target, polled, says in ((leads, 2, true), (lags, 1, outdated))
        for one in (
            given(contract.LAST_POLL_SUCCESS, polled, milvus=milvus, **target),
            *says(milvus=milvus, **target),
        )
    )


def both(value: float, **labels: str) -> tuple[tuple[Mapping[str, str], float], ...]:
    return ({**EAST, **labels}, value), ({**WEST, **labels}, value)


def failed(**to: str) -> tuple[Series, ...]:
    return (*collection(60, 120, max_age=600, **to), failure_info(**to))


def failed_otherwise(**to: str) -> tuple[Series, ...]:
    other = {"source": "s3://a/orders", "source_root": "s3://a", "failure_class": "timeout", "job_id": "7"}
    return (*collection(60, 120, max_age=600, **to), failure_info(reason="other", **other, **to))


def created(minute: int, **to: str) -> tuple[Series, ...]:
    stamps = ((contract.CREATED, stamp(minute)), (contract.MAX_AGE, HOUR), (contract.KNOWN_SINCE, 0))
    return tuple(given(metric, value, **to) for metric, value in stamps)


CASES = (
    Case(
        "why a refresh failed",
        told(failed, failed_otherwise),
        (
            result(FAILURE, 30, *both(1, **QUOTED)),
            result(FAILING, 30, *both(120, **DENIED)),
            result(STALE, 30, *both(1740, **DENIED)),
        ),
    ),
    Case(
        "that no failure is known",
        told(lambda **to: failed(**to)[:-1], failed),
        (result(FAILURE, 30), result(FAILING, 30, *both(120)), result(STALE, 30, *both(1740))),
    ),
    Case(
        "when a job began, although the other one saw a later one begin",
        told(lambda **to: job(RUNS, start=600, **to), lambda **to: job(RUNS, start=1200, **to)),
        (result(ELAPSED, 30, *both(1200)),),
    ),
    Case(
        "that a job has ended",
        told(lambda **to: job({0: State.COMPLETED}, **to), lambda **to: job(RUNS, **to)),
        (result(ELAPSED, 30), result(STILL, 30)),
    ),
    Case(
        "that a pending job has nothing done, and since when",
        told(lambda **to: job(WAITS, start=600, **to), lambda **to: job(WAITS, start=1500, progress=0.5, **to)),
        (result(WAITING, 30, *both(1200)),),
    ),
    Case(
        "how far a job is: it waits for no index",
        told(
            lambda **to: (*job(RUNS, progress=0.5, longest=LONG, **to), given(contract.SERVER_TIMEOUT, HOUR, **to)),
            lambda **to: job(RUNS, progress=0.95, longest=LONG, **to),
        ),
        (*firing(STUCK, 36, count=2), *firing(PAST, 76, count=2)),
    ),
    Case(
        "that it was no index wait that ran out",
        told(failed, lambda **to: (failure_info(failure_class="index_wait_timeout", **to),)),
        silent(WAIT, 5),
    ),
    Case(
        "when a collection was created, although the other one saw it created again",
        told(lambda **to: created(10, **to), lambda **to: created(50, **to)),
        (*silent(NEVER, 85), *firing(NEVER, 86, count=2)),
    ),
    Case(
        "how many fail for one cause, and how often one has failed in a row",
        told(
            lambda **to: (given(contract.LAST_FAILURE, 60, **to),),
            lambda **to: (
                given(contract.FAILING, 9, failure_class="access_denied", **to),
                given(contract.CONSECUTIVE, 9, **to),
            ),
        ),
        (*silent(SOURCE, 10), *silent(REPEATED, 10)),
    ),
    Case(
        "two that polled at one moment and do not agree are one",
        tuple(
            one
            for name in ("orders", "parts")
            for one in (
                *failed(collection=name),
                *failed_otherwise(collection=name, **NEW),
            )
        ),
        tuple(
            Result(f"count by (collection) ({record})", 30, ONE_EACH, record) for record in (FAILURE, FAILING, STALE)
        ),
    ),
)
