"""Alerts on the running job. While its series are withheld or the exporter is away, what was known last holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.metrics import contract
from rules import texts
from rules.model import Alert
from rules.promql import PLACE, merged, place, target
from rules.records import ELAPSED, STILL, WAITING, longest_known, progress, running
from rules.texts import FOR_HOW_LONG, WHICH

if TYPE_CHECKING:
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return _pending_too_long(p), _stuck(p), _slow(p), _past_server_timeout(p)


def _alert(p: Parameters, **parts: Any) -> Alert:
    return Alert(hold=p.job_for, **parts)


def _job(p: Parameters) -> str:
    return texts.job(p, contract.LAST_INFO)


def _progress(p: Parameters) -> str:
    return texts.number(p, ", at ", contract.LAST_PROGRESS, "humanizePercentage", "", *PLACE)


def _timeout(p: Parameters) -> str:
    return merged(p, contract.SERVER_TIMEOUT, within=p.memory)


def _pending_too_long(p: Parameters) -> Alert:
    return _alert(
        p,
        name="MilvusExternalRefreshPendingTooLong",
        expr=running(p, WAITING),
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
    elapsed = running(p, ELAPSED)
    expr = f"""\
(
  {running(p, STILL)} > {p.still}
  unless on {place(p)}
  {WAITING}
)
and on {place(p)}
(
  {progress(p)} > 0 < {p.index_wait_from}
  or on {place(p)}
  ({elapsed} > on {place(p)} {p.slow_factor} * {longest_known(p)})
  or on {place(p)}
  (({elapsed} unless on {place(p)} {longest_known(p)}) > on {target(p)} group_left () {_timeout(p)})
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
            "there the collection's own past is the measure, and Milvus's time-out where no past is known. Between the "
            "two a standstill tells by itself."
        ),
    )


def _slow(p: Parameters) -> Alert:
    return _alert(
        p,
        name="MilvusExternalRefreshSlow",
        expr=(
            f"{running(p, ELAPSED)}\n  > on {place(p)}\nclamp_min({p.slow_factor} * {longest_known(p)}, {p.slow_floor})"
        ),
        severity="info",
        summary=f"A refresh of Milvus external collection {WHICH} takes unusually long",
        description=(
            f"The refresh of {WHICH} has been running for {FOR_HOW_LONG}, more than {p.slow_factor} times as long as "
            f"its longest success of late{_progress(p)}.{_job(p)}"
        ),
        why="Context for whoever looks, and no page.",
    )


def _past_server_timeout(p: Parameters) -> Alert:
    limit, elapsed = _timeout(p), running(p, ELAPSED)
    matching = f"on {target(p)} group_left ()"
    expr = f"""\
(
  {elapsed}
    > {matching}
  ({limit} + {p.timeout_margin})
)
unless on {place(p)}
(
  {progress(p)} >= {p.index_wait_from}
  and on {place(p)}
  {elapsed}
    <= {matching}
  (2 * {limit} + {p.timeout_margin})
)"""
    timeout = texts.number(
        p, "Milvus should have ended it after ", contract.SERVER_TIMEOUT, "humanizeDuration", " itself and has not."
    )
    return _alert(
        p,
        name="MilvusExternalRefreshPastServerTimeout",
        expr=expr,
        severity="warning",
        summary=f"Milvus does not time out a refresh of external collection {WHICH}",
        description=(
            f"The refresh of {WHICH} has been running for {FOR_HOW_LONG}{_progress(p)}. {timeout} Either the "
            f"checker in DataCoord does not run, the last step of the job fails again and again, or the time-out was "
            f"raised and server.job_timeout here was not.{_job(p)}"
        ),
        why=(
            "Milvus ends a job at its time-out, so a job beyond it means that Milvus's own guard has failed. A job "
            "that may be waiting for indexes gets twice that time."
        ),
    )
