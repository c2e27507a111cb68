"""The exporter's own account, through prometheus_client: polls, inventory, limits, process."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.errors import KINDS
from exporter.metrics import contract
from exporter.metrics.contract import Metric
from exporter.metrics.text import Format
from exporter.snapshot import Snapshot
from exporter.store import POLL_DURATION_BUCKETS, PollAccount, Publication

if TYPE_CHECKING:
    from exporter.ledger import StateAccount

_OPENMETRICS_END: Final = b"# EOF\n"

Label = TypeVar("Label", bound=str)
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


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


class OwnMetrics(Collector):
    """Renders an account. With ``process``, the standard process and Python families too.

    Families and no metric objects: nothing is adjusted, nothing is registered for the whole process, and there are no
    ``_created`` series, which would double every counter for nothing that anybody asks.
    """

    def __init__(self, account: Callable[[], Account | ProcessAccount], *, process: bool) -> None:
        self._account = account
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        if process:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
            GCCollector(registry=self._registry)

    def collect(self) -> Iterable[Family]:
        """Return the families, as prometheus_client wants them."""
        account = self._account()
        if isinstance(account, ProcessAccount):
            yield from _process(account)
            return
        publication = account.publication
        yield from _polling(publication.account)
        yield from _snapshot(publication.snapshot, stale=account.stale)
        yield _gauge(contract.INVENTORY_SUCCESS, account.inventory_last_success)
        yield _counters(contract.INVENTORY_ERRORS, {kind: account.inventory_errors.get(kind, 0) for kind in KINDS})
        yield _gauge(contract.INTERVAL, account.poll_interval)
        yield _gauge(contract.SERVER_TIMEOUT, account.job_timeout)
        yield _gauge(contract.SERVER_RETENTION, account.job_retention)
        if account.state is not None:
            yield _gauge(contract.STATE_OK, account.state.ok)
            yield _gauge(contract.STATE_LAST_WRITE, account.state.last_write)
            yield _counter(contract.STATE_WRITE_ERRORS, account.state.errors)
        if account.alone:
            yield from _process(ProcessAccount(account.config_loaded, account.config_good, account.revision))

    def render(self, format_: Format) -> bytes:
        """Return exposition bytes, without OpenMetrics' end mark."""
        if format_.openmetrics:
            marked: bytes = generate_openmetrics(self._registry)  # type: ignore[no-untyped-call]
            return marked.removesuffix(_OPENMETRICS_END)
        text: bytes = generate_latest(self._registry)
        return text


def _process(account: ProcessAccount) -> Iterable[Family]:
    yield _gauge(contract.CONFIG_GOOD, account.config_good)
    if account.config_loaded:
        yield _gauge(contract.CONFIG_LOADED, account.config_loaded)
    build = GaugeMetricFamily(contract.BUILD_INFO.name, contract.BUILD_INFO.help, labels=contract.BUILD_INFO.labels)
    build.add_metric((__version__, account.revision, platform.python_version()), 1)
    yield build


def _polling(account: PollAccount) -> Iterable[Family]:
    yield _gauge(contract.UP, account.up)
    yield _gauge(contract.PARTIAL, account.partial)
    yield _gauge(contract.LAST_ATTEMPT, account.last_attempt)
    yield _gauge(contract.LAST_POLL_SUCCESS, account.last_success)
    yield _counter(contract.POLLS, account.attempts)
    yield _counter(contract.SKIPPED, account.skipped)
    yield _counters(contract.POLL_ERRORS, account.errors)
    yield _counters(contract.INVALID, account.problems)
    buckets = _cumulated(account.duration_buckets)
    yield HistogramMetricFamily(
        contract.POLL_DURATION.name, contract.POLL_DURATION.help, buckets=buckets, sum_value=account.duration_sum
    )


def _snapshot(snapshot: Snapshot, *, stale: bool) -> Iterable[Family]:
    yield _gauge(contract.STALE, stale)
    yield _gauge(contract.SNAPSHOT_JOBS, snapshot.listed_jobs)
    yield _gauge(contract.COLLECTIONS_FOLDED, snapshot.collections_folded)
    yield _gauge(contract.SOURCES_FOLDED, snapshot.sources_folded)


def _gauge(metric: Metric, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, value=float(value))


def _counter(metric: Metric, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(metric.family, metric.help, value=value)


def _counters(metric: Metric, values: Mapping[Label, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.family, metric.help, labels=metric.labels)
    for label, value in values.items():
        family.add_metric((str(label),), value)
    return family


def _cumulated(buckets: Sequence[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in POLL_DURATION_BUCKETS), "+Inf"]
    return list(zip(bounds, accumulate(buckets), strict=True))
