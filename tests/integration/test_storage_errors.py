"""The errors of the libraries that read a source have their class, whatever Milvus puts around them.

The texts are made anew by pyarrow and pylance; what they are for is in ``peers/storage_errors.py``.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from peers.parts import ROOT, fetched

from exporter.milvus.reasons import classify
from exporter.model import FailureClass as Class

pytestmark = pytest.mark.real

S3 = {
    "AccessDenied": Class.ACCESS_DENIED,
    "AllAccessDisabled": Class.ACCESS_DENIED,
    "AuthorizationHeaderMalformed": Class.SPEC_INVALID,
    "ExpiredToken": Class.ACCESS_DENIED,
    "IllegalLocationConstraintException": Class.SPEC_INVALID,
    "InternalError": Class.STORAGE_ERROR,
    "InvalidAccessKeyId": Class.ACCESS_DENIED,
    "InvalidBucketName": Class.SPEC_INVALID,
    "InvalidObjectState": Class.STORAGE_ERROR,
    "InvalidToken": Class.ACCESS_DENIED,
    "NoSuchBucket": Class.SOURCE_NOT_FOUND,
    "NoSuchKey": Class.SOURCE_NOT_FOUND,
    "PermanentRedirect": Class.SPEC_INVALID,
    "RequestTimeTooSkewed": Class.ACCESS_DENIED,
    "RequestTimeout": Class.STORAGE_ERROR,
    "ServiceUnavailable": Class.STORAGE_ERROR,
    "SignatureDoesNotMatch": Class.ACCESS_DENIED,
    "SlowDown": Class.STORAGE_ERROR,
    "through a broken proxy": Class.STORAGE_ERROR,
    "refused": Class.SOURCE_UNREACHABLE,
    "unknown host": Class.SOURCE_UNREACHABLE,
    "TLS to a plain port": Class.SOURCE_UNREACHABLE,
    "closing": Class.SOURCE_UNREACHABLE,
    "half an answer": Class.SOURCE_UNREACHABLE,
    "not HTTP": Class.SOURCE_UNREACHABLE,
    "without credentials": Class.ACCESS_DENIED,
}
AZURE = {
    "AuthenticationFailed": Class.ACCESS_DENIED,
    "AuthorizationFailure": Class.ACCESS_DENIED,
    "AuthorizationPermissionMismatch": Class.ACCESS_DENIED,
    "BlobNotFound": Class.SOURCE_NOT_FOUND,
    "ContainerNotFound": Class.SOURCE_NOT_FOUND,
    "PublicAccessNotPermitted": Class.ACCESS_DENIED,
}
PARQUET = (
    "zero bytes",
    "four bytes",
    "eight bytes",
    "wrong magic",
    "a CSV",
    "cut",
    "encrypted",
    "broken footer",
    "broken pages",
)
EXPECTED = {
    **{f"{way} {code}": found for way in ("arrow s3 list", "lance s3") for code, found in S3.items()},
    "arrow s3 list silent": Class.SOURCE_UNREACHABLE,
    # The answer to a HEAD request has no body, so the status is all there is.
    "arrow s3 read 301": Class.SPEC_INVALID,
    "arrow s3 read 400": Class.STORAGE_ERROR,
    "arrow s3 read 403": Class.ACCESS_DENIED,
    "arrow s3 read 404": Class.SOURCE_NOT_FOUND,
    "arrow s3 read 503": Class.STORAGE_ERROR,
    **{f"{way} {code}": found for way in ("arrow azure list", "lance azure") for code, found in AZURE.items()},
    "lance azure ServerBusy": Class.STORAGE_ERROR,
    "arrow gcs list 401": Class.ACCESS_DENIED,
    "arrow gcs list 403": Class.ACCESS_DENIED,
    "arrow gcs list 404": Class.SOURCE_NOT_FOUND,
    "arrow gcs list 503": Class.STORAGE_ERROR,
    "arrow gcs list refused": Class.SOURCE_UNREACHABLE,
    **{f"arrow {way} {damage}": Class.FORMAT_ERROR for way in ("parquet", "dataset") for damage in PARQUET},
    "arrow cast integers into lists": Class.SCHEMA_MISMATCH,
    "arrow cast texts into integers": Class.SCHEMA_MISMATCH,
    "arrow cast a vector of another dimension": Class.SCHEMA_MISMATCH,
    "arrow forbidden file": Class.ACCESS_DENIED,
    "arrow forbidden folder": Class.ACCESS_DENIED,
    "arrow missing file": Class.SOURCE_NOT_FOUND,
    "arrow missing folder": Class.SOURCE_NOT_FOUND,
    "arrow missing column": Class.SCHEMA_MISMATCH,
    "arrow missing column in a filter": Class.SCHEMA_MISMATCH,
    "arrow files that disagree": Class.SCHEMA_MISMATCH,
    "arrow tables that disagree": Class.SCHEMA_MISMATCH,
    "arrow a scheme without a reader": Class.SPEC_INVALID,
    "lance forbidden": Class.ACCESS_DENIED,
    "lance missing": Class.SOURCE_NOT_FOUND,
    "lance an empty folder": Class.SOURCE_NOT_FOUND,
    "lance without versions": Class.SOURCE_NOT_FOUND,
    "lance missing version": Class.SOURCE_NOT_FOUND,
    "lance missing column": Class.SCHEMA_MISMATCH,
    "lance missing column in a filter": Class.SCHEMA_MISMATCH,
    "lance a scheme without a reader": Class.SPEC_INVALID,
    "lance a source without a bucket": Class.SPEC_INVALID,
    "lance data zero bytes": Class.FORMAT_ERROR,
    "lance data four bytes": Class.FORMAT_ERROR,
    "lance data wrong magic": Class.FORMAT_ERROR,
    "lance data damaged": Class.FORMAT_ERROR,
    "lance data missing": Class.SOURCE_NOT_FOUND,
    "lance _versions zero bytes": Class.FORMAT_ERROR,
    "lance _versions four bytes": Class.FORMAT_ERROR,
    "lance _versions wrong magic": Class.FORMAT_ERROR,
    "lance _versions damaged": Class.FORMAT_ERROR,
    "lance _versions missing": Class.SOURCE_NOT_FOUND,
}
WRAPPERS = (
    "{}",
    "explore external files failed: {}",
    "worker failure 1/1: {}",
    "timeout, last failure: {}",
    "explore external files failed: FFI operation failed: {}: loon FFI transient error: storage internal error",
)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    program = Path(ROOT) / "tests/peers/storage_errors.py"
    done = subprocess.run(
        [str(fetched("storage", "bin/python")), str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_every_situation_ends_in_an_error_with_a_text(texts: dict[str, str]) -> None:
    assert set(texts) == set(EXPECTED)
    assert all(texts.values()), [situation for situation, text in texts.items() if not text]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_error_has_its_class(texts: dict[str, str], wrapper: str) -> None:
    found = {situation: classify(wrapper.format(text)) for situation, text in texts.items()}
    wrong = {
        situation: (found[situation], texts[situation])
        for situation in texts
        if found[situation] != EXPECTED[situation]
    }
    assert not wrong


@pytest.mark.parametrize(
    "wrapper",
    [
        "read external refresh baseline manifests: {}",
        "worker failure 10/10: failed to create manifest for segment 7: {}",
    ],
)
def test_around_the_same_errors_of_milvus_s_own_storage_the_manifest_is_what_failed(
    texts: dict[str, str], wrapper: str
) -> None:
    assert {classify(wrapper.format(text)) for text in texts.values()} == {Class.MANIFEST_ERROR}
