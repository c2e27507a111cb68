"""The demo with its outages, real Prometheus and Alertmanager: what is provoked arrives, and nothing else does.

The demo is at thirty times its pace, and the rules are the shipped ones with times and thresholds to match
(``tools/generate_rules.py --set``). The demo's day depends on the hour, so which alerts are right is worked out from
the daemon's own exposition, in plain Python, and some are known to be right at any hour.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from peers.exporter import Exporter, Samples
from peers.monitoring import RULES, Monitoring, Notice, Subject
from peers.parts import generations, missing
from peers.waiting import until

pytestmark = pytest.mark.real

SPEED = 30
MAX_AGE = 3 * 3600 // SPEED
FLAGS = ("--poll.interval", "1s", "--freshness.max-age", f"{MAX_AGE}s")
TIMES = {
    "pending": 5,
    "still": 10,
    "slow_floor": 20,
    "timeout_margin": 5,
    "outdated_floor": 1,
    "stale_margin": 2,
    "gap": 3,
    "partial_within": 3,
    "scrapes_within": 5,
    "down_for": 2,
    "job_for": 2,
    "blind_for": 2,
    "account_for": 1,
    "reload_for": 2,
    "errors_within": 10,
    "baseline_interval": 2,
    "baseline_lasts": 60,
    # Each for itself: what many have in common is another play.
    "shared_from": 1000,
    "unreliable_failures": 1000,
}
OUTDATED_AFTER = 3
"""Poll intervals, of a second."""
ACTIVE = ("RefreshPending", "RefreshInProgress")
OUTAGES = ("RefreshDataOutdated", "RefreshListingPartial")
ON_FAILURES = ("RefreshFailed", "RefreshFailingRepeatedly", "RefreshIndexWaitTimedOut")
FAILING = (("analytics", "customers"), ("ml", "images"), ("ml", "features"))
AT_ANY_HOUR = frozenset(
    {
        *(Subject(alert, *place) for alert in ON_FAILURES[:2] for place in FAILING),
        *(Subject("CollectionNeverRefreshed", *place) for place in (("analytics", "contracts"), ("ml", "sandbox"))),
        *(Subject(alert, "ml", "reviews") for alert in ("CollectionStale", "RefreshSlow")),
        *(Subject(alert, "ml", "reviews") for alert in ("RefreshStuck", "RefreshPastServerTimeout")),
    }
)
PENDING = {Subject("RefreshPendingTooLong", "ml", "images"), Subject("RefreshPendingTooLong", "ml", "features")}
"""At any hour at least one of these two is pending."""


@dataclass
class Stage:
    """Everything that plays, and what the daemon has told meanwhile."""

    daemon: Exporter
    monitoring: Monitoring
    right: set[Subject] = field(default_factory=set)
    """Every alert that was right at some moment."""
    now: set[Subject] = field(default_factory=set)
    """Those that are right now."""
    reasons: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    longest: dict[tuple[str, str], float] = field(default_factory=dict)
    """The longest success in seconds, by database and collection."""
    names: set[str] = field(default_factory=set)
    errors: dict[str, float] = field(default_factory=dict)
    blind: list[Samples] = field(default_factory=list)
    partial: list[Samples] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    told: list[Notice] = field(default_factory=list)
    """What the webhook had heard when the demo was stopped."""

    def watch(self, ended: threading.Event) -> None:
        """Look again and again until told to end."""
        try:
            while not ended.wait(0.3):
                self.look(self.daemon.metrics())
        except (AssertionError, OSError) as error:
            self.faults.append(error)

    def look(self, seen: Samples) -> None:
        for labels, value in seen.all("last_success_duration_seconds"):
            place = labels["database"], labels["collection"]
            self.longest[place] = max(value, self.longest.get(place, 0.0))
        self.now = set(right_now(seen, time.time(), self.longest))
        self.right |= self.now
        self.names |= {name for name, _, _ in seen.parsed}
        self.errors = seen.errors()
        if not seen.value("up"):
            self.blind.append(seen)
        if seen.value("poll_partial"):
            self.partial.append(seen)
        for labels, _ in seen.all("last_failure_info"):
            self.reasons.setdefault((labels["database"], labels["collection"]), set()).add(labels["reason"])
        for labels, _ in seen.all("collection_unlisted"):
            # A dropped collection has no database any more: its jobs cannot be asked for by name.
            self.unlisted.add("/".join(filter(None, (labels["database"], labels["collection"]))))


def right_now(seen: Samples, moment: float, longest: dict[tuple[str, str], float]) -> Iterator[Subject]:
    """Work out which alerts are right, by what their runbooks say and not by how the rules say it."""
    if moment - (seen.value("poll_last_success_timestamp_seconds") or 0) > OUTDATED_AFTER:
        yield Subject("RefreshDataOutdated")
    if seen.value("poll_partial"):
        yield Subject("RefreshListingPartial")
    for place in {(labels["database"], labels["collection"]) for labels, _ in seen.all("consecutive_failures")}:
        yield from (Subject(alert, *place) for alert in _of_outcomes(seen, moment, *place))
        yield from (Subject(alert, *place) for alert in _of_job(seen, moment, longest.get(place), *place))


def _of_outcomes(seen: Samples, moment: float, database: str, collection: str) -> Iterator[str]:
    def value(name: str) -> float | None:
        return seen.value(name, database=database, collection=collection)

    success, failure = value("last_success_timestamp_seconds"), value("last_failure_timestamp_seconds")
    if failure and failure > (success or 0):
        yield "RefreshFailed"
    if (value("consecutive_failures") or 0) >= 3:
        yield "RefreshFailingRepeatedly"
    if success and moment - success > MAX_AGE:
        yield "CollectionStale"
    if success is None and moment - (value("collection_created_timestamp_seconds") or moment) > MAX_AGE:
        yield "CollectionNeverRefreshed"
    waited = {"failure_class": "index_wait_timeout", "database": database, "collection": collection}
    if seen.all("last_failure_info", **waited):
        yield "RefreshIndexWaitTimedOut"


def _of_job(seen: Samples, moment: float, longest: float | None, database: str, collection: str) -> Iterator[str]:
    place = {"database": database, "collection": collection}
    states = {labels["state"] for labels, value in seen.all("last_job_state", **place) if value}
    if not states & set(ACTIVE):
        return
    elapsed = moment - (seen.value("last_job_start_timestamp_seconds", **place) or moment)
    still = moment - (seen.value("last_job_progress_change_timestamp_seconds", **place) or moment)
    progress = seen.value("last_job_progress_ratio", **place) or 0
    waiting = "RefreshPending" in states and not progress and elapsed > TIMES["pending"]
    unusual = elapsed > (3 * longest if longest else 3600 / SPEED)
    if waiting:
        yield "RefreshPendingTooLong"
    if still > TIMES["still"] and not waiting and (0 < progress < 0.9 or unusual):
        yield "RefreshStuck"
    if longest and elapsed > max(3 * longest, TIMES["slow_floor"]):
        yield "RefreshSlow"
    if elapsed > 3600 / SPEED * (2 if progress >= 0.9 else 1) + TIMES["timeout_margin"]:
        yield "RefreshPastServerTimeout"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    prometheus = generations("prometheus").get("system") or missing("Prometheus is not installed")
    state = str(tmp_path_factory.mktemp("state") / "state.db")
    flags = ("--demo.outage", "--demo.speed", str(SPEED), *FLAGS, "--state.path", state)
    with (
        Exporter("", *flags, command="demo") as daemon,
        Monitoring(daemon.port, prometheus=prometheus, times=TIMES) as monitoring,
    ):
        played, ended = Stage(daemon, monitoring), threading.Event()
        watching = threading.Thread(target=played.watch, args=(ended,))
        watching.start()
        try:
            _play(played)
        finally:
            ended.set()
            watching.join()
        assert not played.faults, played.faults
        _play_the_end(played)
        yield played


def _play(stage: Stage) -> None:
    """Wait for everything that is right at any hour and for all four troubles; then for quiet."""
    heard = stage.monitoring.webhook

    def all_there() -> bool:
        there = heard.arrived()
        return there >= AT_ANY_HOUR and bool(there & PENDING)

    until(all_there, "every alert that is right at any hour", seconds=90)
    for alert in OUTAGES:
        until(lambda alert=alert: Subject(alert) in heard.arrived(), f"{alert} arrives", seconds=150)
        until(lambda alert=alert: Subject(alert) in heard.arrived(resolved=True), f"{alert} resolves", seconds=150)
    # The last trouble of the plan is the one in which calls are not answered.
    until(lambda: "deadline" in stage.errors, "a poll without an answer", seconds=150)
    stage.daemon.until(lambda seen: seen.value("up") == 1, "the end of the last trouble")
    until(lambda: heard.firing() == stage.now, "what fires is what is right", seconds=60)


def _play_the_end(stage: Stage) -> None:
    """The demo is stopped and started again."""
    stage.told = stage.monitoring.webhook.notices()
    down = Subject("RefreshExporterDown")
    stage.daemon.stop()
    until(lambda: down in stage.monitoring.webhook.firing(), "the daemon is missed", seconds=60)
    stage.daemon.start()
    until(lambda: down not in stage.monitoring.webhook.firing(), "the daemon is back", seconds=60)


def _fired(stage: Stage) -> list[Notice]:
    return [notice for notice in stage.told if notice.fires]


def test_everything_that_the_scenario_provokes_arrives_and_nothing_else(stage: Stage) -> None:
    arrived = {notice.subject for notice in _fired(stage)}
    assert arrived >= AT_ANY_HOUR | {Subject(alert) for alert in OUTAGES}
    assert arrived & PENDING
    assert arrived <= stage.right, "alerts that nothing in the exposition justifies"


def test_each_alert_arrives_once(stage: Stage) -> None:
    times = Counter((notice.subject, notice.starts) for notice in _fired(stage))
    assert {alert: count for alert, count in times.items() if count > 1} == {}
    times_at_all = Counter(notice.subject for notice in _fired(stage))
    assert {subject: times_at_all[subject] for subject in AT_ANY_HOUR} == dict.fromkeys(AT_ANY_HOUR, 1)


def test_alerts_on_failures_say_the_reason_that_the_daemon_tells(stage: Stage) -> None:
    alerts = [notice for notice in _fired(stage) if notice.subject.alert in ON_FAILURES]
    assert len(alerts) >= 6
    for subject, _, _, texts in alerts:
        reasons = stage.reasons[subject.database, subject.collection]
        assert any(f"Reason: {reason} (job " in texts["description"] for reason in reasons), texts["description"]


def test_alerts_on_outages_say_how_blind_we_are(stage: Stage) -> None:
    texts = {notice.subject.alert: notice.texts["description"] for notice in _fired(stage)}
    assert re.match(r"The last good poll was \d+(\.\d+)?s ago: Milvus is down", texts["RefreshDataOutdated"])
    (unlisted,) = re.findall(r"Not listed, and shown as of before: ([\w/, ]+)\.", texts["RefreshListingPartial"])
    assert set(unlisted.split(", ")) <= stage.unlisted


def test_in_each_trouble_the_daemon_names_its_kind_and_goes_on_serving_what_it_knows(stage: Stage) -> None:
    """It stays up in the one trouble that leaves most collections listed."""
    assert {"unreachable", "server_error", "deadline"} <= stage.errors.keys()
    assert stage.errors.keys() <= {"unreachable", "server_error", "deadline", "not_ready"}
    for words in (
        *("UNAVAILABLE: Milvus is down kind=unreachable", "references missing task"),
        *("poll is partial", "kind=server_error", "Milvus did not answer in time", "kind=deadline"),
    ):
        assert words in stage.daemon.log
    assert stage.blind
    assert stage.partial
    assert all(seen.value("up") == 1 and seen.all("collection_unlisted") for seen in stage.partial)
    for seen in (*stage.blind, *stage.partial):
        assert (seen.value("snapshot_stale"), seen.value("state_ok")) == (0, 1)
        assert seen.total("jobs") > 1000


def test_every_text_is_a_whole_sentence(stage: Stage) -> None:
    for subject, _, _, texts in _fired(stage):
        for text in texts.values():
            assert not re.search(r"<no value>|<nil>|error expanding|\{\{|%!", text), (subject, text)
        assert subject.collection in texts["summary"]
        assert "  " not in texts["description"]
        assert texts["description"].endswith(".")


def test_prometheus_has_nothing_to_say_against_any_rule(stage: Stage) -> None:
    assert {
        (rule["name"], rule.get("lastError", "")) for rule in stage.monitoring.rules() if rule["health"] != "ok"
    } == set()


def test_every_metric_of_the_rules_is_in_a_real_scrape(stage: Stage) -> None:
    used = set(re.findall(r"(?<![\w:])milvus_external_refresh_\w+(?![\w:])", RULES.read_text(encoding="utf-8")))
    assert used <= stage.names


def test_the_files_of_the_rules_are_the_shipped_ones_but_for_their_numbers(stage: Stage) -> None:
    """Otherwise the play would have been about other rules."""
    made = stage.monitoring.rules_file.read_text(encoding="utf-8")
    assert _without_numbers(made) == _without_numbers(RULES.read_text(encoding="utf-8"))


def _without_numbers(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\b\d+(\.\d+)?[smhd]?\b", "N", text))
