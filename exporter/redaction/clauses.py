"""Values behind a key that announces a secret: everything goes, up to the end of the clause.

What joins key and value comes in a few shapes. How long a value is cannot be known from its own form, so it ends where
the text says so: at the end of its line, at the bracket or quote around the whole pair, or before the next pair. Too
much hidden costs a word in a label; too little publishes a credential. All patterns take linear time: repeats are
possessive or bounded.
"""

# ruff: noqa: RUF001  # quotes, dashes and colons as real texts have them

from __future__ import annotations

import re
from typing import Final

from exporter.redaction.keys import (
    COMPOUND,
    KEY,
    OBJECT,
    PARSER,
    SCHEMA_NAME,
    announces_secret,
    may_hold_key,
    start_of_name,
)
from exporter.redaction.uris import HIDDEN

_LONGEST_BEFORE: Final = 32
"""Characters before a key that can tell that it names something else."""
_QUOTE: Final = r"""\\*+["'`“”‘’„«»]"""
_CLOSED_KEY: Final = rf"(?:{_QUOTE})?+(?:\[\]|[\])])?+"

# What joins a key and its value. After a "certain" joint only a sentence about the key is left; after a "likely" one
# only what looks like a value is hidden.
JOINT: Final = re.compile(
    rf"""
    (?P<certain>
        {_CLOSED_KEY}\s{{0,3}}(?:-{{1,2}}> | [!=~<>?]?[=＝]{{1,3}}>? | [:：](?!:)=?=? | \|(?=\s?\S))
      | \s[-–—](?=\s)                                                         # password - X
      | {_CLOSED_KEY}[\s,;]{{1,3}}["']?value["']?\s{{0,2}}[:=]                # key: "password" value: "X"
      | </[\w:.-]{{1,40}}>\s{{0,2}}<[\w:.-]{{1,40}}>                          # <name>password</name><value>X
      | \s[\w:.-]{{1,40}}=["'][^<>"']{{0,200}}["']>                           # <password xmlns="...">X
      | {_QUOTE}\s{{0,2}},\s{{0,2}}(?={_QUOTE})                               # "password", "X"
      | \s{{0,2}}[(\[]{{1,2}}(?=["'`])                                        # password("X")
      | \s{{0,2}}(?={_QUOTE}[^\s,;:.=)\]}}>/"'])                               # password "X"
      | \s\(\w{{1,12}}\)\s?[:=]                                               # password (str): X
      | \s(?:provided|supplied|given|used|received|returned|found|you\s\w+)\s?[:=]
      | \s(?:as|by|to|with)\s(?={_QUOTE}\S)                                   # password AS 'X'
      | \s(?:for|of|from|in|at)\s[^:=\n]{{1,60}}?(?:=|:(?![/\d]))             # password for user etl: X
    )
  | (?P<xml>>)                                                                # <password>X
  | (?P<tuple>\s?,\s?)                                                        # (password, X)
  | (?P<verb>\s\(?(?:is|was|are|were)\s(?:set\sto\s)?)                        # password is X
  | (?P<likely>(?:{_QUOTE})?+\s?\(|(?:{_QUOTE})?+\s{{1,2}})                   # password (X), password X
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Blanks, line breaks, and what YAML and shells put before a value on the next line.
LEAD: Final = re.compile(r"\s{0,8}(?:[|>][-+]?\d?\s{1,8})?(?:\\\s{1,8})?")

# Words that begin a sentence about the key, after "ExpiredToken: " or "invalid credentials: ".
SENTENCE_WORDS: Final = (
    "the|a|an|no|not|your|this|that|it|must|should|cannot|could|can|failed|failure|error|invalid|incorrect"
    "|wrong|missing|expired|denied|refused|revoked|empty|unauthorized|unauthenticated|unauthorised|forbidden"
    "|unable|unknown|unsupported|unexpected|expected|required|request|response|status|code|http|https|rpc"
    "|timeout|timed|access|permission|connection|connect|dial|context|operation|caused|column|field|type"
    "|schema|nosuchbucket|nosuchkey|accessdenied|all|only|there|user|role|service|server|using|null|none|nil"
    "|true|false|undefined|already|too|in|of|on|at|by|for|from|does|do|has|have|is|was|are|or|and|with|without"
    "|please|when|while|if|executable|stale|bad|get|length|still|now|never|exit|yes"
)
# Types of Arrow and Milvus: "password: string" is a line of a schema.
_TYPES: Final = (
    r"u?int(?:8|16|32|64)?|(?:large_)?(?:string|utf8|binary)|float(?:16|32|64)?|double|bool(?:ean)?|varchar|json|null"
    r"|date(?:32|64)?|time(?:stamp|32|64)?|decimal(?:128|256)?|struct|list|map|array|dictionary|fixed_size_(?:list|binary)"
)
# An opening word with what it opens. If the next word looks like a value, it was no sentence.
SENTENCE: Final = re.compile(
    rf"""\(?(?:
        (?:{SENTENCE_WORDS} | [45]\d\d | \d{{1,9}}\s(?:of|rows?|tokens?|files?) | invalid_[a-z_]++
          | (?-i:[A-Z]\w{{2,60}}(?:Exception|Error)) | (?:err|exec|oauth2|x509|tls|json|yaml|base64)(?=:\s))
        (?=[\s,.:;)\]]|\Z) (?!\s\S{{0,40}}(?-i:[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]))
      | (?:{_TYPES}) (?=[\s,.:;)\]<>(\[]|\Z)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# After "is": "password is required", "token is not set".
VERB_SENTENCE: Final = re.compile(
    r"""[a-z]+(?:ed|ing|able|ible|ory|en|ent|ly)(?=[\s,.:;)]|\Z)
    | (?:too|not|in|of|the|a|an|no|also|short|long|weak|old|set|correct)\b""",
    re.VERBOSE,
)
# What cannot be an ordinary word: it has a digit, a sign or a capital inside, or is quoted.
VALUE_LIKE: Final = re.compile(
    r"""(?!\w{1,20}://)(?!\d++(?:[\s,.;:)]|\Z))(?!v\d\b)(?!s\))
    (?:["'`“‘„«]\S | [A-Za-z]*+(?:[\d+/=!$%^~*&{\[] | [_.-]\w) | [A-Za-z]{0,40}[a-z][A-Z]\w)""",
    re.VERBOSE,
)
# Where a value can end, and what can hide such a place: entities, escaped and doubled quotes, brackets, quotes.
_NEXT_PAIR: Final = r"""
    (?:[,;&|/]\s{0,3}|\s{1,3}|\n\s?)(?:--?)?["']?[A-Za-z_@$][\w.-]{0,60}["']?\]?\s{0,2}=>?(?=[^\s=,;:])
  | [,;&|]\s{0,3}["']?[A-Za-z_@$][\w.-]{0,60}["']?\s{0,2}[:=](?!/)
  | \n\s?["']?[A-Za-z_@$][\w.-]{0,60}["']?\s{0,2}[:=](?!/)
"""
MARK: Final = re.compile(
    rf"""\\. | &\#?\w{{2,10}}; | '' | ""
    | (?P<pair>{_NEXT_PAIR}) | (?P<line>\n(?![\s-])) | (?P<tag></[\w:]) | [()\[\]{{}}"'`]""",
    re.VERBOSE | re.DOTALL,
)
_DEEPEST: Final = 32
"""Brackets and quotes inside each other. Text with more is no reason that anybody reads, and is hidden."""
_LONGEST_KEY: Final = 160
"""Characters. A longer one does not fit between two ends of clauses in a text that anybody reads."""
_CLOSER: Final = {"(": ")", "[": "]", "{": "}"}
_AFTER_CLOSER: Final = re.compile(r"[\s,;:.)\]}>\"'`\\]|\Z|--|/>")

FLAG: Final = re.compile(
    r"(?P<key>(?<!\S)(?:--?[\w-]{0,20}?(?:pass|secret|token|key|user|auth)[\w-]{0,20}+|-[up])\s)"
    r"(?P<value>\"[^\"]*+\"?|'[^']*+'?|\S++)",
    re.IGNORECASE,
)
SCHEME: Final = re.compile(
    r"\b(?P<key>(?:(?:bearer|basic|negotiate|sharedkey(?:lite)?|aws4-hmac-sha256)\s{1,8})++)"
    r"(?!(?:auth\w*|tokens?|credentials?|access|challenge|scheme|realm|is|was|not|and|or)\b(?!\S))"
    r"(?P<value>[^\s*]\S{3,}+)",
    re.IGNORECASE,
)
# All parameters of a digest: the one that matters can be cut off, and too short to be known by its own form.
DIGEST: Final = re.compile(
    r"""\b(?P<key>digest\s{1,3})(?P<value>(?:\w{1,20}=(?:"[^"]*+"?|[^\s,"]++)[\s,]{0,3})++)""", re.IGNORECASE
)


def hide_values(text: str) -> str:
    """Hide values behind keys, command-line flags and authorization schemes."""
    if not may_hold_key(text):
        return text
    for pattern in (DIGEST, FLAG):
        text = pattern.sub(rf"\g<key>{HIDDEN}", text)
    return SCHEME.sub(rf"\g<key>{HIDDEN}", _hide_behind_keys(text))


def _hide_behind_keys(text: str) -> str:
    shown, shown_to, at = "", 0, 0
    around: list[str] = []
    around_to = 0
    while key := KEY.search(text, at):
        at = key.end()
        start = _start_of_value(text, key)
        if start is None:
            continue
        for mark in MARK.finditer(text, around_to, start):
            _turn(around, text, mark)
        around_to = start
        end = _end_of_clause(text, start, around, compound=COMPOUND.search(key[0]) is not None)
        if value := text[start:end].rstrip():
            shown += text[shown_to:start] + HIDDEN
            shown_to = start + len(value)
        at = around_to = max(at, end)
    return shown + text[shown_to:]


def _start_of_value(text: str, key: re.Match[str]) -> int | None:
    """Return where the value behind a key starts, None if there is none to hide."""
    joint = JOINT.match(text, key.end())
    name_at = start_of_name(text, key.start())
    if not joint or not announces_secret(text[name_at : key.end()]) or not _joins(joint, text[name_at - 1 : name_at]):
        return None
    lead = LEAD.match(text, joint.end())
    start = lead.end() if lead else joint.end()
    if start == len(text) or text.startswith(HIDDEN, start) or SENTENCE.match(text, start):
        return None
    before = text[max(0, name_at - _LONGEST_BEFORE) : name_at]
    if OBJECT.match(text, name_at) or PARSER.search(before):
        return None
    if joint.lastgroup == "verb":
        is_value = not VERB_SENTENCE.match(text, start)
    elif joint.lastgroup == "likely" or SCHEMA_NAME.search(before):
        is_value = VALUE_LIKE.match(text, start) is not None
    else:
        is_value = True
    return start if is_value else None


def _joins(joint: re.Match[str], before: str) -> bool:
    """Whether a sign that means something else elsewhere joins a key and a value here."""
    match joint.lastgroup:
        case "xml":
            return before != "/"  # or it closes a tag
        case "tuple":
            return before == "("
    return True


def _end_of_clause(text: str, start: int, around: list[str], *, compound: bool) -> int:
    """Return where a value ends, together with that of a key in it that stands at its end: "token: Cookie: id=x"."""
    end = _end_of_one(text, start, around, compound=compound)
    while across := _key_across(text, start, end):
        key, start = across
        end = _end_of_one(text, start, around, compound=COMPOUND.search(key[0]) is not None)
    return end


def _key_across(text: str, start: int, end: int) -> tuple[re.Match[str], int] | None:
    """Return a key that stands before ``end`` with a value that starts there or later, and where that is."""
    at = max(start, end - _LONGEST_KEY)
    while (key := KEY.search(text, at)) and key.start() < end:
        value = _start_of_value(text, key)
        if value is not None and value >= end:
            return key, value
        at = key.end()
    return None


def _end_of_one(text: str, start: int, around: list[str], *, compound: bool) -> int:
    """Return where a value ends: its line, the next pair, or what closes a bracket or quote open ``around`` it."""
    inside: list[str] = []
    for mark in MARK.finditer(text, start):
        sign = mark[0]
        if not inside:
            if mark["line"] or mark["tag"] or (mark["pair"] and not compound):
                return mark.start()
            if sign in around and _AFTER_CLOSER.match(text, mark.end()):
                return mark.start()
        _turn(inside, text, mark)
        if len(inside) == _DEEPEST:
            break
    return len(text)


def _turn(stack: list[str], text: str, mark: re.Match[str]) -> None:
    """Note on the stack what a bracket or quote opens or closes: the sign that will close it."""
    sign = mark[0]
    if len(sign) > 1 or sign.isspace() or len(stack) == _DEEPEST:
        return
    if sign in _CLOSER:
        if not stack or stack[-1] in _CLOSER.values():
            stack.append(_CLOSER[sign])
    elif sign in stack:
        if _AFTER_CLOSER.match(text, mark.end()):
            del stack[stack.index(sign) :]
    elif sign in "\"'`" and not text[mark.start() - 1 : mark.start()].isalnum():
        stack.append(sign)
