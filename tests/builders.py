"""What tests build from: a hand-turned clock, jobs and records, and a scripted Milvus with what watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from exporter import errors
from exporter.catalog import Entry, Inventory, InventoryReader
from exporter.config import Settings
from exporter.ledger import Ended, Memory, Outcomes, Rules, StateFile
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import Collection, DescribedCollection, FailureClass, Job, ShownCollection, State
from exporter.poll import Corridor
from exporter.snapshot import STATES, DatabaseRow, JobRows, OutcomeRow, Snapshot
from exporter.store import Store

NOON = 1_790_000_000.0
"""When tests begin, in epoch seconds."""
DAY = 86_400.0
HOUR = 3_600.0
Result = TypeVar("Result")


class Clock:
    """Two hands that move only when they are turned."""

    def __init__(self, wall: float = NOON, monotonic: float = 1_000.0) -> None:
        self._wall, self._monotonic = wall, monotonic

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self._wall += seconds
        self._monotonic += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, as an operator or NTP does."""
        self._wall += seconds


def collection(name: str = "docs", database: str = "sales", collection_id: int = 7) -> Collection:
    return Collection(database, name, collection_id)


def job(
    job_id: int = 1,
    state: State = State.COMPLETED,
    *,
    start: float | None = NOON,
    end: float | None = None,
    **more: Any,
) -> Job:
    """Build a job; an ended one ends ten seconds after its start unless ``end`` says otherwise."""
    if state.ended and end is None and start is not None and not more.get("half_written"):
        end = start + 10
    if state is State.FAILED:
        more.setdefault("failure_class", FailureClass.UNKNOWN)
    values = {"name": "docs", "progress": 1.0 if state is State.COMPLETED else 0.5, "source": "s3://lake/docs"} | more
    return Job(job_id=job_id, state=state, start=start, end=end, **values)


def no_end(job_id: int, state: State, **more: Any) -> Job:
    """Build an ended job whose end is missing or impossible."""
    return job(job_id, state, start=more.pop("start", None), end=None, **more)


def failed(job_id: int, end: float, failure_class: FailureClass = FailureClass.SOURCE_EMPTY, **more: Any) -> Job:
    return job(job_id, State.FAILED, start=more.pop("start", end - 10), end=end, failure_class=failure_class, **more)


def completed(job_id: int, end: float, **more: Any) -> Job:
    return job(job_id, State.COMPLETED, start=more.pop("start", end - 10), end=end, **more)


DOCS = Collection("sales", "docs", 7)


def ended(made: Job, place: Collection = DOCS, *, counted: bool = True) -> Ended:
    """Build an ended job as the ledger has it: seen when it ended, and counted by its class."""
    assert made.end is not None
    return Ended(made, place, made.end, counted, classed=made.failure_class if made.state is State.FAILED else None)


def outcomes_of(*jobs: Ended) -> Outcomes:
    """Build what these jobs leave behind."""
    made = Outcomes()
    for each in jobs:
        made.add(each)
    return made


AS_IS = Rules("as it is", lambda job: job)
"""No cleaning of remembered texts: those of tests are clean."""


def entry(name: str = "docs", database: str = "sales", collection_id: int = 7, **more: Any) -> Entry:
    values = {"created": NOON - 30 * DAY, "external": True} | more
    return Entry(Collection(database, name, collection_id), **values)


def inventory(*entries: Entry, gone: tuple[int, ...] = (), databases: tuple[str, ...] = ()) -> Inventory:
    names = databases or tuple(sorted({e.collection.database for e in entries}))
    return Inventory({e.collection.collection_id: e for e in entries}, frozenset(gone), names)


def job_row(name: str = "docs", database: str = "sales", collection_id: int = 7, **more: Any) -> JobRows:
    values = {"counts": (("s3://lake", (0, 0, 1, 0, 0)),), "newest": job(), "changed": NOON, "sources_folded": 0} | more
    return JobRows(Collection(database, name, collection_id), **values)


