"""The usual exporter: what one writes first with prometheus_client. Gauges with labels, cleared and set at each poll.

It shows the same families with the same labels as the product does for its collections, so that both have the same
number of series. It has no memory, looks up no databases, hides nothing and checks nothing; all in its favour.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from benchmarks.world import database_of, number_of
from exporter.milvus.pb import milvus_refresh_pb2 as pb

STATES = ("RefreshPending", "RefreshInProgress", "RefreshCompleted", "RefreshFailed", "RefreshUnknown")
_CONTRACT = Path(__file__).resolve().parents[1] / "exporter" / "metrics" / "contract.py"
_COMPLETED, _FAILED = pb.RefreshCompleted, pb.RefreshFailed


def _contract() -> Any:
    """Return the table of families without the package around it, which would be part of what is measured."""
    spec = importlib.util.spec_from_file_location("contract", _CONTRACT)
    if spec is None or spec.loader is None:
        raise ImportError(_CONTRACT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["contract"] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


class _Pair:
    """What is added up for one collection and source."""

    __slots__ = ("counts", "failure", "newest", "success")

    def __init__(self) -> None:
        self.counts = [0, 0, 0, 0, 0]
        self.newest: pb.RefreshExternalCollectionJobInfo | None = None
        self.success: pb.RefreshExternalCollectionJobInfo | None = None
        self.failure: pb.RefreshExternalCollectionJobInfo | None = None


class UsualExporter:
    """Families in a registry. ``publish`` is one poll without the call."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        contract = _contract()
        metrics = (
            contract.JOBS, contract.LAST_STATE, contract.LAST_PROGRESS, contract.LAST_CHANGE, contract.LAST_START,
            contract.LAST_END, contract.LAST_DURATION, contract.LAST_INFO, contract.LAST_SUCCESS,
            contract.LAST_FAILURE, contract.LAST_SUCCESS_DURATION, contract.CONSECUTIVE, contract.LAST_FAILURE_INFO,
            contract.FINISHED, contract.FAILED, contract.FAILING, contract.INFO, contract.CREATED,
        )  # fmt: skip
        self._gauges = {
            metric.short: Gauge(metric.name, metric.help, metric.labels, registry=self.registry) for metric in metrics
        }

    def publish(self, jobs: Iterable[pb.RefreshExternalCollectionJobInfo], now: float) -> None:
        """Add up a listing and set every gauge."""
        pairs: dict[tuple[str, str], _Pair] = {}
        for job in jobs:
            pair = pairs.setdefault((job.collection_name, job.external_source), _Pair())
            pair.counts[job.state] += 1
            if pair.newest is None or job.start_time > pair.newest.start_time:
                pair.newest = job
            if job.state == _COMPLETED and (pair.success is None or job.end_time > pair.success.end_time):
                pair.success = job
            if job.state == _FAILED and (pair.failure is None or job.end_time > pair.failure.end_time):
                pair.failure = job
        for gauge in self._gauges.values():
            gauge.clear()
        for (name, source), pair in pairs.items():
            self._set_jobs((database_of(number_of(name)), name, source), pair, now)
            self._set_outcomes((database_of(number_of(name)), name, source), pair)

    def _set_jobs(self, labels: tuple[str, str, str], pair: _Pair, now: float) -> None:
        gauges, newest = self._gauges, pair.newest
        if newest is None:
            return
        for state, count in zip(STATES, pair.counts, strict=True):
            gauges["jobs"].labels(*labels, state).set(count)
            gauges["last_job_state"].labels(*labels, state).set(state == STATES[newest.state])
        start, end = newest.start_time / 1000, newest.end_time / 1000
        gauges["last_job_progress_ratio"].labels(*labels).set(newest.progress / 100)
        gauges["last_job_progress_change_timestamp_seconds"].labels(*labels).set(now)
        gauges["last_job_start_timestamp_seconds"].labels(*labels).set(start)
        if end:
            gauges["last_job_end_timestamp_seconds"].labels(*labels).set(end)
        gauges["last_job_duration_seconds"].labels(*labels).set((end or now) - start)
        failure_class = "source_empty" if newest.state == _FAILED else ""
        gauges["last_job_info"].labels(*labels, str(newest.job_id), failure_class, newest.reason).set(1)

    def _set_outcomes(self, labels: tuple[str, str, str], pair: _Pair) -> None:
        gauges, place = self._gauges, labels[:2]
        success, failure = pair.success, pair.failure
        if success is not None:
            gauges["last_success_timestamp_seconds"].labels(*place).set(success.end_time / 1000)
            seconds = (success.end_time - success.start_time) / 1000
            gauges["last_success_duration_seconds"].labels(*place).set(seconds)
        if failure is not None:
            gauges["last_failure_timestamp_seconds"].labels(*place).set(failure.end_time / 1000)
        failing = failure is not None and (success is None or failure.end_time > success.end_time)
        gauges["consecutive_failures"].labels(*place).set(failing)
        if failure is not None and failing:
            trouble = (str(failure.job_id), "source_empty", failure.reason)
            root = "/".join(labels[2].split("/", 3)[:3])
            gauges["last_failure_info"].labels(*labels, root, *trouble).set(1)
            gauges["failing_collections"].labels(root, "source_empty").inc()
        gauges["jobs_finished_total"].labels(*place).set(pair.counts[2] + pair.counts[3])
        gauges["jobs_failed_total"].labels(*place).set(pair.counts[3])
        gauges["collection_info"].labels(*labels).set(1)
        gauges["collection_created_timestamp_seconds"].labels(*place).set(1_700_000_000)
