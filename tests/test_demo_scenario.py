"""The believable world has something to show for every metric, at any moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from exporter.demo.jobs import JobView
from exporter.demo.scenario import believable_world
from exporter.demo.spec import SCHEMES
from exporter.demo.world import World

NOW = 1_790_000_123.0


@pytest.fixture(scope="module")
def world() -> World:
    """Whoever turns its clock builds a world of their own."""
    return believable_world(NOW)


def external(world: World) -> dict[tuple[str, str], str]:
    return {
        (record.database, record.name): record.source
        for base in world.names.databases()
        for record in world.names.collections(base.name)
        if record.external
    }


def by_name(world: World, database: str, name: str) -> Counter[int]:
    return Counter(job.state for job in world.list_jobs(database, name))


def test_it_has_several_databases_and_a_name_that_lives_in_two(world: World) -> None:
    assert [base.name for base in world.names.databases()] == ["default", "lake", "analytics", "ml"]
    assert {("default", "documents"), ("lake", "documents")} <= set(external(world))
    assert by_name(world, "default", "documents")
    assert by_name(world, "lake", "documents")


def test_it_has_ordinary_collections_too(world: World) -> None:
    records = [record for base in world.names.databases() for record in world.names.collections(base.name)]
    assert sum(not record.external for record in records) == 3


def test_sources_have_every_allowed_scheme_and_one_has_none(world: World) -> None:
    sources = set(external(world).values()) - {""}
    assert {source.partition("://")[0] for source in sources if "://" in source} == set(SCHEMES)
    assert sum("://" not in source for source in sources) == 1


def test_its_history_reaches_back_24_hours(world: World) -> None:
    starts = [job.start_ms / 1000 for job in world.list_jobs()]
    assert NOW - 86_400 <= min(starts) < NOW - 86_400 + 300
    assert max(starts) > NOW - 300


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_all_four_states_are_visible_at_any_moment(speed: float) -> None:
    fresh = believable_world(NOW, speed=speed)
    for step in range(150):
        fresh.advance(NOW + step * 83 / speed)
        assert {job.state for job in fresh.list_jobs()} == {0, 1, 2, 3}, step


def test_something_moves_within_ten_seconds_whenever_one_looks() -> None:
    fresh = believable_world(NOW)
    before = None
    for step in range(180):
        fresh.advance(NOW + step * 10)
        seen = [(job.job_id, job.state, job.progress) for job in fresh.list_jobs()]
        assert seen != before, step
        before = seen


def test_one_collection_is_denied_every_time(world: World) -> None:
    assert set(by_name(world, "analytics", "customers")) == {3}
    assert all("Access Denied" in job.reason for job in world.list_jobs("analytics", "customers"))


def test_one_collection_flaps(world: World) -> None:
    states = [job.state for job in world.list_jobs("analytics", "inventory")]
    assert all(one != other for one, other in pairwise(states))


def test_one_collection_is_known_and_never_refreshed(world: World) -> None:
    assert not by_name(world, "analytics", "contracts")
    assert external(world)["analytics", "contracts"].startswith("obs://")
    assert external(world)["ml", "sandbox"] == ""


def test_one_job_is_stuck_at_99_past_the_timeout_and_blocks_its_collection(world: World) -> None:
    newest = world.list_jobs("ml", "reviews")[0]
    assert (newest.state, newest.progress, newest.reason) == (1, 99, "")
    assert NOW - newest.start_ms / 1000 > 3 * 3600


def test_some_index_waits_succeed_and_some_run_out(world: World) -> None:
    jobs = world.list_jobs("ml", "embeddings")
    assert {2, 3} <= {job.state for job in jobs}
    assert all(job.reason.startswith("timeout waiting for indexes:") for job in jobs if job.state == 3)


def test_timeouts_come_with_and_without_a_cause(world: World) -> None:
    assert {job.reason for job in world.list_jobs("ml", "images") if job.state == 3} == {"timeout"}
    causes = {job.reason for job in world.list_jobs("ml", "features") if job.state == 3}
    assert all(cause.startswith("timeout, last failure: ") for cause in causes)
    assert causes


def test_one_collection_stamps_the_hour_into_its_path(world: World) -> None:
    sources = {job.source for job in world.list_jobs("lake", "events")}
    assert len(sources) == 24
    assert all("/events/dt=2026-" in source for source in sources)
    assert external(world)["lake", "events"] in sources


def test_jobs_of_dropped_renamed_recreated_and_aliased_collections_are_among_them(world: World) -> None:
    names = Counter(job.collection_name for job in world.list_jobs())
    assert names["returns"]
    assert ("lake", "returns") not in external(world)
    assert names["users_v1"]
    assert {job.collection_name for job in world.list_jobs("ml", "users")} == {"users_v1", "users"}
    assert {job.collection_name for job in world.list_jobs("analytics", "products")} == {"current_products"}
    assert 0 < len(world.list_jobs("analytics", "promotions")) < names["promotions"]


def test_half_written_failures_and_ways_back_to_pending_are_seen_in_a_day() -> None:
    fresh = believable_world(NOW)
    seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
    half_written = 0
    for step in range(900):
        fresh.advance(NOW + step * 5)
        for job in fresh.list_jobs("lake", "clickstream") + fresh.list_jobs("lake", "snapshots"):
            half_written += job.state == 3 and job.end_ms == 0 and job.reason == ""
            seen[job.job_id].append((job.state, job.progress))
    back = [(one, other) for lives in seen.values() for one, other in pairwise(lives) if one[0] == 1 and other[0] == 0]
    assert half_written
    assert any(other[1] > 0 for _, other in back), "some tasks done, none running"
    assert any(other[1] == 0 and one[1] > 0 for one, other in back), "sent back to the beginning"


def test_no_collection_ever_has_two_active_jobs() -> None:
    fresh = believable_world(NOW)
    for step in range(40):
        fresh.advance(NOW + step * 97)
        for base, name in external(fresh):
            assert sum(job.end_ms == 0 for job in fresh.list_jobs(base, name)) <= 1


def test_the_same_seed_gives_the_same_day_and_another_seed_another(world: World) -> None:
    assert believable_world(NOW).list_jobs() == world.list_jobs()
    assert believable_world(NOW, seed=2).list_jobs() != world.list_jobs()


def test_at_a_higher_speed_stamps_stay_wall_clock() -> None:
    fast = believable_world(NOW, speed=60.0)
    starts = [job.start_ms / 1000 for job in fast.list_jobs()]
    assert min(starts) >= NOW - 86_400 / 60
    assert max(starts) <= NOW


def ids(world: World) -> dict[tuple[str, str], tuple[int, float]]:
    return {
        (record.database, record.name): (record.collection_id, record.created)
        for base in world.names.databases()
        for record in world.names.collections(base.name)
    }


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_demo_that_is_started_again_has_the_same_collections_and_mostly_the_same_jobs(speed: float) -> None:
    """Else a state file of its exporter would be for nothing."""
    pause = 3600 / speed
    ran_on, restarted = believable_world(NOW, speed=speed), believable_world(NOW + pause, speed=speed)
    ran_on.advance(NOW + pause)
    # This one is dropped and created again in every day that the demo invents.
    anew = ("analytics", "promotions")
    assert ids(restarted)[anew][0] == ids(ran_on)[anew][0]
    before, after = ids(ran_on), ids(restarted)
    assert {**after, anew: before[anew]} == before

    def ended(world: World) -> dict[int, JobView]:
        oldest = NOW + pause - 80_000 / speed
        return {job.job_id: job for job in world.list_jobs() if job.end_ms and job.start_ms / 1000 > oldest}

    kept, found = ended(ran_on), ended(restarted)
    same = {job_id for job_id in kept.keys() & found.keys() if kept[job_id] == found[job_id]}
    assert len(same) > 0.98 * max(len(kept), len(found))


def test_collections_of_another_seed_are_others(world: World) -> None:
    assert not {one for one, _ in ids(world).values()} & {one for one, _ in ids(believable_world(NOW, seed=2)).values()}
