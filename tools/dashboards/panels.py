"""Panels by type, with what all of ours have in common. Ids and places are given by ``layout``."""

# ruff: noqa: FBT003 - the SDK takes its switches by position

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    prometheus,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    common as build_common,
)
from grafana_foundation_sdk.builders import (
    dashboard as build_dashboard,
)
from grafana_foundation_sdk.builders import (
    heatmap as build_heatmap,
)
from grafana_foundation_sdk.builders import (
    stat as build_stat,
)
from grafana_foundation_sdk.builders import (
    table as build_table,
)
from grafana_foundation_sdk.builders import (
    text as build_text,
)
from grafana_foundation_sdk.models import common, heatmap, text
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, FieldColorModeId
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards import look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grafana_foundation_sdk.cog import builder as cog
    from grafana_foundation_sdk.models.dashboard import Panel, RangeMap, ValueMap

SOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
WHERE: Final = "{{cluster}} {{namespace}} {{milvus}}"
NAME: Final = "{{database}}/{{collection}} {{cluster}} {{milvus}}"
"""Legend of a collection; a label that does not exist leaves nothing behind."""


@dataclass(frozen=True, slots=True)
class Query:
    """One target. ``now``: its value at the end of the range instead of its course; ``legend``: a template."""

    expr: str
    legend: str = NAME
    now: bool = False
    format: PromQueryFormat = PromQueryFormat.TIME_SERIES


class PanelBuilder(Protocol):
    """What every panel builder of the SDK can do and we use here."""

    def title(self, title: str) -> Any: ...  # noqa: D102 - the SDK's own
    def description(self, description: str) -> Any: ...  # noqa: D102
    def datasource(self, datasource: common.DataSourceRef) -> Any: ...  # noqa: D102
    def with_target(self, target: cog.Builder[Any]) -> Any: ...  # noqa: D102
    def build(self) -> Panel: ...  # noqa: D102


Builder = TypeVar("Builder", bound=PanelBuilder)


def _begin(panel: Builder, title: str, description: str, queries: Sequence[Query]) -> Builder:
    panel.title(title)
    panel.description(description)
    if queries:
        panel.datasource(SOURCE)
    for letter, query in zip(string.ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
        target.legend_format(query.legend).format(query.format)
        panel.with_target(target.instant() if query.now else target.range())
    return panel


def stat(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    thresholds: build_dashboard.ThresholdsConfig,
    mappings: Sequence[ValueMap | RangeMap] = (),
    no_value: str = "not known",
    no_value_color: str = look.CLEAR,
) -> build_stat.Panel:
    """Return one number, or a few; the ground is coloured where it is bad."""
    panel = _begin(build_stat.Panel(), title, description, queries)
    panel.unit(unit).thresholds(thresholds).mappings([*mappings, look.nothing(no_value, no_value_color)]).no_value(
        no_value
    )
    panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).graph_mode(common.BigValueGraphMode.NONE)
    panel.reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    return panel.text_mode(common.BigValueTextMode.AUTO).justify_mode(common.BigValueJustifyMode.CENTER)


def bars(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    thresholds: build_dashboard.ThresholdsConfig,
    largest: float | None = None,
    no_value: str = "none",
) -> bargauge.Panel:
    """Return one bar for each series."""
    panel = _begin(bargauge.Panel(), title, description, [query])
    panel.unit(unit).thresholds(thresholds).min(0).no_value(no_value)
    if largest is not None:
        panel.max(largest)
    panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    panel.show_unfilled(True).value_mode(common.BarGaugeValueMode.TEXT)
    return panel.reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))


def lines(title: str, description: str, *queries: Query, unit: str, smallest: float | None = 0) -> timeseries.Panel:
    """Return courses over time as lines."""
    panel = _begin(timeseries.Panel(), title, description, queries)
    panel.color_scheme(build_dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    panel.unit(unit).line_width(2).fill_opacity(0).show_points(common.VisibilityMode.NEVER)
    if smallest is not None:
        panel.min(smallest)
    panel.tooltip(
        build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )
    legend = build_common.VizLegendOptions().show_legend(True).calcs(["lastNotNull"])
    return panel.legend(legend.display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM))


