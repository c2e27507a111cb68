"""Reading the configuration again while the process runs: all of it or nothing, and no count is lost or doubled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.exporter import Exporter, Samples
from peers.many import TIGHT, Configured, Silent
from peers.pymilvus_server import COMPLETED, FAILED, IN_PROGRESS, PymilvusServer, databases, job
from peers.waiting import until

GOOD, LOADED = "config_last_reload_successful", "config_last_reload_success_timestamp_seconds"
DURATIONS = "write for example 15s, 5m, 1h30m, 26h or 30d"
COUNTERS = (
    "jobs_finished_total",
    "jobs_failed_total",
    "jobs_failed_by_class_total",
    "job_duration_seconds_count",
    "polls_total",
    "poll_errors_total",
    "poll_duration_seconds_count",
    "invalid_records_total",
    "inventory_errors_total",
)


@pytest.fixture
def world(milvus: PymilvusServer) -> PymilvusServer:
    """A Milvus with two collections and a job of each."""
    milvus.set(databases=databases(lake=["orders", "returns"]))
    milvus.set_jobs(job(1, "orders", database="lake"), job(2, "returns", FAILED, database="lake"))
    return milvus


@pytest.fixture
def other() -> Iterator[PymilvusServer]:
    with PymilvusServer(databases=databases(sea=["fish"])) as server:
        server.set_jobs(job(1, "fish", database="sea"))
        yield server


def at(server: PymilvusServer, **more: Any) -> dict[str, Any]:
    return {"milvus": {"uri": server.uri, **more.pop("milvus", {})}, **more}


def counts(samples: Samples) -> dict[tuple[str, str], float]:
    """Return every counter with its labels."""
    return {(name, str(sorted(labels.items()))): value for name in COUNTERS for labels, value in samples.all(name)}


def gone_back(before: dict[tuple[str, str], float], now: dict[tuple[str, str], float]) -> dict[tuple[str, str], object]:
    """Return the counters that are lower than before or gone, with both values.

    A poll may come between, so what a setting takes away may be gone already, though never lower: the collection
    ``returns`` by limits and filters, and what had no known database while there was no inventory.
    """
    may_go = ("('collection', 'returns')", "('database', '')")
    seen = {key: now.get(key, value if any(part in key[1] for part in may_go) else 0) for key, value in before.items()}
    return {key: (value, now.get(key)) for key, value in before.items() if seen[key] < value}


def reloaded(daemon: Configured, **sections: Any) -> None:
    answer = daemon.reload(**sections)
    assert (answer.status, answer.text) == (200, "configuration reloaded\n")


# One Milvus


def test_settings_take_effect_and_every_count_goes_on(world: PymilvusServer, tmp_path: Path) -> None:
    """Interval, filters, labels, limits, freshness and inventory, one after the other, while jobs end."""
    with Configured(tmp_path, **at(world)) as daemon:
        jobs = list(world.world["jobs"])
        world.set_jobs(*jobs, job(3, "orders", database="lake"), job(4, "returns", FAILED, database="lake"))
        daemon.until(lambda now: now.total("jobs_finished_total") == 2, "both are counted")
        for number, changed in enumerate(
            (
                {"poll": {"interval": "2s", "timeout": "1s"}},
                {"freshness": {"max_age": "26h"}},
                {"limits": {"max_collections": 1}},
                {"labels": {"source": "bucket"}},
                {"server": {"job_timeout": "2h"}},
                {"inventory": {"enabled": False}},
                {"inventory": {"enabled": True, "interval": "1s"}},
                {"filters": {"collections": {"exclude": ["returns"]}}},
                {},
            )
        ):
            before = counts(daemon.metrics())
            reloaded(daemon, **at(world), **changed)
            at_once = counts(daemon.metrics())
            assert gone_back(before, at_once) == {}
            jobs = list(world.world["jobs"])
            world.set_jobs(*jobs, job(10 + number, "orders", database="lake"))
            now = daemon.until(
                lambda now, n=number: now.total("jobs_finished_total", collection="orders") == 2 + n, "one job more"
            )
            assert gone_back(before, counts(now)) == {}
        assert now.value("jobs_finished_total", collection="returns") == 1


def test_each_setting_shows_where_it_takes_effect(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world)) as daemon:
        reloaded(
            daemon,
            **at(world),
            poll={"interval": "2s", "timeout": "1s"},
            freshness={"max_age": "26h"},
            filters={"collections": {"exclude": ["returns"]}},
            labels={"source": "bucket"},
            server={"job_timeout": "2h"},
        )
        assert "max_age: 26h" in daemon.get("/config").text
        now = daemon.until(lambda now: now.all("max_age_seconds"), "the age is shown")
        assert now.value("max_age_seconds") == 26 * 3600
        assert now.value("poll_interval_seconds") == 2
        assert now.value("server_job_timeout_seconds") == 7200
        assert {labels["collection"] for labels, _ in now.all("jobs")} == {"orders"}
        assert {labels["source"] for labels, _ in now.all("jobs")} == {"s3://lake"}
        assert now.value(GOOD) == 1


def test_a_file_that_has_not_changed_changes_nothing(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world)) as daemon:
        before = daemon.metrics()
        reloaded(daemon, **at(world))
        after = daemon.metrics()
        assert (after.value(LOADED) or 0) > (before.value(LOADED) or 0)
        assert "changed=" not in daemon.log
        assert (after.value("snapshot_stale"), after.total("jobs")) == (0, 2)


def test_what_is_shown_stays_until_the_first_poll_under_other_settings(world: PymilvusServer, tmp_path: Path) -> None:
    """Milvus is away when the settings change: no gap, no zero, and the failure shows as any does."""
    with Configured(tmp_path, **at(world)) as daemon:
        world.kill()
        daemon.until(lambda now: now.value("up") == 0, "Milvus is away")
        before = daemon.metrics()
        reloaded(daemon, **at(world), freshness={"max_age": "26h"})
        daemon.next_poll()
        now = daemon.metrics()
        assert (now.total("jobs"), now.value("snapshot_stale"), now.value("up")) == (2, 0, 0)
        assert now.value("poll_last_success_timestamp_seconds") == before.value("poll_last_success_timestamp_seconds")
        assert now.all("last_success_timestamp_seconds") == before.all("last_success_timestamp_seconds")


def test_impossible_records_are_not_counted_again(world: PymilvusServer, tmp_path: Path) -> None:
    """Polls under new settings look at each record as if it were new; the count is once per job."""
    world.set_jobs(job(1, "orders", database="lake", progress=700), job(2, "orders", IN_PROGRESS, database="lake"))
    with Configured(tmp_path, **at(world)) as daemon:
        daemon.until(lambda now: now.total("invalid_records_total") == 1, "the record is counted")
        reloaded(daemon, **at(world), freshness={"max_age": "26h"})
        daemon.next_poll()
        assert daemon.metrics().total("invalid_records_total") == 1
        world.set_jobs(*world.world["jobs"], job(3, "orders", database="lake", progress=701))
        daemon.until(lambda now: now.total("invalid_records_total") == 2, "another one is")


def test_other_credentials_are_sent_from_then_on(world: PymilvusServer, tmp_path: Path) -> None:
    world.set(auth={"tokens": ["root:new"]})
    with Configured(tmp_path, **at(world, milvus={"token": "root:old"})) as daemon:
        daemon.until(lambda now: now.errors().get("unauthenticated"), "the old token is refused")
        reloaded(daemon, **at(world, milvus={"token": "root:new"}))
        daemon.until(lambda now: now.value("up") == 1, "the new one is good")
        assert "root:new" not in daemon.log + daemon.get("/config").text


def test_another_address_of_the_same_milvus_keeps_what_is_known(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world)) as daemon:
        world.set_jobs(*world.world["jobs"], job(3, "orders", database="lake"))
        daemon.until(lambda now: now.value("jobs_finished_total", collection="orders") == 1, "it is counted")
        reloaded(daemon, milvus={"uri": world.uri.replace("127.0.0.1", "localhost")})
        daemon.next_poll()
        assert daemon.metrics().value("jobs_finished_total", collection="orders") == 1


def test_the_log_level_follows(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world), log={"level": "error"}) as daemon:
        assert "INFO" not in daemon.log
        reloaded(daemon, **at(world), log={"level": "debug", "format": "json"})
        until(lambda: '"message": "configuration reloaded"' in daemon.log, "the next line has the new form")
        reloaded(daemon, **at(world), log={"level": "error"})


def test_sighup_does_the_same(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world)) as daemon:
        daemon.write(**at(world), poll={"interval": "3s"})
        daemon.signal(signal.SIGHUP)
        daemon.until(lambda now: now.value("poll_interval_seconds") == 3, "the new interval is in force")
        daemon.write(poll={"interval": "soon"})
        daemon.signal(signal.SIGHUP)
        daemon.until(lambda now: now.value(GOOD) == 0, "the bad file is told of")
        assert daemon.metrics().value("poll_interval_seconds") == 3


# A bad file


def test_a_bad_file_changes_nothing_and_every_fault_is_told(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world)) as daemon:
        before, config = daemon.metrics(), daemon.get("/config").text
        answer = daemon.reload(**at(world), poll={"interval": "soon"}, freshness={"max_age": "1h"}, pol={"CANARY": 1})
        assert answer.status == 500
        name = daemon.file
        assert answer.text.splitlines() == [
            f"{name}:{line(name, 'pol:')}: pol: unknown key; did you mean poll?",
            f'{name}:{line(name, "interval")}: poll.interval: "soon" is not a duration; {DURATIONS}',
        ]
        after = daemon.metrics()
        assert (after.value(GOOD), after.value(LOADED)) == (0, before.value(LOADED))
        assert after.all("max_age_seconds") == []
        assert daemon.get("/config").text == config
        assert "CANARY" not in daemon.log
        daemon.next_poll()
        reloaded(daemon, **at(world))
        mended = daemon.metrics()
        assert mended.value(GOOD) == 1
        assert (mended.value(LOADED) or 0) > (before.value(LOADED) or 0)


def line(file: Path, start: str) -> int:
    return 1 + [text.strip().startswith(start) for text in file.read_text().splitlines()].index(True)


def test_a_file_that_has_gone_is_a_fault(world: PymilvusServer, tmp_path: Path) -> None:
    with Configured(tmp_path, **at(world)) as daemon:
        daemon.file.unlink()
        answer = daemon.get("/-/reload", method="POST")
        assert answer.status == 500
        assert "cannot be read: No such file or directory" in answer.text
        assert daemon.metrics().value("up") == 1


@pytest.mark.parametrize("kept", ["", "\n", "# being written\n", "---\n"])
def test_a_file_that_has_lost_its_content_changes_nothing(world: PymilvusServer, tmp_path: Path, kept: str) -> None:
    """Something is writing it, or has failed to. The defaults would take away ages and switch Milvus to localhost."""
    with Configured(tmp_path, **at(world), freshness={"max_age": "26h"}) as daemon:
        daemon.until(lambda now: now.all("max_age_seconds"), "the age is shown")
        config = daemon.get("/config").text
        daemon.file.write_text(kept)
        answer = daemon.get("/-/reload", method="POST")
        assert answer.status == 500
        assert answer.text == f"{daemon.file}: config.file: sets nothing any more; restart to run without it\n"
        assert daemon.get("/config").text == config
        now = daemon.next_poll()
        assert (now.value(GOOD), now.value("up"), now.total("max_age_seconds")) == (0, 1, 2 * 26 * 3600)


@pytest.mark.parametrize("key", ["freshness:", "freshness:\n  max_age:", "freshness:\n  overrides:"])
def test_a_file_cut_off_after_a_key_changes_nothing(world: PymilvusServer, tmp_path: Path, key: str) -> None:
    with Configured(tmp_path, **at(world), freshness={"max_age": "26h"}) as daemon:
        daemon.file.write_text(f"milvus: {{uri: '{world.uri}'}}\npoll: {{interval: 1s}}\n{key}")
        answer = daemon.get("/-/reload", method="POST")
        assert (answer.status, answer.text.count("is empty; fill it in, or remove the key")) == (500, 1)
        assert "max_age: 26h" in daemon.get("/config").text


def test_a_daemon_that_began_with_an_empty_file_reloads_it(world: PymilvusServer, tmp_path: Path) -> None:
    """Flags and environment say everything, and the file has only comments: nothing can be lost. The log says so."""
    daemon = Configured(tmp_path, "--milvus.uri", world.uri, "--poll.interval=1s")
    daemon.file.write_text("# poll:\n#   interval: 15s\n")
    with daemon:
        assert f"WARNING exporter: {daemon.file} sets nothing: " in daemon.log
        assert daemon.get("/-/reload", method="POST").status == 200


def test_what_cannot_change_is_a_fault_by_name(world: PymilvusServer, tmp_path: Path) -> None:
    """And nothing else of that file takes effect either."""
    with Configured(tmp_path, **at(world)) as daemon:
        (tmp_path / "web.yml").write_text("")
        answer = daemon.reload(
            **at(world),
            freshness={"max_age": "1h"},
            state={"path": str(tmp_path / "state.db")},
            web={"telemetry_path": "/elsewhere", "config_file": str(tmp_path / "web.yml")},
        )
        assert answer.status == 500
        assert answer.text.splitlines() == [
            "web.config_file: cannot change without a restart; it stays none",
            "web.telemetry_path: cannot change without a restart; it stays /metrics",
            "state.path: cannot change without a restart; it stays none",
        ]
        assert daemon.metrics().all("max_age_seconds") == []
        refused = daemon.reload(targets={"a": at(world)})
        assert refused.text == "targets: cannot begin or end without a restart; a single Milvus is watched\n"


def test_only_a_post_reloads(world: PymilvusServer) -> None:
    with Exporter(world.uri) as daemon:
        assert daemon.get("/-/reload").status == 405
        assert daemon.get("/-/reload", method="POST").status == 200


# Several Milvus


def test_targets_come_and_go_and_what_has_not_changed_goes_on(
    world: PymilvusServer, other: PymilvusServer, tmp_path: Path
) -> None:
    state = {"path": str(tmp_path / "state.db")}
    with Configured(tmp_path, state=state, targets={"lake": at(world), "old": at(world)}) as daemon:
        world.set_jobs(*world.world["jobs"], job(3, "orders", database="lake"))
        until(lambda: daemon.probe("lake").total("jobs_finished_total") == 1, "it is counted")
        polls = daemon.polls("lake")
        reloaded(daemon, state=state, targets={"lake": at(world), "sea": at(other)})
        assert "added=sea removed=old" in daemon.log
        assert daemon.get("/probe?target=old").status == 404
        assert daemon.get("/-/ready").status == 200
        assert daemon.polls("lake") >= polls
        until(lambda: daemon.probe("sea").total("jobs") == 1, "the new one is polled")
        assert [each for each in ("lake", "sea", "old") if f'"{each}"' in daemon.get("/sd").text] == ["lake", "sea"]
        # It comes back with what it knew, and its file is free to be taken again.
        reloaded(daemon, state=state, targets={"lake": at(world), "sea": at(other), "old": at(world)})
        until(lambda: daemon.probe("old").value("up") == 1, "the old one is polled again")
        assert daemon.probe("old").total("jobs_finished_total") == 1
        assert daemon.probe("old").value("state_ok") == 1
        assert daemon.stop() == 0


def test_a_target_that_changes_keeps_its_counts_and_the_others_are_left_alone(
    world: PymilvusServer, other: PymilvusServer, tmp_path: Path
) -> None:
    with Configured(tmp_path, targets={"lake": at(world), "sea": at(other)}) as daemon:
        world.set_jobs(*world.world["jobs"], job(3, "orders", database="lake"))
        until(lambda: daemon.probe("lake").total("jobs_finished_total") == 1, "it is counted")
        before = counts(daemon.probe("lake"))
        reloaded(daemon, targets={"lake": at(world, freshness={"max_age": "1h"}), "sea": at(other)})
        after = counts(daemon.probe("lake"))
        assert {key: (value, after[key]) for key, value in before.items() if after[key] < value} == {}
        assert "changed=lake" in daemon.log
        daemon.until_polled("lake")
        assert daemon.probe("lake").total("max_age_seconds") == 2 * 3600
        assert daemon.probe("sea").all("max_age_seconds") == []


def test_a_hung_target_does_not_hold_up_the_others_reload(world: PymilvusServer, tmp_path: Path) -> None:
    """The one that hangs is given a few seconds, and the others are under their new settings at once."""
    with Silent() as silent:
        slow = {"poll": {"interval": "60s", "timeout": "50s"}}
        with Configured(tmp_path, targets={"lake": at(world)}) as daemon:
            reloaded(daemon, targets={"lake": at(world), "hung": {"milvus": {"uri": silent.uri}, **slow}})
            daemon.write(
                targets={"lake": at(world, freshness={"max_age": "1h"}), "hung": {"milvus": {"uri": silent.uri}}}
            )
            daemon.signal(signal.SIGHUP)
            until(lambda: daemon.probe("lake").all("max_age_seconds"), "lake is under its new settings", seconds=4)
            until(lambda: daemon.probe("hung").value("poll_interval_seconds") == 1, "so is the other", seconds=15)


# Under load


def test_reloads_while_jobs_end_lose_none_and_count_none_twice(world: PymilvusServer, tmp_path: Path) -> None:
    """Twenty reloads, two at a time, at any moment of a poll, with a job more before each."""
    state = {"path": str(tmp_path / "state.db")}
    with Configured(tmp_path, **at(world), state=state) as daemon:
        start = daemon.metrics()
        seen = counts(start)
        jobs = list(world.world["jobs"])
        answers: list[int] = []
        for number in range(20):
            jobs.append(job(100 + number, "orders", COMPLETED, database="lake"))
            world.set_jobs(*jobs)
            daemon.write(**at(world), state=state, poll={**TIGHT, "stale_after": f"{60 + number}s"})
            askers = [
                threading.Thread(target=lambda: answers.append(daemon.get("/-/reload", method="POST").status))
                for _ in range(2)
            ]
            for asker in askers:
                asker.start()
            now = counts(daemon.metrics())
            assert {key: (value, now.get(key)) for key, value in seen.items() if now.get(key, value) < value} == {}
            seen |= now
            for asker in askers:
                asker.join()
        assert answers == [200] * 40
        daemon.until(lambda now: now.value("jobs_finished_total", collection="orders") == 20, "all are counted")
        daemon.next_poll()
        after = daemon.metrics()
        assert after.value("jobs_finished_total", collection="orders") == 20
        assert after.total("job_duration_seconds_count") == 20
        assert daemon.stop() == 0
        daemon.start()
        assert daemon.next_poll().value("jobs_finished_total", collection="orders") == 20
