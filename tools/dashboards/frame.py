"""What surrounds the panels: variables, annotations and links. The same for both dashboards, so links carry over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, VariableOption, VariableRefresh, VariableSort

from dashboards import look, promql
from dashboards.layout import TAG
from dashboards.panels import SOURCE
from exporter.metrics import contract

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNBOOKS: Final = promql.LIMITS.runbooks
EXPORTER: Final = "http://localhost:19540"
_YES: Final = True  # the SDK takes its switches by position
_ALL: Final = VariableOption(selected=True, text=["All"], value=["$__all"])

# What outlives a stale snapshot: with an inventory, with outcomes, with a configured age.
_KNOWN: Final = "|".join(metric.name for metric in (contract.INFO, contract.CONSECUTIVE, contract.MAX_AGE))


def variables(runbooks: str, exporter: str, *, detail: bool) -> Sequence[Any]:
    """Return the variables. ``runbooks`` and ``exporter`` are base addresses, without a slash at the end."""
    collection = _query("collection", "Collection", promql.DATABASE)
    return (
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _many(_query("job", "Job", "")),
        _many(_query("milvus", "Milvus", 'job=~"$job"')).all_value(".*"),
        _many(_query("database", "Database", promql.OURS)).all_value(".*"),
        collection if detail else _many(collection).all_value(".*"),
        _many(_query("source", "Source", promql.PLACE)) if detail else _text("source", "Source (pattern)", ".*"),
        build.ConstantVariable("runbooks").label("Base address of the runbooks").value(runbooks),
        _text("exporter", "Exporter's page", exporter),
    )


def _many(variable: build.QueryVariable) -> build.QueryVariable:
    return variable.multi(_YES).include_all(_YES).current(_ALL)


def _query(name: str, label: str, scope: str) -> build.QueryVariable:
    # The names of the metrics stand in a matcher: with one name, collections would be missing where there is no
    # inventory, or no age is configured.
    known = f'__name__=~"{_KNOWN}"' if name != "job" else f'__name__="{contract.UP.name}"'
    if name == "source":
        known = f'__name__=~"{contract.INFO.name}|{contract.JOBS.name}|{contract.LAST_FAILURE_INFO.name}"'
    query = f"label_values({{{', '.join(filter(None, (known, scope)))}}}, {name})"
    made = build.QueryVariable(name).label(label).datasource(SOURCE).query(query)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _text(name: str, label: str, default: str) -> build.TextBoxVariable:
    made = build.TextBoxVariable(name).label(label).default_value(default)
    return made.current(VariableOption(selected=True, text=default, value=default))


def marks() -> Sequence[Any]:
    """Return failures, successes (switched off at first: there are many) and restarts, each at its own time."""
    restart = 'max by (job, instance) (process_start_time_seconds{job=~"$job"}) * 1000'
    return (
        _mark("Failures", look.BAD, f"{promql.place(contract.LAST_FAILURE)} * 1000", enabled=True),
        _mark("Successes", look.GOOD, f"{promql.place(contract.LAST_SUCCESS)} * 1000", enabled=False),
        _mark("Exporter starts", look.BUSY, restart, enabled=True, title="{{job}} {{instance}}"),
    )


def _mark(
    name: str, color: str, expr: str, *, enabled: bool, title: str = "{{database}}/{{collection}} {{milvus}}"
) -> build.AnnotationQuery:
    made = build.AnnotationQuery().name(name).datasource(SOURCE).icon_color(color).enable(enabled).expr(expr)
    return made.use_value_for_time(_YES).title_format(title).step("60s")


def links() -> Sequence[Any]:
    """Return the links at the top: each dashboard to the other, the runbooks, the exporter's page, Milvus's own."""
    family = build.DashboardLink("External collection refresh").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    milvus = build.DashboardLink("Milvus").type(DashboardLinkType.DASHBOARDS).tags(["milvus"]).as_dropdown(_YES)
    return (
        family.include_vars(_YES).keep_time(_YES),
        milvus.tooltip("Everything with the tag milvus; give Milvus's own dashboard that tag and it is listed here"),
        _address("Runbooks", "${runbooks}", "doc", "What each alert means and what to do"),
        _address("Exporter", "${exporter}", "external link", "The exporter's own page: the same facts, of this minute"),
    )


def _address(title: str, url: str, icon: str, tooltip: str) -> build.DashboardLink:
    made = build.DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon(icon).tooltip(tooltip)
    return made.target_blank(_YES)
