"""A page that shows panels of a dashboard on its grid: tiles, tables and bars, as far as the first screen has them."""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING, Any, Final

from dashboards import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_COLUMNS, _UNIT, _GAP = 24, 38, 8
_STYLE: Final = """
*{box-sizing:border-box}
body{margin:0;background:#111217;color:#d8d9df;font:13px/1.35 'Inter','DejaVu Sans',sans-serif}
header{display:flex;gap:8px;align-items:center;height:44px;padding:0 12px;font-size:15px;color:#fff}
header i{font-style:normal;font-size:12px;color:#d8d9df;border:1px solid #34373e;border-radius:2px;padding:3px 8px}
main{position:relative;margin:0 8px}
section{position:absolute;background:#181b1f;border:1px solid #2c2e33;border-radius:2px;overflow:hidden}
section.row{background:none;border:0;font-size:15px;color:#fff;padding:6px 2px}
h2{font-size:13px;font-weight:500;margin:0;padding:7px 8px;color:#fff;white-space:nowrap}
.tile{position:absolute;inset:0;display:flex;align-items:center;justify-content:center;font-size:40px;font-weight:600}
.tile.long{font-size:24px}
.tile+h2{position:relative;background:none}
table{border-collapse:collapse;width:100%;table-layout:fixed;font-size:12.5px}
th{text-align:left;font-weight:600;color:#8fb7ff;padding:3px 7px;border-bottom:1px solid #2c2e33}
th{white-space:nowrap;overflow:hidden}
td{padding:3px 7px;border-bottom:1px solid #24262b;height:34px}
td{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
td.wrap{white-space:normal}td.num,th.num{text-align:right}td a{color:#8fb7ff}
.gauge{display:flex;align-items:center;gap:6px}.gauge b{flex:1;height:13px;background:#2a2d33;display:block}
.gauge b s{display:block;height:100%}.gauge em{font-style:normal;width:46px;text-align:right}
.bar{display:flex;align-items:center;gap:8px;padding:5px 10px}
.bar span{width:170px;overflow:hidden;text-overflow:ellipsis}
.bar .gauge{flex:1}.bar b{height:22px}
footer{position:absolute;font-size:12.5px;color:#c7c8ce}
"""


def shortened(expression: str) -> str:
    """Put everything in for variables; no demo has watched for two weeks."""
    expression = expression.replace("[14d:10m]", "[5m:1s]")
    return re.sub(r"\$(?:job|milvus|database|collection|source)\b", ".*", expression)


def page(panels: list[dict[str, Any]], ask: Callable[[str], list[dict[str, Any]]], *, width: int, note: str) -> str:
    """Return the page. ``ask`` gives the result vector of an expression."""
    step = (width - 16 + _GAP) / _COLUMNS
    drawn = "".join(_panel(panel, ask, step) for panel in panels)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * _UNIT
    shown = ("Data source", "Job", "Milvus", "Database", "Collection", "Source", "Last 24 hours", "1m")
    choices = "".join(f"<i>{each}</i>" for each in shown)
    title = "Milvus / External collection refresh"
    return (
        f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style><header>{title} {choices}</header>'
        f'<main>{drawn}<footer style="top:{bottom + 4}px;left:4px">{html.escape(note)}</footer></main>'
    )


def _panel(panel: dict[str, Any], ask: Callable[[str], list[dict[str, Any]]], step: float) -> str:
    grid = panel["gridPos"]
    box = (
        f"left:{grid['x'] * step:.0f}px;top:{grid['y'] * _UNIT}px;"
        f"width:{grid['w'] * step - _GAP:.0f}px;height:{grid['h'] * _UNIT - _GAP}px"
    )
    title = html.escape(panel["title"])
    if panel["type"] == "row":
        return f'<section class="row" style="{box}">&#9662; {title}</section>'
    inside = {"stat": _tile, "table": _table, "bargauge": _bars}[panel["type"]](panel, ask)
    heading = f"<h2>{title}</h2>"
    return f'<section style="{box}">{inside + heading if panel["type"] == "stat" else heading + inside}</section>'


def _tile(panel: dict[str, Any], ask: Callable[[str], list[dict[str, Any]]]) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    found = ask(panel["targets"][0]["expr"])
    if not found:
        return _coloured("div", defaults["noValue"], look.NONE, "tile long")
    value = float(found[0]["value"][1])
    text, color = _shown(value, defaults)
    return _coloured("div", text, color, "tile")


def _bars(panel: dict[str, Any], ask: Callable[[str], list[dict[str, Any]]]) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    lines = []
    for series in ask(panel["targets"][0]["expr"]):
        name = f"{series['metric'].get('database', '')}/{series['metric']['collection']}"
        gauge = _gauge(float(series["value"][1]), defaults)
        lines.append(f'<div class="bar"><span>{html.escape(name)}</span>{gauge}</div>')
    return "".join(lines) or f'<div class="bar">{defaults["noValue"]}</div>'


