"""The alerts on the exporter's account of itself: partial listings, folding, state, reload."""

from __future__ import annotations

from rules.cases import Case, Fired, decoys, fires, firing, given, of_exporter, silent
from situations import named

from exporter.metrics import contract

PARTIAL = "MilvusExternalRefreshListingPartial"
FOLDED = "MilvusExternalRefreshCollectionsFolded"
STATE = "MilvusExternalRefreshStateNotKept"
RELOAD = "MilvusExternalRefreshConfigReloadFailed"
NEW = {"instance": "b:19540", "pod": "exporter-1"}


def partial(names: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"{name} cannot list all refresh jobs at once",
        f"{name} refuses to list all refresh jobs at once; the exporter lists the collections one by one.{names} "
        f"Mostly one inconsistent job breaks every listing that it is in, until Milvus forgets it a day later.",
        **labels,
    )


def state(who: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"The exporter of {name} cannot keep its state file",
        f"The state file of the exporter of {name}{who} cannot be used or written. It works from memory: after a "
        f"restart it knows only what Milvus still lists, which is a day. See its log, the volume's free space and who "
        f"may write there.",
        **labels,
    )


def reload(who: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"The exporter of {name} could not reload its configuration",
        f"The exporter of {name}{who} has refused its new configuration and runs on with the old one; it would not "
        f"start with the new one. Its log names every fault.",
        **labels,
    )


OF_LISTING = (
    Case(
        "fires within ten minutes, and names what could not be listed, of this Milvus alone",
        (
            given(contract.PARTIAL, {0: 0, 10: 1, 40: 0}),
            given(contract.UNLISTED, 1, cluster="other", collection="a"),
            given(contract.UNLISTED, 1),
            given(contract.UNLISTED, 1, **NEW),
            given(contract.UNLISTED, 1, database="", collection="zebra"),
            *(
                one
                for one in decoys(contract.UNLISTED)
                if one.labels["database"] == "lake" and one.labels["collection"] == "orders"
            ),
            given(contract.UNLISTED, 1, job="other", collection="a"),
            given(contract.UNLISTED, 1, namespace="other", collection="b"),
            given(contract.UNLISTED, 1, milvus="other", collection="c"),
        ),
        (
            *silent(PARTIAL, 19),
            fires(PARTIAL, 20, partial(" Not listed, and shown as of before: lake/orders, zebra.")),
            *firing(PARTIAL, 39),
            *silent(PARTIAL, 46),
        ),
    ),
    Case(
        "one good poll in ten is no cure, nine are",
        (
            given(contract.PARTIAL, "0 1x8 " * 10, milvus="mostly"),
            given(contract.PARTIAL, "1 0x8 " * 10, milvus="now_and_then"),
        ),
        firing(PARTIAL, *range(20, 60)),
    ),
    Case(
        "reads well when every collection could be listed by name",
        (given(contract.PARTIAL, 1, milvus="east"),),
        (fires(PARTIAL, 15, partial("", "east")),),
    ),
    Case(
        "names ten at most",
        (given(contract.PARTIAL, 1), *(given(contract.UNLISTED, 1, collection=f"c{n:02}") for n in range(12))),
        (
            fires(
                PARTIAL,
                15,
                partial(
                    " Not listed, and shown as of before: "
                    + ", ".join(f"lake/c{n:02}" for n in range(10))
                    + " and more."
                ),
            ),
        ),
    ),
    Case(
        "one replica is enough",
        (given(contract.PARTIAL, 1), given(contract.PARTIAL, 0, **NEW)),
        firing(PARTIAL, 15),
    ),
    Case(
        "folded collections are told after fifteen minutes, with their number",
        (given(contract.COLLECTIONS_FOLDED, {0: 0, 10: 37, 40: 0}), given(contract.COLLECTIONS_FOLDED, 0, **NEW)),
        (
            *silent(FOLDED, 24),
            fires(
                FOLDED,
                25,
                of_exporter(
                    "warning",
                    "Milvus has more external collections than the exporter shows one by one",
                    "37 external collections of Milvus have no job series of their own, as limits.max_collections is "
                    "reached: their running jobs are not watched one by one. Raise the limit, or filter.",
                ),
            ),
            *firing(FOLDED, 39),
            *silent(FOLDED, 40),
        ),
    ),
)

OF_STATE = (
    Case(
        "an unusable state file is told after ten minutes, with the replica that has it",
        (
            given(contract.STATE_OK, {0: 1, 10: 0, 40: 1}),
            given(contract.STATE_OK, 1, **NEW),
            *(
                given(contract.STATE_OK, {0: 1, 20: 0, 21: 1}, instance="c", **{label: "other"})
                for label in ("cluster", "job", "namespace", "milvus")
            ),
        ),
        (*silent(STATE, 18), fires(STATE, 20, state(" (a:19540)")), *firing(STATE, 39), *silent(STATE, 40)),
    ),
    Case(
        "writes that keep failing are told, even if eight minutes lie between them and only one replica has them",
        (
            given(contract.STATE_OK, 1, milvus="east"),
            given(
                contract.STATE_WRITE_ERRORS,
                {minute: minute // 8 for minute in range(0, 61, 8)},
                milvus="east",
            ),
            given(contract.STATE_WRITE_ERRORS, 0, milvus="east", **NEW),
        ),
        (*silent(STATE, 20), fires(STATE, 21, state("", "east"))),
    ),
    Case(
        "one write that failed is not",
        (given(contract.STATE_OK, 1), given(contract.STATE_WRITE_ERRORS, {0: 0, 10: 1})),
        silent(STATE, *range(10, 60)),
    ),
    Case("an exporter without a state file has nothing to keep", (given(contract.UP, 1),), silent(STATE, 30)),
)

OF_RELOAD = (
    Case(
        "a refused configuration is told after ten minutes, with the replica that refused it",
        (
            given(contract.CONFIG_GOOD, {0: 1, 10: 0, 40: 1}),
            given(contract.CONFIG_GOOD, 1, **NEW),
            *(
                given(contract.CONFIG_GOOD, {0: 1, 20: 0, 21: 1}, instance="c", **{label: "other"})
                for label in ("cluster", "job", "namespace", "milvus")
            ),
        ),
        (*silent(RELOAD, 18), fires(RELOAD, 20, reload(" (a:19540)")), *firing(RELOAD, 39), *silent(RELOAD, 40)),
    ),
    Case(
        "five minutes after it is seen first where nothing was known before",
        (given(contract.CONFIG_GOOD, {0: None, 10: 0}, milvus="east"),),
        (*silent(RELOAD, 14), fires(RELOAD, 15, reload(" (a:19540)", "east"))),
    ),
    Case(
        "failed scrapes do not hide it",
        (given(contract.CONFIG_GOOD, {0: 1, 10: 0, 20: None, 23: 0}),),
        firing(RELOAD, 25, 30),
    ),
)

CASES = (*OF_LISTING, *OF_STATE, *OF_RELOAD)
