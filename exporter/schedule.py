"""When to poll: one at a time, missed ticks made up for once, in UTC, whatever steps the wall clock makes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from exporter.clock import Clock

Work = Callable[[], Awaitable[None]]

_STEP_SECONDS: Final = 2.0
"""A difference between the two clocks beyond this is a step, not the drift that NTP slews away."""
_WATCH_SECONDS: Final = 1.0

log = logging.getLogger("exporter.schedule")


class Schedule:
    """Runs work on a timer. ``skipped`` is told of each tick that found its work still running."""

    def __init__(self, clock: Clock, skipped: Callable[[str], None]) -> None:
        self._clock = clock
        self._skipped = skipped
        self._offset = 0.0
        self._stopping = False
        self._watch: asyncio.TimerHandle | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._delays: dict[str, float] = {}
        # Its own word for a skipped tick is a warning each time; ours is a counter.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._on_skip, EVENT_JOB_MAX_INSTANCES)

    @property
    def running(self) -> bool:
        """Return whether the timer runs."""
        return bool(self._scheduler.running) and not self._stopping

    def every(self, seconds: float, name: str, work: Work, *, at_once: bool, delay: float = 0.0) -> None:
        """Add work under a name of its own. The first time is now, or without ``at_once`` in ``seconds``.

        ``delay`` seconds are added to that, so that much work with one interval does not come all at the same moment.
        """
        self._delays[name] = delay
        first = datetime.now(UTC) + timedelta(seconds=delay + (0 if at_once else seconds))
        trigger = IntervalTrigger(seconds=seconds, timezone=UTC)
        self._scheduler.add_job(self._run, trigger, args=(name, work), id=name, name=name, next_run_time=first)

    async def remove(self, name: str, patience: float) -> None:
        """Take work out. One that runs is given ``patience`` seconds to end, and is then broken off."""
        if self._delays.pop(name, None) is None:
            return
        self._scheduler.remove_job(name)
        task = self._running.get(name)
        if task is not None:
            await asyncio.wait({task}, timeout=patience)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def start(self) -> None:
        """Start the timer on the running loop."""
        self._offset = self._clock.wall() - self._clock.monotonic()
        self._scheduler.start()
        self.look_at_clock()

    async def stop(self) -> None:
        """Stop the timer and break off what runs."""
        if self._watch is not None:
            self._watch.cancel()
        self._stopping = True
        if self._scheduler.running:
            self._scheduler.pause()
        await asyncio.sleep(0)  # what is due begins, and ends at once
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # Only now: it would cancel what runs, and log an error for each.
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _run(self, name: str, work: Work) -> None:
        task = asyncio.current_task()
        if task is None or self._stopping:
            return
        self._running[name] = task
        try:
            await work()
        except asyncio.CancelledError:  # by stop or remove, which wait for it; the scheduler would log it as an error
            return
        except Exception:  # whatever it is, the next tick comes
            log.exception("%s failed inside the exporter", name)  # its traceback shows at debug level only
        finally:
            del self._running[name]

    def _on_skip(self, event: JobSubmissionEvent) -> None:
        self._skipped(event.job_id)

    def look_at_clock(self) -> None:
        """Run everything anew after a step of the wall clock, which the timer's next run is reckoned by.

        Stepped back by an hour, it would sleep for that hour.
        """
        offset = self._clock.wall() - self._clock.monotonic()
        if abs(offset - self._offset) > _STEP_SECONDS:
            log.warning("the clock has been stepped by %.0f s", offset - self._offset)
            self._offset = offset
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC) + timedelta(seconds=self._delays[job.id]))
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self.look_at_clock)
