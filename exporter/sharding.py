"""Who owns a target and when it is polled, from its name alone: the same in every process and after every restart."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_BITS: Final = 64
_STEP: Final = 2862933555777941757
"""The multiplier of the generator in the paper."""


def owner(name: str, total: int) -> int:
    """Return which of ``total`` processes owns a target, from 0.

    Jump consistent hash (Lamping and Veach, arXiv 1406.2294), as in kube-state-metrics: from n to n + 1 processes about
    1 in n + 1 targets moves, each to the new process.
    """
    key = _hashed(name, b"owner")
    bucket, jump = 0, 0
    while jump < total:
        bucket = jump
        key = (key * _STEP + 1) % (1 << _BITS)
        jump = int((bucket + 1) * (1 << 31) / ((key >> 33) + 1))
    return bucket


def moment(name: str) -> float:
    """Return when in its interval a target is polled, from 0 to 1. Not by the same hash as who owns it."""
    return _hashed(name, b"moment") / (1 << _BITS)


def _hashed(name: str, use: bytes) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=_BITS // 8, person=use).digest(), "big")
