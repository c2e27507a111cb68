"""The two text formats: escaping, numbers, family heads. Nothing here knows what a job is."""

from __future__ import annotations

from enum import Enum
from typing import Final

from exporter.metrics.contract import Metric

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES: Final = {
    "text": str.maketrans({"\\": "\\\\", "\n": "\\n"}),
    "openmetrics": _ESCAPES,
}
_MAX_EXACT: Final = 2**53


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
    return value.translate(_ESCAPES) if not value.isalnum() else value


def number(value: float) -> str:
    """Return a sample value: whole numbers without a fraction, others in the shortest exact form."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < _MAX_EXACT):
        return str(int(value))
    return repr(value)


def head(metric: Metric, format_: Format) -> str:
    """Return the HELP and TYPE lines of a family."""
    name = metric.family if format_.openmetrics else metric.name
    escapes = _HELP_ESCAPES["openmetrics" if format_.openmetrics else "text"]
    return f"# HELP {name} {metric.help.translate(escapes)}\n# TYPE {name} {metric.kind}\n"
