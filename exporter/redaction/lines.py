"""Text as printable lines, and a rule applied until it changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exporter.redaction.escapes import unescaped
from exporter.redaction.uris import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS: Final = 8
# With its escape character in any spelling, or without it: many logs drop that one character.
COLOUR: Final = re.compile(r"(?:\x1b|\\x1b|\\033|\\e|\\u001b)\[[\d;]{0,16}[A-Za-z]|\[\d{1,3}(?:;\d{1,3}){0,4}m(?!\])")


def one_line(text: str) -> str:
    """Return text on one line: white space becomes single blanks; control and format characters and the like go."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return " ".join(text.split())


def tidy_lines(text: str) -> str:
    """Return text with each line tidied as ``one_line`` does. A line that was indented keeps one blank."""
    if text.isprintable():
        return one_line(text)
    lines = (("" if line[:1].strip() else " ") + one_line(line) for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip())


def without_colours(text: str) -> str:
    """Return text without the codes that colour a terminal; one can stand between a key and its value."""
    return COLOUR.sub("", text) if "[" in text else text


def hide_escaped_too(text: str, hide: Callable[[str], str]) -> str:
    """Hide what is in plain sight, then what is escaped. Text keeps its escapes if they hide nothing."""
    text = hide(text)
    plain = unescaped(text)
    hidden = text if plain == text else hide(plain)
    return text if hidden == plain else hidden


def settled(raw: str, clean: Callable[[str], str]) -> str:
    """Clean until nothing changes: what was taken out can have stood between a key and its value.

    So a clean text is always left alone. A text that does not settle is hidden as a whole.
    """
    for _ in range(_ROUNDS):
        text = clean(raw)
        if text == raw:
            return text
        raw = text
    return HIDDEN
