"""Rules with the thresholds left open, for whoever puts them in later: the Helm chart and the mixin.

Every rule is made by the same code as the rule file, with a :class:`Symbol` in the place of each number. An operation
that a symbol does not know is an error, so that no default can be worked into a rule unseen.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symbol:
    """A number that is not known yet: ``$(pending)`` as it stands, ``$(pending:duration)`` as Prometheus's duration."""

    name: str

    def __str__(self) -> str:
        """Return what is replaced by the number: seconds, where it is a time."""
        return f"$({self.name})"

    def __format__(self, _: str) -> str:
        """Return the same in a formatted text."""
        return str(self)

    def __add__(self, other: Symbol) -> Symbol:
        """Return the sum, which is worked out when the numbers are known."""
        return Symbol(f"{self.name}+{other.name}")

    @property
    def duration(self) -> str:
        """Return what is replaced by a duration."""
        return f"$({self.name}:duration)"
