"""Kill the daemon again and again while jobs end, and count: is every ended job counted, and none twice?

    python tests/trials/kill.py [ROUNDS] [SEED]

A simulated Milvus lets a job end every few hundred milliseconds. In each round the daemon, polling every second, runs
on one state file until it is killed (SIGKILL) at a random moment, also before its first poll; in some rounds the disk
has no room, in some the file system is read-only. In the end it runs once more, unharmed, and what it shows is compared
with what has ended. Traffic stays on the loopback interface; a round takes about a second and a half.
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
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.exporter import MAIN, Samples, environment  # noqa: E402
from peers.waiting import free_port  # noqa: E402

from exporter.demo import SimulatedMilvus, World  # noqa: E402
from exporter.demo.lives import completing, failing  # noqa: E402
from exporter.ledger import read_state  # noqa: E402

COLLECTIONS = tuple(f"docs_{number}" for number in range(6))
HARM = ("none",) * 6 + ("no room", "read-only")


@dataclass
class Tally:
    """What a trial has shown."""

    rounds: int = 0
    kills: int = 0
    no_room: int = 0
    read_only: int = 0
    ended: int = 0
    counted: int = 0
    failed: int = 0
    failed_counted: int = 0
    ids_kept: int = 0
    went_back: int = 0
    """Times a count that had been shown by a process with a usable file was lower later."""
    shown: float = field(default=0.0, repr=False)

    @property
    def lost(self) -> int:
        return max(0, self.ended - self.counted)

    @property
    def doubled(self) -> int:
        return max(0, self.counted - self.ended)


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
        self.tally = Tally()
        self.address, self.port = "", 0

    async def run(self, rounds: int) -> Tally:
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
        harm = self.chance.choice(HARM)
        daemon = self._start(harm)
        # Mostly around its first polls, where memory is read, changed and written.
        alive_until = time.monotonic() + self.chance.choice((0.3, 0.9, 1.2, 2.5)) * self.chance.uniform(0.7, 1.3)
        while time.monotonic() < alive_until:
            await asyncio.sleep(0.05)
            if harm == "none":
                self._look()
        daemon.send_signal(signal.SIGKILL)
        await asyncio.to_thread(daemon.wait)
        self.tally.kills += 1
        self.tally.no_room += harm == "no room"
        self.tally.read_only += harm == "read-only"

    async def _unharmed(self) -> None:
        """Let the daemon see everything: all jobs have ended, and three polls are published."""
        await asyncio.sleep(1.0 if self.submitted else 0.0)
        self.world.advance(time.time())
        daemon = self._start("none")
        try:
            async with asyncio.timeout(30):
                while (seen := self._look()) is None or (seen.value("polls_total") or 0) < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        finally:
            daemon.terminate()
            if await asyncio.to_thread(daemon.wait) != 0:
                raise RuntimeError(f"the daemon ended badly, see {self.folder.name}.log")
        self.tally.ended, self.tally.failed = len(self.submitted), sum(self.submitted.values())
        self.tally.counted = int(seen.total("jobs_finished_total"))
        self.tally.failed_counted = int(seen.total("jobs_failed_total"))
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
        if harm == "no room":  # no file may grow: to SQLite that is a full disk
            line = ["prlimit", f"--fsize={self.state.stat().st_size}", *line]
        with Path(tempfile.gettempdir(), f"{self.folder.name}.log").open("ab") as log:
            return subprocess.Popen(line, env=environment(), stdout=log, stderr=log)

    def _look(self) -> Samples | None:
        """Scrape, if somebody answers; what is shown must never go back."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                seen = Samples.of(answer.read().decode())
        except OSError:
            return None
        shown = seen.total("jobs_finished_total")
        if seen.all("jobs_finished_total"):
            self.tally.went_back += shown < self.tally.shown
            self.tally.shown = shown
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
    sys.exit(bool(found.lost or found.doubled or found.went_back))
