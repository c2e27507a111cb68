"""Dumps that are hidden as a whole: PEM blocks, Go maps, JSON and struct literals in braces."""

from __future__ import annotations

import re
from typing import Final

from exporter.redaction.uris import HIDDEN

PEM: Final = re.compile(r"-- ?BEGIN.*?(?:-- ?END[^-]{0,64}-*+|\Z)", re.DOTALL | re.IGNORECASE)
PEM_TAIL: Final = re.compile(r"\A.*-- ?END [^-]{0,64}--+", re.DOTALL | re.IGNORECASE)
GO_MAP: Final = re.compile(r"map\[(?:[^\[\]]|\[[^\[\]]*+\]?)*+\]?")
# A choice of plain names, as in "expected one of {parquet, lance}", or one brace that a parser stumbled over, as in
# "unexpected token '}'". A dump of a struct has blanks or digits.
NO_BLOCK: Final = re.compile(
    r"""\{[A-Za-z_-]*+(?:,[ ]?+[A-Za-z_-]++)*+\}
    | (?:token|character|near|expected|found|got)\s(?P<quote>["'`])[{}](?P=quote)(?=[\s,.;:)]|\Z)""",
    re.VERBOSE,
)
_BRACE: Final = re.compile(r"[{}]")


def hide_blocks(text: str) -> str:
    """Replace PEM blocks, Go maps and everything between the first brace and the last by ``***``.

    Not matched pair by pair: braces and quotes inside values, escaped JSON and cut-off blocks make every pairing
    unsure. A block that does not end, by its braces or its quotes, ends with the text. What is no block stays.
    """
    text = GO_MAP.sub(f"map[{HIDDEN}]", hide_pem(text))
    if "{" not in text and "}" not in text:
        return text
    # Of the same length, so that positions stay.
    bare = NO_BLOCK.sub(lambda found: "_" * len(found[0]), text)
    start, last, first_close = bare.find("{"), bare.rfind("}"), bare.find("}")
    if start < 0 and last < 0:
        return text
    if first_close >= 0 and (start < 0 or first_close < start):
        start = _start_of_beheaded_block(text, first_close)
    end = len(text) if last < start or _is_unfinished(bare[start : last + 1]) else last + 1
    return text[:start] + HIDDEN + text[end:]


def hide_pem(text: str) -> str:
    """Replace PEM blocks, also one whose begin or end has been cut off."""
    if "--" not in text:
        return text
    return PEM_TAIL.sub(HIDDEN, PEM.sub(HIDDEN, text))


def _start_of_beheaded_block(text: str, close: int) -> int:
    """Return the start of the word with the first quote before an unopened brace, or of the word before it."""
    quotes = [at for at in (text.find('"', 0, close), text.find("'", 0, close)) if at >= 0]
    return text.rfind(" ", 0, min(quotes) if quotes else len(text[:close].rstrip())) + 1


def _is_unfinished(block: str) -> bool:
    depth = 0
    for brace in _BRACE.findall(block):
        depth = depth + 1 if brace == "{" else max(depth - 1, 0)
    if depth:
        return True
    doubles = block.count('"')
    odd_double = doubles % 2 == 1 or (doubles - block.count('\\"')) % 2 == 1
    return odd_double or (not doubles and block.count("'") % 2 == 1)
