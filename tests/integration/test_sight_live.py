"""Everything that can make us blind, at once: each is told once, of its own Milvus, and takes nothing else back.

One Prometheus with the shipped rules, one Alertmanager with the shipped routes and mutes, real exporters:

- *lake* in the clusters eu and us: the same names everywhere, a failure of its own in each. Milvus of eu dies. Then the
  data of both becomes too old.
- *twin*, watched by two replicas: its refreshes keep failing, one replica is cut off, and then a refresh succeeds.
- *production*, whose shard is killed, *retired*, which leaves /sd, and *archive*, to which nothing happens.

Then all of it is mended. A minute of the shipped rules is about a second here; messages are counted as they arrive.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import yaml
from peers.exporter import Exporter
from peers.many import Configured
from peers.monitoring import Monitoring, Webhook
from peers.parts import ROOT, generations, missing
from peers.pymilvus_server import COMPLETED, FAILED, PymilvusServer, databases, job
from peers.relay import Relay, Way
from peers.waiting import until

from exporter.sharding import owner

# Minutes are played in seconds and every message is counted, so a machine with other work makes it fail.
_ASKED_FOR = os.environ.get("MRE_TRIALS") == "1"
pytestmark = [pytest.mark.real, pytest.mark.skipif(not _ASKED_FOR, reason="a trial; MRE_TRIALS=1 runs it")]

ROUTES = ROOT / "deploy" / "alertmanager" / "alertmanager.example.yml"
MANY = ROOT / "deploy" / "prometheus" / "many-milvus.example.yml"
TIMES = {
    "gap": 5,
    "outdated_floor": 12,  # Prometheus takes five seconds to hear of a target that is gone, however short the rest is
    "blind_for": 5,
    "down_for": 6,
    "scrapes_within": 5,
    "account_for": 5,
    "stale_margin": 15,
    "targets_within": 360,
}
MAX_AGE = 60
UNTIL_STALE = 50.0
"""Seconds until the data of eu and us is too old: an outage must be told before."""
WATCHED = ("production", "archive", "retired")
DYING = owner("production", 2)
assert {owner(name, 2) for name in WATCHED[1:]} == {1 - DYING}, "the shard that dies is production's alone"


class Message(NamedTuple):
    """One post of Alertmanager: the labels it is grouped by, which alerts, and whether they fire."""

    about: str
    alerts: str
    fires: bool = True


def about(labels: Mapping[str, str]) -> str:
    """Return who and what a message or an alert is about; what is about no Milvus is about a process."""
    return " ".join(labels[name] for name in ("cluster", "milvus", "collection") if labels.get(name)) or "process"


def short(alert: Mapping[str, Any]) -> str:
    name: str = alert["labels"]["alertname"]
    return name.removeprefix("MilvusExternal")


def messages(hook: Webhook) -> Counter[Message]:
    """Count what has arrived. An end names what was told before: what was kept back until then may be in it, too."""
    found: Counter[Message] = Counter()
    told: set[tuple[str, str]] = set()
    for post in list(hook.posts):
        whom, fires = about(post["groupLabels"]), post["status"] == "firing"
        names = {name for name in map(short, post["alerts"]) if fires or (whom, name) in told}
        told |= {(whom, name) for name in names}
        found[Message(whom, ",".join(sorted(names)), fires)] += 1
    return found


class Installation(Monitoring):
    """Prometheus and Alertmanager as shipped but for addresses and waits; a webhook for each of our receivers."""

    def __init__(self, scrapes: list[dict[str, Any]], *, prometheus: str) -> None:
        self.pages, self.tickets, self.infos = Webhook(), Webhook(), Webhook()
        self._scrapes = scrapes
        super().__init__({}, prometheus=prometheus, times=TIMES)

    def _alertmanager_command(self) -> list[str]:
        command = super()._alertmanager_command()
        hooks = {"pages": self.pages, "tickets": self.tickets, "infos": self.infos}
        ports = {f"milvus-refresh-{name}": hook.port for name, hook in hooks.items()}
        routes = yaml.safe_load(ROUTES.read_text(encoding="utf-8"))
        routes["route"]["routes"][0] |= {"group_wait": "2s", "group_interval": "5s"}
        routes["receivers"] = [
            {"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:{port}/"}]}
            for name, port in {**ports, "everything-else": self.webhook.port}.items()
        ]
        (self._folder / "alertmanager.yml").write_text(yaml.safe_dump(routes), encoding="utf-8")
        return command

    def _prometheus_command(self, targets: Mapping[str, int], prometheus: str) -> list[str]:
        command = super()._prometheus_command(targets, prometheus)
        file = self._folder / "prometheus.yml"
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump({**config, "scrape_configs": self._scrapes}), encoding="utf-8")
        return command

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for hook in (self.pages, self.tickets, self.infos):
            hook.close()

    def muted(self) -> set[Message]:
        """Return every alert that Alertmanager keeps back."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._alertmanager}/api/v2/alerts", timeout=5) as answer:
            alerts = json.load(answer)
        return {Message(about(one["labels"]), short(one)) for one in alerts if one["status"]["inhibitedBy"]}

    def text(self, message: Message) -> str:
        """Return the description that arrived in a message."""
        (found,) = {
            one["annotations"]["description"]
            for hook in (self.pages, self.tickets)
            for one in hook.alerts("firing")
            if (about(one["labels"]), short(one)) == message[:2]
        }
        return str(found)


