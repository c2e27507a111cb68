"""The simulated DataCoord keeps Milvus's rules, with a clock that is turned by hand."""

from __future__ import annotations

import pytest

from exporter.demo.jobs import Habit, JobView
from exporter.demo.lives import completing, endless, failing, failing_at_explore, stuck_pending
from exporter.demo.refusals import Refused
from exporter.demo.world import World

NOW = 1_790_000_000.0
PENDING, IN_PROGRESS, COMPLETED, FAILED = range(4)
SPEC = '{"format":"parquet"}'


def a_world(speed: float = 1.0) -> World:
    """An external and an ordinary collection in the default database."""
    world = World(NOW, seed=1, speed=speed)
    world.create_collection("docs", source="s3://bucket/docs/", spec=SPEC)
    world.create_collection("plain", external=False)
    return world


def the_job(world: World, job_id: int) -> JobView:
    return world.progress(job_id)


def refusal(call: object, *arguments: object, **named: object) -> tuple[int, str]:
    with pytest.raises(Refused) as raised:
        call(*arguments, **named)  # type: ignore[operator]
    return raised.value.code, raised.value.reason


def test_a_job_lives_from_pending_to_completed_as_the_clock_turns() -> None:
    world = a_world()
    job_id = world.submit("docs", life=completing(explore=2, run=10, apply=1))
    states = []
    for age in (0, 2, 12, 13):
        world.advance(NOW + age)
        states.append((the_job(world, job_id).state, the_job(world, job_id).progress))
    assert states == [(PENDING, 0), (IN_PROGRESS, 0), (IN_PROGRESS, 99), (COMPLETED, 100)]
    ended = the_job(world, job_id)
    assert (ended.start_ms, ended.end_ms, ended.reason) == (int(NOW * 1000), int(NOW * 1000) + 13_000, "")


def test_a_second_refresh_of_a_collection_is_refused_with_703_until_the_first_has_ended() -> None:
    world = a_world()
    first = world.submit("docs", life=completing(1, 10))
    code, reason = refusal(world.submit, "docs")
    assert code == 703
    assert f"refresh job {first} is already in progress for collection docs" in reason
    world.advance(NOW + 12)
    assert world.submit("docs") > first


def test_a_half_written_failure_has_no_end_and_still_blocks_the_collection() -> None:
    world = a_world()
    job_id = world.submit("docs", life=failing(1, 9, "task result not found"))
    world.advance(NOW + 10)
    half = the_job(world, job_id)
    assert (half.state, half.end_ms, half.reason) == (FAILED, 0, "")
    assert refusal(world.submit, "docs")[0] == 703
    world.advance(NOW + 20)
    whole = the_job(world, job_id)
    assert (whole.state, whole.end_ms, whole.reason) == (FAILED, int(NOW * 1000) + 20_000, "task result not found")


def test_a_stuck_job_fails_at_the_first_tick_after_an_hour() -> None:
    world = a_world()
    world.advance(NOW + 3.5)
    job_id = world.submit("docs", life=stuck_pending())
    world.advance(NOW + 3609.9)
    assert the_job(world, job_id).state == PENDING
    world.advance(NOW + 3610)
    assert (the_job(world, job_id).state, the_job(world, job_id).reason) == (FAILED, "timeout")


def test_an_ended_job_is_listed_for_24_hours_after_its_end_and_at_most_a_tick_longer() -> None:
    world = a_world()
    world.submit("docs", life=completing(1, 3.5, apply=1))
    world.advance(NOW + 5.5 + 86_400)
    assert len(world.list_jobs()) == 1
    world.advance(NOW + 5.5 + 86_410)
    assert world.list_jobs() == ()


def test_no_job_escapes_retention_by_the_rounding_of_its_end() -> None:
    world = World(NOW)
    for number in range(200):
        world.create_collection(f"docs{number}", source="s3://bucket/docs/", spec=SPEC)
        world.advance(NOW + number * 0.1237)
        world.submit(f"docs{number}", life=completing(0.1, 0.1 + number / 7, apply=0.3))
    world.advance(NOW + 86_400 + 120)
    assert world.list_jobs() == ()


def test_a_job_that_never_ends_is_never_forgotten() -> None:
    world = a_world()
    job_id = world.submit("docs", life=endless(1, 10))
    world.advance(NOW + 3 * 86_400)
    assert [job.job_id for job in world.list_jobs()] == [job_id]


