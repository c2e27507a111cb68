"""Sources and reasons made safe to show. The only door through which Milvus's free text leaves this package.

Milvus redacts neither ``external_source`` nor ``reason``: user info, pre-signed queries and whole specs with
credentials have been seen in them (docs/milvus.md, "Sources and secrets").

The work is bounded before any pattern runs: a source is judged by its first 4,096 characters, a reason by at
most 8,192.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal

from exporter.milvus.disguise import plain_delimiters, undisguise
from exporter.milvus.reasons import strip_wrappers
from exporter.milvus.secrets_patterns import STEMS, hide_blocks, hide_pem, mask_branded, mask_keyed, mask_random
from exporter.milvus.uris import strip_uri

if TYPE_CHECKING:
    from collections.abc import Callable

SourceStyle = Literal["path", "bucket", "none"]

MAX_SOURCE_BYTES: Final = 256
MAX_REASON_CHARS: Final = 200
_HASH_CHARS: Final = 8
_HEAD_CHARS: Final = 60
_SOURCE_WINDOW: Final = 4096
"""Characters. An object key has at most 1024 bytes, so a real source is shorter."""
_WHOLE: Final = 8192
"""Characters. A reason with a backtrace has 1 to 4 KiB."""
_ROUNDS: Final = 6
_HEAD_WINDOW: Final = 2048
_TAIL_WINDOW: Final = 4096

_ENCODED_AT: Final = re.compile(r"%(?:25)*+40")
_BACKTRACES: Final = ("Backtrace:", "backtrace:", "Stack trace:", "stack trace:", "stack traceback:", "\ngoroutine ")
# User info with blanks in it, which no later step would see as one word. What follows a host and port is no user info.
_SPACED_USER_INFO: Final = re.compile(r"://(?!arn:)[^\s/?#@:]{1,128}+:(?!\d{0,5}[\s/])[^\s@]{1,128}+\s[^@]{0,128}+@")
_ALL_QUERY: Final = re.compile(r"\?.|#(?!\d+\W*\Z).")
# Nobody names an object so: a dump or a sentence, and judged as one.
_NO_PATH: Final = re.compile(r"""[\s"'`{}<>\\]|map\[""")
_SCHEME_CHARS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-_"
_CLOSING: Final = "\"'`:;,.)]>"


def safe_source(raw: str, style: SourceStyle = "path") -> str:
    """Return an external source without user info, query, fragment and control characters, at most 256 bytes.

    ``path`` keeps the whole path; ``bucket`` keeps scheme and bucket (or host, where the source names its endpoint
    first), of a bare path the first segment; ``none`` is empty. Line breaks become blanks, backslashes slashes. A
    longer text is cut on a character border and ends in ``~`` and a hash of the safe text. Never raises.
    """
    if style == "none":
        return ""
    return _settled(raw, lambda text: _safe_source_once(text, style))


def _safe_source_once(raw: str, style: SourceStyle) -> str:
    text = plain_delimiters(_one_line(hide_pem(_source_window(raw))))
    if _NO_PATH.search(text):
        text = _in_disguise_too(text, _hide)
    uri = strip_uri(text)
    shown = uri.prefix + uri.authority if style == "bucket" else uri.text
    return _fit(_in_disguise_too(shown, lambda text: hide_pem(mask_branded(mask_keyed(text)))).strip())


def _in_disguise_too(text: str, hide: Callable[[str], str]) -> str:
    """Hide what is plain to see, then what is escaped or written with look-alikes.

    The text keeps its own form where the plain one holds nothing to hide.
    """
    text = hide(text)
    plain = undisguise(text)
    hidden = text if plain == text else hide(plain)
    return text if hidden == plain else hidden


def _settled(raw: str, once: Callable[[str], str]) -> str:
    """Go over the text until nothing changes: what was taken out can have stood between a key and its value."""
    text = once(raw)
    for _ in range(_ROUNDS):
        if text == raw:
            break
        raw, text = text, once(text)
    return text