@dataclass
class Stage:
    """Everything that plays, and what was kept back at the worst."""

    eu: PymilvusServer
    us: PymilvusServer
    twin: PymilvusServer
    cut: Relay
    shards: list[Configured]
    monitoring: Installation
    muted: set[Message] = field(default_factory=set)

    def until_told(self, pages: Mapping[Message, int], tickets: Mapping[Message, int], what: str) -> None:
        """Wait until exactly these messages have arrived, and no other."""

        def arrived() -> tuple[Counter[Message], Counter[Message]]:
            return messages(self.monitoring.pages), messages(self.monitoring.tickets)

        try:
            until(lambda: arrived() == (pages, tickets), what, seconds=60)
        except AssertionError as late:
            late.add_note(f"arrived: {arrived()}")
            raise


FAILING = {
    Message("eu lake orders", "RefreshFailed"): 1,
    Message("us lake orders", "RefreshFailed"): 1,
    Message("twin orders", "RefreshFailingRepeatedly"): 1,
    **{Message(f"{name} orders", "RefreshFailed"): 1 for name in WATCHED},
}
OUTAGE = Message("eu lake", "RefreshDataOutdated")
STALE_IN_EU = Message("eu lake orders", "CollectionStale")
STALE = Message("us lake orders", "CollectionStale")
DEAD = Message("production", "RefreshExporterDown")
GONE = Message("retired", "RefreshTargetGone")
BLIND = Message("twin", "RefreshReplicaBlind")
DEAD_PROCESS = Message("process", "RefreshReplicaBlind")
KEPT_BACK = {
    STALE_IN_EU,
    Message("production", "RefreshDataOutdated"),
    Message("retired", "RefreshDataOutdated"),
}


def resolved(*of: Message) -> dict[Message, int]:
    return {message._replace(fires=False): 1 for message in of}


def record(number: int, state: int, ended: float, reason: str = "") -> dict[str, Any]:
    """A job of lake/orders that ended so many seconds ago."""
    end = int((time.time() - ended) * 1000)
    return job(number, "orders", state, database="lake", start_time=end - 5000, end_time=end, reason=reason)


def _targets(shared: PymilvusServer, *names: str) -> dict[str, Any]:
    return {"targets": {name: {"milvus": {"uri": shared.uri}} for name in names}}


def _scrapes(labelled: list[tuple[Exporter, dict[str, str]]], shards: list[Configured]) -> list[dict[str, Any]]:
    """Return the shipped jobs for many Milvus, with each shard, and the single exporters beside them."""
    _, targets = yaml.safe_load(MANY.read_text(encoding="utf-8"))["scrape_configs"]
    targets["http_sd_configs"] = [
        {"url": f"http://127.0.0.1:{shard.port}/sd", "refresh_interval": "1s"} for shard in shards
    ]
    everyone = [*labelled, *((shard, {}) for shard in shards)]
    static = [{"targets": [f"127.0.0.1:{exporter.port}"], "labels": labels} for exporter, labels in everyone]
    return [{"job_name": "milvus-refresh", "static_configs": static}, targets]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    prometheus = generations("prometheus").get("system") or missing("Prometheus is not installed")
    folder = tmp_path_factory.mktemp("sight")
    with ExitStack() as stack:
        eu, us, twin, shared = (
            stack.enter_context(PymilvusServer(databases=databases(lake=["orders"]))) for _ in range(4)
        )
        cut = stack.enter_context(Relay(twin.port))
        limit = ("--freshness.max-age", f"{MAX_AGE}s")
        single: list[tuple[Exporter, dict[str, str]]] = [
            (Exporter(eu.uri, *limit), {"cluster": "eu", "milvus": "lake"}),
            (Exporter(us.uri, *limit), {"cluster": "us", "milvus": "lake"}),
            (Exporter(twin.uri), {"milvus": "twin"}),
            (Exporter(f"http://127.0.0.1:{cut.port}"), {"milvus": "twin"}),
        ]
        shards = [
            Configured(folder, "--shard.total=2", f"--shard.index={index}", **_targets(shared, *WATCHED))
            for index in range(2)
        ]
        for exporter in (*(exporter for exporter, _ in single), *shards):
            stack.enter_context(exporter)
        _fail(eu, us, twin, shared)
        for exporter, _ in single:
            exporter.next_poll()
        monitoring = stack.enter_context(Installation(_scrapes(single, shards), prometheus=prometheus))
        played = Stage(eu, us, twin, cut, shards, monitoring)
        played.until_told({}, FAILING, "each failure is told")
        _play_blindness(played, shared)
        _play_mending(played, shared)
        yield played


