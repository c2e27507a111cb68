"""Who is who, for every alert alike: replicas are one, and different Milvus, jobs and namespaces are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rules.cases import ROOT, Case, Result, Series, given, stamp
from situations import LONG, collection, failure_info, job

from exporter.metrics import contract
from exporter.model import State

Situation = Callable[..., tuple[Series, ...]]
RUNS: dict[int, State | None] = {0: State.IN_PROGRESS}


def _since_long(
    states: dict[int, State | None], progress: float = 0, longest: float | None = None, **to: str
) -> tuple[Series, ...]:
    return job(states, start=-7200, change=-7200, progress=progress, longest=longest, **to)


def _never(**target: str) -> tuple[Series, ...]:
    return (
        given(contract.CREATED, -6000, **target),
        given(contract.MAX_AGE, 3600, **target),
        given(contract.KNOWN_SINCE, -6000, **target),
    )


def _rejected(**target: str) -> tuple[Series, ...]:
    return (given(contract.UP, 0, **target), given(contract.POLL_ERRORS, "0+1x200", kind="unauthenticated", **target))


def _outdated(**target: str) -> tuple[Series, ...]:
    return (given(contract.LAST_POLL_SUCCESS, 1, **target), given(contract.INTERVAL, 30, **target))


def _past(**target: str) -> tuple[Series, ...]:
    return (*_since_long(RUNS, 0, LONG, **target), given(contract.SERVER_TIMEOUT, 3600, **target))


def _no_inventory(**target: str) -> tuple[Series, ...]:
    errors = given(contract.INVENTORY_ERRORS, "0+1x200", kind="permission_denied", **target)
    return (given(contract.INVENTORY_SUCCESS, 0, **target), errors)


def _unreliable(**target: str) -> tuple[Series, ...]:
    stamps = ({minute: stamp(minute) for minute in range(begin, 20, 4)} for begin in (0, 2))
    return collection(*stamps, **target)


def _many(situation: Situation) -> Situation:
    return lambda **target: tuple(one for name in "abc" for one in situation(collection=name, **target))


def _one_blind(**target: str) -> tuple[Series, ...]:
    blind = {**target, "instance": "z:19540"}
    return (
        *(given("up", 1, **one) for one in (target, blind)),
        *(given(contract.INTERVAL, 30, **one) for one in (target, blind)),
        given(contract.LAST_POLL_SUCCESS, "0+60x60", **target),
        given(contract.LAST_POLL_SUCCESS, 0, **blind),
    )


OF_JOBS = {"MilvusExternalRefreshExporterDown", "MilvusExternalRefreshTargetGone", "MilvusExternalRefreshReplicaBlind"}
"""Alerts that ask for targets by the name of their scrape job."""
BESIDES: dict[str, dict[str, str]] = {
    "MilvusExternalManyCollectionsStale": {},
    "MilvusExternalRefreshClockWrong": {},
    "MilvusExternalRefreshReplicaBlind": {"instance": "z:19540"},
    "MilvusExternalRefreshSourceFailing": {"source_root": ROOT, "failure_class": "access_denied"},
}
SITUATIONS: dict[str, tuple[str, Situation]] = {
    "MilvusExternalCollectionStale": ("critical", lambda **to: collection(-7200, max_age=3600, **to)),
    "MilvusExternalCollectionNeverRefreshed": ("warning", _never),
    "MilvusExternalRefreshFailed": ("warning", lambda **to: collection(60, 120, **to)),
    "MilvusExternalRefreshUnreliable": ("warning", _unreliable),
    "MilvusExternalManyCollectionsStale": ("critical", _many(lambda **to: collection(-7200, max_age=3600, **to))),
    "MilvusExternalRefreshSourceFailing": (
        "warning",
        lambda **to: (given(contract.FAILING, 3, failure_class="access_denied", **to),),
    ),
    "MilvusExternalRefreshFailingRepeatedly": (
        "warning",
        lambda **to: (given(contract.CONSECUTIVE, 3, **to), given(contract.LAST_FAILURE, 9, **to)),
    ),
    "MilvusExternalRefreshIndexWaitTimedOut": (
        "info",
        lambda **to: (failure_info(failure_class="index_wait_timeout", **to),),
    ),
    "MilvusExternalRefreshPendingTooLong": ("warning", lambda **to: _since_long({0: State.PENDING}, **to)),
    "MilvusExternalRefreshStuck": ("warning", lambda **to: _since_long(RUNS, progress=0.5, longest=LONG, **to)),
    "MilvusExternalRefreshSlow": ("info", lambda **to: _since_long(RUNS, longest=600, **to)),
    "MilvusExternalRefreshPastServerTimeout": ("warning", _past),
    "MilvusExternalRefreshDataOutdated": ("critical", _outdated),
    "MilvusExternalRefreshCredentialsRejected": ("critical", _rejected),
    "MilvusExternalRefreshListingPartial": ("warning", lambda **to: (given(contract.PARTIAL, 1, **to),)),
    "MilvusExternalRefreshCollectionsFolded": ("warning", lambda **to: (given(contract.COLLECTIONS_FOLDED, 3, **to),)),
    "MilvusExternalRefreshStateNotKept": ("warning", lambda **to: (given(contract.STATE_OK, 0, **to),)),
    "MilvusExternalRefreshConfigReloadFailed": ("warning", lambda **to: (given(contract.CONFIG_GOOD, 0, **to),)),
    "MilvusExternalRefreshInventoryOutdated": ("warning", _no_inventory),
    "MilvusExternalRefreshClockWrong": ("warning", lambda **to: collection(86_400, **to)),
    "MilvusExternalRefreshNoCollectionVisible": (
        "warning",
        lambda **to: (
            given(contract.SNAPSHOT_JOBS, 3, **to),
            given(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, 3, **to),
        ),
    ),
    "MilvusExternalRefreshExporterDown": ("critical", lambda **to: (given("up", 0, **to),)),
    "MilvusExternalRefreshTargetGone": ("critical", lambda **to: (given("up", {0: 1, 5: None}, **to),)),
    "MilvusExternalRefreshReplicaBlind": ("warning", _one_blind),
}
"""How each alert comes about within twenty minutes."""

MINUTE = 20


def _alerts(alert: str, severity: str, *targets: dict[str, str]) -> Result:
    """Say that exactly one alert fires for each target, with no label of a replica, a job or a reason."""
    of_collection = any("database" in one.labels for one in SITUATIONS[alert][1]())
    place = BESIDES.get(alert, {"database": "lake", "collection": "orders"} if of_collection else {})
    name = {"__name__": "ALERTS", "alertname": alert, "alertstate": "firing", "severity": severity}
    samples = tuple(({**name, "job": "milvus-refresh", **place, **target}, 1) for target in targets)
    return Result(f'ALERTS{{alertname="{alert}", alertstate="firing"}}', MINUTE, samples, alert)


def _cases() -> Iterator[Case]:
    for alert, (severity, situation) in SITUATIONS.items():
        if alert != "MilvusExternalRefreshReplicaBlind":  # which is about one of two
            yield Case(
                f"{alert}: replicas raise one alert, and so do targets that a label of no meaning here tells apart",
                (
                    *situation(),
                    *situation(instance="b:19540", pod="exporter-1"),
                    *situation(instance="c:19540"),
                    *situation(pod="exporter-2"),
                    *situation(node="n1", prometheus_replica="b"),
                ),
                (_alerts(alert, severity, {}),),
            )
        apart: tuple[dict[str, str], ...] = (
            {"milvus": "east"},
            {"milvus": "west"},
            {"namespace": "search"},
            {"cluster": "eu-1"},
            {"job": "milvus-refresh-targets" if alert in OF_JOBS else "another"},
        )
        yield Case(
            f"{alert}: different Milvus, clusters, namespaces and jobs stay apart",
            tuple(one for target in apart for one in situation(**target)),
            (_alerts(alert, severity, *apart),),
        )


CASES = tuple(_cases())
