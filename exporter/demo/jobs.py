"""A refresh job as DataCoord keeps it, as the wire shows it, and the habit that makes a collection's jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from exporter.demo.lives import Life, Stage, completing, ending, stage_at, timed_out
from exporter.demo.spec import redact_spec

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# Epoch seconds as floats are a quarter of a microsecond apart: a moment minus a start can fall short of an age.
_ROUNDING: Final = 1e-6


def quick_life(chance: random.Random, _number: int) -> Life:
    """Return what most jobs are like: one task, done within seconds."""
    return completing(chance.uniform(0.5, 2.0), chance.uniform(4.0, 10.0))


@dataclass(frozen=True, slots=True)
class Habit:
    """How the jobs of a collection live, and when they are submitted where something submits them on a schedule.

    ``life`` gets a source of chance and the job's number: that of its turn in the schedule since the epoch, or how
    many jobs the collection has had. ``every`` and ``offset`` are seconds at speed 1. ``typed`` is the name or alias
    that the schedule uses, ``source`` its override for a moment.
    """

    life: Callable[[random.Random, int], Life] = quick_life
    every: float | None = None
    offset: float = 0.0
    typed: str = ""
    source: Callable[[float], str] | None = None


@dataclass(frozen=True, slots=True)
class RefreshJob:
    """A job as DataCoord keeps it. ``start`` in epoch seconds; ages within ``plan`` and ``life`` are real seconds."""

    job_id: int
    collection_id: int
    name: str
    source: str
    spec: str
    start: float
    deadline: float
    plan: Life
    """What would happen without a time-out."""
    life: Life

    def stage(self, now: float) -> Stage:
        """Return what the job is doing at ``now``."""
        return stage_at(self.life, now - self.start + _ROUNDING)

    def end(self) -> float | None:
        """Return when its end is or will be saved, in epoch seconds."""
        stage = ending(self.life)
        return None if stage is None else self.start + stage.after

    def replanned(self, plan: Life) -> RefreshJob:
        """Return this job with another plan, cut by the same time-out."""
        return replace(self, plan=plan, life=timed_out(plan, self.deadline))


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the wire shows it: ``state`` 0-3, ``progress`` 0-100, times in epoch milliseconds, 0 for not ended."""

    job_id: int
    collection_name: str
    state: int
    progress: int
    reason: str
    source: str
    spec: str
    start_ms: int
    end_ms: int


def view(job: RefreshJob, now: float) -> JobView:
    """Return what a listing at ``now`` (epoch seconds) says of a job."""
    stage = job.stage(now)
    end = (job.end() or 0.0) if stage.phase.ended else 0.0
    return JobView(
        job_id=job.job_id,
        collection_name=job.name,
        state=stage.phase.state,
        progress=stage.progress,
        reason=stage.reason,
        source=job.source,
        spec=redact_spec(job.spec),
        start_ms=int(job.start * 1000),
        end_ms=int(end * 1000),
    )
