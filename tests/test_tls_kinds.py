"""A TLS mistake is ``tls`` under whichever code and in whichever words gRPC reports it; nothing else is."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wire import LIST_JOBS, Authority, Issued, Refusal, serving, settings

from exporter import errors
from exporter.milvus import status
from exporter.milvus.client import MilvusClient

WRONG_TOKEN = Refusal(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key is correct")
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a gRPC that says it all in other words."""
    monkeypatch.setattr(status, "_TLS_MARKS", ())


def common_name_only(name: str, folder: Path) -> Issued:
    """Return a certificate as old instructions make it: the name in its subject alone."""
    key, issued = ec.generate_private_key(ec.SECP256R1()), Issued(folder / "cn.pem", folder / "cn.key")
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    issued.cert.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    issued.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return issued


def failure(server: Any, *, answer: Any = None, stopped: bool = False, **milvus: Any) -> errors.MilvusError | None:
    """Return how a call over TLS to a server with these credentials (None: in the clear) fails."""

    async def run() -> errors.MilvusError | None:
        async with serving({LIST_JOBS: answer} if answer else None, tls=server) as wire:
            client = MilvusClient(settings(f"https://{milvus.pop('host', '127.0.0.1')}:{wire.port}", **milvus))
            if stopped:
                await wire.stop()
            try:
                await client.list_all_jobs(timeout=5)
            except errors.MilvusError as error:
                return error
            finally:
                await client.close()
            return None

    return asyncio.run(run())


def test_an_address_in_the_common_name_alone_is_no_matter_of_credentials(tmp_path: Path) -> None:
    """New gRPC reports it as UNAUTHENTICATED, so that people looked for the fault in the token."""
    issued = common_name_only("127.0.0.1", tmp_path)
    error = failure(issued.server(), files={"ca": issued.cert}, token="root:Milvus")
    assert isinstance(error, errors.TLSFailed)


def test_a_host_name_in_the_common_name_alone_is_accepted_as_grpc_does(tmp_path: Path, no_words: None) -> None:
    issued = common_name_only("localhost", tmp_path)
    assert failure(issued.server(), host="localhost", files={"ca": issued.cert}) is None
    refused = failure(issued.server(), host="localhost", files={"ca": issued.cert}, answer=WRONG_TOKEN)
    assert isinstance(refused, errors.Unauthenticated)


MISTAKES: dict[str, Callable[[Authority, Path], tuple[Issued | None, dict[str, Any], str]]] = {
    "an address in the common name": lambda ours, folder: (
        common_name_only("127.0.0.1", folder),
        {"files": {"ca": folder / "cn.pem"}},
        "mismatch",
    ),
    "unknown authority": lambda ours, folder: (
        ours.issue("127.0.0.1"),
        {"files": {"ca": Authority.make(folder / "others").file}},
        "unable to get local issuer certificate",
    ),
    "another name": lambda ours, folder: (
        ours.issue("milvus.internal"),
        {"files": {"ca": ours.file}},
        "mismatch",
    ),
    "another server name": lambda ours, folder: (
        ours.issue("127.0.0.1"),
        {"files": {"ca": ours.file}, "server_name": "milvus.internal"},
        "mismatch",
    ),
    "expired": lambda ours, folder: (
        ours.issue("127.0.0.1", not_before=PAST, not_after=PAST + dt.timedelta(days=1)),
        {"files": {"ca": ours.file}},
        "certificate has expired",
    ),
    "no TLS at all": lambda ours, folder: (None, {"files": {"ca": ours.file}}, "does not speak TLS"),
    "key of another certificate": lambda ours, folder: (
        ours.issue("127.0.0.1"),
        {"files": {"ca": ours.file, "cert": ours.issue("one").cert, "key": ours.issue("two").key}},
        "not the key of",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_without_any_word_of_grpc_a_mistake_is_tls_and_says_what_to_correct(
    ours: Authority, tmp_path: Path, no_words: None, mistake: Callable[..., tuple[Issued | None, dict[str, Any], str]]
) -> None:
    issued, milvus, says = mistake(ours, tmp_path)
    error = failure(issued.server() if issued else None, **milvus)
    assert isinstance(error, errors.TLSFailed)
    assert says in error.detail


@pytest.mark.usefixtures("no_words")
def test_wrong_credentials_over_good_tls_are_wrong_credentials(ours: Authority) -> None:
    error = failure(ours.issue("127.0.0.1").server(), files={"ca": ours.file}, token="x", answer=WRONG_TOKEN)
    assert isinstance(error, errors.Unauthenticated)


@pytest.mark.parametrize("wrong", [False, True], ids=["good TLS", "unknown authority"])
def test_an_outage_is_no_matter_of_tls(ours: Authority, tmp_path: Path, no_words: None, wrong: bool) -> None:
    ca = Authority.make(tmp_path).file if wrong else ours.file
    error = failure(ours.issue("127.0.0.1").server(), files={"ca": ca}, stopped=True)
    assert isinstance(error, errors.Unreachable)
