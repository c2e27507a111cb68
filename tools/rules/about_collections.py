"""Alerts on what is known of one collection: stamps and counts that outlive both the job and a gap in our data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.metrics import contract
from exporter.model import FailureClass
from rules import texts
from rules.model import Alert, duration
from rules.promql import indent, known, lasting, leading, merged, over, place, target
from rules.records import CAUSE, FAILING, LAST_SUCCESS, STALE, UNRELIABLE
from rules.texts import COUNT, FOR_HOW_LONG, WHEN, WHICH

if TYPE_CHECKING:
    from rules.parameters import Parameters


_LOOK: Final = "The exporter's page says whether there is a failure and whether refreshes are still being started."


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return (
        _stale(p),
        _never_refreshed(p),
        _failed(p),
        _failing_repeatedly(p),
        _unreliable(p),
        _index_wait_timed_out(p),
    )


def shared_stale(p: Parameters) -> str:
    """Return how many collections are too old for one cause, where they are many."""
    return f"count by {target(p, *CAUSE)} (max by {place(p, *CAUSE)} ({STALE})) >= {p.shared_from}"


def shared_failing(p: Parameters) -> str:
    """Return how many collections fail for one cause, where they are many."""
    return f"{lasting(p, contract.FAILING, *CAUSE)} >= {p.shared_from}"


def _unless_told(p: Parameters, alert: str, told: str) -> str:
    """Return the end of an expression: what another alert tells is left out, unless it has fired already.

    An alert that ended because another has taken its place would look like an all-clear.
    """
    fired = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    return f"unless on {place(p)}\n(\n  {indent(told)}\n  unless on {place(p)}\n  {fired}\n)"


def _failing_for_many(p: Parameters) -> str:
    return f"{FAILING}\nand on {target(p, *CAUSE)}\n({indent(shared_failing(p))})"


def _stale(p: Parameters) -> Alert:
    name = "MilvusExternalCollectionStale"
    many = f"{STALE}\nand on {target(p, *CAUSE)}\n({indent(shared_stale(p))})"
    return Alert(
        name=name,
        expr=f"{known(p, STALE)}\n{_unless_told(p, name, many)}",
        severity="critical",
        summary=f"Milvus external collection {WHICH} serves data that is too old",
        description=(
            f"The last successful refresh of {WHICH} ended {FOR_HOW_LONG} ago.{texts.allowed(p, contract.MAX_AGE)} "
            f"Searches answer from data of that time."
            f"{texts.reason(p, missing=_LOOK)}"
        ),
        why="The symptom itself, whatever the cause. Only for collections whose age the configuration limits.",
    )


def _never_refreshed(p: Parameters) -> Alert:
    name = "MilvusExternalCollectionNeverRefreshed"
    limit = f"({merged(p, contract.MAX_AGE, within=p.memory)} + {p.stale_margin})"
    since = merged(p, contract.KNOWN_SINCE, op="min", within=p.memory)
    expr = f"""\
(
  (time() - {indent(lasting(p, contract.CREATED))})
    > on {place(p)}
  {limit}
  unless on {place(p)}
  {LAST_SUCCESS}
  unless on {place(p)}
  {merged(p, contract.LAST_SUCCESS)}
)
and on {place(p)}
(
  {limit}
    < on {target(p)} group_left ()
  (time() - {since})
)
{_unless_told(p, name, _failing_for_many(p))}"""
    return Alert(
        name=name,
        expr=expr,
        severity="warning",
        summary=f"No successful refresh of Milvus external collection {WHICH} is known",
        description=(
            f"{WHICH} was created {FOR_HOW_LONG} ago and no successful refresh of it is known."
            f"{texts.allowed(p, contract.MAX_AGE)} Searches find nothing, or what was loaded before the exporter's "
            f"memory began.{texts.reason(p)}"
        ),
        why=(
            "Often a collection under construction. Silent until the exporter's memory reaches back far enough to know "
            "a success that was within the limit. Asks for the success itself, too: at a start its record comes later."
        ),
    )


def _failed(p: Parameters) -> Alert:
    name = "MilvusExternalRefreshFailed"
    unreliable = f"{over('last_over_time', UNRELIABLE, p.baseline_lasts)}"
    told = f"(\n  {indent(_failing_for_many(p))}\n)\nor on {place(p)}\n{unreliable}"
    return Alert(
        name=name,
        expr=f"{known(p, FAILING)}\n{_unless_told(p, name, f'({chr(10)}  {indent(told)}{chr(10)})')}",
        severity="warning",
        summary=f"The latest refresh of Milvus external collection {WHICH} failed",
        description=(
            f"The refresh of {WHICH} failed at {WHEN} and none has succeeded since: searches answer from older data, "
            f"and Milvus does not try again by itself.{texts.age(p)}{texts.allowed(p, contract.MAX_AGE)}"
            f"{texts.reason(p)}"
        ),
        why=(
            "A fact that a success alone clears. Silent where many collections fail for one cause, and where failures "
            "and successes take turns: those are alerts of their own."
        ),
    )


def _failing_repeatedly(p: Parameters) -> Alert:
    name = "MilvusExternalRefreshFailingRepeatedly"
    return Alert(
        name=name,
        expr=(
            # The record is a moment later than the count, and says whether it is one of many.
            f"{lasting(p, contract.CONSECUTIVE)} >= {p.failures_in_a_row}\nand on {place(p)}\n{FAILING}\n"
            f"{_unless_told(p, name, _failing_for_many(p))}"
        ),
        severity="warning",
        summary=f"Refreshes of Milvus external collection {WHICH} keep failing",
        description=(
            f"The last {COUNT} refreshes of {WHICH} have all failed: trying again does not help, and searches answer "
            f"from data that grows older.{texts.age(p)}{texts.allowed(p, contract.MAX_AGE)}{texts.reason(p)}"
        ),
        why="One failure should not need a human, several in a row do. Says the reason itself, as it mutes the other.",
    )


def _unreliable(p: Parameters) -> Alert:
    return Alert(
        name="MilvusExternalRefreshUnreliable",
        expr=f"max by {place(p)} ({over('last_over_time', UNRELIABLE, p.baseline_lasts)})",
        severity="warning",
        summary=f"Refreshes of Milvus external collection {WHICH} fail every now and then",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the refreshes of {WHICH} in the last "
            f"{duration(p.unreliable_within)} have failed, and the others have not.{texts.age(p)}"
            f"{texts.allowed(p, contract.MAX_AGE)}{texts.reason(p)}"
        ),
        why="One alert that stays, where each failure by itself would be told and taken back by the next success.",
    )


def _index_wait_timed_out(p: Parameters) -> Alert:
    waited = f'failure_class="{FailureClass.INDEX_WAIT_TIMEOUT}"'
    return Alert(
        name="MilvusExternalRefreshIndexWaitTimedOut",
        expr=leading(p, contract.LAST_FAILURE_INFO, matchers=waited),
        severity="info",
        summary=f"The indexes of Milvus external collection {WHICH} were not ready in time",
        description=(
            f"The latest refresh of {WHICH} is applied and its data is served, but Milvus gave up waiting for the "
            f"indexes: searches can be slow until they are built.{texts.reason(p)}"
        ),
        why="Milvus calls this job failed. The data is live, so it is no failure here.",
    )
