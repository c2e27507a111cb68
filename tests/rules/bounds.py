"""Thresholds from just below and just above, and how far back each rule looks."""

from __future__ import annotations

from rules.cases import Case, Result, Series, firing, given, result, silent, stamp
from situations import collection, failure_info

from exporter.metrics import contract

RATIO = "collection:milvus_external_refresh_failure_ratio:unreliable"
HOURLY = "collection:milvus_external_refresh_success_duration_seconds:hourly"
LONGEST = "collection:milvus_external_refresh_success_duration_seconds:longest"
UNRELIABLE = "MilvusExternalRefreshUnreliable"
CLOCK = "MilvusExternalRefreshClockWrong"
INVENTORY = "MilvusExternalRefreshInventoryOutdated"
PARTIAL = "MilvusExternalRefreshListingPartial"
STATE = "MilvusExternalRefreshStateNotKept"
OUTDATED = "MilvusExternalRefreshDataOutdated"
WAIT = "MilvusExternalRefreshIndexWaitTimedOut"
NEW = {"instance": "b:19540", "pod": "exporter-1"}
ORDERS = {"job": "milvus-refresh", "database": "lake", "collection": "orders"}
POLLS = given(contract.LAST_POLL_SUCCESS, "0+60x400")


def turns(failures: int, successes: int, **labels: str) -> tuple[Series, ...]:
    """So many changes of either stamp, one a minute from minute 10 on."""
    failed = {0: stamp(-70), **{10 + n: stamp(10 + n) for n in range(failures)}}
    succeeded = {0: stamp(-60), **{40 + n: stamp(40 + n) for n in range(successes)}}
    return collection(succeeded, failed, **labels)


def ratio(minute: int, *shares: tuple[str, float]) -> Result:
    return result(RATIO, minute, *(({**ORDERS, "collection": name}, share) for name, share in shares))


OF_RATIO = (
    Case(
        "a quarter of failures is unreliable, a little less is not, nor are two failures, nor one success",
        (
            *turns(3, 9, collection="quarter"),
            *turns(4, 13, collection="less"),
            *turns(3, 10, collection="little_less"),
            *turns(4, 11, collection="more"),
            *turns(2, 2, collection="two_failures"),
            *turns(3, 1, collection="one_success"),
            *turns(3, 2, collection="half"),
        ),
        (ratio(60, ("quarter", 0.25), ("more", 4 / 15), ("half", 0.6)),),
    ),
    Case(
        "failures and successes of more than six hours ago no longer count",
        (
            *turns(3, 2, collection="ago"),
            *collection(
                {0: stamp(-60), 40: stamp(40), 41: stamp(41), 500: stamp(500), 501: stamp(501)},
                {0: stamp(-70), **{10 + n: stamp(10 + n) for n in range(3)}, 490: stamp(490)},
                collection="failures_ago",
            ),
            *collection(
                {0: stamp(-60), 40: stamp(40), 41: stamp(41), 500: stamp(500)},
                {0: stamp(-70), **{m: stamp(m) for m in (480, 481, 482)}},
                collection="successes_ago",
            ),
        ),
        (ratio(360, ("ago", 0.6), ("failures_ago", 0.6)), ratio(515)),
    ),
    Case(
        "each Milvus has its own share",
        (*turns(3, 2, milvus="east"), *turns(3, 3, milvus="west"), *turns(3, 0, milvus="north")),
        (result(RATIO, 60, ({**ORDERS, "milvus": "east"}, 0.6), ({**ORDERS, "milvus": "west"}, 0.5)),),
    ),
)

OF_PAST_SUCCESS = (
    Case(
        "each note of a success is the longest of the last hour and five minutes, and no longer back",
        (
            given(contract.LAST_SUCCESS_DURATION, {0: 900, 58: 100}),
            given(contract.LAST_SUCCESS_DURATION, {0: 900, 50: 100}, collection="before"),
        ),
        (
            result(HOURLY, 120, (ORDERS, 900), ({**ORDERS, "collection": "before"}, 100)),
            result(HOURLY, 180, (ORDERS, 100), ({**ORDERS, "collection": "before"}, 100)),
        ),
    ),
    Case(
        "a success is a measure at once, not only from its next note on, and one that took no time is none",
        (
            given(contract.LAST_SUCCESS_DURATION, {0: None, 7: 900}),
            given(contract.LAST_SUCCESS_DURATION, {0: None, 7: 0}, collection="none"),
            given(contract.LAST_SUCCESS_DURATION, {0: None, 7: 300}, **NEW),
        ),
        (result(LONGEST, 10, (ORDERS, 900)),),
    ),
)

