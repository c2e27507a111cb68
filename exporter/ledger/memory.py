"""What must outlive a poll, and what a state file has to hold. Plain data; the ledger is its one writer."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.ledger.outcomes import DatabaseTotals, Ended, Outcomes
from exporter.model import Collection


@dataclass(slots=True)
class Memory:
    """The seam for persistence: load one before the first poll, save what changed before a snapshot is published."""

    since: float
    """Epoch seconds that this memory reaches back to."""
    outcomes: dict[Collection, Outcomes] = field(default_factory=dict)
    databases: dict[str, DatabaseTotals] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    """By job id: what has been counted or is the baseline. Counted once, however often it is listed."""
    half_written: dict[int, bool] = field(default_factory=dict)
    """Failed jobs whose end Milvus had not written at first sight, and whether they are to be counted."""
    baseline_done: bool = False
    """Whether a whole listing has been seen: from then on every ended job that appears is counted."""
    covered: set[Collection] = field(default_factory=set)
    """Collections whose own baseline a listing by name has taken before the first whole one."""

    def collections(self) -> frozenset[Collection]:
        """Return every collection that something is remembered of, also one that is gone and has jobs listed."""
        return frozenset((*self.outcomes, *(ended.collection for ended in self.ended.values())))