def test_a_forgotten_job_is_not_found_by_its_id() -> None:
    world = a_world()
    job_id = world.submit("docs", life=completing(1, 3))
    world.advance(NOW + 86_500)
    assert refusal(world.progress, job_id) == (1100, f"refresh job {job_id} not found: invalid parameter")
    assert refusal(world.progress, 0)[0] == 1101


def test_job_ids_begin_with_the_milliseconds_and_differ_within_one() -> None:
    world = a_world()
    world.create_collection("more", source="gs://bucket/more/", spec=SPEC)
    world.advance(NOW + 1)
    first, second = world.submit("docs"), world.submit("more")
    assert first >> 18 == int((NOW + 1) * 1000)
    assert second >> 18 == first >> 18
    assert second != first
    assert 2**53 < first < 2**63


def test_list_all_ignores_the_database_and_shows_newest_first() -> None:
    world = a_world()
    world.names.add_database("lake", NOW)
    world.create_collection("docs", database="lake", source="gs://lake/docs/", spec=SPEC)
    world.submit("docs")
    world.advance(NOW + 5)
    world.submit("docs", database="lake")
    expected = [("docs", "gs://lake/docs/"), ("docs", "s3://bucket/docs/")]
    for database in ("", "lake", "no such database"):
        assert [(job.collection_name, job.source) for job in world.list_jobs(database)] == expected


def test_listing_by_name_tells_collections_of_one_name_in_two_databases_apart() -> None:
    world = a_world()
    world.names.add_database("lake", NOW)
    world.create_collection("docs", database="lake", source="gs://lake/docs/", spec=SPEC)
    here, there = world.submit("docs"), world.submit("docs", database="lake")
    assert [job.job_id for job in world.list_jobs("", "docs")] == [here]
    assert [job.job_id for job in world.list_jobs("lake", "docs")] == [there]


def test_wrong_names_are_refused_with_100_800_and_1100() -> None:
    world = a_world()
    for call in (world.list_jobs, lambda base, name: world.submit(name, database=base)):
        code, reason = refusal(call, "", "nope")
        assert (code, reason) == (100, "can't find collection collection not found[database=default][collection=nope]")
        assert refusal(call, "nope", "docs") == (800, "database not found[database=nope]")
        code, reason = refusal(call, "", "plain")
        assert code == 1100
        assert "collection plain is not an external collection" in reason


def test_an_alias_lists_the_collections_jobs_and_a_job_keeps_the_alias_it_was_submitted_under() -> None:
    world = a_world()
    world.names.add_alias("", "docs", "current")
    world.submit("current")
    assert [job.collection_name for job in world.list_jobs("", "docs")] == ["current"]
    assert world.list_jobs("", "current") == world.list_jobs("", "docs")


def test_after_a_rename_jobs_keep_the_old_name_and_are_found_by_the_new_one_only() -> None:
    world = a_world()
    world.submit("docs")
    world.names.rename("", "docs", "papers")
    assert [job.collection_name for job in world.list_jobs("", "papers")] == ["docs"]
    assert refusal(world.list_jobs, "", "docs")[0] == 100


def test_after_a_drop_list_all_still_shows_the_jobs_and_by_name_says_100() -> None:
    world = a_world()
    job_id = world.submit("docs", life=completing(1, 10))
    world.advance(NOW + 5)
    world.drop("docs")
    assert refusal(world.list_jobs, "", "docs")[0] == 100
    world.advance(NOW + 60)
    assert [(job.job_id, job.state) for job in world.list_jobs()] == [(job_id, COMPLETED)]


def test_a_drop_while_planning_leaves_the_job_pending_until_the_timeout() -> None:
    world = a_world()
    job_id = world.submit("docs", life=completing(explore=10, run=10))
    world.advance(NOW + 5)
    world.drop("docs")
    world.advance(NOW + 3500)
    assert the_job(world, job_id).state == PENDING
    world.advance(NOW + 3700)
    assert (the_job(world, job_id).state, the_job(world, job_id).reason) == (FAILED, "timeout")
    world.advance(NOW + 3700 + 86_500)
    assert world.list_jobs() == ()


