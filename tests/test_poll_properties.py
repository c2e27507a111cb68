"""Whatever users, Milvus and the network do between polls: each ended job is counted once, where it belongs."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any
from unittest.mock import patch

from builders import Clock, ScriptedMilvus, Watch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import Collection

BROKEN = errors.ServerFault("job 12 references missing task 34", code=5)
REASONS = ("no files found in external source: s3://lake", "timeout", "superseded by new job", "job canceled")
OWN_NAMES = {"default": ("d1", "d2"), "hr": ("h1", "h2")}
"""A name of one database and one that both share: what the exporter can tell apart at all."""
ACTIVE = (pb.RefreshPending, pb.RefreshInProgress)


class Life(RuleBasedStateMachine):
    """A Milvus with its users and its faults, and an exporter that watches it; the reference counts for itself."""

    drops = False

    def __init__(self) -> None:
        super().__init__()
        self.milvus = ScriptedMilvus(Clock(), databases=["default", "hr"])
        self.milvus.order = lambda found: random.Random(len(self.milvus.calls)).sample(found, len(found))
        self.watch = Watch(self.milvus)
        self.held: dict[int, tuple[Any, int]] = {}
        self.told: Counter[int] = Counter()
        report = self.watch.corridor._report
        tell = report.ended
        report.ended = lambda counted: (self.told.update(e.job.job_id for e in counted), tell(counted))  # type: ignore[assignment, method-assign, func-returns-value]
        self.baseline: set[int] = set()

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.watch.__exit__()

    @initialize(ended=st.integers(0, 3), failing=st.booleans())
    def begin(self, ended: int, failing: bool) -> None:
        for database in self.milvus.databases:
            for name in ("shared", OWN_NAMES[database][0]):
                number = self.milvus.create(name, database, source=f"s3://{database}/{name}")
                for _ in range(ended):
                    self.milvus.refreshed(number)
                if failing:
                    self.milvus.half_fail(self.milvus.submit(number))
        self.baseline = set(self.milvus.jobs)
        self.watch.poll()

    # Users

    def places(self) -> list[int]:
        return sorted(self.milvus.places)

    def taken(self, database: str) -> set[str]:
        here = [p for p in self.milvus.places.values() if p.database == database]
        return {p.name for p in here} | {alias for p in here for alias in p.aliases}

    @rule(data=st.data(), typed=st.booleans(), outcome=st.sampled_from(["active", "complete", "fail", "half"]))
    def refresh(self, data: st.DataObject, typed: bool, outcome: str) -> None:
        if not self.milvus.places:
            return
        number = data.draw(st.sampled_from(self.places()))
        place = self.milvus.places[number]
        alias = place.aliases[0] if typed and place.aliases else ""
        job_id = self.milvus.submit(number, typed=alias)
        self.milvus.clock.turn(1)
        self.end(job_id, outcome, REASONS[job_id % len(REASONS)])

    @rule(data=st.data(), outcome=st.sampled_from(["run", "complete", "fail", "half"]))
    def go_on(self, data: st.DataObject, outcome: str) -> None:
        jobs = sorted(id_ for id_, (made, _) in self.milvus.jobs.items() if made.state in ACTIVE or self.is_half(made))
        if jobs:
            self.end(data.draw(st.sampled_from(jobs)), outcome, "timeout")

    def is_half(self, made: Any) -> bool:
        return bool(made.state == pb.RefreshFailed and not made.end_time)

    def end(self, job_id: int, outcome: str, reason: str) -> None:
        self.milvus.clock.turn(1)
        half = self.is_half(self.milvus.jobs[job_id][0])
        if outcome == "run" and not half:
            self.milvus.run(job_id, 50)
        if outcome == "complete" and not half:
            self.milvus.complete(job_id)
        if outcome == "fail":
            self.milvus.fail(job_id, reason)
        if outcome == "half":
            self.milvus.half_fail(job_id)

    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        # A name that comes and goes between two looks at the inventory leaves no trace by which to find its bearer.
        known = self.watch.reader.latest.entries  # type: ignore[union-attr]
        here = self.milvus.places
        own = [n for n in self.places() if n in known and known[n].collection.name == here[n].name != "shared"]
        if own:
            place = self.milvus.places[data.draw(st.sampled_from(own))]
            free = sorted(set(OWN_NAMES[place.database]) - self.taken(place.database))
            if free:
                self.milvus.clock.turn(1)
                place.name = data.draw(st.sampled_from(free))

    @rule(data=st.data())
    def point_alias(self, data: st.DataObject) -> None:
        if self.milvus.places:
            place = self.milvus.places[data.draw(st.sampled_from(self.places()))]
            alias = f"alias_{place.database}"
            for other in self.milvus.places.values():
                if other.database == place.database:
                    other.aliases = ()
            place.aliases = (alias,)

    @precondition(lambda self: self.drops)
    @rule(data=st.data(), again=st.booleans())
    def drop(self, data: st.DataObject, again: bool) -> None:
        if self.milvus.places:
            number = data.draw(st.sampled_from(self.places()))
            place = self.milvus.places[number]
            self.milvus.drop(number)
            self.milvus.clock.turn(1)
            if again:
                self.milvus.create(place.name, place.database, created=self.milvus.clock.wall())
                self.milvus.clock.turn(1)

    @rule(database=st.sampled_from(["default", "hr"]))
    def create(self, database: str) -> None:
        free = sorted({*OWN_NAMES[database], "shared"} - self.taken(database))
        if free:
            self.milvus.create(free[0], database, created=self.milvus.clock.wall(), source=f"s3://{database}/{free[0]}")
            self.milvus.clock.turn(1)

    # Milvus and the network

    @rule(error=st.sampled_from([None, None, BROKEN, errors.Unreachable()]))
    def whole_listing(self, error: Exception | None) -> None:
        self.milvus.refuse_whole = error

    @rule(data=st.data(), error=st.sampled_from([BROKEN, errors.Unreachable(), errors.DeadlineExceeded()]))
    def listing_by_name(self, data: st.DataObject, error: Exception) -> None:
        names = [("default", "shared"), ("hr", "shared"), ("default", "d1"), ("hr", "h2")]
        self.milvus.refuse_by_name = {name: error for name in names if data.draw(st.booleans())}

    @rule(
        call=st.sampled_from(["", "list_databases", "show_collections hr", "describe_collection", "collection_exists"])
    )
    def inventory(self, call: str) -> None:
        self.milvus.refuse_inventory = {call: errors.Unreachable()} if call else {}

    @rule(data=st.data())
    def vanish_or_come_back(self, data: st.DataObject) -> None:
        """A listing lacks a job that a later one has again."""
        if self.held and data.draw(st.booleans()):
            self.milvus.jobs.update(self.held)
            self.held.clear()
        elif self.milvus.jobs:
            job_id = data.draw(st.sampled_from(sorted(self.milvus.jobs)))
            self.held[job_id] = self.milvus.jobs.pop(job_id)

    # The exporter

    @rule()
    def poll(self) -> None:
        self.watch.poll(every=2.0)
        self.check_rows()

    @rule()
    def read_inventory(self) -> None:
        self.watch.read_inventory()

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def step_the_exporters_wall_clock(self, seconds: float) -> None:
        """It is not Milvus's clock: only stamps of our own making move."""
        wall = self.milvus.clock.wall
        with patch.object(self.milvus.clock, "wall", lambda: wall() + seconds):
            self.watch.poll(every=2.0)

    @rule(where=st.sampled_from(["exporter.summary.keep_within", "exporter.ledger.Ledger.observe_whole"]))
    def poll_that_raises(self, where: str) -> None:
        with patch(where, side_effect=ZeroDivisionError):
            self.watch.poll(every=2.0)

    @rule(call=st.integers(0, 3))
    def poll_that_is_broken_off(self, call: int) -> None:
        async def broken_off() -> None:
            task = asyncio.create_task(self.watch.corridor.poll())
            countdown = iter(range(call, -1, -1))

            def cancel(_: tuple[str, ...]) -> None:
                if next(countdown, 1) == 0:
                    task.cancel()

            self.milvus.on_call = cancel
            await asyncio.gather(task, return_exceptions=True)
            self.milvus.on_call = lambda _: None

        self.watch.run(broken_off())

    # What must hold

    def check_rows(self) -> None:
        snapshot = self.watch.snapshot
        for rows in (snapshot.jobs, snapshot.outcomes):
            places = [row.collection[:2] for row in rows]
            assert len(set(places)) == len(places)
        unlisted = [c[:2] for c in snapshot.unlisted]
        assert len(set(unlisted)) == len(unlisted)
        if self.watch.account.up and not self.watch.account.partial:
            assert snapshot.states().total() == snapshot.listed_jobs == len(self.milvus.jobs)

    def settle(self) -> None:
        """Let all trouble end, and compare with the reference."""
        milvus, watch = self.milvus, self.watch
        milvus.refuse_whole, milvus.refuse_by_name, milvus.refuse_inventory = None, {}, {}
        milvus.jobs.update(self.held)
        watch.read_inventory()
        watch.poll(2)
        watch.read_inventory()
        watch.poll(3)
        self.check_rows()
        ended = {id_ for id_, (made, _) in milvus.jobs.items() if made.state not in ACTIVE}
        counted = {id_ for id_, each in watch.memory.ended.items() if each.counted}
        assert counted == ended - self.baseline
        assert not self.told or max(self.told.values()) == 1
        self.check_outcomes(counted)

    def check_outcomes(self, counted: set[int]) -> None:
        """What a collection shows is what the ledger holds of it."""
        finished: Counter[Collection] = Counter(e.collection for e in self.watch.memory.ended.values() if e.counted)
        for row in self.watch.snapshot.outcomes:
            assert row.finished == finished[row.collection], row.collection


