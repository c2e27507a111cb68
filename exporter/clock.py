"""What time it is, and nothing else.

Time is an argument everywhere else: a poll reads the clock once and hands ``now`` down, so that tests turn
the hands themselves.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two hands: one for stamps, one for durations."""

    def wall(self) -> float:
        """Return seconds since the Unix epoch. May step back and forth."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment. Never steps back."""


class SystemClock:
    """The clock of this machine."""

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()