def outcome_row(name: str = "docs", database: str = "sales", collection_id: int = 7, **more: Any) -> OutcomeRow:
    values: dict[str, Any] = {
        "last_success": None,
        "last_failure": None,
        "last_success_duration": None,
        "consecutive_failures": 0,
        "failing": False,
        "trouble": None,
        "finished": 0,
        "failed": 0,
        "failed_exemplar": None,
        "max_age": None,
    }
    return OutcomeRow(collection=Collection(database, name, collection_id), **(values | more))


def record(job_id: int = 1, state: int = pb.RefreshCompleted, **more: Any) -> pb.RefreshExternalCollectionJobInfo:
    """Build a record as Milvus sends it; ``start`` and ``end`` in epoch seconds."""
    start, end = more.pop("start", NOON), more.pop("end", NOON + 10 if state in (2, 3) else 0)
    values = {"collection_name": "docs", "external_source": "s3://lake/docs"} | more
    return pb.RefreshExternalCollectionJobInfo(
        job_id=job_id, state=state, start_time=round(start * 1000), end_time=round(end * 1000), **values
    )


@dataclass
class Place:
    """One collection of the scripted Milvus."""

    database: str
    name: str
    collection_id: int
    created: float
    external: bool = True
    aliases: tuple[str, ...] = ()
    source: str = "s3://lake/docs"
    hidden: bool = False
    """Whether a missing grant hides it from the inventory."""


