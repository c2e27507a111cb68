"""Every foreign error lands on one of our leaves: all gRPC codes, all Milvus codes, all deprecated codes."""

from __future__ import annotations

import re

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers.parts import ROOT

from exporter import errors
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.status import from_grpc, from_status

GRPC_KINDS = {
    "CANCELLED": "server_error",
    "UNKNOWN": "server_error",
    "INVALID_ARGUMENT": "server_error",
    "DEADLINE_EXCEEDED": "deadline",
    "NOT_FOUND": "server_error",
    "ALREADY_EXISTS": "server_error",
    "PERMISSION_DENIED": "permission_denied",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "FAILED_PRECONDITION": "server_error",
    "ABORTED": "server_error",
    "OUT_OF_RANGE": "server_error",
    "UNIMPLEMENTED": "unimplemented",
    "INTERNAL": "server_error",
    "UNAVAILABLE": "unreachable",
    "DATA_LOSS": "bad_response",
    "UNAUTHENTICATED": "unauthenticated",
}

# Milvus codes whose kind is not server_error.
SPECIAL = {
    1: "not_ready",
    2: "not_ready",
    4: "rate_limited",
    8: "rate_limited",
    9: "rate_limited",
    10: "unimplemented",
    106: "not_ready",
    110: "not_ready",
    1003: "rate_limited",
    1400: "unauthenticated",
    1401: "permission_denied",
    10001: "deadline",
}
MILVUS_CODES = [
    *range(1, 13),
    100,
    105,
    106,
    110,
    703,
    800,
    802,
    *range(901, 907),
    *range(1000, 1004),
    *range(1005, 1013),
    1100,
    1101,
    1102,
    1400,
    1401,
    1600,
    1807,
    *range(2000, 2100),
    3000,
    10000,
    10001,
    65535,
    # never heard of
    4711,
    -1,
    2**31 - 1,
    -(2**31),
]
DEPRECATED = {
    1: "server_error",
    3: "permission_denied",
    4: "server_error",
    5: "server_error",
    48: "rate_limited",
    49: "rate_limited",
    50: "server_error",
    56: "not_ready",
    57: "not_ready",
    62: "server_error",
    100: "server_error",
    9999: "server_error",
}


def status(code: int = 0, error_code: int = 0, reason: str = "why") -> errors.MilvusError:
    error = from_status(pb.Status(code=code, error_code=error_code, reason=reason))  # type: ignore[arg-type]
    assert error is not None
    return error


def test_the_walk_misses_no_grpc_code() -> None:
    assert {code.name for code in grpc.StatusCode} == {*GRPC_KINDS, "OK"}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_each_grpc_code_lands_on_a_leaf(code: grpc.StatusCode) -> None:
    error = from_grpc(code, "")
    assert type(error) in errors.leaves()
    assert error.kind == GRPC_KINDS[code.name]
    assert error.detail == code.name
    assert error.code == 0


@pytest.mark.parametrize("code", MILVUS_CODES)
def test_each_milvus_code_lands_on_a_leaf(code: int) -> None:
    error = status(code, error_code=1)
    assert type(error) in errors.leaves()
    assert error.kind == SPECIAL.get(code, "server_error")
    assert error.code == code
    assert error.detail == f"Status {code}: why"


@pytest.mark.parametrize("error_code", DEPRECATED)
def test_each_deprecated_code_lands_on_a_leaf(error_code: int) -> None:
    error = status(error_code=error_code)
    assert type(error) in errors.leaves()
    assert error.kind == DEPRECATED[error_code]
    assert error.detail == f"error_code {error_code}: why"


@given(code=st.integers(-(2**31), 2**31 - 1), error_code=st.integers(-(2**31), 2**31 - 1), reason=st.text())
def test_any_status_is_a_success_or_a_leaf(code: int, error_code: int, reason: str) -> None:
    error = from_status(pb.Status(code=code, error_code=error_code, reason=reason))  # type: ignore[arg-type]
    assert (error is None) == (code == 0 and error_code == 0)
    assert error is None or type(error) in errors.leaves()


def test_a_status_of_zeros_is_success_whatever_else_it_says() -> None:
    assert from_status(pb.Status(reason="all is well", detail="x", retriable=True)) is None


def test_the_deprecated_code_counts_only_where_the_new_one_is_silent() -> None:
    assert status(100, error_code=49).kind == "server_error"
    assert status(0, error_code=49).kind == "rate_limited"


@pytest.mark.parametrize(
    ("code", "error_code", "leaf"),
    [(100, 0, errors.CollectionGone), (0, 4, errors.CollectionGone), (800, 0, errors.DatabaseGone)],
)
def test_gone_by_name_has_leaves_of_its_own(code: int, error_code: int, leaf: type[errors.MilvusError]) -> None:
    assert type(status(code, error_code)) is leaf


