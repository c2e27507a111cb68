"""The list: what is in trouble, why, and whether our own data is fresh, on the first screen; then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from dashboards import columns, frame, look, promql
from dashboards.exporter_row import exporter_row
from dashboards.layout import Cell, Heading, Row, dashboard
from dashboards.panels import Query, bars, counts, heat, lines, stat, table, timeline
from dashboards.promql import chosen, count, of, one, ours, place
from exporter.metrics import contract

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import bargauge, statetimeline, timeseries

UID: Final = "milvus-refresh-list"
TITLE: Final = "Milvus / External collection refresh"
_MOST: Final = 15
_TO_DETAIL: Final = DynamicConfigValue(
    id_val="links", value=[{"title": "Show this collection", "url": columns.DETAIL_BY_SERIES, "targetBlank": False}]
)

_FAILED: Final = (
    "Collections whose latest failure is later than their latest success: searches answer from older data. Cleared by "
    "a success alone."
)
_STALE: Final = (
    "Collections whose latest success is longer ago than their max_age: searches answer from data that is too old."
)
_RUNNING: Final = "Newest jobs that are pending or in progress. Not known while our data is too old."
_OLDEST: Final = "The longest time since a success, of all collections that ever had one."
_FIRING: Final = "Alerts of the shipped rules that fire now, in all databases."


def text(runbooks: str = frame.RUNBOOKS, exporter: str = frame.EXPORTER) -> str:
    """Return the JSON of the dashboard."""
    rows = (_now(), _in_trouble(), _running(), _history(), _freshness(), _durations(), exporter_row())
    about = "Refresh jobs of Milvus external collections: which are in trouble, why, and how old the data is."
    variables = frame.variables(runbooks, exporter, detail=False)
    return dashboard(Heading(UID, TITLE, about), rows, variables, frame.marks(), frame.links())


def data_age() -> Cell:
    """Return how old our own data is: what everything else on the page depends on."""
    age = f"max(time() - {ours(contract.LAST_POLL_SUCCESS)})"
    panel = stat(
        "Our data is this old",
        "Time since the exporter last listed the jobs, of the worst exporter chosen. Do not trust the page while this "
        "is red: everything below is then as of that time, and jobs that run are no longer shown.",
        Query(age, "age", now=True),
        unit="s",
        thresholds=look.DATA_AGE,
        mappings=[look.NO_POLL_YET],
        no_value="no exporter seen",
    )
    return Cell(panel, 4, 4)


def _now() -> Row:
    known = ours(contract.UP)
    fresh = f"({ours(contract.STALE)} == 0)"
    bad = {"unit": "none", "thresholds": look.ANY_IS_BAD, "mappings": [look.NONE_IS_GOOD]}
    firing = f'count(ALERTS{{alertname=~"MilvusExternal.+", alertstate="firing", {promql.OURS}}})'
    rules = f'{{__name__=~"collection:{contract.PREFIX}.+", {promql.OURS}}}'
    cells = (
        _number("Failed", _FAILED, count(chosen(promql.FAILED), known), **bad),
        _number("No fresh data", _STALE, count(chosen(promql.STALE), known), **bad),
        _number("Running", _RUNNING, count(promql.active(), fresh), unit="none", thresholds=look.PROGRESS),
        _number("Oldest data", _OLDEST, f"max({chosen(promql.AGE)})", unit="s", thresholds=look.PLAIN),
        _number(
            "Alerts firing", _FIRING, f"{firing}\nor 0 * count({rules})", **(bad | {"no_value": "no rules loaded"})
        ),
    )
    return Row("Now", (data_age(), *cells))


def _number(title: str, description: str, expr: str, **options: Any) -> Cell:
    return Cell(stat(title, description, Query(expr, title, now=True), **options), 4, 4)


def _in_trouble() -> Row:
    shown = (
        columns.value("A", columns.TROUBLE),
        columns.PLACE,
        columns.MILVUS,
        columns.REASON,
        columns.FAILURE_CLASS,
        columns.value("B", columns.STATE),
        columns.value("C", columns.AGE),
        columns.value("D", columns.BUDGET),
        columns.value("E", columns.IN_A_ROW),
        columns.value("F", columns.LAST_SUCCESS),
        columns.SOURCE,
        columns.ALERT,
        columns.LINK,
    )
    queries = (
        promql.named(chosen(promql.trouble_rank(), "alert")),
        promql.state_code(promql.PLACE),
        promql.AGE,
        promql.BUDGET,
        place(contract.CONSECUTIVE),
        f"{place(contract.LAST_SUCCESS)} * 1000",
        promql.reason(),
        promql.source(),
    )
    panel = table(
        "Collections in trouble, worst first",
        "Each collection once, under the worst thing that is wrong with it, by the conditions of the alerts (without "
        "their waiting times; slow is judged by the latest success). Reason: of the latest failure, or why the newest "
        "job cannot begin. The collection leads to its own dashboard, the last column to the runbook, which also has "
        "the call that refreshes it again.",
        queries,
        shown,
        sort="Trouble",
        no_value="No collection is in trouble, as far as the row above can be trusted",
        only_above_zero="Value #A",
    )
    return Row("In trouble", (Cell(panel, 24, 10),))


def _running() -> Row:
    progress = bars(
        "Progress of running jobs",
        "0 % is normal for jobs of a single task, until they are done. 90 to 99 % is the wait for indexes, in which it "
        "can fall. Newest job of each collection.",
        Query(promql.running(), now=True),
        unit="percentunit",
        thresholds=look.PROGRESS,
        largest=1,
        no_value="nothing is running",
    ).override_by_regexp(".*", [_TO_DETAIL])
    shown = (
        columns.PLACE,
        columns.MILVUS,
        columns.value("A", columns.STATE),
        columns.value("B", columns.PROGRESS),
        columns.value("C", columns.ELAPSED),
        columns.value("D", columns.LONGEST),
        columns.value("E", columns.STILL),
        columns.SOURCE,
        columns.LINK,
    )
    queries = (
        promql.named(f"({promql.state_code(promql.PLACE)}) and ignoring (source) ({promql.active()})"),
        promql.running(),
        promql.elapsed(),
        f"{promql.longest()}\nand ignoring (source) ({promql.active()})",
        promql.still(),
    )
    jobs = table(
        "Running jobs, longest first",
        "How long each job runs, against the longest success of the collection in 14 days, and how long it shows no "
        "progress. A job that was running when the exporter started counts as without progress from then on.",
        queries,
        shown,
        sort="Runs for",
        no_value="Nothing is running",
    )
    return Row("Running", (Cell(progress, 8, 7), Cell(jobs, 16, 7)))


def _history() -> Row:
    return Row("History", (Cell(_states(), 24, 9), Cell(_failures_by_class(), 12, 8), Cell(_results(), 12, 8)))


def _states() -> statetimeline.Panel:
    panel = timeline(
        "State of the newest job",
        "One line for each collection chosen. Gaps: our data was too old to be shown. Jobs shorter than a poll are "
        "seen by their end only.",
        Query(promql.state_code()),
        look.STATES,
    )
    return panel.override_by_regexp(".*", [_TO_DETAIL])


def _failures_by_class() -> timeseries.Panel:
    grown = f"increase({of(contract.FAILED_BY_CLASS, promql.DATABASE)}[$__interval])"
    panel = counts(
        "Failures by class",
        "Jobs that ended in failure, by what the reason says; each bar counts since the bar before (an hour at 24 h). "
        "By database, whichever collections are chosen.",
        Query(f"round(sum without (database) ({one(grown)})) > 0", "{{failure_class}} {{milvus}}"),
    )
    return panel.interval("1h").no_value("no failure in this time")


def _results() -> timeseries.Panel:
    finished, failed = (
        one(f"increase({of(metric, promql.PLACE)}[$__interval])") for metric in (contract.FINISHED, contract.FAILED)
    )
    panel = counts(
        "Jobs by result",
        "Jobs that ended, each once; each bar counts since the bar before. Failed includes those whose data is live "
        "and whose indexes are late.",
        Query(
            f"round(sum without (database, collection) ({chosen(f'{finished} - {failed}')}))", "succeeded {{milvus}}"
        ),
        Query(f"round(sum without (database, collection) ({chosen(failed)}))", "failed {{milvus}}"),
    )
    for letter, (_, color) in zip("AB", look.RESULTS, strict=True):
        panel.override_by_query(letter, [fixed(color)])
    return panel.interval("1h")


def _freshness() -> Row:
    limit = f"min without (database, collection) ({promql.LIMIT})"
    ages = lines(
        "Age of the data",
        f"Time since the latest success; the {_MOST} oldest. Dashed: the strictest limit among the collections chosen.",
        Query(f"topk({_MOST}, {chosen(promql.AGE)})"),
        Query(limit, "strictest limit {{milvus}}"),
        unit="s",
    ).override_by_query("B", dashed(look.BAD))
    used = bars(
        "Age / limit",
        f"How much of its max_age each collection has used; the {_MOST} worst. From 100 % on the data is too old.",
        Query(f"sort_desc(topk({_MOST}, {chosen(promql.BUDGET)}))", now=True),
        unit="percentunit",
        thresholds=look.BUDGET,
        largest=1,
        no_value="no limit is configured",
    ).override_by_regexp(".*", [_TO_DETAIL])
    return Row("Freshness", (Cell(ages, 12, 9), Cell(used, 6, 9), Cell(fresh_share(chosen(promql.FRESH)), 6, 9)))


def fresh_share(fresh: str) -> bargauge.Panel:
    """Return the share of the time shown in which each collection was fresh."""
    panel = bars(
        "Share of time fresh",
        f"In how much of the time shown the data was within its limit; the {_MOST} worst. Time before the first "
        "success seen does not count.",
        Query(f"sort(bottomk({_MOST}, avg_over_time(({fresh})[$__range:$__interval])))", now=True),
        unit="percentunit",
        thresholds=look.FRESH_SHARE,
        largest=1,
        no_value="no limit is configured",
    )
    return panel.max_data_points(200).decimals(1)


def _durations() -> Row:
    shown = (
        columns.PLACE,
        columns.MILVUS,
        columns.value("A", columns.TOOK),
        columns.value("B", columns.LONGEST),
        columns.LINK,
    )
    longest = table(
        "How long refreshes take",
        "Run time of the latest completed job and of the longest in 14 days.",
        (promql.named(chosen(place(contract.LAST_SUCCESS_DURATION))), chosen(promql.longest())),
        shown,
        sort="Last success took",
        no_value="No completed job seen",
    )
    buckets = of(contract.DURATION, promql.DATABASE, suffix="_bucket")
    grown = one(f"increase({buckets}[$__rate_interval])")
    heated = heat(
        "Run times of completed jobs",
        "How many jobs took how long. By database, whichever collections are chosen.",
        f"sum by (le) ({grown})",
    )
    return Row("Durations", (Cell(longest, 10, 9), Cell(heated, 14, 9)))


def dashed(color: str) -> list[DynamicConfigValue]:
    """Return the properties of a limit: a dashed line."""
    return [
        DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
        fixed(color),
    ]


def fixed(color: str) -> DynamicConfigValue:
    """Return the property of a series that always has this colour."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})
