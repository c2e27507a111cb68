"""Columns that several tables have, with their units, widths, colours and links."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dashboards import look
from dashboards.panels import Column

DETAIL_UID: Final = "milvus-refresh-collection"
_KEPT: Final = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}"
DETAIL_BY_ROW: Final = f"/d/{DETAIL_UID}?${{__data.fields.link:raw}}&{_KEPT}"
DETAIL_BY_SERIES: Final = (
    f"/d/{DETAIL_UID}?var-collection=${{__field.labels.collection}}&${{database:queryparam}}&${{milvus:queryparam}}"
    f"&{_KEPT}"
)
"""A series may lack the labels database and milvus, and what is missing cannot be put into an address."""
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


PLACE: Final = _text("Collection", "place", 180, links=_link("Show this collection", DETAIL_BY_ROW))
LINK: Final = Column("link", "Link", _HIDDEN)
MILVUS: Final = _text("Milvus", "milvus", 80)
REASON: Final = _text(
    "Reason",
    "reason",
    None,
    **{"custom.inspect": True, "custom.minWidth": 280, "custom.wrapText": True},
)
FAILURE_CLASS: Final = _text("Class", "failure_class", 130)
SOURCE: Final = _text("Source", "source", 200, **{"custom.inspect": True})
JOB_ID: Final = _text("Job", "job_id", 190)
ALERT: Final = _text("Runbook", "alert", 100, links=_link("What to do", RUNBOOK), mappings=[look.READ])

_COLOURED: Final = {"custom.cellOptions": {"type": "color-background", "mode": "basic"}}
TROUBLE: Final = _text("Trouble", "", 170, mappings=[look.TROUBLE], **_COLOURED)
STATE: Final = _text("Newest job", "", 100, mappings=[look.STATES], **_COLOURED)
AGE: Final = _text("Data is old", "", 95, unit="s", decimals=1)
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
IN_A_ROW: Final = _text("In a row", "", 70, unit="none", decimals=0)
LAST_SUCCESS: Final = _text("Last success", "", 150, unit="dateTimeAsIsoNoDateIfToday")
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
LONGEST: Final = _text("Longest in 14 days", "", 140, unit="s", decimals=1)
TOOK: Final = _text("Last success took", "", 150, unit="s", decimals=1)
STILL: Final = _text("No progress for", "", 125, unit="s", decimals=1)
SEEN: Final = _text("Last seen", "", 180, unit="dateTimeAsIso")


def value(letter: str, column: Column) -> Column:
    """Return a column that shows the value of the query with this letter."""
    return replace(column, field=f"Value #{letter}")
