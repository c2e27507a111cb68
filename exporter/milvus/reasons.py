"""Free text in, closed failure class out: one ordered table (docs/milvus.md, "Failure classes").

Nothing relies on a whole text: three generations of Milvus word the same failure differently. Wrappers are
taken off first, because they say how often Milvus tried and not what went wrong. Names are no evidence: URIs,
paths and column names are taken out before the table is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from exporter.model import FailureClass as Class

_WINDOW: Final = 4096
"""Characters looked at from either end of a reason; real ones have at most about 4 KiB."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A phrase that Milvus puts around a cause, and the class that stands when the cause is not known."""

    pattern: str
    own: Class | None = None


WRAPPERS: Final = (
    Wrapper(r"timeout, last failure: ?", Class.TIMEOUT),
    Wrapper(r"timeout; the index-gate segment apply kept failing, last error: ?", Class.TIMEOUT),
    Wrapper(r"worker failure \d{1,9}/\d{1,9}: ?", Class.WORKER_ERROR),
    Wrapper(r"worker requested retry: ?", Class.WORKER_ERROR),
    Wrapper(r"manifest conflict \d{1,9}/\d{1,9}: ?", Class.CONFLICT),
    Wrapper(r"(?:explore external files failed|failed to explore external files): ?", Class.STORAGE_ERROR),
    Wrapper(r"failed to explore files returning manifest path(?:: ?)?", Class.STORAGE_ERROR),
    Wrapper(r"external field size sampling failed for all \d{1,9} segment\(s\)[:;] ?", Class.SCHEMA_MISMATCH),
    Wrapper(r"failed to fetch fragments: ?"),
    # The storage library puts these around permanent failures too: "transient" means nothing.
    Wrapper(r"(?:ffi operation failed|loon_\w{1,64}+ (?:failed|got exception)): ?"),
    Wrapper(r"(?:error: ?)?got exception ?\(code \d{1,9}\) details: ?"),
    Wrapper(r"loon ffi transient error(?:: )?"),
)
_ANY_WRAPPER: Final = re.compile(
    r"(?<!\w)(?:" + "|".join(f"({each.pattern})" for each in WRAPPERS) + ")", re.IGNORECASE
)
_DOUBLED_COLONS: Final = re.compile(r":(?:\s*+:)++(?=\s|\Z)")
_NESTING: Final = 8


def strip_wrappers(text: str) -> tuple[str, Class | None]:
    """Return the text without wrapper phrases, and the class of the innermost one that has a class of its own.

    Where nothing would remain, the text comes back as it is.
    """
    own: Class | None = None
    inner = text
    for _ in range(_NESTING):
        found = [WRAPPERS[match.lastindex - 1].own for match in _ANY_WRAPPER.finditer(inner) if match.lastindex]
        if not found:
            break
        own = next((each for each in reversed(found) if each), own)
        inner = _DOUBLED_COLONS.sub(":", _ANY_WRAPPER.sub("", inner)).strip(" :;,")
    return (inner, own) if any(c.isalnum() for c in inner) else (text, own)


@dataclass(frozen=True, slots=True)
class Row:
    """Evidence for one class: phrases, and a pattern where a phrase would catch too much.

    The words of a phrase may also be joined in the text: ``access denied`` stands for ``AccessDenied`` and
    ``ACCESS_DENIED`` too.
    """

    found: Class
    phrases: tuple[str, ...]
    pattern: re.Pattern[str] | None = None

    def speaks(self, text: str, joined: str) -> bool:
        """Whether the evidence is in the lower-case ``text``, or in the same text with its words ``joined``."""
        return any(_join(phrase) in joined for phrase in self.phrases) or bool(
            self.pattern and self.pattern.search(text)
        )


@cache
def _join(text: str) -> str:
    return text.translate(_JOINTS)


_JOINTS: Final = str.maketrans("", "", " _")


def _any(phrases: str) -> tuple[str, ...]:
    return tuple(phrases.split(" | "))


def _status(codes: str) -> re.Pattern[str]:
    """Match an HTTP status; not a count ("403 fragments"), an id ("segment 403") or a name ("b-403.parquet")."""
    return re.compile(
        r"(?<![\w./+-])(?<!all )(?<!got )(?<!has )(?<!id )(?<!job )(?<!task )(?<!only )(?<!least )(?<!expected )"
        rf"(?<!segment )(?<!collection )(?<!version )(?<!partition )(?:{codes})(?![\w/+-]|[.,]\w)"
        r"(?! ?(?:fragment|segment|row|file|column|buffer|field|partition|byte|more|task))"
    )


