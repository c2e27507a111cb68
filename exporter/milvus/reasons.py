"""Free text in, closed failure class out: one ordered table (docs/milvus.md, "Failure classes").

Nothing relies on a whole text: three generations of Milvus word the same failure differently. Wrappers are
taken off first, because they say how often Milvus tried and not what went wrong. Names are no evidence: URIs,
paths and column names are taken out before the table is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    """Evidence for one class: lower-case phrases, and a pattern where a phrase would catch too much."""

    found: Class
    phrases: tuple[str, ...]
    pattern: re.Pattern[str] | None = None

    def speaks(self, text: str) -> bool:
        """Whether the evidence is in the lower-case ``text``."""
        return any(phrase in text for phrase in self.phrases) or bool(self.pattern and self.pattern.search(text))


def _any(phrases: str) -> tuple[str, ...]:
    return tuple(phrases.split(" | "))


def _status(codes: str) -> re.Pattern[str]:
    """Match an HTTP status; not a count ("403 fragments"), an id ("segment 403") or a name ("b-403.parquet")."""
    return re.compile(
        r"(?<![\w./+-])(?<!all )(?<!got )(?<!has )(?<!job )(?<!task )(?<!only )(?<!least )(?<!expected )(?<!segment )"
        rf"(?<!collection )(?<!version )(?<!partition )(?:{codes})(?![\w/+-]|[.,]\w)"
        r"(?! ?(?:fragment|segment|row|file|column|buffer|field|partition|byte|more|task))"
    )


_TABLE: Final = (
    Row(Class.INDEX_WAIT_TIMEOUT, _any("timeout waiting for index")),
    Row(Class.SAFETY_CHECK, _any("safety check failed | refusing to drop all")),
    Row(Class.SUPERSEDED, _any("task source mismatch | superseded by")),
    Row(Class.CANCELLED, _any("job canceled | job cancelled")),
    Row(
        Class.COLLECTION_GONE,
        _any("can't find collection | collection does not exist | collection not exist"),
        re.compile(r"collection(?: \d{1,20}| '[^']{0,255}'| \"[^\"]{0,255}\"| ?\[[^\]]{0,255}\])? not found"),
    ),
    # Milvus's own words about its tasks and records come before the storage's, which can stand inside them.
    Row(Class.WORKER_ERROR, _any("task result not found | query task failed | persisting inprogress failed")),
    Row(Class.CONFLICT, _any("owned segment | collides with existing | transaction conflict | concurrent transaction")),
    Row(
        Class.INTERNAL,
        _any(
            "expected exactly 1 partition | expected exactly 1 vchannel | references missing task | "
            "unsupported ownership plan | without persisted refresh result | insufficient pre-allocated ids | "
            "binlog row count mismatch"
        ),
    ),
    Row(
        Class.ACCESS_DENIED,
        _any(
            "access denied | accessdenied | error access_denied | permission denied | permissiondenied | "
            "permission_denied | invalid credential | invalidaccesskeyid | invalid_access_key_id | "
            "signaturedoesnotmatch | signature_does_not_match | signature we calculated | expiredtoken | "
            "expired_token | token has expired | token is expired | invalidtoken | invalid_client_token_id | "
            "assumerole | failed to assume | not authorized | unauthorized | forbidden | "
            "authentication failed | authenticationfailed | authorizationfailure | "
            "authorizationpermissionmismatch | no credentials | failed to get credentials | "
            "unable to load credentials | access key id you provided"
        ),
        _status("401|403"),
    ),
    Row(
        Class.SOURCE_NOT_FOUND,
        _any(
            "path does not exist | no such file | nosuchbucket | no_such_bucket | no such bucket | "
            "bucket not found | bucket does not exist | nosuchkey | no_such_key | no such key | "
            "key not found | key does not exist | object not found | no such object | blobnotfound | "
            "containernotfound | container does not exist | resource_not_found | file not found"
        ),
        _status("404"),
    ),
    Row(
        Class.SOURCE_UNREACHABLE,
        _any(
            "could not resolve host | couldn't resolve host | curlcode: | no such host | network_connection | "
            "connection refused | connection reset | connection timeout | connection timed out | "
            "connect timeout | i/o timeout | unreachable | no route to host | could not connect | "
            "couldn't connect | failed to connect | dial tcp | name resolution | tls handshake | x509: | "
            "certificate verify"
        ),
    ),
    Row(Class.SOURCE_EMPTY, _any("no files found in external source | zero total rows")),
    Row(
        Class.FUNCTION_ERROR,
        _any(
            "function output column | analyzer | function runner | run function | execute function | "
            "embedding function | function execution"
        ),
    ),
    Row(
        Class.SCHEMA_MISMATCH,
        _any(
            "not found in schema | type mismatch | dimension mismatch | dim mismatch | schema mismatch | "
            "refresh schema invalid | missing collection schema | source schema does not match | "
            "source snapshot is an external collection | external_field mapping | sampled field sizes sum | "
            "column not found | field not found | no such column"
        ),
    ),
    Row(
        Class.FORMAT_ERROR,
        _any(
            "missing encoding | buffers, got | failed to open vortex | parquet magic | not a parquet file | "
            "invalid parquet | failed to open parquet | magic bytes | unsupported encoding | "
            "deserialize thrift | unsupported file format | unsupported compression | corrupt"
        ),
    ),
    Row(
        Class.MANIFEST_ERROR,
        _any(
            "snapshot metadata | baseline manifests | failed to create manifest | append manifest columns | "
            "explore manifest path | manifest list"
        ),
    ),
    Row(
        Class.SPEC_INVALID,
        _any(
            "failed revalidation | parse external spec | external_source scheme | allowed schemes | extfs | "
            "cannot resolve endpoint | invalid external source | invalid external_source | "
            "invalid external spec | invalid external_spec | credential mode"
        ),
    ),
    Row(Class.TIMEOUT, (), re.compile(r"\A(?:job |task )?timeout\Z")),
    # The storage did not answer in time. The job's own timeout is the row above.
    Row(Class.STORAGE_ERROR, _any("timed out | deadline exceeded | request timeout | requesttimeout")),
    Row(Class.INTERNAL, _any("panic | nil pointer | etcdserver")),
    Row(
        Class.STORAGE_ERROR,
        _any(
            "ioerror | io error | aws error | slowdown | slow down | slow_down | throttl | too many requests | "
            "service unavailable | serviceunavailable"
        ),
    ),
)
# Read when neither the table nor a wrapper knows. Milvus puts these names around almost anything.
_WEAK: Final = (
    Row(Class.STORAGE_ERROR, _any("loon ffi transient error | ffi operation failed | loon_ | failed to get file info")),
    Row(Class.MANIFEST_ERROR, _any("manifest")),
    Row(Class.INTERNAL, _any("service internal error")),
)

_URI: Final = re.compile(r"://[^\s\"'<>,;]++")
_NAMED: Final = re.compile(r"\b(column|field|bucket|key) (?:'[^']*+'|\"[^\"]*+\")")


def classify(raw: str) -> Class:
    """Return the failure class of a reason; ``unknown`` for an empty or unknown one. Never raises."""
    text = _evidence(raw)
    inner, own = strip_wrappers(text)
    return _look_up(_TABLE, inner) or own or _look_up(_WEAK, text) or Class.UNKNOWN


def _evidence(raw: str) -> str:
    """Return both ends of the text in lower case, on one line, without URIs, paths and names of columns."""
    if len(raw) > 2 * _WINDOW:
        raw = f"{raw[:_WINDOW]} … {raw[-_WINDOW:]}"
    text = _NAMED.sub(r"\1", _URI.sub("://", raw.lower()))
    return " ".join(word for word in text.split() if not _is_path(word))


def _is_path(word: str) -> bool:
    """Whether a word is a path; ``source/spec``, ``i/o`` and ``3/10:`` are none."""
    if "/" not in word or "://" in word:
        return False
    bare = word.strip("\"'`()[],:;.")
    return bare.count("/") > 1 or bare != word.rstrip(",:;.") or "." in bare or "=" in bare or bare.endswith("/")


def _look_up(table: tuple[Row, ...], text: str) -> Class | None:
    return next((row.found for row in table if row.speaks(text)), None)
