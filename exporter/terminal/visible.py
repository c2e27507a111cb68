"""Texts for a terminal: nothing that moves the cursor, changes colours, or turns the direction of writing."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FEW: Final = 10
"""Seconds below which a number without a decimal is coarse."""


def visible(text: str) -> str:
    r"""Return a text with every character that is not printable written out, as ``\x1b`` or ``\u202e``.

    Not printable (Unicode's categories Other and Separator, the blank excepted) are controls, line breaks, tabs,
    direction marks, zero-width characters, lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def span(seconds: float) -> str:
    """Return a length of time in at most two units: ``4.2s``, ``45s``, ``3m 20s``, ``5h 12m``, ``3d 4h``."""
    seconds = max(seconds, 0.0)
    tenths = round(seconds, 1)
    if tenths < _FEW and tenths != int(tenths):
        return f"{tenths}s"
    whole = round(seconds)
    for unit, size, smaller, part in (("d", _DAY, "h", _HOUR), ("h", _HOUR, "m", _MINUTE), ("m", _MINUTE, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit} {rest}{smaller}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def ago(seconds: float) -> str:
    """Return how long ago something was, coarser than :func:`span`; what is ahead of us by another clock is now."""
    if seconds < 1:
        return "now"
    whole = round(seconds)
    return f"{span(whole if whole < 2 * _MINUTE else whole - whole % _MINUTE)} ago"


def stamp(moment: float) -> str:
    """Return epoch seconds as date and time in UTC, after RFC 3339; as a number where that cannot be."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{moment:.0f}"


def count(number: int, one: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else one + 's'}"


def bear_everything(stream: TextIO) -> None:
    """Let a stream write out what its encoding does not have, and not fail."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def has_symbols(stream: TextIO | None = None) -> bool:
    """Return whether symbols beyond ASCII can be written."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "ascii"
    return str(encoding).lower().replace("_", "-").startswith("utf")
