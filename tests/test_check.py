"""``check``, read aloud: each line says what is wrong and what to do; one verdict; no traceback, no secret."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from builders import AS_IS, NOON, ended, job
from cryptography.hazmat.primitives import serialization
from wire import GOOD, LIST_JOBS, Answer, Authority, Issued, Refusal, hang, replace, serving, settings

from exporter import check as module
from exporter.check import Step, Verdict, check
from exporter.ledger import Outcomes, StateFile
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.model import Collection

UNREACHED = "skip  milvus           not asked, because it cannot be reached"
NO_FURTHER = "skip  milvus           not asked any further"
REACHED = [
    "ok    configuration    valid; milvus.uri is http://127.0.0.1:PORT",
    "ok    name resolution  127.0.0.1 is an address",
    "ok    tcp              127.0.0.1:PORT accepts connections",
]
CREDENTIALS = "ok    credentials      none set and none asked for"
VERSION = "ok    server version   v3.0.1"
REFRESH_API = "ok    refresh API      1 job listed"
INVENTORY = "ok    inventory        2 collections in 2 databases"
ALL_GOOD = [*REACHED, CREDENTIALS, VERSION, REFRESH_API, INVENTORY]
GRANTS = 'grant DescribeCollection and IndexDetail with collection_name="*" (docs/milvus.md, Privileges)'
CERTIFICATE = (
    "if it asks for a client certificate, set milvus.tls.cert_file and milvus.tls.key_file to one that Milvus trusts"
)


@dataclass
class Report:
    lines: list[str]
    good: bool

    @property
    def wrong(self) -> list[str]:
        return [line for line in self.lines if line.startswith(("FAIL", "warn"))]


async def examine(uri: str, port: int = 0, **given: Any) -> Report:
    steps: list[Step] = []
    good = await check(settings(uri, **{"poll": {"timeout": "2s"}, **given}), steps.append)
    return Report([str(step).replace(str(port), "PORT") if port else str(step) for step in steps], good)


def report(
    answers: dict[str, Answer] | None = None, *, tls: Any = None, uri: str = "http://127.0.0.1:PORT", **given: Any
) -> Report:
    async def run() -> Report:
        async with serving(answers, tls=tls) as wire:
            return await examine(uri.replace("PORT", str(wire.port)), wire.port, **given)

    return asyncio.run(run())


def status(message: Any, code: int, reason: str) -> Any:
    return type(message)(status=pb.Status(code=code, reason=reason))


# All is well


def test_a_milvus_that_works() -> None:
    assert report() == Report(ALL_GOOD, good=True)


def test_each_line_has_its_verdict_first_and_its_texts_in_a_column() -> None:
    assert [str(Step("tcp", verdict, "text")) for verdict in Verdict] == [
        "ok    tcp              text",
        "warn  tcp              text",
        "FAIL  tcp              text",
        "skip  tcp              text",
    ]


def test_credentials_that_are_accepted_are_neither_shown_nor_named() -> None:
    found = report(uri="http://ann:hunter2@127.0.0.1:PORT")
    assert found.good
    assert found.lines[0] == "ok    configuration    valid; milvus.uri is http://<secret>@127.0.0.1:PORT"
    assert found.lines[3] == "ok    credentials      accepted"


@pytest.mark.parametrize(("number", "said"), [(0, "0 jobs"), (1, "1 job"), (30, "30 jobs")])
def test_the_jobs_are_counted(number: int, said: str) -> None:
    jobs = [pb.RefreshExternalCollectionJobInfo(job_id=each + 1) for each in range(number)]
    answer = pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status(), jobs=jobs)
    assert f"ok    refresh API      {said} listed" in report({LIST_JOBS: answer}).lines


def test_a_unix_socket_has_a_step_of_its_own(tmp_path: Path) -> None:
    async def run() -> tuple[Report, Report]:
        uri = f"unix:{tmp_path}/s"
        absent = await examine(uri)
        async with serving(at=uri):
            return absent, await examine(uri)

    absent, present = asyncio.run(run())
    first = f"ok    configuration    valid; milvus.uri is unix:{tmp_path}/s"
    why = "No such file or directory; start Milvus, or correct milvus.uri"
    assert absent == Report([first, f"FAIL  unix socket      {tmp_path}/s: {why}", UNREACHED], good=False)
    step = f"ok    unix socket      {tmp_path}/s accepts connections"
    assert present == Report([first, step, *ALL_GOOD[3:]], good=True)


# On the way


def test_a_host_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._addresses

    async def addresses(name: str) -> list[str]:
        if name == "gone":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await real(name)

    monkeypatch.setattr(module, "_addresses", addresses)
    found = asyncio.run(examine("http://gone:1"))
    assert found == Report(
        [
            "ok    configuration    valid; milvus.uri is http://gone:1",
            "FAIL  name resolution  gone: Name or service not known; correct the host in milvus.uri, or DNS",
            UNREACHED,
        ],
        good=False,
    )


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def for_ever(_: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(module, "_addresses", for_ever)
    found = asyncio.run(examine("http://milvus:1", poll={"timeout": "10ms"}))
    said = "FAIL  name resolution  milvus: no answer in time; correct the host in milvus.uri, or DNS"
    assert found.wrong == [said]


def test_a_name_with_several_addresses_shows_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(_: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr(module, "_addresses", two)
    found = report(uri="http://localhost:PORT")
    assert found.lines[1] == "ok    name resolution  localhost is 127.0.0.2, 127.0.0.1"
    assert found.lines[2] == "ok    tcp              localhost:PORT accepts connections", "the second one does"


def test_a_port_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a name has two addresses: asyncio itself would then not say why."""

    async def two(_: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        remedy = "start Milvus, open the way to it, or correct milvus.uri"
        one = asyncio.run(examine(f"http://127.0.0.1:{port}", port))
        assert one == Report(
            [*REACHED[:2], f"FAIL  tcp              127.0.0.1:PORT: Connection refused; {remedy}", UNREACHED],
            good=False,
        )
        monkeypatch.setattr(module, "_addresses", two)
        both = asyncio.run(examine(f"http://localhost:{port}", port))
        assert both.wrong == [f"FAIL  tcp              localhost:PORT: Connection refused; {remedy}"]


# TLS


@dataclass(frozen=True)
class Papers:
    ours: Authority
    others: Authority
    server: Issued
    expired: Issued
    client: Issued
    stranger: Issued
    encrypted: Path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("tls")
    ours, others = Authority.make(folder / "ours"), Authority.make(folder / "others")
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    client = ours.issue("exporter.internal")
    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    encrypted = folder / "encrypted.key"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    return Papers(
        ours,
        others,
        server=ours.issue("localhost", "127.0.0.1"),
        expired=ours.issue("127.0.0.1", not_before=past, not_after=past + dt.timedelta(days=1)),
        client=client,
        stranger=others.issue("stranger.internal"),
        encrypted=encrypted,
    )


OVER_TLS = "https://127.0.0.1:PORT"


def test_tls_that_works(papers: Papers) -> None:
    found = report(tls=papers.server.server(), uri=OVER_TLS, files={"ca": papers.ours.file})
    assert found.lines == [
        REACHED[0].replace("http", "https"),
        *REACHED[1:],
        "ok    tls              TLSv1.3, certificate accepted",
        *ALL_GOOD[3:],
    ]
    assert found.good


def test_mutual_tls_that_works(papers: Papers) -> None:
    files = {"ca": papers.ours.file, "cert": papers.client.cert, "key": papers.client.key}
    assert report(tls=papers.server.server(papers.ours.file), uri=OVER_TLS, files=files).good


def test_a_server_certificate_can_be_trusted_itself_as_grpc_does(papers: Papers) -> None:
    assert report(tls=papers.server.server(), uri=OVER_TLS, files={"ca": papers.server.cert}).good


NAMED = "set milvus.tls.server_name to a name that the certificate bears, or correct the host in milvus.uri"
SIGNED = "set milvus.tls.ca_file to the authority (PEM) that has signed Milvus's certificate"
TLS_FAULTS: dict[str, tuple[Callable[[Papers], Any], Callable[[Papers], dict[str, Any]], str]] = {
    "unknown authority": (
        lambda p: p.server.server(),
        lambda p: {"files": {"ca": p.others.file}},
        f"unable to get local issuer certificate; {SIGNED}",
    ),
    "no authority given": (
        lambda p: p.server.server(),
        lambda _: {},
        f"unable to get local issuer certificate; {SIGNED}",
    ),
    "expired": (
        lambda p: p.expired.server(),
        lambda p: {"files": {"ca": p.ours.file}},
        "certificate has expired; renew Milvus's certificate, or set this machine's clock",
    ),
    "wrong address": (
        lambda p: p.client.server(),
        lambda p: {"files": {"ca": p.ours.file}},
        f"IP address mismatch, certificate is not valid for '127.0.0.1'; {NAMED}",
    ),
    "wrong server name": (
        lambda p: p.server.server(),
        lambda p: {"files": {"ca": p.ours.file}, "server_name": "milvus.internal"},
        f"Hostname mismatch, certificate is not valid for 'milvus.internal'; {NAMED}",
    ),
    "a server name that is none": (
        lambda p: p.server.server(),
        lambda p: {"files": {"ca": p.ours.file}, "server_name": ".internal"},
        "the name is none that a certificate can bear; correct milvus.tls.server_name, or the host in milvus.uri",
    ),
    "TLS on a plain port": (
        lambda _: None,
        lambda p: {"files": {"ca": p.ours.file}},
        "the server does not speak TLS (WRONG_VERSION_NUMBER); write http in milvus.uri, or switch TLS on in Milvus",
    ),
    "client certificate missing": (
        lambda p: p.server.server(p.ours.file),
        lambda p: {"files": {"ca": p.ours.file}},
        f"the server hangs up after the handshake; {CERTIFICATE}",
    ),
    "client certificate of a stranger": (
        lambda p: p.server.server(p.ours.file),
        lambda p: {"files": {"ca": p.ours.file, "cert": p.stranger.cert, "key": p.stranger.key}},
        f"the server hangs up after the handshake; {CERTIFICATE}",
    ),
}


@pytest.mark.parametrize(("server", "client", "said"), TLS_FAULTS.values(), ids=TLS_FAULTS.keys())
def test_each_tls_mistake_says_what_to_correct(
    papers: Papers, server: Callable[[Papers], Any], client: Callable[[Papers], dict[str, Any]], said: str
) -> None:
    found = report(tls=server(papers), uri=OVER_TLS, **client(papers))
    assert found.lines[3:] == [f"FAIL  tls              {said}", UNREACHED]
    assert not found.good


def serve_by_hand(papers: Papers, *, alpn: bool = True) -> Report:
    """Check a TLS server that shakes hands and then says nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.transport.abort()

    async def run() -> Report:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers.server.cert, papers.server.key)
        if alpn:
            context.set_alpn_protocols(["h2"])
        server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            given = {"files": {"ca": papers.ours.file}, "poll": {"timeout": "300ms"}}
            return await examine(f"https://127.0.0.1:{port}", port, **given)

    return asyncio.run(run())


def test_a_server_that_says_that_it_wants_a_certificate_is_quoted(papers: Papers) -> None:
    """As Go's servers do; gRPC's own only hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.server.cert, papers.server.key)
    context.load_verify_locations(papers.ours.file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            for _ in ("tcp", "tls"):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
                    with contextlib.suppress(OSError):
                        secured.do_handshake()
                    with contextlib.suppress(OSError):
                        socket.socket.recv(secured, 1000)  # or the alert would be lost in a reset

        thread = threading.Thread(target=shake_hands)
        thread.start()
        port = listener.getsockname()[1]
        found = asyncio.run(examine(f"https://127.0.0.1:{port}", port, files={"ca": papers.ours.file}))
        thread.join()
    assert found.wrong == [
        f"FAIL  tls              the server refuses the handshake (TLSV13_ALERT_CERTIFICATE_REQUIRED); {CERTIFICATE}"
    ]


def test_a_server_with_tls_and_without_http2_is_not_milvus(papers: Papers) -> None:
    found = serve_by_hand(papers, alpn=False)
    assert found.wrong == [
        (
            "FAIL  tls              the server speaks TLS, but not HTTP/2; look whether milvus.uri leads to Milvus's "
            "gRPC port, and not to an HTTP proxy"
        )
    ]


def test_a_server_that_says_nothing_after_the_handshake_hangs(papers: Papers) -> None:
    found = serve_by_hand(papers)
    assert found.wrong == ["FAIL  tls              no answer in time; look whether Milvus hangs, or raise poll.timeout"]


def test_a_server_that_hangs_up_during_the_handshake(papers: Papers) -> None:
    async def run() -> Report:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await examine(f"https://127.0.0.1:{port}", port, files={"ca": papers.ours.file})

    (wrong,) = asyncio.run(run()).wrong
    assert wrong.startswith("FAIL  tls              ")
    assert "during the handshake; look whether Milvus runs behind this address" in wrong


def removed(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    replace(path, "garbage")


TLS_FILES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no authority file": ("ca", removed, "{ca}: No such file or directory"),
    "no authority in it": ("ca", garbage, "{ca}: holds no certificate"),
    "no certificate file": ("cert", removed, "{cert}: No such file or directory"),
    "no certificate in it": ("cert", garbage, "{cert}, {key}: no certificate and its unencrypted key"),
    "no key file": ("key", removed, "{key}: No such file or directory"),
    "no key in it": ("key", garbage, "{cert}, {key}: no certificate and its unencrypted key"),
}


@pytest.mark.parametrize(("name", "spoil", "said"), TLS_FILES.values(), ids=TLS_FILES.keys())
def test_a_tls_file_that_cannot_be_used_is_named(
    papers: Papers, tmp_path: Path, name: str, spoil: Callable[[Path], None], said: str
) -> None:
    given = {"ca": papers.ours.file, "cert": papers.client.cert, "key": papers.client.key}
    files = {each: tmp_path / each for each in given}
    for each, path in files.items():
        replace(path, given[each].read_bytes())

    async def run() -> Report:
        async with serving(tls=papers.server.server(papers.ours.file)) as wire:
            config = settings(f"https://127.0.0.1:{wire.port}", files=files)
            spoil(files[name])
            steps: list[Step] = []
            assert not await check(config, steps.append)
            return Report([str(step) for step in steps], good=False)

    text = f"The TLS files cannot be used. {said.format(**files)}; correct that file, or name another"
    assert asyncio.run(run()).wrong == [f"FAIL  tls              {text}"]


def test_a_key_of_another_certificate_is_named(papers: Papers) -> None:
    cert, key = papers.client.cert, papers.stranger.key
    found = report(tls=papers.server.server(), uri=OVER_TLS, files={"ca": papers.ours.file, "cert": cert, "key": key})
    assert f"{key}: not the key of {cert}; correct that file" in found.wrong[0]


def test_an_encrypted_key_is_a_line_and_no_question_on_the_terminal(papers: Papers) -> None:
    files = {"ca": papers.ours.file, "cert": papers.client.cert, "key": papers.encrypted}
    found = report(tls=papers.server.server(), uri=OVER_TLS, files=files)
    assert "no certificate and its unencrypted key" in found.wrong[0]


def test_plain_spoken_to_a_tls_port_hints_at_https(papers: Papers) -> None:
    found = report(tls=papers.server.server())
    assert found.lines[:3] == REACHED
    assert found.lines[3].startswith("FAIL  credentials      Milvus cannot be reached. UNAVAILABLE: ")
    assert found.lines[3].endswith(
        "Socket closed; write https in milvus.uri if Milvus has TLS switched on, or look whether milvus.uri leads to "
        "Milvus's gRPC port, and not to an HTTP proxy"
    )
    assert found.lines[4:] == [NO_FURTHER]


# Credentials


LOGIN = "set milvus.token_file, or milvus.user with milvus.password_file, to what Milvus knows"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"token": "root:hunter2"}, "auth check failure, please check username and password are correct"),
        ({"token": "hunter2key"}, "auth check failure, please check api key is correct"),
    ],
)
def test_wrong_credentials_are_one_line_and_nothing_more_is_asked(given: dict[str, str], text: str) -> None:
    refusal = Refusal(grpc.StatusCode.UNAUTHENTICATED, text)
    found = report(dict.fromkeys(GOOD, refusal), **given)
    said = f"FAIL  credentials      Milvus rejects the credentials. UNAUTHENTICATED: {text}; {LOGIN}"
    assert found == Report([*REACHED, said, NO_FURTHER], good=False)


