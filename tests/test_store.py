"""What polls publish and scrapes read."""

from __future__ import annotations

import pytest
from builders import NOON

from exporter.errors import KINDS
from exporter.model import Problem
from exporter.snapshot import Snapshot
from exporter.store import POLL_DURATION_BUCKETS, PollOutcome, Store


def outcome(*, up: bool = True, started: float = NOON, duration: float = 0.1, **more: object) -> PollOutcome:
    return PollOutcome(started, duration, up, **more)  # type: ignore[arg-type]


def test_before_the_first_poll() -> None:
    """There is an account to show already, with every kind and problem at 0, and no job series."""
    store = Store(60)
    account = store.current.account
    assert store.stale(0.0)
    assert (account.attempts, account.up, account.last_attempt, account.last_success) == (0, False, 0.0, 0.0)
    assert account.errors == dict.fromkeys(KINDS, 0)
    assert account.problems == dict.fromkeys(Problem, 0)


def test_a_good_poll_is_published_whole() -> None:
    store = Store(60)
    store.publish(outcome(), Snapshot(now=NOON), 100.0)
    assert store.current.snapshot.now == NOON
    assert store.current.account.up
    assert store.current.account.last_success == NOON
    assert not store.stale(100.0)


def test_what_a_scrape_holds_does_not_change_under_it() -> None:
    store = Store(60)
    held = store.current
    store.publish(outcome(), Snapshot(now=NOON), 100.0)
    assert held.snapshot.now == 0.0
    assert held.account.attempts == 0


def test_a_failed_poll_takes_up_down_at_once_and_leaves_the_snapshot() -> None:
    store = Store(60)
    store.publish(outcome(), Snapshot(now=NOON), 100.0)
    store.publish(outcome(up=False, started=NOON + 30, kinds=("unreachable",)), None, 130.0)
    account = store.current.account
    assert not account.up
    assert account.kind == "unreachable"
    assert account.errors["unreachable"] == 1
    assert account.last_attempt == NOON + 30
    assert account.last_success == NOON
    assert store.current.snapshot.now == NOON
    assert not store.stale(130.0)


def test_the_last_snapshot_stays_for_stale_after() -> None:
    store = Store(60)
    store.publish(outcome(), Snapshot(now=NOON), 100.0)
    store.publish(outcome(up=False), None, 159.0)
    assert not store.stale(160.0)
    assert store.stale(160.1)


def test_an_empty_snapshot_is_a_snapshot() -> None:
    store = Store(60)
    store.publish(outcome(), Snapshot(now=0.0), 100.0)
    assert not store.stale(100.0)


def test_a_partial_poll_is_a_success_with_an_error() -> None:
    """The refused listing counts although the fallback has rescued it."""
    store = Store(60)
    store.publish(outcome(partial=True, kinds=("server_error",)), Snapshot(now=NOON), 100.0)
    account = store.current.account
    assert account.up
    assert account.partial
    assert account.kind == ""
    assert account.errors["server_error"] == 1
    assert account.last_success == NOON


def test_a_kind_counts_once_a_poll() -> None:
    store = Store(60)
    store.publish(outcome(up=False, kinds=("internal", "internal")), None, 100.0)
    assert store.current.account.errors["internal"] == 1


def test_problems_add_up() -> None:
    store = Store(60)
    for _ in range(2):
        store.publish(outcome(problems={Problem.UNKNOWN_STATE: 2}), None, 100.0)
    assert store.current.account.problems[Problem.UNKNOWN_STATE] == 4
    assert store.current.account.problems[Problem.NEGATIVE_TIME] == 0


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (30.0, 11), (31.0, 12)])
def test_a_polls_duration_falls_into_its_bucket(seconds: float, bucket: int) -> None:
    store = Store(60)
    store.publish(outcome(duration=seconds), None, 100.0)
    account = store.current.account
    assert account.duration_buckets.index(1) == bucket
    assert account.duration_sum == seconds
    assert len(account.duration_buckets) == len(POLL_DURATION_BUCKETS) + 1


def test_a_skipped_tick_is_counted_and_is_no_attempt() -> None:
    store = Store(60)
    store.skip()
    assert store.current.account.skipped == 1
    assert store.current.account.attempts == 0


def test_every_change_makes_a_new_version() -> None:
    """A scrape renders anew only what has changed."""
    store = Store(60)
    seen = {store.current.version}
    for change in (lambda: store.publish(outcome(), None, 1.0), store.skip, store.touch):
        change()
        seen.add(store.current.version)
    assert len(seen) == 4
