"""The Alertmanager example on a real Alertmanager: what it groups, what it mutes, and that no reason is lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from peers.monitoring import Webhook
from peers.parts import ROOT, program
from peers.waiting import free_port, is_ready, until

pytestmark = pytest.mark.real

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.example.yml"
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
OUTAGE = "RefreshDataOutdated"
MUTED_IN_AN_OUTAGE = {
    "RefreshStuck",
    "RefreshSlow",
    "RefreshPendingTooLong",
    "RefreshPastServerTimeout",
    "CollectionStale",
    "CollectionNeverRefreshed",
}
REASON = "access denied to s3://lake/orders"
ORDERS = {"database": "lake", "collection": "orders"}
# What kube-prometheus-stack ships: one alert name with two severities would mute across collections.
KUBE_PROMETHEUS_STACK = """
  - source_matchers: [severity = "critical"]
    target_matchers: [severity =~ "warning|info"]
    equal: [namespace, alertname]
  - source_matchers: [severity = "warning"]
    target_matchers: [severity = "info"]
    equal: [namespace, alertname]
"""


def alert(short: str, **labels: str) -> dict[str, str]:
    """Return the labels of one of our alerts, as Prometheus would send them."""
    name = f"MilvusExternal{short}"
    return {"alertname": name, "severity": ALERTS[name]["labels"]["severity"], "job": "milvus-refresh", **labels}


class Alertmanager:
    """A real one on the shipped example with its waits cut to a second. Use as a context manager."""

    def __init__(self, more_inhibitions: str = "") -> None:
        self.page, self.context = Webhook(), Webhook()
        self._port, self._folder = free_port(), Path(tempfile.mkdtemp(prefix="alertmanager-"))
        text = EXAMPLE.read_text(encoding="utf-8")
        for pattern, instead in (
            (r"http://localhost:5001/page", f"http://127.0.0.1:{self.page.port}/"),
            (r"http://localhost:5001/context", f"http://127.0.0.1:{self.context.port}/"),
            (r"group_wait: 30s", "group_wait: 1s"),
            (r"group_interval: 5m", "group_interval: 1s"),
            (r"\nreceivers:", f"{more_inhibitions}\nreceivers:"),
        ):
            assert len(re.findall(pattern, text)) == 1, f"the example no longer has {pattern!r} once"
            text = re.sub(pattern, instead, text)
        (self._folder / "alertmanager.yml").write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        line = [
            program("prometheus-alertmanager"),
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(line, stdout=log, stderr=log)
        until(lambda: is_ready(self._port), "Alertmanager is ready", seconds=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self.page.close()
        self.context.close()
        shutil.rmtree(self._folder)

    def send(self, *alerts: dict[str, str]) -> None:
        """Send alerts as Prometheus does; those whose shipped text has a reason say one."""
        bodies = [{"labels": labels, "annotations": _texts(labels), "startsAt": _now()} for labels in alerts]
        until(lambda: self._posted(bodies), "Alertmanager takes alerts")

    def muted(self, count: int) -> set[tuple[str, str, str]]:
        """Return name, collection and Milvus of every inhibited alert, once all ``count`` have been looked at."""

        def looked_at() -> list[dict[str, Any]]:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v2/alerts", timeout=5) as answer:
                alerts: list[dict[str, Any]] = json.load(answer)
            done = [one for one in alerts if one["status"]["state"] != "unprocessed"]
            return done if len(done) == count else []

        found = until(looked_at, f"{count} alerts in Alertmanager")
        return {_key(one["labels"]) for one in found if one["status"]["inhibitedBy"]}

    def _posted(self, bodies: list[dict[str, Any]]) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/v2/alerts",
            data=json.dumps(bodies).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _texts(labels: dict[str, str]) -> dict[str, str]:
    told = ALERTS.get(labels["alertname"], {}).get("annotations", {}).get("description", "")
    return {"description": f"Reason: {REASON}." if "Reason: " in told else "No reason."}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _key(labels: dict[str, str]) -> tuple[str, str, str]:
    return labels["alertname"].removeprefix("MilvusExternal"), labels.get("collection", ""), labels.get("milvus", "")


def arrived(webhook: Webhook) -> set[tuple[str, str, str]]:
    return {_key(one["labels"]) for one in webhook.alerts("firing")}


def messages(webhook: Webhook, holds: Callable[[dict[str, str]], bool]) -> list[set[tuple[str, str, str]]]:
    """Return what each message holds in which some alert fits."""
    posts = [post["alerts"] for post in list(webhook.posts)]
    return [{_key(one["labels"]) for one in post} for post in posts if any(holds(one["labels"]) for one in post)]


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    with Alertmanager() as running:
        yield running


def test_amtool_finds_no_fault_in_the_example_and_routes_by_severity() -> None:
    amtool = program("amtool")
    checked = subprocess.run([amtool, "check-config", str(EXAMPLE)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name, rule in ALERTS.items():
        severity = rule["labels"]["severity"]
        receiver = "milvus-refresh-context" if severity == "info" else "milvus-refresh"
        line = ["config", "routes", "test", f"--config.file={EXAMPLE}", f"--verify.receivers={receiver}"]
        labels = [f"alertname={name}", f"severity={severity}", "job=milvus-refresh", "database=lake"]
        done = subprocess.run([amtool, *line, *labels], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    other = ["config", "routes", "test", f"--config.file={EXAMPLE}", "--verify.receivers=everything-else"]
    done = subprocess.run([amtool, *other, "alertname=Watchdog"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_failing_repeatedly_mutes_failed_of_its_own_collection_alone_and_says_the_reason_itself(
    alertmanager: Alertmanager,
) -> None:
    alertmanager.send(
        alert("RefreshFailed", **ORDERS),
        alert("RefreshFailingRepeatedly", **ORDERS),
        alert("RefreshFailed", database="lake", collection="customers"),
        alert("RefreshFailed", database="ml", collection="orders"),
        alert("RefreshFailed", **ORDERS, milvus="east"),
        alert("RefreshFailed", **ORDERS, namespace="search"),
    )
    assert alertmanager.muted(6) == {("RefreshFailed", "orders", "")}
    until(lambda: len(messages(alertmanager.page, lambda _: True)) >= 5, "a message for each collection")
    (of_orders,) = [
        one for one in alertmanager.page.alerts("firing") if one["labels"]["alertname"].endswith("FailingRepeatedly")
    ]
    assert REASON in of_orders["annotations"]["description"]


def test_stuck_and_past_server_timeout_mute_slow_of_their_own_collection_alone(alertmanager: Alertmanager) -> None:
    alertmanager.send(
        alert("RefreshStuck", **ORDERS),
        alert("RefreshSlow", **ORDERS),
        alert("RefreshPastServerTimeout", database="lake", collection="events"),
        alert("RefreshSlow", database="lake", collection="events"),
        alert("RefreshSlow", database="lake", collection="customers"),
        alert("RefreshSlow", **ORDERS, milvus="east"),
    )
    assert alertmanager.muted(6) == {("RefreshSlow", "orders", ""), ("RefreshSlow", "events", "")}
    until(lambda: len(arrived(alertmanager.context)) == 2, "the two that are not muted arrive as context")
    assert arrived(alertmanager.context) == {("RefreshSlow", "customers", ""), ("RefreshSlow", "orders", "east")}


def test_an_outage_mutes_what_is_worked_out_and_no_fact_and_no_other_milvus(alertmanager: Alertmanager) -> None:
    facts = {"RefreshFailed", "RefreshIndexWaitTimedOut", "RefreshCredentialsRejected", OUTAGE}
    alertmanager.send(
        *(alert(short, **ORDERS) for short in sorted(MUTED_IN_AN_OUTAGE)),
        alert("RefreshFailed", **ORDERS),
        alert("RefreshFailingRepeatedly", database="lake", collection="customers"),
        alert("RefreshIndexWaitTimedOut", database="ml", collection="embeddings"),
        alert("RefreshCredentialsRejected"),
        alert(OUTAGE),
        *(alert(short, **ORDERS, milvus="east") for short in sorted(MUTED_IN_AN_OUTAGE - {"RefreshSlow"})),
    )
    assert alertmanager.muted(16) == {(short, "orders", "") for short in MUTED_IN_AN_OUTAGE}
    page = until(
        lambda: arrived(alertmanager.page) if len(arrived(alertmanager.page)) >= 9 else None, "all that is left"
    )
    assert {short for short, _, milvus in page if not milvus} == facts - {"RefreshIndexWaitTimedOut"} | {
        "RefreshFailingRepeatedly"
    }
    assert {short for short, _, milvus in page if milvus} == MUTED_IN_AN_OUTAGE - {"RefreshSlow"}
    (failed,) = [one for one in alertmanager.page.alerts("firing") if one["labels"]["alertname"].endswith("Failed")]
    assert REASON in failed["annotations"]["description"], "the outage has swallowed the reason"


def test_one_message_holds_all_of_a_collection_with_its_reason_and_nothing_of_another(
    alertmanager: Alertmanager,
) -> None:
    alertmanager.send(
        alert("CollectionStale", **ORDERS),
        alert("RefreshFailed", **ORDERS),
        alert("CollectionStale", database="lake", collection="customers"),
        alert("CollectionStale", **ORDERS, milvus="east"),
    )
    assert alertmanager.muted(4) == set(), "stale must not mute failed: it would take the reason along"
    until(lambda: len(alertmanager.page.posts) >= 3, "three messages")
    assert sorted(map(sorted, messages(alertmanager.page, lambda _: True))) == [
        [("CollectionStale", "customers", "")],
        [("CollectionStale", "orders", ""), ("RefreshFailed", "orders", "")],
        [("CollectionStale", "orders", "east")],
    ]


def test_a_muted_alert_does_not_arrive_with_a_later_message_of_its_group(alertmanager: Alertmanager) -> None:
    alertmanager.send(alert("RefreshFailed", **ORDERS), alert("RefreshFailingRepeatedly", **ORDERS))
    until(lambda: arrived(alertmanager.page), "the first message")
    alertmanager.send(alert("CollectionStale", **ORDERS))
    until(lambda: ("CollectionStale", "orders", "") in arrived(alertmanager.page), "a later message of the group")
    assert ("RefreshFailed", "orders", "") not in arrived(alertmanager.page)


def test_the_inhibition_of_kube_prometheus_stack_mutes_nothing_more() -> None:
    with Alertmanager(KUBE_PROMETHEUS_STACK) as alertmanager:
        everything = [
            alert(name.removeprefix("MilvusExternal"), **({"collection": f"c{n}"} if "collection" in str(rule) else {}))
            for n, (name, rule) in enumerate(ALERTS.items())
            if not name.endswith(OUTAGE)
        ]
        alertmanager.send(*everything)
        assert alertmanager.muted(len(everything)) == set()
