"""What can go wrong with a Milvus as a whole: switched by hand, or by a plan that is a function of time.

A plan is divided by the speed, as job lives are; what is switched by hand lasts as long as it says.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from exporter.demo.refusals import NOT_READY, UNAVAILABLE, Denied, Refused, missing


class Trouble(Enum):
    """One kind of trouble."""

    DOWN = "every call ends UNAVAILABLE"
    RESTART = "status 1, then status 2, then UNAVAILABLE"
    HANG = "no call is answered"
    BROKEN_JOB = "one inconsistent job breaks every listing that has it"


@dataclass(frozen=True, slots=True)
class Spell:
    """One trouble of a plan: it begins ``after`` seconds of health and lasts ``lasting`` seconds, at speed 1."""

    trouble: Trouble
    after: float
    lasting: float


Plan = tuple[Spell, ...]
"""Spells one after the other, and again from the beginning."""

FROM_TIME_TO_TIME: Final[Plan] = (
    Spell(Trouble.DOWN, after=180, lasting=180),
    Spell(Trouble.BROKEN_JOB, after=180, lasting=120),
    Spell(Trouble.RESTART, after=180, lasting=45),
    Spell(Trouble.HANG, after=180, lasting=60),
)
"""What the demo's outage option plays. At speed 1 long enough to be seen by a poll every 30 s, and once by its stale
rule; at speed 30 the first two are still long enough for alerts that tick at a second, and the others too short."""


def at_speed(plan: Plan, speed: float) -> Plan:
    """Return the plan with its times divided by ``speed``."""
    return tuple(Spell(spell.trouble, spell.after / speed, spell.lasting / speed) for spell in plan)


@dataclass(frozen=True, slots=True)
class Happening:
    """A trouble under way: its beginning is ``into`` seconds ago, its end ``left`` seconds ahead."""

    trouble: Trouble
    into: float
    left: float


def happening(plan: Plan, elapsed: float) -> Happening | None:
    """Return the trouble of ``plan`` at ``elapsed`` seconds since its beginning, None in health."""
    whole = sum(spell.after + spell.lasting for spell in plan)
    if whole <= 0:
        return None
    position = max(elapsed, 0.0) % whole
    for spell in plan:
        position -= spell.after
        if position < 0:
            return None
        if position < spell.lasting:
            return Happening(spell.trouble, position, spell.lasting - position)
        position -= spell.lasting
    return None


@dataclass(slots=True)
class Faults:
    """Switches that a test turns while the server runs. Nothing is wrong at first."""

    down: bool = False
    refusal: Refused | None = None
    """Every call is answered with this status."""
    denial: Denied | None = None
    """Every call ends with this gRPC code."""
    unknown_methods: frozenset[str] = frozenset()
    """Methods that this server is too old to know."""
    no_list_all: bool = False
    """As early betas: listing without a collection name is refused."""
    _answering: asyncio.Event = field(default_factory=asyncio.Event)
    _restart: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self._answering.set()

    def hang(self) -> None:
        """Answer no call from now on."""
        self._answering.clear()

    def resume(self) -> None:
        """Answer again, also the calls that are still waiting."""
        self._answering.set()

    async def answering(self) -> None:
        """Wait while the server hangs."""
        await self._answering.wait()

    def restart(self, now: float, lasting: float = 30.0) -> None:
        """Begin a restart of the coordinator at ``now`` (epoch seconds) that takes ``lasting`` seconds."""
        self._restart = (now, lasting)

    def by_hand(self, now: float) -> Happening | None:
        """Return the trouble that was switched on, None where there is none at ``now``."""
        if self.down:
            return Happening(Trouble.DOWN, 0.0, float("inf"))
        if self._restart is not None:
            began, lasting = self._restart
            if began <= now < began + lasting:
                return Happening(Trouble.RESTART, now - began, began + lasting - now)
        return None

    def check(self, method: str, *, list_all: bool) -> None:
        """Raise what a switch says about a call of ``method``."""
        if self.denial is not None:
            raise self.denial
        if self.refusal is not None:
            raise self.refusal
        if self.no_list_all and list_all and method == "ListRefreshExternalCollectionJobs":
            raise missing("collection_name is required")


_OF_THE_PROXY: Final = ("Connect", "GetVersion", "CheckHealth")


def endure(trouble: Happening | None, method: str) -> None:
    """Raise what a call of ``method`` meets in ``trouble``; hanging and broken jobs are met elsewhere."""
    if trouble is None:
        return
    if trouble.trouble is Trouble.DOWN:
        raise Denied("UNAVAILABLE", "Milvus is down")
    if trouble.trouble is Trouble.RESTART:
        _restarting(trouble.into / (trouble.into + trouble.left), method)


def _restarting(share: float, method: str) -> None:
    if share >= 2 / 3:
        raise Denied("UNAVAILABLE", "Milvus is restarting")
    if method in _OF_THE_PROXY:
        return
    if share < 1 / 3:
        raise Refused(NOT_READY, "Initializing: service not ready[mixcoord=1]")
    raise Refused(UNAVAILABLE, "external collection refresh manager not initialized: service unavailable")