def _last(names: str) -> re.Pattern[str]:
    """Match one of the names at the end of the text."""
    return re.compile(rf"(?:\A|[\s:])(?:{names})\Z")


TABLE: Final = (
    Row(Class.INDEX_WAIT_TIMEOUT, _any("timeout waiting for index")),
    # What Milvus says about its jobs, tasks and records decides before anything that it quotes.
    Row(Class.SAFETY_CHECK, _any("safety check failed")),
    Row(Class.SUPERSEDED, _any("task source mismatch | superseded by")),
    Row(Class.CANCELLED, _any("job canceled | job cancelled")),
    Row(
        Class.COLLECTION_GONE,
        _any("can't find collection | collection does not exist"),
        re.compile(r"collection(?: \d{1,20}| '[^']{0,255}'| \"[^\"]{0,255}\"| ?\[[^\]]{0,255}\])? not found"),
    ),
    Row(
        Class.WORKER_ERROR,
        _any("task result not found | query task failed | persisting in progress failed | task in unexpected state"),
    ),
    Row(Class.CONFLICT, _any("owned segment | collides with existing | stale manifest")),
    Row(
        Class.INTERNAL,
        _any(
            "expected exactly 1 partition | expected exactly 1 vchannel | references missing task | "
            "unsupported ownership plan | without persisted refresh result | result cannot be verified | "
            "insufficient pre-allocated ids | binlog row count mismatch"
        ),
    ),
    # These say whose storage or service failed. It is not the source, though what follows reads like it.
    Row(
        Class.MANIFEST_ERROR,
        _any(
            "read explore manifest | explore manifest path | baseline manifests | failed to create manifest | "
            "append manifest columns"
        ),
    ),
    Row(Class.FUNCTION_ERROR, _any("function output column | function execution")),
    # These list the names of columns, which are no evidence.
    Row(Class.SCHEMA_MISMATCH, _any("no match for fieldref | no field named | schema at index")),
    # An archived object answers 403, and no key or policy is wrong.
    Row(Class.STORAGE_ERROR, _any("object's storage class")),
    Row(
        Class.ACCESS_DENIED,
        _any(
            "access denied | permission denied | invalid credential | invalid access key id | "
            "access key id you provided | invalid client token id | signature does not match | "
            "signature we calculated | time too skewed | expired token | token has expired | token is expired | "
            "malformed or otherwise invalid | assume role | not authorized | unauthorized | unauthenticated | "
            "forbidden | authentication failed | public access not permitted | no credentials"
        ),
        _status("401|403"),
    ),
    Row(
        Class.ACCESS_DENIED,
        (),
        re.compile(
            r"(?:failed to|unable to|can ?not|could not) (?:find|get|load|locate|obtain|refresh|retrieve)"
            r"(?: \w{1,20}){0,3} (?:credentials|(?:access )?token)\b"
        ),
    ),
    Row(
        Class.SOURCE_NOT_FOUND,
        _any(
            "path does not exist | no such file | no such bucket | bucket not found | bucket does not exist | "
            "no such key | key not found | key does not exist | resource not found | container not found | "
            "blob not found | was not found: not found | error: not found"
        ),
        _status("404"),
    ),
    Row(
        Class.SOURCE_UNREACHABLE,
        _any(
            "resolve host | no such host | name resolution | dns error | network connection | curlcode | "
            "curl error | connection refused | connection reset | connection timeout | connection timed out | "
            "connect timeout | could not connect | failed to connect | i/o timeout | unreachable | "
            "no route to host | dial tcp | error sending request | response body error | "
            "tls handshake | x509: | certificate verify"
        ),
    ),
    Row(Class.SOURCE_EMPTY, _any("no files found in external source | zero total rows")),
    Row(Class.FUNCTION_ERROR, _any("analyzer")),
    Row(
        Class.SCHEMA_MISMATCH,
        _any(
            "not found in schema | column not found | field not found | type mismatch | dimension mismatch | "
            "schema mismatch | refresh schema invalid | has no external_field | sampled field sizes sum | "
            "non-positive average size | unsupported cast from | as a scalar of type | incompatible types | "
            "casted to fixedsizelisttype | multiple of the list_size"
        ),
    ),
    # The metadata of a snapshot belong to the source: what its storage answered has been looked for above.
    Row(Class.MANIFEST_ERROR, _any("snapshot metadata | manifest list")),
    Row(
        Class.FORMAT_ERROR,
        _any(
            "missing encoding | buffers, got | magic bytes | invalid magic | parquet file size | invalid parquet | "
            "deserialize thrift | decode protobuf | encrypted metadata | unsupported encoding | support for codec | "
            "data format broken | object of size | range not satisfiable | file size is too small | "
            "sufficient data | not aligned to | corrupt"
        ),
    ),
    Row(
        Class.SPEC_INVALID,
        _any(
            "failed revalidation | parse external spec | invalid external spec | invalid external source | "
            "external source is empty | allowed schemes | extfs | cannot resolve endpoint | "
            "unsupported cloud provider | unsupported format | metadata_location must not be empty | "
            "snapshot with id | path is not a file | permanent redirect | http status 301 | "
            "redirect without location | authorization header malformed | location constraint | "
            "invalid bucket name | no object store provider | unrecognized filesystem type | could not parse bucket"
        ),
    ),
    Row(Class.TIMEOUT, (), re.compile(r"\A(?:job |task )?timeout\Z")),
    # The storage did not answer in time. The job's own timeout is the row above.
    Row(Class.STORAGE_ERROR, _any("timed out | deadline exceeded | request timeout")),
    Row(Class.INTERNAL, _any("panic | nil pointer | etcdserver")),
    Row(
        Class.STORAGE_ERROR,
        _any(
            "ioerror | aws error | azure error | google::cloud::status | lanceerror(io) | non-2xx status code | "
            "slow down | reduce your request rate | throttl | too many requests | service unavailable"
        ),
    ),
    # What reads a file says this around errors of the storage too, so it comes after them.
    Row(Class.FORMAT_ERROR, _any("could not open parquet input source | could not read schema from")),
    # Milvus ends a text with the name of the error. It decides where nothing more exact was said.
    Row(Class.STORAGE_ERROR, (), _last("io failed|storage internal error|unexpected eof")),
    Row(Class.FORMAT_ERROR, (), _last("data integrity check failed")),
    Row(
        Class.WORKER_ERROR,
        (),
        _last(
            "memory limit exceeded|disk limit exceeded|service resource insufficient|datanode slot exhausted|"
            "node not found"
        ),
    ),
)
# Read when neither the table nor a wrapper knows. Milvus puts these around almost anything.
WEAK: Final = (
    Row(Class.STORAGE_ERROR, _any("loon ffi | ffi operation failed | failed to get file info")),
    Row(Class.MANIFEST_ERROR, _any("manifest")),
    Row(Class.INTERNAL, (), _last("service internal error")),
)

