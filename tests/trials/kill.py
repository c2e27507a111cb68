"""Kill the daemon again and again while jobs end, and count: is every ended job counted, and none twice?

    python tests/trials/kill.py [ROUNDS] [SEED]

A simulated Milvus lets a job end every few hundred milliseconds. In each round the daemon, polling every second, runs
on one state file until it is killed (SIGKILL) at a random moment, also before its first poll; in every third round
while a write to the file is under way. In some rounds the disk has no room, in some the file system is read-only. In
the end it runs once more, unharmed, and what it shows is compared with what has ended. Meanwhile no counter may go
back, over all rounds. Needs root, util-linux and Linux. Traffic stays on the loopback interface; a round takes about
two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.exporter import MAIN, Samples, environment  # noqa: E402
from peers.waiting import free_port  # noqa: E402

from exporter.demo import SimulatedMilvus, World  # noqa: E402
from exporter.demo.lives import completing, failing  # noqa: E402
from exporter.ledger import read_state  # noqa: E402

COLLECTIONS = tuple(f"docs_{number}" for number in range(6))
HARM = ("none",) * 6 + ("no growth", "no room", "read-only")
COUNTERS = ("jobs_finished_total", "jobs_failed_total", "jobs_failed_by_class_total", "job_duration_seconds_count")
USUAL_START = 1.0
"""Seconds from the start of a daemon to its first answer on an idle machine, with some room."""


@dataclass
class Tally:
    """What a trial has shown."""

    rounds: int = 0
    kills: int = 0
    published: int = 0
    """Rounds in which the daemon had shown something before it was killed."""
    in_write: int = 0
    """Kills that left a transaction of their own process half written."""
    no_growth: int = 0
    no_room: int = 0
    read_only: int = 0
    unwritten: int = 0
    """Rounds in which the daemon said that it could not write."""
    ended: int = 0
    counted: int = 0
    failed: int = 0
    failed_counted: int = 0
    measured: int = 0
    ids_kept: int = 0
    went_back: int = 0
    """Times a counter was lower than it had been shown before, by whichever process."""
    seconds: int = 0

    @property
    def lost(self) -> int:
        return max(0, self.ended - self.counted)

    @property
    def doubled(self) -> int:
        return max(0, self.counted - self.ended)

    @property
    def good(self) -> bool:
        """Return whether every ended job is counted once, in each of the counters, and none of them went back."""
        counts = (self.counted, self.ids_kept, self.failed_counted + self.measured)
        return counts == (self.ended,) * 3 and self.failed == self.failed_counted and not self.went_back


class Trial:
    """One simulated Milvus, one state file, one daemon at a time."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.state = folder / "state.db"
        self.folder = folder
        self.world = World(time.time(), seed=seed)
        for name in COLLECTIONS:
            self.world.create_collection(name, source=f"s3://lake/{name}/", spec='{"format":"parquet"}')
        self.milvus = SimulatedMilvus(self.world)
        self.submitted: dict[int, bool] = {}
        self.shown: dict[tuple[object, ...], float] = {}
        self.tally = Tally()
        self.address, self.port = "", 0
        self.slowness = 1.0
        """How many times slower than an idle machine this one starts a daemon: kills come the later."""

    async def run(self, rounds: int) -> Tally:
        began = time.monotonic()
        self.address = await self.milvus.start()
        try:
            await self._unharmed()  # the baseline is an empty list
            users = asyncio.create_task(self._submit())
            for _ in range(rounds):
                await self._round()
            users.cancel()
            await self._unharmed()
        finally:
            await self.milvus.stop()
        self.tally.seconds = round(time.monotonic() - began)
        return self.tally

    async def _submit(self) -> None:
        while True:
            fails = self.chance.random() < 0.3
            reason = "no files found in external source: s3://lake"
            life = failing(0.05, 0.1, reason, settle=0.1) if fails else completing(0.05, 0.1, apply=0.1)
            with contextlib.suppress(Exception):  # 703: the last job of that collection is still active
                self.world.advance(time.time())
                self.submitted[self.world.submit(self.chance.choice(COLLECTIONS), life=life)] = fails
            await asyncio.sleep(self.chance.uniform(0.05, 0.25))

    async def _round(self) -> None:
        self.tally.rounds += 1
        harm, before = self.chance.choice(HARM), self._journal()
        if harm == "no room" and before[0]:
            # What a kill has left half written is rolled back in place, which a full disk allows and such a limit not.
            harm = "no growth"
        daemon = self._start(harm)
        # Mostly around its first polls, where memory is read, changed and written.
        alive = self.chance.choice((0.3, 0.9, 1.2, 2.5)) * self.chance.uniform(0.7, 1.3) * self.slowness
        aimed = harm != "read-only" and self.tally.rounds % 3 == 0
        looks = asyncio.create_task(self._looks())
        await asyncio.to_thread(self._wait_for_write if aimed else time.sleep, 4.0 * self.slowness if aimed else alive)
        daemon.send_signal(signal.SIGKILL)
        await asyncio.to_thread(daemon.wait)
        looks.cancel()
        await asyncio.gather(looks, return_exceptions=True)
        self.tally.kills += 1
        left = self._journal()
        self.tally.in_write += left != before and left[0] > 0
        self.tally.no_growth += harm == "no growth"
        self.tally.no_room += harm == "no room"
        self.tally.read_only += harm == "read-only"

    async def _looks(self) -> None:
        """Scrape until cancelled."""
        published = unwritten = False
        try:
            while True:
                await asyncio.sleep(0.05)
                seen = await asyncio.to_thread(self._look)
                if seen is not None:
                    published |= bool(seen.value("up"))
                    unwritten |= seen.value("state_ok") == 0 and bool(seen.value("state_write_errors_total"))
        finally:
            self.tally.published += published
            self.tally.unwritten += unwritten

    def _wait_for_write(self, seconds: float) -> None:
        """Return when a write is under way, after the process's very first, or in vain."""
        until = time.monotonic() + seconds
        skip = self.chance.choice((0.0, 0.5, 1.5))
        time.sleep(skip)
        before = self._journal()
        while time.monotonic() < until and ((now := self._journal()) == before or not now[0]):
            time.sleep(0.0002)

    def _journal(self) -> tuple[int, int]:
        """Return size and time of change of what a transaction under way could be undone from."""
        with contextlib.suppress(FileNotFoundError):
            found = self.state.with_name("state.db-journal").stat()
            return found.st_size, found.st_mtime_ns
        return 0, 0

    async def _unharmed(self) -> None:
        """Let the daemon see everything: all jobs have ended, and three polls are published."""
        await asyncio.sleep(1.0 if self.submitted else 0.0)
        self.world.advance(time.time())
        began, daemon = time.monotonic(), self._start("none")
        try:
            async with asyncio.timeout(60):
                while self._look() is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                self.slowness = max(1.0, (time.monotonic() - began) / USUAL_START)
                while (seen := self._look()) is None or (seen.value("polls_total") or 0) < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        finally:
            daemon.terminate()
            if await asyncio.to_thread(daemon.wait) != 0:
                raise RuntimeError(f"the daemon ended badly, see {self.folder.name}.log")
        self.tally.ended, self.tally.failed = len(self.submitted), sum(self.submitted.values())
        self.tally.counted = int(seen.total("jobs_finished_total"))
        self.tally.failed_counted = int(seen.total("jobs_failed_total"))
        self.tally.measured = int(seen.total("job_duration_seconds_count"))
        self.tally.ids_kept = self._ids_kept()

    def _ids_kept(self) -> int:
        memory = read_state(self.state)
        return len(memory.ended.keys() & self.submitted.keys()) if memory else 0

    def _start(self, harm: str) -> subprocess.Popen[bytes]:
        self.port = free_port()
        flags = (
            *("run", "--milvus.uri", f"http://{self.address}", "--poll.interval", "1s"),
            *("--state.path", str(self.state), "--web.listen-address", f"127.0.0.1:{self.port}"),
        )
        line = [sys.executable, "-c", MAIN, *flags]
        if harm == "read-only":
            mounts = f"mount --bind {self.folder} {self.folder} && mount -o remount,ro,bind {self.folder}"
            line = ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *line]
        if harm in ("no growth", "no room"):  # as a full disk: the file may not grow; nothing can be written at all
            line = ["prlimit", f"--fsize={self.state.stat().st_size if harm == 'no growth' else 1}", *line]
        unlogged = harm in ("no growth", "no room")  # the limit is for every file
        with Path("/dev/null" if unlogged else f"{tempfile.gettempdir()}/{self.folder.name}.log").open("ab") as log:
            return subprocess.Popen(line, env=environment(), stdout=log, stderr=log)

    def _look(self) -> Samples | None:
        """Scrape, if somebody answers; what is shown must never go back."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                seen = Samples.of(answer.read().decode())
        except OSError:
            return None
        for name in COUNTERS:
            for labels, value in seen.all(name):
                key = (name, *sorted(labels.items()))
                self.tally.went_back += value < self.shown.get(key, 0.0)
                self.shown[key] = value
        return seen


def trial(rounds: int, seed: int) -> Tally:
    """Run one trial in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    try:
        return asyncio.run(Trial(folder, seed).run(rounds))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    found = trial(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(found, f"lost={found.lost} doubled={found.doubled}")
    sys.exit(not found.good)
