"""MilvusExternalRefreshNoCollectionVisible: jobs are listed, and none of their collections is shown."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, fires, firing, given, of_exporter, silent
from situations import named

from exporter.metrics import contract

ALERT = "MilvusExternalRefreshNoCollectionVisible"
NEW = {"instance": "b:19540", "pod": "exporter-1"}


def listing(jobs: float, unseen: float, **labels: str) -> tuple[Series, ...]:
    return (
        given(contract.SNAPSHOT_JOBS, jobs, **labels),
        given(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, unseen, **labels),
    )


def text(jobs: int, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"{name} shows the exporter none of the collections that are refreshed",
        f"{jobs} refresh jobs of {name} are listed, and the exporter may see none of their collections. Most likely "
        f"its user lacks a grant: collections that were never refreshed are not watched, and the label database can "
        f"be empty. Its command check says which grant helps.",
        **labels,
    )


CASES = (
    Case(
        "fires fifteen minutes after grants are lost, and ends when they are given back",
        (
            given(contract.SNAPSHOT_JOBS, 7),
            given(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, {0: 0, 10: 7, 40: 0}),
        ),
        (*silent(ALERT, 24), fires(ALERT, 25, text(7)), *firing(ALERT, 39), *silent(ALERT, 40)),
    ),
    Case("names its Milvus", listing(3, 3, milvus="east"), (fires(ALERT, 15, text(3, "east")),)),
    Case("silent while one job's collection is visible: the others may be dropped", listing(7, 6), silent(ALERT, 60)),
    Case("silent for an empty Milvus", listing(0, 0), silent(ALERT, 60)),
    Case(
        "silent without an inventory, which is how to do without databases on purpose",
        (given(contract.SNAPSHOT_JOBS, 7),),
        silent(ALERT, 60),
    ),
    Case(
        "a replica whose listing is older does not end it",
        (*listing(7, 7), *listing(5, 5, **NEW)),
        firing(ALERT, 15, 60),
    ),
    Case(
        "silent where one replica sees collections",
        (*listing(7, 5), *listing(5, 5, **NEW)),
        silent(ALERT, 60),
    ),
)
