"""``once`` against a server of other people's code: what goes in on the wire comes out right as exposition."""

from __future__ import annotations

import re
import subprocess
import time

import pytest
from peers.exporter import Samples, call
from peers.pymilvus_server import (
    COMPLETED,
    FAILED,
    FIRST_ID,
    IN_PROGRESS,
    LIST_JOBS,
    PENDING,
    PymilvusServer,
    databases,
    job,
)
from peers.waiting import free_port

STATES = ("RefreshPending", "RefreshInProgress", "RefreshCompleted", "RefreshFailed", "RefreshUnknown")


def once(milvus: PymilvusServer, *flags: str) -> Samples:
    done = call("once", "--milvus.uri", milvus.uri, *flags)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return Samples.of(done.stdout)


def states(samples: Samples, **labels: str) -> dict[str, float]:
    """Return the jobs of a collection by state, zeros left out; all five states must be there."""
    found = samples.all("jobs", **labels)
    assert {have["state"] for have, _ in found} == set(STATES)
    return {have["state"]: value for have, value in found if value}


def problems(samples: Samples) -> dict[str, float]:
    return {labels["problem"]: value for labels, value in samples.all("invalid_records_total") if value}


def test_no_jobs_is_a_good_poll_that_shows_the_known_collections(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"], lake=["orders"]))
    samples = once(milvus)
    assert samples.value("up") == 1
    assert samples.value("snapshot_jobs") == 0
    assert samples.all("jobs") == []
    assert samples.all("last_job_state") == []
    shown = {(labels["database"], labels["collection"]) for labels, _ in samples.all("collection_info")}
    assert shown == {("default", "ext"), ("lake", "orders")}
    assert samples.value("jobs_finished_total", database="lake", collection="orders") == 0


def test_a_collection_that_is_not_external_is_not_shown(milvus: PymilvusServer) -> None:
    world = databases(default=["ext", "inner"])
    world["default"]["collections"][1]["external"] = False
    milvus.set(databases=world)
    samples = once(milvus)
    assert [labels["collection"] for labels, _ in samples.all("collection_info")] == ["ext"]
    assert samples.value("collections", database="default") == 1


def test_six_jobs_in_three_databases_with_a_shared_name_go_where_they_belong(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["shared"], lake=["shared", "orders"], sales=["clicks"]))
    milvus.set_jobs(
        job(1, "shared", COMPLETED, database="default"),
        job(2, "shared", FAILED, database="lake"),
        job(3, "shared", IN_PROGRESS, database="lake"),
        job(4, "orders", COMPLETED, database="lake"),
        job(5, "orders", PENDING, database="lake"),
        job(6, "clicks", COMPLETED, database="sales"),
    )
    samples = once(milvus)
    assert samples.value("snapshot_jobs") == 6
    assert states(samples, database="default", collection="shared") == {"RefreshCompleted": 1}
    assert states(samples, database="lake", collection="shared") == {"RefreshFailed": 1, "RefreshInProgress": 1}
    assert states(samples, database="lake", collection="orders") == {"RefreshCompleted": 1, "RefreshPending": 1}
    assert states(samples, database="sales", collection="clicks") == {"RefreshCompleted": 1}
    assert samples.total("jobs") == 6


def test_all_jobs_are_asked_for_once_however_many_databases_there_are(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(a=["one"], b=["two"], c=["three"], d=["four"]))
    milvus.set_jobs(*(job(n, name, database=db) for n, (db, name) in enumerate([("a", "one"), ("b", "two")])))
    assert once(milvus).total("jobs") == 2
    assert len(milvus.list_all_calls()) == 1
    assert not any(call["request"].get("db_name") for call in milvus.list_all_calls())


def test_thirty_thousand_jobs_past_grpcs_default_limit_are_all_there(milvus: PymilvusServer) -> None:
    names = [f"c{number}" for number in range(50)]
    long_source = "s3://lake/" + "folder/" * 20
    milvus.set(databases=databases(lake=names))
    start = int(time.time() * 1000) - 80_000_000
    many = job(0, "c", database="lake", external_source=long_source, start_time=start, end_time=start + 5000)
    milvus.set_jobs({**many, "repeat": 30_000, "step_ms": 1000, "spread": 50})
    samples = once(milvus)
    assert samples.value("snapshot_jobs") == 30_000
    assert samples.total("jobs", state="RefreshCompleted") == 30_000
    assert samples.total("jobs", database="lake", collection="c7") == 600
    newest = samples.all("last_job_info", database="lake", collection="c49")
    assert [labels["job_id"] for labels, _ in newest] == [str(FIRST_ID + 29_999)]


