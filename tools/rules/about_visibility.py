"""The alert on grants: Milvus filters what it shows by them, and a filtered answer is no error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.metrics import contract
from rules.model import Alert
from rules.promql import leading, target
from rules.texts import COUNT, MILVUS

if TYPE_CHECKING:
    from rules.parameters import Parameters


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return (_no_collection_visible(p),)


def _no_collection_visible(p: Parameters) -> Alert:
    unseen, listed = leading(p, contract.JOBS_WITHOUT_VISIBLE_COLLECTION), leading(p, contract.SNAPSHOT_JOBS)
    return Alert(
        name="MilvusExternalRefreshNoCollectionVisible",
        expr=f"{unseen}\n  >= on {target(p)}\n{listed} > 0",
        severity="warning",
        summary=f"{MILVUS} shows the exporter none of the collections that are refreshed",
        description=(
            f"{COUNT} refresh jobs of {MILVUS} are listed, and the exporter may see none of their collections. Most "
            f"likely its user lacks a grant: collections that were never refreshed are not watched, and the label "
            f"database can be empty. Its command check says which grant helps."
        ),
        why="Missing grants make an answer short, not an error. Some unseen jobs are normal: collections are dropped.",
        hold=p.account_for,
        of_collection=False,
    )
