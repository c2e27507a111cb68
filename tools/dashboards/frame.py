"""What surrounds the panels: variables, annotations and links, with what all dashboards share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, VariableOption, VariableRefresh, VariableSort

from dashboards import look, promql
from dashboards.panels import NAME, SOURCE
from exporter.metrics import contract

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNBOOKS: Final = promql.LIMITS.runbooks
EXPORTER: Final = "http://localhost:19540"
DASHBOARDS: Final = {
    "milvus-refresh-list": "All collections",
    "milvus-refresh-collection": "One collection",
    "milvus-refresh-health": "Exporter",
}
"""uid and what links call it."""
_YES: Final = True  # the SDK takes its switches by position
_ALL: Final = VariableOption(selected=True, text=["All"], value=["$__all"])

# What outlives a stale snapshot: with an inventory, with outcomes, with a configured age.
_KNOWN: Final = "|".join(metric.name for metric in (contract.INFO, contract.CONSECUTIVE, contract.MAX_AGE))
# Of each Milvus, and of an exporter that watches several of them and has none of their series.
_EXPORTERS: Final = f"{contract.UP.name}|{contract.BUILD_INFO.name}"


def exporters() -> Sequence[Any]:
    """Return the variables that all dashboards have: which exporters, of which Milvus."""
    cluster, namespace = 'cluster=~"$cluster"', 'namespace=~"$namespace"'
    return (
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _every("cluster", "Cluster", _EXPORTERS),
        _every("namespace", "Namespace", _EXPORTERS, cluster),
        # No pattern for all: what other programs are called is none of our business.
        _many(_query("job", "Scrape job", _EXPORTERS, cluster, namespace)),
        _every("milvus", "Milvus", _EXPORTERS, promql.EXPORTERS),
    )


def collections(runbooks: str, exporter: str, *, detail: bool) -> Sequence[Any]:
    """Return the variables of dashboards on collections. The addresses are without a slash at the end."""
    collection = _query("collection", "Collection", _KNOWN, promql.DATABASE)
    sources = "|".join(metric.name for metric in (contract.INFO, contract.JOBS, contract.LAST_FAILURE_INFO))
    source = _query("source", "Source", sources, promql.PLACE)
    return (
        *exporters(),
        _every("database", "Database", _KNOWN, promql.OURS),
        collection if detail else _many(collection).all_value(".*"),
        _many(source) if detail else _text("source", "Source (pattern)", ".*"),
        build.ConstantVariable("runbooks").label("Base address of the runbooks").value(runbooks),
        _text("exporter", "Exporter's page", exporter),
    )


def _many(variable: build.QueryVariable) -> build.QueryVariable:
    return variable.multi(_YES).include_all(_YES).current(_ALL)


def _every(name: str, label: str, metrics: str, *scope: str) -> build.QueryVariable:
    """Return a variable that by itself also takes in what does not have the label."""
    return _many(_query(name, label, metrics, *scope)).all_value(".*")


def _query(name: str, label: str, metrics: str, *scope: str) -> build.QueryVariable:
    # The names of the metrics stand in a matcher: with one name, collections would be missing where there is no
    # inventory, or no age is configured.
    matchers = ", ".join((f'__name__=~"{metrics}"', *scope))
    query = f"label_values({{{matchers}}}, {name})"
    made = build.QueryVariable(name).label(label).datasource(SOURCE).query(query)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _text(name: str, label: str, default: str) -> build.TextBoxVariable:
    made = build.TextBoxVariable(name).label(label).default_value(default)
    return made.current(VariableOption(selected=True, text=default, value=default))


def marks(*, failures: bool) -> Sequence[Any]:
    """Return failures, successes and restarts, each at its own time; ``failures``: whether they are shown at first.

    On a page with a thousand collections that is too much to load unasked.
    """
    failed, succeeded = (promql.of(metric, promql.PLACE) for metric in (contract.LAST_FAILURE, contract.LAST_SUCCESS))
    return (
        _mark("Failures", look.BAD, failed, enabled=failures),
        _mark("Successes", look.GOOD, succeeded, enabled=False),
        starts(),
    )


def starts() -> build.AnnotationQuery:
    """Return the starts of exporters."""
    started = f"process_start_time_seconds{{{promql.EXPORTERS}}}"
    title = "{{cluster}} {{job}} {{instance}}"
    return _mark("Exporter starts", look.BUSY, started, enabled=True, by=promql.identity("instance"), title=title)


def _mark(
    name: str, color: str, stamp: str, *, enabled: bool, by: str = promql.BY_PLACE, title: str = NAME
) -> build.AnnotationQuery:
    # Only where the stamp has changed: one point for each, instead of one for each minute.
    expr = f"(max by {by} ({stamp})\n  unless max by {by} ({stamp}) == max by {by} ({stamp} offset 1m)) * 1000"
    made = build.AnnotationQuery().name(name).datasource(SOURCE).icon_color(color).enable(enabled).expr(expr)
    return made.use_value_for_time(_YES).title_format(title).step("60s")


def links(own_uid: str, *, exporter_page: bool = True) -> Sequence[Any]:
    """Return the links at the top: to the other two dashboards, the runbooks, the exporter's page, Milvus's own."""
    others = [_sibling(uid, title) for uid, title in DASHBOARDS.items() if uid != own_uid]
    milvus = build.DashboardLink("Milvus").type(DashboardLinkType.DASHBOARDS).tags(["milvus"]).as_dropdown(_YES)
    milvus.tooltip("Everything with the tag milvus; give Milvus's own dashboard that tag and it is listed here")
    pages = (
        _address("Runbooks", "${runbooks}", "doc", "What each alert means and what to do"),
        _address("Exporter's page", "${exporter}", "external link", "The same facts, of this minute"),
    )
    return (*others, milvus, *(pages if exporter_page else ()))


def _sibling(uid: str, title: str) -> build.DashboardLink:
    """Return a link that keeps what all dashboards have. One collection is not all of them, nor the other way round."""
    shared = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", *promql.IDENTITY))
    made = build.DashboardLink(title).type(DashboardLinkType.LINK).url(f"/d/{uid}?{shared}").icon("dashboard")
    return made.keep_time(_YES)


def _address(title: str, url: str, icon: str, tooltip: str) -> build.DashboardLink:
    made = build.DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon(icon).tooltip(tooltip)
    return made.target_blank(_YES)
