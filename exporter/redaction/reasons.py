"""A failure reason, or another free text of Milvus, made safe to show.

The work is bounded before any pattern runs: a reason is judged by at most 8,192 characters.
"""

from __future__ import annotations

import re
from typing import Final

from exporter.redaction.blocks import hide_blocks
from exporter.redaction.brands import mask_branded
from exporter.redaction.clauses import hide_values
from exporter.redaction.keys import may_hold_key
from exporter.redaction.lines import hide_escaped_too, one_line, settled, tidy_lines, without_colours
from exporter.redaction.random_runs import mask_random
from exporter.redaction.uris import HIDDEN, strip_word

MAX_REASON_CHARS: Final = 200
_HEAD_CHARS: Final = 60
_WHOLE: Final = 8192
"""Characters. A reason with a backtrace has 1 to 4 KiB."""
_HEAD_WINDOW: Final = 2048
_TAIL_WINDOW: Final = 4096
_DROPPED_WORDS: Final = 6
"""At the start of the tail: they may be the value of a key that has been cut off."""

_BACKTRACES: Final = ("Backtrace:", "backtrace:", "Stack trace:", "stack trace:", "stack traceback:", "\ngoroutine ")
_WORD: Final = re.compile(r"\S+")
# User info with blanks in it, which no later step would see as one word. What follows a host and port is no user info.
SPACED_USER_INFO: Final = re.compile(
    r"""://(?!arn:)[^\s/?#@:]{1,128}+:(?!\d{0,5}(?:[\s/]|["'][\s,;)\]}]))[^\s@]{1,128}+\s[^@]{0,128}+@"""
)


def safe_reason(raw: str) -> str:
    """Return a failure reason as one line of at most 200 characters without secrets.

    Out: backtraces, JSON blocks, user info, query and fragment of every URI, values behind keys that announce a
    secret, tokens of known brands, and long random tokens. A longer text keeps about 60 characters of its head and,
    after an ellipsis, its tail, where the cause stands. Never raises, and leaves a safe reason as it is.
    """
    return settled(raw, _clean)


def hide_prose(text: str) -> str:
    """Hide every secret of a text in which words stand free."""
    text = SPACED_USER_INFO.sub(f"://{HIDDEN}@", hide_blocks(text))
    text = _WORD.sub(lambda word: strip_word(word[0]), text)
    return mask_random(mask_branded(hide_values(text)))


def _clean(raw: str) -> str:
    text = tidy_lines(without_colours(_window(_without_backtrace(raw))))
    return _shorten(one_line(hide_escaped_too(text, hide_prose)))


def _without_backtrace(raw: str) -> str:
    starts = [at for at in (raw.find(mark) for mark in _BACKTRACES) if at > 0]
    if not starts:
        return raw
    before = raw[: min(starts)]
    return before if before.strip() else raw


def _window(text: str) -> str:
    """Cut the middle out of a very long text, at blanks, so that no secret loses the key or quote that tells it."""
    if len(text) <= _WHOLE:
        return text
    head = text[:_HEAD_WINDOW].rsplit(None, 1)
    before = text[:-_TAIL_WINDOW]
    tail = [] if _may_be_open(before) else text[-_TAIL_WINDOW:].split(None, _DROPPED_WORDS)
    return f"{head[0] if len(head) > 1 else ''}\n… {tail[_DROPPED_WORDS] if len(tail) > _DROPPED_WORDS else ''}"


def _may_be_open(before: str) -> bool:
    """Whether a block or a quoted secret that begins in ``before`` may reach beyond its end. In doubt: yes."""
    if "{" in before or "map[" in before or "--BEGIN" in before:
        return True
    return any(quote in before for quote in "\"'`") and may_hold_key(before)


def _shorten(text: str) -> str:
    if len(text) <= MAX_REASON_CHARS:
        return text
    head = text[:_HEAD_CHARS]
    blank = head.rfind(" ", _HEAD_CHARS * 2 // 3)
    if blank > 0 and text[_HEAD_CHARS] != " ":
        head = head[:blank]
    head = f"{head.rstrip()} … "
    start = len(text) - (MAX_REASON_CHARS - len(head))
    blank = text.find(" ", start - 1, start + _HEAD_CHARS // 3)
    return head + text[blank + 1 if blank >= 0 else start :]
