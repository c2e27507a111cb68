"""When polls happen. Waiting is for an event with a deadline, never for time to pass."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from exporter.schedule import Schedule

QUICK = 0.01
NEVER = 10_000.0


class HandTurnedClock:
    """Two hands that move only when they are turned."""

    def __init__(self) -> None:
        self.now_wall, self.now_monotonic = 1_700_000_000.0, 100.0

    def wall(self) -> float:
        return self.now_wall

    def monotonic(self) -> float:
        return self.now_monotonic


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await work

    asyncio.run(bounded())


def test_the_first_tick_comes_at_once() -> None:
    """A daemon that has just started does not wait an interval before it knows anything."""

    async def scenario() -> None:
        polled = asyncio.Event()

        async def poll() -> None:
            polled.set()

        schedule = Schedule(HandTurnedClock(), lambda name: None)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await polled.wait()
        await schedule.stop()

    run(scenario())


def test_a_tick_that_finds_its_work_running_is_skipped_and_counted() -> None:
    """Polls never overlap, and whoever waits for the next one can see why it did not come."""

    async def scenario() -> None:
        skipped: list[str] = []
        enough, running, most = asyncio.Event(), 0, 0

        def skip(name: str) -> None:
            skipped.append(name)
            if len(skipped) == 3:
                enough.set()

        async def poll() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await enough.wait()
            running -= 1

        schedule = Schedule(HandTurnedClock(), skip)
        schedule.every(QUICK, "poll", poll, at_once=True)
        schedule.start()
        await enough.wait()
        await schedule.stop()
        assert skipped[:3] == ["poll"] * 3
        assert most == 1

    run(scenario())


def test_work_that_raises_comes_again_at_the_next_tick(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that goes wrong in one tick ends the schedule."""

    async def scenario() -> None:
        again, calls = asyncio.Event(), 0

        async def poll() -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                again.set()
            raise RuntimeError("a fault of ours")

        schedule = Schedule(HandTurnedClock(), lambda name: None)
        schedule.every(QUICK, "poll", poll, at_once=True)
        schedule.start()
        await again.wait()
        assert schedule.running
        await schedule.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert "poll failed inside the exporter" in caplog.text


@pytest.mark.parametrize("step", [-3600.0, 3600.0], ids=["an hour back", "an hour forth"])
def test_a_step_of_the_wall_clock_does_not_delay_the_next_poll(step: float) -> None:
    """Stepped back by an hour, the timer would sleep for that hour: everything runs at once instead."""

    async def scenario() -> None:
        clock, polls = HandTurnedClock(), asyncio.Queue[str]()

        async def poll() -> None:
            await polls.put("polled")

        schedule = Schedule(clock, lambda name: None)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await polls.get()
        clock.now_wall += step
        schedule.look_at_clock()
        await polls.get()
        await schedule.stop()

    run(scenario())


def test_a_clock_that_is_slewed_changes_nothing() -> None:
    """The small differences that NTP slews away are no step."""

    async def scenario() -> None:
        clock, polls = HandTurnedClock(), asyncio.Queue[str]()

        async def poll() -> None:
            await polls.put("polled")

        schedule = Schedule(clock, lambda name: None)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await polls.get()
        clock.now_wall += 0.5
        schedule.look_at_clock()
        for _ in range(100):
            await asyncio.sleep(0)
        assert polls.empty()
        await schedule.stop()

    run(scenario())


def test_stopping_breaks_off_what_runs() -> None:
    """A poll in hand does not hold up the end of the process."""

    async def scenario() -> None:
        begun, broken_off = asyncio.Event(), False

        async def poll() -> None:
            nonlocal broken_off
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                broken_off = True
                raise

        schedule = Schedule(HandTurnedClock(), lambda name: None)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await begun.wait()
        await schedule.stop()
        assert broken_off
        assert not schedule.running

    run(scenario())


def test_the_timer_library_is_quiet() -> None:
    """Its warning for each skipped tick would fill the log; a counter tells the same."""
    Schedule(HandTurnedClock(), lambda name: None)
    assert not logging.getLogger("apscheduler.scheduler").isEnabledFor(logging.WARNING)


def test_much_work_with_one_interval_comes_at_different_moments() -> None:
    """Each piece waits for its own delay, the first time and after a step of the clock."""

    async def scenario() -> None:
        clock, came = HandTurnedClock(), asyncio.Queue[str]()
        schedule = Schedule(clock, lambda name: None)
        for name, delay in (("late", 5 * QUICK), ("never", NEVER), ("at once", 0.0)):

            async def poll(name: str = name) -> None:
                await came.put(name)

            schedule.every(NEVER, name, poll, at_once=True, delay=delay)
        schedule.start()
        assert [await came.get(), await came.get()] == ["at once", "late"]
        clock.now_wall += 3600.0
        schedule.look_at_clock()
        assert [await came.get(), await came.get()] == ["at once", "late"]
        assert came.empty()
        await schedule.stop()

    run(scenario())


def test_work_that_is_taken_out_may_end_first() -> None:
    """What runs is waited for, and neither it nor a skipped tick of it comes again."""

    async def scenario() -> None:
        begun, go, ended, skipped = asyncio.Event(), asyncio.Event(), 0, []

        async def poll() -> None:
            nonlocal ended
            begun.set()
            await go.wait()
            ended += 1

        schedule = Schedule(HandTurnedClock(), skipped.append)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await begun.wait()
        removing = asyncio.create_task(schedule.remove("poll", patience=NEVER))
        await asyncio.sleep(0)
        assert not removing.done()
        go.set()
        await removing
        assert (ended, skipped) == (1, [])
        schedule.every(NEVER, "poll", poll, at_once=True)
        begun.clear()
        await begun.wait()
        assert skipped == []
        await schedule.stop()

    run(scenario())


def test_work_that_does_not_end_in_time_is_broken_off() -> None:
    async def scenario() -> None:
        begun = asyncio.Event()

        async def poll() -> None:
            begun.set()
            await asyncio.Event().wait()

        schedule = Schedule(HandTurnedClock(), lambda name: None)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await begun.wait()
        await schedule.remove("poll", patience=0.0)
        await schedule.remove("poll", patience=NEVER)
        assert schedule.running
        await schedule.stop()

    run(scenario())


@pytest.mark.parametrize("end", ["stop", "remove"])
def test_work_that_is_broken_off_leaves_no_error_in_the_log(end: str, caplog: pytest.LogCaptureFixture) -> None:
    """With many targets it would be a line for each, at each stop."""

    async def scenario() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def poll() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        schedule = Schedule(HandTurnedClock(), lambda name: None)
        schedule.every(NEVER, "poll", poll, at_once=True)
        schedule.start()
        await begun.wait()
        if end == "remove":
            await schedule.remove("poll", 0.0)
        await schedule.stop()
        assert ended.is_set()
        await asyncio.sleep(0)  # the scheduler's own callbacks

    run(scenario())
    assert caplog.text == ""


@pytest.mark.parametrize("turns", range(5))
def test_a_stop_around_the_first_tick_leaves_no_error_in_the_log(turns: int, caplog: pytest.LogCaptureFixture) -> None:
    """Before work that is due has begun, while it begins, and after."""

    async def scenario() -> None:
        polls: list[str] = []

        async def poll() -> None:
            polls.append("polled")

        schedule = Schedule(HandTurnedClock(), lambda name: None)
        for number in range(3):
            schedule.every(NEVER, f"poll {number}", poll, at_once=True)
        schedule.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await schedule.stop()
        assert polls in ([], ["polled"] * 3)
        await asyncio.sleep(0)

    run(scenario())
    assert caplog.text == ""