def test_credentials_that_are_not_set_are_missing_and_not_rejected() -> None:
    refusal = Refusal(grpc.StatusCode.UNAUTHENTICATED, "missing authorization in header")
    found = report(dict.fromkeys(GOOD, refusal))
    why = "missing: Milvus asks for them and none are set. UNAUTHENTICATED: missing authorization in header"
    assert found == Report([*REACHED, f"FAIL  credentials      {why}; {LOGIN}", NO_FURTHER], good=False)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(removed, "No such file or directory"), (lambda path: replace(path, ""), "empty")],
    ids=["removed", "empty"],
)
def test_a_file_of_credentials_that_cannot_be_used_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2")

    async def run() -> list[str]:
        async with serving() as wire:
            config = settings(f"http://127.0.0.1:{wire.port}", token_file=token)
            spoil(token)
            steps: list[Step] = []
            assert not await check(config, steps.append)
            assert wire.calls == []
            return [str(step) for step in steps]

    said = f"FAIL  credentials      The credentials cannot be read. {token}: {why}; correct that file, or name another"
    assert asyncio.run(run())[3:] == [said, NO_FURTHER]


def test_a_server_without_connect_is_asked_all_the_same() -> None:
    found = report({"Connect": Refusal(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")})
    skipped = "skip  credentials      the server does not know Connect"
    assert found == Report([*REACHED, skipped, *ALL_GOOD[4:]], good=True)


def test_connect_refused_by_milvus_is_a_warning_since_the_daemon_never_calls_it() -> None:
    found = report({"Connect": status(GOOD["Connect"], 65535, "no etcd")})
    warned = "warn  credentials      not tried: Milvus answered with an error. Status 65535: no etcd"
    assert found == Report([*REACHED, warned, *ALL_GOOD[4:]], good=True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Refusal(grpc.StatusCode.UNKNOWN, "internal: Milvus Proxy is not ready yet. please wait"),
            (
                "Milvus is not ready yet. UNKNOWN: internal: Milvus Proxy is not ready yet. please wait; wait until "
                "Milvus has started"
            ),
        ),
        (
            status(GOOD["Connect"], 8, "rate limit exceeded"),
            "Milvus limits the rate of calls. Status 8: rate limit exceeded; raise poll.interval, or Milvus's limits",
        ),
        (
            b"<html>",
            (
                "The answer cannot be decoded. 6 bytes that are no ConnectResponse; look whether milvus.uri leads to "
                "Milvus's gRPC port, and not through an HTTP proxy"
            ),
        ),
    ],
    ids=["starting", "rate limit", "garbage"],
)
def test_a_first_call_that_fails_says_what_to_do(answer: Answer, said: str) -> None:
    assert report({"Connect": answer}).lines[3:] == [f"FAIL  credentials      {said}", NO_FURTHER]


def test_a_milvus_that_hangs_costs_one_timeout_and_not_one_for_each_question() -> None:
    found = report(dict.fromkeys(GOOD, hang), poll={"timeout": "100ms"})
    assert found.lines[4:] == [NO_FURTHER]
    assert found.lines[3].startswith("FAIL  credentials      Milvus did not answer in time. DEADLINE_EXCEEDED: ")
    assert found.lines[3].endswith("; look whether Milvus hangs, or raise poll.timeout")


# Version and refresh API


@pytest.mark.parametrize(
    ("version", "shown"), [("", "not told"), ("v3\x1b[31m\n", "v3[31m"), ("9" * 500, "9" * 80), ("v2.3.5-lite",) * 2]
)
def test_the_version_is_shown_as_far_as_a_terminal_can_bear(version: str, shown: str) -> None:
    answer = pb.GetVersionResponse(status=pb.Status(), version=version)
    assert f"ok    server version   {shown}" in report({"GetVersion": answer}).lines


def test_a_version_that_is_not_told_is_no_more_than_a_warning() -> None:
    found = report({"GetVersion": Refusal(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")})
    assert found.good
    assert found.wrong == [
        "warn  server version   not known: This server does not know the call. UNIMPLEMENTED: Method not found!"
    ]


def test_a_milvus_without_the_refresh_api_is_told_to_be_too_old() -> None:
    text = "unknown method ListRefreshExternalCollectionJobs for service milvus.proto.milvus.MilvusService"
    found = report({LIST_JOBS: Refusal(grpc.StatusCode.UNIMPLEMENTED, text)})
    assert found.wrong == [
        (
            f"FAIL  refresh API      This server does not know the call. UNIMPLEMENTED: {text}; Milvus 3.0 brought the "
            "refresh API, older ones have none: upgrade Milvus, or correct milvus.uri"
        )
    ]
    assert found.lines[-1] == INVENTORY, "the rest is asked all the same"
    assert not found.good


@pytest.mark.parametrize("code", [5, 65535, 1100, 1101])
def test_a_listing_that_one_broken_job_spoils_is_a_warning(code: int) -> None:
    found = report({LIST_JOBS: status(GOOD[LIST_JOBS], code, "job 12 references missing task 34")})
    assert found.good
    assert found.wrong == [
        (
            f"warn  refresh API      cannot list all jobs at once: Milvus answered with an error. Status {code}: "
            "job 12 references missing task 34; until this is over each poll lists the known collections one by one, "
            "which needs the inventory"
        )
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            status(GOOD[LIST_JOBS], 3, "memory limit exceeded"),
            "Milvus answered with an error. Status 3: memory limit exceeded; look into Milvus's log",
        ),
        (
            status(GOOD[LIST_JOBS], 1401, "privilege not permitted"),
            (
                "The Milvus user lacks a privilege. Status 1401: privilege not permitted; grant the user the privilege "
                "named here (docs/milvus.md, Privileges)"
            ),
        ),
        (
            b"",
            (
                "The answer cannot be decoded. OK without a message; look whether milvus.uri leads to Milvus's gRPC "
                "port, and not through an HTTP proxy"
            ),
        ),
    ],
    ids=["an error", "a privilege", "nothing"],
)
def test_a_listing_that_fails_otherwise_is_a_failure(answer: Answer, said: str) -> None:
    found = report({LIST_JOBS: answer})
    assert (found.wrong, found.good) == ([f"FAIL  refresh API      {said}"], False)


def test_a_listing_beyond_the_limit_names_the_limit() -> None:
    jobs = [pb.RefreshExternalCollectionJobInfo(reason="r" * 500)] * 10
    found = report({LIST_JOBS: pb.ListRefreshExternalCollectionJobsResponse(jobs=jobs)}, max_response_bytes="2KiB")
    assert found.wrong[0].endswith("; raise milvus.max_response_bytes")


# Inventory and filters


def denied(privilege: str) -> Refusal:
    return Refusal(grpc.StatusCode.PERMISSION_DENIED, f"{privilege}: permission deny to bob")


@pytest.mark.parametrize(
    ("method", "privilege"),
    [
        ("ListDatabases", "PrivilegeListDatabases"),
        ("ShowCollections", "PrivilegeShowCollections"),
        ("DescribeCollection", "PrivilegeDescribeCollection"),
    ],
)
def test_a_missing_inventory_privilege_is_only_a_warning(method: str, privilege: str) -> None:
    found = report({method: denied(privilege)})
    assert found.good
    assert found.wrong == [
        (
            f"warn  inventory        The Milvus user lacks a privilege. PERMISSION_DENIED: {privilege}: permission "
            f"deny to bob; without it the label database can be empty: grant the user the privilege named here "
            f"(docs/milvus.md, Privileges)"
        )
    ]


def test_a_privilege_that_is_missing_in_the_second_database_only_is_found() -> None:
    async def by_database(call: Any) -> Answer:
        lake = pb.DescribeCollectionRequest.FromString(call.request).db_name == "lake"
        return denied("PrivilegeDescribeCollection") if lake else GOOD["DescribeCollection"]

    assert "PrivilegeDescribeCollection" in report({"DescribeCollection": by_database}).wrong[0]


def test_an_inventory_that_fails_otherwise_does_not_advise_a_grant() -> None:
    found = report({"ListDatabases": status(GOOD["ListDatabases"], 65535, "no etcd")})
    assert found.good
    assert found.wrong == [
        (
            "warn  inventory        Milvus answered with an error. Status 65535: no etcd; without it the label "
            "database can be empty: look into Milvus's log"
        )
    ]


NOTHING_SHOWN = pb.ShowCollectionsResponse(status=pb.Status())
HIDDEN = status(GOOD["DescribeCollection"], 1401, "not allowed to access collection: privilege not permitted")
GONE = status(GOOD["DescribeCollection"], 100, "collection not found")
SIGHT = (
    'grant IndexDetail with collection_name="*" (docs/milvus.md, Privileges): DescribeCollection alone shows no '
    "collection"
)
DROPPED = f"dropped or renamed, or in a database that this user may not see; if so, {GRANTS}"
ANN = {"token": "ann:hunter2"}


def listing(*names: str) -> pb.ListRefreshExternalCollectionJobsResponse:
    jobs = [pb.RefreshExternalCollectionJobInfo(job_id=n, collection_name=name) for n, name in enumerate(names, 1)]
    return pb.ListRefreshExternalCollectionJobsResponse(status=pb.Status(), jobs=jobs)


def by_name(**answers: Answer) -> Answer:
    """Answer a description by the name of the collection; ``docs`` exists."""

    async def describe(call: Any) -> Answer:
        name = pb.DescribeCollectionRequest.FromString(call.request).collection_name
        return {"docs": GOOD["DescribeCollection"], **answers}.get(name, GONE)

    return describe


def inventory_of(answers: dict[str, Answer], **given: Any) -> str:
    found = report(answers, **(given or ANN))
    assert found.good
    (line,) = (line for line in found.lines if line[6:].startswith("inventory"))
    return line


def test_grants_that_hide_every_collection_name_those_that_have_jobs() -> None:
    """What is granted already is not advised: status 1401 comes after the privilege has been looked at."""
    jobs = listing("a", "b", "b", "c")
    line = inventory_of({"ShowCollections": NOTHING_SHOWN, "DescribeCollection": HIDDEN, LIST_JOBS: jobs})
    said = f"jobs of 3 collections are listed, none of them is visible to this user: a, b, c; {SIGHT}"
    assert line == f"warn  inventory        {said}"


def test_without_the_privilege_to_describe_both_grants_are_advised() -> None:
    refused = denied("PrivilegeDescribeCollection")
    line = inventory_of({"ShowCollections": NOTHING_SHOWN, "DescribeCollection": refused, LIST_JOBS: listing("a")})
    said = f"jobs of 1 collection are listed, it is not visible to this user: a; {GRANTS}"
    assert line == f"warn  inventory        {said}"


def test_a_user_without_a_role_sees_no_database_either() -> None:
    nothing = {"ListDatabases": pb.ListDatabasesResponse(status=pb.Status()), "DescribeCollection": HIDDEN}
    line = inventory_of({**nothing, LIST_JOBS: listing("a")})
    assert line == f"warn  inventory        jobs of 1 collection are listed, it is not visible to this user: a; {SIGHT}"


def test_grants_that_hide_some_collections_say_how_many() -> None:
    jobs = listing("docs", "a", "b", "docs")
    line = inventory_of({"DescribeCollection": by_name(a=HIDDEN, b=HIDDEN), LIST_JOBS: jobs})
    found = "2 collections in 2 databases; of 3 collections with jobs 2 are not visible"
    assert line == f"warn  inventory        {found}: a, b; {SIGHT}"


def test_jobs_of_a_collection_that_nobody_knows_are_said_to_be_one_of_two_things() -> None:
    """Dropped collections are no fault, so this is no warning."""
    line = inventory_of({"DescribeCollection": by_name(), LIST_JOBS: listing("docs", "a")})
    found = "2 collections in 2 databases; of 2 collections with jobs 1 is not visible"
    assert line == f"ok    inventory        {found}: a; {DROPPED}"


def test_jobs_none_of_whose_collections_is_known() -> None:
    line = inventory_of({"DescribeCollection": by_name(), LIST_JOBS: listing("a", "b")})
    said = f"jobs of 2 collections are listed, none of them is visible to this user: a, b; {DROPPED}"
    assert line == f"warn  inventory        {said}"


def test_jobs_under_an_alias_are_those_of_a_visible_collection() -> None:
    line = inventory_of({"DescribeCollection": by_name(alias=GOOD["DescribeCollection"]), LIST_JOBS: listing("alias")})
    assert line == INVENTORY


@pytest.mark.parametrize(
    ("given", "why"),
    [({"poll": {"timeout": "2s"}}, "authorization is off, so nothing is hidden"), ({"token": "root:hunter2"}, "root")],
    ids=["authorization off", "root"],
)
def test_where_nothing_is_hidden_no_grant_is_advised(given: dict[str, Any], why: str) -> None:
    line = inventory_of({"DescribeCollection": by_name(), LIST_JOBS: listing("docs", "a")}, **given)
    why = "root sees everything" if why == "root" else why
    left = "jobs are listed of 1 name that no collection bears any more: a"
    assert line == f"ok    inventory        2 collections in 2 databases; {why}; {left}"
    empty = inventory_of({"ShowCollections": NOTHING_SHOWN, LIST_JOBS: listing()}, **given)
    assert empty == f"ok    inventory        0 collections in 2 databases; {why}"


def test_a_milvus_that_may_just_be_empty_is_not_said_to_lack_a_grant() -> None:
    line = inventory_of({"ShowCollections": NOTHING_SHOWN, LIST_JOBS: listing()})
    said = "0 collections in 2 databases, and no jobs are listed: Milvus is empty, or hides all from this user"
    assert line == f"warn  inventory        {said}; if it is not, {GRANTS}"


def test_where_jobs_cannot_be_listed_nothing_is_said_of_their_collections() -> None:
    broken = status(GOOD[LIST_JOBS], 65535, "job 12 references missing task 34")
    assert inventory_of({LIST_JOBS: broken}) == INVENTORY
    line = inventory_of({LIST_JOBS: broken, "ShowCollections": NOTHING_SHOWN})
    assert "and jobs cannot be listed: Milvus is empty, or hides all from this user" in line


def test_many_names_are_cut_short_and_made_fit_for_a_terminal() -> None:
    """And the number of questions is bounded: names beyond it are not shown either, and count."""

    async def run() -> tuple[Report, int]:
        answers = {"DescribeCollection": by_name(), LIST_JOBS: listing("\x1b[31m", *(f"n{n:03}" for n in range(300)))}
        async with serving(answers) as wire:
            found = await examine(f"http://127.0.0.1:{wire.port}", wire.port, **ANN)
            return found, len([call for call in wire.calls if call.method == "DescribeCollection"])

    found, asked = asyncio.run(run())
    said = "jobs of 301 collections are listed, none of them is visible to this user"
    assert f"warn  inventory        {said}: [31m, n000, n001, n002, n003 and 296 more; " in found.lines[-1]
    assert asked < 210


@pytest.mark.parametrize(("method", "code"), [("ShowCollections", 800), ("DescribeCollection", 100)])
def test_what_is_dropped_between_two_calls_is_no_fault(method: str, code: int) -> None:
    found = report({method: status(GOOD[method], code, "not found")})
    assert "lacks" not in found.lines[-1]
    assert "Status" not in found.lines[-1]


def test_an_inventory_that_is_switched_off_is_skipped() -> None:
    found = report({"ListDatabases": denied("x")}, inventory={"enabled": False})
    assert found == Report(
        [*ALL_GOOD[:-1], "skip  inventory        switched off; the label database is empty"], good=True
    )


UNTOLD = (
    "only the inventory tells databases: without it nothing is shown; make the inventory work, or take the filter out"
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"filters": {"databases": {"include": ["lake"]}}}, f"filters.databases.include is set, and {UNTOLD}"),
        ({"uri": "http://127.0.0.1:PORT/lake"}, f"milvus.uri names a database, and {UNTOLD}"),
    ],
    ids=["filter", "URI"],
)
@pytest.mark.parametrize("off", [True, False], ids=["switched off", "denied"])
def test_a_filter_for_databases_without_the_inventory_warns_that_nothing_will_be_shown(
    given: dict[str, Any], said: str, off: bool
) -> None:
    more = {"inventory": {"enabled": False}} if off else {}
    found = report({"ListDatabases": denied("PrivilegeListDatabases")}, **given, **more)
    assert found.lines[-1] == f"warn  filters          {said}"
    assert found.good


