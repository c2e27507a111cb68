"""The exporter: what it watches and whether it can, for when the first panel of another dashboard is red."""

from __future__ import annotations

from typing import Final

from dashboards import columns, frame, look, promql
from dashboards.layout import Cell, Heading, Row, dashboard
from dashboards.panels import WHERE, Column, PanelBuilder, Query, counts, lines, stat, table, timeline
from dashboards.promql import EXPORTERS, OURS, count, counted, grown, identity, leading, of, ours
from exporter.metrics import contract

UID: Final = "milvus-refresh-health"
TITLE: Final = "Milvus / External collection refresh / Exporter"
_WHO: Final = "{{cluster}} {{job}} {{milvus}} {{instance}}"


def text() -> str:
    """Return the JSON of the dashboard."""
    rows = (_now(), _polls(), _seen(), _process())
    about = "The exporter itself: what it watches, whether its polls succeed, what it cannot show, and what runs where."
    return dashboard(
        Heading(UID, TITLE, about), rows, frame.exporters(), (frame.starts(),), frame.links(UID, exporter_page=False)
    )


def watched() -> Cell:
    """Return whether all is there that was there an hour ago: what everything else on a page depends on."""
    unseen, missing = (
        f"{total}\nor 0 * count({promql.WATCHED} or up{{{OURS}}})"
        for total in (f"count({promql.UNSEEN})", f"sum({promql.EXPORTERS_MISSING})")
    )
    panel = stat(
        "Not watched now",
        "Green only while everything is there that was there an hour ago. Milvus: those that were watched within the "
        "last hour and of which there is no fresh poll now. Exporters: targets that cannot be scraped, or are "
        "fewer than an hour ago. Of what is not watched, nothing on this page is true now.",
        Query(unseen, "Milvus", now=True),
        Query(missing, "exporters", now=True),
        unit="none",
        thresholds=look.ANY_IS_BAD,
        mappings=[look.ALL_THERE],
        no_value="nothing is watched",
        no_value_color=look.BAD,
    )
    return Cell(panel, 5, 4)


def poll_age() -> Cell:
    """Return how old what we know is."""
    panel = stat(
        "Since the last good poll",
        "Time since the exporter last listed the jobs, of the Milvus for which that is longest. Everything else is as "
        "of then, and running jobs are no longer shown when it is too long.",
        Query(f"max({promql.POLL_AGE})", "age", now=True),
        unit="s",
        thresholds=look.PLAIN,
        mappings=[look.NO_POLL_YET],
        no_value="no exporter seen",
        no_value_color=look.BAD,
    )
    return Cell(panel, 4, 4)


def _now() -> Row:
    return Row("Now", (watched(), poll_age(), Cell(_gaps(), 6, 4), *(Cell(tile, 3, 4) for tile in _flags())))


def _gaps() -> PanelBuilder:
    unlisted = leading(of(contract.UNLISTED, OURS), "database", "collection")
    return stat(
        "Not shown one by one",
        "Collections that the last poll could not list, and collections and sources that the limits have folded into "
        "sums. Anything but none: some are missing on the other dashboards.",
        Query(count(unlisted, ours(contract.UP)), "not listed", now=True),
        Query(f"sum({counted(contract.COLLECTIONS_FOLDED)})", "folded", now=True),
        Query(f"sum({counted(contract.SOURCES_FOLDED)})", "sources folded", now=True),
        unit="none",
        thresholds=look.ANY_IS_ODD,
        mappings=[look.NONE_IS_GOOD],
    )


def _flags() -> tuple[PanelBuilder, ...]:
    bad = look.steps(look.BAD, (1, look.CLEAR))
    return (
        stat(
            "Inventory read",
            "Time since the list of collections was last read without an error, of the Milvus for which that is "
            "longest. It names databases and finds collections that were never refreshed.",
            Query(f"max(time() - {ours(contract.INVENTORY_SUCCESS)})", "age", now=True),
            unit="s",
            thresholds=look.steps(look.CLEAR, (1200, look.WARN)),
            mappings=[look.above(1e9, "not yet", look.WARN)],
        ),
        stat(
            "Configuration good",
            "Whether every exporter could read its configuration when it last tried. No: the one before is in force.",
            Query(f"min({of(contract.CONFIG_GOOD, EXPORTERS)})", "good", now=True),
            unit="none",
            thresholds=bad,
            mappings=[look.YES_NO],
        ),
        stat(
            "State kept",
            "Whether what is remembered is in the state file, at every exporter. No: a restart would forget.",
            Query(f"min({of(contract.STATE_OK, OURS)})", "kept", now=True),
            unit="none",
            thresholds=bad,
            mappings=[look.YES_NO],
            no_value="not in use",
        ),
    )


def _polls() -> Row:
    return Row("Polls", (Cell(_targets(), 12, 8), Cell(_up(), 12, 8), Cell(_errors(), 12, 8), Cell(_duration(), 12, 8)))


