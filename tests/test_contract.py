"""The contract with users, typed out once more by hand: whoever changes a name, type or label changes it here too."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from golden.snapshots import NOW
from peers.parts import ROOT

from exporter.errors import KINDS
from exporter.ledger import DURATION_BUCKETS
from exporter.metrics.contract import CONTRACT, PREFIX, Metric, Part
from exporter.model import FailureClass, Problem, State

PAGE = ROOT / "docs" / "metrics.md"
TOOL = ROOT / "tools" / "generate_metrics_docs.py"

# name, type, labels
PROMISED = """
jobs                                         gauge      database collection source state
last_job_state                               gauge      database collection source state
last_job_progress_ratio                      gauge      database collection source
last_job_progress_change_timestamp_seconds   gauge      database collection source
last_job_start_timestamp_seconds             gauge      database collection source
last_job_end_timestamp_seconds               gauge      database collection source
last_job_duration_seconds                    gauge      database collection source
last_job_info                                gauge      database collection source job_id failure_class reason
collection_unlisted                          gauge      database collection
last_success_timestamp_seconds               gauge      database collection
last_failure_timestamp_seconds               gauge      database collection
last_success_duration_seconds                gauge      database collection
consecutive_failures                         gauge      database collection
last_failure_info                       gauge      database collection source source_root job_id failure_class reason
failing_collections                          gauge      source_root failure_class
jobs_finished_total                          counter    database collection
jobs_failed_total                            counter    database collection
max_age_seconds                              gauge      database collection
outcomes_known_since_timestamp_seconds       gauge
job_duration_seconds                         histogram  database
jobs_failed_by_class_total                   counter    database failure_class
collection_info                              gauge      database collection source
collection_created_timestamp_seconds         gauge      database collection
collections                                  gauge      database
inventory_last_success_timestamp_seconds     gauge
inventory_errors_total                       counter    kind
up                                           gauge
poll_partial                                 gauge
poll_last_attempt_timestamp_seconds          gauge
poll_last_success_timestamp_seconds          gauge
poll_interval_seconds                        gauge
poll_duration_seconds                        histogram
polls_total                                  counter
polls_skipped_total                          counter
poll_errors_total                            counter    kind
snapshot_stale                               gauge
snapshot_jobs                                gauge
jobs_without_visible_collection              gauge
collections_folded                           gauge
sources_folded                               gauge
invalid_records_total                        counter    problem
server_job_timeout_seconds                   gauge
server_job_retention_seconds                 gauge
state_ok                                     gauge
state_last_write_success_timestamp_seconds   gauge
state_write_errors_total                     counter
config_last_reload_successful                gauge
config_last_reload_success_timestamp_seconds gauge
exporter_build_info                          gauge      version revision python_version
"""

CLASSES = """timeout index_wait_timeout access_denied source_not_found source_unreachable source_empty schema_mismatch
format_error manifest_error spec_invalid function_error worker_error conflict safety_check superseded cancelled
collection_gone storage_error internal unknown"""
ERROR_KINDS = """unreachable tls deadline not_ready rate_limited unauthenticated permission_denied unimplemented
response_too_large bad_response server_error internal"""


def as_typed(metric: Metric) -> tuple[str, ...]:
    return (metric.short, metric.kind, *metric.labels)


def name(metric: Metric) -> str:
    return metric.short


EACH = pytest.mark.parametrize("metric", CONTRACT, ids=name)


def test_the_contract_is_what_was_promised() -> None:
    """Every family with its name, type and labels, and none besides."""
    assert [as_typed(metric) for metric in CONTRACT] == [tuple(line.split()) for line in PROMISED.strip().splitlines()]


def test_every_name_has_the_prefix() -> None:
    assert PREFIX == "milvus_external_refresh_"
    assert all(metric.name == PREFIX + metric.short for metric in CONTRACT)


@EACH
def test_no_label_clashes_with_those_of_prometheus_and_its_users(metric: Metric) -> None:
    assert not {"job", "instance", "cluster", "type", "le", "quantile", "exported_job"} & set(metric.labels)


@EACH
def test_a_name_says_its_unit_and_a_counter_that_it_is_one(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.family == metric.name.removesuffix("_total")
    assert not re.search(r"_(ms|millis|milliseconds|minutes|percent|count|sum|bucket|created|age)$", metric.name)
    if "timestamp" in metric.name or "duration" in metric.name:
        assert metric.name.endswith("_seconds")


@EACH
def test_a_help_is_one_sentence_or_two_on_one_line(metric: Metric) -> None:
    assert metric.help.endswith(".")
    assert "\n" not in metric.help + metric.more
    assert len(metric.help) < 160


@EACH
def test_the_help_of_what_the_last_poll_found_says_that_it_is_cached(metric: Metric) -> None:
    """Whoever reads a series of jobs must know that a scrape does not reach Milvus."""
    assert ("Cached: as of the last good poll." in metric.help) == (metric.part is Part.JOBS)


def test_ids_and_reasons_are_labels_of_the_two_info_metrics_alone() -> None:
    """An alert on anything else does not become a new one when they change."""
    bearers = {metric.short for metric in CONTRACT if {"job_id", "reason"} & set(metric.labels)}
    assert bearers == {"last_job_info", "last_failure_info"}


@pytest.mark.parametrize(
    "short",
    ["last_job_start_timestamp_seconds", "last_job_end_timestamp_seconds", "last_job_duration_seconds",
     "last_success_timestamp_seconds", "last_failure_timestamp_seconds", "last_success_duration_seconds",
     "collection_created_timestamp_seconds", "collections"],
)  # fmt: skip
def test_what_can_be_absent_says_when(short: str) -> None:
    (metric,) = (each for each in CONTRACT if each.short == short)
    assert "Absent" in metric.more


def test_the_closed_lists_are_those_that_were_promised() -> None:
    assert list(State) == [f"Refresh{each}" for each in ("Pending", "InProgress", "Completed", "Failed", "Unknown")]
    assert list(FailureClass) == CLASSES.split()
    assert sorted(KINDS) == sorted(ERROR_KINDS.split())
    assert DURATION_BUCKETS == (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


# The reference


@pytest.fixture
def tool() -> ModuleType:
    """The generator, as a module of its own."""
    spec = importlib.util.spec_from_file_location("generate_metrics_docs", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert (tool.main(["--check"]), capsys.readouterr().err) == (0, "")


def test_a_reference_that_is_out_of_date_fails_the_check_and_says_what_to_do(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool.PAGE = tmp_path / "metrics.md"
    assert tool.main(["--check"]) == 1
    tool.PAGE.write_text(PAGE.read_text(encoding="utf-8") + "edited by hand\n", encoding="utf-8")
    assert tool.main(["--check"]) == 1
    assert capsys.readouterr().err == f"{tool.PAGE} is out of date: make docs\n" * 2
    assert tool.main([]) == 0
    tool.PAGE.write_text(capsys.readouterr().out, encoding="utf-8")
    assert tool.main(["--check"]) == 0


def test_the_tool_refuses_what_it_does_not_know(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--chekc"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("usage:")


def test_the_tool_ends_with_what_it_found() -> None:
    """The exit code is what `make check` goes by."""
    code = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); runpy.run_path({str(TOOL)!r}, run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", code, "--chekc"], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 2


def test_a_kind_without_a_text_fails_the_build(tool: ModuleType) -> None:
    """Whoever adds one says what to do about it."""
    tool.KINDS = (*KINDS, "new")
    with pytest.raises(KeyError, match="new"):
        tool.page()


def test_the_tool_has_no_text_for_what_is_no_more(tool: ModuleType) -> None:
    assert tool.KIND_TEXTS.keys() == set(KINDS)
    assert tool.CLASS_TEXTS.keys() == set(FailureClass)
    assert tool.PROBLEM_TEXTS.keys() == set(Problem)


def test_the_reference_names_every_family_class_kind_and_problem() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows >= {metric.short for metric in CONTRACT} | {*FailureClass, *KINDS, *Problem}


def test_every_link_of_the_reference_leads_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")

    def anchors(page: str) -> set[str]:
        heads = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}

    links = re.findall(r"\]\(([\w.]*)#([\w-]+)\)", text)
    assert len(links) == text.count("](") > 10
    for file, anchor in links:
        target = (PAGE.parent / file).read_text(encoding="utf-8") if file else text
        assert anchor in anchors(target), f"{file}#{anchor}"


def test_every_setting_that_the_reference_names_exists() -> None:
    """A misspelt one would send a reader to look for nothing."""
    from exporter.config.keys import KEYS

    named = set(re.findall(r"`((?:poll|limits|labels|milvus|inventory|log|state)\.[a-z_]+)", PAGE.read_text("utf-8")))
    assert len(named) > 8
    assert named <= {key.dotted for key in KEYS.values()}


def test_the_sample_of_the_reference_is_of_one_moment() -> None:
    """Nothing in it is later than its poll."""
    stamps = re.findall(r"_timestamp_seconds\{.*\} ([0-9.]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(stamps) == 6
    assert all(float(stamp) <= NOW for stamp in stamps)
