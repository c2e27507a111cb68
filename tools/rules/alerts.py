"""The alerting rules, by what they are about. Different urgencies have different names, never one name with two.

Critical is for what should wake somebody up: data older than promised, or nobody looking. Warnings can wait for working
hours, infos are context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules import about_causes, about_collections, about_exporter, about_jobs, about_sight, about_visibility
from rules.model import Group

if TYPE_CHECKING:
    from rules.parameters import Parameters


def groups(p: Parameters) -> tuple[Group, ...]:
    """Return every alert, one group per concern: a concern that takes long keeps no other waiting."""
    return (
        Group("milvus-refresh-sight", about_sight.alerts(p)),
        Group("milvus-refresh-causes", about_causes.alerts(p), p.collections_interval),
        Group("milvus-refresh-collections", about_collections.alerts(p), p.collections_interval),
        Group("milvus-refresh-jobs", about_jobs.alerts(p), p.collections_interval),
        Group("milvus-refresh-exporter", (*about_exporter.alerts(p), *about_visibility.alerts(p))),
        Group("milvus-refresh-clock", about_exporter.clock(p), p.collections_interval),
    )
