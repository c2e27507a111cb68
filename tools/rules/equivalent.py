"""Faults that no case can see, because the rule says the same with them. One place, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.mutate import Mutant


def no_difference(mutant: Mutant) -> bool:
    """Whether a fault is none."""
    return False
