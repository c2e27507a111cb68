"""Long runs of characters that nobody chose as a name: hex, base64, base64url, base32."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from exporter.redaction.uris import HIDDEN

RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}+={0,2}+")
PIECE: Final = re.compile(r"[A-Za-z0-9+]++")
HEX: Final = re.compile(r"[0-9A-Fa-f]{32,}+")
SHORTEST_RANDOM: Final = 20
"""Characters that a run must have to count as random: shorter ones are words as often."""
_AWS_SECRET_CHARS: Final = 40


def mask_random(text: str) -> str:
    """Hide long random tokens.

    Names stay: UUIDs with dashes, file names, numbers below 32 digits, CamelCase and snake_case.
    """
    return RUN.sub(lambda found: _mask_run(found[0]), text)


def _mask_run(run: str) -> str:
    # A secret in plain base64 can hold slashes; a path as a whole does not change its kind of character so often.
    letters = run.replace("/", "")
    if _is_restless(letters, least=32, ratio=0.45, kinds=3) or (
        len(run) == _AWS_SECRET_CHARS and _is_restless(letters, least=32, ratio=0.3, kinds=3)
    ):
        return HIDDEN
    return "/".join(HIDDEN if _is_random(part) else part for part in run.split("/"))


def _is_random(segment: str) -> bool:
    if len(segment) < SHORTEST_RANDOM:
        return False
    if HEX.search(segment) or _is_restless(segment, least=24, ratio=0.4, kinds=3):
        return True
    return any(_is_restless(piece, least=SHORTEST_RANDOM, ratio=0.25, kinds=2) for piece in PIECE.findall(segment))


def _is_restless(token: str, *, least: int, ratio: float, kinds: int) -> bool:
    """Whether a token with a digit switches between lower case, upper case and digits as often as chance would."""
    if len(token) < least:
        return False
    sorts = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in token if c.isalnum()]
    if len(sorts) < least or len(set(sorts)) < kinds or "d" not in sorts:
        return False
    switches = sum(a != b for a, b in pairwise(sorts))
    return switches / len(sorts) >= ratio
