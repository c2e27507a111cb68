"""``check`` and the exporter's own handshake go the way that gRPC goes: straight, or through an HTTP proxy."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wire import Authority, serving, settings

from exporter import errors
from exporter.check import check
from exporter.milvus.client import MilvusClient
from exporter.milvus.way import proxy_to, without_effect
from exporter.reach import Step

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")
UNKNOWN = "milvus.invalid"
"""A host that only the proxy can find."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@asynccontextmanager
async def proxying(
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Serve as an HTTP proxy that finds everything on this machine. Yields its port and the heads it was sent."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # looked at and left again
            return writer.close()
        heads.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        writer.write(answer)
        if b" 200 " not in answer:
            return writer.close()
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer), return_exceptions=True)
        return None

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


async def call(uri: str, **milvus: Any) -> errors.MilvusError | None:
    client = MilvusClient(settings(uri, **milvus))
    try:
        await client.list_all_jobs(timeout=5)
    except errors.MilvusError as error:
        return error
    finally:
        await client.close()
    return None


async def lines(uri: str, **milvus: Any) -> list[str]:
    steps: list[Step] = []
    await check(settings(uri, **{"poll": {"timeout": "2s"}, **milvus}), steps.append)
    return [str(step) for step in steps]


THROUGH: dict[str, dict[str, str]] = {
    "https_proxy": {"https_proxy": "http://PROXY"},
    "http_proxy, also for TLS": {"http_proxy": "http://PROXY"},
    "grpc_proxy": {"grpc_proxy": "http://PROXY"},
    "the first of them": {"grpc_proxy": "http://PROXY", "https_proxy": "http://127.0.0.1:1"},
    "with credentials": {"https_proxy": "http://ann:hunter2@PROXY"},
    "others are excepted": {"https_proxy": "http://PROXY", "no_proxy": "*,example.com,10.0.0.0/8,127.0.0.2"},
    "no_grpc_proxy goes before no_proxy": {"https_proxy": "http://PROXY", "no_grpc_proxy": "", "no_proxy": "127.0.0.1"},
}
STRAIGHT: dict[str, dict[str, str]] = {
    "nothing set": {},
    "upper case": {"HTTPS_PROXY": "http://PROXY", "HTTP_PROXY": "http://PROXY"},
    "empty": {"https_proxy": "", "http_proxy": "http://PROXY"},
    "another scheme": {"https_proxy": "https://PROXY", "http_proxy": "http://PROXY"},
    "no scheme": {"https_proxy": "PROXY"},
    "excepted": {"https_proxy": "http://PROXY", "no_proxy": "example.com, 127.0.0.1"},
    "excepted by the end of its name": {"https_proxy": "http://PROXY", "no_proxy": "0.0.1"},
    "excepted by its network": {"https_proxy": "http://PROXY", "no_proxy": "127.0.0.0/8"},
    "excepted for gRPC": {"https_proxy": "http://PROXY", "no_grpc_proxy": "127.0.0.1"},
}


