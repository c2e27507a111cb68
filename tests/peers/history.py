"""Histories of exporters as nobody has lived them, written for a real Prometheus to be asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.metrics import contract

NOW = 1_790_000_000
MINUTE = 60
BEGAN = NOW - 150 * MINUTE
Course = Callable[[int], float | None]
"""From minutes before the end to a value; None: no sample."""


@dataclass
class History:
    """Series of all situations, written as OpenMetrics."""

    samples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, course: Course, **labels: str) -> None:
        text = ",".join(f'{label}="{value}"' for label, value in labels.items() if value)
        for stamp in range(BEGAN, NOW + 1, MINUTE):
            value = course((NOW - stamp) // MINUTE)
            if value is not None:
                self.samples.setdefault(name, []).append(f"{name}{{{text}}} {value:.0f} {stamp}\n")

    def text(self) -> str:
        return "".join(f"# TYPE {name} unknown\n{''.join(lines)}" for name, lines in self.samples.items()) + "# EOF\n"


def when(shown: Callable[[int], bool], value: float | Course = 1.0) -> Course:
    """Return a course that is there while ``shown`` says so of the minutes that are left."""
    return lambda left: (value(left) if callable(value) else value) if shown(left) else None


def always(_left: int) -> bool:
    return True


class Situation:
    """One cluster."""

    def __init__(self, history: History, cluster: str) -> None:
        self._history, self._cluster = history, cluster

    def exporter(
        self,
        instance: str = "e-0",
        milvus: str = "",
        *,
        scraped: Callable[[int], bool] = always,
        target: Callable[[int], bool] = always,
        polled: Course = lambda left: NOW - left * MINUTE,
        job: str = "milvus-refresh",
    ) -> dict[str, str]:
        """An exporter's own series; returns its labels. ``target``: whether Prometheus knows of it at all."""
        about = {"cluster": self._cluster, "job": job, "instance": instance, "milvus": milvus}
        seen = lambda left: scraped(left) and target(left)  # noqa: E731
        self._history.add("up", when(target, lambda left: float(scraped(left))), **about)
        self._history.add(
            contract.UP.name, when(seen, lambda left: float(polled(left) == NOW - left * MINUTE)), **about
        )
        self._history.add(contract.LAST_POLL_SUCCESS.name, when(seen, polled), **about)
        self._history.add(contract.INTERVAL.name, when(seen, 30), **about)
        self._history.add(contract.STALE.name, when(seen, 0), **about)
        return about

    def process(self, instance: str, *, scraped: Callable[[int], bool] = always) -> None:
        """The own target of an exporter that watches several Milvus."""
        about = {"cluster": self._cluster, "job": "milvus-refresh", "instance": instance}
        self._history.add("up", lambda left: float(scraped(left)), **about)
        self._history.add(contract.BUILD_INFO.name, when(scraped), **about)

    def of(self, about: dict[str, str], metric: contract.Metric, course: float | Course, **labels: str) -> None:
        self._history.add(metric.name, course if callable(course) else when(always, course), **about, **labels)
