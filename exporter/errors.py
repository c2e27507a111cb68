"""The error tree. Each leaf is one sentence and one ``kind`` that is safe as a label value.

Foreign errors (gRPC codes, Milvus's status codes) are translated into these leaves in one place,
``exporter.milvus.status``; nothing later knows a foreign error.
"""

from __future__ import annotations

import errno
from typing import Final

_LASTING: Final = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""What the operating system refuses until somebody changes something. All else may be different a moment later."""
_NOT_PERMITTED: Final = 1401


class ExporterError(Exception):
    """Root of everything this project raises on purpose."""


class UsageError(ExporterError):
    """The user's command line or configuration is at fault; ends with exit code 2, never with a traceback."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NotYetUsable(UsageError):
    """What is configured cannot be used now and may be later: an address in use, a file that is not there yet.

    Ends with exit code 1, so that a supervisor tries again.
    """


def may_pass(error: Exception) -> bool:
    """Return whether what the operating system refused may work when it is tried again."""
    return isinstance(error, OSError) and error.errno is not None and error.errno not in _LASTING


class StateUnusable(ExporterError):
    """The state file cannot be used: somebody else's, damaged, or held by another process. The text names it."""


class StateUnwritable(StateUnusable):
    """The state file cannot be written now: full, read-only, busy. That may pass."""


class MilvusError(ExporterError):
    """A call to Milvus did not bring an answer that can be used.

    ``detail`` is Milvus's or gRPC's own text, made safe like a failure reason. It goes to the log and to the terminal
    of ``check``, never into a label. ``code`` is Milvus's status code, 0 where there is none.
    """

    kind = "internal"
    sentence = "The call failed."

    def __init__(self, detail: str = "", *, code: int = 0) -> None:
        super().__init__(f"{self.sentence} {detail}".strip())
        self.detail = detail
        self.code = code


class Unreachable(MilvusError):
    """Nothing answered: refused, reset, or the name does not resolve."""

    kind = "unreachable"
    sentence = "Milvus cannot be reached."


class TLSFailed(MilvusError):
    """The connection was made and the TLS handshake failed."""

    kind = "tls"
    sentence = "The TLS handshake with Milvus failed."


class TLSFilesUnusable(TLSFailed):
    """A file of certificates or a key cannot be read, or holds none; nothing was sent."""

    sentence = "The TLS files cannot be used."


class DeadlineExceeded(MilvusError):
    """No answer within the time allowed."""

    kind = "deadline"
    sentence = "Milvus did not answer in time."


class NotReady(MilvusError):
    """Milvus is starting or a component of it is restarting."""

    kind = "not_ready"
    sentence = "Milvus is not ready yet."


class RateLimited(MilvusError):
    """Milvus refuses calls because there are too many of them."""

    kind = "rate_limited"
    sentence = "Milvus limits the rate of calls."


class Unauthenticated(MilvusError):
    """Credentials are missing or wrong."""

    kind = "unauthenticated"
    sentence = "Milvus rejects the credentials."


class CredentialsUnusable(Unauthenticated):
    """A file of credentials cannot be read, or holds none; nothing was sent."""

    sentence = "The credentials cannot be read."


class PermissionDenied(MilvusError):
    """The user is known and lacks a privilege."""

    kind = "permission_denied"
    sentence = "The Milvus user lacks a privilege."

    @property
    def hides_one_collection(self) -> bool:
        """Whether this says that one collection exists and may not be seen (docs/milvus.md, "Privileges").

        A missing privilege for the call itself is a gRPC code, without a status.
        """
        return self.code == _NOT_PERMITTED


class Unimplemented(MilvusError):
    """The server does not know the call."""

    kind = "unimplemented"
    sentence = "This server does not know the call."


class ResponseTooLarge(MilvusError):
    """The answer is larger than ``milvus.max_response_bytes``."""

    kind = "response_too_large"
    sentence = "The answer is larger than the limit."


class BadResponse(MilvusError):
    """The bytes are not the message they should be."""

    kind = "bad_response"
    sentence = "The answer cannot be decoded."


class ServerFault(MilvusError):
    """Milvus answered with an error of its own."""

    kind = "server_error"
    sentence = "Milvus answered with an error."

    @property
    def may_be_one_broken_job(self) -> bool:
        """Whether listing collections one by one can work where listing all failed.

        One inconsistent job makes Milvus refuse the whole listing with an internal error, and early betas refuse
        listing all with a parameter error (docs/milvus.md, "When the whole listing fails").
        """
        return self.code in (5, 65535, 1100, 1101)


class CollectionGone(ServerFault):
    """By name: there is no such collection (status 100)."""

    sentence = "Milvus has no such collection."


class DatabaseGone(ServerFault):
    """By name: there is no such database (status 800)."""

    sentence = "Milvus has no such database."


class InternalFault(MilvusError):
    """A fault of ours."""

    kind = "internal"
    sentence = "The exporter itself is at fault."


def leaves(root: type[MilvusError] = MilvusError) -> tuple[type[MilvusError], ...]:
    """Return every error below ``root``, in the order of definition."""
    found: list[type[MilvusError]] = []
    for child in root.__subclasses__():
        found.append(child)
        found.extend(leaves(child))
    return tuple(found)


KINDS: tuple[str, ...] = tuple(dict.fromkeys(leaf.kind for leaf in leaves()))
"""The closed list of label values of ``poll_errors_total`` and ``inventory_errors_total``."""