@pytest.mark.parametrize("given", [*THROUGH.values(), *STRAIGHT.values()], ids=[*THROUGH, *STRAIGHT])
def test_the_rules_are_those_of_grpc_itself(environment: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    async def run() -> tuple[bool, bool]:
        async with proxying() as (port, heads), serving() as wire:
            for name, value in given.items():
                environment.setenv(name, value.replace("PROXY", f"127.0.0.1:{port}"))
            proxy = proxy_to(settings(f"http://{wire.target}").milvus.address)
            assert await call(f"http://{wire.target}") is None
            return proxy is not None, bool(heads)

    assert asyncio.run(run()) == (given in THROUGH.values(),) * 2


def test_a_proxy_with_credentials_is_asked_as_grpc_asks_it(environment: pytest.MonkeyPatch) -> None:
    async def run() -> list[bytes]:
        async with proxying() as (port, heads), serving() as wire:
            environment.setenv("https_proxy", f"http://ann:hunter2@127.0.0.1:{port}")
            assert await call(f"http://{wire.target}") is None
            found = await lines(f"http://{wire.target}")
            assert not [line for line in found if "hunter2" in line or line.startswith("FAIL")]
            return heads

    heads = asyncio.run(run())
    assert len(heads) == 3, "gRPC's for the call, that of check, and gRPC's for what check asks"
    given = b"Proxy-Authorization: Basic " + base64.b64encode(b"ann:hunter2")
    assert all(given in head for head in heads)
    assert len({head.split(b"\r\n")[0].rpartition(b" ")[0] for head in heads}) == 1


def test_check_finds_a_milvus_that_only_the_proxy_can_reach(environment: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with proxying() as (port, _), serving() as wire:
            environment.setenv("https_proxy", f"http://127.0.0.1:{port}")
            found = await lines(f"http://{UNKNOWN}:{wire.port}")
            assert found[1:5] == [
                "ok    name resolution  127.0.0.1 is an address",
                f"ok    tcp              127.0.0.1:{port} accepts connections",
                f"ok    proxy            127.0.0.1:{port}, from https_proxy, connects to {UNKNOWN}:{wire.port}",
                "ok    credentials      none set and none asked for",
            ]

    asyncio.run(run())


def test_a_dead_proxy_is_not_ok_although_milvus_could_be_reached_without(environment: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving() as wire:
            environment.setenv("https_proxy", "http://127.0.0.1:1")
            (_, _, tcp, skipped) = await lines(f"http://{wire.target}")
            remedy = "correct https_proxy, or name the host of milvus.uri in no_proxy"
            assert tcp == f"FAIL  tcp              127.0.0.1:1: Connection refused; {remedy}"
            assert skipped.startswith("skip")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\x1b\r\nX: y\r\n\r\n", "answers 403 Forbidden"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "answers with something else than HTTP"),
        (b"", "hangs up, or answers with something else than HTTP"),
    ],
    ids=["refuses", "no proxy", "hangs up"],
)
def test_a_proxy_that_refuses_is_quoted(environment: pytest.MonkeyPatch, answer: bytes, said: str) -> None:
    async def run() -> None:
        async with proxying(answer) as (port, _):
            environment.setenv("grpc_proxy", f"http://127.0.0.1:{port}")
            *_, line, skipped = await lines(f"http://{UNKNOWN}:19530")
            assert line.startswith(
                f"FAIL  proxy            127.0.0.1:{port} does not connect to {UNKNOWN}:19530: {said};"
            )
            assert skipped.startswith("skip")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://p:1"}, "HTTPS_PROXY has no effect"),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://p:1"}, ""),
        ({"https_proxy": "p:1"}, "https_proxy has no effect"),
        ({"https_proxy": "https://p:1"}, "https_proxy has no effect"),
        ({"https_proxy": "http://p:port"}, "https_proxy has no effect"),
        ({"https_proxy": ""}, ""),
    ],
)
def test_a_variable_without_effect_is_named(environ: dict[str, str], said: str) -> None:
    assert without_effect(environ).startswith(said)
    assert bool(without_effect(environ)) == bool(said)


def test_check_says_that_a_variable_has_no_effect_and_goes_straight(environment: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving() as wire:
            environment.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
            found = await lines(f"http://{wire.target}")
            said = "HTTPS_PROXY has no effect: gRPC reads grpc_proxy, https_proxy, http_proxy in lower case alone"
            assert found[1] == f"skip  proxy            {said}"
            assert not [line for line in found if line.startswith("FAIL")]

    asyncio.run(run())


def test_a_unix_socket_has_no_proxy() -> None:
    assert proxy_to(settings("unix:/run/milvus.sock").milvus.address, {"https_proxy": "http://p:1"}) is None


def test_a_proxy_without_a_port_is_at_443_as_in_grpc() -> None:
    found = proxy_to(settings("http://milvus").milvus.address, {"https_proxy": "http://proxy"})
    assert str(found) == "proxy:443"


# TLS


def test_the_handshake_goes_through_the_proxy_too(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both that of ``check`` and the one that tells a TLS mistake from an outage."""
    ours = Authority.make(tmp_path / "ours")

    async def run() -> None:
        async with proxying() as (port, _), serving(tls=ours.issue(UNKNOWN).server()) as wire:
            environment.setenv("https_proxy", f"http://127.0.0.1:{port}")
            uri = f"https://{UNKNOWN}:{wire.port}"
            assert await call(uri, files={"ca": ours.file}) is None
            found = await lines(uri, files={"ca": ours.file})
            assert "ok    tls              TLSv1.3, certificate accepted" in found
            environment.setattr("exporter.milvus.status._TLS_MARKS", ())
            stranger = Authority.make(tmp_path / "others").file
            assert isinstance(await call(uri, files={"ca": stranger}), errors.TLSFailed)

    asyncio.run(run())


def test_a_name_with_a_dot_at_its_end_is_good_for_both(tmp_path: Path) -> None:
    ours = Authority.make(tmp_path / "ours")

    async def run() -> None:
        async with serving(tls=ours.issue("milvus.internal").server()) as wire:
            given = {"files": {"ca": ours.file}, "server_name": "milvus.internal."}
            assert await call(f"https://{wire.target}", **dict(given)) is None
            found = await lines(f"https://{wire.target}", **dict(given))
            assert "ok    tls              TLSv1.3, certificate accepted" in found

    asyncio.run(run())
