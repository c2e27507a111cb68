"""Colours and words. The palette is Okabe and Ito's, for colour-blind readers; no state is told by colour alone.

Only what is bad is filled: on a good night nothing on the page shouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    DashboardRegexMapOptions,
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from dashboards.promql import OLDER_THAN_PROMISED, TROUBLES

if TYPE_CHECKING:
    from collections.abc import Iterable

GOOD: Final = "#009E73"
BAD: Final = "#D55E00"
WARN: Final = "#E69F00"
BUSY: Final = "#56B4E9"
WAITS: Final = "#A8A8A8"
NONE: Final = "#4D4D4D"
CALM: Final = "#0B5345"
"""The ground of the one tile that says that all is well."""
CLEAR: Final = "transparent"

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


def nothing(text: str, color: str) -> SpecialValueMap:
    """Return a mapping of no value at all: what a tile shows where a query finds nothing."""
    return SpecialValueMap(
        DashboardSpecialValueMapOptions(SpecialValueMatch.NULL, ValueMappingResult(text=text, color=color))
    )


STATES: Final = texts(
    ("1", "Pending", WAITS),
    ("2", "In progress", BUSY),
    ("3", "Completed", GOOD),
    ("4", "Failed", BAD),
    ("5", "Unknown", NONE),
)
TROUBLE: Final = texts(
    *(
        (str(len(TROUBLES) - n), text, BAD if alert in OLDER_THAN_PROMISED else WARN)
        for n, (alert, text, _) in enumerate(TROUBLES)
    ),
    ("0", "Fine", GOOD),
)
VERDICT: Final = texts(
    *(
        (str(len(TROUBLES) - n), text, BAD if alert in OLDER_THAN_PROMISED else WARN)
        for n, (alert, text, _) in enumerate(TROUBLES)
    ),
    ("0", "Fine", CLEAR),
)
"""As :data:`TROUBLE`, where the whole ground takes the colour."""
STATE_NOW: Final = texts(
    ("1", "Pending", CLEAR), ("2", "In progress", CLEAR), ("3", "Completed", CLEAR), ("4", "Failed", WARN),
    ("5", "Unknown", CLEAR),
)  # fmt: skip
READ: Final = RegexMap(DashboardRegexMapOptions(".+", ValueMappingResult(text="What to do", color=BUSY)))
YES_NO: Final = texts(("0", "no", BAD), ("1", "yes", CLEAR))
UNSEEN: Final = texts(("0", "no", CLEAR), ("1", "not watched", BAD))
POLLED: Final = texts(("0", "failed", BAD), ("1", "good", GOOD))
NONE_IS_GOOD: Final = texts(("0", "none", CLEAR))
ALL_THERE: Final = texts(("0", "none", CALM))
NO_POLL_YET: Final = above(_NEVER_POLLED, "no good poll yet", BAD)
RESULTS: Final = (("succeeded", GOOD), ("failed", BAD))


def steps(first: str, *more: tuple[float, str]) -> ThresholdsConfig:
    """Return thresholds: the colour from the bottom on, then each value with its colour."""
    found: Iterable[Threshold] = (Threshold(value=value, color=color) for value, color in ((None, first), *more))
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(found))


ANY_IS_BAD: Final = steps(CLEAR, (1, BAD))
ANY_IS_ODD: Final = steps(CLEAR, (1, WARN))
BUDGET: Final = steps(BUSY, (0.8, WARN), (1, BAD))
FRESH_SHARE: Final = steps(BAD, (0.95, WARN), (0.99, BUSY))
PROGRESS: Final = steps(BUSY)
PLAIN: Final = steps(CLEAR)
GREY: Final = steps(NONE)


def dashed(color: str) -> list[DynamicConfigValue]:
    """Return the properties of a limit: a dashed line."""
    return [DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}), fixed(color)]


def fixed(color: str) -> DynamicConfigValue:
    """Return the property of a series that always has this colour."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})
