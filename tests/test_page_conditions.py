"""How a collection is doing: by the same measures as the alerts."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from builders import DAY, NOON, completed, failed, job, outcome_row
from peers.parts import ROOT

from exporter.errors import KINDS
from exporter.model import FailureClass, Job, State
from exporter.page import conditions as c
from exporter.page import words
from exporter.page.conditions import Condition

sys.path.insert(0, str(ROOT / "tools"))
from rules.parameters import Parameters

HOUR = 3600.0


def of(newest: Job | None = None, /, *, outcome: dict[str, Any] | None = None, **changes: Any) -> list[Condition]:
    facts: dict[str, Any] = {
        "changed": NOON - 60,
        "listed": (),
        "unlisted": False,
        "gone": False,
        "created": NOON - 30 * DAY,
        "known_since": NOON - 30 * DAY,
        "job_timeout": HOUR,
        "now": NOON,
    }
    return list(c.conditions(outcome_row(**outcome) if outcome is not None else None, newest, **(facts | changes)))


def running(progress: float, minutes: float, state: State = State.IN_PROGRESS) -> Job:
    return job(9, state, start=NOON - minutes * 60, progress=progress)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({"last_success": NOON - 10}, Condition.FINE),
        ({"last_success": NOON - 10, "max_age": 26 * HOUR}, Condition.FINE),
        ({"last_success": NOON - 27 * HOUR, "max_age": 26 * HOUR}, Condition.STALE),
        ({"failing": True, "consecutive_failures": 2}, Condition.FAILED),
        ({"failing": True, "consecutive_failures": 3}, Condition.FAILING_REPEATEDLY),
        ({"last_success": NOON - 10, "trouble": failed(1, NOON)}, Condition.INDEXES_LATE),
        ({"max_age": 26 * HOUR}, Condition.NEVER_REFRESHED),
        ({}, Condition.NO_SUCCESS_KNOWN),
    ],
)
def test_what_is_remembered_decides_where_nothing_runs(outcome: dict[str, Any], expected: Condition) -> None:
    assert of(outcome=outcome) == [expected]


def test_nobody_is_called_never_refreshed_before_we_could_know_of_a_refresh() -> None:
    assert of(outcome={"max_age": 26 * HOUR}, known_since=NOON - 25 * HOUR) == [Condition.NO_SUCCESS_KNOWN]
    assert of(outcome={"max_age": 26 * HOUR}, created=NOON - 25 * HOUR) == [Condition.NO_SUCCESS_KNOWN]


@pytest.mark.parametrize(
    ("newest", "facts", "worst"),
    [
        (running(0.3, 5), {}, Condition.RUNNING),
        (running(0.0, 16, State.PENDING), {}, Condition.PENDING_LONG),
        (running(0.0, 14, State.PENDING), {}, Condition.RUNNING),
        (running(0.5, 16, State.PENDING), {}, Condition.RUNNING),
        (running(0.5, 40), {"changed": NOON - 31 * 60}, Condition.STUCK),
        (running(0.5, 40), {"changed": NOON - 29 * 60}, Condition.RUNNING),
        (running(0.95, 40), {"changed": NOON - 31 * 60, "listed": [completed(1, NOON, start=NOON - 1000)]}, "RUNNING"),
        (running(0.95, 40), {"changed": NOON - 31 * 60, "listed": [completed(1, NOON, start=NOON - 700)]}, "STUCK"),
        (running(0.0, 40), {"changed": NOON - 31 * 60}, Condition.STUCK),
        (running(0.99, 71), {}, Condition.PAST_TIMEOUT),
        (running(0.99, 69), {}, Condition.RUNNING),
        (running(0.0, 5, State.UNKNOWN), {}, Condition.RUNNING),
        (completed(1, NOON), {"unlisted": True}, Condition.UNLISTED),
    ],
)
def test_a_job_under_way_is_measured_as_the_alerts_do(newest: Job, facts: dict[str, Any], worst: Any) -> None:
    assert of(newest, **facts)[0] is (Condition[worst] if isinstance(worst, str) else worst)


def test_several_troubles_come_worst_first() -> None:
    outcome = {"last_success": NOON - 30 * HOUR, "max_age": HOUR, "failing": True, "consecutive_failures": 5}
    assert of(running(0.5, 40), outcome=outcome, changed=NOON - 31 * 60) == [
        Condition.STALE,
        Condition.FAILING_REPEATEDLY,
        Condition.STUCK,
        Condition.RUNNING,
    ]


def test_a_dropped_collection_is_in_no_trouble_whatever_it_left_behind() -> None:
    assert of(outcome={"failing": True, "consecutive_failures": 9}, gone=True) == [Condition.GONE]


def test_the_measures_are_those_of_the_alerts_as_they_are_shipped() -> None:
    p = Parameters()
    ours = [c.FAILURES_IN_A_ROW, c.PENDING, c.STILL, c.INDEX_WAIT_FROM, c.SLOW_FACTOR, c.TIMEOUT_MARGIN]
    theirs = [p.failures_in_a_row, p.pending, p.still, p.index_wait_from, p.slow_factor, p.timeout_margin]
    assert ours == theirs


@pytest.mark.parametrize("condition", Condition)
def test_each_condition_that_is_trouble_leads_to_a_runbook_that_exists(condition: Condition) -> None:
    assert bool(condition.alert) or not condition.severity.trouble
    if condition.alert:
        assert (ROOT / "docs" / "runbooks" / f"{condition.alert}.md").is_file()


def test_words_for_classes_are_those_of_the_runbooks() -> None:
    told = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| \[`(\w+)`\]\([^)]*\) \| ([^|]+) \|", told, re.MULTILINE))
    assert {class_.value: text for class_, text in words.CLASSES.items()} == table
    assert set(words.CLASSES) == set(FailureClass)


def test_each_kind_of_failed_poll_and_each_state_has_words() -> None:
    assert set(words.KINDS) == set(KINDS)
    assert set(words.STATES) == set(State)
