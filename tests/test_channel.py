"""The channel and the files behind it: credentials, TLS in all its failures, targets, and coming back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from wire import GOOD, LIST_JOBS, Answer, Authority, Call, Issued, Wire, replace, serving, settings

from exporter import errors
from exporter.milvus.channel import Credentials, WatchedFile, default_roots
from exporter.milvus.client import MilvusClient

PATIENCE = 5.0


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def header(**milvus: Any) -> str | None:
    """Return the ``authorization`` value for the next call."""
    uri = milvus.pop("uri", "http://milvus:19530")
    return dict(Credentials(settings(uri, **milvus)).metadata()).get("authorization")


def kind_of(client: MilvusClient) -> Coroutine[Any, Any, str]:
    async def ask() -> str:
        try:
            await client.list_all_jobs(timeout=PATIENCE)
        except errors.MilvusError as error:
            return error.kind
        return "ok"

    return ask()


@contextlib.asynccontextmanager
async def client_of(uri: str, **milvus: Any) -> AsyncIterator[MilvusClient]:
    client = MilvusClient(settings(uri, **milvus))
    try:
        yield client
    finally:
        await client.close()


# Credentials


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str, bytes | str], str]:
    def write(name: str, text: bytes | str) -> str:
        replace(tmp_path / name, text)
        return str(tmp_path / name)

    return write


def test_without_credentials_there_is_no_header() -> None:
    assert Credentials(settings("http://milvus")).metadata() == ()


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"token": "root:Milvus"}, "root:Milvus"),
        ({"token": "anapikey"}, "anapikey"),
        ({"user": "root", "password": "pa:ss wörd"}, "root:pa:ss wörd"),
        ({"uri": "http://ann:p%40ss%3A%2F@milvus"}, "ann:p@ss:/"),
        ({"uri": "http://ann:x@milvus", "user": "bob", "password": "y"}, "bob:y"),
        ({"uri": "http://ann:x@milvus", "user": "bob", "password": "y", "token": "t"}, "t"),
    ],
    ids=["token", "api key", "user and password", "URI", "user before URI", "token before all"],
)
def test_the_header_is_plain_base64_of_the_credentials(given: dict[str, str], plain: str) -> None:
    assert header(**given) == encoded(plain)


@pytest.mark.parametrize("length", [1, 57, 58, 4000])
def test_a_long_token_is_one_line_of_ascii(length: int) -> None:
    value = header(token="k" * length)
    assert value is not None
    assert value.isascii()
    assert "\n" not in value


@pytest.mark.parametrize(
    "written", ["root:Milvus", "root:Milvus\n", "root:Milvus\r\n\n", b"\xef\xbb\xbfroot:Milvus\n"], ids=repr
)
def test_a_file_may_end_in_a_line_break_and_begin_with_a_byte_order_mark(
    secret: Callable[..., str], written: bytes | str
) -> None:
    assert header(token_file=secret("token", written)) == encoded("root:Milvus")


def test_user_and_password_files_and_a_mixture_with_values(secret: Callable[..., str]) -> None:
    user, password = secret("user", "ann\n"), secret("password", "pä:ss\n")
    assert header(user_file=user, password_file=password) == encoded("ann:pä:ss")
    assert header(user="bob", password_file=password) == encoded("bob:pä:ss")
    assert header(user_file=user, password="x") == encoded("ann:x")


def test_a_file_goes_before_its_value(secret: Callable[..., str]) -> None:
    assert header(token_file=secret("token", "new"), token="old") == encoded("new")


@pytest.mark.parametrize("name", ["token", "user", "password"])
def test_a_rotated_file_is_sent_with_the_next_call(secret: Callable[..., str], name: str) -> None:
    files = {each: secret(each, f"old-{each}") for each in ("token", "user", "password")}
    given = {"token_file": files["token"]} if name == "token" else {
        "user_file": files["user"], "password_file": files["password"]
    }  # fmt: skip
    credentials = Credentials(settings("http://milvus", **given))
    before = base64.b64decode(credentials.metadata()[0][1]).decode()
    secret(name, f"new-{name}")
    assert base64.b64decode(credentials.metadata()[0][1]).decode() == before.replace(f"old-{name}", f"new-{name}")


def test_a_file_written_over_in_place_with_the_same_size_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("aaaa")
    file = WatchedFile(path, errors.CredentialsUnusable)
    assert file.read() == b"aaaa"
    path.write_text("bbbb")
    os.utime(path, ns=(1, 1))
    assert file.read() == b"bbbb"


def test_a_secret_behind_a_link_that_is_switched_is_read_again(tmp_path: Path) -> None:
    """This is how Kubernetes replaces mounted secrets: size and time can be the same."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "token").write_text(f"token{version}")
        os.utime(tmp_path / version / "token", ns=(1, 1))
    link = tmp_path / "data"
    link.symlink_to("1")
    credentials = Credentials(settings("http://milvus", token_file=str(link / "token")))
    assert credentials.metadata()[0][1] == encoded("token1")
    (tmp_path / "fresh").symlink_to("2")
    (tmp_path / "fresh").replace(link)
    assert credentials.metadata()[0][1] == encoded("token2")


