"""TLS and mutual TLS against grpcio's own server, with certificates made for the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from peers.exporter import Samples, call
from peers.pymilvus_server import PymilvusServer, databases, job


@dataclass(frozen=True)
class Papers:
    """Paths: whom to trust, whom not, and two pairs of certificate and key."""

    ca: str
    other_ca: str
    server: dict[str, str]
    client: dict[str, str]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder: Path = tmp_path_factory.mktemp("tls")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other.pem"))
    pairs = {}
    for name, identity in (("server", "milvus.internal"), ("client", "exporter.internal")):
        issued = ca.issue_cert(identity)
        pairs[name] = {"cert": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}
        issued.cert_chain_pems[0].write_to_path(pairs[name]["cert"])
        issued.private_key_pem.write_to_path(pairs[name]["key"])
    return Papers(str(folder / "ca.pem"), str(folder / "other.pem"), pairs["server"], pairs["client"])


def once(milvus: PymilvusServer, *flags: str) -> tuple[int, Samples, str]:
    done = call("once", "--milvus.uri", milvus.uri, "--milvus.tls.server-name", "milvus.internal", *flags)
    assert "Traceback" not in done.stderr
    return done.returncode, Samples.of(done.stdout), done.stderr


def test_one_way_tls(papers: Papers) -> None:
    world = {"databases": databases(default=["ext"]), "jobs": [job(1)], "tls": papers.server}
    with PymilvusServer(**world) as milvus:
        code, good, said = once(milvus, "--milvus.tls.ca-file", papers.ca)
        assert (code, good.value("up"), good.total("jobs")) == (0, 1, 1), said
        code, unknown, _ = once(milvus, "--milvus.tls.ca-file", papers.other_ca)
        assert (code, unknown.errors()) == (1, {"tls": 1})
        done = call("once", "--milvus.uri", milvus.uri, "--milvus.tls.ca-file", papers.ca)
        assert Samples.of(done.stdout).errors() == {"tls": 1}, "a wrong host name"


def test_mutual_tls(papers: Papers) -> None:
    with PymilvusServer(databases=databases(default=["ext"]), tls={**papers.server, "ca": papers.ca}) as milvus:
        pair = ("--milvus.tls.cert-file", papers.client["cert"], "--milvus.tls.key-file", papers.client["key"])
        code, good, said = once(milvus, "--milvus.tls.ca-file", papers.ca, *pair)
        assert (code, good.value("up")) == (0, 1), said
        code, refused, _ = once(milvus, "--milvus.tls.ca-file", papers.ca)
        assert code == 1
        assert set(refused.errors()) <= {"tls", "unreachable"}
        assert refused.value("up") == 0


def test_tls_spoken_to_a_server_in_the_clear(papers: Papers) -> None:
    with PymilvusServer() as milvus:
        plain = milvus.uri.replace("http://", "https://")
        done = call("once", "--milvus.uri", plain, "--milvus.tls.ca-file", papers.ca)
        assert done.returncode == 1
        assert Samples.of(done.stdout).errors() == {"tls": 1}
