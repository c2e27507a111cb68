"""Who is who, for every alert alike: replicas are one, and different Milvus, jobs and namespaces are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rules.cases import Case, Result, Series, given
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


SITUATIONS: dict[str, tuple[str, Situation]] = {
    "MilvusExternalCollectionStale": ("critical", lambda **to: collection(-7200, max_age=3600, **to)),
    "MilvusExternalCollectionNeverRefreshed": ("warning", _never),
    "MilvusExternalRefreshFailed": ("warning", lambda **to: collection(60, 120, **to)),
    "MilvusExternalRefreshFailingRepeatedly": ("critical", lambda **to: (given(contract.CONSECUTIVE, 3, **to),)),
    "MilvusExternalRefreshIndexWaitTimedOut": (
        "info",
        lambda **to: (failure_info(failure_class="index_wait_timeout", **to),),
    ),
    "MilvusExternalRefreshPendingTooLong": ("warning", lambda **to: _since_long({0: State.PENDING}, **to)),
    "MilvusExternalRefreshStuck": ("warning", lambda **to: _since_long(RUNS, progress=0.5, longest=LONG, **to)),
    "MilvusExternalRefreshSlow": ("info", lambda **to: _since_long(RUNS, longest=600, **to)),
    "MilvusExternalRefreshPastServerTimeout": ("critical", _past),
    "MilvusExternalRefreshDataOutdated": ("critical", _outdated),
    "MilvusExternalRefreshCredentialsRejected": ("critical", _rejected),
    "MilvusExternalRefreshListingPartial": ("warning", lambda **to: (given(contract.PARTIAL, 1, **to),)),
    "MilvusExternalRefreshCollectionsFolded": ("warning", lambda **to: (given(contract.COLLECTIONS_FOLDED, 3, **to),)),
    "MilvusExternalRefreshStateNotKept": ("warning", lambda **to: (given(contract.STATE_OK, 0, **to),)),
    "MilvusExternalRefreshConfigReloadFailed": ("warning", lambda **to: (given(contract.CONFIG_GOOD, 0, **to),)),
    "MilvusExternalRefreshNoCollectionVisible": (
        "warning",
        lambda **to: (
            given(contract.SNAPSHOT_JOBS, 3, **to),
            given(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, 3, **to),
        ),
    ),
    "MilvusExternalRefreshExporterDown": ("critical", lambda **to: (given("up", 0, **to),)),
}
"""How each alert comes about within twenty minutes."""

MINUTE = 20


def _alerts(alert: str, severity: str, *targets: dict[str, str]) -> Result:
    """Say that exactly one alert fires for each target, with no label of a replica, a job or a reason."""
    of_collection = any("database" in one.labels for one in SITUATIONS[alert][1]())
    place = {"database": "lake", "collection": "orders"} if of_collection else {}
    name = {"__name__": "ALERTS", "alertname": alert, "alertstate": "firing", "severity": severity}
    samples = tuple(({**name, "job": "milvus-refresh", **place, **target}, 1) for target in targets)
    return Result(f'ALERTS{{alertname="{alert}", alertstate="firing"}}', MINUTE, samples, alert)


def _cases() -> Iterator[Case]:
    for alert, (severity, situation) in SITUATIONS.items():
        other = {"instance": "b:19540", "pod": "exporter-1"}
        yield Case(
            f"{alert}: two replicas raise one alert",
            (*situation(), *situation(**other), *situation(instance="c:19540"), *situation(pod="exporter-2")),
            (_alerts(alert, severity, {}),),
        )
        apart: tuple[dict[str, str], ...] = (
            {"milvus": "east"},
            {"milvus": "west"},
            {"namespace": "search"},
            {"region": "a label of the user's own"},
        )
        if alert != "MilvusExternalRefreshExporterDown":
            apart = (*apart, {"job": "another"})
        yield Case(
            f"{alert}: different Milvus stay apart, and so does whatever else tells targets apart",
            tuple(one for target in apart for one in situation(**target)),
            (_alerts(alert, severity, *apart),),
        )


CASES = tuple(_cases())