def test_an_unchanged_file_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("aaaa")
    file = WatchedFile(path, errors.CredentialsUnusable)
    file.read()
    monkeypatch.setattr(Path, "open", None)
    assert file.read() == b"aaaa"


@pytest.mark.parametrize("written", ["se cret", "se cret\n", "se cret\r\n", "se cret\n\n", " secret ", " secret \n"])
def test_a_secret_is_the_same_from_a_file_a_variable_and_a_uri(secret: Callable[..., str], written: str) -> None:
    """Without the line end after it, and with every other character."""
    quoted = quote(written, safe="")
    given = (
        settings("http://milvus", user="me", password=written),
        settings("http://milvus", user="me", password_file=secret("password", written)),
        settings(f"http://me:{quoted}@milvus"),
    )
    assert {Credentials(each).metadata()[0][1] for each in given} == {encoded("me:" + written.rstrip("\r\n"))}


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "removed": (Path.unlink, "No such file or directory"),
    "empty": (lambda path: replace(path, ""), "empty"),
    "blank": (lambda path: replace(path, " \t\n"), "empty"),
    "not UTF-8": (lambda path: replace(path, b"\xff\xfe\x00"), "not UTF-8 text"),
    "two lines": (lambda path: replace(path, "hunter2\nhunter3\n"), "holds a line end; write the secret on one line"),
    "too large": (lambda path: replace(path, "x" * (64 * 1024 + 1)), "larger than 64 KiB"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
}


