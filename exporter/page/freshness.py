"""Whether what is shown can be trusted: how old it is, and why it is not newer. The page and the API say the same."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.page import words
from exporter.page.source import Source


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of one target. Stamps in epoch seconds, ages in seconds; None where there is none yet."""

    up: bool | None
    """Whether the last poll was good; None before the first."""
    kind: str
    """Of the last poll's failure, "" where it was good."""
    partial: bool
    """Whether some collections could not be listed."""
    stale: bool
    """Whether the data is too old to be shown as the present; the metrics withhold it."""
    age: float | None
    last_success: float | None

    @property
    def tone(self) -> str:
        """Return ``good``, ``warn`` or ``bad``."""
        if self.up is None:
            return "warn"
        return "bad" if self.stale else "warn" if self.partial or not self.up else "good"

    @property
    def why(self) -> str:
        """Return why the data is as it is, in plain words."""
        if self.up is None:
            return "The first poll has not finished."
        if not self.up:
            return f"The last poll failed: {words.KINDS.get(self.kind, 'for a reason not known')}."
        if self.stale:
            return "Polls have stopped: the exporter itself hangs or has just started."
        return (
            "Milvus lists some collections only one by one, and not all of them."
            if self.partial
            else "Milvus has answered the last poll."
        )


def freshness(source: Source, now: float) -> Freshness:
    """Return how fresh a target's data is. ``now`` in epoch seconds."""
    account = source.current().account
    seen = account.last_success or None
    return Freshness(
        up=account.up if account.attempts else None,
        kind=account.kind,
        partial=account.partial,
        stale=source.stale(),
        age=None if seen is None else max(now - seen, 0.0),
        last_success=seen,
    )
