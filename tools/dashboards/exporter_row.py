"""The last row of both dashboards: the exporter itself. Collapsed, for when the first panel is red."""

from __future__ import annotations

from typing import Final

from dashboards import columns, look, promql
from dashboards.layout import Cell, Row
from dashboards.panels import Column, PanelBuilder, Query, counts, lines, stat, table, timeline
from dashboards.promql import OURS, count, of, one, ours
from exporter.metrics import contract

_WHO: Final = "{{job}} {{instance}}"


def exporter_row() -> Row:
    """Return the row."""
    tiles = (_inventory(), _configuration(), _state())
    first = (Cell(_up(), 9, 7), Cell(_gaps(), 6, 7), *(Cell(tile, 3, 7) for tile in tiles))
    second = (Cell(_errors(), 8, 8), Cell(_duration(), 8, 8), Cell(_jobs(), 8, 8))
    third = (Cell(_problems(), 8, 8), Cell(_samples(), 8, 8), Cell(_memory(), 8, 8))
    return Row("Exporter", (*first, *second, *third, Cell(_versions(), 24, 6)), collapsed=True)


def _up() -> PanelBuilder:
    return timeline(
        "Polls succeed",
        "Whether the last poll of each exporter succeeded, in full or in part. No line: Prometheus cannot reach it.",
        Query(of(contract.UP, OURS), _WHO),
        look.YES_NO,
    )


def _gaps() -> PanelBuilder:
    known = ours(contract.UP)
    unlisted = one(of(contract.UNLISTED, promql.DATABASE))
    return stat(
        "Not watched one by one",
        "Collections that the last poll could not list, and collections and sources that the limits have folded into "
        "sums. Anything but 0: some collections are missing from the rows above.",
        Query(count(unlisted, known), "not listed", now=True),
        Query(f"sum({ours(contract.COLLECTIONS_FOLDED)})", "collections folded", now=True),
        Query(f"sum({ours(contract.SOURCES_FOLDED)})", "sources folded", now=True),
        unit="none",
        thresholds=look.steps(look.GOOD, (1, look.WARN)),
        mappings=[look.NONE_IS_GOOD],
    )


def _inventory() -> PanelBuilder:
    return stat(
        "Inventory is this old",
        "Time since the list of collections was last read without an error. It names databases and finds collections "
        "that were never refreshed.",
        Query(f"max(time() - {ours(contract.INVENTORY_SUCCESS)})", "age", now=True),
        unit="s",
        thresholds=look.steps(look.GOOD, (1200, look.WARN)),
        mappings=[look.above(1e9, "not read yet", look.WARN)],
    )


def _configuration() -> PanelBuilder:
    return stat(
        "Configuration is good",
        "Whether the configuration could be read when that was last tried. No: the one before stays in force.",
        Query(f"min({of(contract.CONFIG_GOOD, OURS)})", "good", now=True),
        unit="none",
        thresholds=look.steps(look.BAD, (1, look.GOOD)),
        mappings=[look.YES_NO],
    )


def _state() -> PanelBuilder:
    return stat(
        "State file is good",
        "Whether what is remembered is in the state file. No: a restart would forget, see the exporter's log.",
        Query(f"min({of(contract.STATE_OK, OURS)})", "good", now=True),
        unit="none",
        thresholds=look.steps(look.BAD, (1, look.GOOD)),
        mappings=[look.YES_NO],
        no_value="not in use",
    )


def _errors() -> PanelBuilder:
    polls, inventory = (
        one(f"increase({of(metric, OURS)}[$__rate_interval])")
        for metric in (contract.POLL_ERRORS, contract.INVENTORY_ERRORS)
    )
    writes = one(f"increase({of(contract.STATE_WRITE_ERRORS, OURS)}[$__rate_interval])")
    skipped = one(f"increase({of(contract.SKIPPED, OURS)}[$__rate_interval])")
    return counts(
        "Errors by kind",
        "Errors of polls, of the inventory and of the state file, and polls skipped because the one before still ran.",
        Query(polls, "{{kind}} {{milvus}}"),
        Query(inventory, "inventory: {{kind}} {{milvus}}"),
        Query(writes, "state file {{milvus}}"),
        Query(skipped, "skipped {{milvus}}"),
    )


def _duration() -> PanelBuilder:
    buckets = one(f"rate({of(contract.POLL_DURATION, OURS, suffix='_bucket')}[$__rate_interval])")
    return lines(
        "Time for a poll",
        "Wall time of a poll with all its calls, and the time between two polls, which it must stay below.",
        Query(f"histogram_quantile(0.5, {buckets})", "median {{milvus}}"),
        Query(f"histogram_quantile(0.99, {buckets})", "99 % {{milvus}}"),
        Query(ours(contract.INTERVAL), "interval {{milvus}}"),
        unit="s",
    )


def _jobs() -> PanelBuilder:
    collections = f"sum without (database) ({one(of(contract.COLLECTIONS, promql.DATABASE))})"
    return lines(
        "What Milvus shows",
        "Jobs in the last good listing, those whose collection is not shown (dropped, or hidden by grants), and "
        "external collections known.",
        Query(ours(contract.SNAPSHOT_JOBS), "jobs listed {{milvus}}"),
        Query(ours(contract.JOBS_WITHOUT_VISIBLE_COLLECTION), "jobs of unseen collections {{milvus}}"),
        Query(collections, "collections {{milvus}}"),
        unit="short",
    )


def _problems() -> PanelBuilder:
    return counts(
        "Impossible values in job records",
        "Values that Milvus sent and that cannot be, each once per job. They are repaired; many of them mean that this "
        "exporter and this Milvus do not fit together.",
        Query(one(f"increase({of(contract.INVALID, OURS)}[$__rate_interval])"), "{{problem}} {{milvus}}"),
    )


def _samples() -> PanelBuilder:
    return lines(
        "Series",
        "Samples in one scrape of the exporter: what it costs Prometheus.",
        Query('scrape_samples_scraped{job=~"$job"}', _WHO),
        unit="short",
    )


def _memory() -> PanelBuilder:
    return lines(
        "Memory",
        "Resident memory of the exporter's process.",
        Query('process_resident_memory_bytes{job=~"$job"}', _WHO),
        unit="bytes",
    )


def _versions() -> PanelBuilder:
    shown = (
        Column("job", "Job", {}),
        Column("instance", "Instance", {}),
        columns.MILVUS,
        Column("version", "Version", {}),
        Column("revision", "Revision", {}),
        Column("python_version", "Python", {}),
        columns.value("A", Column("", "Started", {"unit": "dateTimeAsIso"})),
    )
    started = 'process_start_time_seconds{job=~"$job"}'
    built = of(contract.BUILD_INFO, OURS)
    return table(
        "Exporters",
        "What runs where, and since when.",
        (f"{built} * on (job, instance) group_left () {started} * 1000",),
        shown,
        sort="Started",
        no_value="No exporter seen",
    )
