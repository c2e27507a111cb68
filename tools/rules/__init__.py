"""Recording and alerting rules, written once: :func:`groups` makes them, ``tools/generate_rules.py`` renders them.

To add an alert, write it in the ``about_*`` module of its concern, with a case under ``tests/rules`` and a runbook.
"""

from rules import alerts, records
from rules.model import Alert, Group, Record, duration
from rules.parameters import Parameters

__all__ = ["Alert", "Group", "Parameters", "Record", "duration", "groups"]


def groups(p: Parameters) -> tuple[Group, ...]:
    """Return every group, each after those that it reads."""
    return (*records.groups(p), *alerts.groups(p))
