"""What the dashboards' queries say in situations that a demo does not have, on a Prometheus with a written history.

Each situation is a cluster of its own in one history of two and a half hours, so that none sees another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from grafana_files import NAMES, filled, load, panels, targets
from peers.history import BEGAN, MINUTE, NOW, Course, History, Situation
from peers.parts import ROOT, generations, missing

from exporter.metrics import contract

sys.path.insert(0, str(ROOT / "tools"))

from dashboards.replay import Asked, replayed

pytestmark = pytest.mark.real

LIST, DETAIL, EXPORTER = NAMES


def written() -> str:
    history = History()
    for name, write in SITUATIONS.items():
        write(Situation(history, name))
    return history.text()


def _all_there(it: Situation) -> None:
    for milvus in ("a", "b"):
        for instance in ("e-0", "e-1"):
            it.exporter(instance, milvus)


def _target_gone(it: Situation) -> None:
    it.exporter("e-0", "a")
    it.exporter("e-0", "b", target=lambda left: left > 30)


def _long_gone(it: Situation) -> None:
    it.exporter("e-0", "a")
    it.exporter("e-0", "b", target=lambda left: left > 100)


def _shard_dead(it: Situation) -> None:
    it.exporter("e-0", "a", job="milvus-refresh-targets")
    it.exporter("e-1", "b", job="milvus-refresh-targets", scraped=lambda left: left > 20)


def _outage(it: Situation) -> None:
    for instance in ("e-0", "e-1"):
        it.exporter(instance, polled=lambda left: NOW - max(left, 30) * MINUTE)


def _shards(it: Situation) -> None:
    """Processes that watch several Milvus and have nothing of them on their own target."""
    it.process("e-0")
    it.process("e-1", scraped=lambda left: left > 20)
    it.exporter("e-0", "a", job="milvus-refresh-targets")


def _just_processes(it: Situation) -> None:
    it.process("e-0")
    it.process("e-1")


def _troubled(it: Situation) -> None:
    about = it.exporter()
    for metric, labels in (
        (contract.POLL_ERRORS, {"kind": "deadline"}),
        (contract.INVENTORY_ERRORS, {"kind": "deadline"}),
        (contract.STATE_WRITE_ERRORS, {}),
        (contract.SKIPPED, {}),
        (contract.INVALID, {"problem": "negative_time"}),
    ):
        it.of(about, metric, lambda left: 200 - left, **labels)


def _never_polled(it: Situation) -> None:
    it.exporter(polled=lambda _left: 0)


def _rolled_out(it: Situation) -> None:
    for number in (0, 1):
        it.exporter(f"old-{number}", target=lambda left: left > 20)
        it.exporter(f"new-{number}", target=lambda left: left <= 20)


def _replica_lost(it: Situation) -> None:
    it.exporter("e-0")
    it.exporter("e-1", target=lambda left: left > 20)


def _replica_cut_off(it: Situation) -> None:
    """b has seen three failures and no longer sees Milvus; a sees the success since."""
    good, cut = it.exporter("e-0"), it.exporter("e-1", polled=lambda left: NOW - max(left, 30) * MINUTE)
    place = {"database": "lake", "collection": "orders"}
    for about, in_a_row, success, state in (
        (good, 0, NOW - 300, "RefreshCompleted"),
        (cut, 3, NOW - 9000, "RefreshFailed"),
    ):
        it.of(about, contract.CONSECUTIVE, in_a_row, **place)
        it.of(about, contract.LAST_SUCCESS, success, **place)
        it.of(about, contract.LAST_FAILURE, NOW - 2400, **place)
        it.of(about, contract.LAST_STATE, 1, **place, source="s3://b/orders", state=state)
        it.of(about, contract.COLLECTIONS, 1, database="lake")
    failure = {**place, "source": "s3://b/orders", "job_id": "7", "failure_class": "timeout", "reason": "timeout"}
    it.of(cut, contract.LAST_FAILURE_INFO, 1, **failure)


def _two_hundred(it: Situation) -> None:
    about = it.exporter()
    for number in range(200):
        place = {"database": "lake", "collection": f"c{number:03d}"}
        # Each succeeds every 200 minutes at a time of its own: the oldest ones change all the time.
        it.of(about, contract.LAST_SUCCESS, _in_turn(number), **place)
        it.of(about, contract.CONSECUTIVE, number % 7, **place)
        it.of(about, contract.LAST_STATE, 1, **place, source="s", state="RefreshCompleted")
        it.of(about, contract.LAST_FAILURE, NOW - 9000, **place)


def _in_turn(number: int) -> Course:
    return lambda left: NOW - MINUTE * (left + (number - left) % 200)


def _one_restarted(it: Situation) -> None:
    """The counters of one replica begin again without a state file; each hour one of four jobs fails."""
    for instance, again in (("e-0", 0), ("e-1", 70)):
        about = it.exporter(instance)
        place = {"database": "lake", "collection": "orders"}
        it.of(about, contract.FINISHED, _counted(4000, 15, again=again), **place)
        it.of(about, contract.FAILED, _counted(1000, 60, again=again), **place)


def _counted(total: int, every: int, *, again: int) -> Course:
    """One more each so many minutes; ``again`` minutes before the end the count begins anew."""
    return lambda left: (again - left) // every if left < again else total - left // every


def _none_ever(it: Situation) -> None:
    """Six collections with a limit: one is fresh, one too old, four have no success; one of them is new."""
    about = it.exporter()
    it.of(about, contract.KNOWN_SINCE, NOW - 86_400)
    created = {"never-0": 9000, "never-1": 9000, "never-2": 9000, "new": 60, "old": 9000, "fresh": 9000}
    for name, age in created.items():
        place = {"database": "lake", "collection": name}
        it.of(about, contract.MAX_AGE, 3600, **place)
        it.of(about, contract.CREATED, NOW - age, **place)
        it.of(about, contract.CONSECUTIVE, 0, **place)
    it.of(about, contract.LAST_SUCCESS, NOW - 7200, database="lake", collection="old")
    it.of(about, contract.LAST_SUCCESS, NOW - 60, database="lake", collection="fresh")


def _odd_names(it: Situation) -> None:
    about = it.exporter(milvus="a&b #1")
    it.of(about, contract.CONSECUTIVE, 4, collection="orders")


SITUATIONS: dict[str, Callable[[Situation], None]] = {
    "all there": _all_there,
    "target gone": _target_gone,
    "gone for long": _long_gone,
    "shard dead": _shard_dead,
    "outage": _outage,
    "shards": _shards,
    "just processes": _just_processes,
    "troubled": _troubled,
    "never polled": _never_polled,
    "rolled out": _rolled_out,
    "replica lost": _replica_lost,
    "replica cut off": _replica_cut_off,
    "two hundred": _two_hundred,
    "one restarted": _one_restarted,
    "none ever": _none_ever,
    "odd names": _odd_names,
    "nothing": lambda _it: None,
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    prometheus, promtool = (generations(name).get("system") for name in ("prometheus", "promtool"))
    if not prometheus or not promtool:
        missing("prometheus is not installed")
    folder = tmp_path_factory.mktemp("situations")
    with replayed(written(), BEGAN, NOW, folder, prometheus=prometheus, promtool=promtool, rules=False) as found:
        yield found


@dataclass(frozen=True)
class Shown:
    """A dashboard as it looks in one situation."""

    asked: Asked
    cluster: str

    def now(self, dashboard: str, panel: str, ref: str = "A") -> list[dict[str, Any]]:
        return self.asked.now(self._expr(dashboard, panel, ref), NOW)

    def course(self, dashboard: str, panel: str, ref: str = "A", step: int = 600) -> list[dict[str, Any]]:
        return self.asked.course(self._expr(dashboard, panel, ref), NOW - 7200, NOW, step)

    def number(self, dashboard: str, panel: str, ref: str = "A") -> float | None:
        """Return the number of a tile; None where it has none."""
        found = self.now(dashboard, panel, ref)
        assert len(found) <= 1
        return float(found[0]["value"][1]) if found else None

    def _expr(self, dashboard: str, panel: str, ref: str) -> str:
        (expr,) = {t.expr for t in targets(dashboard) if t.panel.split(":")[0].split(",")[0] == panel and t.ref == ref}
        job = "milvus-refresh|milvus-refresh-targets"
        return filled(expr, cluster=self.cluster, job=job, __interval="1h", __rate_interval="10m", __range="2h")


@pytest.mark.parametrize(
    ("situation", "milvus", "exporters"),
    [
        ("all there", 0, 0),
        ("rolled out", 0, 0),
        ("gone for long", 0, 0),
        ("target gone", 1, 1),
        ("shard dead", 1, 1),
        ("replica lost", 0, 1),
        ("replica cut off", 0, 0),
        ("outage", 1, 0),
        ("shards", 0, 1),
        ("just processes", 0, 0),
        ("never polled", 1, 0),
        ("nothing", None, None),
    ],
)
def test_the_first_tile_is_green_only_when_all_is_there_that_was_there_an_hour_ago(
    asked: Asked, situation: str, milvus: int | None, exporters: int | None
) -> None:
    shown = Shown(asked, situation)
    for dashboard in NAMES:
        assert shown.number(dashboard, "Not watched now") == milvus
        assert shown.number(dashboard, "Not watched now", "B") == exporters


@pytest.mark.parametrize("situation", ["target gone", "outage"])
def test_what_is_no_longer_seen_grows_old_on_its_tile(asked: Asked, situation: str) -> None:
    age = Shown(asked, situation).number(LIST, "Since the last good poll")
    assert age is not None
    assert age >= 30 * MINUTE


def test_what_is_missing_is_named(asked: Asked) -> None:
    rows = Shown(asked, "shard dead").now(EXPORTER, "Every Milvus of the last hour")
    assert {row["metric"]["milvus"]: row["value"][1] for row in rows} == {"a": "0", "b": "1"}


def test_the_replica_with_the_newest_good_poll_is_believed(asked: Asked) -> None:
    shown = Shown(asked, "replica cut off")
    (row,) = shown.now(LIST, "Collections in trouble", "A")
    assert row["value"][1] == "0"
    assert [row["value"][1] for row in shown.now(LIST, "Collections in trouble", "B")] == ["3"], "completed"
    assert [row["value"][1] for row in shown.now(LIST, "Collections in trouble", "E")] == ["0"], "failures in a row"
    assert shown.now(LIST, "Collections in trouble", "F") == [], "the reason of a failure that a success has cleared"
    assert shown.number(LIST, "Latest refresh failed") == 0


def test_fifteen_oldest_are_fifteen_and_the_oldest_ones(asked: Asked) -> None:
    found = Shown(asked, "two hundred").course(LIST, "Time since the latest success")
    assert len(found) == 15
    assert {series["metric"]["collection"] for series in found} == {f"c{number}" for number in range(185, 200)}


def test_twenty_states_are_those_of_the_collections_that_fail_most(asked: Asked) -> None:
    found = Shown(asked, "two hundred").course(LIST, "State of the newest job")
    assert len(found) == 20
    assert {int(series["metric"]["collection"][1:]) % 7 for series in found} == {6}


def test_successes_are_never_fewer_than_none(asked: Asked) -> None:
    shown = Shown(asked, "one restarted")
    for dashboard in (LIST, DETAIL):
        (succeeded,), (failed,) = (shown.course(dashboard, "Jobs by result", ref, step=60) for ref in "AB")
        assert min(float(value) for _, value in succeeded["values"]) >= 0
        assert {value for _, value in failed["values"][-30:]} == {"1"}, "one an hour"


def test_older_than_promised_counts_those_without_a_success_too(asked: Asked) -> None:
    shown = Shown(asked, "none ever")
    assert shown.number(LIST, "Older than promised") == 4
    rows = shown.now(LIST, "Collections in trouble")
    in_trouble = {row["metric"]["collection"]: row["metric"].get("alert") for row in rows if row["value"][1] != "0"}
    never = "MilvusExternalCollectionNeverRefreshed"
    assert in_trouble == {"old": "MilvusExternalCollectionStale"} | {f"never-{number}": never for number in range(3)}


def test_links_have_every_label_of_their_row_and_those_that_it_lacks(asked: Asked) -> None:
    (row,) = Shown(asked, "odd names").now(LIST, "Collections in trouble")
    told = {label: value for label, value in row["metric"].items() if label.startswith("at_")}
    assert told == {
        "at_cluster": "odd names", "at_namespace": "$__all", "at_milvus": "a&b #1", "at_database": "$__all",
    }  # fmt: skip
    assert (row["metric"]["place"], row["metric"]["where"].split()) == ("orders", ["odd", "names", "a&b", "#1"])


def test_the_call_is_in_the_rows_own_names(asked: Asked) -> None:
    calls = {
        row["metric"]["collection"]: row["metric"]["call"] for row in Shown(asked, "none ever").now(DETAIL, "The call")
    }
    assert calls["old"] == "MilvusClient(uri, token=token, db_name='lake').refresh_external_collection('old')"


@pytest.mark.parametrize(("panel", "refs"), [("Errors by kind", "ABCD"), ("Impossible values in job records", "A")])
def test_errors_are_shown_where_there_are_any(asked: Asked, panel: str, refs: str) -> None:
    for ref in refs:
        assert Shown(asked, "troubled").course(EXPORTER, panel, ref)
        assert not Shown(asked, "all there").course(EXPORTER, panel, ref)


def test_no_tile_says_none_where_nothing_is_known(asked: Asked) -> None:
    shown = Shown(asked, "nothing")
    for name in NAMES:
        for panel in panels(load(name)):
            if panel["type"] == "stat":
                for target in panel["targets"]:
                    assert shown.now(name, panel["title"], target["refId"]) == [], panel["title"]
