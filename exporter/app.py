"""The life of the process: what is built, in which order it starts, and that it stops in the reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter import __version__, heap, notify, probe
from exporter.clock import Clock, SystemClock
from exporter.config import Milvus, Poll, effective
from exporter.errors import NotYetUsable, UsageError
from exporter.fleet import Fleet, share
from exporter.metrics import Body, ProcessAccount, ProcessExposition
from exporter.page import Source
from exporter.page import pages as pages_for_people
from exporter.reload import Reloader, Reread
from exporter.target import InForce, Target, revision, texts_of
from exporter.web import Handler, Reply, Server, close_all, create_app, listen_all

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config import Settings
    from exporter.demo import SimulatedMilvus
    from exporter.ledger import History
    from exporter.web.security import Security

_GRACE_SECONDS: Final = 3.0
"""For scrapes in hand; the whole stop stays within 5 s."""
_STOP_SECONDS: Final = 4.8
"""After which a stop that hangs ends all the same."""
_SCRAPE_THREADS: Final = 2
_DEMO_INTERVAL: Final = "5s"
_DEMO_MAX_AGE: Final = 26 * 3600.0

log = logging.getLogger("exporter")


async def serve(
    settings: Settings, announce: Callable[[Sequence[str]], None] | None = None, reread: Reread | None = None
) -> None:
    """Live until SIGTERM or SIGINT. ``announce`` is told the addresses that are listened on.

    ``reread`` reads the settings again, for SIGHUP and ``/-/reload``; without it there is no reload.
    Raises :class:`exporter.errors.UsageError` where an address cannot be listened on.
    """
    clock = SystemClock()
    stopped = _stop_signal()
    in_force = InForce(clock.wall())
    security = _security(settings.web.config_file)
    # Before the state files: a process that cannot have the address must not touch those of the one that has it.
    listeners = listen_all([str(address) for address in settings.web.listen_address])
    try:
        fleet = Fleet(share(settings), clock, in_force)
    except BaseException:
        close_all(listeners)
        raise
    reread_web = security.reread if security is not None else tuple
    reloader = Reloader(
        settings, reread or (lambda: settings), fleet, in_force=in_force, clock=clock, reread_web=reread_web
    )
    web = _web(reloader, fleet, in_force, clock, can_reload=reread is not None)
    server = Server(web, (), security=security, listeners=listeners)
    reloads = _Reloads(reloader) if reread is not None else None
    try:
        await server.start()
        log.info("started", extra={"version": __version__, "configuration": effective(settings, one_line=True)})
        if announce is not None:
            announce(server.addresses)
        heap.freeze()
        fleet.start()
        notify.send(notify.ready("listening"), os.environ)
        signs = asyncio.create_task(notify.keep_alive(lambda: fleet.healthy, os.environ, os.getpid()))
        await stopped.wait()
        signs.cancel()
        notify.send(notify.stopping(), os.environ)
        log.info("stopping")
    finally:
        if reloads is not None:
            await reloads.stop()
        # Both at once: each may take most of the time there is.
        await asyncio.gather(fleet.stop(), server.stop(_GRACE_SECONDS))
        await fleet.close()


@dataclass(frozen=True, slots=True)
class Demo:
    """What the simulated Milvus is to be like."""

    listen: str
    speed: float
    seed: int
    outages: bool


async def serve_demo(settings: Settings, demo: Demo, say: Callable[[str], None], reread: Reread | None = None) -> None:
    """Live as :func:`serve`, on a simulated Milvus of our own."""
    from exporter.demo import FROM_TIME_TO_TIME, SimulatedMilvus, believable_world  # noqa: PLC0415  # for this alone

    clock = SystemClock()
    outages = FROM_TIME_TO_TIME if demo.outages else ()
    milvus = SimulatedMilvus(believable_world(clock.wall(), demo.seed, demo.speed), outages=outages)
    try:
        address = await milvus.start(demo.listen)
    except OSError as error:
        raise NotYetUsable((f"--demo.milvus-listen: {demo.listen!r} cannot be listened on: {error}",)) from None
    try:
        shown = _for_demo(settings, milvus, address)
        again = (lambda: _for_demo(reread(), milvus, address)) if reread is not None else None
        await serve(shown, lambda addresses: say(_greeting(shown, address, addresses)), again)
    finally:
        await milvus.stop()


def _security(file: Path | None) -> Security | None:
    if file is None:
        return None
    from exporter.web.security import read_security  # noqa: PLC0415  # bcrypt and the format, for those who have one

    return read_security(file)


def _web(reloader: Reloader, fleet: Fleet, in_force: InForce, clock: Clock, *, can_reload: bool) -> Handler:
    settings = reloader.settings
    # Threads of their own: polls of many Milvus must not keep scrapes waiting.
    threads = ThreadPoolExecutor(_SCRAPE_THREADS, thread_name_prefix="scrape")
    apart = ProcessExposition(lambda: ProcessAccount(in_force.loaded, in_force.good, revision()))

    async def rendered(body: Callable[[str, str], Body], accept: str, accept_encoding: str) -> Reply:
        loop = asyncio.get_running_loop()
        return _reply(await loop.run_in_executor(threads, body, accept, accept_encoding))

    async def of_target(target: Target, accept: str, accept_encoding: str) -> Reply:
        body = target.exposition.at_hand(accept, accept_encoding)
        if body is None:  # the first of its kind after a poll has to be rendered, off the loop
            return await rendered(target.exposition.body, accept, accept_encoding)
        return _reply(body)

    async def metrics(accept: str, accept_encoding: str) -> Reply:
        if reloader.settings.targets:
            return await rendered(apart.body, accept, accept_encoding)
        return await of_target(fleet.targets[""], accept, accept_encoding)

    return create_app(
        metrics=metrics,
        healthy=lambda: fleet.healthy,
        ready=lambda: fleet.ready,
        config_text=lambda: effective(reloader.settings),
        telemetry_path=settings.web.telemetry_path,
        pages={
            **(probe.pages(fleet.targets, of_target) if settings.targets else {}),
            **_for_people(settings, fleet, clock),
        },
        reload=reloader.reload if can_reload else None,
    )


def _for_people(settings: Settings, fleet: Fleet, clock: Clock) -> Mapping[str, Handler]:
    metrics = settings.web.telemetry_path.lstrip("/")
    links = (("Metrics", metrics), ("API", "api/v1/collections"), ("Configuration", "config"))
    return pages_for_people(
        lambda: {name: _source(each, clock) for name, each in fleet.targets.items()},
        clock,
        runbooks=settings.web.runbooks_url or "",
        links=links,
    )


def _past(settings: Settings) -> History | None:
    if settings.state.path is None:
        return None
    from exporter.ledger import History  # noqa: PLC0415  # brings SQLite

    return History(settings.state.path, texts_of(settings).clean)


def _source(target: Target, clock: Clock) -> Source:
    store, settings = target.store, target.settings
    return Source(
        current=lambda: store.current,
        stale=lambda: store.stale(clock.monotonic()),
        listed=lambda: store.current.snapshot.listed,
        poll_interval=settings.poll.interval,
        job_timeout=settings.server.job_timeout,
        past=_past(settings),
        kept=settings.state.history,
    )


def _reply(body: Body) -> Reply:
    encoding = (("Content-Encoding", body.encoding),) if body.encoding else ()
    return Reply(200, body.content_type, body.chunks, (*encoding, ("Vary", "Accept, Accept-Encoding")))


def _for_demo(settings: Settings, milvus: SimulatedMilvus, address: str) -> Settings:
    """Point the settings at the simulated Milvus, with what makes a demonstration lively where nothing else is set."""
    if settings.targets:
        raise UsageError(("targets: the demo watches its own Milvus alone; take them out of the file, or use run",))
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


class _Reloads:
    """Reloads for SIGHUP, which has nobody to tell the faults to: they are logged."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader
        self._under_way: set[asyncio.Task[None]] = set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin)

    def _begin(self) -> None:
        task = asyncio.create_task(self._reload())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _reload(self) -> None:
        notify.send(notify.reloading(time.monotonic()), os.environ)
        try:
            await self._reloader.reload()
        except Exception:  # a fault of ours: what polls goes on
            log.exception("the reload failed inside the exporter")
        finally:
            notify.send(notify.ready(), os.environ)

    async def stop(self) -> None:
        """Take no further ones, and break off those under way."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    stopped = asyncio.Event()

    def stop(number: int) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()
        # Whatever hangs, a disk for example: whoever has sent the signal must not have to kill us.
        last = threading.Timer(_STOP_SECONDS, os._exit, (1,))
        last.daemon = True
        last.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return stopped
