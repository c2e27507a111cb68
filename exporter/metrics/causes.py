"""What makes several collections fail at once: one place in storage, failing in one way.

s3://lake/orders and s3://lake/events, both access_denied  ->  ("s3://lake", "access_denied"): 2
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from exporter.snapshot import OTHER, OutcomeRow

MAX_CAUSES: Final = 50
"""Causes with a series of their own; the rarer ones are added up. A source can be anything, so there must be an end."""

_ROOT: Final = re.compile(r"[^/]*//+[^/]*")

Cause = tuple[str, str]
"""Root of the source, and class of the failure."""


def root_of(source: str) -> str:
    """Return scheme and bucket or host of a source that is safe to show; empty where it has neither."""
    found = _ROOT.match(source)
    return found[0] if found else ""


def failing_by_cause(rows: Iterable[OutcomeRow]) -> list[tuple[Cause, int]]:
    """Return how many collections each cause makes fail, in the order of their names."""
    counts = Counter(
        (root_of(row.trouble.source), str(row.trouble.failure_class)) for row in rows if row.failing and row.trouble
    )
    common = sorted(counts, key=lambda cause: (-counts[cause], cause))
    for root, failure_class in common[MAX_CAUSES:]:
        counts[OTHER, failure_class] += counts.pop((root, failure_class))
    return sorted(counts.items())
