"""What the running daemon remembers: nothing that the labels leave out, and nothing that is another's."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from peers.exporter import Exporter, Samples, call
from peers.many import Configured
from peers.pymilvus_server import COMPLETED, FAILED, IN_PROGRESS, PymilvusServer, collection, databases, job
from peers.waiting import until

DAY_MS = 86_400_000
OUTCOMES = ("jobs_finished_total", "jobs_failed_total", "consecutive_failures")
STAMPS = ("last_success_timestamp_seconds", "last_failure_timestamp_seconds")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def other() -> Iterator[PymilvusServer]:
    with PymilvusServer() as server:
        yield server


def counts(now: Samples, name: str = "orders", database: str = "lake") -> tuple[float | None, ...]:
    """Return finished jobs, failed jobs, and failures in a row."""
    return tuple(now.value(metric, collection=name, database=database) for metric in OUTCOMES)


def stamps(now: Samples, name: str = "orders", database: str = "lake") -> tuple[float | None, ...]:
    """Return last success and last failure."""
    return tuple(now.value(metric, collection=name, database=database) for metric in STAMPS)


def failures(first: int, last: int, **more: Any) -> list[dict[str, Any]]:
    return [job(number, "orders", FAILED, database="lake", **more) for number in range(first, last + 1)]


# Labels that are left out

SOURCE_WORD, REASON_WORD = "quiltbucket", "zebrafolder"
SHOWN = {"source": "path", "failure_reason": "safe"}
LEFT_OUT = {"source": "none", "failure_reason": "none"}
PAGES = (
    *("/metrics", "/", "/?collection=orders", "/config", "/api/v1/collections", "/api/v1/jobs"),
    "/api/v1/history?database=lake&collection=orders",
)


def with_words(number: int, state: int) -> dict[str, Any]:
    """Build a job whose source and, if it failed, whose reason can be found again."""
    source = f"s3://{SOURCE_WORD}/data"
    reason = f"no files found in external source: s3://lake/{REASON_WORD}" if state == FAILED else ""
    return job(number, "orders", state, database="lake", external_source=source, reason=reason)


def words(content: bytes) -> set[str]:
    return {word for word in (SOURCE_WORD, REASON_WORD) if word.encode() in content}


def told(daemon: Exporter) -> dict[str, set[str]]:
    """Return what each page tells of the two words, those that tell nothing left out."""
    answers = {page: daemon.get(page) for page in PAGES}
    assert {answer.status for answer in answers.values()} == {200}
    openmetrics = daemon.get("/metrics", accept="application/openmetrics-text;version=1.0.0")
    found = {page: words(answer.body) for page, answer in {**answers, "OpenMetrics": openmetrics}.items()}
    return {page: there for page, there in found.items() if there}


def kept(path: Path) -> dict[str, set[str]]:
    """Return what the state file, and whatever lies beside it, holds of the two words."""
    found = {file.name: words(file.read_bytes()) for file in path.parent.glob(f"{path.name}*")}
    return {name: there for name, there in found.items() if there}


@pytest.fixture
def worded(milvus: PymilvusServer) -> PymilvusServer:
    """A Milvus whose texts are to be left out later: listed jobs and a collection's own source."""
    described = databases(lake=["orders"])
    described["lake"]["collections"][0]["source"] = f"s3://{SOURCE_WORD}/data"
    milvus.set(databases=described)
    return milvus


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "forgotten by Milvus"])
@pytest.mark.parametrize("way", ["reload", "restart", "restart after a kill"])
def test_nothing_of_older_texts_is_told_or_kept_once_labels_leave_them_out(
    worded: PymilvusServer, path: Path, tmp_path: Path, way: str, listed: bool
) -> None:
    """In no page, not in what ``once`` prints, not in the log from then on, and not in a byte of the state file."""
    sections: dict[str, Any] = {"milvus": {"uri": worded.uri}, "state": {"path": str(path)}}
    with Configured(tmp_path, **sections, labels=SHOWN) as daemon:
        daemon.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        worded.set_jobs(with_words(1, COMPLETED), *(with_words(number, FAILED) for number in range(2, 40)))
        daemon.until(lambda now: counts(now) == (39, 38, 38), "the jobs")
        if not listed:
            worded.set_jobs()
            daemon.next_poll()
        everywhere = {page for page, there in told(daemon).items() if there == {SOURCE_WORD, REASON_WORD}}
        assert everywhere >= {"/metrics", "OpenMetrics", "/api/v1/history?database=lake&collection=orders"} - (
            set() if listed else {"/metrics", "OpenMetrics"}
        )
        assert kept(path)["state.db"] == {SOURCE_WORD, REASON_WORD}
        log = len(daemon.log)

        if way == "reload":
            assert daemon.reload(**sections, labels=LEFT_OUT).status == 200
        else:
            daemon.kill() if "kill" in way else daemon.stop()
            daemon.write(**sections, labels=LEFT_OUT)
            daemon.start()
        assert told(daemon) == {}, "before the next poll"
        now = daemon.next_poll()
        assert counts(now) == (39, 38, 38)
        assert now.value("last_failure_info", collection="orders", failure_class="source_empty", reason="") == 1
        assert told(daemon) == {}
        assert kept(path) == {}
        done = call("once", "--config.file", str(daemon.file))
        assert counts(Samples.of(done.stdout)) == (39, 38, 38)
        assert words((done.stdout + done.stderr).encode()) == set()
        daemon.stop()
        assert words(daemon.log[log:].encode()) == set()
        assert kept(path) == {}


