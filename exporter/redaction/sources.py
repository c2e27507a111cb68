"""An external source, made safe to show.

The work is bounded before any pattern runs: a source is judged by its first 4,096 characters.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

from exporter.redaction.blocks import hide_pem
from exporter.redaction.brands import mask_branded
from exporter.redaction.clauses import hide_values
from exporter.redaction.lines import hide_escaped_too, one_line, settled, without_colours
from exporter.redaction.reasons import hide_prose
from exporter.redaction.uris import strip_uri

SourceStyle = Literal["path", "bucket", "none"]

MAX_SOURCE_BYTES: Final = 256
_WINDOW: Final = 4096
"""Characters. An object key has at most 1024 bytes, so a real source is shorter."""
_HASH_CHARS: Final = 8

_ENCODED_AT: Final = re.compile(r"%(?:25)*+40")
# No object is named so: a dump or a sentence, and judged as one.
NO_PATH: Final = re.compile(r"""[\s"'`{}<>\\]|map\[""")


def safe_source(raw: str, style: SourceStyle = "path") -> str:
    """Return an external source without user info, query, fragment and control characters, at most 256 bytes.

    ``path`` keeps the whole path; ``bucket`` keeps scheme and bucket (or host, if the source names its endpoint
    first), of a bare path the first segment; ``none`` is empty. Line breaks become blanks, backslashes slashes. A
    longer text is cut on a character border and ends in ``~`` and a hash of the safe text. Never raises, and leaves a
    safe source as it is.
    """
    if style == "none":
        return ""
    return settled(raw, lambda text: _clean(text, style))


def _clean(raw: str, style: SourceStyle) -> str:
    text = one_line(hide_pem(without_colours(_window(raw))))
    if NO_PATH.search(text):
        text = one_line(hide_escaped_too(text, hide_prose))
    uri = strip_uri(text)
    shown = uri.prefix + uri.authority if style == "bucket" else uri.text
    return _fit(one_line(hide_escaped_too(shown, _hide_in_path)))


def _hide_in_path(text: str) -> str:
    return hide_pem(mask_branded(hide_values(text)))


def _window(raw: str) -> str:
    """Cut an absurdly long source; an ``@`` beyond the cut still tells that user info stands before it."""
    if len(raw) <= _WINDOW:
        return raw
    head = raw[:_WINDOW]
    if "@" in raw[_WINDOW:] or _ENCODED_AT.search(raw, _WINDOW - 16):
        return head + "@"
    return head


def _fit(safe: str) -> str:
    encoded = safe.encode()
    if len(encoded) <= MAX_SOURCE_BYTES:
        return safe
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_CHARS]
    return encoded[: MAX_SOURCE_BYTES - _HASH_CHARS - 1].decode(errors="ignore").rstrip() + "~" + digest
