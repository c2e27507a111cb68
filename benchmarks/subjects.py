"""What is measured inside a process of its own: ``python -m benchmarks.subjects SUBJECT ADDRESS``.

Reads one order a line from standard input and answers with one line of JSON. ``cpu`` is user and system time of the
whole process for that order, in seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

Told = dict[str, Any]
_ONE_EACH: Final = b"\nmilvus_external_refresh_last_job_start_timestamp_seconds{"
"""Of this family each collection has one series."""
_MOST_PAUSE: Final = 0.01


class Subject(Protocol):
    """Something that can poll."""

    def poll(self) -> Told:
        """Make one poll, with everything that makes it visible."""

    def other(self, order: str) -> Told:
        """Do anything else it knows of."""


class Bare:
    """A gRPC call and its decoding, nothing else: the floor."""

    def __init__(self, address: str) -> None:
        import grpc  # noqa: PLC0415  # what a subject imports is part of what is measured

        from benchmarks.milvus import LIST_JOBS, UNBOUNDED  # noqa: PLC0415
        from exporter.milvus.pb import milvus_refresh_pb2 as pb  # noqa: PLC0415

        self._request = pb.ListRefreshExternalCollectionJobsRequest().SerializeToString()
        self._call = grpc.insecure_channel(address, options=UNBOUNDED).unary_unary(
            LIST_JOBS, response_deserializer=pb.ListRefreshExternalCollectionJobsResponse.FromString
        )

    def poll(self) -> Told:
        return {"jobs": len(self._call(self._request, timeout=60).jobs)}

    def other(self, order: str) -> Told:
        raise ValueError(order)


class Usual(Bare):
    """The usual exporter, see :mod:`benchmarks.usual`."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        from benchmarks.usual import UsualExporter  # noqa: PLC0415

        self._address = address
        self._exporter = UsualExporter()

    def poll(self) -> Told:
        jobs = self._call(self._request, timeout=60).jobs
        self._exporter.publish(jobs, time.time())
        return {"jobs": len(jobs)}

    def other(self, order: str) -> Told:
        import prometheus_client  # noqa: PLC0415

        if order.startswith("hammer"):
            listing = _Turned(self._address)

            def poll() -> None:
                listing.turn()
                self.poll()

            return hammered(poll, lambda: prometheus_client.generate_latest(self._exporter.registry), order)
        if order == "serve":
            server, _ = prometheus_client.start_http_server(0, "127.0.0.1", registry=self._exporter.registry)
            return {"address": f"127.0.0.1:{server.server_port}"}
        text = prometheus_client.generate_latest(self._exporter.registry)
        return count_series(text)


class Product:
    """The product's own polls, built as the daemon builds them, on the daemon's event loop."""

    def __init__(self, address: str) -> None:
        from exporter import log, target  # noqa: PLC0415
        from exporter.clock import SystemClock  # noqa: PLC0415
        from exporter.config import Settings  # noqa: PLC0415
        from exporter.poll.overview import Overview  # noqa: PLC0415
        from exporter.web import new_event_loop  # noqa: PLC0415

        log.configure("info", "text")
        self._address = address
        settings = Settings.model_validate(configuration(address))
        self._snapshot = _Timed(Overview.snapshot)
        Overview.snapshot = self._snapshot.bound()  # type: ignore[method-assign]
        self._runner = asyncio.Runner(loop_factory=new_event_loop)
        self._target = self._runner.run(_build(target.build, settings, SystemClock()))
        self._encoding = ""

    def poll(self) -> Told:
        """Poll and render, as the daemon does after a scrape has asked for the same once."""
        exposition = self._target.exposition
        self._snapshot.seconds = 0.0

        async def once() -> float:
            await self._target.corridor.poll()
            begun = time.process_time()
            await asyncio.to_thread(exposition.prepare)
            return time.process_time() - begun

        printing = self._runner.run(once())
        account = self._target.store.current.account
        if not account.up:
            raise RuntimeError(f"the poll has failed: {account.kind}")
        return {"publish": self._snapshot.seconds + printing, "printing": printing}

    def other(self, order: str) -> Told:
        if order == "close":
            self._runner.run(self._target.close())
            return {}
        if order == "want":
            # A scrape asks for one form; the next poll renders it ahead. Not part of any poll.
            self._target.exposition.at_hand("", self._encoding)
            return {}
        if order in ("plain", "gzip"):
            self._encoding = order.removeprefix("plain")
            return {}
        if order.startswith("hammer"):
            listing = _Turned(self._address)

            def poll() -> None:
                listing.turn()
                self.poll()

            return hammered(poll, self._scrape, order)
        return count_series(self._scrape())

    def _scrape(self) -> bytes:
        """Take what a scrape would be answered with, in the way the daemon does."""
        exposition = self._target.exposition
        body = exposition.at_hand("", "") or exposition.body("", "")
        return b"".join(body.chunks)


class _Timed:
    """Adds up the CPU time of a method's calls, in seconds, in whichever thread they run."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.seconds = 0.0

    def bound(self) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begun = time.thread_time()
            try:
                return self._method(*arguments)
            finally:
                self.seconds += time.thread_time() - begun

        return timed


class _Turned:
    """The server's world, which a hammering subject turns by itself."""

    def __init__(self, address: str) -> None:
        import grpc  # noqa: PLC0415

        self._call = grpc.insecure_channel(address).unary_unary("/benchmark/Turn")

    def turn(self) -> None:
        self._call(b"{}", timeout=60)


def hammered(poll: Callable[[], object], scrape: Callable[[], bytes], order: str) -> Told:
    """Poll without a pause while another thread scrapes; count the scrapes that lack a collection."""
    wanted = int(order.split()[1])
    poll()
    complete = scrape().count(_ONE_EACH)
    found: list[int] = []
    pause = random.Random(1)

    def look() -> None:
        while len(found) < wanted:
            found.append(scrape().count(_ONE_EACH))
            time.sleep(pause.uniform(0, _MOST_PAUSE))

    looking = threading.Thread(target=look)
    looking.start()
    polls = 0
    while looking.is_alive():
        poll()
        polls += 1
    return {"scrapes": len(found), "polls": polls, "incomplete": sum(n < complete for n in found), "complete": complete}


async def _build(build: Callable[..., Any], *arguments: Any) -> Any:
    return build(*arguments)


def configuration(address: str) -> dict[str, Any]:
    """Return settings with limits that no benchmark reaches."""
    most = 1_000_000
    return {
        "milvus": {"uri": f"http://{address}", "max_response_bytes": "2000MiB"},
        "poll": {"interval": "1h", "timeout": "10m"},
        "limits": {"max_collections": most, "max_outcomes": most},
    }


def count_series(text: bytes) -> Told:
    """Return how many series there are, in all and by family."""
    families: dict[str, int] = {}
    for line in text.splitlines():
        if not line.startswith(b"#"):
            name = line.partition(b"{")[0].partition(b" ")[0].decode()
            families[name] = families.get(name, 0) + 1
    return {"series": sum(families.values()), "bytes": len(text), "families": families}


SUBJECTS: dict[str, Callable[[str], Subject]] = {"bare": Bare, "usual": Usual, "product": Product}


def main() -> None:
    """Do what standard input says until it ends."""
    subject = SUBJECTS[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    for line in sys.stdin:
        order = line.strip()
        begun, wall = time.process_time(), time.perf_counter()
        told = subject.poll() if order == "poll" else subject.other(order)
        told |= {"cpu": time.process_time() - begun, "wall": time.perf_counter() - wall}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
