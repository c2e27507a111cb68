"""Columns that several tables have, with their units, widths, colours and links."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dashboards import look
from dashboards.panels import Column

DETAIL_UID: Final = "milvus-refresh-collection"
_MAY_BE_MISSING: Final = ("cluster", "namespace", "milvus", "database")


def _detail(label: str) -> str:
    """Return the address of a collection's page. ``label`` is how a link names a label of its own row."""
    own = [(name, f"at_{name}") for name in _MAY_BE_MISSING] + [(name, name) for name in ("job", "collection")]
    of_row = "&".join(f"var-{name}=${{{label.format(found)}:percentencode}}" for name, found in own)
    return f"/d/{DETAIL_UID}?{of_row}&${{datasource:queryparam}}&${{__url_time_range}}"


DETAIL_BY_ROW: Final = _detail("__data.fields.{}")
DETAIL_BY_SERIES: Final = _detail("__field.labels.{}")
RUNBOOK: Final = "${runbooks}/${__value.raw}.md"

_HIDDEN: Final = {
    "custom.hidden": True,  # Grafana before 12.2
    "custom.hideFrom": {"viz": True, "legend": True, "tooltip": True},  # and after
}


def _text(title: str, field: str, width: int | None = None, **properties: object) -> Column:
    shown = {key.replace("__", "."): value for key, value in properties.items()}
    return Column(field, title, {**({"custom.width": width} if width else {}), **shown})


def _link(title: str, url: str) -> list[dict[str, object]]:
    return [{"title": title, "url": url, "targetBlank": False}]


PLACE: Final = _text("Collection", "place", 165, links=_link("Show this collection", DETAIL_BY_ROW))
LINKED: Final = tuple(
    Column(label, label, _HIDDEN) for label in (*(f"at_{name}" for name in _MAY_BE_MISSING), "job", "collection")
)
"""What the link to a collection's page is made of; not shown."""
WHERE: Final = _text("Milvus", "where", 175)
JOB: Final = _text("Scrape job", "job", 130)
REASON: Final = _text(
    "Reason",
    "reason",
    None,
    **{"custom.inspect": True, "custom.minWidth": 240, "custom.wrapText": True},
)
FAILURE_CLASS: Final = _text("Class", "failure_class", 160)
SOURCE: Final = _text("Source", "source", 200, **{"custom.inspect": True})
JOB_ID: Final = _text("Job id", "job_id", 190)
ALERT: Final = _text("Runbook", "alert", 100, links=_link("What to do", RUNBOOK), mappings=[look.READ])

FILLED: Final = {"custom.cellOptions": {"type": "color-background", "mode": "basic"}}
LEFT: Final = {"custom.align": "left"}
_IN_COLOUR: Final = {"custom.cellOptions": {"type": "color-text"}}
TROUBLE: Final = _text("Trouble", "", 180, mappings=[look.TROUBLE], **FILLED, **LEFT)
STATE: Final = _text("Newest job", "", 100, mappings=[look.STATES], **_IN_COLOUR, **LEFT)
AGE: Final = _text("Since success", "", 110, unit="s", decimals=1)
BUDGET: Final = _text(
    "Age / limit",
    "",
    120,
    unit="percentunit",
    min=0,
    max=1,
    decimals=0,
    thresholds=look.BUDGET.build(),
    **{"custom.cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}},
)
IN_A_ROW: Final = _text("Fails in a row", "", 100, unit="none", decimals=0)
LAST_SUCCESS: Final = _text("Last success at", "", 150, unit="dateTimeAsIsoNoDateIfToday")
PROGRESS: Final = _text(
    "Progress",
    "",
    150,
    unit="percentunit",
    min=0,
    max=1,
    decimals=0,
    thresholds=look.PROGRESS.build(),
    **{"custom.cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}},
)
ELAPSED: Final = _text("Runs for", "", 110, unit="s", decimals=1)
LONGEST: Final = _text("Longest in 14 days", "", 150, unit="s", decimals=1)
TOOK: Final = _text("Last success took", "", 150, unit="s", decimals=1)
STILL: Final = _text("No progress for", "", 125, unit="s", decimals=1)
SEEN: Final = _text("Last seen", "", 180, unit="dateTimeAsIso")


def value(letter: str, column: Column) -> Column:
    """Return a column that shows the value of the query with this letter."""
    return replace(column, field=f"Value #{letter}")


def hidden(*labels: str) -> tuple[Column, ...]:
    """Return columns that are not shown."""
    return tuple(Column(label, label, _HIDDEN) for label in labels)
