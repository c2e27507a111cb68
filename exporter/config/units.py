"""Durations as Prometheus writes them, sizes in bytes, and how both are written back."""

from __future__ import annotations

import re

_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_DURATION = re.compile("".join(f"(?:([0-9]{{1,15}}){unit})?" for unit in _MILLISECONDS))
_LONGEST = 100 * _MILLISECONDS["y"]
_BYTES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile("([0-9]{1,15})(KiB|MiB|GiB|)")


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``15s``, ``1h30m`` or ``500ms``.

    The grammar is Prometheus's: whole numbers with the units y, w, d, h, m, s, ms, each at most once, from large to
    small. Zero is refused, since no setting has a use for it. Raises ValueError with what to write instead.
    """
    if text.isascii() and text.isdecimal():
        raise ValueError(f"has no unit; write {text}s for seconds")
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError("is not a duration; write for example 15s, 5m, 1h30m, 26h or 30d")
    total = sum(int(count) * size for count, size in zip(match.groups(), _MILLISECONDS.values(), strict=True) if count)
    if total == 0:
        raise ValueError("must be longer than nothing")
    if total > _LONGEST:
        raise ValueError("must be at most 100y")
    return total / 1000


def format_duration(seconds: float) -> str:
    """Write seconds, to the millisecond, so that :func:`parse_duration` reads them back.

    Not folded further than people write these settings: ``24h`` and ``26h``, but ``30d``.
    """
    left = round(seconds * 1000)
    if left < 2 * _MILLISECONDS["d"] or left % _MILLISECONDS["d"]:
        return _in_units(left, ("h", "m", "s", "ms"))
    return _in_units(left, ("d", "h", "m", "s", "ms"))


def _in_units(left: int, units: tuple[str, ...]) -> str:
    parts: list[str] = []
    for unit in units:
        count, left = divmod(left, _MILLISECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as ``268435456`` or ``256MiB``. Raises ValueError with what to write instead."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("is not a size; write for example 256MiB, 1GiB or a number of bytes")
    return int(match[1]) * _BYTES[match[2]]


def format_bytes(count: int) -> str:
    """Write a number of bytes in the largest unit that divides it."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return str(count)
