"""The state file under the real command: restarts, a second process, and disks that are full, read-only or damaged."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from peers.exporter import Exporter, Samples, call
from peers.parts import missing
from peers.pymilvus_server import COMPLETED, FAILED, PymilvusServer, databases, job


class Volume:
    """A small disk of its own that only processes begun with :attr:`prefix` see. Use as a context manager."""

    def __init__(self, kilobytes: int = 512) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="volume-"))
        hold = f"mount -t tmpfs -o size={kilobytes}k tmpfs {self.folder} && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", hold], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            self.__exit__()
            missing("this user may not mount (unshare -m, from util-linux, as root)")
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self.folder)

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--")

    def run(self, script: str) -> str:
        line = [*self.prefix, "sh", "-c", f"cd {self.folder} && {script}"]
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=30).stdout

    def fill(self) -> None:
        self.run("dd if=/dev/zero of=ballast bs=1k 2>/dev/null || true")

    def mode(self, mode: str) -> None:
        """Remount ``ro`` or ``rw``."""
        self.run(f"mount -o remount,{mode} {self.folder}")


@pytest.fixture
def volume() -> Iterator[Volume]:
    with Volume() as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def orders(milvus: PymilvusServer) -> PymilvusServer:
    milvus.set(databases=databases(lake=["orders"]))
    return milvus


def ended(first: int, last: int) -> list[dict[str, object]]:
    """Jobs first..last, every third of them failed."""
    return [job(n, "orders", FAILED if n % 3 == 0 else COMPLETED, database="lake") for n in range(first, last + 1)]


def finished(samples: Samples) -> float | None:
    return samples.value("jobs_finished_total", database="lake", collection="orders")


def counted(exporter: Exporter, number: int) -> Samples:
    return exporter.until(lambda now: finished(now) == number, f"{number} jobs counted")


def complaints(exporter: Exporter) -> list[str]:
    return [line for line in exporter.log.splitlines() if " ERROR " in line]


def test_everything_goes_on_after_a_kill_and_after_a_stop(orders: PymilvusServer, path: Path) -> None:
    """Counters, stamps, failures in a row, the histogram, and since when it is known; nothing is counted again."""
    with Exporter(orders.uri, "--state.path", str(path)) as exporter:
        counted(exporter, 0)
        first, last = ended(1, 3), ended(4, 6)
        orders.set_jobs(*first, *last)
        before = counted(exporter, 6)
        for end in (exporter.kill, exporter.stop):
            end()
            orders.set_jobs(*last)
            exporter.start()
            after = exporter.next_poll()
            assert after.value("state_ok") == 1
            for name in (
                *("jobs_finished_total", "jobs_failed_total", "last_success_timestamp_seconds"),
                *("last_failure_timestamp_seconds", "consecutive_failures", "job_duration_seconds_bucket"),
                *("jobs_failed_by_class_total", "outcomes_known_since_timestamp_seconds", "last_failure_info"),
            ):
                assert after.all(name) == before.all(name), name


def test_a_restart_while_milvus_is_away(orders: PymilvusServer, path: Path) -> None:
    """The age of the data is shown from the file; counters wait for the first listing."""
    with Exporter(orders.uri, "--state.path", str(path)) as exporter:
        counted(exporter, 0)
        orders.set_jobs(*ended(1, 3))
        before = counted(exporter, 3)
        exporter.stop()
        orders.kill()
        exporter.start()
        away = exporter.next_poll()
        assert away.value("up") == 0
        for name in ("last_success_timestamp_seconds", "last_failure_timestamp_seconds", "consecutive_failures"):
            assert away.all(name) == before.all(name)
        assert (finished(away), away.all("job_duration_seconds_bucket")) == (None, [])
        orders.start()
        counted(exporter, 3)


def test_a_second_process_serves_from_memory_and_harms_nothing(orders: PymilvusServer, path: Path) -> None:
    """Two writers would count everything twice."""
    with Exporter(orders.uri, "--state.path", str(path)) as first:
        counted(first, 0)
        orders.set_jobs(*ended(1, 3))
        counted(first, 3)
        with Exporter(orders.uri, "--state.path", str(path)) as second:
            seen = second.next_poll()
            assert (seen.value("up"), seen.value("state_ok"), finished(seen)) == (1, 0, 0)
            assert len(complaints(second)) == 1
            assert f"{path}: another process uses it; give each exporter a file of its own" in complaints(second)[0]
            assert second.stop() == 0
        assert first.next_poll().value("state_ok") == 1
        first.kill()
        first.start()
        counted(first, 3)


def test_a_damaged_file_is_left_alone_and_check_says_so(orders: PymilvusServer, path: Path) -> None:
    """One line, service from memory, and the same again at each restart: no reset and no crash loop."""
    path.write_bytes(b"\0" * 5000)
    with Exporter(orders.uri, "--state.path", str(path)) as exporter:
        for _ in range(2):
            seen = exporter.next_poll()
            assert (seen.value("up"), seen.value("state_ok")) == (1, 0)
            assert exporter.stop() == 0
            exporter.start()
        assert len(complaints(exporter)) == 3
        assert "is no state file; name another in state.path" in complaints(exporter)[0]
    assert path.read_bytes() == b"\0" * 5000
    done = call("check", "--milvus.uri", orders.uri, "--state.path", str(path))
    assert done.returncode == 1
    assert f"FAIL  state file       {path}: is no state file" in done.stdout
    done = call("once", "--milvus.uri", orders.uri, "--state.path", str(path))
    assert done.returncode == 0
    assert "the state file cannot be used, going on from memory" in done.stderr
    assert path.read_bytes() == b"\0" * 5000


def test_once_and_check_look_on_without_writing(orders: PymilvusServer, path: Path) -> None:
    """While a daemon runs and holds the lock, and when nobody does."""
    with Exporter(orders.uri, "--state.path", str(path)) as exporter:
        counted(exporter, 0)
        orders.set_jobs(*ended(1, 3))
        counted(exporter, 3)
        for daemon in (True, False):
            if not daemon:
                exporter.stop()
            content = path.read_bytes()
            seen = call("once", "--milvus.uri", orders.uri, "--state.path", str(path))
            assert (seen.returncode, seen.stderr) == (0, "") or " INFO " in seen.stderr
            assert finished(Samples.of(seen.stdout)) == 3
            done = call("check", "--milvus.uri", orders.uri, "--state.path", str(path))
            assert done.returncode == 0, done.stdout
            assert f"ok    state file       {path} remembers 1 collection\n" in done.stdout
            assert path.read_bytes() == content
        assert complaints(exporter) == []


def test_once_reads_from_a_disk_that_is_read_only_after_a_kill_in_the_middle_of_a_write(
    orders: PymilvusServer, volume: Volume
) -> None:
    """What was half written is undone in a copy."""
    path = volume.folder / "state.db"
    flags = ("--milvus.uri", orders.uri, "--state.path", str(path))
    with Exporter(orders.uri, "--state.path", str(path), prefix=volume.prefix) as exporter:
        counted(exporter, 0)
        orders.set_jobs(*ended(1, 3))
        counted(exporter, 3)
        exporter.stop()
    program = (
        "import sqlite3, os; c = sqlite3.connect('state.db', isolation_level=None); c.execute('PRAGMA cache_size = 1');"
        "c.execute('BEGIN'); c.execute('DELETE FROM outcomes'); c.execute('UPDATE ended SET known = 0');"
        "c.executemany('INSERT INTO memory VALUES (?, ?, 0)', [(str(n), 'x' * 500) for n in range(200)]);"
        "os.kill(os.getpid(), 9)"
    )
    volume.run(f'python3 -c "{program}" || true')
    assert int(volume.run("stat -c %s state.db-journal")) > 0, "nothing was half written"
    volume.mode("ro")
    seen = call("once", *flags, prefix=volume.prefix)
    assert seen.returncode == 0, seen.stderr
    assert " ERROR " not in seen.stderr
    assert finished(Samples.of(seen.stdout)) == 3
    done = call("check", *flags, prefix=volume.prefix)
    assert f"FAIL  state file       {path}: cannot be written, or its folder" in done.stdout
    volume.mode("rw")
    with Exporter(orders.uri, "--state.path", str(path), prefix=volume.prefix) as exporter:
        assert finished(exporter.next_poll()) == 3
        assert complaints(exporter) == []


@pytest.mark.parametrize("harm", ["full", "read-only"])
def test_a_disk_that_cannot_be_written_for_a_while(orders: PymilvusServer, volume: Volume, harm: str) -> None:
    """While running and at a start: counts go on, one error line each time, and all is caught up when it is over."""
    path = volume.folder / "state.db"

    def begin() -> None:
        volume.fill() if harm == "full" else volume.mode("ro")

    def over() -> None:
        volume.run("rm ballast") if harm == "full" else volume.mode("rw")

    with Exporter(orders.uri, "--state.path", str(path), prefix=volume.prefix) as exporter:
        counted(exporter, 0)
        if harm == "full":
            begin()
        else:  # Linux refuses it while somebody writes
            exporter.stop()
            begin()
            exporter.start()
        orders.set_jobs(*ended(1, 500))
        counted(exporter, 500)
        seen = exporter.until(lambda now: now.value("state_ok") == 0, "state_ok 0")
        assert seen.value("up") == 1
        assert (seen.value("state_write_errors_total") or 0) > 0
        exporter.next_poll()
        assert len(complaints(exporter)) == 1
        assert f"{path}: " in complaints(exporter)[0]
        over()
        exporter.until(lambda now: now.value("state_ok") == 1, "state_ok 1")
        assert "the state file is written again" in exporter.log
        exporter.kill()

        begin()
        exporter.start()
        seen = exporter.next_poll()
        assert (finished(seen), seen.value("state_ok"), seen.value("up")) == (500, 0, 1)
        orders.set_jobs(*ended(1, 510))
        counted(exporter, 510)
        assert len(complaints(exporter)) == 2
        over()
        exporter.until(lambda now: now.value("state_ok") == 1, "state_ok 1")
        exporter.kill()
        orders.set_jobs()
        exporter.start()
        counted(exporter, 510)


def test_a_volume_that_is_full_from_the_very_start(orders: PymilvusServer, volume: Volume) -> None:
    """No file can be made, and one is as soon as there is room."""
    volume.fill()
    path = volume.folder / "state.db"
    with Exporter(orders.uri, "--state.path", str(path), prefix=volume.prefix) as exporter:
        seen = exporter.next_poll()
        assert (seen.value("up"), seen.value("state_ok")) == (1, 0)
        assert len(complaints(exporter)) == 1
        orders.set_jobs(*ended(1, 5))
        counted(exporter, 5)
        volume.run("rm ballast")
        exporter.until(lambda now: now.value("state_ok") == 1, "state_ok 1")
        exporter.kill()
        exporter.start()
        counted(exporter, 5)
