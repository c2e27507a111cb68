"""The life of a refresh job as a timeline, fixed at submission: what is seen is a function of the job's age.

Ages are seconds since submission, at speed 1. States, progress and their oddities: docs/milvus.md, "States".
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

TICK: Final = 10.0
"""Seconds between two looks of DataCoord's checker: it settles, times out and forgets jobs at its ticks."""
JOB_TIMEOUT: Final = 3600.0
RETENTION: Final = 86400.0


class Phase(Enum):
    """What a job is really doing. Several phases look the same from outside."""

    EXPLORING = "listing the source; also every repeat of it"
    IDLE = "tasks exist and none of them runs"
    RUNNING = "at least one task runs or waits for another attempt"
    APPLYING = "all tasks are done and the job is not saved as finished"
    INDEXING = "the data is served, its indexes are being built"
    SETTLING = "a task has failed and the job is not saved as failed"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def state(self) -> int:
        """The number on the wire: 0 pending, 1 in progress, 2 completed, 3 failed."""
        return _STATES[self]

    @property
    def ended(self) -> bool:
        """Whether the end is saved. A settling job looks failed and has no end yet."""
        return self in (Phase.COMPLETED, Phase.FAILED)


_STATES: Final = {
    Phase.EXPLORING: 0,
    Phase.IDLE: 0,
    Phase.RUNNING: 1,
    Phase.APPLYING: 1,
    Phase.INDEXING: 1,
    Phase.COMPLETED: 2,
    Phase.SETTLING: 3,
    Phase.FAILED: 3,
}
# Milvus never times out a job whose tasks are all done: it retries the last step without bound.
_PAST_TIMEOUT: Final = (Phase.APPLYING, Phase.SETTLING, Phase.COMPLETED, Phase.FAILED)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of a life, from ``after`` (seconds of age) until the next stage. ``progress`` is 0-100."""

    after: float
    phase: Phase
    progress: int = 0
    reason: str = ""


Life = tuple[Stage, ...]
"""Stages in order of ``after``; the first begins at 0; the last lasts for ever."""


def completing(explore: float, run: float, tasks: int = 1, *, pause: float = 0.0, apply: float = 1.0) -> Life:
    """Return a life that goes well. With ``pause`` no task runs for that long after the first one is done."""
    return (*_working(explore, run, tasks, pause), *_finishing(explore + run + pause, apply))


def waiting_for_index(life: Life, wait: float, segments: int) -> Life:
    """Return ``life`` with a wait for ``segments`` indexes before its end: progress falls from 99 to 90."""
    *before, end = life
    steps = tuple(
        Stage(end.after + wait * done / segments, Phase.INDEXING, min(99, 90 + 10 * done // segments))
        for done in range(segments)
    )
    return (*before, *steps, replace(end, after=end.after + wait))


def sent_back(life: Life, at: float, wait: float) -> Life:
    """Return ``life`` with its tasks thrown away at age ``at``: pending at 0 % for ``wait``, then all over again."""
    again = tuple(stage for stage in life if stage.phase is not Phase.EXPLORING)
    shift = at + wait - again[0].after
    before = tuple(stage for stage in life if stage.after < at)
    return (*before, Stage(at, Phase.IDLE), *(replace(stage, after=stage.after + shift) for stage in again))


def replanned(life: Life, cause: str, wait: float) -> Life:
    """Return ``life`` after a first planning that failed with ``cause``, noted on the job until it succeeds."""
    first = life[1].after
    noted = tuple(
        replace(stage, after=stage.after + wait, reason="" if stage.phase.ended else cause) for stage in life[1:]
    )
    return (life[0], Stage(first, Phase.EXPLORING, 0, cause), *noted)


def failing_at_explore(after: float, reason: str) -> Life:
    """Return a life that ends before any task exists."""
    return (Stage(0.0, Phase.EXPLORING), Stage(after, Phase.FAILED, 0, reason))


def failing(explore: float, run: float, reason: str, tasks: int = 1, *, settle: float = TICK) -> Life:
    """Return a life whose last task fails; for ``settle`` seconds it has neither end time nor reason."""
    working = _working(explore, run, tasks, 0.0)
    fails = explore + run
    progress = working[-1].progress
    return (*working, Stage(fails, Phase.SETTLING, progress), Stage(fails + settle, Phase.FAILED, progress, reason))


def stuck_pending(cause: str = "", noted_after: float = 5.0) -> Life:
    """Return a life that never gets past planning; a server that tries again notes the ``cause``."""
    stuck: Life = (Stage(0.0, Phase.EXPLORING),)
    return (*stuck, Stage(noted_after, Phase.EXPLORING, 0, cause)) if cause else stuck


def endless(explore: float, run: float, tasks: int = 1) -> Life:
    """Return a life that stays at 99 % for ever, past the time-out, without a reason."""
    return completing(explore, run, tasks)[:-1]


def timed_out(life: Life, deadline: float) -> Life:
    """Return ``life`` as far as the time-out lets it go. ``deadline`` is an age in seconds."""
    for number, stage in enumerate(life):
        ends = life[number + 1].after if number + 1 < len(life) else float("inf")
        if ends > deadline and stage.phase not in _PAST_TIMEOUT:
            struck = max(stage.after, deadline)
            return (*life[: number + 1], Stage(struck, Phase.FAILED, stage.progress, _timeout_text(stage)))
    return life


def explored_again(life: Life, age: float) -> Life:
    """Return ``life`` after a restart of DataCoord at ``age``: a job that was exploring starts over."""
    if stage_at(life, age).phase is not Phase.EXPLORING:
        return life
    lived = tuple(stage for stage in life if stage.after <= age)
    return (*lived, *(replace(stage, after=stage.after + age) for stage in life if stage.after > 0))


def stranded(life: Life, age: float) -> Life:
    """Return ``life`` after its collection was dropped at ``age``: planning never ends, tasks finish normally."""
    if stage_at(life, age).phase is not Phase.EXPLORING:
        return life
    return tuple(stage for stage in life if stage.after <= age)


def scaled(life: Life, speed: float) -> Life:
    """Return ``life`` with every duration divided by ``speed``."""
    return tuple(replace(stage, after=stage.after / speed) for stage in life)


def stage_at(life: Life, age: float) -> Stage:
    """Return the stage at ``age`` seconds."""
    if age >= life[-1].after:  # most jobs of a listing have ended
        return life[-1]
    return life[max(0, bisect_right(life, age, key=lambda stage: stage.after) - 1)]


def ending(life: Life) -> Stage | None:
    """Return the stage in which the end is saved, None where there is none."""
    return life[-1] if life[-1].phase.ended else None


def _working(explore: float, run: float, tasks: int, pause: float) -> Life:
    stages = [Stage(0.0, Phase.EXPLORING), Stage(explore, Phase.RUNNING)]
    for done in range(1, tasks):
        at, progress = explore + run * done / tasks, 100 * done // tasks
        if done == 1 and pause:
            stages.append(Stage(at, Phase.IDLE, progress))
        stages.append(Stage(at + pause, Phase.RUNNING, progress))
    return tuple(stages)


def _finishing(at: float, apply: float) -> Life:
    return (Stage(at, Phase.APPLYING, 99), Stage(at + apply, Phase.COMPLETED, 100))


def _timeout_text(stage: Stage) -> str:
    if stage.phase is Phase.INDEXING:
        return "timeout waiting for indexes: the refreshed data is applied and serving, not every index is built"
    return f"timeout, last failure: {stage.reason}" if stage.reason else "timeout"
