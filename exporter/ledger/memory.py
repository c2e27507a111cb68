"""What must outlive a poll, and what a state file has to hold. Plain data; the ledger is its one writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.ledger.outcomes import DatabaseTotals, Ended, Facts, Outcomes, Running
from exporter.model import Collection, Job


@dataclass(slots=True)
class Memory:
    """The seam for persistence: load one before the first poll, save what changed before a snapshot is published."""

    since: float
    """Epoch seconds that this memory reaches back to."""
    milvus: str = ""
    """The address of the Milvus that it belongs to; empty until a listing of it has been taken."""
    generation: int = 0
    """How often it has begun again because another Milvus answered."""
    outcomes: dict[Collection, Outcomes] = field(default_factory=dict)
    databases: dict[str, DatabaseTotals] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    """By job id: what has been counted, is the baseline, or is half-written. Counted once, however often listed."""
    running: dict[int, Running] = field(default_factory=dict)
    """By job id: what was under way when last listed."""
    baseline_done: bool = False
    """Whether a whole listing has been seen: from then on every ended job that appears is counted."""
    covered: set[Collection] = field(default_factory=set)
    """Collections whose own baseline a listing by name has taken before the first whole one."""

    def begin_again(self, since: float) -> None:
        """Forget everything: it was another Milvus's."""
        for table in (self.outcomes, self.databases, self.ended, self.running, self.covered):
            table.clear()
        self.since, self.milvus, self.baseline_done = since, "", False
        self.generation += 1

    def clean(self, clean: Callable[[Job], Job]) -> None:
        """Let every text pass through the rules in force: it may have been cleaned by others."""
        for job_id, ended in self.ended.items():
            cleaned = clean(ended.job)
            if cleaned != ended.job:
                self.ended[job_id] = ended._replace(job=cleaned)
        for outcomes in self.outcomes.values():
            for facts in (outcomes.facts, outcomes.forgotten):
                facts.trouble = _cleaned(facts, clean)

    def collections(self) -> Mapping[Collection, float | None]:
        """Return every collection that something is remembered of, and when it was created if that is known."""
        created = dict.fromkeys((ended.collection for ended in self.ended.values()), None)
        return {**created, **{collection: outcomes.created for collection, outcomes in self.outcomes.items()}}


def _cleaned(facts: Facts, clean: Callable[[Job], Job]) -> Ended | None:
    return facts.trouble and facts.trouble._replace(job=clean(facts.trouble.job))