def test_a_state_newer_than_we_are_is_unknown_and_active(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1, state=7, progress=30))
    samples = once(milvus)
    assert states(samples, collection="ext") == {"RefreshUnknown": 1}
    assert samples.value("last_job_state", state="RefreshUnknown") == 1
    assert samples.value("last_job_end_timestamp_seconds") is None
    assert problems(samples) == {"unknown_state": 1}


def test_an_end_before_the_start_makes_no_negative_duration(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    now = int(time.time() * 1000)
    milvus.set_jobs(job(1, start_time=now - 60_000, end_time=now - 90_000))
    samples = once(milvus)
    assert states(samples, collection="ext") == {"RefreshCompleted": 1}
    start, end = samples.value("last_job_start_timestamp_seconds"), samples.value("last_job_end_timestamp_seconds")
    assert start
    assert end
    assert end >= start
    assert (samples.value("last_job_duration_seconds") or 0) >= 0
    assert problems(samples) == {"end_before_start": 1}


@pytest.mark.parametrize(("sent", "shown"), [(250, 1.0), (-3, 0.0)])
def test_progress_outside_0_to_100_is_clamped_and_counted(milvus: PymilvusServer, sent: int, shown: float) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1, state=IN_PROGRESS, progress=sent))
    samples = once(milvus)
    assert samples.value("last_job_progress_ratio") == shown
    assert problems(samples) == {"progress_out_of_range": 1}


@pytest.mark.parametrize(
    ("sent", "pattern"),
    [
        ("s3://lake/" + "x" * 10_240, r"s3://lake/x+.*"),
        ('s3://lake/a"b\\c', r"s3://lake/a.*b.*c"),
        ("s3://lake/a\nb\tc\x1bd\x85e", r"s3://lake/a.*b.*c.*d.*e"),
        ("lake/data", r"lake/data"),
        ("", r""),
        ("数据湖" * 200, r".+"),
    ],
    ids=["10 kB", "quotes", "control characters", "no scheme", "empty", "other scripts, long"],
)
def test_any_source_becomes_one_short_printable_label(milvus: PymilvusServer, sent: str, pattern: str) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1, external_source=sent))
    samples = once(milvus)
    (labels, _), *more = samples.all("last_job_info", collection="ext")
    assert not more
    assert len(labels["source"].encode()) <= 256
    assert labels["source"].isprintable()
    assert re.fullmatch(pattern, labels["source"], re.DOTALL), labels["source"]


def test_a_reason_of_1_mb_is_cut_to_200_characters_that_keep_the_cause(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(
        job(1, state=FAILED, reason="explore external files failed: " + "wrapped: " * 120_000 + "NoSuchBucket")
    )
    samples = once(milvus)
    (labels, value), *more = samples.all("last_failure_info", collection="ext")
    assert not more
    assert value == 1
    assert len(labels["reason"]) <= 200
    assert labels["reason"].endswith("NoSuchBucket")
    assert labels["failure_class"] == "source_not_found"
    assert len(samples.text) < 200_000


def test_a_start_time_of_0_is_absent_and_not_1970(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1, state=IN_PROGRESS, start_time=0))
    samples = once(milvus)
    assert states(samples, collection="ext") == {"RefreshInProgress": 1}
    assert samples.value("last_job_start_timestamp_seconds") is None


def test_a_failed_job_that_is_half_written_is_failed_and_not_yet_dated(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1, state=FAILED, end_time=0, reason=""))
    samples = once(milvus)
    assert states(samples, collection="ext") == {"RefreshFailed": 1}
    assert samples.value("last_job_end_timestamp_seconds") is None
    assert samples.value("last_failure_timestamp_seconds") is None


