"""A setting as somebody gave it: its text, and where it stands. All sources make these, and faults show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.uri import shown_uri
from exporter.config.values import Unusable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config.keys import Key

_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one source says about one key."""

    value: str | list[Leaf] | dict[str, Leaf] | Unusable | None
    origin: str
    """``FILE:LINE``, a flag, or an environment variable."""


Tree = dict[tuple[str, ...], Leaf]
"""What one source says, by path of the key."""


class FileContent(NamedTuple):
    """What the file says and what is wrong with it."""

    tree: Tree
    faults: list[str]
    may_pass: bool = False
    """Whether the fault is that the file could not be read, which a later try may find different."""


def plain(leaf: Leaf) -> object:
    """Return the bare values of a leaf and all below it."""
    if isinstance(leaf.value, list):
        return [plain(item) for item in leaf.value]
    if isinstance(leaf.value, dict):
        return {name: plain(item) for name, item in leaf.value.items()}
    return leaf.value


def find(leaf: Leaf, steps: Iterable[str | int]) -> Leaf:
    """Return the leaf that the steps lead to, or the last one on the way."""
    for step in steps:
        below: dict[str | int, Leaf] = {}
        if isinstance(leaf.value, list):
            below.update(enumerate(leaf.value))
        elif isinstance(leaf.value, dict):
            below.update(leaf.value)
        leaf = below.get(step, leaf)
    return leaf


def shown(leaf: Leaf, key: Key | None) -> str:
    """Return what a fault may show of a value. ``key`` is None where the key is not known: nothing may be shown."""
    if leaf.value is None:
        return ""
    if key is None or key.secret:
        return "the value"
    if isinstance(leaf.value, Unusable) and leaf.value.text:
        return quoted(leaf.value.text)
    if isinstance(leaf.value, str):
        return quoted(shown_uri(leaf.value) if key.metavar == "URI" else leaf.value)
    return "the list" if isinstance(leaf.value, list) else "the entry" if isinstance(leaf.value, dict) else "the value"


def quoted(text: str) -> str:
    """Return text in quotes: cut, and on one line whatever it holds."""
    return f'"{printable(text)}"'


def printable(text: str, limit: int = _LONGEST_SHOWN) -> str:
    """Return text cut and with everything escaped that a terminal or a log could take for more than a character."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a hint to end a fault with, empty when nothing known is close. All of them share the prefix."""
    from difflib import get_close_matches  # noqa: PLC0415  # for faults alone

    parts = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
    close = get_close_matches(name.removeprefix(prefix)[:200], parts, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{close[0]}?" if close else ""
