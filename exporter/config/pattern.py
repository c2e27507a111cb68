"""Users' regular expressions, by RE2: the time to match is linear, whatever the pattern and the name.

Python's own engine backtracks: ``(a+)+b`` against forty times ``a`` would keep it busy for hours, and everything else
waiting. What RE2 does not have, or takes for something else than Python does, is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""
    \\.                                             # an escape
    | \[ \^? \]? (?: \\. | [^\]\\] )* \]            # a set
    | \(\? (?: P?<[=!] | P= | [=!>(#] | [a-zA-Z-]*[:)] )  # what begins a group
    | (?: [*+?] | \{ (?: \d+ (?:,\d*)? | ,\d* ) \} ) \+?  # a quantifier
    """,
    re.DOTALL | re.VERBOSE,
)
_BACKREFERENCE: Final = "has a backreference or an octal number, which RE2 does not have; write out what it stands for"
_LOOK_AROUND: Final = (
    "has a look-around, which RE2 does not have; use include with exclude, or an override before this one"
)
_POSSESSIVE: Final = "has a possessive quantifier or an atomic group, which RE2 does not have; leave the + or ?> out"
_REFUSED: Final = tuple(
    (re.compile(token, re.DOTALL), why)
    for token, why in (
        (r"\\[1-9]|\(\?P=", _BACKREFERENCE),
        (r"\(\?P?<?[=!]", _LOOK_AROUND),
        (r"\(\?>|[*+?}].*\+|\{.*\+", _POSSESSIVE),
        (r"\(\?\(", "has a condition, which RE2 does not have; write the cases with |"),
        (r"\(\?#", "has a comment, which RE2 does not have; write it into the YAML file, after #"),
        (r"\(\?[a-zA-Z-]*[^imsU:)-].*", "has a flag that RE2 does not have; of Python's there are i, m and s"),
        (r"\{,.*", "has a repetition without a lower bound, which RE2 takes literally; write {0,N}"),
        (r"\{.*\d{5,}.*", "repeats more than 1000 times, the most that RE2 does"),
        (r"\\Z", r"has \Z, which RE2 does not have; leave it out, the whole name must match anyway"),
        (r"\\[NuU]", r"has \N, \u or \U, which RE2 does not have; write the character, or \x{E9} with its number"),
        (r"\[.*\[:\^?\w+:\]", "has a class such as [:alpha:], which Python takes for single characters; write a-zA-Z"),
    )
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One regular expression."""

    pattern: str
    """As written."""
    _compiled: Any = field(compare=False, repr=False)

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        return self._compiled.fullmatch(name) is not None


def parse_pattern(text: str) -> Pattern:
    """Return the pattern. Raises ValueError with what is wrong and what would be right."""
    for token in _tokens(text):
        for refused, why in _REFUSED:
            if refused.fullmatch(token):
                raise ValueError(why)
    import re2  # noqa: PLC0415  # for those who have patterns

    options = re2.Options()
    options.log_errors = False  # by RE2 itself, to standard error
    try:
        return Pattern(text, re2.compile(text, options))
    except re2.error as error:
        (why,) = error.args or ("",)
        said = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise ValueError(f"is not a regular expression (RE2): {said}") from None


def _tokens(text: str) -> Iterator[str]:
    """Yield what is more than a character: escapes, sets and the escapes in them, beginnings of groups, quantifiers."""
    for found in _TOKEN.finditer(text):
        token = found[0]
        yield token
        if token.startswith("["):
            yield from re.findall(r"\\.", token, re.DOTALL)
