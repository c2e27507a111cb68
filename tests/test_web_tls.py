"""TLS through real sockets, on each loop that users can have: who gets in, what it may cost, and rotation."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from exporter.web import Bounds, Reply, Server, create_app, new_event_loop
from exporter.web.reply import text_reply
from exporter.web.security import Security
from exporter.web.tls import names_of

SOON = 0.05
GUARD = 30.0
BOUNDS = Bounds(head_timeout=GUARD, answer_timeout=GUARD, idle_timeout=GUARD, linger=SOON)
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = (b"0123456789abcdef" * 65536,) * 20
SERVED = "tls_server_config: {cert_file: server.pem, key_file: server.key"
REQUIRED = f"{SERVED}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"

REFUSED = (ConnectionError, ssl.SSLError)

Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on each loop; fail for anything the loop complained about."""

    def runner(test: Callable[[], Awaitable[None]]) -> None:
        complaints: list[dict[str, Any]] = []

        async def guarded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(GUARD):
                await test()

        with asyncio.Runner(loop_factory=request.param) as loop:
            loop.run(guarded())
        assert complaints == []

    return runner


class Papers:
    """A folder with an authority's certificate, a server's pair, and the pairs of some callers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.issue("server", "localhost")
        self.issue("caller", "prometheus.internal", "10.1.2.3", "2001:db8::1", "me@example.org")
        self.issue("other", "grafana.internal")
        self.issue("stranger", "prometheus.internal", by=self.stranger)

    def issue(self, name: str, *names: str, by: trustme.CA | None = None) -> None:
        issued = (by or self.authority).issue_cert(*names)
        issued.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))

    def security(self, text: str) -> Security:
        path = self.folder / "web.yml"
        path.write_text(text)
        return Security(path, lambda: self.now)

    now = 0.0

    def caller(self, name: str = "", **versions: ssl.TLSVersion) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if name:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        for key, value in versions.items():
            setattr(context, key, value)
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("tls"))


async def small(accept: str, accept_encoding: str) -> Reply:
    return text_reply(200, "up 1")


async def big(accept: str, accept_encoding: str) -> Reply:
    return Reply(200, "text/plain", BIG)


@asynccontextmanager
async def serving(security: Security, metrics: Any = small, bounds: Bounds = BOUNDS) -> AsyncIterator[int]:
    app = create_app(
        metrics=metrics,
        healthy=lambda: True,
        ready=lambda: True,
        config_text=lambda: "",
        telemetry_path="/metrics",
    )
    server = Server(app, ["127.0.0.1:0"], bounds, security)
    await server.start()
    try:
        yield int(server.addresses[0].rpartition(":")[2])
    finally:
        await server.stop(0)


async def ask(port: int, context: ssl.SSLContext, data: bytes = GET) -> tuple[int, bytes, dict[str, Any]]:
    """Return status, body and the server's certificate. Raises OSError where the server does not want us."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        certificate = writer.get_extra_info("peercert")
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split(b" ")[1]), await reader.readexactly(length), certificate
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("closed without an answer") from error
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_scrape_through_tls(run: Run, papers: Papers, version: ssl.TLSVersion) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}")) as port:
            context = papers.caller(minimum_version=version, maximum_version=version)
            assert (await ask(port, context))[:2] == (200, b"up 1\n")

    run(test)


def test_a_large_answer_through_tls_arrives_whole(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}"), big) as port:
            assert (await ask(port, papers.caller()))[1] == b"".join(BIG)

    run(test)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(run: Run, papers: Papers, version: ssl.TLSVersion) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}")) as port:
            context = papers.caller(minimum_version=version, maximum_version=version)
            context.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises(REFUSED):
                await ask(port, context)

    run(test)


def test_the_least_version_can_be_raised(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}, min_version: TLS13}}")) as port:
            with pytest.raises(REFUSED):
                await ask(port, papers.caller(maximum_version=ssl.TLSVersion.TLSv1_2))
            assert (await ask(port, papers.caller()))[0] == 200

    run(test)


def test_old_versions_and_renegotiation_are_switched_off(papers: Papers) -> None:
    """OpenSSL's own settings may refuse them too, as long as nobody has lowered those."""
    context = papers.security(f"{SERVED}}}").context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


def test_who_offers_http2_is_told_that_there_is_http1(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}\nhttp_server_config: {{http2: true}}")) as port:
            context = papers.caller()
            context.set_alpn_protocols(["h2", "http/1.1"])
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            writer.transport.abort()

    run(test)


@pytest.mark.parametrize(("name", "gets_in"), [("caller", True), ("other", True), ("stranger", False), ("", False)])
def test_with_required_certificates_only_the_authoritys_callers_get_in(
    run: Run, papers: Papers, name: str, gets_in: bool
) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{REQUIRED}}}")) as port:
            if gets_in:
                assert (await ask(port, papers.caller(name)))[0] == 200
            else:
                for path in (b"/metrics", b"/-/healthy"):
                    with pytest.raises(REFUSED):
                        await ask(port, papers.caller(name), GET.replace(b"/metrics", path))

    run(test)


@pytest.mark.parametrize(("name", "gets_in"), [("caller", True), ("", True), ("stranger", False)])
def test_a_certificate_that_is_given_is_verified(run: Run, papers: Papers, name: str, gets_in: bool) -> None:
    async def test() -> None:
        async with serving(
            papers.security(f"{REQUIRED}}}".replace("RequireAndVerify", "Verify").replace("Cert,", "CertIfGiven,"))
        ) as port:
            if gets_in:
                assert (await ask(port, papers.caller(name)))[0] == 200
            else:
                with pytest.raises(REFUSED):
                    await ask(port, papers.caller(name))

    run(test)


