"""The list: whether all is watched, what is in trouble and why, on the first screen; then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from dashboards import columns, exporter, frame, look, promql
from dashboards.layout import Cell, Heading, Row, dashboard
from dashboards.panels import NAME, WHERE, Query, bars, counts, heat, lines, stat, table, timeline
from dashboards.promql import OURS, chosen, count, grown, identity, only, ours
from exporter.metrics import contract

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import bargauge, statetimeline, timeseries

UID: Final = "milvus-refresh-list"
TITLE: Final = "Milvus / External collection refresh"
_MOST: Final = 15
_STATES_OF: Final = 20
_TO_DETAIL: Final = DynamicConfigValue(
    id_val="links", value=[{"title": "Show this collection", "url": columns.DETAIL_BY_SERIES, "targetBlank": False}]
)
_NAMED: Final = "{{place}} {{where}}"

_FAILED: Final = (
    "Collections whose latest failure is later than their latest success: searches answer from older data. Cleared by "
    "a success alone."
)
_OVERDUE: Final = (
    "Collections whose latest success is longer ago than their max_age, and those that were created longer ago and of "
    "which no success is known. Searches answer from data older than promised, or from none."
)
_RUNNING: Final = "Collections whose newest job is pending or in progress. Not known while polls fail."
_FIRING: Final = (
    "Alerts of the shipped rules that fire now, in all databases; those of severity info are left out. Not known: no "
    "rule has a result; look whether they are loaded."
)


def text(runbooks: str = frame.RUNBOOKS, address: str = frame.EXPORTER) -> str:
    """Return the JSON of the dashboard."""
    rows = (_now(), _in_trouble(), _running(), _history(), _freshness(), _durations())
    about = "Refresh jobs of Milvus external collections: which are in trouble, why, and how old the data is."
    variables = frame.collections(runbooks, address, detail=False)
    return dashboard(Heading(UID, TITLE, about), rows, variables, frame.marks(failures=False), frame.links(UID))


def _now() -> Row:
    known = ours(contract.UP)
    bad = {"thresholds": look.ANY_IS_BAD, "mappings": [look.NONE_IS_GOOD]}
    odd = bad | {"thresholds": look.ANY_IS_ODD}
    cells = (
        _number("Older than promised", 4, _OVERDUE, count(chosen(promql.OVERDUE), known), **bad),
        _number("Latest refresh failed", 4, _FAILED, count(chosen(promql.FAILED), known), **odd),
        _number("Running", 3, _RUNNING, count(promql.ACTIVE, f"{ours(contract.STALE)} == 0"), thresholds=look.PLAIN),
    )
    return Row("Now", (exporter.watched(), exporter.poll_age(), *cells, _alerts()))


def _number(title: str, width: int, description: str, expr: str, **options: Any) -> Cell:
    return Cell(stat(title, description, Query(expr, title, now=True), unit="none", **options), width, 4)


def _alerts() -> Cell:
    # What is about a process, or about a target that is gone, lacks some of the labels.
    scope = ", ".join(f'{label}=~"${label}|"' for label in promql.IDENTITY)
    rules = f'{{__name__=~"collection:{contract.PREFIX}.+", {OURS}}}'

    def firing(severity: str) -> str:
        matchers = f'alertname=~"MilvusExternal.+", alertstate="firing", severity="{severity}", {scope}'
        return f"count(ALERTS{{{matchers}}})\nor 0 * count({rules})"

    panel = stat(
        "Alerts firing",
        _FIRING,
        Query(firing("critical"), "critical", now=True),
        Query(firing("warning"), "warning", now=True),
        unit="none",
        thresholds=look.ANY_IS_ODD,
        mappings=[look.NONE_IS_GOOD],
        no_value="not known",
        no_value_color=look.WARN,
    )
    return Cell(panel.override_by_query("A", [_thresholds_of_bad()]), 4, 4)


def _thresholds_of_bad() -> DynamicConfigValue:
    return DynamicConfigValue(id_val="thresholds", value=look.ANY_IS_BAD.build())


def _in_trouble() -> Row:
    shown = (
        columns.value("A", columns.TROUBLE),
        columns.PLACE,
        columns.WHERE,
        columns.REASON,
        columns.FAILURE_CLASS,
        columns.value("B", columns.STATE),
        columns.value("C", columns.AGE),
        columns.value("D", columns.BUDGET),
        columns.value("E", columns.IN_A_ROW),
        columns.ALERT,
        *columns.LINKED,
    )
    queries = (
        promql.named(chosen(promql.trouble_rank())),
        promql.state_code(),
        promql.AGE,
        promql.BUDGET,
        promql.IN_A_ROW,
        promql.reason(),
    )
    panel = table(
        "Collections in trouble, worst first",
        "Each collection once, under the worst thing that is wrong with it, by the conditions of the alerts (without "
        "their waiting times). Reason: of the latest failure, or why the newest job cannot begin. The collection leads "
        "to its own dashboard, the last column to the runbook, which also has the call that refreshes it again.",
        queries,
        shown,
        sort="Trouble",
        no_value="None known; trust this only while nothing above is missing",
        only_above_zero="Value #A",
    )
    return Row("In trouble", (Cell(panel, 24, 11),))


def _running() -> Row:
    progress = bars(
        "Progress of running jobs",
        "0 % is normal for jobs of a single task, until they are done. 90 to 99 % is the wait for indexes, in which it "
        "can fall. Newest job of each collection.",
        Query(promql.named(promql.RUNNING), _NAMED, now=True),
        unit="percentunit",
        thresholds=look.PROGRESS,
        largest=1,
        no_value="none known",
    ).override_by_regexp(".*", [_TO_DETAIL])
    shown = (
        columns.PLACE,
        columns.WHERE,
        columns.value("A", columns.STATE),
        columns.value("B", columns.PROGRESS),
        columns.value("C", columns.ELAPSED),
        columns.value("D", columns.LONGEST),
        columns.value("E", columns.STILL),
        *columns.LINKED,
    )
    active = f"and on {promql.BY_PLACE}\n{promql.ACTIVE}"
    queries = (
        promql.named(f"({promql.state_code()})\n{active}"),
        promql.RUNNING,
        promql.ELAPSED,
        f"{promql.LONGEST_KNOWN}\n{active}",
        promql.STILL,
    )
    jobs = table(
        "Running jobs, longest first",
        "How long each job runs, against the longest success of the collection in 14 days, and how long it shows no "
        "progress. A job that was running when the exporter started counts as without progress from then on.",
        queries,
        shown,
        sort="Runs for",
        no_value="None known",
    )
    return Row("Running", (Cell(progress, 8, 7), Cell(jobs, 16, 7)))


def _history() -> Row:
    return Row("History", (Cell(_states(), 24, 9), Cell(_failures_by_class(), 12, 8), Cell(_results(), 12, 8)))


def _states() -> statetimeline.Panel:
    panel = timeline(
        f"State of the newest job: the {_STATES_OF} collections that fail most",
        "Those with the most failures in a row at the end of the time shown; then any others. Gaps: no good poll. Jobs "
        "shorter than a poll are seen by their end only.",
        Query(promql.named(only(promql.state_code(), promql.most_failing(_STATES_OF))), _NAMED),
        look.STATES,
    )
    return panel.override_by_regexp(".*", [_TO_DETAIL])


def _failures_by_class() -> timeseries.Panel:
    failed = grown(contract.FAILED_BY_CLASS, promql.DATABASE, within="$__interval")
    panel = counts(
        "Failures by class",
        "Jobs that ended in failure, by what the reason says; each bar counts since the bar before (an hour at 24 h). "
        "By database, whichever collections are chosen.",
        Query(f"round(sum by {identity('failure_class')} ({failed})) > 0", f"{{{{failure_class}}}} {WHERE}"),
    )
    return panel.interval("1h").no_value("no failure in this time")


def _results() -> timeseries.Panel:
    finished, failed = promql.results()
    panel = counts(
        "Jobs by result",
        "Jobs that ended, each once; each bar counts since the bar before. Failed includes those whose data is live "
        "and whose indexes are late.",
        Query(f"round(sum by {identity()} ({chosen(finished)}))", f"succeeded {WHERE}"),
        Query(f"round(sum by {identity()} ({chosen(failed)}))", f"failed {WHERE}"),
    )
    for letter, (_, color) in zip("AB", look.RESULTS, strict=True):
        panel.override_by_query(letter, [look.fixed(color)])
    return panel.interval("1h")


def _freshness() -> Row:
    ages = lines(
        f"Time since the latest success: the {_MOST} longest",
        "Of the collections whose success is longest ago at the end of the time shown. Dashed: the strictest max_age "
        "among the collections chosen.",
        Query(only(promql.AGE, promql.oldest(_MOST)), NAME),
        Query(f"min by {identity()} ({promql.LIMIT})", f"strictest limit {WHERE}"),
        unit="s",
    ).override_by_query("B", look.dashed(look.BAD))
    used = bars(
        "Age / limit",
        f"How much of its max_age each collection has used; the {_MOST} worst. From 100 % on the data is older than "
        "promised.",
        Query(f"sort_desc(topk({_MOST}, {promql.named(chosen(promql.BUDGET))}))", _NAMED, now=True),
        unit="percentunit",
        thresholds=look.BUDGET,
        largest=1,
        no_value="no limit is configured",
    ).override_by_regexp(".*", [_TO_DETAIL])
    return Row("Freshness", (Cell(ages, 10, 9), Cell(used, 7, 9), Cell(fresh_share(), 7, 9)))


def fresh_share() -> bargauge.Panel:
    """Return the share of the time shown in which each collection was fresh."""
    fresh = f"max by {promql.BY_PLACE} (avg_over_time({promql.FRESHNESS}{{{promql.PLACE}}}[$__range]))"
    panel = bars(
        "Share of time fresh",
        f"In how much of the time shown the data was within its limit; the {_MOST} worst. From the recording rules: "
        "empty where they are not loaded.",
        Query(f"sort(bottomk({_MOST}, {promql.named(chosen(fresh))}))", _NAMED, now=True),
        unit="percentunit",
        thresholds=look.FRESH_SHARE,
        largest=1,
        no_value="no limit is configured, or no rules are loaded",
    )
    return panel.decimals(1)


def _durations() -> Row:
    shown = (
        columns.PLACE,
        columns.WHERE,
        columns.value("A", columns.TOOK),
        columns.value("B", columns.LONGEST),
        *columns.LINKED,
    )
    longest = table(
        "How long refreshes take",
        "Run time of the latest completed job and of the longest in 14 days.",
        (promql.named(chosen(promql.TOOK)), chosen(promql.LONGEST_KNOWN)),
        shown,
        sort="Last success took",
        no_value="No completed job seen",
    )
    buckets = grown(contract.DURATION, promql.DATABASE, "database", "le", suffix="_bucket", within="$__interval")
    heated = heat(
        "Run times of completed jobs",
        "How many jobs took how long, hour by hour at 24 h. By database, whichever collections are chosen.",
        f"sum by (le) ({buckets})",
    )
    return Row("Durations", (Cell(longest, 12, 9), Cell(heated, 12, 9)))
