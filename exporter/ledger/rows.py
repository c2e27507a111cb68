"""The ledger's memory as rows of a snapshot."""

from __future__ import annotations

from collections.abc import Callable

from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import NEVER, DatabaseTotals, Moment, Outcomes
from exporter.model import Collection
from exporter.snapshot import DatabaseRow, OutcomeRow


def outcome_rows(
    memory: Memory, keeps: Callable[[Collection], bool], max_age: Callable[[Collection], float | None]
) -> tuple[OutcomeRow, ...]:
    """Return one row for each (database, collection) that the filters keep, in the order of their names."""
    by_place: dict[tuple[str, str], OutcomeRow] = {}
    for collection, outcomes in sorted(memory.outcomes.items(), key=lambda item: item[0]):
        # In this order a known id comes last and speaks for the name that a former generation bore as well.
        if keeps(collection):
            by_place[collection[:2]] = outcome_row(collection, outcomes, max_age(collection))
    return tuple(by_place.values())


def database_rows(memory: Memory) -> tuple[DatabaseRow, ...]:
    """Return one row for each database."""
    return tuple(_database_row(name, totals) for name, totals in sorted(memory.databases.items()))


def outcome_row(collection: Collection, outcomes: Outcomes, max_age: float | None) -> OutcomeRow:
    """Return the row of one collection. ``max_age`` in seconds."""
    facts = outcomes.facts
    # A counter that appears with a value has no increase: what is new stands at 0 for one snapshot.
    return OutcomeRow(
        collection=collection,
        last_success=_stamp(facts.last_live),
        last_failure=_stamp(facts.last_failed),
        last_success_duration=facts.last_duration,
        consecutive_failures=outcomes.consecutive_failures,
        failing=outcomes.failing,
        trouble=facts.trouble.job if facts.trouble else None,
        finished=outcomes.finished if outcomes.shown else 0,
        failed=outcomes.failed if outcomes.shown else 0,
        failed_exemplar=outcomes.last_failed_counted if outcomes.shown else None,
        max_age=max_age,
    )


def _database_row(name: str, totals: DatabaseTotals) -> DatabaseRow:
    shown = totals if totals.shown else DatabaseTotals()
    return DatabaseRow(name, tuple(shown.buckets), shown.duration_sum, tuple(shown.failed_by_class.items()))


def _stamp(moment: Moment) -> float | None:
    return None if moment == NEVER else moment[0]