@pytest.mark.parametrize(("spoil", "why"), SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("name", ["token", "user", "password"])
def test_a_file_that_cannot_be_used_names_itself_and_recovers(
    secret: Callable[..., str], name: str, spoil: Callable[[Path], object], why: str
) -> None:
    files = {each: secret(each, f"hunter2-{each}") for each in ("token", "user", "password")}
    given = {f"{each}_file": path for each, path in files.items() if (each == "token") == (name == "token")}
    credentials = Credentials(settings("http://milvus", **given))
    good = credentials.metadata()
    path = Path(files[name])
    spoil(path)
    with pytest.raises(errors.CredentialsUnusable) as raised:
        credentials.metadata()
    assert str(raised.value) == f"The credentials cannot be read. {path}: {why}"
    assert raised.value.kind == "unauthenticated"
    if path.is_dir():
        path.rmdir()
    replace(path, f"hunter2-{name}")
    assert credentials.metadata() == good


def test_a_secret_of_exactly_the_largest_size_is_whole(secret: Callable[..., str]) -> None:
    assert header(token_file=secret("token", "x" * 64 * 1024)) == encoded("x" * 64 * 1024)


@pytest.mark.parametrize("given", [{}, {"token": "root:Milvus"}, {"user": "bob", "password": "x"}], ids=str)
def test_the_header_arrives_at_the_server_with_every_call(given: dict[str, str]) -> None:
    async def run() -> list[str | bytes | None]:
        async with serving() as wire, client_of(f"http://{wire.target}", **given) as client:
            await client.list_all_jobs(timeout=PATIENCE)
            await client.connect(timeout=PATIENCE)
            await client.server_version(timeout=PATIENCE)
            return wire.authorizations

    plain = given.get("token", ":".join(given.values()))
    assert asyncio.run(run()) == [encoded(plain) if plain else None] * 3


def test_a_token_rotated_on_disk_arrives_over_the_same_connection(secret: Callable[..., str]) -> None:
    async def run() -> Wire:
        token = Path(secret("token", "old"))
        async with serving() as wire, client_of(f"http://{wire.target}", token_file=token) as client:
            await client.list_all_jobs(timeout=PATIENCE)
            secret("token", "newer")
            await client.list_all_jobs(timeout=PATIENCE)
            replace(token, "")
            with pytest.raises(errors.CredentialsUnusable):
                await client.list_all_jobs(timeout=PATIENCE)
            return wire

    wire = asyncio.run(run())
    assert wire.authorizations == [encoded("old"), encoded("newer")], "without credentials nothing is sent"
    assert len(wire.connections) == 1


# TLS


@dataclass(frozen=True)
class Papers:
    """Two authorities; what the first has issued for the server and its clients, and the second for a stranger."""

    ours: Authority
    others: Authority
    server: Issued
    expired: Issued
    client: Issued
    stranger: Issued


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("tls")
    ours, others = Authority.make(folder / "ours"), Authority.make(folder / "others")
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    return Papers(
        ours,
        others,
        server=ours.issue("localhost", "127.0.0.1"),
        expired=ours.issue("127.0.0.1", not_before=past, not_after=past + dt.timedelta(days=1)),
        client=ours.issue("exporter.internal"),
        stranger=others.issue("stranger.internal"),
    )


def tls_error(server: Any, **milvus: Any) -> errors.MilvusError | None:
    """Return how a call to a server with these credentials (None: in the clear) fails."""

    async def run() -> errors.MilvusError | None:
        async with serving(tls=server) as wire:
            scheme = milvus.pop("scheme", "https")
            host = milvus.pop("host", "127.0.0.1")
            async with client_of(f"{scheme}://{host}:{wire.port}", **milvus) as client:
                try:
                    await client.list_all_jobs(timeout=PATIENCE)
                except errors.MilvusError as error:
                    return error
            return None

    return asyncio.run(run())


def test_one_way_tls(papers: Papers) -> None:
    assert tls_error(papers.server.server(), files={"ca": papers.ours.file}) is None


def test_mutual_tls_shows_our_certificate(papers: Papers) -> None:
    async def run() -> Call:
        files = {"ca": papers.ours.file, "cert": papers.client.cert, "key": papers.client.key}
        async with (
            serving(tls=papers.server.server(papers.ours.file)) as wire,
            client_of(f"https://{wire.target}", files=files) as client,
        ):
            await client.list_all_jobs(timeout=PATIENCE)
            return wire.calls[0]

    assert asyncio.run(run()).client == (b"exporter.internal",)


def test_an_authority_bundle_of_a_distribution_is_read_whole(papers: Papers, tmp_path: Path) -> None:
    """Such a bundle is some 220 kB, and the authority that matters can stand last."""
    bundle = tmp_path / "ca-certificates.crt"
    bundle.write_bytes(papers.others.file.read_bytes() * 400 + papers.ours.file.read_bytes())
    assert bundle.stat().st_size > 220_000
    assert tls_error(papers.server.server(), files={"ca": bundle}) is None


MISTAKES: dict[str, tuple[Callable[[Papers], Any], Callable[[Papers], dict[str, Any]], str, str]] = {
    "unknown authority": (
        lambda p: p.server.server(),
        lambda p: {"files": {"ca": p.others.file}},
        "tls",
        "CERTIFICATE_VERIFY_FAILED",
    ),
    "no authority given": (lambda p: p.server.server(), lambda _: {}, "tls", "CERTIFICATE_VERIFY_FAILED"),
    "expired": (
        lambda p: p.expired.server(),
        lambda p: {"files": {"ca": p.ours.file}},
        "tls",
        "certificate has expired",
    ),
    "wrong host": (
        lambda p: p.client.server(),
        lambda p: {"files": {"ca": p.ours.file}},
        "tls",
        "Hostname Verification Check failed",
    ),
    "wrong server name": (
        lambda p: p.server.server(),
        lambda p: {"files": {"ca": p.ours.file}, "server_name": "milvus.internal"},
        "tls",
        "Hostname Verification Check failed",
    ),
    "TLS on a plain port": (
        lambda _: None,
        lambda p: {"files": {"ca": p.ours.file}},
        "tls",
        "WRONG_VERSION_NUMBER",
    ),
    "plain on a TLS port": (lambda p: p.server.server(), lambda _: {"scheme": "http"}, "unreachable", "Socket closed"),
    "client certificate missing": (
        lambda p: p.server.server(p.ours.file),
        lambda p: {"files": {"ca": p.ours.file}},
        "unreachable",
        "Socket closed",
    ),
    "client certificate of a stranger": (
        lambda p: p.server.server(p.ours.file),
        lambda p: {"files": {"ca": p.ours.file, "cert": p.stranger.cert, "key": p.stranger.key}},
        "unreachable",
        "Socket closed",
    ),
    "key of another certificate": (
        lambda p: p.server.server(p.ours.file),
        lambda p: {"files": {"ca": p.ours.file, "cert": p.client.cert, "key": p.stranger.key}},
        "tls",
        "security handshaker",
    ),
}


@pytest.mark.parametrize(("server", "client", "kind", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_tls_mistake_has_its_kind_and_says_what_it_is(
    papers: Papers,
    server: Callable[[Papers], Any],
    client: Callable[[Papers], dict[str, Any]],
    kind: str,
    says: str,
) -> None:
    """With gRPC's own texts, provoked here: a new gRPC that words them differently fails this test, not a user."""
    error = tls_error(server(papers), **client(papers))
    assert error is not None
    assert error.kind == kind
    assert says in error.detail


def test_server_name_is_the_name_that_the_certificate_must_bear(papers: Papers) -> None:
    name = {"files": {"ca": papers.ours.file}, "server_name": "exporter.internal"}
    assert tls_error(papers.client.server(), **name) is None


def test_a_server_that_speaks_tls_but_no_http2_is_tls(papers: Papers) -> None:
    async def run() -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers.server.cert, papers.server.key)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server, client_of(f"https://127.0.0.1:{port}", files={"ca": papers.ours.file}) as client:
            return await kind_of(client)

    assert asyncio.run(run()) == "tls"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_hangs_up_at_once_is_unreachable(scheme: str) -> None:
    """A load balancer with nothing behind it does this: an outage, and no mistake about certificates."""

    async def run() -> str:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client_of(f"{scheme}://127.0.0.1:{port}") as client:
            return await kind_of(client)

    assert asyncio.run(run()) == "unreachable"


def test_a_web_server_is_unreachable() -> None:
    async def run() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client_of(f"http://127.0.0.1:{port}") as client:
            return await kind_of(client)

    assert asyncio.run(run()) == "unreachable"


def test_new_tls_files_mean_a_new_handshake_without_a_restart(papers: Papers, tmp_path: Path) -> None:
    async def run() -> list[Call]:
        first, second = papers.ours.issue("first.internal"), papers.ours.issue("second.internal")
        ca, cert, key = tmp_path / "ca.pem", tmp_path / "tls.crt", tmp_path / "tls.key"
        for path, given in ((ca, papers.ours.file), (cert, first.cert), (key, first.key)):
            replace(path, given.read_bytes())
        files = {"ca": ca, "cert": cert, "key": key}
        async with (
            serving(tls=papers.server.server(papers.ours.file)) as wire,
            client_of(f"https://{wire.target}", files=files) as client,
        ):
            await client.list_all_jobs(timeout=PATIENCE)
            await client.list_all_jobs(timeout=PATIENCE)
            replace(cert, second.cert.read_bytes())
            assert await kind_of(client) == "tls", "half replaced: the key is still the old one"
            replace(key, second.key.read_bytes())
            await client.list_all_jobs(timeout=PATIENCE)
            return wire.calls

    calls = asyncio.run(run())
    assert [call.client for call in calls] == [(b"first.internal",)] * 2 + [(b"second.internal",)]
    assert len({call.peer for call in calls}) == 2


def test_a_new_authority_takes_effect(papers: Papers, tmp_path: Path) -> None:
    async def run() -> list[str]:
        ca = tmp_path / "ca.pem"
        replace(ca, papers.others.file.read_bytes())
        async with (
            serving(tls=papers.server.server()) as wire,
            client_of(f"https://{wire.target}", files={"ca": ca}) as client,
        ):
            kinds = [await kind_of(client)]
            replace(ca, papers.ours.file.read_bytes())
            kinds.append(await kind_of(client))
            os.utime(ca, ns=(1, 1))
            kinds.append(await kind_of(client))
            assert len(wire.connections) == 1, "touched is not changed"
            return kinds

    assert asyncio.run(run()) == ["tls", "ok", "ok"]


def test_a_call_under_way_ends_in_peace_when_tls_files_change(papers: Papers, tmp_path: Path) -> None:
    """Neither does the new call wait for the old one, nor is the old one cut off."""

    async def run() -> None:
        going, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_: Call) -> Answer:
            going.set()
            await go_on.wait()
            return GOOD[LIST_JOBS]

        ca = tmp_path / "ca.pem"
        replace(ca, papers.ours.file.read_bytes())
        async with (
            serving({LIST_JOBS: slow}, tls=papers.server.server()) as wire,
            client_of(f"https://{wire.target}", files={"ca": ca}) as client,
        ):
            before = asyncio.create_task(client.list_all_jobs(timeout=60))
            await going.wait()
            replace(ca, papers.ours.file.read_bytes() + b"\n")
            began = time.monotonic()
            assert await client.list_databases(timeout=PATIENCE)
            assert time.monotonic() - began < 2
            assert await client.list_databases(timeout=PATIENCE)
            go_on.set()
            assert await before == [job.SerializeToString() for job in GOOD[LIST_JOBS].jobs]
            assert len(wire.connections) == 2

    asyncio.run(run())


SPOILT_PEM = {
    **{name: SPOILT[name] for name in ("removed", "a folder", "a pipe")},
    "empty": (lambda path: replace(path, ""), "holds no PEM text"),
    "not PEM": (lambda path: replace(path, b"\x30\x82\x01\x0a"), "holds no PEM text"),
    "too large": (lambda path: replace(path, b"x" * (4 * 1024 * 1024 + 1)), "larger than 4096 KiB"),
}


@pytest.mark.parametrize(("spoil", "why"), SPOILT_PEM.values(), ids=SPOILT_PEM.keys())
@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_tls_file_that_cannot_be_used_is_tls_and_recovers(
    papers: Papers, tmp_path: Path, name: str, spoil: Callable[[Path], object], why: str
) -> None:
    """An empty authority file least of all may mean: trust the usual ones."""

    async def run() -> None:
        given = {"ca": papers.ours.file, "cert": papers.client.cert, "key": papers.client.key}
        files = {each: tmp_path / each for each in given}
        for each, path in files.items():
            replace(path, given[each].read_bytes())
        async with (
            serving(tls=papers.server.server()) as wire,
            client_of(f"https://{wire.target}", files=files) as client,
        ):
            assert await kind_of(client) == "ok"
            spoil(files[name])
            with pytest.raises(errors.TLSFilesUnusable) as raised:
                await client.list_all_jobs(timeout=PATIENCE)
            assert str(raised.value) == f"The TLS files cannot be used. {files[name]}: {why}"
            assert raised.value.kind == "tls"
            if files[name].is_dir():
                files[name].rmdir()
            replace(files[name], given[name].read_bytes())
            assert await kind_of(client) == "ok"
            assert len(wire.connections) == 1, "the same text again is no change"

    asyncio.run(run())


ASK_WITH_DEFAULT_ROOTS = """
import asyncio, sys
from exporter import errors
from exporter.config import Settings
from exporter.milvus.channel import default_roots
from exporter.milvus.client import MilvusClient
async def run():
    client = MilvusClient(Settings.model_validate({"milvus": {"uri": sys.argv[1]}}))
    try:
        await client.list_all_jobs(timeout=5)
    except errors.MilvusError as error:
        return error.kind
    finally:
        await client.close()
    return "ok"
print(default_roots(), default_roots().is_file(), asyncio.run(run()))
"""


def test_without_a_ca_file_grpc_trusts_its_own_roots_and_its_own_variable(papers: Papers) -> None:
    """In processes of their own: gRPC looks at the variable once. And gRPC's core is silent about the failure."""

    async def run() -> list[str]:
        variable = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
        clean = {name: value for name, value in os.environ.items() if name not in (variable, "GRPC_VERBOSITY")}
        async with serving(tls=papers.server.server()) as wire:
            asked = [
                await asyncio.create_subprocess_exec(
                    sys.executable, "-c", ASK_WITH_DEFAULT_ROOTS, f"https://{wire.target}",
                    env={**clean, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )
                for more in ({}, {variable: str(papers.ours.file)})
            ]  # fmt: skip
            return [(await each.communicate())[0].decode().strip() for each in asked]

    bundled, named = asyncio.run(run())
    assert bundled.endswith("roots.pem True tls")
    assert "\n" not in bundled, "the log is ours: one line per record, none per handshake"
    assert named == f"{papers.ours.file} True ok"


def test_the_default_roots_are_those_that_grpc_brings_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    assert b"-----BEGIN CERTIFICATE-----" in default_roots().read_bytes()


# Targets, and coming back


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback on this machine")
def test_an_ipv6_address() -> None:
    async def run() -> str:
        async with serving(at="[::1]:0") as wire, client_of(f"http://[::1]:{wire.port}") as client:
            return await kind_of(client)

    assert asyncio.run(run()) == "ok"


@pytest.mark.parametrize("name", ["s", "50%25", "per%20cent", "ümlaut", "a#b?c"])
def test_a_unix_socket_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    """A Python server of the plain kind stands there: gRPC's own would decode the name the way its client does."""

    async def run() -> list[str]:
        uri, reached = f"unix:{tmp_path}/{name}", []

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append(name)
            writer.close()

        async with client_of(uri) as client:
            assert await kind_of(client) == "unreachable"
        async with await asyncio.start_unix_server(hang_up, tmp_path / name), client_of(uri) as client:
            assert await kind_of(client) == "unreachable"
        return reached

    assert asyncio.run(run()) == [name]


def test_calls_over_a_unix_socket(tmp_path: Path) -> None:
    async def run() -> str:
        async with serving(at=f"unix:{tmp_path}/s"), client_of(f"unix:{tmp_path}/s") as client:
            return await kind_of(client)

    assert asyncio.run(run()) == "ok"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "http://[::1]:1", "unix:/no/such/socket"])
