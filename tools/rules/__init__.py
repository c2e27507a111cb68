"""Recording and alerting rules, written once: :func:`groups` makes them, ``tools/generate_rules.py`` renders them."""

from rules.alerts import alerts
from rules.model import Alert, Group, Record, duration
from rules.parameters import Parameters
from rules.records import longest, records

__all__ = ["Alert", "Group", "Parameters", "Record", "duration", "groups"]


def groups(p: Parameters) -> tuple[Group, ...]:
    """Return every group. Records stand before the alerts that read them: a group is evaluated from top to bottom."""
    return (
        Group("milvus-refresh-durations", (longest(p),), p.baseline_interval),
        Group("milvus-refresh", (*records(p), *alerts(p))),
    )
