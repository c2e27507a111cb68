"""The alerting rules, by what they are about. Different urgencies have different names, never one name with two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules import about_collections, about_exporter, about_jobs, about_visibility

if TYPE_CHECKING:
    from rules.model import Alert
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return every alert, the most telling first."""
    return (
        *about_collections.alerts(p),
        *about_jobs.alerts(p),
        *about_exporter.alerts(p),
        *about_visibility.alerts(p),
    )