def counts(title: str, description: str, *queries: Query, unit: str = "short") -> timeseries.Panel:
    """Return counts over time as stacked bars."""
    panel = lines(title, description, *queries, unit=unit)
    panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).line_width(0).decimals(0)
    return panel.stacking(build_common.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))


def timeline(title: str, description: str, query: Query, mapping: ValueMap) -> statetimeline.Panel:
    """Return states over time, each with its text."""
    panel = _begin(statetimeline.Panel(), title, description, [query])
    panel.unit("none").mappings([mapping]).thresholds(look.GREY).fill_opacity(90).line_width(0)
    panel.show_value(common.VisibilityMode.AUTO).merge_values(True).row_height(0.85)
    legend = build_common.VizLegendOptions().show_legend(True)
    return panel.legend(legend.display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM))


def heat(title: str, description: str, expr: str) -> build_heatmap.Panel:
    """Return a histogram over time."""
    query = Query(expr, "{{le}}", format=PromQueryFormat.HEATMAP)
    panel = _begin(build_heatmap.Panel(), title, description, [query]).interval("1h")
    color = build_heatmap.HeatmapColorOptions().mode(heatmap.HeatmapColorMode.SCHEME).scheme("Cividis").steps(32)
    panel.color(color.scale(heatmap.HeatmapColorScale.EXPONENTIAL).exponent(0.5).reverse(False))
    return panel.calculate(False).y_axis(build_heatmap.YAxisConfig().unit("s")).unit("short")


def prose(title: str, description: str, content: str) -> build_text.Panel:
    """Return a text in Markdown; variables are filled in."""
    return _begin(build_text.Panel(), title, description, []).mode(text.TextMode.MARKDOWN).content(content)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. ``field`` is a label, or ``Value #A`` for the value of the first query."""

    field: str
    title: str
    properties: Mapping[str, object]


def _above_zero(field: str) -> DataTransformerConfig:
    above = {"fieldName": field, "config": {"id": "greater", "options": {"value": 0}}}
    return DataTransformerConfig(
        id_val="filterByValue", options={"filters": [above], "type": "include", "match": "all"}
    )


def table(
    title: str,
    description: str,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    sort: str,
    no_value: str,
    only_above_zero: str = "",
) -> build_table.Panel:
    """Return the values now of several queries as one table, joined on the labels that they share; largest first.

    ``only_above_zero`` is a field: rows in which it is 0 or missing are left out.
    """
    made = [Query(expr, "", now=True, format=PromQueryFormat.TABLE) for expr in queries]
    panel = _begin(build_table.Panel(), title, description, made)
    names = {column.field: column.title for column in columns}
    if len(queries) == 1:
        names = {("Value" if field == "Value #A" else field): shown for field, shown in names.items()}
    order: dict[str, int] = {field: position for position, field in enumerate(names)}
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    if only_above_zero:
        panel.with_transformation(_above_zero(only_above_zero))
    wanted = {"include": {"names": list(names)}}
    panel.with_transformation(DataTransformerConfig(id_val="filterFieldsByName", options=wanted))
    organized = {"indexByName": order, "renameByName": names, "excludeByName": {}}
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=organized))
    panel.override_by_regexp(".*", [DynamicConfigValue(id_val="noValue", value="-")])
    for column in columns:
        properties = [DynamicConfigValue(id_val=key, value=value) for key, value in column.properties.items()]
        panel.override_by_name(column.title, properties)
    panel.unit("none").no_value(no_value).show_header(True).cell_height(common.TableCellHeight.SM)
    return panel.sort_by([build_common.TableSortByFieldState().display_name(sort).desc(True)])
