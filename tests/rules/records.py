"""What Prometheus remembers, how old data is, and whether it is as fresh as promised."""

from __future__ import annotations

from rules.cases import Case, given, result
from situations import collection, job

from exporter.metrics import contract
from exporter.model import State

SUCCESS = "collection:milvus_external_refresh_last_success_timestamp_seconds:remembered"
FAILURE = "collection:milvus_external_refresh_last_failure_timestamp_seconds:remembered"
AGE = "collection:milvus_external_refresh_age_seconds:min"
FRESH = "collection:milvus_external_refresh_fresh:bool"
HOURLY = "collection:milvus_external_refresh_success_duration_seconds:hourly"
LONGEST = "collection:milvus_external_refresh_success_duration_seconds:longest"
ELAPSED = "collection:milvus_external_refresh_job_elapsed_seconds:max"
STILL = "collection:milvus_external_refresh_job_progress_age_seconds:min"
ORDERS = {"job": "milvus-refresh", "database": "lake", "collection": "orders"}
NEWER = {**ORDERS, "collection": "newer_than_us"}
NEW = {"instance": "b:19540", "pod": "exporter-1"}
DAY = 24 * 60

EAST, WEST = ({**ORDERS, "milvus": milvus} for milvus in ("east", "west"))
CASES = (
    Case(
        "each Milvus has its own ages, run times and standstills, and the longest of its own",
        tuple(
            one
            for milvus, late in (("east", 0), ("west", 120))
            for one in (
                *collection(60 + late, milvus=milvus),
                *job({0: State.IN_PROGRESS}, start=60 + late, change=120 + late, longest=600 + late, milvus=milvus),
            )
        )
        + job({0: State.COMPLETED}, milvus="ended"),
        (
            result(AGE, 5, (EAST, 240), (WEST, 120)),
            result(ELAPSED, 5, (EAST, 240), (WEST, 120)),
            result(STILL, 5, (EAST, 180), (WEST, 60)),
            result(HOURLY, 5, (EAST, 600), (WEST, 720)),
            result(LONGEST, 5, (EAST, 600), (WEST, 720)),
        ),
    ),
    Case(
        "both stamps are remembered while the collection exists, for as long as it takes",
        (*collection({0: 60, 30: None}, {0: 120, 30: None}), given(contract.INFO, 1)),
        (
            result(SUCCESS, 15, (ORDERS, 60)),
            result(SUCCESS, 30, (ORDERS, 60)),
            result(SUCCESS, 2 * DAY, (ORDERS, 60)),
            result(FAILURE, 2 * DAY, (ORDERS, 120)),
        ),
        step=15,
    ),
    Case(
        "what is shown counts more than what is remembered",
        (*collection({0: 600, 10: None, 20: 300}, {0: 660, 10: None, 20: 360}), given(contract.INFO, 1)),
        (result(SUCCESS, 20, (ORDERS, 300)), result(FAILURE, 20, (ORDERS, 360))),
    ),
    Case(
        "an hour without the collection is the end of it, a shorter gap is not",
        (
            *collection({0: 60, 15: None}, {0: 120, 15: None}),
            given(contract.INFO, {0: 1, 15: None, 60: 1, 65: None, 150: 1}),
        ),
        (
            result(SUCCESS, 30),
            result(FAILURE, 30),
            result(SUCCESS, 60, (ORDERS, 60)),
            result(FAILURE, 60, (ORDERS, 120)),
            result(SUCCESS, 90),
            result(FAILURE, 90),
            result(SUCCESS, 155),
            result(FAILURE, 155),
        ),
        step=5,
    ),
    Case(
        "while no replica can be scraped what was known holds, for an hour",
        (
            *collection({0: 60, 10: None}, {0: 120, 10: None}),
            given(contract.LAST_POLL_SUCCESS, {0: 1, 10: None}),
        ),
        (
            result(SUCCESS, 68, (ORDERS, 60)),
            result(FAILURE, 68, (ORDERS, 120)),
            result(SUCCESS, 71),
            result(FAILURE, 71),
        ),
    ),
    Case(
        "a collection that is created again starts anew, one that is older than the stamp does not",
        (
            *collection({0: 60, 10: None}, {0: 120, 10: None}),
            given(contract.INFO, 1),
            given(contract.CREATED, {0: 30, 20: 1200}),
            given(contract.CREATED, 30, **NEW),
        ),
        (
            result(SUCCESS, 19, (ORDERS, 60)),
            result(FAILURE, 19, (ORDERS, 120)),
            result(SUCCESS, 20),
            result(FAILURE, 20),
        ),
    ),
    Case(
        "a stamp of the very moment of creation is not one of the new collection",
        (
            *collection({0: 60, 10: None}, {0: 60, 10: None}),
            given(contract.INFO, 1),
            given(contract.CREATED, {0: None, 10: 60}),
        ),
        (result(SUCCESS, 15), result(FAILURE, 15)),
    ),
    Case(
        "a moved source is the same collection, another Milvus's collection of that name is not",
        (
            *collection({0: 60, 10: None}, {0: 120, 10: None}, milvus="east"),
            given(contract.INFO, 1, source="s3://lake/new", milvus="east"),
            *collection({0: 60, 10: None}, {0: 120, 10: None}, milvus="west"),
            *collection({0: 60, 10: None}, {0: 120, 10: None}, milvus="north"),
            given(contract.INFO, 1, milvus="north"),
            given(contract.CREATED, 600, milvus="north"),
        ),
        (
            result(SUCCESS, 30, ({**ORDERS, "milvus": "east"}, 60)),
            result(FAILURE, 30, ({**ORDERS, "milvus": "east"}, 120)),
        ),
    ),
    Case(
        "where Milvus does not tell when a collection was created, it counts as old",
        (*collection({0: 0.5, 10: None}, {0: 0.5, 10: None}), given(contract.INFO, 1)),
        (result(SUCCESS, 15, (ORDERS, 0.5)), result(FAILURE, 15, (ORDERS, 0.5))),
    ),
    Case(
        "of two replicas the later stamp counts",
        (*collection(60, 120), *collection(180, 240, **NEW)),
        (result(SUCCESS, 5, (ORDERS, 180)), result(FAILURE, 5, (ORDERS, 240)), result(AGE, 5, (ORDERS, 120))),
    ),
    Case(
        "fresh is 1 up to the limit, at it and with a clock ahead, 0 beyond it, and nothing without a limit",
        (
            *collection(600, max_age=600),
            *collection(600, collection="no_limit"),
            *collection(6000, max_age=600, collection="ahead"),
            *collection(0, max_age=600, collection="two"),
            given(contract.MAX_AGE, 1200, collection="two", **NEW),
            *collection(600, max_age=600, milvus="east"),
        ),
        (
            result(
                FRESH,
                20,
                (ORDERS, 1),
                ({**ORDERS, "collection": "ahead"}, 1),
                ({**ORDERS, "collection": "two"}, 1),
                ({**ORDERS, "milvus": "east"}, 1),
            ),
            result(
                FRESH,
                21,
                (ORDERS, 0),
                ({**ORDERS, "collection": "ahead"}, 1),
                ({**ORDERS, "collection": "two"}, 0),
                ({**ORDERS, "milvus": "east"}, 0),
            ),
        ),
    ),
    Case(
        "elapsed time and standstill are those of active jobs alone, and of the later of two replicas' stamps",
        (
            *job({0: State.PENDING, 2: State.IN_PROGRESS, 10: State.COMPLETED}, start=60, change=120),
            *job({0: State.PENDING, 2: State.IN_PROGRESS, 10: State.COMPLETED}, start=90, change=150, **NEW),
            *job({0: State.UNKNOWN}, collection="newer_than_us"),
            *job({0: State.FAILED}, collection="failed"),
        ),
        (
            result(ELAPSED, 1, (ORDERS, -30), (NEWER, 60)),
            result(ELAPSED, 5, (ORDERS, 210), (NEWER, 300)),
            result(STILL, 5, (ORDERS, 150), (NEWER, 300)),
            result(ELAPSED, 10, (NEWER, 600)),
            result(STILL, 10, (NEWER, 600)),
        ),
    ),
)
