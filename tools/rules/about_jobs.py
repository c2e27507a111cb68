"""Alerts on the running job. Their series are withheld while our data is too old, so they are kept for longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.metrics import contract
from rules import texts
from rules.model import Alert
from rules.promql import newest_job, over_replicas
from rules.records import ELAPSED, STILL, WAITING, longest_known
from rules.texts import FOR_HOW_LONG, WHICH

if TYPE_CHECKING:
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return _pending_too_long(p), _stuck(p), _slow(p), _past_server_timeout(p)


def _alert(p: Parameters, **parts: Any) -> Alert:
    return Alert(hold=p.job_for, keep=p.job_keep, **parts)


def _job(p: Parameters) -> str:
    return texts.reason(p, contract.LAST_INFO, unstated="Milvus states no reason", missing="See the exporter's page.")


def _progress(p: Parameters) -> str:
    return texts.number(p, ", at ", contract.LAST_PROGRESS, "humanizePercentage", "")


def _pending_too_long(p: Parameters) -> Alert:
    return _alert(
        p,
        name="MilvusExternalRefreshPendingTooLong",
        expr=WAITING,
        severity="warning",
        summary=f"A refresh of Milvus external collection {WHICH} does not get beyond pending",
        description=(
            f"The refresh of {WHICH} has been pending for {FOR_HOW_LONG} with nothing done. Mostly Milvus cannot list "
            f"the source and keeps trying until it times the job out; meanwhile no other refresh of this collection "
            f"can start.{_job(p)}"
        ),
        why="A source that cannot be listed is retried in silence until the time-out.",
    )


def _stuck(p: Parameters) -> Alert:
    progress, known = newest_job(p, contract.LAST_PROGRESS), longest_known(p)
    expr = f"""\
(
  {STILL} > {p.still}
  unless
  {WAITING}
)
and
(
  {progress} > 0 < {p.index_wait_from}
  or
  ({ELAPSED} unless {ELAPSED} <= {p.slow_factor} * {known})
)"""
    return _alert(
        p,
        name="MilvusExternalRefreshStuck",
        expr=expr,
        severity="warning",
        summary=f"A refresh of Milvus external collection {WHICH} makes no progress",
        description=(
            f"The running refresh of {WHICH} has shown no progress for {FOR_HOW_LONG}{_progress(p)}. Its data is not "
            f"live yet, and no other refresh of this collection can start before it ends.{_job(p)}"
        ),
        why=(
            "A job of one task stands at 0 and the wait for indexes at 0.9 or more, both for as long as they take: "
            "there the collection's own past is the measure. Between the two a standstill tells by itself."
        ),
    )


def _slow(p: Parameters) -> Alert:
    return _alert(
        p,
        name="MilvusExternalRefreshSlow",
        expr=f"{ELAPSED} > {p.slow_factor} * {longest_known(p)}\nand\n{ELAPSED} > {p.slow_floor}",
        severity="info",
        summary=f"A refresh of Milvus external collection {WHICH} takes unusually long",
        description=(
            f"The refresh of {WHICH} has been running for {FOR_HOW_LONG}, more than {p.slow_factor} times as long as "
            f"its longest success of late{_progress(p)}.{_job(p)}"
        ),
        why="Context for whoever looks, and no page.",
    )


def _past_server_timeout(p: Parameters) -> Alert:
    limit, progress = over_replicas(p, contract.SERVER_TIMEOUT), newest_job(p, contract.LAST_PROGRESS)
    matching = "ignoring (database, collection) group_left ()"
    expr = f"""\
(
  {ELAPSED}
    > {matching}
  ({limit} + {p.timeout_margin})
)
unless
(
  {progress} >= {p.index_wait_from}
  and
  {ELAPSED}
    <= {matching}
  (2 * {limit} + {p.timeout_margin})
)"""
    timeout = texts.number(
        p, "Milvus should have ended it after ", contract.SERVER_TIMEOUT, "humanizeDuration", " itself"
    )
    return _alert(
        p,
        name="MilvusExternalRefreshPastServerTimeout",
        expr=expr,
        severity="critical",
        summary=f"Milvus does not time out a refresh of external collection {WHICH}",
        description=(
            f"The refresh of {WHICH} has been running for {FOR_HOW_LONG}{_progress(p)}. {timeout} and has not: the "
            f"checker in DataCoord does not run, the last step of the job fails again and again, or the time-out was "
            f"raised and server.job_timeout here was not.{_job(p)}"
        ),
        why=(
            "Milvus ends a job at its time-out, so a job beyond it means that Milvus's own guard has failed. A job "
            "that may be waiting for indexes gets twice that time."
        ),
    )
