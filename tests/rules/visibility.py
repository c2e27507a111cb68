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


def polled_at(seconds: int, **labels: str) -> tuple[Series, ...]:
    return (given(contract.LAST_POLL_SUCCESS, seconds, **labels),)


LEADS_ELSEWHERE = (*listing(2, 0, milvus="west", **NEW), *polled_at(3, milvus="west", **NEW))
"""The replica that is cut off from one Milvus is the one to believe on another."""


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
        "fires five minutes after grants are lost, and ends when they are given back",
        (
            given(contract.SNAPSHOT_JOBS, 7),
            given(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, {0: 0, 10: 7, 40: 0}),
        ),
        (*silent(ALERT, 14), fires(ALERT, 15, text(7)), *firing(ALERT, 39), *silent(ALERT, 40)),
    ),
    Case("names its Milvus", listing(3, 3, milvus="east"), (fires(ALERT, 5, text(3, "east")),)),
    Case("silent while one job's collection is visible: the others may be dropped", listing(7, 6), silent(ALERT, 60)),
    Case("silent for an empty Milvus", listing(0, 0), silent(ALERT, 60)),
    Case(
        "silent without an inventory, which is how to do without databases on purpose",
        (given(contract.SNAPSHOT_JOBS, 7),),
        silent(ALERT, 60),
    ),
    Case(
        "lost scrapes, one in two, do not silence it",
        (
            given(contract.SNAPSHOT_JOBS, "7 stale " * 30),
            given(contract.JOBS_WITHOUT_VISIBLE_COLLECTION, "7 stale " * 30),
        ),
        firing(ALERT, *range(5, 60)),
    ),
    Case(
        "the replica that polled last tells it: what one that is cut off has seen before neither ends nor raises it",
        (*listing(7, 7), *polled_at(2), *listing(9, 5, **NEW), *polled_at(1, **NEW), *LEADS_ELSEWHERE),
        (fires(ALERT, 5, text(7)), *firing(ALERT, 60)),
    ),
    Case(
        "silent where the replica that polled last sees collections",
        (*listing(7, 5), *polled_at(2), *listing(7, 7, **NEW), *polled_at(1, **NEW), *LEADS_ELSEWHERE),
        silent(ALERT, 5, 60),
    ),
    Case(
        "two replicas that polled at the same moment: the larger listing tells it",
        (*listing(7, 7), *listing(5, 5, **NEW)),
        (fires(ALERT, 5, text(7)),),
    ),
    Case(
        "silent where the larger listing of two replicas has a collection that is seen",
        (*listing(7, 5), *listing(5, 5, **NEW)),
        silent(ALERT, 60),
    ),
)