def test_once_leaves_out_what_the_file_still_holds(worded: PymilvusServer, path: Path, tmp_path: Path) -> None:
    """It may not write, so the file stays as it is; what is printed does not."""
    sections: dict[str, Any] = {"milvus": {"uri": worded.uri}, "state": {"path": str(path)}}
    with Configured(tmp_path, **sections, labels=SHOWN) as daemon:
        daemon.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        worded.set_jobs(with_words(1, FAILED))
        daemon.until(lambda now: counts(now) == (1, 1, 1), "the failure")
        worded.set_jobs()
        daemon.next_poll()
        before = path.read_bytes()
        for labels, right in ((SHOWN, {REASON_WORD}), (LEFT_OUT, set())):
            file = tmp_path / "once.yaml"
            daemon.file, saved = file, daemon.file
            daemon.write(**sections, labels=labels)
            daemon.file = saved
            done = call("once", "--config.file", str(file))
            assert counts(Samples.of(done.stdout)) == (1, 1, 1)
            assert words((done.stdout + done.stderr).encode()) - {SOURCE_WORD} == right
        assert words(done.stdout.encode()) == set()
        assert path.read_bytes() == before


# Collections that were dropped


def created(number: int, milliseconds: int) -> dict[str, Any]:
    return {"lake": {"id": 1, "collections": [collection("orders", number, created_ms=milliseconds)]}}


@pytest.mark.parametrize("when", ["before the stop", "while it is down"])
def test_a_collection_created_anew_inherits_no_success(milvus: PymilvusServer, path: Path, when: str) -> None:
    """Milvus still lists the old one's job, and at the restart nobody can say which collections there are."""
    now_ms = int(time.time() * 1000)
    milvus.set(databases=created(1000, now_ms - DAY_MS))
    old = job(1, "orders", COMPLETED, database="lake", start_time=now_ms - 60_000, end_time=now_ms - 50_000)
    flags = ("--state.path", str(path), "--inventory.interval", "1s")
    with Exporter(milvus.uri, *flags) as exporter:
        exporter.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        milvus.set_jobs(old)
        exporter.until(lambda now: counts(now) == (1, 0, 0) and stamps(now)[0], "the success")
        anew = created(2000, now_ms - 10_000)
        if when == "before the stop":
            milvus.set(databases=anew)
            exporter.until(lambda now: stamps(now) == (None, None), "nothing of the old one is told")
        exporter.stop()
        milvus.set(databases=anew)
        milvus.set_fault("ListDatabases", status={"code": 65535, "error_code": 1, "reason": "not now"})
        exporter.start()
        seen = exporter.next_poll()
        assert seen.total("inventory_errors_total") > 0
        if when == "before the stop":
            assert stamps(seen) == (None, None)
        milvus.clear_faults()
        exporter.until(lambda now: now.value("inventory_last_success_timestamp_seconds"), "an inventory")
        for _ in range(2):
            seen = exporter.next_poll()
            assert stamps(seen) == (None, None)
            milvus.set_jobs()


@pytest.mark.parametrize("way", ["restart", "kill", "gap"])
def test_a_running_job_of_a_collection_that_is_dropped_fails(milvus: PymilvusServer, path: Path, way: str) -> None:
    """It is no failure of the collection that bears the same name in another database."""
    both, one = databases(default=["orders"], two=["orders"]), databases(default=["orders"], two=[])
    flags = ("--state.path", str(path), "--inventory.interval", "1s")
    milvus.set(databases=both)
    with Exporter(milvus.uri, *flags) as exporter:
        exporter.until(lambda now: counts(now, database="two") == (0, 0, 0), "the counters at 0")
        milvus.set_jobs(job(1, "orders", IN_PROGRESS, database="two"))
        exporter.until(
            lambda now: now.value("jobs", database="two", collection="orders", state="RefreshInProgress"), "the job"
        )
        exporter.next_poll()
        milvus.set(databases=one)
        if way == "gap":
            milvus.set_jobs()
            exporter.next_poll()
        else:
            exporter.stop() if way == "restart" else exporter.kill()
            exporter.start()
        began = time.time()
        inventory = "inventory_last_success_timestamp_seconds"
        exporter.until(lambda now: (now.value(inventory) or 0) > began, "an inventory without the collection")
        milvus.set_jobs(job(1, "orders", FAILED, database="two", reason="task result not found"))
        for _ in range(2):
            seen = exporter.next_poll()
            assert counts(seen, database="default") == (0, 0, 0)
            assert stamps(seen, database="default") == (None, None)


