r"""Text with its escapes resolved: ``password%3Dx``, ``password&#61;x`` and ``password\u003dx`` are one pair."""

from __future__ import annotations

import html
import re
from typing import Final

_PASSES: Final = 4
"""Escapes are often nested: a JSON string in a JSON string, a URI in a query."""

PERCENT: Final = re.compile(r"%(?:25)*+([0-7][0-9A-Fa-f])")
BACKSLASH: Final = re.compile(r"(?<!\\)\\++(?:u00([0-7][0-9A-Fa-f])|x([0-7][0-9A-Fa-f])|0?([0-7]{2,3})|[nrt])")
ENTITY: Final = re.compile(r"&#?\w{2,10};")
_OCTAL: Final = 3
"""The group of ``BACKSLASH`` that holds octal digits."""


def unescaped(text: str) -> str:
    """Return text with percent, backslash and HTML escapes resolved. What is not printable ASCII becomes a blank."""
    for _ in range(_PASSES):
        resolved = _resolved(text)
        if resolved == text:
            break
        text = resolved
    return text


def _resolved(text: str) -> str:
    if "%" in text:
        text = PERCENT.sub(_from_digits, text)
    if "\\" in text:
        text = BACKSLASH.sub(_from_digits, text)
    if "&" in text:
        text = ENTITY.sub(lambda found: "".join(map(_visible, html.unescape(found[0]))), text)
    # A blank in a query is a plus sign; elsewhere a plus sign stands between letters or digits.
    return text.replace("+=+", " = ").replace("+:+", " : ")


def _from_digits(found: re.Match[str]) -> str:
    digits = next((group for group in found.groups() if group), None)
    if digits is None:
        return " "
    return _visible(chr(int(digits, 8 if found.lastindex == _OCTAL else 16)))


def _visible(char: str) -> str:
    return char if "!" <= char <= "~" else " "