_URI: Final = re.compile(r"://[^\s\"'<>,;]++")
# The elements of an error body that hold names, then every other tag: "</Code>" is not a path.
_MARKUP: Final = re.compile(r"<(bucketname|key|resource|hostid|requestid)>[^<]*+</\1>|</?[a-z]\w*+/?>")
_NAMED: Final = re.compile(r"\b(column|field|bucket|key) (?:'[^']*+'|\"[^\"]*+\")")
# What Milvus appends to the name of an error: "node not found[node=12]".
_DETAILS: Final = re.compile(r"\[\w++=[^\[\]]*+\]")
# Words of a sentence that have a slash in them, and numbers of attempts.
_SLASHED: Final = re.compile(r"\(?(?:[a-z]+/[a-z]+|\d+/\d+)\)?")


def classify(raw: str) -> Class:
    """Return the failure class of a reason; ``unknown`` for an empty or unknown one. Never raises."""
    text = _evidence(raw)
    inner, own = strip_wrappers(text)
    return _look_up(TABLE, inner) or own or _look_up(WEAK, text) or Class.UNKNOWN


def _evidence(raw: str) -> str:
    """Return both ends of the text in lower case, on one line, without URIs, paths and names of columns."""
    if len(raw) > 2 * _WINDOW:
        raw = f"{raw[:_WINDOW]} … {raw[-_WINDOW:]}"
    text = _DETAILS.sub(" ", _NAMED.sub(r"\1", _URI.sub("://", _MARKUP.sub(" ", raw.lower()))))
    return " ".join(word for word in text.split() if not _is_path(word))


def _is_path(word: str) -> bool:
    """Whether a word is a path; ``source/spec``, ``i/o`` and ``3/10:`` are not."""
    if "/" not in word or "://" in word:
        return False
    return not _SLASHED.fullmatch(word.rstrip(",:;."))


def _look_up(table: tuple[Row, ...], text: str) -> Class | None:
    joined = text.translate(_JOINTS)
    return next((row.found for row in table if row.speaks(text, joined)), None)
