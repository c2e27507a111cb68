"""DataCoord in small: jobs that are submitted, live, end and are forgotten, as time is handed in.

No network and no clock: ``advance(now)`` turns the hands, in epoch seconds. What happens depends on the seed, the
speed, the calls and their times, never on how often ``advance`` is called. Ids of collections depend on the seed, and a
scheduled job on the moment it is due, so a demo that is started again is the same Milvus for its exporter.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from typing import TYPE_CHECKING, Final

from exporter.demo.jobs import Habit, JobView, RefreshJob, view
from exporter.demo.lives import JOB_TIMEOUT, RETENTION, TICK, Life, Phase, explored_again, scaled, stranded, timed_out
from exporter.demo.namespace import DEFAULT, CollectionRecord, Namespace
from exporter.demo.refusals import UNEXPECTED, already_active, broken_job, invalid, missing, not_external
from exporter.demo.spec import check_pair

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNTER_BITS: Final = 18  # a Milvus id: milliseconds since the epoch, then a counter
_FIRST_COLLECTION: Final = 440_000_000_000_000_000


class World:
    """One simulated Milvus. ``speed`` divides every duration and schedule; stamps stay wall clock."""

    def __init__(self, now: float, *, seed: int = 1, speed: float = 1.0) -> None:
        self.now = now
        self.speed = speed
        self.names = Namespace(now)
        self._seed = seed
        self._sequence = 0
        self._jobs: dict[int, RefreshJob] = {}
        self._newest: dict[int, int] = {}
        self._habits: dict[int, Habit] = {}
        self._created: Counter[str] = Counter()
        self._submitted: dict[int, int] = {}
        self._agenda: list[tuple[float, int, Callable[[int], None], int]] = []
        self._broken: dict[int, int] = {}

    @property
    def job_timeout(self) -> float:
        """Seconds after which an unfinished job fails, at this speed."""
        return JOB_TIMEOUT / self.speed

    @property
    def retention(self) -> float:
        """Seconds that an ended job stays listed, at this speed."""
        return RETENTION / self.speed

    def advance(self, now: float) -> None:
        """Let everything happen that is due by ``now``. A clock that stepped back is waited for."""
        while self._agenda and self._agenda[0][0] <= now:
            due, _, action, key = heapq.heappop(self._agenda)
            self.now = max(self.now, due)
            action(key)
        self.now = max(self.now, now)

    def create_collection(
        self,
        name: str,
        *,
        database: str = DEFAULT,
        external: bool = True,
        source: str = "",
        spec: str = "",
        created: float | None = None,
        habit: Habit | None = None,
    ) -> int:
        """Create a collection and return its id. ``created`` in epoch seconds, now by default."""
        home = self.names.database(database).name
        collection_id = self._new_collection_id(home, name)
        made = self.now if created is None else created
        self.names.add(CollectionRecord(collection_id, home, name, made, external, source, spec))
        self._habits[collection_id] = habit or Habit()
        if habit is not None and habit.every is not None:
            self._schedule_next(collection_id, habit.every, habit.offset)
        return collection_id

    def submit(
        self, name: str, *, database: str = "", source: str = "", spec: str = "", life: Life | None = None
    ) -> int:
        """Submit a refresh and return its job id. Raises :class:`Refused` (100, 703, 800, 1100, 1101).

        ``source`` and ``spec`` override the collection's own, both or neither. ``life`` (at speed 1) replaces what
        the collection's habit would bring.
        """
        place = self._external(database, name)
        active = self._active_job(place.collection_id)
        if active is not None:
            raise already_active(active.job_id, name)
        refusal = check_pair(source, spec)
        if refusal is not None:
            raise refusal
        return self._start_job(place, name, source, spec, life)

    def list_jobs(self, database: str = "", name: str = "") -> tuple[JobView, ...]:
        """Return the jobs of one collection, or without a name those of all databases; newest first.

        Raises :class:`Refused`: 100, 800, 1100 for a wrong name, 65535 or 5 where a listed job is broken.
        """
        jobs = list(self._jobs.values())
        if name:
            wanted = self._external(database, name).collection_id
            jobs = [job for job in jobs if job.collection_id == wanted]
        for job in jobs:
            if job.job_id in self._broken:
                raise broken_job(job.job_id, self._broken[job.job_id])
        jobs.sort(key=lambda job: job.start, reverse=True)
        return tuple(view(job, self.now) for job in jobs)

    def progress(self, job_id: int) -> JobView:
        """Return one job. Raises :class:`Refused` (1100, 1101; 65535 or 5 for a broken one)."""
        if job_id == 0:
            raise missing("job_id is required")
        job = self._jobs.get(job_id)
        if job is None:
            raise invalid(f"refresh job {job_id} not found")
        if job_id in self._broken:
            raise broken_job(job_id, self._broken[job_id])
        return view(job, self.now)

    def drop(self, name: str, *, database: str = "") -> None:
        """Drop a collection. Its jobs stay; one that is still exploring will only end by time-out."""
        dropped = self.names.drop(database, name)
        job = self._active_job(dropped.collection_id)
        if job is not None:
            self._keep(job.replanned(stranded(job.plan, self.now - job.start)))

    def restart(self) -> None:
        """Restart DataCoord: jobs that explore start over, everything else survives."""
        for job in list(self._jobs.values()):
            if not job.stage(self.now).phase.ended:
                self._keep(job.replanned(explored_again(job.plan, self.now - job.start)))

    def break_one_job(self, job_id: int | None = None, *, code: int = UNEXPECTED) -> int:
        """Make one job inconsistent, the newest by default, and return its id: no listing that has it works.

        Lasts until the job is forgotten or :meth:`mend`. Raises ValueError where there is no such job.
        """
        chosen = max(self._jobs, default=0) if job_id is None else job_id
        if chosen not in self._jobs:
            raise ValueError(f"no job {job_id} to break")
        self._broken[chosen] = code
        return chosen

    def mend(self) -> None:
        """Repair every broken job."""
        self._broken.clear()

    def _external(self, database: str, name: str) -> CollectionRecord:
        place = self.names.find(database, name)
        if not place.external:
            raise not_external(name)
        return place

    def _active_job(self, collection_id: int) -> RefreshJob | None:
        job = self._jobs.get(self._newest.get(collection_id, 0))
        return None if job is None or job.stage(self.now).phase.ended else job

    def _start_job(
        self, place: CollectionRecord, name: str, source: str, spec: str, life: Life | None, *, turn: int | None = None
    ) -> int:
        used, used_spec = (source, spec) if source else (place.source, place.spec)
        if not used:
            raise missing(f"external_source of collection {name} is required at its first refresh")
        job_id = self._new_job_id(place.collection_id)
        number = self._submitted.get(place.collection_id, 0)
        habit = self._habits[place.collection_id]
        chance = random.Random(f"{self._seed}/{place.collection_id}/{job_id}")  # noqa: S311 - a simulation
        plan = scaled(life or habit.life(chance, number if turn is None else turn), self.speed)
        self._submitted[place.collection_id] = number + 1
        deadline = self._tick_after(self.now + self.job_timeout) - self.now
        life = timed_out(plan, deadline)
        self._newest[place.collection_id] = job_id
        self._keep(RefreshJob(job_id, place.collection_id, name, used, used_spec, self.now, deadline, plan, life))
        return job_id

    def _keep(self, job: RefreshJob) -> None:
        self._jobs[job.job_id] = job
        end = job.end()
        if end is not None:
            self._plan(end, self._settle, job.job_id)

    def _settle(self, job_id: int) -> None:
        job = self._jobs.get(job_id)
        # A job that was replanned has an older entry in the agenda, which is for nothing.
        if job is None or not job.stage(self.now).phase.ended:
            return
        if job.stage(self.now).phase is Phase.COMPLETED:
            self.names.publish(job.collection_id, job.source, job.spec)
        self._plan(self._tick_after((job.end() or self.now) + self.retention), self._forget, job_id)

    def _forget(self, job_id: int) -> None:
        self._jobs.pop(job_id, None)

    def _scheduled(self, collection_id: int) -> None:
        place, habit = self.names.by_id(collection_id), self._habits[collection_id]
        if place is None or habit.every is None:
            return
        if self._active_job(collection_id) is None:
            source = habit.source(self.now) if habit.source else ""
            turn = round((self.now * self.speed - habit.offset) / habit.every)
            self._start_job(place, habit.typed or place.name, source, place.spec if source else "", None, turn=turn)
        self._schedule_next(collection_id, habit.every, habit.offset)

    def _schedule_next(self, collection_id: int, every: float, offset: float) -> None:
        period, shift = every / self.speed, offset / self.speed
        turn = math.floor((self.now - shift) / period) + 1
        due = turn * period + shift
        # Rounding can land on the present moment once more.
        self._plan(due if due > self.now else due + period, self._scheduled, collection_id)

    def _plan(self, due: float, action: Callable[[int], None], key: int) -> None:
        self._sequence += 1
        heapq.heappush(self._agenda, (due, self._sequence, action, key))

    def _tick_after(self, moment: float) -> float:
        tick = TICK / self.speed
        return math.ceil(moment / tick) * tick

    def _new_collection_id(self, database: str, name: str) -> int:
        """Return the id of the next collection of this name: the same in every world of the same seed."""
        key = f"{self._seed}/{database}/{name}"
        self._created[key] += 1
        return _FIRST_COLLECTION + random.Random(f"{key}/{self._created[key]}").getrandbits(50)  # noqa: S311

    def _new_job_id(self, collection_id: int) -> int:
        job_id = (int(self.now * 1000) << _COUNTER_BITS) + collection_id % (1 << _COUNTER_BITS)
        while job_id in self._jobs:
            job_id += 1
        return job_id