def test_a_collection_recreated_under_the_same_name_shows_only_its_own_jobs_by_name() -> None:
    world = a_world()
    old = world.submit("docs", life=completing(1, 10))
    world.advance(NOW + 20)
    world.drop("docs")
    world.create_collection("docs", source="s3://bucket/docs2/", spec=SPEC)
    assert world.list_jobs("", "docs") == ()
    new = world.submit("docs")
    assert [job.job_id for job in world.list_jobs("", "docs")] == [new]
    assert {job.job_id for job in world.list_jobs()} == {old, new}


def test_a_completed_override_becomes_the_collections_source_and_a_failed_one_does_not() -> None:
    world = a_world()
    world.submit("docs", source="s3://bucket/bad/", spec=SPEC, life=failing_at_explore(2, "denied"))
    world.advance(NOW + 10)
    assert world.names.find("", "docs").source == "s3://bucket/docs/"
    world.submit("docs", source="s3://bucket/next/", spec=SPEC, life=completing(1, 3))
    world.advance(NOW + 11)
    assert world.names.find("", "docs").source == "s3://bucket/docs/"
    world.advance(NOW + 20)
    assert world.names.find("", "docs").source == "s3://bucket/next/"
    assert {job.source for job in world.list_jobs()} == {"s3://bucket/bad/", "s3://bucket/next/"}


def test_a_collection_without_a_source_needs_one_at_its_first_refresh() -> None:
    world = a_world()
    world.create_collection("new")
    assert refusal(world.submit, "new")[0] == 1101
    world.submit("new", source="azure://core.windows.net/box/new/", spec=SPEC)


@pytest.mark.parametrize(
    ("source", "spec", "says"),
    [
        ("s3://bucket/x/", "", "both set or both empty"),
        ("", SPEC, "both set or both empty"),
        ("hdfs://bucket/x/", SPEC, 'scheme "hdfs" is not allowed; allowed schemes: s3, s3a, aws'),
        ("bare/path/", SPEC, "explicit scheme"),
        ("s3://", SPEC, "must have a host"),
        ("s3://[broken/x/", SPEC, "not a URI"),
        ("s3://key:hush@bucket/x/", SPEC, "user info"),
        ("s3://bucket/x/", "{", "failed to parse external spec"),
        ("s3://bucket/x/", "[]", "failed to parse external spec"),
    ],
)
def test_an_override_that_milvus_would_not_take_is_refused_with_1100(source: str, spec: str, says: str) -> None:
    code, reason = refusal(a_world().submit, "docs", source=source, spec=spec)
    assert code == 1100
    assert says in reason
    assert "hush" not in reason


@pytest.mark.parametrize("scheme", ["s3", "s3a", "aws", "minio", "oss", "cos", "obs", "gs", "gcs", "azure", "S3"])
def test_every_allowed_scheme_is_taken_in_any_case(scheme: str) -> None:
    world = a_world()
    job_id = world.submit("docs", source=f"{scheme}://bucket/x/", spec=SPEC)
    assert the_job(world, job_id).source == f"{scheme}://bucket/x/"


def test_a_spec_is_shown_with_its_secrets_masked_and_the_rest_as_it_is() -> None:
    world = a_world()
    keys = '"access_key_id":"AK","access_key_value":"SK","ssl_ca_cert":"PEM","external_id":"X","region":"eu"'
    world.submit("docs", source="s3://bucket/x/", spec=f'{{"format":"parquet","extfs":{{{keys}}}}}')
    shown = world.list_jobs()[0].spec
    masked = '"access_key_id":"***","access_key_value":"***","ssl_ca_cert":"***","external_id":"***","region":"eu"'
    assert shown == f'{{"format":"parquet","extfs":{{{masked}}}}}'


@pytest.mark.parametrize(("spec", "shown"), [("", ""), ("no json", "<invalid spec>"), ("3", "<invalid spec>")])
def test_a_spec_that_is_no_object_is_not_shown(spec: str, shown: str) -> None:
    world = a_world()
    world.create_collection("odd", source="s3://bucket/odd/", spec=spec)
    world.submit("odd")
    assert world.list_jobs()[0].spec == shown


@pytest.mark.parametrize("code", [65535, 5])
def test_one_broken_job_spoils_every_listing_that_has_it_and_no_other(code: int) -> None:
    world = a_world()
    world.create_collection("other", source="gs://bucket/other/", spec=SPEC)
    broken, whole = world.submit("docs"), world.submit("other")
    assert world.break_one_job(broken, code=code) == broken
    for listing in ((), ("", "docs")):
        assert refusal(world.list_jobs, *listing) == (code, f"job {broken} references missing task {broken + 1}")
    assert [job.job_id for job in world.list_jobs("", "other")] == [whole]
    assert refusal(world.progress, broken)[0] == code
    world.mend()
    assert len(world.list_jobs()) == 2


