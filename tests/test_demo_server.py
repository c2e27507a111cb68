"""The simulated Milvus on the wire: raw gRPC calls, answered as Milvus answers them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
import trustme
from pydantic import SecretStr

from exporter.demo import SimulatedMilvus, World
from exporter.demo.access import Access, Grant, User
from exporter.demo.answers import CALLS
from exporter.demo.faults import Plan, Spell, Trouble
from exporter.demo.lives import completing
from exporter.demo.refusals import Denied, Refused
from exporter.milvus.pb import milvus_refresh_pb2 as pb

NOW = 1_790_000_000.0
SERVICE = "/milvus.proto.milvus.MilvusService/"
LIST, REFRESH = "ListRefreshExternalCollectionJobs", "RefreshExternalCollection"
ROOT = User("root", SecretStr("Milvus"), admin=True)
BOB = User("bob", SecretStr("secret"))
ANN = User(
    "ann",
    SecretStr("secret"),
    SecretStr("annskey"),
    (Grant("DescribeCollection", "lake"), Grant("IndexDetail", "lake")),
)
EVE = User("eve", SecretStr("secret"), grants=ANN.grants[:1])
"""Granted DescribeCollection alone, which shows no collection."""
TIM = User("tim", SecretStr("secret"), public=False)
ACCESS = Access((ROOT, BOB, ANN, EVE, TIM))


@dataclass
class HandClock:
    """Both hands stand where the test puts them."""

    now: float = NOW

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


def a_world() -> World:
    world = World(NOW)
    world.names.add_database("lake", NOW)
    world.create_collection("docs", source="s3://bucket/docs/", spec='{"extfs":{"access_key_value":"hush"}}')
    world.create_collection("docs", database="lake", source="gs://lake/docs/", spec='{"format":"vortex"}')
    world.create_collection("plain", external=False)
    world.names.add_alias("", "docs", "current")
    return world


class Client:
    """Raw calls, as any client of Milvus makes them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def __call__(self, method: str, user: str | None = None, header_database: str = "", **fields: Any) -> Any:
        call = CALLS[method]
        metadata = [("dbname", header_database)] if header_database else []
        if user is not None:
            metadata.append(("authorization", base64.b64encode(user.encode()).decode()))
        rpc = self._channel.unary_unary(SERVICE + method, response_deserializer=call.response.FromString)
        return await rpc(call.request(**fields).SerializeToString(), metadata=metadata, timeout=5)

    async def raw(self, path: str, body: bytes = b"", timeout: float = 5) -> bytes:
        answer: bytes = await self._channel.unary_unary(path)(body, timeout=timeout)
        return answer

    async def error(self, method: str, user: str | None = None, **fields: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self(method, user, **fields)
        return raised.value.code(), raised.value.details() or ""


def talk(
    conversation: Callable[[SimulatedMilvus, Client, HandClock], Awaitable[None]],
    *,
    access: Access | None = None,
    outages: Plan = (),
    world: World | None = None,
) -> None:
    """Run a conversation with a fresh server."""

    async def run() -> None:
        clock = HandClock()
        milvus = SimulatedMilvus(world or a_world(), clock=clock, access=access, outages=outages)
        address = await milvus.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                await conversation(milvus, Client(channel), clock)
        finally:
            await milvus.stop()

    asyncio.run(run())


def test_a_client_connects_and_asks_for_version_and_health() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        connected = await call("Connect", client_info=pb.ClientInfo(sdk_type="Python"))
        assert connected.server_info.build_tags == "v3.0.1-sim"
        assert connected.identifier > 0
        assert (await call("GetVersion")).version == "v3.0.1-sim"
        assert (await call("CheckHealth")).isHealthy

    talk(conversation)


def test_databases_and_collections_are_shown_with_ids_and_creation_times() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        bases = await call("ListDatabases")
        assert (list(bases.db_names), list(bases.db_ids)) == (["default", "lake"], [1, 2])
        shown = await call("ShowCollections", db_name="default")
        assert list(shown.collection_names) == ["docs", "plain"]
        assert list(shown.created_utc_timestamps) == [int(NOW * 1000)] * 2
        assert shown.collection_ids[0] == milvus.world.names.find("", "docs").collection_id
        assert (await call("ShowCollections", db_name="nope")).status.code == 800
        described = await call("DescribeDatabase", db_name="lake")
        assert (described.db_name, described.dbID) == ("lake", 2)
        assert (await call("DescribeDatabase", db_name="nope")).status.code == 800

    talk(conversation)


def test_a_database_is_named_by_the_request_or_else_by_the_header() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        assert list((await call("ShowCollections", header_database="lake")).collection_names) == ["docs"]
        shown = await call("ShowCollections", header_database="lake", db_name="default")
        assert list(shown.collection_names) == ["docs", "plain"]
        assert (await call("Connect", header_database="nope")).status.code == 800
        assert (await call(LIST, header_database="nope", collection_name="docs")).status.code == 800

    talk(conversation)


def test_a_description_tells_external_from_ordinary_and_masks_the_spec() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        external = await call("DescribeCollection", collection_name="current")
        assert (external.collection_name, list(external.aliases), external.db_name) == ("docs", ["current"], "default")
        assert external.schema.external_source == "s3://bucket/docs/"
        assert external.schema.external_spec == '{"extfs":{"access_key_value":"***"}}'
        assert all(field.external_field for field in external.schema.fields)
        ordinary = await call("DescribeCollection", collection_name="plain")
        assert not any(field.external_field for field in ordinary.schema.fields)
        by_id = await call("DescribeCollection", db_name="lake", collectionID=external.collectionID)
        assert by_id.collection_name == "docs"
        assert (await call("DescribeCollection", collectionID=12)).status.code == 100
        assert (await call("DescribeCollection", collection_name="nope")).status.code == 100

    talk(conversation)


def test_a_refresh_is_accepted_listed_followed_and_ends_as_the_clock_turns() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, clock: HandClock) -> None:
        accepted = await call(REFRESH, collection_name="docs")
        assert accepted.status.code == 0
        listed = (await call(LIST)).jobs
        assert [(job.job_id, job.state, job.collection_name) for job in listed] == [(accepted.job_id, 0, "docs")]
        assert (listed[0].start_time, listed[0].end_time) == (int(NOW * 1000), 0)
        assert listed[0].external_spec == '{"extfs":{"access_key_value":"***"}}'
        clock.now += 30
        ended = (await call("GetRefreshExternalCollectionProgress", job_id=accepted.job_id)).job_info
        assert (ended.state, ended.progress) == (pb.RefreshCompleted, 100)
        assert int(NOW * 1000) < ended.end_time < int(NOW * 1000) + 30_000

    talk(conversation)