def _table(panel: dict[str, Any], ask: Callable[[str], list[dict[str, Any]]]) -> str:
    titles = panel["transformations"][-1]["options"]["renameByName"]
    styles = {each["matcher"]["options"]: each["properties"] for each in panel["fieldConfig"]["overrides"]}
    looks = {title: {each["id"]: each["value"] for each in styles.get(title, ())} for title in titles.values()}
    rows = _joined(panel["targets"], ask)
    for step in panel["transformations"]:
        if step["id"] == "filterByValue":
            field = step["options"]["filters"][0]["fieldName"]
            rows = [row for row in rows if float(row.get(field, 0)) > 0]
    sort = panel["options"]["sortBy"][0]["displayName"]
    by = next(field for field, title in titles.items() if title == sort)
    rows.sort(key=lambda row: float(row.get(by, 0)), reverse=True)
    # As Grafana: a label that no row has makes no column.
    order = panel["transformations"][-1]["options"]["indexByName"]
    shown = sorted(titles, key=lambda field: order[field])
    fields = [f for f in shown if "custom.hidden" not in looks[titles[f]] and any(f in row for row in rows)]
    head = "".join(_head(titles[field], looks[titles[field]], field) for field in fields)
    body = "".join("<tr>" + "".join(_cell(row.get(f), looks[titles[f]], f) for f in fields) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _joined(targets: Iterable[dict[str, Any]], ask: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Join results on database and collection, as Grafana's merge does on the labels that all have."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for target in targets:
        for series in ask(target["expr"]):
            labels = series["metric"]
            row = rows.setdefault((labels.get("database", ""), labels["collection"]), {})
            row.update({label: value for label, value in labels.items() if value})
            row[f"Value #{target['refId']}"] = series["value"][1]
    return list(rows.values())


def _head(title: str, style: dict[str, Any], field: str) -> str:
    width = style.get("custom.width")
    size = f' style="width:{width}px"' if width else ""
    return f'<th class="{_align(style, field)}"{size}>{html.escape(title)}</th>'


def _align(style: dict[str, Any], field: str) -> str:
    return "num" if field.startswith("Value") and "custom.cellOptions" not in style else ""


def _cell(value: str | None, style: dict[str, Any], field: str) -> str:
    if value is None:
        return f'<td class="{_align(style, field)}">-</td>'
    kind = style.get("custom.cellOptions", {}).get("type", "auto")
    if kind == "gauge":
        return f"<td>{_gauge(float(value), style)}</td>"
    if not field.startswith("Value"):
        wrap = "wrap" if style.get("custom.wrapText") else ""
        text = html.escape(style["mappings"][0]["options"]["result"]["text"] if "mappings" in style else value)
        return f'<td class="{wrap}">{f"<a>{text}</a>" if "links" in style else text}</td>'
    text, color = _shown(float(value), style)
    if kind == "color-background":
        return _coloured("td", text, color, "")
    return f'<td class="num">{html.escape(text)}</td>'


def _gauge(value: float, style: dict[str, Any]) -> str:
    text, color = _shown(value, style)
    full = min(max(value / style.get("max", 1), 0), 1) * 100
    return f'<div class="gauge"><b><s style="width:{full:.0f}%;background:{color}"></s></b><em>{text}</em></div>'


def _coloured(tag: str, text: str, color: str, kind: str) -> str:
    r, g, b = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    ink = "#000" if (r * 299 + g * 587 + b * 114) / 1000 > 130 else "#fff"  # noqa: PLR2004 - W3C's brightness
    return f'<{tag} class="{kind}" style="background:{color};color:{ink}">{html.escape(text)}</{tag}>'


def _shown(value: float, style: dict[str, Any]) -> tuple[str, str]:
    """Return text and colour of a value: by its mapping, else by unit and thresholds."""
    for mapping in style.get("mappings", ()):
        options = mapping["options"]
        if mapping["type"] == "range" and value >= options["from"]:
            return options["result"]["text"], options["result"]["color"]
        result = options.get(f"{value:g}") if mapping["type"] == "value" else None
        if result:
            return result["text"], result["color"]
    color = look.NONE
    for step in style.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return _text(value, style.get("unit", "none")), color


def _text(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.0f}%"
    if unit.startswith("dateTime"):
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(value / 1000))
    if unit != "s":
        return f"{value:g}"
    for size, name in ((604800, "weeks"), (86400, "days"), (3600, "hours"), (60, "mins")):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value:.0f} s"
