"""Memory between polls: the listing as it stands, and what outlives Milvus's 24 hours."""

from exporter.ledger.board import Board, Group
from exporter.ledger.database import look_at_state, read_state
from exporter.ledger.history import History, Mark
from exporter.ledger.ledger import Ledger
from exporter.ledger.memory import Memory
from exporter.ledger.outcomes import DURATION_BUCKETS, DatabaseTotals, Ended, Outcomes
from exporter.ledger.rows import database_rows, outcome_row, outcome_rows
from exporter.ledger.state import StateAccount, StateFile

__all__ = [
    "DURATION_BUCKETS",
    "Board",
    "DatabaseTotals",
    "Ended",
    "Group",
    "History",
    "Ledger",
    "Mark",
    "Memory",
    "Outcomes",
    "StateAccount",
    "StateFile",
    "database_rows",
    "look_at_state",
    "outcome_row",
    "outcome_rows",
    "read_state",
]