def test_a_database_in_the_uri_that_does_not_exist_is_a_failure() -> None:
    async def list_jobs(call: Any) -> Answer:
        request = pb.ListRefreshExternalCollectionJobsRequest.FromString(call.request)
        missing = request.collection_name and request.db_name == "typo"
        return status(GOOD[LIST_JOBS], 800, "database not found[database=typo]") if missing else GOOD[LIST_JOBS]

    for given in ({}, {"inventory": {"enabled": False}}):
        found = report({LIST_JOBS: list_jobs}, uri="http://127.0.0.1:PORT/typo", **given)
        said = 'milvus.uri names the database "typo", which does not exist; correct it'
        assert (found.wrong, found.good) == ([f"FAIL  filters          {said}"], False)
    assert report({LIST_JOBS: list_jobs}, uri="http://127.0.0.1:PORT/lake").good


def test_a_database_in_the_uri_that_exists_and_is_hidden_is_named() -> None:
    found = report(uri="http://127.0.0.1:PORT/hidden", **ANN)
    said = 'milvus.uri names the database "hidden", which this user may not see: nothing will be shown; to see it'
    assert found.wrong == [f"warn  filters          {said}, {GRANTS}"]
    assert found.good


@pytest.mark.parametrize("given", [{}, {"token": "root:hunter2"}], ids=["authorization off", "root"])
def test_a_database_that_is_not_shown_although_nothing_is_hidden_does_not_exist(given: dict[str, Any]) -> None:
    """Whatever listing by name answers: an older Milvus does not know that call."""
    found = report(uri="http://127.0.0.1:PORT/typo", **given)
    said = 'FAIL  filters          milvus.uri names the database "typo", which does not exist; correct it'
    assert (found.wrong, found.good) == ([said], False)