def test_a_second_refresh_is_a_status_703_inside_an_ok_answer() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        first = await call(REFRESH, collection_name="docs")
        refused = await call(REFRESH, collection_name="docs")
        assert (refused.status.code, refused.status.error_code, refused.job_id) == (
            703,
            pb.UnexpectedError,
            first.job_id,
        )
        assert "is already in progress for collection docs" in refused.status.reason

    talk(conversation)


def test_the_database_of_the_header_counts_for_a_refresh_and_not_for_a_list_of_all_jobs() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        await call(REFRESH, header_database="lake", collection_name="docs")
        (listed,) = (await call(LIST, header_database="nope")).jobs
        assert listed.external_source == "gs://lake/docs/"
        assert not (await call(LIST, header_database="default", collection_name="docs")).jobs
        assert len((await call(LIST, header_database="default", db_name="lake", collection_name="docs")).jobs) == 1

    talk(conversation)


def test_the_name_of_an_error_ends_its_text() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, clock: HandClock) -> None:
        milvus.faults.restart(NOW, lasting=30)
        assert (await call(LIST)).status.reason == "Initializing: service not ready[mixcoord=1]"
        clock.now = NOW + 15
        assert (await call(LIST)).status.reason.endswith(": service unavailable")

    talk(conversation)


def test_wrong_names_are_statuses_with_the_deprecated_code_filled_too() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        for method in (LIST, REFRESH):
            gone = (await call(method, collection_name="nope")).status
            assert (gone.code, gone.error_code, gone.retriable) == (100, pb.CollectionNotExists, False)
            assert gone.extra_info["is_input_error"] == "true"
            base = (await call(method, collection_name="docs", db_name="nope")).status
            assert (base.code, base.error_code) == (800, pb.UnexpectedError)
            assert base.reason == "database not found[database=nope]"
            kind = (await call(method, collection_name="plain")).status
            assert (kind.code, kind.error_code) == (1100, pb.IllegalArgument)
        lost = await call("GetRefreshExternalCollectionProgress", job_id=12)
        assert lost.status.reason.startswith("refresh job 12 not found")

    talk(conversation)


