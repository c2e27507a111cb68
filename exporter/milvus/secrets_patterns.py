"""What a secret looks like in free text, and how it is hidden.

Over-hiding costs a word in a label; under-hiding publishes a credential. So every doubt ends in ``***``. All
patterns are linear: repeats are possessive or bounded, none can be matched in two ways.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from exporter.milvus.uris import HIDDEN

# Every key below holds one of these. Looking for them first spares an ordinary text nine tenths of the time.
STEMS: Final = (
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "cred",
    "sig",
    "auth",
    "cookie",
    "access",
    "external_id",
    "ca_cert",
)
_SCHEME_STEMS: Final = ("sas", "bearer", "basic", "negotiate", "aws4", "--user")
_SHORT_KEY: Final = re.compile(r"(?<![a-z0-9])(?:pw|ak|sk)(?![a-z0-9])")

_BRACE: Final = re.compile(r"[{}]")
_PEM: Final = re.compile(r"--BEGIN.*?(?:--END[^-]{0,64}-*+|\Z)", re.DOTALL)
_GO_MAP: Final = re.compile(r"map\[(?:[^\[\]]|\[[^\[\]]*+\]?)*+\]?")

_KEY: Final = r"""(?:
    passw(?:or)?d | passphrase | pwd | secret | token | credential | signature | authorization | cookie
  | (?:api|access|account|private|shared|storage|master|encryption|session|signing|client)[ _.-]?key
  | access[ _-]?id | external_id | ssl_ca_cert
  | (?<![A-Za-z0-9])(?:sig|sas|pass|pw|ak|sk|auth)(?![A-Za-z0-9])
)
(?:[ _.-]?(?:access|key|id|value|string)){0,3}+ [\w.-]{0,40}+"""

# A separator, quoted or escaped to any depth; a protobuf pair (key:"k" value:"v"); a tuple ("k", "v"); an XML
# tag; a quoted value straight after the key; and "is" before what cannot be prose.
_SEPARATOR: Final = r"""(?:
    (?: \\++u003[ad] | \\*+["'`]?\]? \s{0,3} (?: %(?:25)*+3[ad] | &\#(?:61|58); | =>? | :=? | > ) )
    =? \s{0,3} (?:[|>][-+]?\s)?
  | \\*+["'`] [\s,;]{0,3} \\*+["'`]? value \\*+["'`]? \s{0,2} [:=] \s{0,2}
  | \\*+["'`] \s{0,2} , \s{0,2} (?=\\*+["'`])
  | \s{1,2} (?=\\*+["'`])
  | \s (?:is|was) \s (?= [A-Za-z]*+ (?: [\d_+/=!$%^~*-] | \.\w ) )
)"""

# Words that open a sentence after "ExpiredToken: " or "invalid credentials: ", and are nobody's password.
_PROSE: Final = r"""(?:
    the | a | an | no | not | your | this | that | access | invalid | failed | error | request | status | code | unable
  | cannot | could | missing | expired | denied | unauthorized | forbidden | http | rpc | timeout | [45]\d\d
  | nosuchbucket | nosuchkey | accessdenied
)"""

_SCHEME: Final = r"""(?:
    bearer | basic | digest | negotiate | ntlm | aws4-hmac-sha256 | aws | goog4-rsa-sha256 | sharedkey(?:lite)? | apikey
  | token | oss
)"""

_VALUE: Final = rf"""(?:
    (?: \\++"[^"]*+"? | \\++'[^']*+'? | "(?:[^"\\]|\\.)*+"? | '(?:[^'\\]|\\.)*+'? | `[^`]*+`? ) [^\s,;)}}\]]*+
  | [^\s<]*+ < [^\s]*+
  | (?! {_PROSE} (?:[\s,.:]|\Z) ) (?: {_SCHEME} \s{{1,3}} )? \S++
)"""

_KEYED: Final = re.compile(rf"({_KEY}{_SEPARATOR}){_VALUE}", re.IGNORECASE | re.VERBOSE)
_FLAG: Final = re.compile(
    r"((?<!\S)--?[\w-]{0,20}?(?:password|passwd|secret|token|key|user|auth)[\w-]{0,20}+\s)\S++", re.IGNORECASE
)
_NOT_A_CREDENTIAL: Final = r"(?:auth\w*|tokens?|credentials?|access|challenge|scheme|realm|is|was|not|and|or)"
_SCHEMED: Final = re.compile(
    rf"\b((?:bearer|basic|negotiate|sharedkey(?:lite)?|aws4-hmac-sha256)\s{{1,3}})(?!{_NOT_A_CREDENTIAL}\b(?!\S))[^\s*]\S{{3,}}+",
    re.IGNORECASE,
)

# Key ids and tokens that say by their own form what they are: AWS, Alibaba, Tencent, Google, GitHub, Slack, JWT.
_BRANDED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{8,}+|LTAI[A-Za-z0-9]{10,}+"
    r"|AKID[A-Za-z0-9]{10,}+|GOOG[A-Z0-9]{12,}+|AIza[\w-]{20,}+|ya29\.[\w.-]++|gh[pousr]_\w{16,}+|xox[abprs]-[\w-]++"
    r"|eyJ[\w-]{8,}+(?:\.[\w=+/-]*+){0,4})"
)
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}+={0,2}+")
_PIECE: Final = re.compile(r"[A-Za-z0-9+]++")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32,}+")
_SHORTEST_RANDOM: Final = 20
_AWS_SECRET_CHARS: Final = 40


def hide_blocks(text: str) -> str:
    """Replace PEM blocks, Go maps and everything between the first brace and the last by ``***``.

    Between, not matched pair by pair: braces and quotes inside values, escaped JSON and blocks that were cut off
    make every pairing unsure. A block that does not end, by its braces or its quotes, ends with the text.
    """
    text = _PEM.sub(HIDDEN, text)
    text = _GO_MAP.sub(f"map[{HIDDEN}]", text)
    start, last = text.find("{"), text.rfind("}")
    if start < 0 and last < 0:
        return text
    first_close = text.find("}")
    if first_close >= 0 and (start < 0 or first_close < start):
        start = _start_of_beheaded_block(text, first_close)
    end = len(text) if last < start or _unfinished(text[start : last + 1]) else last + 1
    return text[:start] + HIDDEN + text[end:]


def _start_of_beheaded_block(text: str, close: int) -> int:
    """Where the word starts that holds the first quote before a brace that nothing opened."""
    quotes = [at for at in (text.find('"', 0, close), text.find("'", 0, close)) if at >= 0]
    return text.rfind(" ", 0, min(quotes)) + 1 if quotes else close


def _unfinished(block: str) -> bool:
    depth = 0
    for brace in _BRACE.findall(block):
        depth = depth + 1 if brace == "{" else max(depth - 1, 0)
    if depth:
        return True
    doubles = block.count('"')
    odd_double = doubles % 2 == 1 or (doubles - block.count('\\"')) % 2 == 1
    return odd_double or (not doubles and block.count("'") % 2 == 1)


def mask_keyed(text: str) -> str:
    """Hide values behind secret-looking keys, command-line flags and authorization schemes."""
    folded = text.casefold()
    if not any(stem in folded for stem in STEMS + _SCHEME_STEMS) and not _SHORT_KEY.search(folded):
        return text
    text = _KEYED.sub(rf"\g<1>{HIDDEN}", text)
    text = _FLAG.sub(rf"\g<1>{HIDDEN}", text)
    return _SCHEMED.sub(rf"\g<1>{HIDDEN}", text)


def mask_branded(text: str) -> str:
    """Hide key ids and tokens that are known by their form."""
    return _BRANDED.sub(HIDDEN, text)


def mask_random(text: str) -> str:
    """Hide long tokens that no person has named: hex of 32 and more, base64, base64url, base32.

    Names stay: UUIDs with dashes, file names, numbers below 32 digits, CamelCase and snake_case.
    """
    return _RUN.sub(lambda found: _mask_run(found[0]), text)


def _mask_run(run: str) -> str:
    # A secret in plain base64 can hold slashes; a path as a whole does not change its kind of letter so often.
    letters = run.replace("/", "")
    if _restless(letters, least=32, ratio=0.45, kinds=3) or (
        len(run) == _AWS_SECRET_CHARS and _restless(letters, least=32, ratio=0.3, kinds=3)
    ):
        return HIDDEN
    return "/".join(HIDDEN if _random_segment(part) else part for part in run.split("/"))


def _random_segment(segment: str) -> bool:
    if len(segment) < _SHORTEST_RANDOM:
        return False
    if _HEX.search(segment) or _restless(segment, least=24, ratio=0.4, kinds=3):
        return True
    return any(_restless(piece, least=_SHORTEST_RANDOM, ratio=0.25, kinds=2) for piece in _PIECE.findall(segment))


def _restless(token: str, *, least: int, ratio: float, kinds: int) -> bool:
    """Whether a token with a digit hops between lower case, upper case and digits as often as chance would."""
    if len(token) < least:
        return False
    sorts = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in token if c.isalnum()]
    if len(sorts) < least or len(set(sorts)) < kinds or "d" not in sorts:
        return False
    hops = sum(a != b for a, b in pairwise(sorts))
    return hops / len(sorts) >= ratio