def test_a_filter_that_keeps_none_of_the_databases_is_named() -> None:
    found = report(filters={"databases": {"include": ["typo.*"]}})
    said = "filters.databases keeps none of the databases that Milvus shows (default, lake): nothing will be shown"
    assert found.wrong == [f"warn  filters          {said}; correct it, or {GRANTS}"]


@pytest.mark.parametrize(
    "given",
    [
        {"uri": "http://127.0.0.1:PORT/lake"},
        {"filters": {"databases": {"include": ["lake"]}}},
        {"filters": {"databases": {"exclude": ["lake"]}}, "inventory": {"enabled": False}},
    ],
    ids=str,
)
def test_a_filter_that_can_work_has_no_line(given: dict[str, Any]) -> None:
    assert report(**given).wrong == []


# Whatever happens

KINDS_OF_TROUBLE: list[Answer] = [
    *(Refusal(code, "s3://key:hunter2hunter2@b/x?sig=hunter2hunter2 token=hunter2hunter2") for code in grpc.StatusCode
      if code is not grpc.StatusCode.OK),
    b"",
    b"\xff\xff\xff",
]  # fmt: skip


@pytest.mark.parametrize("method", list(GOOD))
def test_no_trouble_in_any_call_is_a_traceback_or_shows_a_secret(method: str) -> None:
    async def run() -> list[Report]:
        async with serving() as wire:
            found = []
            for answer in [*KINDS_OF_TROUBLE, *(status(GOOD[method], code, "password=hunter2hunter2") for code in
                                                (1, 5, 100, 800, 1400, 4711))]:  # fmt: skip
                wire.answers[method] = answer
                found.append(await examine(f"http://{wire.target}", token="hunter2hunter2"))
            return found

    for found in asyncio.run(run()):
        assert found.lines != ALL_GOOD
        assert "hunter2" not in "\n".join(found.lines)
        assert all(line.isprintable() for line in found.lines)
        assert found.good == (not any(line.startswith("FAIL") for line in found.lines))


