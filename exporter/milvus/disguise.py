r"""Text with its escapes resolved and its look-alikes replaced: what a reader, or a program, would take it for.

A pair is the same pair as ``password%3Dx``, ``password&#61;x``, ``password\u003dx`` or with a full-width equals
sign. The patterns know plain text only; here is what makes text plain for them.
"""

# ruff: noqa: RUF001  # look-alikes are what this is about

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from typing import Final

OPENING: Final = "“„«‘‚‹”’"
CLOSING: Final = "”“»’‘›"
"""Quotation marks of books. Some languages open with what others close with."""
BLANK: Final = "␣"
"""Stands for an escaped blank. A real one would end a value that it is a part of."""

_PASSES: Final = 4
_PERCENT: Final = re.compile(r"%(?:25)*+([0-7][0-9A-Fa-f])")
_BACKSLASHED: Final = re.compile(r"(?<!\\)\\++(?:u00([0-7][0-9A-Fa-f])|x([0-7][0-9A-Fa-f])|0?([0-7]{2,3})|[nrt])")
_ENTITY: Final = re.compile(r"&\#?\w{2,10};")
_ESCAPING: Final = re.compile(r"[%\\&+]")

# Beyond what Unicode itself calls compatible: separators of other scripts, quotes, and Cyrillic and Greek letters
# that are drawn like Latin ones.
_ALIKE: Final = {
    **dict.fromkeys("∶꞉ː׃⁚։᛬ⵆ", ":"),
    **dict.fromkeys("꞊═⹀゠", "="),
    **dict.fromkeys("⁄∕╱⧸⟋", "/"),
    **dict.fromkeys("∖⧵⧹", "\\"),
    **dict.fromkeys("‘’‚‛′ʹʼ‹›", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—−", "-"),
    **dict.fromkeys("→⇒➜", ">"),
    **dict(zip("аеорсухіјѕһԁԛԝкмтвнАВЕКМНОРСТУХІЈЅ", "aeopcyxijshdqwkmtbhABEKMHOPCTYXIJS", strict=True)),
    **dict(zip("αεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeiknoptuxABEZHIKMNOPTYX", strict=True)),
    "ı": "i",
    "ɑ": "a",
    "ø": "o",
    "ł": "l",
}
_DELIMITERS: Final = frozenset("@?#:/\\%")
# What ends a value is no part of a key: replaced there, it would let the rest of the value out.
_ENDS: Final = frozenset(" \"'`,;)}]<\\")


def undisguise(text: str) -> str:
    """Return one line of text with look-alikes, entities, percent and backslash escapes resolved, nested ones too."""
    if not text.isascii():
        text = "".join(map(_plain, text))
    for _ in range(_PASSES):
        if not _ESCAPING.search(text):
            break
        resolved = _resolved(text)
        if resolved == text:
            break
        text = resolved
    return text


def plain_keys(text: str) -> str:
    """Return text of the same length in which keys and separators are plain; what can end a value stays as it is."""
    if text.isascii():
        return text
    return "".join(plain if len(plain := _plain(char)) == 1 and plain not in _ENDS else char for char in text)


def plain_delimiters(text: str) -> str:
    """Replace characters that look like a delimiter of URIs; everything else stays as it is."""
    if text.isascii():
        return text
    return "".join(plain if (plain := _plain(char)) in _DELIMITERS else char for char in text)


def _resolved(text: str) -> str:
    text = _PERCENT.sub(_from_hex, text)
    text = _BACKSLASHED.sub(_from_hex, text)
    text = _ENTITY.sub(_from_entity, text)
    # In a query a blank is a plus sign; anywhere else it stands between letters or digits.
    return text.replace("+=+", f"{BLANK}={BLANK}").replace("+:+", f"{BLANK}:{BLANK}")


def _from_hex(found: re.Match[str]) -> str:
    digits = next((group for group in found.groups() if group), None)
    if digits is None:
        return BLANK
    octal = found.lastindex == 3  # noqa: PLR2004 - the third group of backslash escapes
    return _visible(chr(int(digits, 8 if octal else 16)))


def _from_entity(found: re.Match[str]) -> str:
    meant = html.unescape(found[0])
    return "".join(map(_visible, map(_plain, meant))) if meant != found[0] else meant


def _visible(char: str) -> str:
    return char if "!" <= char <= "~" else BLANK


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    """Return what one character can be read as: compatible forms, without accents, in Latin."""
    if char in _ALIKE:
        return _ALIKE[char]
    bare = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    bare = "".join(_ALIKE.get(part, part) for part in bare)
    return bare if bare.isprintable() else " "
