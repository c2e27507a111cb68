"""Calls over a real channel to a server in this process: what is sent, what comes back, and every way to fail."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from wire import GOOD, LIST_JOBS, Answer, Call, Refusal, Wire, hang, serving, settings

from exporter import errors
from exporter.milvus import client as module
from exporter.milvus.client import MilvusClient
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import DescribedCollection, ShownCollection

Ask = Callable[[MilvusClient], Awaitable[Any]]
PATIENCE = 5.0

CALLS: dict[str, tuple[str, Ask]] = {
    "list_all_jobs": (LIST_JOBS, lambda client: client.list_all_jobs(timeout=PATIENCE)),
    "collection_exists": (LIST_JOBS, lambda client: client.collection_exists("lake", "docs", timeout=PATIENCE)),
    "list_databases": ("ListDatabases", lambda client: client.list_databases(timeout=PATIENCE)),
    "show_collections": ("ShowCollections", lambda client: client.show_collections("lake", timeout=PATIENCE)),
    "describe_collection": (
        "DescribeCollection",
        lambda client: client.describe_collection("lake", "docs", timeout=PATIENCE),
    ),
    "describe_collections": (
        "BatchDescribeCollection",
        lambda client: client.describe_collections("lake", ["docs"], timeout=PATIENCE),
    ),
    "server_version": ("GetVersion", lambda client: client.server_version(timeout=PATIENCE)),
    "connect": ("Connect", lambda client: client.connect(timeout=PATIENCE)),
}
each_call = pytest.mark.parametrize(("method", "ask"), CALLS.values(), ids=CALLS.keys())


@asynccontextmanager
async def asking(answers: dict[str, Answer] | None = None, **milvus: Any) -> AsyncIterator[tuple[MilvusClient, Wire]]:
    async with serving(answers) as wire:
        client = MilvusClient(settings(f"http://{wire.target}", **milvus))
        try:
            yield client, wire
        finally:
            await client.close()


def answered(ask: Ask, answers: dict[str, Answer] | None = None, **milvus: Any) -> Any:
    async def run() -> Any:
        async with asking(answers, **milvus) as (client, _):
            return await ask(client)

    return asyncio.run(run())


def refused(ask: Ask, answers: dict[str, Answer], **milvus: Any) -> errors.MilvusError:
    with pytest.raises(errors.MilvusError) as raised:
        answered(ask, answers, **milvus)
    return raised.value


def list_all(client: MilvusClient) -> Awaitable[Any]:
    return client.list_all_jobs(timeout=PATIENCE)


# What is sent


def test_each_call_sends_what_it_is_asked_under_milvus_own_names() -> None:
    async def run() -> list[Call]:
        async with asking() as (client, wire):
            for _, ask in CALLS.values():
                await ask(client)
            return wire.calls

    by_name = pb.ListRefreshExternalCollectionJobsRequest(db_name="lake", collection_name="docs")
    assert [(call.method, call.request) for call in asyncio.run(run())][:-1] == [
        (LIST_JOBS, b""),
        (LIST_JOBS, by_name.SerializeToString()),
        ("ListDatabases", b""),
        ("ShowCollections", pb.ShowCollectionsRequest(db_name="lake").SerializeToString()),
        (
            "DescribeCollection",
            pb.DescribeCollectionRequest(db_name="lake", collection_name="docs").SerializeToString(),
        ),
        (
            "BatchDescribeCollection",
            pb.BatchDescribeCollectionRequest(db_name="lake", collection_name=["docs"]).SerializeToString(),
        ),
        ("GetVersion", b""),
    ]


def test_connect_says_who_we_are_and_nothing_about_the_machine() -> None:
    async def run() -> pb.ConnectRequest:
        async with asking() as (client, wire):
            assert await client.connect(timeout=PATIENCE) == "v3.0.1"
            return pb.ConnectRequest.FromString(wire.calls[0].request)

    info = asyncio.run(run()).client_info
    assert info.sdk_type == "milvus-refresh-exporter"
    assert info.sdk_version
    assert (info.user, info.host) == ("", "")


def test_one_connection_serves_many_calls_also_at_the_same_time() -> None:
    async def run() -> Wire:
        async with asking() as (client, wire):
            for _ in range(20):
                await client.list_all_jobs(timeout=PATIENCE)
            await asyncio.gather(*(ask(client) for _, ask in CALLS.values()))
            return wire

    wire = asyncio.run(run())
    assert (len(wire.calls), len(wire.connections)) == (20 + len(CALLS), 1)


def test_two_clients_do_not_share_a_connection() -> None:
    """Another target's broken transport must not be this one's."""

    async def run() -> set[str]:
        async with asking() as (client, wire):
            other = MilvusClient(settings(f"http://{wire.target}"))
            await asyncio.gather(client.list_all_jobs(timeout=PATIENCE), other.list_all_jobs(timeout=PATIENCE))
            await other.close()
            return wire.connections

    assert len(asyncio.run(run())) == 2


# What comes back


def as_they_came(answer: Any) -> list[bytes]:
    return [job.SerializeToString() for job in answer.jobs]


def test_list_jobs_returns_the_records_as_they_are() -> None:
    assert answered(list_all) == as_they_came(GOOD[LIST_JOBS])


def test_databases_are_names() -> None:
    assert answered(CALLS["list_databases"][1]) == ("default", "lake")


def test_a_collection_shown_has_its_creation_in_seconds() -> None:
    shown = pb.ShowCollectionsResponse(
        collection_names=["a", "b"], collection_ids=[1, 2], created_utc_timestamps=[1_790_000_000_500, 0]
    )
    assert answered(CALLS["show_collections"][1], {"ShowCollections": shown}) == (
        ShownCollection("a", 1, 1_790_000_000.5),
        ShownCollection("b", 2, None),
    )


@pytest.mark.parametrize("stamps", [[], [1_000]])
def test_a_server_that_tells_fewer_creations_loses_no_collection(stamps: list[int]) -> None:
    shown = pb.ShowCollectionsResponse(
        collection_names=["a", "b"], collection_ids=[1, 2], created_utc_timestamps=stamps
    )
    found = answered(CALLS["show_collections"][1], {"ShowCollections": shown})
    assert [(line.name, line.collection_id) for line in found] == [("a", 1), ("b", 2)]
    assert found[1].created is None


def test_names_and_ids_that_do_not_match_are_a_bad_response_and_no_missing_collections() -> None:
    shown = pb.ShowCollectionsResponse(collection_names=["a", "b"], collection_ids=[1])
    assert refused(CALLS["show_collections"][1], {"ShowCollections": shown}).kind == "bad_response"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (pb.CollectionSchema(external_source="s3://k:s3cret@b/x?y=z"), DescribedCollection(True, (), "s3://b/x")),
        (
            pb.CollectionSchema(fields=[pb.FieldSchema(), pb.FieldSchema(external_field="id")]),
            DescribedCollection(True),
        ),
        (pb.CollectionSchema(fields=[pb.FieldSchema(name="id")]), DescribedCollection(False)),
        (pb.CollectionSchema(), DescribedCollection(False)),
    ],
    ids=["a source", "a mapped field and no source yet", "an ordinary collection", "nothing"],
)
def test_a_source_or_a_mapped_field_tells_an_external_collection(
    schema: pb.CollectionSchema, expected: DescribedCollection
) -> None:
    answer = pb.DescribeCollectionResponse(schema=schema)
    assert answered(CALLS["describe_collection"][1], {"DescribeCollection": answer}) == expected


def test_aliases_come_with_the_description_and_the_source_in_the_style_of_the_label() -> None:
    answer = pb.DescribeCollectionResponse(
        schema=pb.CollectionSchema(external_source="s3://bucket/deep/path"), aliases=["current", "latest"]
    )
    described = answered(CALLS["describe_collection"][1], {"DescribeCollection": answer}, labels={"source": "bucket"})
    assert described == DescribedCollection(True, ("current", "latest"), "s3://bucket")


def several(*answers: pb.DescribeCollectionResponse) -> pb.BatchDescribeCollectionResponse:
    return pb.BatchDescribeCollectionResponse(responses=answers)


def described_together(answer: pb.BatchDescribeCollectionResponse, *names: str) -> Any:
    return answered(
        lambda client: client.describe_collections("lake", names, timeout=PATIENCE), {"BatchDescribeCollection": answer}
    )


def test_of_several_collections_each_has_its_own_description_or_refusal_in_the_order_asked_for() -> None:
    docs = pb.DescribeCollectionResponse(
        collection_name="docs", schema=pb.CollectionSchema(external_source="s3://lake/docs"), aliases=["current"]
    )
    gone = pb.DescribeCollectionResponse(status=pb.Status(code=100, reason="collection not found"))
    plain = pb.DescribeCollectionResponse(schema=pb.CollectionSchema())
    first, second, third = described_together(several(docs, gone, plain), "docs", "gone", "plain")
    assert first == DescribedCollection(True, ("current",), "s3://lake/docs")
    assert type(second) is errors.CollectionGone
    assert third == DescribedCollection(False)


@pytest.mark.parametrize(
    "answer",
    [
        several(),
        several(*[pb.DescribeCollectionResponse()] * 2),
        several(pb.DescribeCollectionResponse(collection_name="images")),
    ],
    ids=["none", "too many", "of another collection"],
)
def test_descriptions_that_cannot_be_told_apart_are_no_answer(answer: pb.BatchDescribeCollectionResponse) -> None:
    with pytest.raises(errors.BadResponse):
        described_together(answer, "docs")


@pytest.mark.parametrize(
    ("code", "exists"), [(0, True), (100, False), (800, False), (105, True), (1100, True), (1401, True)], ids=str
)
def test_listing_by_name_tells_whether_a_collection_exists(code: int, exists: bool) -> None:
    answer = pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status(code=code, reason="x"))
    assert answered(CALLS["collection_exists"][1], {LIST_JOBS: answer}) is exists


@pytest.mark.parametrize("code", [1, 2, 5, 8, 1101, 1400, 65535])
def test_any_other_trouble_does_not_make_a_collection_gone(code: int) -> None:
    answer = pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status(code=code, reason="x"))
    assert refused(CALLS["collection_exists"][1], {LIST_JOBS: answer}).code == code


# Sizes


def many_jobs(size: int) -> pb.ListRefreshExternalCollectionJobsResponse:
    one = pb.RefreshExternalCollectionJobInfo(job_id=1, reason="r" * 500)
    return pb.ListRefreshExternalCollectionJobsResponse(jobs=[one] * (size // one.ByteSize() + 1))


def test_an_answer_past_grpc_default_of_4_mib_passes() -> None:
    given = many_jobs(5_000_000)
    assert answered(list_all, {LIST_JOBS: given}) == as_they_came(given)


def test_the_loop_runs_on_while_a_large_answer_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    decode = module._decode

    def watched(*args: Any) -> Any:
        threads.append(threading.get_ident())
        return decode(*args)

    monkeypatch.setattr(module, "_decode", watched)
    answered(list_all, {LIST_JOBS: many_jobs(1_000_000)})
    answered(list_all)
    assert [thread == threading.get_ident() for thread in threads] == [False, True]


def test_an_answer_larger_than_the_limit_is_response_too_large() -> None:
    error = refused(list_all, {LIST_JOBS: many_jobs(70_000)}, max_response_bytes="64KiB")
    assert type(error) is errors.ResponseTooLarge
    assert "larger than max" in error.detail


def test_an_answer_just_within_the_limit_passes() -> None:
    given = many_jobs(60_000)
    assert answered(list_all, {LIST_JOBS: given}, max_response_bytes="64KiB") == as_they_came(given)


# What cannot be read


@pytest.mark.parametrize("raw", [b"\xff" * 64, b"<html>502 Bad Gateway</html>", b"\x12"], ids=repr)
def test_bytes_that_do_not_decode_are_a_bad_response(raw: bytes) -> None:
    error = refused(list_all, {LIST_JOBS: raw})
    assert type(error) is errors.BadResponse
    assert error.detail == f"{len(raw)} bytes that are no ListRefreshExternalCollectionJobsResponse"


@each_call
def test_ok_without_a_message_is_a_bad_response(method: str, ask: Ask) -> None:
    """An HTTP ingress that answers 200 with nothing would otherwise read as: no jobs."""
    error = refused(ask, {method: b""})
    assert str(error) == "The answer cannot be decoded. OK without a message"


@pytest.mark.parametrize("raw", [b"\x12\x06\x12\x04\xff\xfe\xff\xfe", b"\x12\x01\xff"], ids=repr)
def test_a_record_that_is_none_is_handed_on_to_be_judged_by_who_decodes_it(raw: bytes) -> None:
    assert answered(list_all, {LIST_JOBS: raw}) == [raw[2:]]


def test_a_status_that_is_none_is_a_bad_response() -> None:
    error = refused(list_all, {LIST_JOBS: b"\x0a\x01\xff"})
    assert type(error) is errors.BadResponse
    assert error.detail == "a status that is none"


def test_no_jobs_at_all_is_an_answer() -> None:
    """Milvus writes its success status, however empty, so that the message has bytes."""
    given = pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status())
    assert given.SerializeToString() == b"\x0a\x00"
    assert answered(list_all, {LIST_JOBS: given}) == []


# What is refused


@each_call
def test_a_status_that_is_not_success_is_our_error_in_each_call(method: str, ask: Ask) -> None:
    answer: Any = GOOD[method]
    bad = type(answer)(status=pb.Status(code=8, error_code=49, reason="rate limit exceeded"))
    error = refused(ask, {method: bad})
    assert (error.kind, error.code) == ("rate_limited", 8)


@each_call
def test_a_grpc_code_is_our_error_in_each_call(method: str, ask: Ask) -> None:
    error = refused(ask, {method: Refusal(grpc.StatusCode.PERMISSION_DENIED, "PrivilegeX: permission deny to bob")})
    assert type(error) is errors.PermissionDenied
    assert error.detail == "PERMISSION_DENIED: PrivilegeX: permission deny to bob"


def test_a_server_that_does_not_know_the_call_is_unimplemented() -> None:
    async def run() -> None:
        async with asking() as (client, wire):
            del wire.answers[LIST_JOBS]
            with pytest.raises(errors.Unimplemented):
                await client.list_all_jobs(timeout=PATIENCE)

    asyncio.run(run())


@pytest.mark.parametrize("code", ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED"])
def test_one_call_is_one_attempt(code: str) -> None:
    """The next tick is the retry; one under the hood would double the load on a Milvus in trouble."""

    async def run() -> int:
        async with asking({LIST_JOBS: Refusal(grpc.StatusCode[code], "no")}) as (client, wire):
            with pytest.raises(errors.MilvusError):
                await client.list_all_jobs(timeout=PATIENCE)
            return len(wire.calls)

    assert asyncio.run(run()) == 1


def test_a_server_that_raises_is_a_server_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Call) -> Answer:
        raise RuntimeError("token=s3cr3tvalue")

    # The server's own complaint is none of this test's business.
    monkeypatch.setattr(logging.getLogger("grpc._cython.cygrpc"), "disabled", True)
    error = refused(list_all, {LIST_JOBS: broken})
    assert error.kind == "server_error"
    assert "s3cr3tvalue" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:hunter2hunter2@bucket/x not found",
        "bad request https://h/x?sig=hunter2hunter2",
        "token=hunter2hunter2",
    ],
)
def test_a_secret_in_a_refusal_is_cleaned_and_no_raw_error_hangs_on(text: str) -> None:
    for answer in (
        Refusal(grpc.StatusCode.INTERNAL, text),
        pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status(code=5, reason=text)),
    ):
        error = refused(list_all, {LIST_JOBS: answer})
        assert "hunter2" not in f"{error} {error.detail} {error.args}"
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__, "a logged traceback would show gRPC's raw text"


# Deadlines


@each_call
def test_each_call_has_a_deadline_and_tells_it_to_the_server(method: str, ask: Ask) -> None:
    async def run() -> Call:
        async with asking() as (client, wire):
            await ask(client)
            (call,) = wire.calls
            return call

    call = asyncio.run(run())
    assert call.seconds_left is not None
    assert 0 < call.seconds_left < PATIENCE + 0.5


@each_call
def test_a_server_that_hangs_costs_the_timeout_and_no_more(
    method: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE", 0.05)
    began = time.monotonic()
    assert type(refused(ask, {method: hang})) is errors.DeadlineExceeded
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("timeout", [0.0, -3.0, 1e-9])
def test_no_time_left_is_a_deadline_and_not_a_wait_for_ever(timeout: float) -> None:
    error = refused(lambda client: client.list_all_jobs(timeout=timeout), {LIST_JOBS: hang})
    assert type(error) is errors.DeadlineExceeded


def test_the_channel_works_on_after_a_deadline() -> None:
    async def run() -> int:
        async with asking({LIST_JOBS: hang}) as (client, wire):
            with pytest.raises(errors.DeadlineExceeded):
                await client.list_all_jobs(timeout=0.05)
            wire.answers[LIST_JOBS] = GOOD[LIST_JOBS]
            await client.list_all_jobs(timeout=PATIENCE)
            return len(wire.connections)

    assert asyncio.run(run()) == 1


def test_a_call_that_is_cancelled_ends_at_once_and_harms_no_other() -> None:
    async def run() -> None:
        arrived = asyncio.Event()

        async def hold(call: Call) -> Answer:
            arrived.set()
            return await hang(call)

        async with asking({LIST_JOBS: hold}) as (client, _):
            task = asyncio.ensure_future(client.list_all_jobs(timeout=PATIENCE))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await client.list_databases(timeout=PATIENCE)

    asyncio.run(run())


def test_closing_twice_is_closing_once() -> None:
    async def run() -> None:
        async with asking() as (client, _):
            await client.list_all_jobs(timeout=PATIENCE)
            await client.close()
            await client.close()

    asyncio.run(run())


LONG = "n" * 300
"""A name that a Milvus with a raised ``proxy.maxNameLength`` can have."""


def test_long_names_of_the_inventory_are_cut_and_milvus_is_asked_by_the_whole_ones() -> None:
    """Else a collection with such a name could be neither described nor listed."""
    answers: dict[str, Answer] = {
        "ListDatabases": pb.ListDatabasesResponse(db_names=[f"d{LONG}", "short"]),
        "ShowCollections": pb.ShowCollectionsResponse(collection_names=[LONG], collection_ids=[1]),
        "DescribeCollection": pb.DescribeCollectionResponse(aliases=[f"a{LONG}"]),
        "BatchDescribeCollection": pb.BatchDescribeCollectionResponse(
            responses=[pb.DescribeCollectionResponse(collection_name=LONG)]
        ),
    }

    async def run() -> None:
        async with asking(answers) as (client, wire):
            database, short = await client.list_databases(timeout=PATIENCE)
            (shown,) = await client.show_collections(database, timeout=PATIENCE)
            described = await client.describe_collection(database, shown.name, timeout=PATIENCE)
            await client.describe_collections(database, [shown.name], timeout=PATIENCE)
            await client.list_jobs(timeout=PATIENCE, database=database, collection=shown.name)
            assert short == "short"
            assert [len(each) for each in (database, shown.name, *described.aliases)] == [255, 255, 255]
            requests = [
                pb.ShowCollectionsRequest.FromString(wire.calls[1].request),
                pb.DescribeCollectionRequest.FromString(wire.calls[2].request),
                pb.BatchDescribeCollectionRequest.FromString(wire.calls[3].request),
                pb.ListRefreshExternalCollectionJobsRequest.FromString(wire.calls[4].request),
            ]
            assert {each.db_name for each in requests} == {f"d{LONG}"}
            assert [each.collection_name for each in requests[1:]] == [LONG, [LONG], LONG]

    asyncio.run(run())


def test_names_of_megabytes_are_not_kept() -> None:
    async def run() -> None:
        names = [f"{number}" + "n" * 1_000_000 for number in range(3)]
        async with asking({"ListDatabases": pb.ListDatabasesResponse(db_names=names)}) as (client, _):
            found = await client.list_databases(timeout=PATIENCE)
            assert len(set(found)) == 3
            assert [client._names.whole(each) for each in found] == list(found)

    asyncio.run(run())
