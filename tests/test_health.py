"""The health check of containers: asked at real sockets, and cheap enough to share a container's limits."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from peers.parts import ROOT
from peers.waiting import free_port
from test_web_listen import link_local

from exporter import health
from exporter.web import Reply, Server, create_app
from exporter.web.reply import text_reply
from exporter.web.security import read_security

TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key"
MUTUAL = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"


async def metrics(accept: str, accept_encoding: str) -> Reply:
    return text_reply(200, "up 1")


def application(*, good: bool) -> object:
    """Return the exporter's own routes with a poll loop that is alive or not."""
    import inspect

    wanted = inspect.signature(create_app).parameters
    given = {
        "metrics": metrics, "healthy": lambda: good, "ready": lambda: True, "config_text": lambda: "", "status": None,
        "telemetry_path": "/metrics",
    }  # fmt: skip
    return create_app(**{name: value for name, value in given.items() if name in wanted})  # type: ignore[arg-type]


@asynccontextmanager
async def daemon(address: str, *, good: bool = True, papers: Path | None = None) -> AsyncIterator[str]:
    server = Server(application(good=good), [address], security=read_security(papers))  # type: ignore[arg-type]
    await server.start()
    try:
        yield server.addresses[0]
    finally:
        await server.stop(0)


def asked(address: str, *, good: bool = True, papers: Path | None = None, percent: str = "%") -> health.Verdict:
    async def ask() -> health.Verdict:
        async with daemon(address, good=good, papers=papers) as real:
            return await asyncio.to_thread(health.health, real.replace("%", percent))

    return asyncio.run(ask())


def web_config(folder: Path, text: str) -> Path:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("exporter.example")
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    (folder / "web.yml").write_text(text, encoding="utf-8")
    return folder / "web.yml"


@pytest.mark.parametrize("address", ["127.0.0.1:0", ":0", "[::1]:0"])
def test_a_daemon_that_polls_is_healthy(address: str) -> None:
    verdict = asked(address)
    assert verdict.good, verdict


@pytest.mark.parametrize("percent", ["%", "%25"])
def test_a_zone_is_written_as_in_the_setting(percent: str) -> None:
    host, zone = link_local()
    verdict = asked(f"[{host}%{zone}]:0", percent=percent)
    assert verdict.good, verdict


def test_a_daemon_that_no_longer_polls_is_not() -> None:
    verdict = asked("127.0.0.1:0", good=False)
    assert not verdict.good
    assert "503" in verdict.text


def test_a_unix_socket_is_asked_as_well(tmp_path: Path) -> None:
    assert asked(f"unix:{tmp_path / 'exporter.sock'}").good


def test_over_tls_the_same_question_is_asked_whatever_name_the_certificate_has(tmp_path: Path) -> None:
    papers = web_config(tmp_path, TLS + "}")
    assert asked("127.0.0.1:0", papers=papers).good
    assert not asked("127.0.0.1:0", papers=papers, good=False).good


def test_a_daemon_that_demands_a_client_certificate_is_seen_to_listen(tmp_path: Path) -> None:
    verdict = asked("127.0.0.1:0", papers=web_config(tmp_path, MUTUAL + "}"))
    assert verdict == health.Verdict(good=True, text="200 listens, and wants a client certificate")


@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1:port", "unix:", "unix:/nowhere/exporter.sock", "127.0.0.1:99999"]
)
def test_an_address_that_cannot_be_asked_is_no_traceback(address: str) -> None:
    verdict = health.health(address)
    assert not verdict.good
    assert verdict.text


def test_where_nobody_listens_it_says_so() -> None:
    verdict = health.health(f"127.0.0.1:{free_port()}")
    assert not verdict.good
    assert "refused" in verdict.text


def answered(answer: bytes) -> health.Verdict:
    """Return what is made of a server that says these bytes to everybody."""

    async def ask() -> health.Verdict:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(health.health, f"127.0.0.1:{port}")

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 2000 \xff\r\n",
        b"\0" * 9000,
    ],
    ids=repr,
)
def test_another_program_on_the_port_is_not_healthy(answer: bytes) -> None:
    assert not answered(answer).good


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ":19540"),
        ({health.ADDRESS_VARIABLE: ""}, ":19540"),
        ({health.ADDRESS_VARIABLE: "127.0.0.1:9"}, "127.0.0.1:9"),
        ({health.ADDRESS_VARIABLE: "[::1]:9"}, "[::1]:9"),
        ({health.ADDRESS_VARIABLE: '["unix:/run/x.sock", ":9"]'}, "unix:/run/x.sock"),
        ({health.ADDRESS_VARIABLE: "[]"}, None),
        ({health.FILE_VARIABLE: "/etc/exporter.yaml"}, None),
    ],
    ids=repr,
)
def test_the_address_is_that_of_the_environment_unless_a_file_must_be_read(
    environment: dict[str, str], address: str | None
) -> None:
    assert health.address(environment) == address


CHILD = """
import json, resource, sys
from exporter.cli import main
sys.argv[1:] = ["health", *sys.argv[1:]]
code = main()
print(json.dumps([int(code), "pydantic" in sys.modules, "asyncio" in sys.modules, len(sys.modules)]))
"""


def command(*flags: str, **environment: str) -> tuple[int, bool, bool, int]:
    child = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{CHILD}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", child, *flags],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, pydantic, loop, modules = json.loads(done.stdout.splitlines()[-1])
    return code, pydantic, loop, modules


def test_the_command_loads_no_settings_where_it_needs_none() -> None:
    """A check every few seconds within a container's memory: 13 MiB where the settings take 33."""
    code, pydantic, loop, modules = command(**{health.ADDRESS_VARIABLE: f"127.0.0.1:{free_port()}"})
    assert (code, pydantic, loop) == (1, False, False)
    assert modules < 160


def test_the_command_reads_the_configuration_file_where_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yaml"

    async def ask() -> tuple[int, bool, bool, int]:
        async with daemon("127.0.0.1:0") as address:
            file.write_text(f"web: {{listen_address: ['{address}']}}\n", encoding="utf-8")
            return await asyncio.to_thread(command, **{health.FILE_VARIABLE: str(file)})

    code, pydantic, *_ = asyncio.run(ask())
    assert (code, pydantic) == (0, True)