class NothingIsDropped(Life):
    def check_outcomes(self, counted: set[int]) -> None:
        """With nothing dropped, everything is known exactly: whose job it was, how it ended, and each total."""
        milvus, snapshot = self.milvus, self.watch.snapshot
        finished: Counter[int] = Counter()
        failed: Counter[int] = Counter()
        for job_id in counted:
            made, owner = milvus.jobs[job_id]
            finished[owner] += 1
            failed[owner] += made.state == pb.RefreshFailed
        shown = {row.collection: (row.finished, row.failed) for row in snapshot.outcomes}
        assert shown == {Collection(p.database, p.name, n): (finished[n], failed[n]) for n, p in milvus.places.items()}
        listed = Counter(owner for _, owner in milvus.jobs.values())
        rows = {row.collection.collection_id: sum(sum(c) for _, c in row.counts) for row in snapshot.jobs}
        assert rows == listed
        for database in milvus.databases:
            totals = self.watch.totals(database)
            assert totals is not None
            here = [n for n, p in milvus.places.items() if p.database == database]
            assert sum(n for _, n in totals.failed_by_class) == sum(failed[n] for n in here)
            assert sum(totals.duration_buckets) == sum(finished[n] - failed[n] for n in here)


class CollectionsComeAndGo(Life):
    drops = True


_STEADY = settings(
    max_examples=50, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestNothingIsDropped = NothingIsDropped.TestCase
TestNothingIsDropped.settings = _STEADY
TestCollectionsComeAndGo = CollectionsComeAndGo.TestCase
TestCollectionsComeAndGo.settings = _STEADY