def _targets() -> PanelBuilder:
    missing = f"{promql.EXPORTERS_MISSING}\nor on {identity()} 0 * ({promql.WATCHED})"
    shown = (
        columns.value(
            "A",
            Column("", "Not watched", {"mappings": [look.UNSEEN], "custom.width": 125} | columns.FILLED | columns.LEFT),
        ),
        columns.WHERE,
        columns.JOB,
        columns.value(
            "B",
            Column(
                "", "Since good poll", {"unit": "s", "decimals": 0, "mappings": [look.NO_POLL_YET], "custom.width": 125}
            ),
        ),
        columns.value("C", Column("", "Exporters", {"decimals": 0, "custom.width": 85})),
        columns.value("D", Column("", "Missing", {"decimals": 0, "custom.width": 75})),
    )
    return table(
        "Every Milvus of the last hour, missing ones first",
        "What was watched within an hour: whether it is now, by how many exporters, and how many are missing.",
        (
            promql.named(f"0 * ({promql.UNSEEN}) + 1\nor on {identity()} 0 * ({promql.WATCHED})"),
            promql.POLL_AGE,
            f"count by {identity()} (up{{{OURS}}} == 1)",
            missing,
        ),
        shown,
        sort="Not watched",
        no_value="Nothing was watched within an hour",
    )


def _up() -> PanelBuilder:
    return timeline(
        "Polls",
        "Whether the last poll of each exporter succeeded, in full or in part. No line: Prometheus cannot reach it.",
        Query(f"max by {identity('instance')} ({of(contract.UP, OURS)})", _WHO),
        look.POLLED,
    )


def _errors() -> PanelBuilder:
    return counts(
        "Errors by kind",
        "Errors of polls, of the inventory and of the state file, and polls skipped because the one before still ran.",
        Query(f"{grown(contract.POLL_ERRORS, OURS)} > 0", f"{{{{kind}}}} {WHERE}"),
        Query(f"{grown(contract.INVENTORY_ERRORS, OURS)} > 0", f"inventory: {{{{kind}}}} {WHERE}"),
        Query(f"{grown(contract.STATE_WRITE_ERRORS, OURS)} > 0", f"state file {WHERE}"),
        Query(f"{grown(contract.SKIPPED, OURS)} > 0", f"skipped {WHERE}"),
    ).no_value("no error in this time")


def _duration() -> PanelBuilder:
    buckets = f"max by {identity('le')} (rate({of(contract.POLL_DURATION, OURS, suffix='_bucket')}[$__rate_interval]))"
    return lines(
        "Time for a poll",
        "Wall time of a poll with all its calls. Dashed: the time between two polls, which it must stay below.",
        Query(f"histogram_quantile(0.5, {buckets})", f"median {WHERE}"),
        Query(f"histogram_quantile(0.99, {buckets})", f"99 % {WHERE}"),
        Query(ours(contract.INTERVAL), f"interval {WHERE}"),
        unit="s",
    ).override_by_query("C", look.dashed(look.WARN))


def _seen() -> Row:
    collections = f"sum by {identity()} ({leading(of(contract.COLLECTIONS, OURS), 'database')})"
    seen = lines(
        "What Milvus shows",
        "Jobs in the last good listing, those whose collection is not shown (dropped, or hidden by grants), and "
        "external collections known.",
        Query(counted(contract.SNAPSHOT_JOBS), f"jobs listed {WHERE}"),
        Query(counted(contract.JOBS_WITHOUT_VISIBLE_COLLECTION), f"jobs of unseen collections {WHERE}"),
        Query(collections, f"collections {WHERE}"),
        unit="short",
    )
    problems = counts(
        "Impossible values in job records",
        "Values that Milvus sent and that cannot be, each once per job. They are repaired; many of them mean that this "
        "exporter and this Milvus do not fit together.",
        Query(f"{grown(contract.INVALID, OURS)} > 0", f"{{{{problem}}}} {WHERE}"),
    ).no_value("none in this time")
    return Row("What it sees", (Cell(seen, 12, 8), Cell(problems, 12, 8)))


def _process() -> Row:
    samples = lines(
        "Samples in a scrape",
        "What each target costs Prometheus.",
        Query(f"max by {identity('instance')} (scrape_samples_scraped{{{OURS}}})", _WHO),
        unit="short",
    )
    memory = lines(
        "Memory",
        "Resident memory of each exporter's process.",
        Query(f"max by {identity('instance')} (process_resident_memory_bytes{{{EXPORTERS}}})", _WHO),
        unit="bytes",
    )
    return Row("Processes", (Cell(samples, 12, 8), Cell(memory, 12, 8), Cell(_versions(), 24, 7)))


def _versions() -> PanelBuilder:
    labels = ("version", "revision", "python_version")
    shown = (
        columns.WHERE,
        columns.JOB,
        Column("instance", "Instance", {}),
        Column("version", "Version", {}),
        Column("revision", "Revision", {}),
        Column("python_version", "Python", {}),
        columns.value("A", Column("", "Started", {"unit": "dateTimeAsIso"})),
    )
    started = f"max by {identity('instance')} (process_start_time_seconds{{{EXPORTERS}}})"
    built = f"max by {identity('instance', *labels)} ({of(contract.BUILD_INFO, EXPORTERS)})"
    return table(
        "Exporters",
        "What runs where, and since when; the latest start first.",
        (promql.named(f"{built} * on {identity('instance')} group_left () {started} * 1000"),),
        shown,
        sort="Started",
        no_value="No exporter seen",
    )
