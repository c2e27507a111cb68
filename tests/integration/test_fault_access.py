"""Milvus, or what stands in front of it, does not let us in: certificates, tokens and privileges, each for a while."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from peers.exporter import Exporter, Samples
from peers.ordeal import endure, unharmed
from peers.pymilvus_server import LIST_JOBS, PymilvusServer, databases, job
from peers.relay import Relay
from wire import replace

OLD, NEW, STRANGER = "bob:Secret-of-bob1", "bob:Secret-of-bob2", "eve:Secret-of-eve1"
GOOD, NOBODY = {"tokens": [OLD], "deny": []}, {"tokens": [], "deny": []}


@pytest.fixture(scope="module")
def server() -> Iterator[PymilvusServer]:
    with PymilvusServer(databases=databases(default=["ext"]), jobs=[job(1)]) as server:
        yield server


# Certificates: a front that ends TLS stands before Milvus, and a relay leads to one or another front.


@dataclass(frozen=True)
class Fronts:
    """Ports: a good front, and each bad one by its name."""

    good: int
    bad: dict[str, int]


def context(certificate: trustme.LeafCert, client_ca: trustme.CA | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_alpn_protocols(["h2"])
    certificate.configure_cert(made)
    if client_ca is not None:
        made.verify_mode = ssl.CERT_REQUIRED
        client_ca.configure_trust(made)
    return made


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def fronts(server: PymilvusServer, authority: trustme.CA) -> Iterator[Fronts]:
    name, past = "milvus.internal", datetime(2020, 1, 1, tzinfo=UTC)
    contexts = {
        "expired": context(authority.issue_cert(name, not_before=past, not_after=past.replace(year=2021))),
        "wrong host": context(authority.issue_cert("other.internal")),
        "unknown authority": context(trustme.CA().issue_cert(name)),
        "client certificate missing": context(authority.issue_cert(name), authority),
    }
    with ExitStack() as stack:
        good = stack.enter_context(Relay(server.port, tls=context(authority.issue_cert(name)))).port
        bad = {what: stack.enter_context(Relay(server.port, tls=made)).port for what, made in contexts.items()}
        yield Fronts(good, {**bad, "no TLS at all": server.port})


@pytest.fixture(scope="module")
def relay(fronts: Fronts) -> Iterator[Relay]:
    with Relay(fronts.good) as relay:
        yield relay


@pytest.fixture(scope="module")
def secured(relay: Relay, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    ca = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    trust = ("--milvus.tls.ca-file", str(ca), "--milvus.tls.server-name", "milvus.internal")
    with Exporter(f"https://127.0.0.1:{relay.port}", *trust) as exporter, unharmed(exporter):
        yield exporter


@pytest.mark.parametrize(
    ("mistake", "kinds"),
    [
        ("expired", ("tls",)),
        ("wrong host", ("tls",)),
        ("unknown authority", ("tls",)),
        # With TLS 1.3 a server judges it after the handshake: gRPC sees a connection that ends.
        ("client certificate missing", ("tls", "unreachable")),
        ("no TLS at all", ("tls",)),
    ],
)
def test_a_certificate_that_is_put_right(
    secured: Exporter, relay: Relay, fronts: Fronts, mistake: str, kinds: tuple[str, ...]
) -> None:
    """Told from an outage, and good again at the next poll without a restart."""
    endure(
        secured,
        lambda: relay.turn(upstream=fronts.bad[mistake]),
        lambda: relay.turn(upstream=fronts.good),
        *kinds,
        recovery=1,
        failures=1,
    )


# Credentials and privileges


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "token"
    path.write_text(OLD)
    return path


@pytest.fixture(scope="module")
def known(server: PymilvusServer, token: Path) -> Iterator[Exporter]:
    server.set(auth=GOOD)
    plain = ("--milvus.token-file", str(token), "--inventory.interval", "1s")
    with Exporter(f"http://127.0.0.1:{server.port}", *plain) as exporter, unharmed(exporter):
        yield exporter
        assert "Secret-of" not in exporter.log
    server.set(auth={})


Turn = Callable[[PymilvusServer, Path], object]
REFUSALS: dict[str, tuple[Turn, Turn, str]] = {
    "wrong token": (
        lambda _, token: replace(token, STRANGER),
        lambda _, token: replace(token, OLD),
        "unauthenticated",
    ),
    "token file empty": (
        lambda _, token: replace(token, ""),
        lambda _, token: replace(token, OLD),
        "unauthenticated",
    ),
    "token file removed": (
        lambda _, token: token.unlink(),
        lambda _, token: replace(token, OLD),
        "unauthenticated",
    ),
    "user dropped": (
        lambda server, _: server.set(auth=NOBODY),
        lambda server, _: server.set(auth=GOOD),
        "unauthenticated",
    ),
    "privilege lost": (
        lambda server, _: server.set(auth={**GOOD, "deny": [LIST_JOBS]}),
        lambda server, _: server.set(auth=GOOD),
        "permission_denied",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_not_let_in_for_a_while(known: Exporter, server: PymilvusServer, token: Path, refusal: str) -> None:
    """Named by its kind, the secret in no log line, good again at the next poll without a restart."""
    begin, end, kind = REFUSALS[refusal]
    endure(known, lambda: begin(server, token), lambda: end(server, token), kind, recovery=1, failures=1)


def test_a_role_that_lists_jobs_and_sees_no_collection(known: Exporter, server: PymilvusServer) -> None:
    """``up 1`` and every job there: the inventory's refusal is told apart, and costs no poll."""
    before = known.until(lambda now: now.value("up") == 1, "a good poll")
    refused = _refusals(before)
    server.set(
        auth={**GOOD, "deny": ["ListDatabases", "ShowCollections", "DescribeCollection", "BatchDescribeCollection"]}
    )
    after = known.until(lambda now: _refusals(now) >= refused + 2, "two refused inventories")
    assert (after.value("up"), after.errors()) == (1, before.errors())
    assert after.total("jobs", database="default", collection="ext") == 1
    server.set(auth=GOOD)
    known.until(_inventory_is_fresh(after), "an inventory again")


def test_a_token_that_is_rotated_in_good_order_costs_nothing(
    known: Exporter, server: PymilvusServer, token: Path
) -> None:
    """Milvus takes both for a moment, the file follows, the old one goes: not one poll fails."""
    known.until(lambda now: now.value("up") == 1, "a good poll")
    before = known.metrics().errors()
    server.set(auth={"tokens": [OLD, NEW], "deny": []})
    replace(token, NEW)
    known.next_poll()
    server.set(auth={"tokens": [NEW], "deny": []})
    after = known.next_poll()
    assert (after.value("up"), after.errors()) == (1, before)


def _refusals(now: Samples) -> float:
    return now.value("inventory_errors_total", kind="permission_denied") or 0


def _inventory_is_fresh(before: Samples) -> Callable[[Samples], bool]:
    name = "inventory_last_success_timestamp_seconds"
    return lambda now: (now.value(name) or 0) > (before.value(name) or 0)