def _source_window(raw: str) -> str:
    """Cut an absurdly long source; an ``@`` beyond the cut still tells that user info stands before it."""
    if len(raw) <= _SOURCE_WINDOW:
        return raw
    head = raw[:_SOURCE_WINDOW]
    if "@" in raw[_SOURCE_WINDOW:] or _ENCODED_AT.search(raw, _SOURCE_WINDOW - 16):
        return head + "@"
    return head


def _fit(safe: str) -> str:
    encoded = safe.encode()
    if len(encoded) <= MAX_SOURCE_BYTES:
        return safe
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_CHARS]
    return encoded[: MAX_SOURCE_BYTES - _HASH_CHARS - 1].decode(errors="ignore").rstrip() + "~" + digest


def safe_reason(raw: str) -> str:
    """Return a failure reason as one line of at most 200 characters without secrets.

    Out: backtraces, JSON blocks, user info, query and fragment of every URI, values behind secret-looking keys,
    long random tokens, and wrapper phrases around an inner text. A longer text keeps about 60 characters of its
    head and, after an ellipsis, its tail, where the cause stands. Never raises.
    """
    return _settled(raw, _safe_reason_once)


def _safe_reason_once(raw: str) -> str:
    text, _ = strip_wrappers(_one_line(_reason_window(_without_backtrace(raw))))
    inner, _ = strip_wrappers(_in_disguise_too(text, _hide))
    return _shorten(inner)


def _hide(text: str) -> str:
    text = _SPACED_USER_INFO.sub("://***@", hide_blocks(text))
    text = " ".join(filter(None, map(_safe_word, text.split(" "))))
    return mask_random(mask_branded(mask_keyed(text)))


def _without_backtrace(raw: str) -> str:
    starts = [at for at in (raw.find(mark) for mark in _BACKTRACES) if at > 0]
    if not starts:
        return raw
    before = raw[: min(starts)]
    return before if before.strip() else raw


def _reason_window(text: str) -> str:
    """Cut the middle out of a very long text, at blanks, so that no secret loses the key or quote that tells it."""
    if len(text) <= _WHOLE:
        return text
    head = text[:_HEAD_WINDOW].rsplit(None, 1)
    before = text[:-_TAIL_WINDOW]
    # The first words may be the value of a key that has been cut off.
    tail = [] if _may_be_open(before) else text[-_TAIL_WINDOW:].split(None, 6)
    return f"{head[0] if len(head) > 1 else ''} … {tail[6] if len(tail) > 6 else ''}"  # noqa: PLR2004 - six words are dropped


def _may_be_open(before: str) -> bool:
    """Whether a block or a quoted secret that begins in ``before`` may reach beyond its end. In doubt: yes."""
    if "{" in before or "map[" in before or "--BEGIN" in before:
        return True
    if '"' not in before and "'" not in before and "`" not in before:
        return False
    folded = before.casefold()
    return any(stem in folded for stem in STEMS)


def _one_line(text: str) -> str:
    """Make blanks of all white space; drop control and format characters, lone surrogates and the like."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return " ".join(text.split())


def _safe_word(word: str) -> str:
    """Make one blank-separated word safe, where it holds a URI or what could be a part of one."""
    at = word.find("://")
    if at >= 0:
        lead = word[:at].rstrip(_SCHEME_CHARS)
        uri = word[len(lead) :]
        core = uri.rstrip(_CLOSING)
        if "@" in lead or "%" in lead:
            return strip_uri(word).text
        return lead + strip_uri(core).text + uri[len(core) :]
    if (
        "@" in word
        or "%" in word
        or ("?" in word and ("=" in word or "/" in word))
        or ("#" in word and "/" in word)
        or _ALL_QUERY.match(word)
    ):
        return strip_uri(word).text
    return word


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
