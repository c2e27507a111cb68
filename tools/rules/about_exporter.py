"""Alerts on our own sight: without them silence would look like health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import PermissionDenied, Unauthenticated
from exporter.metrics import contract
from rules import texts
from rules.model import Alert, duration
from rules.promql import over_replicas
from rules.texts import COUNT, FOR_HOW_LONG, MILVUS

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return (
        _data_outdated(p),
        _credentials_rejected(p),
        _listing_partial(p),
        _collections_folded(p),
        _state_not_kept(p),
        _config_reload_failed(p),
        _exporter_down(p),
    )


def _data_outdated(p: Parameters) -> Alert:
    polled = over_replicas(p, contract.LAST_POLL_SUCCESS)
    expr = f"""\
time() - ({polled} > 0)
  >
clamp_min({p.missed_polls} * {over_replicas(p, contract.INTERVAL)}, {p.outdated_floor})
or
{polled} == 0"""
    since = f"The last good poll was {FOR_HOW_LONG} ago{{{{ else }}}}No poll has been good since the exporter started"
    return Alert(
        name="MilvusExternalRefreshDataOutdated",
        expr=expr,
        severity="critical",
        summary=f"The refresh jobs of {MILVUS} are not watched: the exporter's data is outdated",
        description=(
            f"{{{{ if $value }}}}{since}{{{{ end }}}}: {MILVUS} is down, does not answer or refuses the exporter. "
            f"Running jobs are not watched, and what is shown of failures and ages is as of then."
        ),
        why="One alert for every way to be blind. 0 means that no poll has been good yet, not one in 1970.",
        hold=p.blind_for,
        of_collection=False,
    )


def _credentials_rejected(p: Parameters) -> Alert:
    kinds = f'kind=~"{Unauthenticated.kind}|{PermissionDenied.kind}"'
    counted = over_replicas(
        p, contract.POLL_ERRORS, "kind", op="sum", matchers=kinds, function="increase", within=p.errors_within
    )
    seen = texts.ask(
        p, f"sum by (kind) (increase(%s[{duration(p.errors_within)}])) > 0", contract.POLL_ERRORS, matchers=kinds
    )
    which = texts.names(seen, "{{ .Labels.kind }}", "kind", " (", ")")
    return Alert(
        name="MilvusExternalRefreshCredentialsRejected",
        expr=f"{counted} > 0\nand\n{over_replicas(p, contract.UP)} == 0",
        severity="critical",
        summary=f"{MILVUS} rejects the exporter's credentials",
        description=(
            f"No poll succeeds because {MILVUS} rejects the exporter{which}: refresh jobs are not watched. "
            f"Check the token or user and password, and the privileges of that user."
        ),
        why="Says what to repair, where the alert on outdated data says only that we are blind.",
        hold=p.blind_for,
        of_collection=False,
    )


def _listing_partial(p: Parameters) -> Alert:
    unlisted = texts.ask(p, "max by (database, collection) (%s)", contract.UNLISTED, of_collection=False)
    shown = "{{ with .Labels.database }}{{ . }}/{{ end }}{{ .Labels.collection }}"
    return Alert(
        name="MilvusExternalRefreshListingPartial",
        expr=f"{over_replicas(p, contract.PARTIAL)} == 1",
        severity="warning",
        summary=f"{MILVUS} cannot list all refresh jobs at once",
        description=(
            f"{MILVUS} refuses to list all refresh jobs at once; the exporter lists the collections one by "
            f"one.{texts.names(unlisted, shown, 'collection', ' Not listed, and shown as of before: ')} Mostly one "
            f"inconsistent job breaks every listing that it is in, until Milvus forgets it a day later."
        ),
        why="What can be listed is watched, so this does not page.",
        hold=p.account_for,
        of_collection=False,
    )


def _collections_folded(p: Parameters) -> Alert:
    return Alert(
        name="MilvusExternalRefreshCollectionsFolded",
        expr=f"{over_replicas(p, contract.COLLECTIONS_FOLDED)} > 0",
        severity="warning",
        summary=f"{MILVUS} has more external collections than the exporter shows one by one",
        description=(
            f"{COUNT} external collections of {MILVUS} have no job series of their own, as limits.max_collections is "
            f"reached: their running jobs are not watched one by one. Raise the limit, or filter."
        ),
        why="Totals stay right, but alerts on running jobs are blind for these.",
        hold=p.account_for,
        of_collection=False,
    )


def _where(p: Parameters, metric: Metric) -> str:
    return texts.names(texts.ask(p, "%s == 0", metric), "{{ .Labels.instance }}", "instance", " (", ")")


def _state_not_kept(p: Parameters) -> Alert:
    unusable = over_replicas(p, contract.STATE_OK, op="min")
    errors = over_replicas(p, contract.STATE_WRITE_ERRORS, op="max", function="increase", within=p.errors_within)
    return Alert(
        name="MilvusExternalRefreshStateNotKept",
        expr=f"{unusable} == 0\nor\n{errors} > 0",
        severity="warning",
        summary=f"The exporter of {MILVUS} cannot keep its state file",
        description=(
            f"The state file of the exporter of {MILVUS}{_where(p, contract.STATE_OK)} cannot be used or written. It "
            f"works from memory: after a restart it knows only what Milvus still lists, which is a day. See its log, "
            f"the volume's free space and who may write there."
        ),
        why="Nothing is lost until the next restart.",
        hold=p.account_for,
        of_collection=False,
    )


def _config_reload_failed(p: Parameters) -> Alert:
    good = over_replicas(p, contract.CONFIG_GOOD, op="min", function="max_over_time", within=p.reload_within)
    return Alert(
        name="MilvusExternalRefreshConfigReloadFailed",
        expr=f"{good} == 0",
        severity="warning",
        summary=f"The exporter of {MILVUS} could not reload its configuration",
        description=(
            f"The exporter of {MILVUS}{_where(p, contract.CONFIG_GOOD)} has refused its new configuration and runs "
            f"on with the old one; it would not start with the new one. Its log names every fault."
        ),
        why="Looks back a few minutes, so that a failed scrape does not hide it.",
        hold=p.reload_for,
        of_collection=False,
    )


def _exporter_down(p: Parameters) -> Alert:
    replicas = ", ".join(p.replica_labels)
    return Alert(
        name="MilvusExternalRefreshExporterDown",
        expr=f'max without ({replicas}) (up{{job="{p.job}"}}) == 0\nor\nabsent(up{{job="{p.job}"}})',
        severity="critical",
        summary=f"The exporter of {MILVUS} is down",
        description=(
            f"Prometheus cannot scrape the exporter of {MILVUS} (job {{{{ $labels.job }}}}): its refresh jobs are not "
            f"watched, and no other alert on them can fire."
        ),
        why=(
            "Down while present, each Milvus for itself, or gone from service discovery. Kept firing from the one "
            "to the other, whose labels are fewer."
        ),
        hold=p.blind_for,
        keep=p.blind_for,
        of_collection=False,
    )
