"""The exporter's own account, through prometheus_client: polls, inventory, limits, process."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from exporter.store import POLL_DURATION_BUCKETS, Publication

if TYPE_CHECKING:
    from exporter.ledger import StateAccount

_OPENMETRICS_END: Final = b"# EOF\n"

_Counts = Sequence[tuple[str, int]]
"""By the value of a label."""


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
        self._printed: dict[tuple[Format, int], tuple[_Part, bytes]] = {}

    def render(self, format_: Format) -> bytes:
        """Return exposition bytes, without OpenMetrics' end mark."""
        standard = ((tuple, (list(collector.collect()),)) for collector in self._standard)
        parts = enumerate((*_parts(self._account()), *standard))
        return b"".join([self._text(part, number, format_) for number, part in parts])

    def _text(self, part: _Part, number: int, format_: Format) -> bytes:
        """Return the text of a part; most say at each poll what they have said before."""
        known, text = self._printed.get((format_, number), (None, b""))
        if part != known:
            make, given = part
            text = _printed(make(*given), format_)
            self._printed[format_, number] = part, text
        return text


_Part = tuple[Callable[..., Iterable[Metric]], tuple[object, ...]]
"""What makes families, and all that it makes them of: while both are equal, so is the text."""


class _Families(Collector):
    """Families that have been made, as prometheus_client wants them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families


def _printed(families: Iterable[Metric], format_: Format) -> bytes:
    if format_.openmetrics:
        marked: bytes = generate_openmetrics(_Families(families))  # type: ignore[no-untyped-call]
        return marked.removesuffix(_OPENMETRICS_END)
    text: bytes = generate_latest(_Families(families))
    return text


def _parts(account: Account | ProcessAccount) -> Iterator[_Part]:
    if isinstance(account, ProcessAccount):
        yield _process, (account.config_good, account.config_loaded, account.revision)
        return
    polls, snapshot = account.publication.account, account.publication.snapshot
    stamps, ticks = (polls.last_attempt, polls.last_success), (polls.attempts, polls.skipped)
    yield _polling, (polls.up, polls.partial, stamps, ticks)
    yield _faults, (tuple(polls.errors.items()), tuple(polls.problems.items()))
    yield _durations, (polls.duration_buckets, polls.duration_sum)
    yield _snapshot, (account.stale, snapshot.listed_jobs, snapshot.collections_folded, snapshot.sources_folded)
    failures = account.inventory_errors
    yield _inventory, (account.inventory_last_success, tuple((kind, failures.get(kind, 0)) for kind in KINDS))
    yield _settings, (account.poll_interval, account.job_timeout, account.job_retention)
    if account.state is not None:
        yield _state, (account.state.ok, account.state.last_write, account.state.errors)
    if account.alone:
        yield _process, (account.config_good, account.config_loaded, account.revision)


def _process(good: bool, loaded: float, revision: str) -> Iterator[Metric]:  # noqa: FBT001  # a column of a part
    yield _gauge(contract.CONFIG_GOOD, good)
    if loaded:
        yield _gauge(contract.CONFIG_LOADED, loaded)
    build = GaugeMetricFamily(contract.BUILD_INFO.name, contract.BUILD_INFO.help, labels=contract.BUILD_INFO.labels)
    build.add_metric((__version__, revision, platform.python_version()), 1)
    yield build


def _polling(up: bool, partial: bool, stamps: tuple[float, float], ticks: tuple[int, int]) -> Iterator[Metric]:  # noqa: FBT001
    (attempt, success), (polls, skipped) = stamps, ticks
    yield _gauge(contract.UP, up)
    yield _gauge(contract.PARTIAL, partial)
    yield _gauge(contract.LAST_ATTEMPT, attempt)
    yield _gauge(contract.LAST_POLL_SUCCESS, success)
    yield _counter(contract.POLLS, polls)
    yield _counter(contract.SKIPPED, skipped)


def _faults(errors: _Counts, problems: _Counts) -> Iterator[Metric]:
    yield _counters(contract.POLL_ERRORS, errors)
    yield _counters(contract.INVALID, problems)


def _durations(buckets: Sequence[int], total: float) -> Iterator[Metric]:
    metric = contract.POLL_DURATION
    yield HistogramMetricFamily(metric.name, metric.help, buckets=_cumulated(buckets), sum_value=total)


def _snapshot(stale: bool, jobs: int, collections: int, sources: int) -> Iterator[Metric]:  # noqa: FBT001
    yield _gauge(contract.STALE, stale)
    yield _gauge(contract.SNAPSHOT_JOBS, jobs)
    yield _gauge(contract.COLLECTIONS_FOLDED, collections)
    yield _gauge(contract.SOURCES_FOLDED, sources)


def _inventory(success: float, errors: _Counts) -> Iterator[Metric]:
    yield _gauge(contract.INVENTORY_SUCCESS, success)
    yield _counters(contract.INVENTORY_ERRORS, errors)


def _settings(interval: float, timeout: float, retention: float) -> Iterator[Metric]:
    yield _gauge(contract.INTERVAL, interval)
    yield _gauge(contract.SERVER_TIMEOUT, timeout)
    yield _gauge(contract.SERVER_RETENTION, retention)


def _state(ok: bool, written: float, errors: int) -> Iterator[Metric]:  # noqa: FBT001
    yield _gauge(contract.STATE_OK, ok)
    yield _gauge(contract.STATE_LAST_WRITE, written)
    yield _counter(contract.STATE_WRITE_ERRORS, errors)


def _gauge(metric: contract.Metric, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, value=float(value))


def _counter(metric: contract.Metric, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(metric.family, metric.help, value=value)


def _counters(metric: contract.Metric, values: _Counts) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.family, metric.help, labels=metric.labels)
    for label, value in values:
        family.add_metric((str(label),), value)
    return family


def _cumulated(buckets: Sequence[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in POLL_DURATION_BUCKETS), "+Inf"]
    return list(zip(bounds, accumulate(buckets), strict=True))