def _fail(eu: PymilvusServer, us: PymilvusServer, twin: PymilvusServer, shared: PymilvusServer) -> None:
    success = MAX_AGE + TIMES["stale_margin"] - UNTIL_STALE
    eu.set_jobs(record(1, COMPLETED, success), record(2, FAILED, 9, "denied in eu"))
    us.set_jobs(record(1, COMPLETED, success), record(2, FAILED, 9, "denied in us"))
    twin.set_jobs(*(record(number, FAILED, 40 - 10 * number, "denied") for number in (1, 2, 3)))
    shared.set_jobs(record(1, FAILED, 9, "denied"))


def _play_blindness(stage: Stage, shared: PymilvusServer) -> None:
    stage.eu.kill()
    stage.cut.turn(Way.REFUSE)
    stage.shards[DYING].kill()
    assert stage.shards[1 - DYING].reload(**_targets(shared, "production", "archive")).status == 200
    stage.twin.set_jobs(record(4, COMPLETED, 1))
    repeatedly = resolved(Message("twin orders", "RefreshFailingRepeatedly"))
    pages = dict.fromkeys((OUTAGE, STALE, DEAD, GONE), 1)
    tickets = {**FAILING, **repeatedly, BLIND: 1, DEAD_PROCESS: 1}
    stage.until_told(pages, tickets, "each blindness is told")
    until(lambda: stage.monitoring.muted() >= KEPT_BACK, "what follows from it is kept back", seconds=30)
    stage.muted = stage.monitoring.muted()


def _play_mending(stage: Stage, shared: PymilvusServer) -> None:
    pages, tickets = messages(stage.monitoring.pages), messages(stage.monitoring.tickets)
    stage.eu.start()
    stage.cut.turn(Way.PASS)
    stage.shards[DYING].start()
    assert stage.shards[1 - DYING].reload(**_targets(shared, *WATCHED)).status == 200
    pages = Counter({**pages, **resolved(OUTAGE, DEAD, GONE), STALE_IN_EU: 1})
    tickets = Counter({**tickets, **resolved(BLIND, DEAD_PROCESS)})
    stage.until_told(pages, tickets, "we see again, and are told what was kept back and is still true")
    for milvus in (stage.eu, stage.us):
        milvus.set_jobs(record(3, COMPLETED, 1))
    failed = (Message(f"{cluster} lake orders", "RefreshFailed") for cluster in ("eu", "us"))
    stage.until_told(
        {**pages, **resolved(STALE, STALE_IN_EU)},
        {**tickets, **resolved(*failed)},
        "successes end the failures",
    )


def told(stage: Stage, *begins: str) -> Counter[Message]:
    """Return every message about somebody, of both receivers."""
    everything = messages(stage.monitoring.pages) + messages(stage.monitoring.tickets)
    return Counter({one: count for one, count in everything.items() if one.about.startswith(begins)})


def test_two_clusters_mix_neither_texts_nor_mutes(stage: Stage) -> None:
    """Ten messages. Its outage keeps back that data of eu is too old, until it is over, and nothing of us."""
    failed = [Message(f"{cluster} lake orders", "RefreshFailed") for cluster in ("eu", "us")]
    every = (*failed, OUTAGE, STALE, STALE_IN_EU)
    assert told(stage, "eu", "us") == {**dict.fromkeys(every, 1), **resolved(*every)}
    for message in (*failed, STALE, STALE_IN_EU):
        mine, other = ("eu", "us") if message.about.startswith("eu") else ("us", "eu")
        assert f"denied in {mine}" in stage.monitoring.text(message)
        assert f"denied in {other}" not in stage.monitoring.text(message)
    assert {one for one in stage.muted if "lake" in one.about} == {STALE_IN_EU}


def test_a_replica_that_is_cut_off_is_one_ticket_and_keeps_no_alert_alive(stage: Stage) -> None:
    """Four messages: the success that the other replica has seen ends the failures."""
    repeatedly = Message("twin orders", "RefreshFailingRepeatedly")
    assert told(stage, "twin") == {**dict.fromkeys((repeatedly, BLIND), 1), **resolved(repeatedly, BLIND)}


def test_a_shard_that_is_killed_is_one_page_by_the_milvus_it_watched(stage: Stage) -> None:
    """Three messages on its Milvus, whose failure is not taken back, and two on the process."""
    failed = Message("production orders", "RefreshFailed")
    assert told(stage, "production") == {failed: 1, DEAD: 1, **resolved(DEAD)}
    assert told(stage, "process") == {DEAD_PROCESS: 1, **resolved(DEAD_PROCESS)}


def test_a_target_that_leaves_service_discovery_is_one_page_until_it_is_back(stage: Stage) -> None:
    """Three messages: its failure is not taken back."""
    assert told(stage, "retired") == {Message("retired orders", "RefreshFailed"): 1, GONE: 1, **resolved(GONE)}


def test_nothing_else_has_arrived_anywhere(stage: Stage) -> None:
    assert told(stage, "archive") == {Message("archive orders", "RefreshFailed"): 1}
    assert told(stage, "").total() == 10 + 4 + 3 + 2 + 3 + 1
    assert not stage.monitoring.webhook.posts
    assert not stage.monitoring.infos.posts