@dataclass
class ScriptedMilvus:
    """Milvus in memory, by the rules of its own: both a job source and an inventory source."""

    clock: Clock
    databases: list[str] = field(default_factory=lambda: ["default"])
    places: dict[int, Place] = field(default_factory=dict)
    jobs: dict[int, tuple[pb.RefreshExternalCollectionJobInfo, int]] = field(default_factory=dict)
    refuse_whole: Exception | None = None
    refuse_by_name: dict[tuple[str, str], Exception] = field(default_factory=dict)
    refuse_inventory: dict[str, Exception] = field(default_factory=dict)
    """By call, or by ``call database`` or ``call database.collection``."""
    order: Callable[[list[Any]], list[Any]] = list
    seconds_per_call: float = 0.0
    hang: set[tuple[str, str]] = field(default_factory=set)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    on_call: Callable[[tuple[str, ...]], None] = lambda call: None
    _next_id: int = 100

    # What its users do

    def create(self, name: str, database: str = "default", **more: Any) -> int:
        if database not in self.databases:
            self.databases.append(database)
        number = self._number()
        self.places[number] = Place(database, name, number, more.pop("created", self.clock.wall() - DAY), **more)
        return number

    def drop(self, collection_id: int) -> None:
        del self.places[collection_id]

    def submit(self, collection_id: int, typed: str = "", source: str = "", state: int = pb.RefreshPending) -> int:
        place = self.places[collection_id]
        number = self._number()
        made = record(
            number,
            state,
            start=self.clock.wall(),
            end=0,
            collection_name=typed or place.name,
            external_source=source or place.source,
        )
        self.jobs[number] = (made, collection_id)
        return number

    def run(self, job_id: int, percent: int = 0) -> None:
        self.jobs[job_id][0].state = pb.RefreshInProgress
        self.jobs[job_id][0].progress = percent

    def complete(self, job_id: int) -> int:
        made = self.jobs[job_id][0]
        made.state, made.progress, made.end_time = pb.RefreshCompleted, 100, round(self.clock.wall() * 1000)
        return job_id

    def fail(self, job_id: int, reason: str = "no files found in external source: s3://lake") -> int:
        made = self.jobs[job_id][0]
        made.state, made.reason, made.end_time = pb.RefreshFailed, reason, round(self.clock.wall() * 1000)
        return job_id

    def half_fail(self, job_id: int) -> int:
        """A task has failed and the job is not saved yet."""
        self.jobs[job_id][0].state = pb.RefreshFailed
        return job_id

    def refreshed(self, collection_id: int, **more: Any) -> int:
        """Submit a job and complete it: most start and end between two polls."""
        return self.complete(self.submit(collection_id, **more))

    def refused(self, collection_id: int, **more: Any) -> int:
        """Submit a job and let it fail."""
        return self.fail(self.submit(collection_id, **more))

    def forget(self, *job_ids: int) -> None:
        for job_id in job_ids:
            del self.jobs[job_id]

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id

    # What it answers

    async def list_all_jobs(self, *, timeout: float) -> list[bytes]:
        answer = await self.list_jobs(timeout=timeout)
        return [job.SerializeToString() for job in answer.jobs]

    async def list_jobs(
        self, *, timeout: float, database: str = "", collection: str = ""
    ) -> pb.ListRefreshExternalCollectionJobsResponse:
        await self._called(("list_jobs", database, collection) if collection else ("list_jobs",))
        if not collection:
            if self.refuse_whole is not None:
                raise self.refuse_whole
            found = [made for made, _ in self.jobs.values()]
        else:
            if (database, collection) in self.hang:
                self.clock.turn(timeout)
                raise errors.DeadlineExceeded
            if (database, collection) in self.refuse_by_name:
                raise self.refuse_by_name[database, collection]
            id_ = self._resolve(database or "default", collection)
            found = [made for made, owner in self.jobs.values() if owner == id_]
        return pb.ListRefreshExternalCollectionJobsResponse(jobs=self.order(found))

    async def list_databases(self, *, timeout: float) -> tuple[str, ...]:
        await self._called(("list_databases",))
        hidden = {d for d in self.databases if d in self.refuse_inventory.get("hidden_databases", ())}  # type: ignore[operator]
        return tuple(d for d in self.databases if d not in hidden)

    async def show_collections(self, database: str, *, timeout: float) -> tuple[ShownCollection, ...]:
        await self._called(("show_collections", database))
        if database not in self.databases:
            raise errors.DatabaseGone(code=800)
        return tuple(
            ShownCollection(p.name, p.collection_id, p.created)
            for p in self.places.values()
            if p.database == database and not p.hidden
        )

    async def describe_collection(self, database: str, name: str, *, timeout: float) -> DescribedCollection:
        await self._called(("describe_collection", database, name))
        place = self.places[self._resolve(database, name)]
        return DescribedCollection(place.external, place.aliases, place.source if place.external else "")

    async def describe_collections(
        self, database: str, names: Sequence[str], *, timeout: float
    ) -> list[DescribedCollection | errors.MilvusError]:
        """One after the other, as Milvus's proxy does."""
        self.calls.append(("describe_collections", database, *names))
        refused = [self.refuse_inventory.get(f"describe_collection{of}") for of in ("s", f"s {database}")]
        for error in filter(None, refused):
            raise error
        until = self.clock.monotonic() + timeout
        found: list[DescribedCollection | errors.MilvusError] = []
        for name in names:
            try:
                found.append(await self.describe_collection(database, name, timeout=timeout))
            except errors.PermissionDenied:  # looked at before the call, which says nothing about any collection then
                raise
            except errors.MilvusError as error:
                found.append(error)
            if self.clock.monotonic() > until:
                raise errors.DeadlineExceeded
        return found

    async def collection_exists(self, database: str, name: str, *, timeout: float) -> bool:
        await self._called(("collection_exists", database, name))
        try:
            self._resolve(database, name)
        except errors.ServerFault:
            return False
        return True

    def asked(self, *call: str) -> int:
        """Return how often a call has been made, its arguments as far as given."""
        return sum(made[: len(call)] == call for made in self.calls)

    @property
    def asked_by_name(self) -> list[tuple[str, str]]:
        """Return the (database, collection) of listings by name."""
        return [made[1:] for made in self.calls if made[0] == "list_jobs" and len(made) == 3]  # type: ignore[misc]

    async def _called(self, call: tuple[str, ...]) -> None:
        self.calls.append(call)
        self.clock.turn(self.seconds_per_call)
        self.on_call(call)
        await asyncio.sleep(0)
        for key in (call[0], " ".join(call[:2]), f"{' '.join(call[:2])}.{call[-1]}"):
            if key in self.refuse_inventory:
                raise self.refuse_inventory[key]

    def _resolve(self, database: str, name: str) -> int:
        if database not in self.databases:
            raise errors.DatabaseGone(code=800)
        for place in self.places.values():
            if place.database == database and name in (place.name, *place.aliases):
                return place.collection_id
        raise errors.CollectionGone(code=100)


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


