"""What a secret looks like in free text, and how it is hidden.

Over-hiding costs a word in a label; under-hiding publishes a credential. So every doubt ends in ``***``. All
patterns are linear: repeats are possessive or bounded, none can be matched in two ways.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Final

from exporter.milvus.disguise import CLOSING, OPENING, plain_keys
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
_SCHEME_STEMS: Final = ("sas", "bearer", "basic", "digest", "negotiate", "aws4", "--user", "-u ", "-p ")
_SHORT_KEY: Final = re.compile(r"(?<![a-z0-9])(?:pw|ak|sk)(?![a-z0-9])")
_MOST_KEYS: Final = 64
"""A text with more is no reason that somebody reads; the rest of it is hidden, and the work stays bounded."""

_BRACE: Final = re.compile(r"[{}]")
_PEM: Final = re.compile(r"--[ ␣]?BEGIN.*?(?:--[ ␣]?END[^-]{0,64}-*+|\Z)", re.DOTALL | re.IGNORECASE)
_PEM_TAIL: Final = re.compile(r"\A.*--[ ␣]?END [^-]{0,64}--+", re.DOTALL | re.IGNORECASE)
_GO_MAP: Final = re.compile(r"map\[(?:[^\[\]]|\[[^\[\]]*+\]?)*+\]?")

_KEY: Final = r"""(?:
    passw(?:or)?d | passphrase | passcode | pwd | secret | token | credential | signature | authorization | cookie
  | bearer
  | (?:api|access|account|private|shared|storage|master|encryption|session|signing|client|customer|kms|sse)[ _.-]?key
  | access[ _-]?id | external_id | ssl_ca_cert
  | (?<![A-Za-z0-9])(?:sig|sas|pass|pw|ak|sk|auth)(?![A-Za-z0-9])
)
(?:[ _.-]?(?:access|key|id|value|string)){0,3}+ [\w.-]{0,40}+"""

# What cannot be prose: it holds a digit or a sign that words do not have.
_NO_PROSE: Final = r"[A-Za-z]*+ (?: [\d_+/=!$%^~*-] | \.\w )"
_QUOTE: Final = rf"""\\*+["'`{OPENING}]"""

# A separator, quoted or escaped to any depth; a protobuf pair (key:"k" value:"v"); a tuple ("k", "v"); an XML
# tag, with attributes or between a name and its value; a call or an index; a quoted value straight after the key; and
# "is", or nothing after a key that means nothing else, before what cannot be prose.
_SEPARATOR: Final = rf"""(?:
    (?: \\++u003[ad]
      | {_QUOTE}?+\]? [\s␣]{{0,3}}
        (?: %(?:25)*+3[ad] | &\#(?:61|58); | [!=~<>]?=>? | :=? | -{{1,2}}> | > | \|(?![-+]?\s) )
    )
    =? [\s␣]{{0,3}} (?:[|>][-+]?(?:\\++n|[\s␣])[\s␣]{{0,3}})? (?:\\[\s␣]{{1,3}})?
  | {_QUOTE}?+ [\s,;]{{1,3}} {_QUOTE}?+ value {_QUOTE}?+ \s{{0,2}} [:=] \s{{0,2}}
  | {_QUOTE} [\s,;]{{0,3}} {_QUOTE}?+ value {_QUOTE}?+ \s{{0,2}} [:=] \s{{0,2}}
  | {_QUOTE} \s{{0,2}} , \s{{0,2}} (?={_QUOTE})
  | \s [\w:.-]{{1,40}}=["'][^<>]{{0,200}}> \s{{0,2}}
  | </[\w:.-]{{1,40}}> \s{{0,2}} <[\w:.-]{{1,40}}> \s{{0,2}}
  | \((?=["'`\w]) | \[(?=["'`])
  | \s{{1,2}} (?={_QUOTE})
  | \s \(?(?:is|was) \s (?= {_QUOTE} | {_NO_PROSE} )
  | (?:(?<=password)|(?<=passwd)|(?<=secret_key)|(?<=secret_access_key)|(?<=access_key_value)) \s (?= {_NO_PROSE} )
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
    (?: \\++"[^"]*+"? | \\++'[^']*+'? | "(?:[^"\\]|\\.)*+"? | '(?:[^'\\]|\\.)*+'? | `[^`]*+`?
    | [{OPENING}][^{CLOSING}]*+[{CLOSING}]? ) [^\s,;)}}\]]*+
  | [^\s<]*+ < [^\s]*+
  | (?! {_PROSE} (?:[\s,.:]|\Z) )
    (?: (?: {_SCHEME} | (?-i:[A-Z][A-Z0-9-]{{1,19}})(?=\s\S{{0,200}}[:=]) ) [\s␣]{{1,3}} )? \S++
)"""


@cache
def _keyed() -> re.Pattern[str]:
    # Compiled when the first text holds a stem: that takes as long as all the other patterns of this package together.
    return re.compile(rf"(?P<key>{_KEY}){_SEPARATOR}(?P<value>{_VALUE})", re.IGNORECASE | re.VERBOSE)


_FLAG: Final = re.compile(
    r"(?P<key>(?<!\S)(?:--?[\w-]{0,20}?(?:password|passwd|secret|token|key|user|auth)[\w-]{0,20}+|-[up])\s)(?P<value>\S++)",
    re.IGNORECASE,
)
_NOT_A_CREDENTIAL: Final = r"(?:auth\w*|tokens?|credentials?|access|challenge|scheme|realm|is|was|not|and|or)"
_SCHEMED: Final = re.compile(
    r"\b(?P<key>(?:bearer|basic|negotiate|sharedkey(?:lite)?|aws4-hmac-sha256)[\s␣]{1,3})"
    rf"(?!{_NOT_A_CREDENTIAL}\b(?!\S))(?P<value>[^\s*]\S{{3,}}+)",
    re.IGNORECASE,
)
# All of a digest's parameters: cut off, the one that matters can be too short to be known by its own form.
_DIGEST: Final = re.compile(
    r"""\b(?P<key>digest[\s␣]{1,3})(?P<value>(?:\w{1,20}=(?:"[^"]*+"?|[^\s,"]++)[\s,]{0,3})++)""", re.IGNORECASE
)

# Key ids and tokens that say by their own form what they are: AWS, Alibaba, Tencent, Google, GitHub, Slack, JWT.
_BRANDED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{8}[A-Za-z0-9]*+|LTAI[A-Za-z0-9]{10,}+"
    r"|AKID[A-Za-z0-9]{10,}+|GOOG[A-Z0-9]{12,}+|AIza[\w-]{20,}+|ya29\.[\w.-]++|gh[pousr]_\w{16,}+|xox[abprs]-[\w-]++"
    r"|eyJ[\w-]{8,}+(?:\.[\w=+/-]*+){0,4})"
)
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}+={0,2}+")
_PIECE: Final = re.compile(r"[A-Za-z0-9+]++")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32,}+")
SHORTEST_RANDOM: Final = 20
"""Characters that a run must have to be taken for random: shorter ones are words as often."""
_AWS_SECRET_CHARS: Final = 40


