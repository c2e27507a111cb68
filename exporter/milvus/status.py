"""Foreign errors to ours, in one place: gRPC codes and Milvus status codes (docs/milvus.md, "Status and errors")."""

from __future__ import annotations

from typing import Final

import grpc

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.redaction import safe_reason

Code = grpc.StatusCode

_BY_GRPC_CODE: Final[dict[grpc.StatusCode, type[errors.MilvusError]]] = {
    Code.UNAVAILABLE: errors.Unreachable,
    Code.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    Code.UNAUTHENTICATED: errors.Unauthenticated,
    Code.PERMISSION_DENIED: errors.PermissionDenied,
    Code.UNIMPLEMENTED: errors.Unimplemented,
    Code.RESOURCE_EXHAUSTED: errors.RateLimited,
    Code.DATA_LOSS: errors.BadResponse,
    Code.INTERNAL: errors.NotSent,
}

# gRPC has no code for a TLS mistake: only the text tells it from an outage or from wrong credentials. Where other
# versions word it otherwise, the client shakes hands itself (exporter.milvus.handshake). The text also holds the host's
# name, so a mark is never a bare word that a host could be called. A handshake that ends in "Socket closed" is an
# outage.
_TLS_MARKS: Final = (
    "(tsi_",
    "ssl_error_",
    "ssl routines:",
    "security handshaker",
    "verification check failed",
    "certificate_verify_failed",
    "wrong_version_number",
    "cannot check peer",
    "peer certificate",
    "no match found for server name",
    "does not match ssl server name",
)
_MAY_BE_TLS: Final = (Code.UNAVAILABLE, Code.UNAUTHENTICATED)
# Ours while receiving ("received message larger than max") and the server's while sending.
_TOO_LARGE_MARKS: Final = ("larger than max", "message larger than")

_BY_MILVUS_CODE: Final[dict[int, type[errors.MilvusError]]] = {
    1: errors.NotReady,
    2: errors.NotReady,
    106: errors.NotReady,
    110: errors.NotReady,
    4: errors.RateLimited,
    8: errors.RateLimited,
    9: errors.RateLimited,
    1003: errors.RateLimited,
    10: errors.Unimplemented,
    100: errors.CollectionGone,
    800: errors.DatabaseGone,
    1400: errors.Unauthenticated,
    1401: errors.PermissionDenied,
    10001: errors.DeadlineExceeded,
}

# The deprecated field, looked at only where `code` is 0.
_BY_DEPRECATED_CODE: Final[dict[int, type[errors.MilvusError]]] = {
    pb.PermissionDenied: errors.PermissionDenied,
    pb.CollectionNotExists: errors.CollectionGone,
    pb.ForceDeny: errors.RateLimited,
    pb.RateLimit: errors.RateLimited,
    pb.NotReadyServe: errors.NotReady,
    pb.NotReadyCoordActivating: errors.NotReady,
}
_UNEXPECTED: Final = 65535


def from_grpc(code: grpc.StatusCode, details: str) -> errors.MilvusError:
    """Return the leaf for a call that ended with a gRPC code instead of a message."""
    text = details.lower()
    leaf = _BY_GRPC_CODE.get(code, errors.ServerFault)
    if code in _MAY_BE_TLS and any(mark in text for mark in _TLS_MARKS):
        leaf = errors.TLSFailed
    elif code is Code.RESOURCE_EXHAUSTED and any(mark in text for mark in _TOO_LARGE_MARKS):
        leaf = errors.ResponseTooLarge
    elif code is Code.UNKNOWN and "not ready" in text:
        leaf = errors.NotReady
    elif code is Code.INTERNAL and "deserializ" in text:
        leaf = errors.BadResponse
    return leaf(f"{code.name}: {safe_reason(details)}" if details else code.name)


def from_status(status: pb.Status) -> errors.MilvusError | None:
    """Return the leaf for an answer's status, None for success.

    Success is ``code == 0`` and ``error_code == 0``: old servers fill only the second.
    """
    code, deprecated = status.code, int(status.error_code)
    if code == 0 and deprecated == 0:
        return None
    if code != 0:
        leaf = _BY_MILVUS_CODE.get(code, errors.ServerFault)
        return leaf(f"Status {code}: {safe_reason(status.reason)}", code=code)
    leaf = _BY_DEPRECATED_CODE.get(deprecated, errors.ServerFault)
    # A bare UnexpectedError is what newer servers write as 65535.
    detail = f"error_code {deprecated}: {safe_reason(status.reason)}"
    return leaf(detail, code=_UNEXPECTED if deprecated == 1 else 0)
