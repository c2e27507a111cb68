"""Milvus answers, and not with a listing: each refusal from pymilvus's own servicer, polled on a hand-turned clock."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest
from builders import Clock
from peers.exporter import Samples
from peers.pymilvus_server import FIRST_ID, LIST_JOBS, PymilvusServer, databases, job
from peers.waiting import free_port
from peers.watched import INTERVAL, Watched

from exporter.milvus.pb import milvus_refresh_pb2 as pb

Answered = pb.ListRefreshExternalCollectionJobsResponse
NEW_FIELD = b"\xc2\x3e\x03new"
"""Field 1000, three bytes: what a newer Milvus may add to any message."""


def status(code: int, error_code: int = 1, reason: str = "") -> dict[str, Any]:
    return {"status": {"code": code, "error_code": error_code, "reason": reason}}


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "code 1, a component starts": (status(1, reason="service not ready[mixcoord=1]: Initializing"), "not_ready"),
    "code 2, a component restarts": (status(2, reason="service unavailable"), "not_ready"),
    "UNKNOWN, not ready": ({"grpc": "UNKNOWN", "details": "Milvus Proxy is not ready yet. please wait"}, "not_ready"),
    "code 8, rate limit": (status(8, reason="rate limit exceeded[rate=0.5]"), "rate_limited"),
    "error_code 49, rate limit of old": (status(0, 49, "rate limit exceeded"), "rate_limited"),
    "code 5, internal, by name too": (status(5, reason="job 12 references missing task 34"), "server_error"),
    "code 65535, by name too": (status(65535, reason="boom"), "server_error"),
    "UNAVAILABLE": ({"grpc": "UNAVAILABLE", "details": "GOAWAY received"}, "unreachable"),
    "UNIMPLEMENTED": ({"grpc": "UNIMPLEMENTED", "details": f"unknown method {LIST_JOBS}"}, "unimplemented"),
    "no answer at all": ({"hang": True}, "deadline"),
    "bytes that are no message": ({"raw_hex": "ff" * 64}, "bad_response"),
    "OK without a message": ({"raw_hex": ""}, "bad_response"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[PymilvusServer]:
    with PymilvusServer(databases=databases(default=["ext"], lake=["orders"])) as server:
        yield server


@pytest.fixture
def milvus(server: PymilvusServer) -> Iterator[PymilvusServer]:
    server.set_jobs(job(1), job(2, "orders", database="lake"))
    yield server
    server.clear_faults()


@pytest.fixture
def watched(milvus: PymilvusServer) -> Iterator[Watched]:
    with Watched(milvus.uri, Clock(time.time())) as watched:
        yield watched


@pytest.mark.parametrize(("fault", "kind"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_for_a_while(
    milvus: PymilvusServer, watched: Watched, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], kind: str
) -> None:
    """Down at once with its kind, shown until it is stale and no longer, good at the first poll afterwards."""
    good = watched.poll(2)
    assert (good.value("up"), good.total("jobs")) == (1, 2)
    before = watched.footprint()

    milvus.set_fault(LIST_JOBS, **fault)
    down = watched.poll()
    assert (down.value("up"), down.errors()) == (0, {kind: 1})
    assert (down.value("snapshot_stale"), down.total("jobs")) == (0, 2)
    assert age(watched, down) == INTERVAL
    stale = watched.poll(3)
    assert (stale.value("up"), stale.errors()) == (0, {kind: 4})
    assert (stale.value("snapshot_stale"), stale.all("jobs")) == (1, [])
    assert stale.value("last_success_timestamp_seconds", collection="ext") == good.value(
        "last_success_timestamp_seconds", collection="ext"
    )

    milvus.clear_faults()
    up = watched.poll()
    assert (up.value("up"), up.errors()) == (1, {kind: 4})
    assert (up.value("snapshot_stale"), up.total("jobs"), age(watched, up)) == (0, 2, 0)
    assert watched.footprint() <= before
    assert len(said(caplog)) <= 3, "one line for down and one for up again"


def age(watched: Watched, samples: Samples) -> float:
    """Return how old the last good poll is, in whole seconds."""
    return round(watched.clock.wall() - (samples.value("poll_last_success_timestamp_seconds") or 0))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert not [record for record in caplog.records if record.exc_info], "a traceback"
    return [record.message for record in caplog.records if record.levelno >= logging.INFO and "poll" in record.name]


def test_a_listing_past_the_limit(milvus: PymilvusServer) -> None:
    """``response_too_large``, not a mystery, and good again when the listing is small again."""
    with Watched(milvus.uri, Clock(time.time()), milvus={"max_response_bytes": "96KiB"}) as watched:
        assert watched.poll().value("up") == 1
        before = watched.footprint()
        milvus.set_jobs(job(1, reason="x" * 200_000))
        down = watched.poll(2)
        assert (down.value("up"), down.errors()) == (0, {"response_too_large": 2})
        assert down.total("jobs") == 2
        milvus.set_jobs(job(1))
        up = watched.poll()
        assert (up.value("up"), up.total("jobs")) == (1, 1)
        assert watched.footprint() <= before


def test_fields_and_states_newer_than_we_are(milvus: PymilvusServer, watched: Watched) -> None:
    """What we do not know is passed over; a state we do not know is shown as such and counts as active."""
    now = int(time.time() * 1000)
    known = {"collection_name": "ext", "external_source": "s3://lake/data", "start_time": now}
    records = [
        pb.RefreshExternalCollectionJobInfo(job_id=number, state=state, **known).SerializeToString() + NEW_FIELD
        for number, state in ((1, pb.RefreshInProgress), (2, 9))
    ]
    answer = b"".join(b"\x12" + bytes([len(record)]) + record for record in records) + NEW_FIELD
    assert [made.state for made in Answered.FromString(answer).jobs] == [1, 9]
    milvus.set_fault(LIST_JOBS, raw_hex=answer.hex(), list_all_only=True)
    shown = watched.poll()
    assert (shown.value("up"), shown.errors(), shown.total("jobs")) == (1, {}, 2)
    assert shown.total("jobs", state="RefreshUnknown") == 1
    assert shown.total("invalid_records_total", problem="unknown_state") == 1
    assert watched.poll(3).total("invalid_records_total") == 1


def test_a_damaged_record_among_good_ones(milvus: PymilvusServer, watched: Watched) -> None:
    """It costs itself: the others are listed, its job stays as it was, and it is counted once."""
    watched.poll()
    known = [pb.RefreshExternalCollectionJobInfo(job_id=FIRST_ID + number) for number in (1, 2)]
    good, spoilt = (
        pb.RefreshExternalCollectionJobInfo(job_id=number, collection_name="ext", external_source="s3://a/")
        for number in (3, 4)
    )
    records = [
        *(one.SerializeToString() + b"\x12\xff" for one in known),
        good.SerializeToString(),
        spoilt.SerializeToString().replace(b"s3://a/", b"s3://\xff/"),
    ]
    milvus.set_fault(LIST_JOBS, raw_hex=b"".join(b"\x12" + bytes([len(one)]) + one for one in records).hex())
    shown = watched.poll(2)
    assert (shown.value("up"), shown.errors()) == (1, {})
    assert (shown.total("jobs", collection="ext"), shown.total("jobs", collection="orders")) == (3, 1)
    assert shown.value("invalid_records_total", problem="undecodable") == 2
    assert shown.value("invalid_records_total", problem="text_not_utf8") == 1


def test_a_job_listed_twice(milvus: PymilvusServer, watched: Watched) -> None:
    """One job, counted once, whichever of its two records comes first."""
    watched.poll()
    milvus.set_jobs(job(3), job(3, state=1), job(1), job(3))
    shown = watched.poll()
    assert (shown.value("up"), shown.total("jobs", collection="ext")) == (1, 2)
    milvus.set_jobs(job(1), job(3, state=1), job(3))
    again = watched.poll(2)
    assert again.total("jobs", state="RefreshCompleted", collection="ext") == 2
    assert again.value("jobs_finished_total", collection="ext") == 1


@pytest.mark.parametrize("call", ["ListDatabases", "ShowCollections", "DescribeCollection"])
def test_the_inventory_fails_while_the_listing_works(milvus: PymilvusServer, watched: Watched, call: str) -> None:
    """Nothing known is forgotten, ``up`` and ``poll_errors_total`` are not touched, whole again at the next pass."""
    watched.poll()
    before = watched.footprint()
    world = milvus.world["databases"]
    milvus.set(databases={**world, **databases(default=["ext", "fresh"])})
    milvus.set_fault(call, **status(2, reason="service unavailable"))
    for _ in range(3):
        watched.read_inventory()
        shown = watched.poll()
        assert (shown.value("up"), shown.errors(), shown.total("jobs")) == (1, {}, 2)
    assert shown.value("inventory_errors_total", kind="not_ready") == 3
    assert {labels["collection"] for labels, _ in shown.all("collection_info")} == {"ext", "orders"}
    milvus.clear_faults()
    watched.read_inventory()
    whole = watched.poll()
    assert {labels["collection"] for labels, _ in whole.all("collection_info")} == {"ext", "fresh", "orders"}
    milvus.set(databases=world)
    assert watched.footprint() <= before


def test_hundreds_of_polls_that_are_refused_leave_nothing_behind(milvus: PymilvusServer) -> None:
    """Each begins with a new channel, so that it asks for the name anew; the one before is closed and gone."""
    with Watched(f"http://127.0.0.1:{free_port()}", Clock(time.time())) as watched:
        watched.poll(20)
        before = watched.footprint()
        refused = watched.poll(200)
        assert refused.errors() == {"unreachable": 220}
        assert watched.footprint() <= before
        gc.collect()
        assert sum(isinstance(each, grpc.aio.Channel) for each in gc.get_objects()) < 5


def test_hundreds_of_polls_that_hang_leave_nothing_behind(milvus: PymilvusServer) -> None:
    """Neither tasks nor threads nor sockets grow with the number of failed polls."""
    with Watched(milvus.uri, Clock(time.time()), poll={"timeout": "10ms"}) as watched:
        milvus.set_fault(LIST_JOBS, hang=True)
        watched.poll(20)
        before = watched.footprint()
        hung = watched.poll(200)
        assert hung.errors() == {"deadline": 220}
        assert watched.footprint() <= before
