"""One collection: what is wrong with it, since when and why, and how its refreshes went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dashboards import columns, frame, look, promql
from dashboards.exporter_row import exporter_row
from dashboards.layout import Cell, Heading, Row, dashboard
from dashboards.overview import dashed, data_age, fixed, fresh_share
from dashboards.panels import Query, bars, counts, lines, prose, stat, table, timeline
from dashboards.promql import PLACE, ROW, job, of, one, place
from exporter.metrics import contract

if TYPE_CHECKING:
    from dashboards.panels import PanelBuilder

UID: Final = columns.DETAIL_UID
TITLE: Final = "Milvus / External collection refresh / Collection"
_VERDICT: Final = "The worst thing that is wrong, by the conditions of the alerts without their waiting times."
_AGAIN: Final = """\
A failed refresh is not tried again by Milvus. Once the cause is gone, with pymilvus:

```python
client = MilvusClient(uri, token=token, db_name="$database")
client.refresh_external_collection("$collection")
```

The answer is a job id; it appears here with the next poll. Until a refresh succeeds, searches answer from the data of
the latest success. What each failure class means and what to do about it: [runbooks](${runbooks}).
"""


def text(runbooks: str = frame.RUNBOOKS, exporter: str = frame.EXPORTER) -> str:
    """Return the JSON of the dashboard."""
    rows = (_now(), _why(), _course(), _history(), _freshness(), _sources(), exporter_row())
    about = "One external collection: state, reason, age of the data, and the course of its refreshes."
    variables = frame.variables(runbooks, exporter, detail=True)
    return dashboard(Heading(UID, TITLE, about), rows, variables, frame.marks(), frame.links())


def _now() -> Row:
    milvus = "{{database}} {{milvus}}"
    cells = (
        _number("Verdict", _VERDICT,
                promql.trouble_rank(), milvus, mappings=[look.TROUBLE], unit="none"),
        _number("Newest job", "The state of the newest job. Not known while our data is too old.",
                promql.state_code(PLACE), milvus, mappings=[look.STATES], unit="none"),
        _number("Data is old", "Time since the latest success: searches answer from data of then.",
                promql.AGE, milvus, unit="s", no_value="no success seen"),
        _number("Age / limit", "How much of its max_age the data has used. From 100 % on it is too old.",
                promql.BUDGET, milvus, unit="percentunit", thresholds=look.BUDGET, no_value="no limit or no success"),
        _number("Failures in a row", "Failed jobs since the latest success.",
                place(contract.CONSECUTIVE), milvus, unit="none",
                thresholds=look.steps(look.GOOD, (1, look.WARN), (promql.LIMITS.failures_in_a_row, look.BAD))),
    )  # fmt: skip
    return Row("Now", (data_age(), *cells))


def _number(title: str, description: str, expr: str, legend: str, **options: Any) -> Cell:
    shown = {"thresholds": look.PLAIN} | options
    return Cell(stat(title, description, Query(expr, legend, now=True), **shown), 4, 4)


def _why() -> Row:
    failure = table(
        "Latest failure",
        "The latest failure, or wait for indexes that ran out, while no later job has completed. Empty: none.",
        (one(of(contract.LAST_FAILURE_INFO, PLACE)),),
        (columns.FAILURE_CLASS, columns.REASON, columns.JOB_ID, columns.SOURCE, columns.MILVUS),
        sort="Class",
        no_value="No failure since the latest success",
    )
    seen = f"max_over_time(timestamp({of(contract.LAST_INFO, PLACE)})[$__range:$__interval])"
    jobs = table(
        "Newest jobs in the time shown, latest first",
        "Every job that was the newest one at a poll, with the reason that it had last. Jobs shorter than a poll "
        "may be missing.",
        (f"topk without (instance, pod, reason, failure_class) (1, {one(seen)}) * 1000",),
        (
            columns.value("A", columns.SEEN),
            columns.JOB_ID,
            columns.FAILURE_CLASS,
            columns.REASON,
            columns.SOURCE,
            columns.MILVUS,
        ),
        sort="Last seen",
        no_value="No job in this time",
    ).max_data_points(500)
    again = prose("Refresh it again", "The call that starts a refresh. The exporter itself never does.", _AGAIN)
    return Row("Why", (Cell(failure, 16, 5), Cell(again, 8, 12), Cell(jobs, 16, 7)))


def _course() -> Row:
    progress = lines(
        "Progress",
        "Progress of the newest job. 0 % is normal for a job of a single task until it is done; 90 to 99 % is the wait "
        "for indexes; it can go down.",
        Query(job(contract.LAST_PROGRESS, "source", scope=PLACE)),
        unit="percentunit",
    ).max(1)
    running = lines(
        "Run time of the newest job",
        "Run time so far or, ended, in all; how long there is no progress; and the longest success of 14 days.",
        Query(job(contract.LAST_DURATION, "source", scope=PLACE), "run time {{milvus}}"),
        Query(f"max without (source) ({promql.still(PLACE)})", "without progress {{milvus}}"),
        Query(promql.longest(), "longest success of 14 days {{milvus}}"),
        unit="s",
    ).override_by_query("C", dashed(look.WARN))
    return Row("Newest job", (Cell(progress, 12, 8), Cell(running, 12, 8)))


def _history() -> Row:
    states = timeline(
        "State of the newest job",
        "Gaps: our data was too old to be shown. Jobs shorter than a poll are seen by their end only.",
        Query(promql.state_code(PLACE)),
        look.STATES,
    )
    finished, failed = (
        one(f"increase({of(metric, PLACE)}[$__interval])") for metric in (contract.FINISHED, contract.FAILED)
    )
    results = counts(
        "Jobs by result",
        "Jobs that ended, each once; each bar counts since the bar before (one hour at 24 hours).",
        Query(f"round({finished} - {failed})", "succeeded {{milvus}}"),
        Query(f"round({failed})", "failed {{milvus}}"),
    ).interval("1h")
    for letter, (_, color) in zip("AB", look.RESULTS, strict=True):
        results.override_by_query(letter, [fixed(color)])
    took = lines(
        "How long refreshes took",
        "Run time of the latest completed job.",
        Query(place(contract.LAST_SUCCESS_DURATION)),
        unit="s",
    )
    return Row("History", (Cell(states, 24, 5), Cell(results, 12, 8), Cell(took, 12, 8)))


def _freshness() -> Row:
    ages = lines(
        "Age of the data",
        "Time since the latest success. Dashed: the limit, max_age.",
        Query(promql.AGE),
        Query(promql.LIMIT, "limit {{milvus}}"),
        unit="s",
    ).override_by_query("B", dashed(look.BAD))
    return Row("Freshness", (Cell(ages, 16, 8), Cell(fresh_share(promql.FRESH), 8, 8)))


def _sources() -> Row:
    return Row("Source: $source", (Cell(_now_by_state(), 8, 7), Cell(_over_time(), 16, 7)), repeat="source")


def _now_by_state() -> PanelBuilder:
    return bars(
        "Jobs listed now",
        "Jobs of this source that Milvus lists now, by state. Milvus forgets an ended job after a day.",
        Query(one(of(contract.JOBS, ROW)), "{{state}} {{milvus}}", now=True),
        unit="none",
        thresholds=look.PROGRESS,
        no_value="none",
    )


def _over_time() -> PanelBuilder:
    return lines(
        "Jobs listed",
        "Jobs of this source that Milvus lists, by state.",
        Query(one(of(contract.JOBS, ROW)), "{{state}} {{milvus}}"),
        unit="short",
    )