def test_an_empty_listing_is_an_answer_with_a_status_and_not_nothing() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        assert await call.raw(SERVICE + LIST) == b"\x0a\x00"

    talk(conversation)


def test_unknown_methods_and_services_are_unimplemented_in_grpc_gos_words() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        milvus.faults.unknown_methods = frozenset({LIST})
        for path, says in (
            (SERVICE + "Search", "unknown method Search for service milvus.proto.milvus.MilvusService"),
            (SERVICE + LIST, f"unknown method {LIST} for service milvus.proto.milvus.MilvusService"),
            ("/no.such.Service/Call", "unknown service no.such.Service"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call.raw(path)
            assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, says)

    # The method is looked up before the caller: no credentials are sent here.
    talk(conversation, access=ACCESS)


def test_with_authorization_on_every_method_needs_credentials() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        for method in CALLS:
            code, text = await call.error(method)
            assert (code, text) == (grpc.StatusCode.UNAUTHENTICATED, "missing authorization in header")
            assert (await call.error(method, "root:wrong"))[0] is grpc.StatusCode.UNAUTHENTICATED
        assert (await call("Connect", "root:Milvus")).status.code == 0

    talk(conversation, access=ACCESS)


def test_any_known_user_may_list_and_follow_jobs_of_all_databases_and_refresh_none() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        job_id = milvus.world.submit("docs", database="lake")
        assert [job.job_id for job in (await call(LIST, "bob:secret")).jobs] == [job_id]
        followed = await call("GetRefreshExternalCollectionProgress", "bob:secret", job_id=job_id)
        assert followed.job_info.job_id == job_id
        assert await call.error(REFRESH, "bob:secret", collection_name="docs") == (
            grpc.StatusCode.PERMISSION_DENIED,
            "PrivilegeRefreshExternalCollection: permission deny to bob in the `default` database",
        )
        code, text = await call.error("DescribeCollection", "tim:secret", collection_name="docs", db_name="lake")
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert text == "PrivilegeDescribeCollection: permission deny to tim in the `lake` database"
        assert (await call.error("DescribeDatabase", "bob:secret"))[0] is grpc.StatusCode.PERMISSION_DENIED

    talk(conversation, access=ACCESS)


def test_several_descriptions_are_one_for_each_name_in_their_order() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        answer = await call("BatchDescribeCollection", db_name="default", collection_name=["plain", "nope", "current"])
        assert answer.status.code == 0
        assert [one.status.code for one in answer.responses] == [0, 100, 0]
        alone = [await call("DescribeCollection", collection_name=name) for name in ("plain", "nope", "current")]
        assert list(answer.responses) == alone
        assert (await call("BatchDescribeCollection", db_name="lake")).status.code == 1101

    talk(conversation)


def test_several_descriptions_need_the_privilege_of_one() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        asked = {"db_name": "lake", "collection_name": ["docs"]}
        code, text = await call.error("BatchDescribeCollection", "tim:secret", **asked)
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert text == "PrivilegeDescribeCollection: permission deny to tim in the `lake` database"
        hidden = (await call("BatchDescribeCollection", "eve:secret", **asked)).responses
        assert [one.status.code for one in hidden] == [1401]
        assert len((await call("BatchDescribeCollection", "annskey", **asked)).responses) == 1

    talk(conversation, access=ACCESS)


def test_missing_grants_show_as_missing_databases_and_collections() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        assert list((await call("ListDatabases", "bob:secret")).db_names) == []
        assert list((await call("ShowCollections", "bob:secret")).collection_names) == []
        assert list((await call("ListDatabases", "annskey")).db_names) == ["lake"]
        assert list((await call("ShowCollections", "annskey")).collection_names) == []
        assert list((await call("ShowCollections", "annskey", db_name="lake")).collection_names) == ["docs"]
        assert (await call("DescribeCollection", "annskey", db_name="lake", collection_name="docs")).collectionID
        assert list((await call("ListDatabases", "root:Milvus")).db_names) == ["default", "lake"]

    talk(conversation, access=ACCESS)


@pytest.mark.parametrize("who", ["bob:secret", "eve:secret"])
def test_a_hidden_collection_is_told_from_one_that_is_not_there_and_its_jobs_are_listed(who: str) -> None:
    """By status 1401 where it is described, and not at all where its jobs are listed by name."""

    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        job_id = milvus.world.submit("docs", database="lake")
        assert list((await call("ShowCollections", who, db_name="lake")).collection_names) == []
        answer = await call("DescribeCollection", who, db_name="lake", collection_name="docs")
        assert (answer.status.code, answer.collectionID) == (1401, 0)
        assert answer.status.reason.startswith("not allowed to access collection")
        assert (await call("DescribeCollection", who, db_name="lake", collection_name="nope")).status.code == 100
        assert (await call("DescribeCollection", who, db_name="nope", collection_name="docs")).status.code == 800
        by_name = await call(LIST, who, db_name="lake", collection_name="docs")
        assert [job.job_id for job in by_name.jobs] == [job_id]

    talk(conversation, access=ACCESS)


def test_authorization_can_be_switched_while_it_runs() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        assert (await call(LIST)).status.code == 0
        milvus.access = ACCESS
        assert (await call.error(LIST))[0] is grpc.StatusCode.UNAUTHENTICATED
        milvus.access = None
        assert (await call(LIST)).status.code == 0

    talk(conversation)


def test_one_broken_job_refuses_the_whole_listing_and_not_that_of_another_collection() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        broken = milvus.world.submit("docs")
        milvus.world.submit("docs", database="lake")
        milvus.world.break_one_job(broken)
        refused = await call(LIST)
        assert (refused.status.code, len(refused.jobs)) == (65535, 0)
        assert refused.status.reason == f"job {broken} references missing task {broken + 1}"
        assert len((await call(LIST, collection_name="docs", db_name="lake")).jobs) == 1

    talk(conversation)


def test_switches_take_it_down_give_every_call_a_code_or_refuse_listing_all() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        faults = milvus.faults
        faults.down = True
        assert (await call.error(LIST))[0] is grpc.StatusCode.UNAVAILABLE
        faults.down = False
        faults.refusal = Refused(8, "rate limit exceeded")
        limited = (await call("GetVersion")).status
        assert (limited.code, limited.retriable) == (8, True)
        faults.refusal = None
        faults.denial = Denied("RESOURCE_EXHAUSTED", "too much")
        assert await call.error("GetVersion") == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
        faults.denial = None
        faults.no_list_all = True
        assert (await call(LIST)).status.code == 1101
        assert (await call(LIST, collection_name="docs")).status.code == 0
        assert (await call("GetVersion")).status.code == 0

    talk(conversation)


def test_a_restart_answers_1_then_2_then_unavailable_then_the_jobs_it_had() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, clock: HandClock) -> None:
        job_id = milvus.world.submit("docs", life=completing(explore=20, run=5))
        clock.now += 10
        milvus.faults.restart(clock.now, lasting=9)
        assert (await call(LIST)).status.code == 1
        clock.now += 4
        assert (await call(LIST)).status.code == 2
        assert (await call("GetVersion")).status.code == 0
        clock.now += 4
        assert (await call.error(LIST))[0] is grpc.StatusCode.UNAVAILABLE
        clock.now += 4
        assert [(job.job_id, job.state) for job in (await call(LIST)).jobs] == [(job_id, pb.RefreshPending)]

    talk(conversation)


