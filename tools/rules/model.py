"""A rule as Prometheus knows it, and why it is as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rules.symbols import Symbol

_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: int | Symbol) -> str:
    """Return whole seconds as Prometheus writes a duration: 900 is ``15m``."""
    if isinstance(seconds, Symbol):
        return seconds.duration
    return next(f"{seconds // length}{unit}" for unit, length in _UNITS if seconds % length == 0)


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule."""

    name: str
    expr: str
    why: str

    def as_mapping(self) -> dict[str, Any]:
        """Return what goes into a rule file."""
        return {"record": self.name, "expr": self.expr}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. ``hold`` and ``keep`` are `for` and `keep_firing_for` in seconds, 0 for none."""

    name: str
    expr: str
    severity: str
    summary: str
    description: str
    why: str
    hold: int = 0
    keep: int = 0
    of_collection: bool = True
    """Whether it is about one collection, and so has labels ``database`` and ``collection``."""

    def as_mapping(self, runbooks: str, dashboard: str) -> dict[str, Any]:
        """Return what goes into a rule file. No alert is without its links: they are put in here and nowhere else."""
        times = {"for": self.hold, "keep_firing_for": self.keep}
        return {
            "alert": self.name,
            "expr": self.expr,
            **{key: duration(seconds) for key, seconds in times.items() if seconds},
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbooks}/{self.name}.md",
                "dashboard_url": dashboard,
            },
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other. ``interval`` in seconds, 0 for Prometheus's own."""

    name: str
    rules: tuple[Record | Alert, ...]
    interval: int = 0
