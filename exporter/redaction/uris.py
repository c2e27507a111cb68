"""One URI, or what stands in for one, without its secrets.

User info, query and fragment go. The text need not be a well-formed URI: Milvus checks a source when it is
submitted, but older servers did not, and a failure reason echoes whatever was typed. Where it cannot be told
whether a part is a password or a path, the part is hidden (docs/milvus.md, "Sources and secrets").
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

HIDDEN: Final = "***"

# Percent-encoded delimiters, also encoded more than once. Strictly they are data; but a pre-signed URL that was
# escaped as a whole is a likelier finding in a source than a folder named with a question mark.
_ENCODED: Final = re.compile(r"%(?:25)*+(40|3[fF]|23)")
_DELIMITERS: Final = {"40": "@", "3f": "?", "23": "#"}
_PREFIX: Final = re.compile(r"(?:[^/?#@:]*+:)?/++")
_AUTHORITY_END: Final = re.compile(r"[/?#]|\Z")
_QUERY: Final = re.compile(r"[?#]|\Z")
_ENCODED_COLON: Final = re.compile(r"%(?:25)*+3a", re.IGNORECASE)
# A date or version in a path, as in "mail/inbox@2026/". No host is a plain number.
VERSION: Final = re.compile(r"(?<=[\w.-])@(?=\d[\d-]{0,15}(?:/|\Z))")
ALL_QUERY: Final = re.compile(r"\?.|#(?!\d+\W*\Z).")
_SCHEME_CHARS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-_"
_CLOSING: Final = "\"'`:;,.)]>"
_HOST_AND_PORT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%\w]{0,64}\]|[^:]*+)(?::\d{0,5})?")


class SafeUri(NamedTuple):
    """The parts that can be shown: ``s3://`` + ``bucket`` + ``/key``; the prefix of a bare path is empty or a slash."""

    prefix: str
    authority: str
    path: str

    @property
    def text(self) -> str:
        """The whole, ready to show. Never holds ``?`` or ``#``, and an ``@`` only before a date or version."""
        return "".join(self)


def strip_uri(raw: str) -> SafeUri:
    """Return the parts of one URI or bare path that hold no user info, query or fragment."""
    text = _ENCODED.sub(lambda found: _DELIMITERS[found[1].lower()], raw).replace("\\", "/")
    prefix = _PREFIX.match(text)
    rest = text[prefix.end() :] if prefix else text
    safe = _strip_rest(prefix[0] if prefix else "", rest)
    if not prefix and _PREFIX.match(safe.text):
        # User info stood before the scheme: what is left has become a URI and is judged as one.
        return strip_uri(safe.text)
    return safe


def strip_word(word: str) -> str:
    """Make one word of a sentence safe, if it holds a URI or what could be a part of one."""
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
        or ALL_QUERY.match(word)
    ):
        return strip_uri(word).text
    return word


def _strip_rest(prefix: str, rest: str) -> SafeUri:
    """Judge by where the last ``@`` stands, because passwords can hold every delimiter."""
    end = _first(_AUTHORITY_END, rest)
    query = _first(_QUERY, rest)
    authority = rest[:end]
    at = _last_at(rest, end, query)
    if at > query:
        # In a query an "@" belongs to some value; without one, the "?" is a part of the user info.
        in_user_info = "=" not in rest[query:at] or (_hides_password(authority) and "@" not in authority)
        if query == end or in_user_info:
            return SafeUri(prefix, HIDDEN, "")
        return _strip_rest(prefix, rest[:query])
    if at > end:
        if "@" in authority or _hides_password(authority):
            return SafeUri(prefix, HIDDEN, "/" + rest[at + 1 : query])
        return SafeUri(prefix, authority, f"/{HIDDEN}/" + rest[at + 1 : query])
    authority = authority[at + 1 :]
    if ":" in prefix and _hides_password(authority):
        return SafeUri(prefix, HIDDEN, "")
    return SafeUri(prefix, authority, rest[end:query])


def _last_at(rest: str, end: int, query: int) -> int:
    """Return where the last ``@`` stands that can end user info, -1 if there is none."""
    if _HOST_AND_PORT.fullmatch(rest[:end]) and not re.search(r":|%(?:25)*+3a", rest[end:query], re.IGNORECASE):
        rest = rest[:end] + VERSION.sub("_", rest[end:query]) + rest[query:]
    return rest.rfind("@")


def _first(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return found.start() if found else len(text)


def _hides_password(authority: str) -> bool:
    """Whether what follows the colon is no port, but a password whose ``@`` is elsewhere or was cut off."""
    if ":" not in authority:
        return _ENCODED_COLON.search(authority) is not None
    # An S3 access point is addressed by its ARN.
    return not (authority.startswith("arn:") or _HOST_AND_PORT.fullmatch(authority) or _is_ip(authority))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
