"""Several hundred ugly sources and reasons, each with a secret planted in it: none can be read in what is shown."""

# ruff: noqa: RUF001

from __future__ import annotations

import grpc
import pytest
from canaries import REASONS, SHORTEST, SOURCES, WORDS, plant

from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.reasons import strip_wrappers
from exporter.milvus.status import from_grpc, from_status
from exporter.milvus.translate import clean_reason
from exporter.redaction import safe_reason, safe_source

AROUND = (
    "{}",
    "worker failure 1/1: {}: access denied",
    "FFI operation failed: {}\nBacktrace:\n 0: main",
    "no files found in external source: {}",
    "one thing, then {} and more of it",
)


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(set(SOURCES)) > 120
    assert len(set(SOURCES + REASONS)) > 450
    assert all("«" in text for text in SOURCES + REASONS)


@pytest.mark.parametrize("word", WORDS)
def test_a_planted_secret_would_be_seen_if_nothing_hid_it(word: str) -> None:
    """The tests below could not fail otherwise."""
    for template in SOURCES + REASONS:
        planted = plant(template, word.format(17))
        assert planted.seen_in(planted.text), template
        assert all(len(secret) >= SHORTEST for secret in planted.secrets)


@pytest.mark.parametrize("template", SOURCES)
def test_no_source_of_the_corpus_shows_its_secret(template: str) -> None:
    for word in WORDS:
        planted = plant(template, word.format(17))
        for style in ("path", "bucket"):
            shown = safe_source(planted.text, style)
            assert not planted.seen_in(shown), shown


@pytest.mark.parametrize("template", SOURCES + REASONS)
def test_no_reason_of_the_corpus_shows_its_secret(template: str) -> None:
    for word in WORDS:
        planted = plant(template, word.format(17))
        for around in AROUND:
            shown = clean_reason(around.replace("{}", planted.text))
            assert not planted.seen_in(shown), shown


@pytest.mark.parametrize("template", [text for text in REASONS if strip_wrappers(text)[0] == text])
def test_no_error_of_milvus_carries_a_secret_into_the_log(template: str) -> None:
    planted = plant(template, WORDS[0].format(17))
    failed = from_status(pb.Status(code=65535, reason=planted.text))
    assert not planted.seen_in(f"{failed} {failed!r}")
    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNKNOWN):
        refused = from_grpc(code, planted.text)
        assert not planted.seen_in(f"{refused} {refused!r}")


@pytest.mark.parametrize(
    "text",
    [
        "s3://lake/date%3D2026-09-01/part%20one.parquet",
        "s3://bücket/ключ/鍵/ｆｕｌｌ＝ｗｉｄｔｈ",
        "s3://lake/orders+clicks&co/C:/x",
        "s3://lake/Müller‐Straße/Ωmega",
    ],
)
def test_a_source_without_a_secret_keeps_its_own_form(text: str) -> None:
    assert safe_source(text) == text
    assert safe_reason(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zugriff auf “s3://lake/ключ” verweigert: доступ запрещён", None),
        ("reading C:\\data\\new\\table failed", None),
        ("expected <Code> & got &amp; at 100%", None),
        ("password must not be empty", None),
        ("the token has expired, get a new one", None),
        ("invalid credentials: access denied for role etl", None),
        ("secret key not found in the environment", None),
        ("credentials were refused (HTTP 403)", None),
        ("read -p 3 pages, -u is no option", "read -p *** pages, -u *** no option"),
        ("AuthFailure: token=x was refused: access denied", "AuthFailure: token=***"),
        ("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", None),
        ("rpc error: code = PermissionDenied desc = access denied[bucket=lake][path=orders/]", None),
        ("unexpected '}' in line 3", None),
    ],
)
def test_a_reason_stays_as_readable_as_it_can(text: str, shown: str | None) -> None:
    assert safe_reason(text) == (text if shown is None else shown)
