"""A simulated Milvus in a process of its own whose users never rest: ``python churning_milvus.py SEED NOW``.

It says ``{"address": "host:port"}`` on standard output, then answers each line, a moment in epoch seconds, with what
has ended by then, once all that its users do until then is done. Time goes by those moments alone. After ``calm``
instead of a moment everything is put right, its users rest, and it tells how many jobs of each collection have ended.
End of input ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from exporter.demo import SimulatedMilvus, World  # noqa: E402
from exporter.demo.lives import Life, completing, failing, stuck_pending  # noqa: E402
from exporter.demo.refusals import Denied, Refused  # noqa: E402

SPEED = 12
"""Milvus forgets an ended job after two hours instead of a day: enough for thousands to come and go."""
DATABASES = ("default", "lake", "sales", "hr")
COLLECTIONS = 32
JOB, CHANGE, TROUBLE = 0.06, 0.04, 0.008
"""How likely at each step: a job for each collection; a change of one collection; the beginning of a trouble."""
LONGEST = 6
"""Steps that a trouble lasts, far less than a job stays listed."""
REASONS = (
    "no files found in external source: invalid parameter",
    "AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied, request id {}",
    "worker failure {}/10: query task failed: rpc error: code = Unavailable desc = DataNode lost",
)


class Hands:
    """Both hands of a clock, turned from outside."""

    def __init__(self, now: float) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@dataclass
class Ended:
    """Jobs by collection id that have ended."""

    jobs: Counter[int]
    failed: int = 0


class Churn:
    """The world, its server, its users and its troubles."""

    def __init__(self, seed: int, now: float) -> None:
        self.chance = random.Random(seed)
        self.hands = Hands(now)
        self.world = World(now, seed=seed, speed=SPEED)
        self.milvus = SimulatedMilvus(self.world, clock=self.hands)
        self.address = ""
        self.places: dict[int, tuple[str, str]] = {}
        self.owners: dict[int, int] = {}
        self.seen: set[int] = set()
        self.ended = Ended(Counter())
        self.made = 0
        self.trouble, self.left = "", 0
        self.resting = self.changed = False
        for name in DATABASES[1:]:
            self.world.names.add_database(name, now)
        for name in DATABASES:  # these stay: a database's counters live as long as it has a collection
            self.create(name, "steady")
        self.steady = frozenset(self.places)
        for _ in range(COLLECTIONS):
            self.create()

    async def step(self, now: float) -> None:
        """Let everything happen until ``now``."""
        self.hands.now, self.changed = now, False
        self.world.advance(now)
        if not self.resting:
            await self.brave()
        self.look()
        if not self.resting:
            self.use()

    def use(self) -> None:
        """Do what users do. What they change has been polled before; whose an unseen job was, nobody could tell."""
        if self.left < -2 and self.chance.random() < CHANGE:
            self.changed = True
            less = self.drop if len(self.places) > COLLECTIONS else self.create
            self.chance.choice((self.create, less, self.recreate, self.rename))()
        for number in list(self.places):
            if self.chance.random() < JOB:
                self.submit(number)

    async def calm(self) -> None:
        self.resting = True
        await self.put_right()
        self.look()

    def look(self) -> None:
        """Note what has ended. A broken job hides the others, for less long than they stay listed."""
        with contextlib.suppress(Refused):
            for job in self.world.list_jobs():
                if job.end_ms and job.job_id not in self.seen:
                    self.seen.add(job.job_id)
                    self.ended.jobs[self.owners[job.job_id]] += 1
                    self.ended.failed += job.state == 3

    def submit(self, number: int) -> None:
        database, name = self.places[number]
        typed = (
            {"source": f"s3://other/{self.chance.randrange(3)}/", "spec": "{}"} if self.chance.random() < 0.1 else {}
        )
        with contextlib.suppress(Refused):  # 703: the last one is still active
            self.owners[self.world.submit(name, database=database, life=self.life(), **typed)] = number

    def life(self) -> Life:
        """Return a life at speed 1: minutes to two hours."""
        explore, run = self.chance.uniform(1, 200), self.chance.uniform(10, 4_000)
        kind = self.chance.random()
        if kind < 0.02:
            return stuck_pending("no such bucket")
        if kind < 0.3:
            # Many texts, and not new ones for ever: what remembers texts, within bounds, is full after the warm-up.
            reason = self.chance.choice(REASONS).format(self.chance.randrange(500))
            return failing(explore, run, reason, settle=self.chance.choice((10.0, 600.0)))
        return completing(explore, run, tasks=self.chance.randrange(1, 5))

    # What users do to collections

    def create(self, database: str = "", name: str = "") -> None:
        if len(self.places) > COLLECTIONS + 8:
            self.drop()
        self.made += 1
        # A name may be in several databases at once.
        database = database or self.chance.choice(DATABASES)
        name = name or f"docs_{self.chance.randrange(3 * COLLECTIONS)}"
        with contextlib.suppress(Refused):  # the name is taken
            number = self.world.create_collection(name, database=database, source=f"s3://lake/{name}/", spec="{}")
            self.places[number] = (database, name)

    def drop(self) -> tuple[str, str]:
        number = self.any()
        database, name = self.places.pop(number)
        self.world.drop(name, database=database)
        return database, name

    def any(self) -> int:
        """Return the id of some collection that does not stay for ever."""
        return self.chance.choice([number for number in self.places if number not in self.steady])

    def recreate(self) -> None:
        self.create(*self.drop())

    def rename(self) -> None:
        number = self.any()
        database, name = self.places[number]
        new = f"texts_{self.chance.randrange(3 * COLLECTIONS)}"
        with contextlib.suppress(Refused):
            self.world.names.rename(database, name, new)
            self.places[number] = (database, new)

    # What goes wrong

    async def brave(self) -> None:
        """Begin a trouble, or let one end."""
        self.left -= 1
        if self.trouble and self.left <= 0:
            await self.put_right()
        elif not self.trouble and self.chance.random() < TROUBLE:
            self.trouble = self.chance.choice(list(self.troubles))
            self.left = self.chance.randint(1, LONGEST)
            await self.troubles[self.trouble]()

    @property
    def troubles(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "down": self._down,
            "stopped": self.milvus.stop,
            "hung": self._hung,
            "not ready": self._not_ready,
            "limited": self._limited,
            "unauthenticated": self._unauthenticated,
            "no inventory": self._no_inventory,
            "broken job": self._broken_job,
        }

    async def put_right(self) -> None:
        self.trouble = ""
        self.world.mend()
        faults = self.milvus.faults
        faults.down, faults.refusal, faults.denial, faults.unknown_methods = False, None, None, frozenset()
        faults.resume()
        if not self.milvus.serving:
            await self.milvus.start(self.address)

    async def _down(self) -> None:
        self.milvus.faults.down = True

    async def _hung(self) -> None:
        self.milvus.faults.hang()

    async def _not_ready(self) -> None:
        self.milvus.faults.refusal = Refused(1, "service not ready[mixcoord=1]: Initializing")

    async def _limited(self) -> None:
        self.milvus.faults.refusal = Refused(8, "rate limit exceeded[rate=0.5]")

    async def _unauthenticated(self) -> None:
        self.milvus.faults.denial = Denied("UNAUTHENTICATED", "auth check failure")

    async def _no_inventory(self) -> None:
        self.milvus.faults.unknown_methods = frozenset(
            {"ShowCollections", "DescribeCollection", "BatchDescribeCollection"}
        )

    async def _broken_job(self) -> None:
        with contextlib.suppress(ValueError):  # there is none
            self.world.break_one_job()

    def tell(self) -> dict[str, Any]:
        """Return what a parent is to know."""
        told: dict[str, Any] = {"ended": self.ended.jobs.total(), "failed": self.ended.failed}
        if self.resting:
            told["collections"] = [(*place, self.ended.jobs[number]) for number, place in self.places.items()]
        return {**told, "trouble": self.trouble, "changed": self.changed, "created": self.made}


async def main() -> None:
    churn = Churn(int(sys.argv[1]), float(sys.argv[2]))
    churn.address = await churn.milvus.start()
    say({"address": churn.address})
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        await (churn.calm() if line.strip() == b"calm" else churn.step(float(line)))
        say(churn.tell())
    await churn.milvus.stop()


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
