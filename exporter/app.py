"""The life of the process: what is built, in which order it starts, and that it stops in the reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter import __version__
from exporter.clock import Clock, SystemClock
from exporter.config import Milvus, Poll, effective
from exporter.errors import UsageError
from exporter.model import State
from exporter.schedule import Schedule
from exporter.target import INVENTORY_BUDGET_SECONDS, Target, build
from exporter.web import Application, FailingCollection, LandingFacts, Reply, Server, create_app, read_security

if TYPE_CHECKING:
    from exporter.config import Settings
    from exporter.demo import SimulatedMilvus

_GRACE_SECONDS: Final = 3.0
"""For scrapes in hand; the whole stop stays within 5 s."""

_MORE: Final = (
    ("Configuration in force", "/config"),
    ("Healthy", "/-/healthy"),
    ("Ready", "/-/ready"),
)
_DEMO_INTERVAL: Final = "5s"
_DEMO_MAX_AGE: Final = 26 * 3600.0

log = logging.getLogger("exporter")


async def serve(settings: Settings, announce: Callable[[Sequence[str]], None] | None = None) -> None:
    """Live until SIGTERM or SIGINT. ``announce`` is told the addresses that are listened on.

    Raises :class:`exporter.errors.UsageError` where an address cannot be listened on.
    """
    clock = SystemClock()
    target = build(settings, clock)
    schedule = Schedule(clock, lambda name: target.store.skip() if name == "poll" else None)
    pulse = _Pulse(settings, clock)
    web = _web(settings, target, clock, lambda: schedule.running and pulse.beats())
    security = read_security(settings.web.config_file)
    server = Server(web, [str(address) for address in settings.web.listen_address], security=security)
    stopped = _stop_signal()
    try:
        await server.start()
        log.info("started", extra={"version": __version__, "configuration": effective(settings, one_line=True)})
        if announce is not None:
            announce(server.addresses)
        _fill(schedule, settings, target, pulse)
        schedule.start()
        await stopped.wait()
        log.info("stopping")
    finally:
        await schedule.stop()
        await server.stop(_GRACE_SECONDS)
        await target.close()


@dataclass(frozen=True, slots=True)
class Demo:
    """What the simulated Milvus is to be like."""

    listen: str
    speed: float
    seed: int
    outages: bool


async def serve_demo(settings: Settings, demo: Demo, say: Callable[[str], None]) -> None:
    """Live as :func:`serve`, on a simulated Milvus of our own."""
    from exporter.demo import FROM_TIME_TO_TIME, SimulatedMilvus, believable_world  # noqa: PLC0415  # for this alone

    clock = SystemClock()
    outages = FROM_TIME_TO_TIME if demo.outages else ()
    milvus = SimulatedMilvus(believable_world(clock.wall(), demo.seed, demo.speed), outages=outages)
    try:
        address = await milvus.start(demo.listen)
    except OSError as error:
        raise UsageError((f"--demo.milvus-listen: {demo.listen!r} cannot be listened on: {error}",)) from None
    try:
        shown = _for_demo(settings, milvus, address)
        await serve(shown, lambda addresses: say(_greeting(shown, address, addresses)))
    finally:
        await milvus.stop()


def _web(settings: Settings, target: Target, clock: Clock, healthy: Callable[[], bool]) -> Application:
    async def metrics(accept: str, accept_encoding: str) -> Reply:
        body = target.exposition.at_hand(accept, accept_encoding)
        if body is None:  # the first of its kind after a poll has to be rendered, off the loop
            body = await asyncio.to_thread(target.exposition.body, accept, accept_encoding)
        encoding = (("Content-Encoding", body.encoding),) if body.encoding else ()
        return Reply(200, body.content_type, body.chunks, (*encoding, ("Vary", "Accept, Accept-Encoding")))

    return create_app(
        metrics=metrics,
        healthy=healthy,
        ready=lambda: target.store.current.account.attempts > 0,
        config_text=lambda: effective(settings),
        status=lambda: _landing(settings, target, clock),
        telemetry_path=settings.web.telemetry_path,
    )


def _landing(settings: Settings, target: Target, clock: Clock) -> LandingFacts:
    current = target.store.current
    account, snapshot = current.account, current.snapshot
    troubles = ((row.collection, row.trouble) for row in snapshot.outcomes if row.failing)
    return LandingFacts(
        version=__version__,
        last_poll_ok=account.up if account.attempts else None,
        last_poll_kind=account.kind,
        data_age=clock.wall() - account.last_success if account.last_success else None,
        jobs=tuple((str(state), snapshot.states()[state]) for state in State) if snapshot.now else (),
        failing=tuple(
            FailingCollection(collection.database, collection.name, str(job.failure_class), job.reason)
            for collection, job in troubles
            if job is not None
        ),
        links=(("Metrics", settings.web.telemetry_path), *_MORE),
    )


def _for_demo(settings: Settings, milvus: SimulatedMilvus, address: str) -> Settings:
    """Point the settings at the simulated Milvus, with what makes a demonstration lively where nothing else is set."""
    poll = settings.poll
    if "interval" not in poll.model_fields_set:
        poll = Poll.model_validate({"interval": _DEMO_INTERVAL, **poll.model_dump(exclude_unset=True)})
    freshness = settings.freshness
    if freshness.max_age is None:
        freshness = freshness.model_copy(update={"max_age": _DEMO_MAX_AGE})
    world = milvus.world
    server = settings.server.model_copy(update={"job_timeout": world.job_timeout, "job_retention": world.retention})
    return settings.model_copy(
        update={
            "milvus": Milvus.model_validate({"uri": f"http://{address}"}),
            "poll": poll,
            "freshness": freshness,
            "server": server,
        }
    )


def _greeting(settings: Settings, milvus: str, addresses: Sequence[str]) -> str:
    page = _url(next((each for each in addresses if not each.startswith("unix:")), addresses[0]))
    return f"""\
A simulated Milvus listens on {milvus}; this exporter polls it every {settings.poll.interval:g} s.

  page      {page}/
  metrics   {page}{settings.web.telemetry_path}

Stop it with Ctrl-C."""


def _url(address: str) -> str:
    """Return what a browser on this machine takes; every interface is this machine's loopback too."""
    host, _, port = address.rpartition(":")
    return f"http://localhost:{port}" if host in ("", "[::]", "0.0.0.0") else f"http://{address}"  # noqa: S104


class _Pulse:
    """When the last poll ended, whatever its outcome: a loop that no longer polls is dead."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._patience = 3 * settings.poll.interval + settings.poll.timeout + 2 * INVENTORY_BUDGET_SECONDS
        self._last = clock.monotonic()

    def beat(self) -> None:
        self._last = self._clock.monotonic()

    def beats(self) -> bool:
        return self._clock.monotonic() - self._last <= self._patience


def _fill(schedule: Schedule, settings: Settings, target: Target, pulse: _Pulse) -> None:
    async def poll() -> None:
        await target.corridor.poll()
        pulse.beat()
        await asyncio.to_thread(target.exposition.prepare)

    schedule.every(settings.poll.interval, "poll", poll, at_once=True)
    reader = target.reader
    if reader is None:
        return

    async def inventory() -> None:
        await reader.read()
        target.store.touch()

    # The first pass is the first poll's: it waits for it before it publishes.
    schedule.every(settings.inventory.interval, "inventory", inventory, at_once=False)


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    stopped = asyncio.Event()

    def stop(number: int) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return stopped