# Another Milvus

BEGINS_ANEW = "another Milvus answers"


COUNTS_THEM = pytest.mark.xfail(strict=True, reason="jobs that ended after all that are known are counted")
THEIR_JOBS = [
    pytest.param("older", id="their jobs are older than ours"),
    pytest.param("between", id="their jobs began before ours and ended after them"),
    pytest.param("newer", id="their jobs are newer than ours", marks=COUNTS_THEM),
]


def lists_old_jobs(server: PymilvusServer, age: str) -> list[dict[str, Any]]:
    """Let another Milvus have a collection of the same name, and ten jobs that all ended a while ago. Returns them."""
    newest = {"older": 3600, "between": 30, "newer": 30}[age]
    apart = 60 if age == "between" else 1
    now = int(time.time())
    ends = [(now - newest - apart * (10 - number)) * 1000 for number in range(1, 11)]
    jobs = [
        job(500 + n, "orders", FAILED, database="lake", start_time=end - 1000, end_time=end) for n, end in enumerate(ends, 1)
    ]
    server.set(databases={"lake": {"id": 1, "collections": [collection("orders", 7777)]}})
    server.set_jobs(*jobs)
    return jobs


def lines(exporter: Exporter, text: str) -> int:
    return sum(text in line for line in exporter.log.splitlines())


@pytest.mark.parametrize("age", THEIR_JOBS)
@pytest.mark.parametrize("state", [True, False], ids=["state file", "no state file"])
def test_another_milvus_by_reload_begins_with_a_baseline(
    milvus: PymilvusServer, other: PymilvusServer, path: Path, tmp_path: Path, state: bool, age: str
) -> None:
    """Its old jobs are counted by nobody, its new ones are; a restart changes nothing, and the log says it once."""
    more: dict[str, Any] = {"state": {"path": str(path)}} if state else {}
    milvus.set(databases=databases(lake=["orders"]))
    with Configured(tmp_path, milvus={"uri": milvus.uri}, **more) as daemon:
        daemon.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        milvus.set_jobs(*failures(1, 3), job(4, "orders", database="lake"))
        daemon.until(lambda now: counts(now)[:2] == (4, 3), "our jobs")
        logged = lines(daemon, "refresh failed")
        old = lists_old_jobs(other, age)
        daemon.write(milvus={"uri": other.uri}, **more)
        daemon.signal(signal.SIGHUP)
        until(other.list_all_calls, "the other one is asked")
        for _ in range(3):
            seen = daemon.next_poll()
            assert counts(seen) == (0, 0, 10)
        assert lines(daemon, "refresh failed") == logged
        other.set_jobs(*old, *failures(539, 539))
        daemon.until(lambda now: counts(now) == (1, 1, 11), "a new failure")
        if state:
            for end in (daemon.stop, daemon.kill):
                end()
                daemon.start()
                assert counts(daemon.next_poll()) == (1, 1, 11)
        assert lines(daemon, BEGINS_ANEW) == 1


@pytest.mark.parametrize("age", THEIR_JOBS)
def test_a_state_file_that_was_copied_to_another_cluster(
    milvus: PymilvusServer, other: PymilvusServer, path: Path, tmp_path: Path, age: str
) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    with Exporter(milvus.uri, "--state.path", str(path)) as exporter:
        exporter.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        milvus.set_jobs(*failures(1, 3))
        exporter.until(lambda now: counts(now) == (3, 3, 3), "our jobs")
        exporter.stop()
    copied = tmp_path / "copied.db"
    shutil.copyfile(path, copied)
    old = lists_old_jobs(other, age)
    with Exporter(other.uri, "--state.path", str(copied)) as exporter:
        for _ in range(2):
            assert counts(exporter.next_poll()) == (0, 0, 10)
        assert (lines(exporter, "refresh failed"), lines(exporter, BEGINS_ANEW)) == (0, 1)
        other.set_jobs(*old, *failures(539, 539))
        exporter.until(lambda now: counts(now) == (1, 1, 11), "a new failure")
        exporter.stop()
        exporter.start()
        assert counts(exporter.next_poll()) == (1, 1, 11)
        assert lines(exporter, BEGINS_ANEW) == 1


