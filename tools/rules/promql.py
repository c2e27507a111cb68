"""Pieces of PromQL. A metric is named by its entry in the contract, so that a misspelt one cannot be written.

Two habits run through all of them. What is scraped is read through lost scrapes, with ``last_over_time``: one of them
would begin every `for` anew. And every join and aggregation names its labels, those that identify a Milvus and a
collection: rulers add labels to what they record, and targets have labels that mean nothing here.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from exporter.metrics.contract import PREFIX
from rules.model import duration

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters

LEADER: Final = f"target:{PREFIX}poll_last_success_timestamp_seconds:newest"
"""Record: of each Milvus the replica whose good poll is the newest. There as long as any replica is scraped."""
PLACE: Final = ("database", "collection")


def target(p: Parameters, *more: str) -> str:
    """Return the labels that identify a Milvus, and more, as they stand in an expression."""
    return f"({', '.join((*p.identity, *more))})"


def place(p: Parameters, *more: str) -> str:
    """Return the labels that identify a collection, and more."""
    return target(p, *PLACE, *more)


def own(p: Parameters, metric: Metric, *more: str) -> str:
    """Return the labels that a value of a metric is about, and more."""
    return target(p, *(label for label in PLACE if label in metric.labels), *more)


def selected(metric: Metric | str, matchers: str = "") -> str:
    """Return a selector."""
    return (metric if isinstance(metric, str) else metric.name) + (f"{{{matchers}}}" if matchers else "")


def over(function: str, what: str, within: int) -> str:
    """Return a function over time."""
    return f"{function}({what}[{duration(within)}])"


def merged(
    p: Parameters,
    metric: Metric,
    *keep: str,
    op: str = "max",
    matchers: str = "",
    function: str = "last_over_time",
    within: int = 0,
) -> str:
    """Return one value for all replicas: right for stamps, of which the latest is true, whoever saw it."""
    value = over(function, selected(metric, matchers), within or p.gap)
    return f"{op} by {own(p, metric, *keep)} ({value})"


def leading(p: Parameters, metric: Metric, *keep: str, matchers: str = "", where: str = "") -> str:
    """Return the value of the replica with the newest good poll: right for counts, states and infos.

    ``where`` is a comparison that leaves most values out before the join, which is what costs.
    """
    value = over("last_over_time", selected(metric, matchers), p.gap) + (f" {where}" if where else "")
    return f"max by {own(p, metric, *keep)} ({value} and on {target(p, p.replica)} {LEADER})"


def lasting(p: Parameters, metric: Metric, *keep: str, op: str = "max") -> str:
    """Return the leading value and, while no replica can be scraped, what was known last."""
    away = over("last_over_time", metric.name, p.memory)
    labels = own(p, metric, *keep)
    return (
        f"(\n  {leading(p, metric, *keep)}\n  or on {labels}\n"
        f"  {op} by {labels} ({away} unless on {target(p)} {LEADER})\n)"
    )


def known(p: Parameters, record: str) -> str:
    """Return a record with the labels of a collection and no others, whatever a ruler has added."""
    return f"max by {place(p)} ({record})"


def indent(expr: str, by: int = 2) -> str:
    """Return an expression of several lines moved to the right, but for its first line."""
    return textwrap.indent(expr, " " * by).lstrip()
