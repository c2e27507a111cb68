"""Alerts on what is known of a collection: stamps and counts that outlive both the job and a gap in our data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.metrics import contract
from exporter.model import FailureClass
from rules import texts
from rules.model import Alert
from rules.promql import over_replicas
from rules.records import AGE, LAST_FAILURE, LAST_SUCCESS
from rules.texts import COUNT, FOR_HOW_LONG, WHEN, WHICH

if TYPE_CHECKING:
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return _stale(p), _never_refreshed(p), _failed(p), _failing_repeatedly(p), _index_wait_timed_out(p)


def _allowed(p: Parameters) -> str:
    return texts.number(p, " Allowed: ", contract.MAX_AGE, "humanizeDuration", ".")


def _stale(p: Parameters) -> Alert:
    none_seen = "No failure is known since: look whether refreshes are still being started."
    return Alert(
        name="MilvusExternalCollectionStale",
        expr=f"{AGE}\n  >\n{over_replicas(p, contract.MAX_AGE)}",
        severity="critical",
        summary=f"Milvus external collection {WHICH} serves data that is too old",
        description=(
            f"The last successful refresh of {WHICH} ended {FOR_HOW_LONG} ago.{_allowed(p)} Searches answer from data "
            f"of that time.{texts.reason(p, contract.LAST_FAILURE_INFO, missing=none_seen)}"
        ),
        why="The symptom itself, whatever the cause. Only for collections whose age the configuration limits.",
        hold=p.stale_for,
        keep=p.fact_keep,
    )


def _never_refreshed(p: Parameters) -> Alert:
    expr = f"""\
(
  time() - {over_replicas(p, contract.CREATED)}
    >
  {over_replicas(p, contract.MAX_AGE)}
  unless
  {LAST_SUCCESS}
)
and
(
  {over_replicas(p, contract.MAX_AGE)}
    < ignoring (database, collection) group_left ()
  (time() - {over_replicas(p, contract.KNOWN_SINCE, op="min")})
)"""
    return Alert(
        name="MilvusExternalCollectionNeverRefreshed",
        expr=expr,
        severity="warning",
        summary=f"Milvus external collection {WHICH} has never been refreshed",
        description=(
            f"{WHICH} was created {FOR_HOW_LONG} ago and no successful refresh of it is known.{_allowed(p)} Searches "
            f"find nothing, or what was loaded before the exporter's memory began."
            f"{texts.reason(p, contract.LAST_FAILURE_INFO, missing='No failure is known either.')}"
        ),
        why=(
            "Often a collection under construction. Silent until the exporter's memory reaches back far enough to know "
            "a success that was within the limit."
        ),
        hold=p.stale_for,
        keep=p.fact_keep,
    )


def _failed(p: Parameters) -> Alert:
    expr = f"""\
{LAST_FAILURE}
  >
(
  {LAST_SUCCESS}
  or
  0 * {LAST_FAILURE}
)"""
    return Alert(
        name="MilvusExternalRefreshFailed",
        expr=expr,
        severity="warning",
        summary=f"The latest refresh of Milvus external collection {WHICH} failed",
        description=(
            f"The refresh of {WHICH} failed at {WHEN} and none has succeeded since: searches answer from older data, "
            f"and Milvus does not try again by itself.{texts.reason(p, contract.LAST_FAILURE_INFO)}"
        ),
        why=(
            "Compares stamps and not states: a pipeline that fails, tries again and fails never leaves the alert, and "
            "a success alone clears it."
        ),
        keep=p.fact_keep,
    )


def _failing_repeatedly(p: Parameters) -> Alert:
    return Alert(
        name="MilvusExternalRefreshFailingRepeatedly",
        expr=f"{over_replicas(p, contract.CONSECUTIVE)} >= {p.failures_in_a_row}",
        severity="critical",
        summary=f"Refreshes of Milvus external collection {WHICH} keep failing",
        description=(
            f"The last {COUNT} refreshes of {WHICH} have all failed: trying again does not help, and searches answer "
            f"from data that grows older.{texts.reason(p, contract.LAST_FAILURE_INFO)}"
        ),
        why="One failure should not need a human, several in a row do. Says the reason itself, as it mutes the other.",
        keep=p.fact_keep,
    )


def _index_wait_timed_out(p: Parameters) -> Alert:
    waited = f'failure_class="{FailureClass.INDEX_WAIT_TIMEOUT}"'
    return Alert(
        name="MilvusExternalRefreshIndexWaitTimedOut",
        expr=over_replicas(
            p, contract.LAST_FAILURE_INFO, "source", "job_id", "failure_class", "reason", matchers=waited
        ),
        severity="info",
        summary=f"The indexes of Milvus external collection {WHICH} were not ready in time",
        description=(
            f"The latest refresh of {WHICH} is applied and its data is served, but Milvus gave up waiting for the "
            f"indexes: searches can be slow until they are built.{texts.reason(p, contract.LAST_FAILURE_INFO)}"
        ),
        why="Milvus calls this job failed. The data is live, so it is no failure here.",
        keep=p.fact_keep,
    )