class Watch:
    """A corridor that watches a scripted Milvus, with the loop that it walks on."""

    def __init__(
        self,
        milvus: ScriptedMilvus,
        /,
        *,
        inventory: bool = True,
        unseen_collections: str = "dropped",
        memory: Memory | None = None,
        state: Path | None = None,
        **sections: Any,
    ) -> None:
        self.milvus, self.clock = milvus, milvus.clock
        self.settings = settings(inventory={"unseen_collections": unseen_collections}, **sections)
        self.store = Store(self.settings.poll.stale_after)
        self.state = StateFile(state, self.settings.state.history, AS_IS) if state else None
        since = self.clock.wall() - self.settings.server.job_retention
        if self.state is not None:
            self.state.open(self.clock.wall())
            memory = self.state.load(since)
        self.memory = memory or Memory(since)
        self.reader = self._reader() if inventory else None
        self.corridor = Corridor(
            self.settings, milvus, self.store, self.clock, reader=self.reader, memory=self.memory, state=self.state
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.run(self.corridor.close())
        self._runner.close()
        if self.state is not None:
            self.state.close()

    def killed(self) -> None:
        """End as SIGKILL does: nothing more is written, and the system takes back the lock."""
        if self.state is not None:
            self.state.close()
        self._runner.close()

    def _reader(self) -> InventoryReader:
        remembered = self.memory.collections()
        return InventoryReader(self.milvus, self.clock, budget=30.0, call_timeout=10.0, remembered=remembered)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def poll(self, times: int = 1, every: float = 30.0) -> Snapshot:
        for _ in range(times):
            self.clock.turn(every)
            self.run(self.corridor.poll())
        return self.snapshot

    def read_inventory(self) -> None:
        """Make the inventory's own pass, between polls."""
        assert self.reader is not None
        self.run(self.reader.read())

    @property
    def snapshot(self) -> Snapshot:
        return self.store.current.snapshot

    @property
    def account(self) -> Any:
        return self.store.current.account

    def row(self, name: str, database: str = "default") -> JobRows | None:
        return next((r for r in self.snapshot.jobs if r.collection[:2] == (database, name)), None)

    def outcome(self, name: str, database: str = "default") -> OutcomeRow | None:
        return next((r for r in self.snapshot.outcomes if r.collection[:2] == (database, name)), None)

    def totals(self, database: str = "default") -> DatabaseRow | None:
        return next((r for r in self.snapshot.databases if r.database == database), None)

    def finished(self, name: str, database: str = "default") -> int | None:
        found = self.outcome(name, database)
        return found.finished if found else None

    def listed(self, name: str, database: str = "default") -> int:
        """Return how many jobs the rows of a collection add up to."""
        found = self.row(name, database)
        return sum(sum(counts) for _, counts in found.counts) if found else 0


Watching = Callable[..., Watch]


@contextmanager
def watches(milvus: ScriptedMilvus) -> Iterator[Watching]:
    """Lend what makes watches of one Milvus, and end them all."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(Watch(milvus, **more))


def total(row: JobRows, state: State) -> int:
    return sum(counts[STATES.index(state)] for _, counts in row.counts)
