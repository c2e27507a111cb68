"""Pieces of PromQL. A metric is named by its entry in the contract, so that a misspelt one cannot be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.model import duration

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters


def over_replicas(
    p: Parameters, metric: Metric, *also: str, op: str = "max", matchers: str = "", function: str = "", within: int = 0
) -> str:
    """Return one value for all replicas. ``also``: more labels to drop; ``function`` over ``within`` seconds first."""
    selected = metric.name + (f"{{{matchers}}}" if matchers else "")
    if function:
        selected = f"{function}({selected}[{duration(within)}])"
    return f"{op} without ({', '.join((*p.replica_labels, *also))}) ({selected})"


def newest_job(p: Parameters, metric: Metric, *also: str, matchers: str = "") -> str:
    """Return a value of the newest job by collection. Its source is dropped: it may differ from one job to the next."""
    return over_replicas(p, metric, "source", *also, matchers=matchers)