def hide_blocks(text: str) -> str:
    """Replace PEM blocks, Go maps and everything between the first brace and the last by ``***``.

    Between, not matched pair by pair: braces and quotes inside values, escaped JSON and blocks that were cut off
    make every pairing unsure. A block that does not end, by its braces or its quotes, ends with the text.
    """
    text = _GO_MAP.sub(f"map[{HIDDEN}]", hide_pem(text))
    start, last = text.find("{"), text.rfind("}")
    if start < 0 and last < 0:
        return text
    first_close = text.find("}")
    if first_close >= 0 and (start < 0 or first_close < start):
        start = _start_of_beheaded_block(text, first_close)
    end = len(text) if last < start or _unfinished(text[start : last + 1]) else last + 1
    return text[:start] + HIDDEN + text[end:]


def hide_pem(text: str) -> str:
    """Replace PEM blocks, also one whose begin or end has been cut off."""
    if "--" not in text:
        return text
    return _PEM_TAIL.sub(HIDDEN, _PEM.sub(HIDDEN, text))


def _start_of_beheaded_block(text: str, close: int) -> int:
    """Where the word starts that holds the first quote before a brace that nothing opened, or the word before it."""
    quotes = [at for at in (text.find('"', 0, close), text.find("'", 0, close)) if at >= 0]
    return text.rfind(" ", 0, min(quotes) if quotes else len(text[:close].rstrip())) + 1


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
    folded = plain_keys(text).casefold()
    if not any(stem in folded for stem in STEMS + _SCHEME_STEMS) and not _SHORT_KEY.search(folded):
        return text
    text = _hide_values(_DIGEST, text)
    return _hide_values(_SCHEMED, _hide_values(_FLAG, _hide_values(_keyed(), text)))


def _hide_values(pattern: re.Pattern[str], text: str) -> str:
    """Hide what follows each key, also where the key stands in the value of another one and its own reaches further."""
    spans: list[tuple[int, int]] = []
    plain, at = plain_keys(text), 0
    while (found := pattern.search(plain, at)) and len(spans) < _MOST_KEYS:
        at = found.end("key")
        spans.append(found.span("value"))
    if found:
        spans.append((found.start("value"), len(text)))
    shown, hidden_to = "", 0
    for start, end in sorted(spans):
        if start >= hidden_to:
            shown += text[hidden_to:start] + HIDDEN
        hidden_to = max(hidden_to, end)
    return shown + text[hidden_to:]


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
    if len(segment) < SHORTEST_RANDOM:
        return False
    if _HEX.search(segment) or _restless(segment, least=24, ratio=0.4, kinds=3):
        return True
    return any(_restless(piece, least=SHORTEST_RANDOM, ratio=0.25, kinds=2) for piece in _PIECE.findall(segment))


def _restless(token: str, *, least: int, ratio: float, kinds: int) -> bool:
    """Whether a token with a digit hops between lower case, upper case and digits as often as chance would."""
    if len(token) < least:
        return False
    sorts = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in token if c.isalnum()]
    if len(sorts) < least or len(set(sorts)) < kinds or "d" not in sorts:
        return False
    hops = sum(a != b for a, b in pairwise(sorts))
    return hops / len(sorts) >= ratio
