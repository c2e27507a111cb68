"""A believable Milvus: four databases and a day of jobs, with something to show for every metric and alert."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from exporter.demo import texts
from exporter.demo.jobs import Habit
from exporter.demo.lives import (
    RETENTION,
    Life,
    completing,
    endless,
    failing,
    failing_at_explore,
    replanned,
    sent_back,
    stuck_pending,
    waiting_for_index,
)
from exporter.demo.namespace import DEFAULT
from exporter.demo.world import World

if TYPE_CHECKING:
    import random

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
NEVER: Final = Habit()
"""Nothing refreshes it on a schedule."""
_STUCK_EVERY: Final = 12  # of a job an hour: whenever the day begins, the last half of it is stuck
_CLICKS_EVERY: Final = 10.0
_CLICKS_LAST: Final = 45  # turns of the schedule
_FOUNDED: Final = 1_788_000_000.0
"""When collections are created, at the latest: the same moment for each start of the demo. 29 August 2026."""


@dataclass(frozen=True, slots=True)
class Place:
    """One external collection of the scenario. ``age_days`` is how long before the latest ones it was created."""

    database: str
    name: str
    source: str
    habit: Habit = NEVER
    spec: str = '{"format":"parquet"}'
    age_days: float = 40.0


def believable_world(now: float, seed: int = 1, speed: float = 1.0) -> World:
    """Return a world as it is at ``now`` (epoch seconds), after a day of history (at ``speed``)."""
    world = World(now - RETENTION / speed, seed=seed, speed=speed)
    for database in ("lake", "analytics", "ml"):
        world.names.add_database(database, _founded(world) - 60 * DAY)
    for place in PLACES:
        _create(world, place, _founded(world) - place.age_days * DAY)
    for database, name in ORDINARY:
        created = _founded(world) - 50 * DAY
        world.create_collection(name, database=database, external=False, created=created)
    world.names.add_alias("analytics", "products", "current_products")
    _live_through(world, now)
    return world


def _founded(world: World) -> float:
    return min(world.now, _FOUNDED)


def _create(world: World, place: Place, created: float) -> None:
    world.create_collection(
        place.name,
        database=place.database,
        source=place.source,
        spec=place.spec if place.source else "",
        created=created,
        habit=place.habit,
    )


def _live_through(world: World, now: float) -> None:
    """Let the day pass, with a drop, a rename and a drop and recreation in it."""
    world.advance(now - 6 * HOUR / world.speed)
    world.drop("returns", database="lake")
    world.advance(now - 5 * HOUR / world.speed)
    world.names.rename("ml", "users_v1", "users")
    world.advance(now - 3 * HOUR / world.speed)
    world.drop("promotions", database="analytics")
    _create(world, Place("analytics", "promotions", PROMOTIONS, Habit(every=30 * MINUTE)), world.now)
    world.advance(now)


def _spec(kind: str, **extfs: str) -> str:
    return json.dumps({"format": kind, "extfs": extfs}, separators=(",", ":"))


def _turn(number: int, which: int, *, of: int) -> bool:
    return number % of == which


def _corpus(chance: random.Random, number: int) -> Life:
    life = completing(chance.uniform(2, 6), chance.uniform(30, 55), tasks=4)
    return replanned(life, texts.HOST_NOT_RESOLVED_YET, 20.0) if _turn(number, 3, of=7) else life


def _dated(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("s3://lake-raw/events/dt=%Y-%m-%d/hour=%H/")


def _orders(chance: random.Random, number: int) -> Life:
    if _turn(number, 60, of=97):
        return failing(chance.uniform(0.3, 1), chance.uniform(3, 6), texts.RESULT_LOST)
    return completing(chance.uniform(0.3, 1), chance.uniform(3, 9), tasks=chance.randint(1, 3))


def _clicks(chance: random.Random, number: int) -> Life:
    # Ends with its 450 seconds of the clock, so that a demo that is started again falls into step with the one before.
    left = _CLICKS_LAST - number % _CLICKS_LAST
    explore, run = chance.uniform(2, 5), max(left * _CLICKS_EVERY - 20.0, 5.0)
    share = number // _CLICKS_LAST
    life = completing(explore, run, tasks=100, pause=8.0 if _turn(share, 1, of=4) else 0.0, apply=4.0)
    return sent_back(life, explore + run / 3, 8.0) if _turn(share, 3, of=5) else life


def _snapshots(chance: random.Random, number: int) -> Life:
    explore, run = chance.uniform(1, 4), chance.uniform(20, 40)
    if number % 3:
        return completing(explore, run, tasks=3, pause=10.0)
    if _turn(number // 3, 3, of=4):
        return failing_at_explore(explore, texts.SNAPSHOT_UNREADABLE)
    faults = (texts.WORKER_RETRIED_OUT, texts.MANIFEST_CONFLICT, texts.VORTEX_TOO_NEW)
    return failing(explore, run, faults[number // 3 % 4], tasks=3)


def _nightly(chance: random.Random, _number: int) -> Life:
    return completing(chance.uniform(20, 40), chance.uniform(700, 1100), tasks=6, apply=20.0)


def _denied(chance: random.Random, _number: int) -> Life:
    return failing_at_explore(chance.uniform(1, 3), texts.ACCESS_DENIED)


def _flapping(chance: random.Random, number: int) -> Life:
    explore, run = chance.uniform(1, 3), chance.uniform(15, 45)
    if number % 2:
        return completing(explore, run, tasks=2)
    late = (texts.COLUMN_MISSING, texts.TYPE_MISMATCH, texts.ALL_SEGMENTS_GONE)
    early = (texts.PATH_MISSING, texts.UNRESOLVED_HOST, texts.SOURCE_EMPTY)
    turn = number // 2
    if turn % 2:
        return failing_at_explore(explore, early[turn // 2 % len(early)])
    return failing(explore, run, late[turn // 2 % len(late)], tasks=2)


def _indexed(chance: random.Random, number: int) -> Life:
    life = completing(chance.uniform(3, 8), chance.uniform(60, 120), tasks=5)
    wait = 2 * HOUR if _turn(number, 2, of=5) else chance.uniform(600, 1300)
    return waiting_for_index(life, wait, segments=8)


def _stuck(_chance: random.Random, _number: int) -> Life:
    return stuck_pending()


def _stuck_with_cause(_chance: random.Random, _number: int) -> Life:
    return stuck_pending(texts.NO_SUCH_BUCKET)


def _stuck_at_99(chance: random.Random, number: int) -> Life:
    explore, run = chance.uniform(2, 5), chance.uniform(60, 90)
    return completing(explore, run, tasks=4) if number % _STUCK_EVERY else endless(explore, run, tasks=4)


PROMOTIONS: Final = "oss://marketing/promotions/"
_KEYS: Final = {"access_key_id": "demo-key-id", "access_key_value": "demo-key-value"}

PLACES: Final = (
    Place(DEFAULT, "documents", "s3://docs-prod/corpus/?versionId=3", Habit(_corpus, HOUR)),
    Place(DEFAULT, "legacy_reports", "external-demo/", Habit(_nightly, 6 * HOUR, 2400.0)),
    Place("lake", "documents", "gs://lake-docs/parsed/", Habit(every=15 * MINUTE, offset=5 * MINUTE)),
    Place("lake", "events", "s3://lake-raw/events/", Habit(every=HOUR, offset=3 * MINUTE, source=_dated)),
    Place("lake", "orders", "s3a://lake-raw/orders/", Habit(_orders, 2 * MINUTE)),
    Place(
        "lake",
        "clickstream",
        "minio://10.0.0.5:9000/clicks/raw/",
        Habit(_clicks, _CLICKS_EVERY),
        _spec("parquet", cloud_provider="minio", use_ssl="false", **_KEYS),
    ),
    Place(
        "lake",
        "snapshots",
        "s3://s3.us-west-2.amazonaws.com/lake-snapshots/orders.json",
        Habit(_snapshots, 30 * MINUTE, 7 * MINUTE),
        '{"format":"milvus-table"}',
    ),
    Place("lake", "returns", "cos://lake-1250000000/returns/", Habit(every=20 * MINUTE)),
    Place(
        "analytics",
        "products",
        "azure://core.windows.net/catalogue/products/",
        Habit(_nightly, DAY, 2 * HOUR, typed="current_products"),
        _spec("iceberg-table", cloud_provider="azure", **_KEYS),
    ),
    Place("analytics", "customers", "s3://crm-exports/exports/customers/", Habit(_denied, 15 * MINUTE, MINUTE)),
    Place("analytics", "inventory", "oss://warehouse/inventory/", Habit(_flapping, 30 * MINUTE, 11 * MINUTE)),
    Place("analytics", "contracts", "obs://legal/contracts/", age_days=9.0),
    Place("analytics", "promotions", PROMOTIONS, Habit(every=30 * MINUTE)),
    Place(
        "ml",
        "embeddings",
        "aws://ml-features/embeddings/",
        Habit(_indexed, HOUR, 20 * MINUTE),
        _spec("parquet", cloud_provider="aws", region="eu-central-1", role_arn="arn:aws:iam::000000000000:role/demo"),
    ),
    Place("ml", "images", "gcs://ml-media/images/", Habit(_stuck, HOUR + 20)),
    Place("ml", "features", "obs://ml-store/features/", Habit(_stuck_with_cause, HOUR, 30 * MINUTE)),
    Place("ml", "reviews", "cos://ml-1250000000/reviews/", Habit(_stuck_at_99, HOUR, 13 * MINUTE)),
    Place("ml", "users_v1", "s3://ml-features/users/", Habit(every=40 * MINUTE)),
    Place("ml", "sandbox", "", age_days=2.0),
)
"""The external collections at the beginning of the day."""

ORDINARY: Final = ((DEFAULT, "sessions"), ("lake", "dimensions"), ("ml", "embedding_cache"))
"""Collections that hold their own data and know no refresh."""