def test_a_failed_job_with_a_reason_and_no_end_has_failed_just_now(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    before = time.time()
    milvus.set_jobs(job(1, state=FAILED, end_time=0, reason="timeout"))
    samples = once(milvus)
    assert states(samples, collection="ext") == {"RefreshFailed": 1}
    assert before - 1 <= (samples.value("last_failure_timestamp_seconds") or 0) <= time.time() + 1
    assert problems(samples) == {"ended_without_end_time": 1}


def test_what_had_ended_before_the_first_listing_sets_stamps_and_is_not_counted(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    ended = job(1)
    milvus.set_jobs(ended)
    samples = once(milvus)
    assert samples.value("last_success_timestamp_seconds") == pytest.approx(ended["end_time"] / 1000)
    assert samples.value("last_success_duration_seconds") == pytest.approx(30)
    assert samples.value("jobs_finished_total", collection="ext") == 0


def test_an_alias_is_attributed_to_the_collection_it_stands_for(milvus: PymilvusServer) -> None:
    world = databases(lake=["orders"])
    world["lake"]["collections"][0]["aliases"] = ["today"]
    milvus.set(databases=world)
    milvus.set_jobs(job(1, "today", database="lake"))
    assert states(once(milvus), database="lake", collection="orders") == {"RefreshCompleted": 1}


def test_without_any_inventory_privilege_jobs_are_shown_with_an_empty_database(milvus: PymilvusServer) -> None:
    denied = ["ListDatabases", "ShowCollections", "DescribeCollection", "BatchDescribeCollection"]
    milvus.set(databases=databases(lake=["orders"]), auth={"tokens": ["bob:secret1"], "deny": denied})
    milvus.set_jobs(job(1, "orders", database="lake"))
    done = call("once", "--milvus.uri", milvus.uri, env={"MILVUS_TOKEN": "bob:secret1"})
    assert done.returncode == 0, done.stderr
    samples = Samples.of(done.stdout)
    assert samples.value("up") == 1
    assert states(samples, database="", collection="orders") == {"RefreshCompleted": 1}
    assert samples.value("inventory_errors_total", kind="permission_denied") == 1
    assert samples.errors() == {}


def test_the_exposition_leaves_out_the_process_and_promtool_finds_nothing(milvus: PymilvusServer) -> None:
    from peers.parts import program

    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1), job(2, state=FAILED), job(3, state=IN_PROGRESS))
    text = once(milvus).text
    assert not re.search(r"^(process|python)_", text, re.MULTILINE)
    promtool = [program("promtool"), "check", "metrics"]
    checked = subprocess.run(promtool, input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_refused_listing_is_rescued_by_name_and_exits_0(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(default=["ext"]))
    milvus.set_jobs(job(1))
    broken = {"code": 5, "error_code": 1, "reason": "job 12 references missing task 34"}
    milvus.set_fault(LIST_JOBS, status=broken, list_all_only=True)
    samples = once(milvus)
    assert (samples.value("up"), samples.value("poll_partial")) == (1, 1)
    assert states(samples, collection="ext") == {"RefreshCompleted": 1}
    assert samples.errors() == {"server_error": 1}


def test_nothing_listening_exits_1_with_one_sentence_and_an_exposition_that_says_up_0() -> None:
    done = call("once", "--milvus.uri", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    samples = Samples.of(done.stdout)
    assert samples.value("up") == 0
    assert samples.errors() == {"unreachable": 1}
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


FAULTS = {
    "unavailable": ({"grpc": "UNAVAILABLE", "details": "GOAWAY received"}, "unreachable"),
    "hung": ({"hang": True}, "deadline"),
    "unauthenticated": ({"grpc": "UNAUTHENTICATED", "details": "auth check failure"}, "unauthenticated"),
    "status not authenticated": ({"status": {"code": 1400, "error_code": 1}}, "unauthenticated"),
    "permission denied": ({"grpc": "PERMISSION_DENIED", "details": "permission deny to bob"}, "permission_denied"),
    "unimplemented": ({"grpc": "UNIMPLEMENTED", "details": "unknown method"}, "unimplemented"),
    "status unimplemented": ({"status": {"code": 10, "error_code": 1}}, "unimplemented"),
    "status not ready": ({"status": {"code": 1, "error_code": 1}}, "not_ready"),
    "unknown, not ready": ({"grpc": "UNKNOWN", "details": "Milvus Proxy is not ready yet"}, "not_ready"),
    "old not ready": ({"status": {"code": 0, "error_code": 57}}, "not_ready"),
    "rate limit": ({"status": {"code": 8, "error_code": 49}}, "rate_limited"),
    "garbage": ({"raw_hex": "ffffffffff"}, "bad_response"),
    "internal": ({"status": {"code": 65535, "error_code": 1, "reason": "boom"}}, "server_error"),
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
def test_each_way_to_refuse_has_its_kind(milvus: PymilvusServer, fault: dict[str, object], kind: str) -> None:
    milvus.set_fault(LIST_JOBS, **fault)
    done = call("once", "--milvus.uri", milvus.uri, "--poll.timeout", "1s")
    assert done.returncode == 1
    samples = Samples.of(done.stdout)
    assert samples.value("up") == 0
    assert samples.errors() == {kind: 1}
    assert "Traceback" not in done.stderr


def test_an_answer_over_the_limit_has_its_own_kind(milvus: PymilvusServer) -> None:
    milvus.set_jobs(job(1, reason="x" * 200_000))
    done = call("once", "--milvus.uri", milvus.uri, "--milvus.max-response-bytes", "100000")
    assert done.returncode == 1, done.stderr
    assert Samples.of(done.stdout).errors() == {"response_too_large": 1}
