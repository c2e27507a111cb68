"""From rows of panels to a dashboard: ids, places on the grid, and what both dashboards have in common.

Places are set here and not left to the SDK, whose automatic layout can put a wide panel beside the grid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, GridPos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboards.panels import PanelBuilder

WIDTH: Final = 24
TAG: Final = "milvus-external-collection-refresh"


@dataclass(frozen=True, slots=True)
class Cell:
    """A panel and its size in grid units."""

    panel: PanelBuilder
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading. ``repeat``: once for each value of this variable."""

    title: str
    cells: Sequence[Cell]
    collapsed: bool = False
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """What a dashboard is called and found by."""

    uid: str
    title: str
    description: str


def dashboard(
    heading: Heading,
    rows: Sequence[Row],
    variables: Sequence[Any],
    annotations: Sequence[Any],
    links: Sequence[Any],
) -> str:
    """Return a dashboard as the text of its JSON file."""
    made = (
        build.Dashboard(heading.title)
        .uid(heading.uid)
        .description(heading.description)
        .tags(["milvus", TAG])
        .readonly()
    )
    made.time("now-24h", "now").refresh("1m").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    made.variables(list(variables)).annotations(list(annotations)).links(list(links))
    model = made.build()
    model.panels = _placed(rows)
    found: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(model))
    _tidy(found)
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _placed(rows: Sequence[Row]) -> list[Any]:
    placed: list[Any] = []
    number, top = 1, 0
    for row in rows:
        head = build.Row(row.title).id(number).collapsed(row.collapsed).grid_pos(GridPos(h=1, w=WIDTH, x=0, y=top))
        if row.repeat:
            head.repeat(row.repeat)
        panels, bottom = _on_grid(row.cells, number + 1, top + 1)
        heading = head.build()
        placed.append(heading)
        if row.collapsed:
            heading.panels = panels
        else:
            placed.extend(panels)
        # A collapsed row takes one line, whatever is in it.
        number, top = number + 1 + len(panels), top + 1 if row.collapsed else bottom
    return placed


def _on_grid(cells: Sequence[Cell], first: int, top: int) -> tuple[list[Any], int]:
    """Place cells from left to right, line by line. Returns the panels and the line below them."""
    panels: list[Any] = []
    x, tallest = 0, 0
    for number, cell in enumerate(cells, first):
        if x + cell.width > WIDTH:
            x, top, tallest = 0, top + tallest, 0
        panel = cell.panel.build()
        panel.id_val = number
        panel.grid_pos = GridPos(h=cell.height, w=cell.width, x=x, y=top)
        panels.append(panel)
        x, tallest = x + cell.width, max(tallest, cell.height)
    return panels, top + tallest


def _tidy(found: dict[str, Any]) -> None:
    """Take out what the SDK always writes and Grafana does not know there, or would hide something by."""
    for link in found["links"]:
        del link["placement"]
    for variable in found["templating"]["list"]:
        for name in ("auto", "auto_count", "auto_min"):
            variable.pop(name, None)
    for panel in found["panels"]:
        for each in (panel, *panel.get("panels", ())):
            if each["type"] == "table":
                del each["options"]["footer"]
