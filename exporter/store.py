"""What polls publish and scrapes read: one reference, swapped whole. The only thing two tasks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from exporter.errors import KINDS
from exporter.model import Problem
from exporter.snapshot import Snapshot

Key = TypeVar("Key")

POLL_DURATION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds."""


@dataclass(frozen=True, slots=True)
class PollOutcome:
    """How one poll went. ``started`` in epoch seconds, ``duration`` in seconds."""

    started: float
    duration: float
    up: bool
    partial: bool = False
    kinds: tuple[str, ...] = ()
    """The kinds of what failed, also of a refused list-all that the fallback has rescued."""
    problems: Mapping[Problem, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PollAccount:
    """Facts about polling, apart from facts about jobs. Stamps are 0 before the first."""

    attempts: int = 0
    skipped: int = 0
    up: bool = False
    partial: bool = False
    kind: str = ""
    """Of the last poll; empty where it succeeded."""
    last_attempt: float = 0.0
    last_success: float = 0.0
    duration_buckets: tuple[int, ...] = (0,) * (len(POLL_DURATION_BUCKETS) + 1)
    """Not cumulated; the last one is above every bound."""
    duration_sum: float = 0.0
    errors: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    problems: Mapping[Problem, int] = field(default_factory=lambda: dict.fromkeys(Problem, 0))

    def after(self, outcome: PollOutcome) -> PollAccount:
        """Return the account with one more poll."""
        bucket = sum(bound < outcome.duration for bound in POLL_DURATION_BUCKETS)
        return replace(
            self,
            attempts=self.attempts + 1,
            up=outcome.up,
            partial=outcome.partial,
            kind=outcome.kinds[-1] if outcome.kinds and not outcome.up else "",
            last_attempt=outcome.started,
            last_success=outcome.started if outcome.up else self.last_success,
            duration_buckets=tuple(n + (i == bucket) for i, n in enumerate(self.duration_buckets)),
            duration_sum=self.duration_sum + outcome.duration,
            errors=_added(self.errors, dict.fromkeys(outcome.kinds, 1)),
            problems=_added(self.problems, outcome.problems),
        )


@dataclass(frozen=True, slots=True)
class Publication:
    """What a scrape may show: the last good snapshot and the account as of the last poll.

    Each change is a new object: what has been rendered from this one stays good for as long as it is the current one.
    """

    snapshot: Snapshot
    account: PollAccount


class Store:
    """Holds the current publication. ``stale_after`` in seconds."""

    def __init__(self, stale_after: float) -> None:
        self._stale_after = stale_after
        self._listed: float | None = None
        self._recounted: Mapping[Problem, int] = {}
        """Impossible values that polls under new settings meet again: they look at each record as if it were new."""
        self.current = Publication(Snapshot(now=0.0), PollAccount())

    def publish(self, outcome: PollOutcome, snapshot: Snapshot | None, monotonic: float) -> None:
        """Swap in the outcome of a poll; without a snapshot the last one stays, until it is stale."""
        before = self.current
        if snapshot is not None:
            self._listed = monotonic
        if self._recounted:
            outcome = self._without_recounted(outcome)
        self.current = Publication(snapshot or before.snapshot, before.account.after(outcome))

    def restore(self, snapshot: Snapshot) -> None:
        """Show what was remembered through a restart, until the first good poll."""
        self.current = replace(self.current, snapshot=snapshot)

    def _without_recounted(self, outcome: PollOutcome) -> PollOutcome:
        known = {problem: min(self._recounted.get(problem, 0), n) for problem, n in outcome.problems.items()}
        whole = outcome.up and not outcome.partial
        self._recounted = {} if whole else {p: n - known.get(p, 0) for p, n in self._recounted.items()}
        return replace(outcome, problems={problem: n - known[problem] for problem, n in outcome.problems.items()})

    def resume(self, before: Store, snapshot: Snapshot | None) -> None:
        """Go on where another store has stopped: a target under other settings. No count goes back.

        ``snapshot`` is what it showed last; None if that is about another Milvus: then what has been restored is shown.
        """
        self._recounted = dict(before.current.account.problems)
        if snapshot is not None:
            self._listed = before._listed
        shown = self.current.snapshot if snapshot is None else snapshot
        self.current = replace(before.current, snapshot=shown)

    def skip(self) -> None:
        """Count a tick that was skipped because the poll before still ran."""
        before = self.current
        account = replace(before.account, skipped=before.account.skipped + 1)
        self.current = replace(before, account=account)

    def touch(self) -> None:
        """Note that something outside of polls has changed what is to be shown."""
        self.current = replace(self.current)

    def stale(self, monotonic: float) -> bool:
        """Return whether job series must be withheld: the last good listing is too old.

        By the monotonic clock: stepping the wall clock back must not keep old data fresh.
        """
        return self._listed is None or monotonic - self._listed > self._stale_after


def _added(one: Mapping[Key, int], other: Mapping[Key, int]) -> dict[Key, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
