"""Recording rules: what several alerts read, what Prometheus remembers, and the share of time with fresh data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.metrics import contract
from exporter.metrics.contract import PREFIX
from exporter.model import State
from rules.model import Record, duration
from rules.promql import newest_job, over_replicas

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters

LAST_SUCCESS: Final = f"collection:{contract.LAST_SUCCESS.name}:remembered"
LAST_FAILURE: Final = f"collection:{contract.LAST_FAILURE.name}:remembered"
AGE: Final = f"collection:{PREFIX}age_seconds:min"
FRESH: Final = f"collection:{PREFIX}fresh:bool"
ELAPSED: Final = f"collection:{PREFIX}job_elapsed_seconds:max"
STILL: Final = f"collection:{PREFIX}job_progress_age_seconds:min"
WAITING: Final = f"collection:{PREFIX}job_pending_seconds:max"
LONGEST: Final = f"collection:{PREFIX}success_duration_seconds:longest"


def records(p: Parameters) -> tuple[Record, ...]:
    """Return the records of the main group, in the order in which they read each other."""
    return (
        _remembered(p, LAST_SUCCESS, contract.LAST_SUCCESS),
        _remembered(p, LAST_FAILURE, contract.LAST_FAILURE),
        Record(AGE, f"time() - {LAST_SUCCESS}", "How old the data of a collection is."),
        Record(
            FRESH,
            f"{AGE}\n  <= bool\n{over_replicas(p, contract.MAX_AGE)}",
            "1 while the data is as fresh as promised. Its average over time is a freshness objective.",
        ),
        _elapsed(p),
        Record(
            STILL,
            f"(\n  time() - {newest_job(p, contract.LAST_CHANGE)}\n)\nand\n{ELAPSED}",
            "How long the progress of the running job has stood still, as far as the exporter has seen it.",
        ),
        _waiting(p),
    )


def longest(p: Parameters) -> Record:
    """Return the baseline of a slow job, which stands in a group of its own."""
    durations = over_replicas(p, contract.LAST_SUCCESS_DURATION, function="max_over_time", within=p.baseline) + " > 0"
    why = f"The longest successful refresh of the last {duration(p.baseline)}: what is slow is told by its own past."
    return Record(LONGEST, durations, why)


def longest_known(p: Parameters) -> str:
    """Return the baseline as the main group reads it, whose evaluations come more often."""
    return f"last_over_time({LONGEST}[{duration(p.baseline_lasts)}])"


def _remembered(p: Parameters, name: str, metric: Metric) -> Record:
    created = over_replicas(p, contract.CREATED)
    exists = f"0 * {over_replicas(p, contract.INFO, 'source')}"
    expr = f"""\
{over_replicas(p, metric)}
or
(
  last_over_time({name}[{duration(p.memory)}])
    >
  (
    {created}
    or
    {exists}
  )
)"""
    why = (
        "Milvus forgets an ended job after a day, and an exporter without a state file does so when it restarts. "
        "Prometheus remembers in its place as long as the collection exists, and not for one that was dropped and "
        "created again."
    )
    return Record(name, expr, why)


def _elapsed(p: Parameters) -> Record:
    active = f'state=~"{State.PENDING}|{State.IN_PROGRESS}"'
    expr = f"""\
(
  time() - {newest_job(p, contract.LAST_START)}
)
and
{newest_job(p, contract.LAST_STATE, "state", matchers=active)} == 1"""
    return Record(ELAPSED, expr, "How long the active job of a collection has been running.")


def _waiting(p: Parameters) -> Record:
    pending = f'state="{State.PENDING}"'
    expr = f"""\
(
  {ELAPSED} > {p.pending}
  and
  {newest_job(p, contract.LAST_STATE, "state", matchers=pending)} == 1
)
unless
{newest_job(p, contract.LAST_PROGRESS)} > 0"""
    why = "Pending for long with nothing done. A job of several tasks can fall back to pending with some of them done."
    return Record(WAITING, expr, why)