def test_a_milvus_that_was_set_up_anew_at_the_same_address(milvus: PymilvusServer, path: Path) -> None:
    """Only its jobs and collections tell it from the former one."""
    milvus.set(databases=databases(lake=["orders"]))
    with Exporter(milvus.uri, "--state.path", str(path)) as exporter:
        exporter.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        milvus.set_jobs(*failures(1, 3))
        exporter.until(lambda now: counts(now) == (3, 3, 3), "the former one's jobs")
        exporter.stop()
        lists_old_jobs(milvus, "older")
        exporter.start()
        assert counts(exporter.next_poll()) == (0, 0, 10)
        assert lines(exporter, BEGINS_ANEW) == 1


@pytest.mark.parametrize("listed", [True, False], ids=["jobs listed", "jobs forgotten"])
def test_the_same_milvus_under_another_name_is_no_other_one(
    milvus: PymilvusServer, path: Path, tmp_path: Path, listed: bool
) -> None:
    """An address is not an identity: nothing is forgotten, by reload or restart."""
    milvus.set(databases=databases(lake=["orders"]))
    more = {"state": {"path": str(path)}}
    named = {"uri": milvus.uri.replace("127.0.0.1", "localhost")}
    with Configured(tmp_path, milvus={"uri": milvus.uri}, **more) as daemon:
        daemon.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        milvus.set_jobs(*failures(1, 3))
        before = daemon.until(lambda now: counts(now) == (3, 3, 3), "the jobs")
        if not listed:
            milvus.set_jobs()
            daemon.next_poll()
        assert daemon.reload(milvus=named, **more).status == 200
        now = daemon.next_poll()
        assert (counts(now), stamps(now)) == ((3, 3, 3), stamps(before))
        daemon.stop()
        daemon.write(milvus={"uri": milvus.uri}, **more)
        daemon.start()
        now = daemon.next_poll()
        assert (counts(now), stamps(now)) == ((3, 3, 3), stamps(before))
        assert lines(daemon, BEGINS_ANEW) == 0


# One file, one writer, one reader


def bound(path: Path, second: Path) -> None:
    second.touch()
    done = subprocess.run(["mount", "--bind", path, second], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")


@pytest.mark.parametrize("way", ["hard link", "second mount", "symbolic link"])
def test_a_second_daemon_on_the_same_file_by_another_name(
    milvus: PymilvusServer, path: Path, tmp_path: Path, way: str
) -> None:
    """It is refused the file: it serves from memory, says so in one line, and the first one's counts stay right."""
    milvus.set(databases=databases(lake=["orders"]))
    (tmp_path / "elsewhere").mkdir()
    second = tmp_path / "elsewhere" / "other.db"
    with Exporter(milvus.uri, "--state.path", str(path)) as first:
        first.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
        {"hard link": os.link, "second mount": bound, "symbolic link": os.symlink}[way](path, second)
        try:
            with Exporter(milvus.uri, "--state.path", str(second)) as refused:
                seen = refused.next_poll()
                assert (seen.value("up"), seen.value("state_ok")) == (1, 0)
                milvus.set_jobs(*failures(1, 3))
                refused.until(lambda now: counts(now) == (3, 3, 3), "counted from memory")
                complaints = [line for line in refused.log.splitlines() if " ERROR " in line]
                assert len(complaints) == 1
                assert "the state file cannot be used, going on from memory" in complaints[0]
                assert refused.stop() == 0
            first.until(lambda now: counts(now) == (3, 3, 3), "counted by the first one")
            assert first.next_poll().value("state_ok") == 1
        finally:
            if way == "second mount":
                subprocess.run(["umount", second], check=True)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_file_lock_and_journal_are_readable_by_their_owner_alone(milvus: PymilvusServer, path: Path) -> None:
    """Whatever the process's mask lets through, and also where an older version had left them open."""
    milvus.set(databases=databases(lake=["orders"]))
    before = os.umask(0)
    try:
        with Exporter(milvus.uri, "--state.path", str(path)) as exporter:
            exporter.until(lambda now: counts(now) == (0, 0, 0), "the counters at 0")
            files = sorted(path.parent.glob("state.db*"))
            assert len(files) >= 2, files
            assert {file.name: mode(file) for file in files} == {file.name: 0o600 for file in files}
            journal = path.with_name("state.db-journal")
            with closing(sqlite3.connect(path, isolation_level=None)) as reader:  # while one reads, a write cannot end
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM sqlite_master").fetchall()
                milvus.set_jobs(*failures(1, 3))
                until(journal.exists, "a journal", every=0.001)
                assert mode(journal) == 0o600
            exporter.until(lambda now: counts(now) == (3, 3, 3), "the jobs")
            exporter.stop()
            for file in files:
                file.chmod(0o644)
            exporter.start()
            assert counts(exporter.next_poll()) == (3, 3, 3)
            assert {file.name: mode(file) for file in files} == {file.name: 0o600 for file in files}
    finally:
        os.umask(before)