@pytest.mark.parametrize("allowed", ["prometheus.internal", "10.1.2.3", "'2001:db8::1'", "me@example.org"])
def test_only_callers_with_an_allowed_name_get_in(run: Run, papers: Papers, allowed: str) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{REQUIRED}, client_allowed_sans: [x, {allowed}]}}")) as port:
            assert (await ask(port, papers.caller("caller")))[0] == 200
            with pytest.raises(REFUSED):
                await ask(port, papers.caller("other"))

    run(test)


def test_names_are_compared_whole_and_by_kind() -> None:
    names = (("DNS", "a.b"), ("IP Address", "0:0:0:0:0:0:0:1\n"), ("IP Address", "odd"), ("DirName", "x"))
    assert names_of({"subjectAltName": names}) == {"a.b", "::1", "odd"}
    assert names_of({}) == frozenset()


def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_live_on(run: Run, papers: Papers) -> None:
    async def test() -> None:
        security = papers.security(f"{SERVED}}}")
        async with serving(security) as port:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=papers.caller(), server_hostname="localhost"
            )
            first = (await ask(port, papers.caller()))[2]["serialNumber"]
            papers.issue("server", "localhost")
            papers.now += 1
            assert (await ask(port, papers.caller()))[2]["serialNumber"] != first
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.transport.abort()

    run(test)


def test_a_broken_certificate_leaves_the_old_one_in_use(run: Run, papers: Papers, tmp_path: Path) -> None:
    async def test() -> None:
        own = Papers(tmp_path)
        async with serving(own.security(f"{SERVED}}}")) as port:
            first = (await ask(port, own.caller()))[2]["serialNumber"]
            (tmp_path / "server.pem").write_text("nonsense")
            own.now += 1
            assert (await ask(port, own.caller()))[2]["serialNumber"] == first

    run(test)


def test_plain_http_on_the_tls_port_is_closed_without_a_word_in_the_log(
    run: Run, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        caplog.set_level(logging.INFO)
        async with serving(papers.security(f"{SERVED}}}")) as port:
            for sent in (GET, b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"a" * 100, b"\x80\x2e\x01\x00\x02"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                if writer.can_write_eof():
                    writer.write_eof()
                assert b"HTTP" not in await received(reader)
                writer.transport.abort()
            assert (await ask(port, papers.caller()))[0] == 200

    run(test)
    assert caplog.text == ""


def test_a_refusal_before_any_page_has_the_headers_of_the_file_too(run: Run, papers: Papers) -> None:
    text = f"{SERVED}}}\nhttp_server_config: {{headers: {{Strict-Transport-Security: max-age=7}}}}\n"

    async def test() -> None:
        async with serving(papers.security(text)) as port:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=papers.caller(), server_hostname="localhost"
            )
            writer.write(b"nonsense\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert b"strict-transport-security: max-age=7\r\n" in head
            writer.transport.abort()

    run(test)


async def received(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(-1)
    except ConnectionError:
        return b""


def test_a_handshake_that_does_not_end_is_given_up(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}"), bounds=replace(BOUNDS, head_timeout=SOON)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await received(reader) == b""
            writer.transport.abort()

    run(test)


def test_handshakes_are_bounded_and_the_oldest_gives_way(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}"), bounds=replace(BOUNDS, handshakes=3)) as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            assert (await ask(port, papers.caller()))[0] == 200
            for reader, _ in silent[:7]:
                assert await received(reader) == b""
            assert not silent[9][0].at_eof()
            for _, writer in silent:
                writer.transport.abort()

    run(test)


def test_connections_that_are_refused_leave_no_descriptor_and_no_task(run: Run, papers: Papers) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def test() -> None:
        async with serving(papers.security(f"{REQUIRED}, client_allowed_sans: [prometheus.internal]}}")) as port:
            before = None
            for _ in range(6):
                for context in (papers.caller("stranger"), papers.caller("other"), papers.caller()):
                    with pytest.raises(REFUSED):
                        await ask(port, context)
                with socket.create_connection(("127.0.0.1", port)) as gone:
                    gone.sendall(b"\x16\x03\x01")
                assert (await ask(port, papers.caller("caller")))[0] == 200
                for _ in range(100):
                    await asyncio.sleep(0.001)
                    if len(asyncio.all_tasks()) == 1:
                        break
                assert len(asyncio.all_tasks()) == 1
                gc.collect()
                before = before or descriptors()
            assert descriptors() <= before + 1

    run(test)


def test_a_connection_too_many_takes_the_place_of_a_silent_one_also_through_tls(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}"), bounds=replace(BOUNDS, connections=2)) as port:
            silent = [
                await asyncio.open_connection("127.0.0.1", port, ssl=papers.caller(), server_hostname="localhost")
                for _ in range(5)
            ]
            assert (await ask(port, papers.caller()))[0] == 200
            for _, writer in silent:
                writer.transport.abort()

    run(test)


def test_stop_ends_handshakes_and_idle_connections(run: Run, papers: Papers) -> None:
    async def test() -> None:
        async with serving(papers.security(f"{SERVED}}}")) as port:
            shaking = await asyncio.open_connection("127.0.0.1", port)
            idle = await asyncio.open_connection("127.0.0.1", port, ssl=papers.caller(), server_hostname="localhost")
        assert await received(shaking[0]) == b""
        assert await received(idle[0]) == b""
        for _, writer in (shaking, idle):
            writer.transport.abort()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert len(asyncio.all_tasks()) == 1

    run(test)