def test_nothing_there_is_unreachable(uri: str) -> None:
    async def run() -> str:
        async with client_of(uri) as client:
            return await kind_of(client)

    assert asyncio.run(run()) == "unreachable"


def test_connecting_may_take_as_long_as_the_call() -> None:
    """A Milvus that accepts and then says nothing hangs: ``deadline``, when the deadline is over and not before."""

    async def run() -> str:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer):
                await reader.read()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        poll = {"interval": "1s", "timeout": "800ms"}
        async with server, client_of(f"http://127.0.0.1:{port}", poll=poll) as client:
            try:
                await client.list_all_jobs(timeout=0.8)
            except errors.MilvusError as error:
                return error.kind
        return "ok"

    assert asyncio.run(run()) == "deadline"


def test_a_server_that_comes_back_is_found_within_half_an_interval() -> None:
    """gRPC's own back-off would grow to two minutes. Two restarts: the second one meets a back-off that has grown."""

    async def run() -> list[float]:
        waits = []
        async with serving() as first:
            at = first.target
            async with client_of(f"http://{at}", poll={"interval": "1s"}) as client:
                assert await kind_of(client) == "ok"
                await first.stop()
                for _ in range(2):
                    down = time.monotonic()
                    while time.monotonic() - down < 0.6:
                        assert await kind_of(client) == "unreachable"
                        await asyncio.sleep(0.05)
                    async with serving(at=at):
                        back = time.monotonic()
                        while await kind_of(client) != "ok":  # noqa: ASYNC110  # no event says "connected"
                            await asyncio.sleep(0.01)
                        waits.append(time.monotonic() - back)
        return waits

    # Half of an interval of 1 s, gRPC's jitter of a fifth, and what a busy machine takes.
    assert max(asyncio.run(run())) < 0.5 * 1.2 + 0.4
