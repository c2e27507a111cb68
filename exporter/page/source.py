"""What the page is told of one Milvus: callables that read what polls have published, and never wait for Milvus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from exporter.model import Collection, Job
from exporter.store import Publication

if TYPE_CHECKING:
    from exporter.ledger import Mark

Listed = Mapping[Collection, Sequence[Job]]
"""The jobs that Milvus lists, by collection, as of the last good poll. Only collections that the filters keep."""


class Past(Protocol):
    """Ended jobs that outlive Milvus's own memory; see :class:`exporter.ledger.History`."""

    def marks(self, database: str, collection: str, *, since: float, most: int) -> tuple[Mark, ...]:
        """Return jobs of a collection that ended after ``since`` (epoch seconds), newest first, at most ``most``."""

    def jobs(self, job_ids: Iterable[int]) -> dict[int, Job]:
        """Return the jobs with these ids, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Source:
    """One target. The callables are called in a worker thread and must be quick; ``past`` may raise StateUnusable."""

    current: Callable[[], Publication]
    stale: Callable[[], bool]
    """Whether the last good listing is too old for the metrics to show."""
    listed: Callable[[], Listed]
    poll_interval: float
    """Seconds; how often the page looks for news."""
    job_timeout: float
    """Seconds after which Milvus itself should have ended a job."""
    past: Past | None = None
    """None without a state file."""
    kept: float = 0.0
    """Seconds for which ``past`` keeps an ended job."""

    def seen_at(self, now: float) -> float:
        """Return the moment that is shown: ``now``, or that of the last answer where the data is stale.

        All in epoch seconds. A job that ran when we last looked must not grow older than we know it to be.
        """
        return (self.current().account.last_success or now) if self.stale() else now
