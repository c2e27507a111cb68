"""The checked-in dashboards as tests see them: panels, targets, and expressions with Grafana's variables put in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from peers.parts import ROOT

FOLDER = ROOT / "deploy" / "grafana"
NAMES = ("milvus-refresh-list", "milvus-refresh-collection", "milvus-refresh-health")
EVERYTHING = {
    "cluster": ".*", "namespace": ".*", "job": "milvus-refresh", "milvus": ".*",
    "database": ".*", "collection": ".*", "source": ".*",
    "__rate_interval": "15s", "__interval": "2s", "__range": "60s",
}  # fmt: skip
"""What stands for each variable where a test does not choose. ``job`` is the one of the Prometheus that tests start."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:[:.][^}]*)?\}|(\w+))")


@cache
def load(name: str) -> dict[str, Any]:
    """Return a dashboard."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def groups(dashboard: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Return the panels that are seen together: those outside of collapsed rows, then each collapsed row's."""
    yield dashboard["panels"]
    for panel in dashboard["panels"]:
        if panel.get("panels"):
            yield panel["panels"]


def panels(dashboard: Mapping[str, Any], *, rows: bool = False) -> list[dict[str, Any]]:
    """Return every panel, rows themselves on demand."""
    return [panel for group in groups(dashboard) for panel in group if rows or panel["type"] != "row"]


@dataclass(frozen=True)
class Target:
    """One query of one panel."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel} / {self.ref}"


def targets(name: str) -> list[Target]:
    """Return every query of a dashboard."""
    return [
        Target(name, panel["title"], target["refId"], target["expr"], bool(target.get("instant")))
        for panel in panels(load(name))
        for target in panel.get("targets", [])
    ]


def variables_in(text: str) -> set[str]:
    """Return the variables that a text uses; ``$1`` of a regular expression is none, nor Grafana's word for all."""
    found = {braced or bare for braced, bare in _VARIABLE.findall(text)}
    return {name for name in found if not name.isdigit() and name != "__all"}


def filled(text: str, **values: str) -> str:
    """Put values in for variables, as Grafana does; a value that nobody gives is an error."""
    known = EVERYTHING | values
    return _VARIABLE.sub(
        lambda match: (
            match[0]
            if match[2] and match[2].isdigit()
            else match[0]
            if match[2] == "__all"
            else known[match[1] or match[2]]
        ),
        text,
    )