OF_CLOCK = (
    Case(
        "an end that is thirty-five minutes old while it is new may be, one of a minute more is told",
        (
            POLLS,
            *collection(stamp(-700), {0: stamp(-700), 60: stamp(26)}, milvus="old_failure"),
            *collection(stamp(-700), {0: stamp(-700), 60: stamp(25)}, milvus="older_failure"),
            *(given(contract.LAST_POLL_SUCCESS, "0+60x400", milvus=f"{one}_failure") for one in ("old", "older")),
        ),
        (*silent(CLOCK, 59, 60), *firing(CLOCK, 61), *firing(CLOCK, 62, 69, count=2)),
    ),
    Case(
        "a failure that ends in the future is told as a success is, from ten minutes on",
        (
            *collection(stamp(-30), {0: stamp(-40), 40: stamp(50)}, milvus="ten"),
            *collection(stamp(-30), {0: stamp(-40), 40: stamp(50) + 40}, milvus="more"),
        ),
        (*silent(CLOCK, 39), *firing(CLOCK, 40)),
    ),
    Case(
        "a success is new for ten minutes and told for two hours more, from thirty-five minutes on",
        (
            POLLS,
            *collection({0: stamp(-600), 60: stamp(-120)}),
            given(contract.LAST_POLL_SUCCESS, "0+60x400", milvus="east"),
            *collection({0: stamp(-600), 60: stamp(25)}, milvus="east"),
        ),
        (*silent(CLOCK, 59), *firing(CLOCK, 60), *firing(CLOCK, 61, 69, 188, count=2), *silent(CLOCK, 190, 195)),
    ),
    Case(
        "a failure that ended while nobody looked is no wrong clock, nor is an old one beside a new success",
        (
            *collection(stamp(-700), {0: stamp(-700), 60: stamp(20)}),
            given(contract.LAST_POLL_SUCCESS, {0: stamp(5), 60: stamp(60)}),
            given(contract.LAST_POLL_SUCCESS, "0+60x400", milvus="east"),
            *collection(
                {0: stamp(-700), 60: stamp(55)}, {0: stamp(-700), 60: stamp(55)}, collection="new", milvus="east"
            ),
            *collection(stamp(-700), stamp(-720), collection="old", milvus="east"),
        ),
        silent(CLOCK, 60, 62, 65, 69),
    ),
)

OF_EXPORTER = (
    Case(
        "half of ten minutes of partial listings is not yet most",
        (given(contract.PARTIAL, "0 1 " * 40), given(contract.PARTIAL, "1 1 0 " * 30, milvus="most")),
        firing(PARTIAL, 30, 45, 60),
    ),
    Case(
        "three intervals are the limit from a hundred seconds on, five minutes below",
        (
            given(contract.LAST_POLL_SUCCESS, {m: stamp(m) for m in range(31)}),
            given(contract.INTERVAL, 101),
        ),
        (*silent(OUTDATED, 40), *firing(OUTDATED, 41)),
    ),
    Case(
        "data of five minutes is not outdated, a little older data is",
        (
            given(contract.LAST_POLL_SUCCESS, {m: stamp(m) - 25 for m in range(31)}),
            given(contract.INTERVAL, 30),
        ),
        (*silent(OUTDATED, 39), *firing(OUTDATED, 40)),
    ),
    Case(
        "an index wait ends at once where the replica that knows of it no longer leads",
        (
            given(contract.LAST_POLL_SUCCESS, 2),
            failure_info(failure_class="index_wait_timeout"),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 20: 3}, **NEW),
        ),
        (*firing(WAIT, 19), *silent(WAIT, 20)),
    ),
    Case(
        "two failed writes within half an hour are told, and for no longer than that",
        (given(contract.STATE_WRITE_ERRORS, {0: 0, 20: 1, 40: 2}),),
        (*silent(STATE, 39), *firing(STATE, 48), *silent(STATE, 80)),
    ),
    Case(
        "an error of the inventory counts for half an hour",
        (given(contract.INVENTORY_SUCCESS, 60), given(contract.INVENTORY_ERRORS, "0x19 1x100", kind="deadline")),
        (*firing(INVENTORY, 27, 47), *silent(INVENTORY, 52, 70)),
    ),
    Case(
        "an error of either replica counts where neither can read",
        (
            given(contract.INVENTORY_SUCCESS, 0),
            given(contract.INVENTORY_SUCCESS, 0, **NEW),
            given(contract.INVENTORY_ERRORS, "0+1x60", kind="deadline"),
            given(contract.INVENTORY_ERRORS, "0x60", kind="deadline", **NEW),
        ),
        firing(INVENTORY, 20, 40),
    ),
    Case(
        "an index wait, an inventory and partial listings end with their cause, and are not held for a minute",
        (
            given(contract.INVENTORY_SUCCESS, {0: 0, 40: stamp(40)}),
            given(contract.INVENTORY_ERRORS, "0+1x60", kind="deadline"),
            given(contract.PARTIAL, {0: 1, 40: 0}),
        ),
        (*firing(INVENTORY, 39), *silent(INVENTORY, 40), *firing(PARTIAL, 43), *silent(PARTIAL, 45)),
    ),
)

CASES = (*OF_RATIO, *OF_PAST_SUCCESS, *OF_CLOCK, *OF_EXPORTER)