def test_only_internal_and_parameter_errors_make_the_exporter_list_by_name() -> None:
    def falls_back(error: errors.MilvusError) -> bool:
        return isinstance(error, errors.ServerFault) and error.may_be_one_broken_job

    assert [code for code in MILVUS_CODES if falls_back(status(code))] == [5, 1100, 1101, 65535]
    assert [code for code in DEPRECATED if falls_back(status(error_code=code))] == [1]
    assert [code.name for code in grpc.StatusCode if falls_back(from_grpc(code, "x"))] == ["INTERNAL"]


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        ("UNKNOWN", "internal: Milvus Proxy is not ready yet. please wait", "not_ready"),
        ("UNKNOWN", "Stream removed", "server_error"),
        ("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (5242889 vs. 4194304)", "response_too_large"),
        ("RESOURCE_EXHAUSTED", "grpc: trying to send message larger than max (9 vs. 8)", "response_too_large"),
        ("RESOURCE_EXHAUSTED", "request is rejected by grpc rate limiter", "rate_limited"),
        ("INTERNAL", "Exception deserializing request!", "bad_response"),
        ("INTERNAL", "panic", "server_error"),
        ("UNIMPLEMENTED", "Method not implemented!", "unimplemented"),
        ("UNIMPLEMENTED", "Received http2 header with status: 404", "unimplemented"),
        ("UNAUTHENTICATED", "auth check failure, please check api key is correct", "unauthenticated"),
        ("PERMISSION_DENIED", "PrivilegeListDatabases: permission deny to bob", "permission_denied"),
        ("CANCELLED", "Cancelled on the server side", "server_error"),
    ],
)
def test_texts_that_decide_within_a_grpc_code(code: str, details: str, kind: str) -> None:
    assert from_grpc(grpc.StatusCode[code], details).kind == kind


LAST = "failed to connect to all addresses; last error: "
SSL = "SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
TLS_TEXTS = {
    "unknown authority": f"UNKNOWN: ipv4:127.0.0.1:1: Tls handshake failed (TSI_PROTOCOL_FAILURE): {SSL}"
    "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate: OK",
    "an older gRPC's wording": f"UNKNOWN: ipv4:127.0.0.1:1: Ssl handshake failed: {SSL}CERTIFICATE_VERIFY_FAILED",
    "plain server": f"UNKNOWN: ipv4:127.0.0.1:1: Ssl handshake failed: {SSL}WRONG_VERSION_NUMBER",
    "host name": "UNKNOWN: ipv4:127.0.0.1:1: Custom verification check failed with error: UNAUTHENTICATED: "
    "Hostname Verification Check failed.",
    "host name, in an older gRPC": "UNKNOWN: Peer name milvus is not in peer certificate",
    "mutual TLS refused": "UNAVAILABLE: ipv4:127.0.0.1:1: Unwrap failed (TSI_DATA_CORRUPTED)",
    "unusable key": "UNKNOWN: ipv4:127.0.0.1:1: Failed to create security handshaker.",
    "no HTTP/2 behind TLS": "UNKNOWN: ipv4:127.0.0.1:1: Cannot check peer: missing selected ALPN property.",
}


@pytest.mark.parametrize("text", TLS_TEXTS.values(), ids=TLS_TEXTS.keys())
def test_unavailable_with_a_tls_mistake_in_its_text_is_tls(text: str) -> None:
    assert from_grpc(grpc.StatusCode.UNAVAILABLE, LAST + text).kind == "tls"
    assert from_grpc(grpc.StatusCode.INTERNAL, LAST + text).kind == "server_error", (
        "the text alone does not make it TLS"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        LAST + "UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection refused",
        LAST + "UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed",
        LAST + "UNAVAILABLE: ipv4:127.0.0.1:1: Handshake read failed (Socket closed)",
        LAST + "UNKNOWN: ipv4:127.0.0.1:1: connection attempt timed out before receiving SETTINGS frame",
        "errors resolving gone.invalid:1: [field:hostname lookup error:address lookup failed: Domain name not found]",
        "Connection reset by peer",
        "GOAWAY received",
        "Too many pings",
    ],
)
def test_unavailable_without_one_is_unreachable(text: str) -> None:
    assert from_grpc(grpc.StatusCode.UNAVAILABLE, text).kind == "unreachable"


@pytest.mark.parametrize("host", ["certificate-store", "handshake.example", "tlsv1", "tsi-db", "ssl_routines"])
def test_a_host_that_is_called_like_a_tls_mistake_does_not_make_it_one(host: str) -> None:
    text = f"errors resolving {host}:19530: [field:hostname lookup error:address lookup failed for {host}:19530]"
    assert from_grpc(grpc.StatusCode.UNAVAILABLE, text).kind == "unreachable"


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot reach s3://key:{SECRET}@bucket/path",
        f"dial https://storage/x?X-Amz-Signature={SECRET}: refused",
        f"password={SECRET} is wrong",
        f'spec {{"access_key_value": "{SECRET}"}} refused',
    ],
)
def test_a_secret_in_milvus_text_is_in_no_error(text: str) -> None:
    for error in (from_grpc(grpc.StatusCode.INTERNAL, text), status(5, reason=text), status(error_code=1, reason=text)):
        assert SECRET not in f"{error} {error.detail} {error.args} {error!r}"


def test_a_detail_is_one_line_of_bounded_length() -> None:
    for error in (
        from_grpc(grpc.StatusCode.INTERNAL, "a\nb\x1b[31m" * 10_000),
        status(65535, reason="x\r\ny\u2028" * 10_000),
    ):
        assert error.detail.isprintable()
        assert len(error.detail) < 250


def test_the_reference_page_says_the_same_of_every_milvus_code() -> None:
    """docs/milvus.md, "Status and errors", is what users read; one table row per code."""
    page = (ROOT / "docs" / "milvus.md").read_text(encoding="utf-8")
    by_code = page.split("**By Milvus status.**")[1].split("Deprecated `error_code`")[0]
    told: dict[int, str] = {}
    for codes, rest in re.findall(r"^\| ([\d, -]+) \|(.*)\|$", by_code, re.MULTILINE):
        kind = re.search(r"`([a-z_]+)`", rest.rpartition("|")[2])
        for part in codes.split(","):
            first, _, last = part.strip().partition("-")
            for code in range(int(first), int(last or first) + 1):
                if kind:
                    told[code] = kind[1]
    assert len(told) > 130
    assert told == {code: status(code).kind for code in told}
    assert {code for code in MILVUS_CODES if code in range(1, 65536)} - told.keys() <= {703, 4711}
