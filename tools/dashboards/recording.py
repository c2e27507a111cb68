"""A day of two simulated Milvus as their exporters tell it, written down in OpenMetrics with the time of each scrape.

The exporter's own code on a simulated Milvus, with a clock that is turned by hand: a day is recorded in seconds, and
ages, failures and run times are those of a real day. ``replay`` shows it to Prometheus.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.config import Settings
from exporter.config.settings import Milvus
from exporter.demo import SimulatedMilvus, believable_world
from exporter.metrics.contract import PREFIX
from exporter.target import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from exporter.target import Target

DAY: Final = 86_400
STEP: Final = 120
"""Seconds between two scrapes."""
_INVENTORY: Final = 600
_MAX_AGE: Final = 6 * 3600.0
_SAMPLE: Final = re.compile(r"([a-z_]+)(?:\{(.*)\})? ([^ ]+)(?: #.*)?\Z")


class Clock:
    """Two hands, turned together."""

    def __init__(self, now: float) -> None:
        """Begin at ``now``."""
        self.now = now

    def wall(self) -> float:
        """Return the time."""
        return self.now

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@dataclass(frozen=True, slots=True)
class Watched:
    """One Milvus of the recording. ``replicas`` are the instances of its exporter, with when each is scraped."""

    labels: Mapping[str, str]
    seed: int
    replicas: Mapping[str, Callable[[float], bool]]
    """Instance, and whether it is scraped so many seconds before the end of the recording."""


def always(_left: float) -> bool:
    """Say that an instance is scraped all the time."""
    return True


LAKE: Final = Watched(
    {"cluster": "eu-1", "namespace": "search", "job": "milvus-refresh", "milvus": "lakehouse"},
    seed=1,
    replicas={"exporter-0:19540": always, "exporter-1:19540": always},
)
ARCHIVE: Final = Watched(
    {"cluster": "us-2", "namespace": "cold", "job": "milvus-refresh", "milvus": "archive"},
    seed=5,
    replicas={"exporter-0:19540": always},
)


def recorded(everybody: Iterable[Watched], now: float, seconds: int = DAY) -> str:
    """Return all samples of the time until ``now`` as OpenMetrics."""
    samples: dict[str, list[str]] = {}
    for watched in everybody:
        asyncio.run(_record(watched, now, seconds, samples))
    # Samples of a family must stand together.
    return "".join(f"# TYPE {name} unknown\n{''.join(lines)}" for name, lines in samples.items()) + "# EOF\n"


async def _record(watched: Watched, now: float, seconds: int, samples: dict[str, list[str]]) -> None:
    clock = Clock(now - seconds)
    milvus = SimulatedMilvus(believable_world(clock.now, watched.seed), clock=clock)
    target = build(_settings(await milvus.start()), clock)
    try:
        while clock.now <= now:
            await target.corridor.poll()
            if target.reader and not (clock.now - now) % _INVENTORY:
                await target.reader.read()
            for name, labels, value in _told(target, watched, now - clock.now, now - seconds):
                samples.setdefault(name, []).append(f"{name}{{{labels}}} {value} {clock.now:.0f}\n")
            clock.now += STEP
    finally:
        await target.close()
        await milvus.stop()


def _settings(address: str) -> Settings:
    settings = Settings()
    server = settings.server.model_copy(update={"job_timeout": 3600.0})
    return settings.model_copy(
        update={
            "milvus": Milvus.model_validate({"uri": f"http://{address}"}),
            "freshness": settings.freshness.model_copy(update={"max_age": _MAX_AGE}),
            "server": server,
        }
    )


def _told(target: Target, watched: Watched, left: float, began: float) -> Iterator[tuple[str, str, str]]:
    lines = b"".join(target.exposition.body().chunks).decode().splitlines()
    found = [match.groups() for match in map(_SAMPLE.match, lines) if match]
    # The process that records is not the exporter that it plays, so its memory and start are left out.
    ours = [(name, labels, value) for name, labels, value in found if name.startswith(PREFIX)]
    for instance, is_scraped in watched.replicas.items():
        about = ",".join(f'{name}="{value}"' for name, value in {**watched.labels, "instance": instance}.items())
        up = is_scraped(left)
        yield "up", about, str(int(up))
        if up:
            yield "scrape_samples_scraped", about, str(len(found))
            yield "process_start_time_seconds", about, f"{began:.0f}"
            for name, labels, value in ours:
                yield name, ",".join(filter(None, (labels, about))), value