# The state file


def state_file(path: Path) -> tuple[str, bool]:
    """Return the verdict and text of the line about a state file, and whether check is good."""
    found = report(state={"path": str(path)})
    assert found.lines[-len(ALL_GOOD) + 1 :] == ALL_GOOD[1:], "the rest is looked at all the same"
    line = found.lines[1]
    assert line[6:22] == "state file".ljust(16)
    return line[:6] + line[23:].removeprefix(f"{path}"), found.good


def test_a_state_file_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    """A look is not a write."""
    assert state_file(tmp_path / "state.db") == ("ok     will be made", True)
    assert not list(tmp_path.iterdir())


def test_a_state_file_that_can_be_used_says_what_it_remembers(tmp_path: Path) -> None:
    """Also while a daemon holds it, which goes on writing as if nobody had looked."""
    path = tmp_path / "state.db"
    state = StateFile(path, 1.0, AS_IS)
    state.open(NOON)
    memory = state.load(0.0)
    assert state_file(path) == ("ok     holds nothing yet", True)
    for number, said in ((1, "1 collection"), (2, "2 collections")):
        memory.outcomes[Collection("sales", "docs", number)] = Outcomes()
        state.save(memory, 1.0)
        assert state_file(path) == (f"ok     remembers {said}", True)
    assert state.account.errors == 0
    state.close()


