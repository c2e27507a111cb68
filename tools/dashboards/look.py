"""Colours and words. The palette is Okabe and Ito's, for colour-blind readers; no state is told by colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    DashboardRegexMapOptions,
    RangeMap,
    RegexMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from dashboards.promql import TROUBLES

if TYPE_CHECKING:
    from collections.abc import Iterable

GOOD: Final = "#009E73"
BAD: Final = "#D55E00"
WARN: Final = "#E69F00"
BUSY: Final = "#56B4E9"
WAITS: Final = "#F0E442"
NONE: Final = "#4D4D4D"

_NEVER_POLLED: Final = 1e9
"""An age larger than this is the present time less zero: there was no poll yet."""


def texts(*entries: tuple[str, str, str]) -> ValueMap:
    """Return a mapping of values: value, text, colour."""
    return ValueMap(
        {value: ValueMappingResult(text=text, color=color, index=n) for n, (value, text, color) in enumerate(entries)}
    )


def above(start: float, text: str, color: str) -> RangeMap:
    """Return a mapping of everything from ``start`` on."""
    return RangeMap(DashboardRangeMapOptions(start, None, ValueMappingResult(text=text, color=color)))


STATES: Final = texts(
    ("1", "Pending", WAITS),
    ("2", "In progress", BUSY),
    ("3", "Completed", GOOD),
    ("4", "Failed", BAD),
    ("5", "Unknown", NONE),
)
TROUBLE: Final = texts(
    *(
        (str(len(TROUBLES) - n), text, BAD if n < 4 else WARN)  # noqa: PLR2004 - those that mean failure
        for n, (_, text, _) in enumerate(TROUBLES)
    ),
    ("0", "Fine", GOOD),
)
READ: Final = RegexMap(DashboardRegexMapOptions(".+", ValueMappingResult(text="What to do", color=BUSY)))
YES_NO: Final = texts(("0", "No", BAD), ("1", "Yes", GOOD))
NONE_IS_GOOD: Final = texts(("0", "0 - none", GOOD))
NO_POLL_YET: Final = above(_NEVER_POLLED, "no good poll yet", BAD)
RESULTS: Final = (("succeeded", GOOD), ("failed", BAD))


def steps(first: str, *more: tuple[float, str]) -> ThresholdsConfig:
    """Return thresholds: the colour from the bottom on, then each value with its colour."""
    found: Iterable[Threshold] = (Threshold(value=value, color=color) for value, color in ((None, first), *more))
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(found))


ANY_IS_BAD: Final = steps(GOOD, (1, BAD))
DATA_AGE: Final = steps(GOOD, (120, WARN), (600, BAD))
BUDGET: Final = steps(GOOD, (0.8, WARN), (1, BAD))
FRESH_SHARE: Final = steps(BAD, (0.95, WARN), (0.99, GOOD))
PROGRESS: Final = steps(BUSY)
PLAIN: Final = steps(NONE)
