"""Alerts on the exporter's account of itself: what it cannot keep, list or read, while it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import PermissionDenied, Unauthenticated
from exporter.metrics import contract
from rules import texts
from rules.model import Alert, duration
from rules.promql import merged, over, place, selected, target
from rules.records import LAST_FAILURE, LAST_SUCCESS
from rules.texts import COUNT, FOR_HOW_LONG, MILVUS

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return (
        _credentials_rejected(p),
        _inventory_outdated(p),
        _listing_partial(p),
        _collections_folded(p),
        _state_not_kept(p),
        _config_reload_failed(p),
    )


def clock(p: Parameters) -> tuple[Alert, ...]:
    """Return the alert on clocks, which looks at every collection and so takes longer than the others."""
    return (_clock_wrong(p),)


def _credentials_rejected(p: Parameters) -> Alert:
    kinds = f'kind=~"{Unauthenticated.kind}|{PermissionDenied.kind}"'
    counted = over("increase", selected(contract.POLL_ERRORS, kinds), p.errors_within)
    seen = texts.ask(
        p, f"sum by (kind) (increase(%s[{duration(p.errors_within)}])) > 0", contract.POLL_ERRORS, matchers=kinds
    )
    which = texts.names(seen, "{{ .Labels.kind }}", "kind", " (", ")")
    up = merged(p, contract.UP, function="max_over_time")
    return Alert(
        name="MilvusExternalRefreshCredentialsRejected",
        expr=f"sum by {target(p)} ({counted}) > 0\nand on {target(p)}\n{up} == 0",
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


def _inventory_outdated(p: Parameters) -> Alert:
    read = merged(p, contract.INVENTORY_SUCCESS, function="max_over_time", within=p.memory)
    errors = over("increase", contract.INVENTORY_ERRORS.name, p.errors_within)
    return Alert(
        name="MilvusExternalRefreshInventoryOutdated",
        expr=(f"time() - {read}\n  > {p.inventory_floor}\nand on {target(p)}\nsum by {target(p)} ({errors}) > 0"),
        severity="warning",
        summary=f"The exporter cannot read which external collections {MILVUS} has",
        description=(
            f"Reading the inventory of {MILVUS} fails: collections that are new or dropped are not known, and one that "
            f"was never refreshed raises no alert. Most often the exporter's user lacks a privilege."
        ),
        why="Silent where the inventory is switched off: without attempts there are no errors.",
        hold=p.account_for,
        of_collection=False,
    )


def _clock_wrong(p: Parameters) -> Alert:
    polled = f"last_over_time({contract.LAST_POLL_SUCCESS.name}[{duration(p.gap)}] offset {duration(p.errors_within)})"
    seen = f"max by {target(p)} ({polled}) > time() - {p.clock_behind}"

    def new(record: str) -> str:
        changed = f"max by {place(p)} ({over('changes', record, p.scrapes_within)}) > 0"
        age = f"(time() - max by {place(p)} ({record})) > {p.clock_behind}"
        return f"max by {target(p)} (\n  {age}\n  and on {place(p)}\n  {changed}\n  and on {target(p)}\n  ({seen})\n)"

    def ahead(record: str) -> str:
        return f"-max by {target(p)} ({record} - time() > {p.clock_ahead})"

    return Alert(
        name="MilvusExternalRefreshClockWrong",
        expr="\nor\n".join(each(record) for record in (LAST_SUCCESS, LAST_FAILURE) for each in (ahead, new)),
        severity="warning",
        summary=f"The clocks of {MILVUS} and of Prometheus do not agree",
        description=(
            f"A refresh of {MILVUS} has just ended, {{{{ if lt $value 0.0 }}}}in the future by the clock of "
            f"Prometheus{{{{ else }}}}and {FOR_HOW_LONG} ago by its own clock{{{{ end }}}}: ages of data and run times "
            f"are wrong by as much, and so are the alerts on them. See to the clocks of Milvus, of the exporter and of "
            f"Prometheus (NTP)."
        ),
        why="An end that is long past when first seen, though polls have been good, was stamped by a wrong clock.",
        keep=p.clock_keep,
        of_collection=False,
    )


def _listing_partial(p: Parameters) -> Alert:
    unlisted = texts.ask(p, "max by (database, collection) (%s)", contract.UNLISTED)
    shown = "{{ with .Labels.database }}{{ . }}/{{ end }}{{ .Labels.collection }}"
    partial = merged(p, contract.PARTIAL, function="avg_over_time", within=p.partial_within)
    return Alert(
        name="MilvusExternalRefreshListingPartial",
        expr=f"{partial} > 0.5",
        severity="warning",
        summary=f"{MILVUS} cannot list all refresh jobs at once",
        description=(
            f"{MILVUS} refuses to list all refresh jobs at once; the exporter lists the collections one by "
            f"one.{texts.names(unlisted, shown, 'collection', ' Not listed, and shown as of before: ')} Mostly one "
            f"inconsistent job breaks every listing that it is in, until Milvus forgets it a day later."
        ),
        why="What can be listed is watched, so this does not page. Most polls count: one good one in ten is no cure.",
        hold=p.account_for,
        of_collection=False,
    )


def _collections_folded(p: Parameters) -> Alert:
    return Alert(
        name="MilvusExternalRefreshCollectionsFolded",
        expr=f"{merged(p, contract.COLLECTIONS_FOLDED)} > 0",
        severity="warning",
        summary=f"{MILVUS} has more external collections than the exporter shows one by one",
        description=(
            f"{COUNT} external collections of {MILVUS} have no job series of their own, as limits.max_collections is "
            f"reached: their running jobs are not watched one by one. Raise the limit, or filter."
        ),
        why="Totals stay right, but alerts on running jobs are blind for these.",
        hold=p.folded_for,
        of_collection=False,
    )


def _where(p: Parameters, metric: Metric) -> str:
    return texts.names(texts.ask(p, "%s == 0", metric), "{{ .Labels.instance }}", "instance", " (", ")")


def _state_not_kept(p: Parameters) -> Alert:
    unusable = merged(p, contract.STATE_OK, op="min", function="max_over_time")
    errors = merged(p, contract.STATE_WRITE_ERRORS, function="changes", within=p.errors_within)
    return Alert(
        name="MilvusExternalRefreshStateNotKept",
        expr=f"{unusable} == 0\nor\n{errors} >= 2",
        severity="warning",
        summary=f"The exporter of {MILVUS} cannot keep its state file",
        description=(
            f"The state file of the exporter of {MILVUS}{_where(p, contract.STATE_OK)} cannot be used or written. It "
            f"works from memory: after a restart it knows only what Milvus still lists, which is a day. See its log, "
            f"the volume's free space and who may write there."
        ),
        why="Nothing is lost until the next restart. One write that failed is made good by the next one, two are not.",
        hold=p.account_for,
        of_collection=False,
    )


def _config_reload_failed(p: Parameters) -> Alert:
    good = merged(p, contract.CONFIG_GOOD, op="min", function="max_over_time")
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
