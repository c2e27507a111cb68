"""pymilvus, which shares no code with us, takes the simulated Milvus for a real one."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pydantic import SecretStr

from exporter.demo import SimulatedMilvus, believable_world
from exporter.demo.access import only_root

pymilvus = pytest.importorskip("pymilvus")

NOW = 1_790_000_000.0
PASSWORD = "root:Milvus"


class HandClock:
    """Both hands stand where the test puts them."""

    now = NOW

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Running:
    """A simulated Milvus in a thread with a loop of its own: pymilvus blocks the one it is called from."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.milvus = SimulatedMilvus(believable_world(NOW), clock=self.clock, access=only_root(SecretStr(PASSWORD)))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.address = asyncio.run_coroutine_threadsafe(self.milvus.start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.milvus.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running()
    yield server
    server.stop()


@pytest.fixture
def client(running: Running) -> Iterator[Any]:
    connected = pymilvus.MilvusClient(uri=f"http://{running.address}", token=PASSWORD, timeout=5)
    yield connected
    connected.close()


def code_of(call: Any, *arguments: Any, **named: Any) -> int:
    with pytest.raises(pymilvus.MilvusException) as raised:
        call(*arguments, **named)
    return int(raised.value.code)


def test_it_tells_its_version(client: Any) -> None:
    assert client.get_server_version() == "v3.0.1-sim"


def test_databases_and_collections_are_listed_and_a_database_can_be_used(client: Any) -> None:
    assert client.list_databases() == ["default", "lake", "analytics", "ml"]
    assert {"documents", "legacy_reports", "sessions"} == set(client.list_collections())
    client.use_database("lake")
    assert "clickstream" in client.list_collections()
    assert code_of(client.use_database, "nope") == 800


def test_an_external_collection_is_described_with_its_source_and_fields(client: Any) -> None:
    described = client.describe_collection("documents")
    assert described["collection_name"] == "documents"
    assert described["created_timestamp"] > 0
    assert {field["name"] for field in described["fields"]} == {"id", "text", "vector"}


def test_all_jobs_of_all_databases_are_listed_newest_first(client: Any) -> None:
    jobs = client.list_refresh_external_collection_jobs()
    assert {job.state for job in jobs} == {
        "RefreshPending",
        "RefreshInProgress",
        "RefreshCompleted",
        "RefreshFailed",
    }
    assert [job.start_time for job in jobs] == sorted((job.start_time for job in jobs), reverse=True)
    assert {"clickstream", "customers", "images"} <= {job.collection_name for job in jobs}


def test_jobs_of_one_name_in_two_databases_are_told_apart_by_field_and_by_header(client: Any) -> None:
    here = {job.job_id for job in client.list_refresh_external_collection_jobs("documents")}
    there = {job.job_id for job in client.list_refresh_external_collection_jobs("documents", db_name="lake")}
    assert here
    assert there
    assert not here & there
    client.use_database("lake")
    assert {job.job_id for job in client.list_refresh_external_collection_jobs("documents")} == there


def test_a_refresh_is_followed_to_its_end_and_a_second_one_is_703_meanwhile(client: Any, running: Running) -> None:
    job_id = client.refresh_external_collection("contracts", db_name="analytics")
    pending = client.get_refresh_external_collection_progress(job_id)
    assert (pending.job_id, pending.state, pending.progress) == (job_id, "RefreshPending", 0)
    assert (pending.collection_name, pending.external_source) == ("contracts", "obs://legal/contracts/")
    assert code_of(client.refresh_external_collection, "contracts", db_name="analytics") == 703
    running.clock.now += 60
    ended = client.get_refresh_external_collection_progress(job_id)
    assert (ended.state, ended.progress) == ("RefreshCompleted", 100)
    assert ended.end_time > ended.start_time
    listed = client.list_refresh_external_collection_jobs("contracts", db_name="analytics")
    assert [job.job_id for job in listed] == [job_id]


def test_wrong_names_are_100_and_800_and_an_ordinary_collection_is_1100(client: Any) -> None:
    for call in (client.refresh_external_collection, client.list_refresh_external_collection_jobs):
        assert code_of(call, "nope") == 100
        assert code_of(call, "documents", db_name="nope") == 800
        assert code_of(call, "sessions") == 1100
    assert code_of(client.get_refresh_external_collection_progress, 12) == 1100
    assert code_of(client.describe_collection, "nope") == 100


def test_a_refresh_may_bring_another_source_and_its_secrets_are_masked(client: Any, running: Running) -> None:
    spec = '{"format":"parquet","extfs":{"access_key_id":"AK","access_key_value":"hush"}}'
    job_id = client.refresh_external_collection(
        "sandbox", db_name="ml", external_source="s3://sandbox/one/", external_spec=spec
    )
    job = client.get_refresh_external_collection_progress(job_id)
    assert job.external_source == "s3://sandbox/one/"
    assert job.external_spec == '{"format":"parquet","extfs":{"access_key_id":"***","access_key_value":"***"}}'
    running.clock.now += 60
    described = running.milvus.world.names
    client.get_refresh_external_collection_progress(job_id)
    assert described.find("ml", "sandbox").source == "s3://sandbox/one/"
    assert code_of(client.refresh_external_collection, "sandbox", db_name="ml", external_source="s3://a/") == 1100


def test_a_wrong_token_is_unauthenticated_which_pymilvus_hides_behind_code_2(running: Running) -> None:
    wrong = "root:wrong"
    assert code_of(pymilvus.MilvusClient, uri=f"http://{running.address}", token=wrong, timeout=5) == 2
    with grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary("/milvus.proto.milvus.MilvusService/Connect")
        header = base64.b64encode(wrong.encode()).decode()
        with pytest.raises(grpc.RpcError) as raised:
            call(b"", metadata=[("authorization", header)], timeout=5)
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error.details() == "auth check failure, please check username and password are correct"
