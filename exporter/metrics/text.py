"""The two text formats: escaping, numbers, family heads. Nothing here knows what a job is."""

from __future__ import annotations

from enum import Enum
from math import isfinite
from typing import Final

from exporter.metrics.contract import Metric

_MAX_EXACT: Final = 2**53
_NOT_FINITE: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


class Format(Enum):
    """An exposition format; the value is its content type."""

    TEXT_0_0_4 = "text/plain; version=0.0.4; charset=utf-8"
    TEXT_1_0_0 = "text/plain; version=1.0.0; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def openmetrics(self) -> bool:
        """Return whether counters lose their suffix in the head, exemplars are allowed and an end mark is needed."""
        return self is Format.OPENMETRICS


def escape(value: str) -> str:
    """Escape a label value."""
    # Hardly any value holds one of these, and looking for three characters is cheaper than a translation table.
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number(value: float) -> str:
    """Return a sample value: whole numbers without a fraction, others in the shortest exact form."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < _MAX_EXACT):
        return str(int(value))
    return repr(value) if isfinite(value) else _NOT_FINITE[repr(value)]


def encoded(text: str) -> bytes:
    """Return exposition text as UTF-8.

    Half of a surrogate pair has no UTF-8 form and becomes a question mark: one odd name must not cost the whole answer.
    """
    return text.encode("utf-8", "replace")


def head(metric: Metric, format_: Format) -> str:
    """Return the HELP and TYPE lines of a family."""
    name = metric.family if format_.openmetrics else metric.name
    # In plain text a quotation mark stands for itself here, in OpenMetrics it does not.
    text = escape(metric.help) if format_.openmetrics else escape(metric.help).replace('\\"', '"')
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n"