def test_a_broken_job_stops_spoiling_when_it_is_forgotten() -> None:
    world = a_world()
    world.submit("docs", life=completing(1, 3))
    world.break_one_job()
    world.advance(NOW + 86_000)
    assert refusal(world.list_jobs)[0] == 65535
    world.advance(NOW + 86_500)
    assert world.list_jobs() == ()


def test_breaking_a_job_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="no job 12 to break"):
        a_world().break_one_job(12)


def test_a_restart_starts_planning_over_and_keeps_ids_and_start_times() -> None:
    world = a_world()
    job_id = world.submit("docs", life=completing(explore=10, run=5, apply=1))
    world.advance(NOW + 8)
    world.restart()
    world.advance(NOW + 17)
    assert (the_job(world, job_id).state, the_job(world, job_id).start_ms) == (PENDING, int(NOW * 1000))
    world.advance(NOW + 24)
    assert the_job(world, job_id).state == COMPLETED
    world.advance(NOW + 24 + 86_390)
    assert len(world.list_jobs()) == 1


def test_a_schedule_submits_on_its_grid_and_a_refused_turn_waits_for_the_next() -> None:
    world = World(NOW)
    turn = (NOW - 10) // 60 + 1
    habit = Habit(lambda _chance, number: completing(1, 70 if number == turn else 5), every=60, offset=10)
    world.create_collection("docs", source="s3://bucket/docs/", spec=SPEC, habit=habit)
    world.advance(NOW + 240)
    starts = sorted(job.start_ms / 1000 for job in world.list_jobs())
    first = (NOW - 10) // 60 * 60 + 70
    assert starts == [first, first + 120, first + 180]


def test_a_schedule_follows_a_rename_and_ends_with_a_drop() -> None:
    world = World(NOW)
    world.create_collection("docs", source="s3://bucket/docs/", spec=SPEC, habit=Habit(every=60))
    world.advance(NOW + 60)
    world.names.rename("", "docs", "papers")
    world.advance(NOW + 120)
    assert sorted(job.collection_name for job in world.list_jobs()) == ["docs", "papers"]
    world.drop("papers")
    world.advance(NOW + 600)
    assert len(world.list_jobs()) == 2


def test_speed_divides_lives_schedules_timeout_and_retention() -> None:
    world = a_world(speed=60)
    job_id = world.submit("docs", life=stuck_pending())
    world.advance(NOW + 61)
    assert the_job(world, job_id).state == FAILED
    assert (world.job_timeout, world.retention) == (60, 1440)
    world.advance(NOW + 61 + 1441)
    assert world.list_jobs() == ()


def test_the_same_calls_give_the_same_world_however_often_the_clock_is_read() -> None:
    worlds = []
    for step in (1, 7, 600):
        world = World(NOW, seed=5)
        world.create_collection("docs", source="s3://bucket/docs/", spec=SPEC, habit=Habit(every=60))
        world.create_collection("more", source="s3://bucket/more/", spec=SPEC, habit=Habit(every=45))
        for moment in range(0, 600, step):
            world.advance(NOW + moment)
        world.advance(NOW + 600)
        worlds.append(world.list_jobs())
    assert worlds[0] == worlds[1] == worlds[2]
    assert len(worlds[0]) > 20


def test_a_clock_that_steps_back_is_waited_for() -> None:
    world = a_world()
    job_id = world.submit("docs", life=completing(1, 10))
    world.advance(NOW + 30)
    world.advance(NOW - 100)
    assert the_job(world, job_id).state == COMPLETED
    assert world.now == NOW + 30


def test_a_name_that_is_taken_cannot_be_given_again() -> None:
    world = a_world()
    world.names.add_alias("", "docs", "current")
    for taken in ("docs", "plain", "current"):
        assert refusal(world.create_collection, taken)[0] == 1100
        assert refusal(world.names.rename, "", "docs", taken)[0] == 1100
        assert refusal(world.names.add_alias, "", "docs", taken)[0] == 1100
    assert refusal(world.names.add_database, "default", NOW)[0] == 1100
    assert refusal(world.list_jobs, "nope", "docs")[0] == 800
