"""The exporter's own account, through prometheus_client: polls, inventory, limits, process."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.errors import KINDS
from exporter.metrics import contract
from exporter.metrics.text import Format
from exporter.model import Problem
from exporter.store import POLL_DURATION_BUCKETS, PollAccount, Publication

if TYPE_CHECKING:
    from exporter.ledger import StateAccount

_OPENMETRICS_END: Final = b"# EOF\n"


@dataclass(frozen=True, slots=True)
class ProcessAccount:
    """What is to be told of the process, however many Milvus it watches."""

    config_loaded: float = 0.0
    """Epoch seconds when the configuration in force was read; 0 where that is not known."""
    config_good: bool = True
    """Whether the last attempt to read it was good."""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """What is to be told of watching one Milvus, as of one moment."""

    publication: Publication
    stale: bool
    poll_interval: float
    job_timeout: float
    job_retention: float
    config_loaded: float = 0.0
    config_good: bool = True
    """This, ``config_loaded`` and ``revision`` as in :class:`ProcessAccount`."""
    inventory_last_success: float = 0.0
    inventory_errors: Mapping[str, int] = field(default_factory=dict)
    state: StateAccount | None = None
    """None without a state file."""
    revision: str = ""
    alone: bool = True
    """Whether this is the only Milvus. Otherwise the process tells of itself elsewhere: a bad configuration is one
    alert and not one for each target."""


class OwnMetrics:
    """Renders an account. With ``process``, the standard process and Python families too.

    Families and no metric objects: nothing is adjusted, nothing is registered for the whole process, and there are no
    ``_created`` series, which would double every counter for nothing that anybody asks.
    """

    def __init__(self, account: Callable[[], Account | ProcessAccount], *, process: bool) -> None:
        self._account = account
        self._standard: list[Collector] = []
        if process:
            apart = CollectorRegistry(auto_describe=False)
            self._standard = [each(registry=apart) for each in (ProcessCollector, PlatformCollector, GCCollector)]

    def render(self, format_: Format) -> bytes:
        """Return exposition bytes, without OpenMetrics' end mark."""
        standard = (family for collector in self._standard for family in collector.collect())
        families = _Families((*_families(self._account()), *standard))
        if format_.openmetrics:
            marked: bytes = generate_openmetrics(families)  # type: ignore[no-untyped-call]
            return marked.removesuffix(_OPENMETRICS_END)
        text: bytes = generate_latest(families)
        return text


class _Families(Collector):
    """Families that have been made, as prometheus_client wants them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families


def _families(account: Account | ProcessAccount) -> Iterator[Metric]:
    if isinstance(account, ProcessAccount):
        yield from _process(account)
        return
    yield from _polls(account.publication.account)
    snapshot = account.publication.snapshot
    yield _gauge(contract.STALE, account.stale)
    yield _gauge(contract.SNAPSHOT_JOBS, snapshot.listed_jobs)
    if snapshot.jobs_without_visible_collection is not None and account.inventory_last_success:
        yield _gauge(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, snapshot.jobs_without_visible_collection)
    yield _gauge(contract.COLLECTIONS_FOLDED, snapshot.collections_folded)
    yield _gauge(contract.SOURCES_FOLDED, snapshot.sources_folded)
    yield _gauge(contract.INVENTORY_SUCCESS, account.inventory_last_success)
    failures = account.inventory_errors
    yield _counters(contract.INVENTORY_ERRORS, {kind: failures.get(kind, 0) for kind in KINDS})
    yield _gauge(contract.INTERVAL, account.poll_interval)
    yield _gauge(contract.SERVER_TIMEOUT, account.job_timeout)
    yield _gauge(contract.SERVER_RETENTION, account.job_retention)
    if account.state is not None:
        yield _gauge(contract.STATE_OK, account.state.ok)
        yield _gauge(contract.STATE_LAST_WRITE, account.state.last_write)
        yield _counter(contract.STATE_WRITE_ERRORS, account.state.errors)
    if account.alone:
        yield from _process(account)


def _process(account: Account | ProcessAccount) -> Iterator[Metric]:
    yield _gauge(contract.CONFIG_GOOD, account.config_good)
    if account.config_loaded:
        yield _gauge(contract.CONFIG_LOADED, account.config_loaded)
    build = GaugeMetricFamily(contract.BUILD_INFO.name, contract.BUILD_INFO.help, labels=contract.BUILD_INFO.labels)
    build.add_metric((__version__, account.revision, platform.python_version()), 1)
    yield build


def _polls(polls: PollAccount) -> Iterator[Metric]:
    yield _gauge(contract.UP, polls.up)
    yield _gauge(contract.PARTIAL, polls.partial)
    yield _gauge(contract.LAST_ATTEMPT, polls.last_attempt)
    yield _gauge(contract.LAST_POLL_SUCCESS, polls.last_success)
    yield _counter(contract.POLLS, polls.attempts)
    yield _counter(contract.SKIPPED, polls.skipped)
    yield _counters(contract.POLL_ERRORS, polls.errors)
    yield _counters(contract.INVALID, polls.problems)
    bounds = [*(str(bound) for bound in POLL_DURATION_BUCKETS), "+Inf"]
    buckets = list(zip(bounds, accumulate(polls.duration_buckets), strict=True))
    metric = contract.POLL_DURATION
    yield HistogramMetricFamily(metric.name, metric.help, buckets=buckets, sum_value=polls.duration_sum)


def _gauge(metric: contract.Metric, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, value=float(value))


def _counter(metric: contract.Metric, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(metric.family, metric.help, value=value)


def _counters(metric: contract.Metric, values: Mapping[str, int] | Mapping[Problem, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.family, metric.help, labels=metric.labels)
    for label, value in values.items():
        family.add_metric((str(label),), value)
    return family
