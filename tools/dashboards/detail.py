"""One collection: what is wrong with it, since when and why, and how its refreshes went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dashboards import columns, exporter, frame, look, promql
from dashboards.layout import Cell, Heading, Row, dashboard
from dashboards.overview import fresh_share
from dashboards.panels import WHERE, Column, Query, bars, counts, lines, prose, stat, table, timeline
from dashboards.promql import PLACE, ROW, counted, leading, of
from exporter.metrics import contract

if TYPE_CHECKING:
    from dashboards.panels import PanelBuilder

UID: Final = columns.DETAIL_UID
TITLE: Final = "Milvus / External collection refresh / Collection"
_VERDICT: Final = "The worst thing that is wrong, by the conditions of the alerts without their waiting times."
_AGAIN: Final = """\
Milvus does not try a failed refresh again. Once the cause is gone, make the call below with pymilvus; it answers with a
job id, which appears here with the next poll. Until a refresh succeeds, searches answer from the data of the latest
success. What each failure class means and what to do about it: [runbooks](${runbooks}).
"""
_HERE: Final = f"{{{{database}}}} {WHERE}"


def text(runbooks: str = frame.RUNBOOKS, address: str = frame.EXPORTER) -> str:
    """Return the JSON of the dashboard."""
    rows = (_now(), _why(), _course(), _history(), _freshness(), _sources())
    about = "One external collection: state, reason, age of the data, and the course of its refreshes."
    variables = frame.collections(runbooks, address, detail=True)
    return dashboard(Heading(UID, TITLE, about), rows, variables, frame.marks(failures=True), frame.links(UID))


def _now() -> Row:
    failures = look.steps(look.CLEAR, (1, look.WARN), (promql.LIMITS.failures_in_a_row, look.BAD))
    budget = look.steps(look.CLEAR, (0.8, look.WARN), (1, look.BAD))
    cells = (
        _number("Verdict", 5, _VERDICT, promql.trouble_rank(), mappings=[look.VERDICT], unit="none"),
        _number("Newest job", 4, "The state of the newest job. Not known while polls fail.",
                promql.state_code(), mappings=[look.STATE_NOW], unit="none"),
        _number("Since the latest success", 4, "Searches answer from data of then.",
                promql.AGE, unit="s", no_value="no success known"),
        _number("Age / limit", 3, "How much of its max_age the data has used. From 100 % on it is older than promised.",
                promql.BUDGET, unit="percentunit", thresholds=budget, no_value="no limit or no success"),
        _number("Failures in a row", 3, "Failed jobs since the latest success.",
                promql.IN_A_ROW, unit="none", thresholds=failures, mappings=[look.NONE_IS_GOOD]),
    )  # fmt: skip
    return Row("Now", (exporter.watched(), *cells))


def _number(title: str, width: int, description: str, expr: str, **options: Any) -> Cell:
    shown = {"thresholds": look.PLAIN} | options
    return Cell(stat(title, description, Query(expr, _HERE, now=True), **shown), width, 4)


def _why() -> Row:
    failure = table(
        "Latest failure",
        "The latest failure, or wait for indexes that ran out, while no later job has completed. Empty: none.",
        (promql.named(leading(of(contract.LAST_FAILURE_INFO, PLACE), *contract.LAST_FAILURE_INFO.labels)),),
        (columns.FAILURE_CLASS, columns.REASON, columns.JOB_ID, columns.SOURCE, columns.WHERE),
        sort="Class",
        no_value="None known",
    )
    last_seen = f"max_over_time(timestamp({of(contract.LAST_INFO, PLACE)})[$__range:$__interval])"
    by_job = promql.identity("database", "collection", "job_id", "source")
    jobs = table(
        "Newest jobs in the time shown, latest first",
        "Every job that was the newest one at a poll, with the reason that it had last. Jobs shorter than a poll "
        "may be missing.",
        (
            promql.named(
                f"topk by {by_job} (1, max by {promql.identity(*contract.LAST_INFO.labels)} ({last_seen})) * 1000"
            ),
        ),
        (
            columns.value("A", columns.SEEN),
            columns.JOB_ID,
            columns.FAILURE_CLASS,
            columns.REASON,
            columns.SOURCE,
            columns.WHERE,
        ),
        sort="Last seen",
        no_value="No job in this time",
    ).max_data_points(500)
    again = prose("Refresh it again", "What a refresh by hand does. The exporter itself never starts one.", _AGAIN)
    call = table(
        "The call",
        "The call that starts a refresh, in this collection's own names.",
        (promql.call(),),
        (Column("call", "Python", {"custom.wrapText": True, "custom.inspect": True}), columns.WHERE),
        sort="Python",
        no_value="The collection is not known",
    )
    return Row("Why", (Cell(failure, 24, 4), Cell(jobs, 24, 7), Cell(again, 9, 4), Cell(call, 15, 4)))


def _course() -> Row:
    progress = lines(
        "Progress",
        "Progress of the newest job. 0 % is normal for a job of a single task until it is done; 90 to 99 % is the wait "
        "for indexes; it can go down.",
        Query(promql.PROGRESS, f"progress {_HERE}"),
        unit="percentunit",
    ).max(1)
    running = lines(
        "Run time of the newest job",
        "Run time so far or, ended, in all; how long there is no progress; and the longest success of 14 days.",
        Query(promql.newest(contract.LAST_DURATION), f"run time {WHERE}"),
        Query(promql.STILL, f"without progress {WHERE}"),
        Query(promql.LONGEST_KNOWN, f"longest success of 14 days {WHERE}"),
        unit="s",
    ).override_by_query("C", look.dashed(look.WARN))
    return Row("Newest job", (Cell(progress, 12, 8), Cell(running, 12, 8)))


def _history() -> Row:
    states = timeline(
        "State of the newest job",
        "Gaps: no good poll. Jobs shorter than a poll are seen by their end only.",
        Query(promql.state_code(), _HERE),
        look.STATES,
    )
    finished, failed = promql.results()
    results = counts(
        "Jobs by result",
        "Jobs that ended, each once; each bar counts since the bar before (one hour at 24 hours).",
        Query(f"round({finished})", f"succeeded {WHERE}"),
        Query(f"round({failed})", f"failed {WHERE}"),
    ).interval("1h")
    for letter, (_, color) in zip("AB", look.RESULTS, strict=True):
        results.override_by_query(letter, [look.fixed(color)])
    took = lines(
        "How long refreshes took",
        "Run time of the latest completed job.",
        Query(promql.TOOK, f"run time {_HERE}"),
        unit="s",
    )
    return Row("History", (Cell(states, 24, 5), Cell(results, 12, 8), Cell(took, 12, 8)))


def _freshness() -> Row:
    ages = lines(
        "Time since the latest success",
        "How old the data is. Dashed: the limit, max_age.",
        Query(promql.AGE, f"age {_HERE}"),
        Query(promql.LIMIT, f"limit {WHERE}"),
        unit="s",
    ).override_by_query("B", look.dashed(look.BAD))
    return Row("Freshness", (Cell(ages, 16, 8), Cell(fresh_share(), 8, 8)))


def _sources() -> Row:
    return Row("Source: $source", (Cell(_now_by_state(), 8, 7), Cell(_over_time(), 16, 7)), repeat="source")


def _now_by_state() -> PanelBuilder:
    return bars(
        "Jobs listed now",
        "Jobs of this source that Milvus lists now, by state. Milvus forgets an ended job after a day.",
        Query(counted(contract.JOBS, ROW), f"{{{{state}}}} {WHERE}", now=True),
        unit="none",
        thresholds=look.PROGRESS,
        no_value="none",
    )


def _over_time() -> PanelBuilder:
    return lines(
        "Jobs listed",
        "Jobs of this source that Milvus lists, by state.",
        Query(counted(contract.JOBS, ROW), f"{{{{state}}}} {WHERE}"),
        unit="short",
    )