def test_a_state_file_that_cannot_be_used_keeps_check_from_being_good(tmp_path: Path) -> None:
    """Said with the daemon's own words."""
    path = tmp_path / "state.db"
    path.write_bytes(b"somebody's notes\n" * 100)
    assert state_file(path) == ("FAIL  : is no state file; name another in state.path", False)


def test_a_damaged_state_file_is_found_out_wherever_the_damage_is(tmp_path: Path) -> None:
    """In the history too, which the daemon reads when somebody asks for it."""
    path = tmp_path / "state.db"
    state = StateFile(path, 1.0, AS_IS)
    state.open(NOON)
    memory = state.load(0.0)
    memory.ended.update({n: ended(job(n, source="x" * 200)) for n in range(500)})
    state.save(memory, 1.0)
    memory.ended.clear()
    state.save(memory, 1.0)
    state.close()
    content = bytearray(path.read_bytes())
    assert len(content) > 100_000
    content[60_000:61_000] = b"\xff" * 1000
    path.write_bytes(content)
    text = "FAIL  : damaged; keep it for repair and name another file in state.path"
    assert state_file(path) == (text, False)


def test_a_state_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder counts as well: the lock and the journal lie beside it."""
    path = tmp_path / "state.db"
    path.touch()
    text = "FAIL  : cannot be written, or its folder; correct the owner, or state.path"
    for refused in (path, tmp_path):
        monkeypatch.setattr("os.access", lambda each, mode, refused=refused: each != refused)
        assert state_file(path) == (text, False)


def test_a_disk_without_room_for_the_state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=0))
    assert state_file(tmp_path / "state.db") == ("FAIL  : the disk is full; make room", False)


def test_a_state_file_is_looked_at_although_milvus_cannot_be_reached(tmp_path: Path) -> None:
    """Two faults are found in one go."""
    found = asyncio.run(examine(f"unix:{tmp_path}/s", state={"path": str(tmp_path / "state.db")}))
    assert [line.split()[:3] for line in found.lines[1:3]] == [["ok", "state", "file"], ["FAIL", "unix", "socket"]]
    assert not found.good
