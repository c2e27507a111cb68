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
ROUTES = {"critical": "pages", "warning": "tickets", "info": "infos"}
MUTED_IN_AN_OUTAGE = {
    "RefreshStuck",
    "RefreshSlow",
    "RefreshPendingTooLong",
    "RefreshPastServerTimeout",
    "CollectionStale",
    "CollectionNeverRefreshed",
    "ManyCollectionsStale",
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
        self.hooks = {name: Webhook() for name in ("page", "ticket", "info", "pagerduty", "slack")}
        self.page, self.ticket, self.info = (self.hooks[name] for name in ("page", "ticket", "info"))
        self._port, self._folder = free_port(), Path(tempfile.mkdtemp(prefix="alertmanager-"))
        text = EXAMPLE.read_text(encoding="utf-8")
        places = {name: f"http://127.0.0.1:{hook.port}/" for name, hook in self.hooks.items()}
        for pattern, instead in (
            (r"http://localhost:5001/page", places["page"]),
            (r"http://localhost:5001/ticket", places["ticket"]),
            (r"http://localhost:5001/info", places["info"]),
            (r"https://events.pagerduty.com/v2/enqueue", places["pagerduty"]),
            (r"https://hooks.slack.com/services/REPLACE/WITH/YOURS", places["slack"]),
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
        for hook in self.hooks.values():
            hook.close()
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
    short = labels["alertname"].removeprefix("MilvusExternal")
    return {
        "summary": f"Summary of {short}",
        "description": f"Reason: {REASON}." if "Reason: " in told else "No reason.",
        "runbook_url": f"http://wiki.example.com/{short}",
        "dashboard_url": f"http://grafana.example.com/{short}",
    }


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
        receiver = f"milvus-refresh-{ROUTES[severity]}"
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
    until(lambda: len(messages(alertmanager.ticket, lambda _: True)) >= 5, "a message for each collection")
    (of_orders,) = [
        one for one in alertmanager.ticket.alerts("firing") if one["labels"]["alertname"].endswith("FailingRepeatedly")
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
    until(lambda: len(arrived(alertmanager.info)) == 2, "the two that are not muted arrive as context")
    assert arrived(alertmanager.info) == {("RefreshSlow", "customers", ""), ("RefreshSlow", "orders", "east")}


def test_an_outage_mutes_what_is_worked_out_and_no_fact_and_no_other_milvus_or_cluster(
    alertmanager: Alertmanager,
) -> None:
    facts = {"RefreshFailed", "RefreshFailingRepeatedly", "RefreshSourceFailing", "RefreshUnreliable"}
    others = ({"milvus": "east"}, {"cluster": "eu"})
    alertmanager.send(
        *(alert(short, **ORDERS) for short in sorted(MUTED_IN_AN_OUTAGE)),
        *(alert(short, **of_its_own(short)) for short in sorted(facts)),
        alert(OUTAGE),
        *(
            alert(short, **ORDERS, **other)
            for short in sorted(MUTED_IN_AN_OUTAGE - {"RefreshSlow"})
            for other in others
        ),
    )
    muted = alertmanager.muted(len(MUTED_IN_AN_OUTAGE) * 3 + len(facts) - 1)
    assert muted == {(short, "orders", "") for short in MUTED_IN_AN_OUTAGE}
    told = until(
        lambda: told if len(told := arrived(alertmanager.page) | arrived(alertmanager.ticket)) >= 17 else None,
        "all that is left",
    )
    assert {short for short, collection, _ in told if collection != "orders"} == facts | {OUTAGE}
    assert {short for short, _, milvus in told if milvus} == MUTED_IN_AN_OUTAGE - {"RefreshSlow"}
    failed = [one for one in alertmanager.ticket.alerts("firing") if one["labels"]["alertname"].endswith("hFailed")]
    assert all(REASON in one["annotations"]["description"] for one in failed), "the outage has swallowed the reason"


def of_its_own(short: str) -> dict[str, str]:
    return {"database": "lake", "collection": f"of_{short}"}


def test_who_cannot_be_scraped_or_is_refused_is_one_page(alertmanager: Alertmanager) -> None:
    blind = ("RefreshDataOutdated", "RefreshCredentialsRejected", "RefreshInventoryOutdated", "RefreshReplicaBlind")
    alertmanager.send(
        *(alert(short, milvus="gone") for short in ("RefreshTargetGone", *blind)),
        *(alert(short, milvus="down") for short in ("RefreshExporterDown", *blind)),
        *(alert(short, milvus="refused") for short in blind[:3]),
        *(alert(short, milvus="well") for short in blind[2:]),
    )
    assert alertmanager.muted(15) == {
        *((short, "", milvus) for milvus in ("gone", "down") for short in blind),
        *((short, "", "refused") for short in (blind[0], blind[2])),
    }
    until(lambda: len(arrived(alertmanager.page)) == 3, "three pages")
    assert len(messages(alertmanager.page, lambda _: True)) == 3


def test_one_message_holds_all_of_a_collection_with_its_reason_and_nothing_of_another(
    alertmanager: Alertmanager,
) -> None:
    alertmanager.send(
        alert("RefreshFailed", **ORDERS),
        alert("RefreshStuck", **ORDERS),
        alert("RefreshFailed", database="lake", collection="customers"),
        alert("RefreshFailed", **ORDERS, milvus="east"),
        alert("RefreshFailed", **ORDERS, cluster="eu"),
        alert("CollectionStale", **ORDERS),
    )
    assert alertmanager.muted(6) == set(), "stale must not mute failed: it would take the reason along"
    until(lambda: len(alertmanager.ticket.posts) >= 4 and alertmanager.page.posts, "four tickets and a page")
    assert sorted(map(sorted, messages(alertmanager.ticket, lambda _: True))) == [
        [("RefreshFailed", "customers", "")],
        [("RefreshFailed", "orders", "")],
        [("RefreshFailed", "orders", ""), ("RefreshStuck", "orders", "")],
        [("RefreshFailed", "orders", "east")],
    ]
    assert messages(alertmanager.page, lambda _: True) == [{("CollectionStale", "orders", "")}]


def test_slack_and_pagerduty_are_told_what_has_happened_why_and_what_to_do(alertmanager: Alertmanager) -> None:
    alertmanager.send(alert("RefreshFailed", **ORDERS), alert("CollectionStale", **ORDERS))
    slack = until(lambda: alertmanager.hooks["slack"].posts, "Slack is told")
    pagerduty = until(lambda: alertmanager.hooks["pagerduty"].posts, "PagerDuty is told")
    (ticket,) = slack[0]["attachments"]
    assert ticket["title"] == "Summary of RefreshFailed"
    assert ticket["title_link"] == "http://grafana.example.com/RefreshFailed"
    assert ticket["text"] == f"Reason: {REASON}. <http://wiki.example.com/RefreshFailed|What to do>\n"
    page = pagerduty[0]["payload"]
    assert page["summary"] == "Summary of CollectionStale"
    assert REASON in page["custom_details"]["description"]
    assert page["custom_details"]["runbook"] == "http://wiki.example.com/CollectionStale"


def test_a_muted_alert_does_not_arrive_with_a_later_message_of_its_group(alertmanager: Alertmanager) -> None:
    alertmanager.send(alert("RefreshFailed", **ORDERS), alert("RefreshFailingRepeatedly", **ORDERS))
    until(lambda: arrived(alertmanager.ticket), "the first message")
    alertmanager.send(alert("RefreshStuck", **ORDERS))
    until(lambda: ("RefreshStuck", "orders", "") in arrived(alertmanager.ticket), "a later message of the group")
    assert ("RefreshFailed", "orders", "") not in arrived(alertmanager.ticket)


def test_the_inhibition_of_kube_prometheus_stack_mutes_nothing_more() -> None:
    with Alertmanager(KUBE_PROMETHEUS_STACK) as alertmanager:
        everything = [
            alert(name.removeprefix("MilvusExternal"), milvus=f"m{n}", **({"collection": "orders"} if n % 2 else {}))
            for n, name in enumerate(ALERTS)
        ]
        alertmanager.send(*everything)
        assert alertmanager.muted(len(everything)) == set()
