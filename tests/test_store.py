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


def test_every_change_makes_a_new_publication() -> None:
    """A scrape renders anew only what has changed."""
    store = Store(60)
    seen = [store.current]
    for change in (lambda: store.publish(outcome(), None, 1.0), store.skip, store.touch):
        change()
        assert all(store.current is not before for before in seen)
        seen.append(store.current)


# Other settings for the same Milvus


def test_a_store_goes_on_where_another_has_stopped() -> None:
    """No count goes back, and what was shown stays for as long as it is fresh by the new measure."""
    before = Store(60)
    before.publish(outcome(), Snapshot(now=NOON), 100.0)
    after = Store(10)
    after.resume(before, before.current.snapshot)
    assert after.current.snapshot is before.current.snapshot
    assert after.current.account == before.current.account
    assert (after.stale(110.0), after.stale(110.1)) == (False, True)
    after.publish(outcome(up=False, kinds=("deadline",)), None, 111.0)
    assert after.current.account.attempts == 2


def resumed(known: int) -> Store:
    before, after = Store(60), Store(60)
    before.publish(outcome(problems={Problem.NEGATIVE_TIME: known}), Snapshot(now=NOON), 100.0)
    after.resume(before, before.current.snapshot)
    return after


def negative_times(store: Store) -> int:
    return store.current.account.problems[Problem.NEGATIVE_TIME]


def test_problems_that_are_met_again_because_all_is_looked_at_again_are_not_counted_again() -> None:
    store = resumed(3)
    store.publish(outcome(problems={Problem.NEGATIVE_TIME: 3}), Snapshot(now=NOON), 101.0)
    assert negative_times(store) == 3
    store.publish(outcome(problems={Problem.NEGATIVE_TIME: 1}), Snapshot(now=NOON), 102.0)
    assert negative_times(store) == 4


def test_of_more_problems_than_before_the_new_ones_are_counted() -> None:
    store = resumed(3)
    problems = {Problem.NEGATIVE_TIME: 5, Problem.UNKNOWN_STATE: 1}
    store.publish(outcome(problems=problems), Snapshot(now=NOON), 101.0)
    assert negative_times(store) == 5
    assert store.current.account.problems[Problem.UNKNOWN_STATE] == 1


def test_a_listing_in_parts_meets_them_again_one_poll_after_the_other() -> None:
    store = resumed(3)
    for problems in (2, 1, 0):
        told = outcome(partial=True, problems={Problem.NEGATIVE_TIME: problems})
        store.publish(told, Snapshot(now=NOON), 101.0)
    assert negative_times(store) == 3
    store.publish(outcome(partial=True, problems={Problem.NEGATIVE_TIME: 1}), Snapshot(now=NOON), 102.0)
    assert negative_times(store) == 4
