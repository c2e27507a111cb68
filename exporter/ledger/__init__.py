"""Memory between polls: the listing as it stands, and what outlives Milvus's 24 hours."""

from typing import TYPE_CHECKING, Any

from exporter.ledger.board import Board, Group
from exporter.ledger.ledger import Ledger
from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import DURATION_BUCKETS, DatabaseTotals, Ended, Facts, Outcomes, Running, Stage
from exporter.ledger.recognition import Recognition
from exporter.ledger.rows import database_rows, outcome_row, outcome_rows

if TYPE_CHECKING:
    from exporter.ledger.database import look_at_state, read_state
    from exporter.ledger.history import History, Mark
    from exporter.ledger.state import StateAccount, StateFile
    from exporter.ledger.upgrade import Rules

__all__ = [
    "DURATION_BUCKETS",
    "Board",
    "DatabaseTotals",
    "Ended",
    "Facts",
    "Group",
    "History",
    "Ledger",
    "Mark",
    "Memory",
    "Outcomes",
    "Recognition",
    "Rules",
    "Running",
    "Stage",
    "StateAccount",
    "StateFile",
    "database_rows",
    "look_at_state",
    "outcome_row",
    "outcome_rows",
    "read_state",
]

_WITH_SQLITE = {
    "History": "history",
    "Mark": "history",
    "Rules": "upgrade",
    "StateAccount": "state",
    "StateFile": "state",
    "look_at_state": "database",
    "read_state": "database",
}


def __getattr__(name: str) -> Any:
    """Import what needs SQLite when it is first asked for: without a state file nobody does."""
    if name not in _WITH_SQLITE:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415  # see above

    return getattr(import_module(f"exporter.ledger.{_WITH_SQLITE[name]}"), name)
