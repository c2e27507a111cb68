"""Basic authentication (RFC 7617): who is let in, and what asking may cost.

bcrypt is slow on purpose, 60 ms at cost 10. So it runs in one thread beside the event loop, once for each spelling of
credentials; what is remembered is a keyed digest of what was sent, never the password.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import enum
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import bcrypt

_REMEMBERED: Final = 1024
"""Good and bad credentials, each. Bad ones cannot push out good ones."""
_AT_ONCE: Final = 32
"""Credentials that are being checked or wait for it; 2 s of work at cost 10."""
_EACH: Final = 4
"""Of these, from one address: who guesses delays others by a quarter of a second at cost 10."""
_LONGEST: Final = 72
"""Bytes of a password that bcrypt looks at; htpasswd and Go cut there without a word."""
_CHARACTERS_OF_A_DIGEST: Final = 31


class Verdict(enum.Enum):
    """What is known of somebody's credentials."""

    GOOD = enum.auto()
    BAD = enum.auto()
    BUSY = enum.auto()
    """Too many others are being checked."""


class Users:
    """The users of one file, and what has been found out about credentials. Lives on one event loop."""

    def __init__(self, hashes: Mapping[str, str], check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        self._hashes = {name.encode(): text.encode() for name, text in hashes.items()}
        self._check = check
        self._nobody = _dummy(max((text[4:6] for text in hashes.values()), default="10"))
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, None] = {}
        self._bad: dict[bytes, None] = {}
        self._pending: dict[bytes, asyncio.Task[bool]] = {}
        self._by_address: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")

    def same_as(self, hashes: Mapping[str, str]) -> bool:
        """Whether these are the same users with the same hashes."""
        return self._hashes == {name.encode(): text.encode() for name, text in hashes.items()}

    def known(self, sent: bytes) -> Verdict | None:
        """Return what an Authorization header is already known to be worth; this is what a scrape pays."""
        digest = self._digest(sent)
        return Verdict.GOOD if digest in self._good else Verdict.BAD if digest in self._bad else None

    async def find_out(self, sent: bytes, address: str) -> Verdict:
        """Check an Authorization header from a caller's address.

        A name that does not exist costs as much as one that does.
        """
        credentials = parse_basic(sent)
        if credentials is None:
            return Verdict.BAD
        digest = self._digest(sent)
        pending = self._pending.get(digest)
        if pending is None:
            if len(self._pending) >= _AT_ONCE or self._by_address[address] >= _EACH:
                return Verdict.BUSY
            self._by_address[address] += 1
            pending = self._pending[digest] = asyncio.create_task(self._verify(digest, credentials))
            pending.add_done_callback(lambda _: self._forget(digest, address))
        # Shielded: others may be waiting for the same, and who asks again must not pay again.
        try:
            return Verdict.GOOD if await asyncio.shield(pending) else Verdict.BAD
        except asyncio.CancelledError:
            if pending.cancelled():  # by close; the caller may ask the users of the new file
                return Verdict.BUSY
            raise

    def close(self) -> None:
        """Check nobody further; at most one check is still under way."""
        for pending in self._pending.values():
            pending.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _verify(self, digest: bytes, credentials: tuple[bytes, bytes]) -> bool:
        good = await asyncio.get_running_loop().run_in_executor(self._thread, self._matches, *credentials)
        _remember(self._good if good else self._bad, digest)
        return good

    def _forget(self, digest: bytes, address: str) -> None:
        del self._pending[digest]
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

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