def test_a_hanging_server_answers_nobody_until_it_resumes_and_then_also_those_who_still_wait() -> None:
    async def conversation(milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        milvus.faults.hang()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.raw(SERVICE + LIST, timeout=0.05)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        waiting = asyncio.ensure_future(call(LIST))
        while milvus.calls[LIST] < 2:  # noqa: ASYNC110 - both ends of the wire live in this loop
            await asyncio.sleep(0)
        milvus.faults.resume()
        assert (await waiting).status.code == 0

    talk(conversation)


def test_outages_follow_their_plan() -> None:
    plan = (
        Spell(Trouble.DOWN, after=100, lasting=10),
        Spell(Trouble.BROKEN_JOB, after=100, lasting=10),
        Spell(Trouble.RESTART, after=100, lasting=9),
        Spell(Trouble.HANG, after=100, lasting=10),
    )

    async def conversation(milvus: SimulatedMilvus, call: Client, clock: HandClock) -> None:
        milvus.world.submit("docs")
        assert (await call(LIST)).status.code == 0
        clock.now = NOW + 105
        assert (await call.error(LIST))[0] is grpc.StatusCode.UNAVAILABLE
        clock.now = NOW + 112
        assert (await call(LIST)).status.code == 0
        clock.now = NOW + 215
        assert (await call(LIST)).status.code == 65535
        clock.now = NOW + 225
        assert (await call(LIST)).status.code == 0
        clock.now = NOW + 321
        assert (await call(LIST)).status.code == 1
        clock.now = NOW + 430
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.raw(SERVICE + LIST, timeout=0.05)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    talk(conversation, outages=plan)


def test_outages_are_divided_by_the_speed_as_jobs_are() -> None:
    plan = (Spell(Trouble.DOWN, after=100, lasting=10), Spell(Trouble.HANG, after=100, lasting=40))

    async def conversation(_milvus: SimulatedMilvus, call: Client, clock: HandClock) -> None:
        for seconds, answers in ((0.99, True), (1.01, False), (1.09, False), (1.11, True), (2.09, True)):
            clock.now = NOW + seconds
            if answers:
                assert (await call(LIST)).status.code == 0
            else:
                assert (await call.error(LIST))[0] is grpc.StatusCode.UNAVAILABLE
        clock.now = NOW + 2.49
        # Hangs for a hundredth of a second and not for one.
        assert await call.raw(SERVICE + LIST, timeout=0.5)

    world = World(NOW, speed=100)
    talk(conversation, world=world, outages=plan)


def test_a_plan_that_breaks_a_job_where_there_is_none_breaks_nothing() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, clock: HandClock) -> None:
        clock.now = NOW + 15
        assert (await call(LIST)).status.code == 0

    talk(conversation, outages=(Spell(Trouble.BROKEN_JOB, after=10, lasting=10),))


def test_bytes_that_are_no_request_end_the_call_and_not_the_server() -> None:
    async def conversation(_milvus: SimulatedMilvus, call: Client, _clock: HandClock) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.raw(SERVICE + LIST, b"\xff\xff")
        assert raised.value.code() is grpc.StatusCode.INTERNAL
        assert (await call(LIST)).status.code == 0

    talk(conversation)


def test_a_port_that_is_taken_is_an_error_that_names_it_and_a_stopped_server_starts_again_there() -> None:
    async def run() -> None:
        one, other = SimulatedMilvus(a_world()), SimulatedMilvus(a_world())
        address = await one.start()
        with pytest.raises(OSError, match=address):
            await other.start(address)
        await one.stop()
        assert await one.start(address) == address
        await one.stop()
        await one.stop()

    asyncio.run(run())


def test_it_serves_over_tls() -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())

    async def run() -> None:
        milvus = SimulatedMilvus(a_world(), tls=grpc.ssl_server_credentials([pair]))
        address = await milvus.start()
        trust = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        async with grpc.aio.secure_channel(address, trust) as channel:
            assert (await Client(channel)("GetVersion")).version == "v3.0.1-sim"
        await milvus.stop()

    asyncio.run(run())
