"""Basic authentication (RFC 7617): who is let in, and what asking may cost.

bcrypt is slow on purpose, 60 ms at cost 10. So it runs in one thread beside the event loop, once for each spelling of
credentials; what is remembered is a keyed digest of what was sent, never the password.

Credentials that are not known yet are checked in the order in which they came. There is a place in the queue for every
connection that can be open, and no quick refusal that would let somebody who guesses come back before others: with G
callers guessing, the right password waits for at most G checks. A caller that gives up leaves its credentials in the
queue, so a scraper with a short time-out is let in the next time it asks.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import enum
import hashlib
import random
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import bcrypt

from exporter.web.bounds import Bounds

_REMEMBERED: Final = 1024
"""Good and bad credentials, each. Bad ones cannot push out good ones."""
_QUEUED: Final = Bounds().connections
"""Credentials that are being checked or wait for it. A caller waits for one at a time on each connection."""
_LONGEST: Final = 72
"""Bytes of a password that bcrypt looks at; htpasswd and Go cut there without a word."""
_CHARACTERS_OF_A_DIGEST: Final = 31


class Verdict(enum.Enum):
    """What is known of somebody's credentials."""

    GOOD = enum.auto()
    BAD = enum.auto()
    BUSY = enum.auto()
    """They were not checked: the users have changed, or the queue is full."""


@dataclass(slots=True)
class _Check:
    """Credentials in the queue."""

    credentials: tuple[bytes, bytes]
    good: asyncio.Future[bool]
    waiting: int = 0
    """How many callers wait for it."""


class Users:
    """The users of one file, and what has been found out about credentials. Lives on one event loop."""

    def __init__(self, hashes: Mapping[str, str], check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        self._hashes = {name.encode(): text.encode() for name, text in hashes.items()}
        self._check = check
        self._nobody = _dummy(max((text[4:6] for text in hashes.values()), default="10"))
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, None] = {}
        self._bad: dict[bytes, None] = {}
        self._queue: dict[bytes, _Check] = {}
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")

    def same_as(self, hashes: Mapping[str, str]) -> bool:
        """Return whether these are the same users with the same hashes."""
        return self._hashes == {name.encode(): text.encode() for name, text in hashes.items()}

    def known(self, sent: bytes) -> Verdict | None:
        """Return what an Authorization header is already known to be worth; this is what a scrape pays."""
        digest = self._digest(sent)
        return Verdict.GOOD if digest in self._good else Verdict.BAD if digest in self._bad else None

    async def find_out(self, sent: bytes) -> Verdict:
        """Check an Authorization header, after those that came before it.

        A name that does not exist costs as much as one that does.
        """
        credentials = parse_basic(sent)
        if credentials is None:
            return Verdict.BAD
        digest = self._digest(sent)
        check = self._queue.get(digest)
        if check is None:
            if len(self._queue) >= _QUEUED and not self._drop_one():
                return Verdict.BUSY
            check = self._queue[digest] = _Check(credentials, asyncio.get_running_loop().create_future())
            if self._worker is None:
                self._worker = asyncio.create_task(self._work())
        check.waiting += 1
        try:
            await asyncio.wait({check.good})  # unlike await, not cancelled with this caller: others may wait for it
        finally:
            check.waiting -= 1
        if check.good.cancelled():  # by close; the caller may ask the users of the new file
            return Verdict.BUSY
        return Verdict.GOOD if check.good.result() else Verdict.BAD

    def close(self) -> None:
        """Check nobody further; at most one check is still under way."""
        if self._worker is not None:
            self._worker.cancel()
        for check in self._queue.values():
            check.good.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        """Check what is in the queue, in order, one at a time."""
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                digest, check = next(iter(self._queue.items()))
                try:
                    good = await loop.run_in_executor(self._thread, self._matches, *check.credentials)
                    _remember(self._good if good else self._bad, digest)
                    check.good.set_result(good)
                finally:
                    del self._queue[digest]
                    check.good.cancel()  # does nothing if it has a result
        finally:
            self._worker = None

    def _drop_one(self) -> bool:
        """Take out of a full queue what nobody waits for any more, except the one that is being checked.

        One at random: somebody who sends guesses and never waits could otherwise choose what is dropped.
        """
        abandoned = [digest for digest, check in list(self._queue.items())[1:] if not check.waiting]
        if not abandoned:
            return False
        del self._queue[random.choice(abandoned)]  # noqa: S311  # nothing secret
        return True

    def _matches(self, user: bytes, password: bytes) -> bool:
        expected = self._hashes.get(user)
        possible = b"\0" not in password  # bcrypt would end the password there
        matches = self._check(password[:_LONGEST] if possible else b"", expected or self._nobody)
        return matches and possible and expected is not None

    def _digest(self, sent: bytes) -> bytes:
        return hashlib.blake2b(sent, key=self._key, digest_size=32).digest()


def parse_basic(sent: bytes) -> tuple[bytes, bytes] | None:
    """Return user and password of an Authorization header, None where it is not one."""
    scheme, _, encoded = sent.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(b" "), validate=True)
    except binascii.Error:
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None


def _dummy(cost: str) -> bytes:
    """Return a hash of nothing in particular that takes as long as one of that cost."""
    return b"$2b$" + cost.encode() + bcrypt.gensalt(4)[6:] + b"." * _CHARACTERS_OF_A_DIGEST


def _remember(digests: dict[bytes, None], digest: bytes) -> None:
    digests[digest] = None
    if len(digests) > _REMEMBERED:
        del digests[next(iter(digests))]
