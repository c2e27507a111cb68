"""The first steps of ``check``: name, connection, proxy and TLS, on the way that gRPC takes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from exporter import errors
from exporter.milvus.handshake import handshake
from exporter.milvus.way import Proxy, ProxyRefusedError, open_way, proxy_to, without_effect

if TYPE_CHECKING:
    from exporter.config import MilvusAddress, Settings


_NOTHING_LISTENS: Final = "start Milvus, open the way to it, or correct milvus.uri"
_EXCEPT: Final = "name the host of milvus.uri in no_proxy"


class Verdict(Enum):
    """How a step ended; the value is what is printed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    name: str
    verdict: Verdict
    text: str
    target: str = ""

    def __str__(self) -> str:
        target = f"{self.target}: " if self.target else ""
        return f"{self.verdict.value:<5} {target}{self.name:<16} {self.text}"


def reach(settings: Settings) -> Iterator[Awaitable[Step]]:
    """Yield the steps up to where gRPC itself begins."""
    address, timeout = settings.milvus.address, settings.poll.timeout
    if address.path:
        yield _connect_unix(address.path, timeout)
        return
    if unused := without_effect():
        yield _skipped("proxy", unused)
    proxy = proxy_to(address)
    if proxy is None:
        yield _resolve(address.host, "the host in milvus.uri", timeout)
        yield _connect(address.host, address.port, address.authority, _NOTHING_LISTENS, timeout)
    else:
        yield _resolve(proxy.host, proxy.variable, timeout)
        yield _connect(proxy.host, proxy.port, str(proxy), f"correct {proxy.variable}, or {_EXCEPT}", timeout)
        yield _go_through(proxy, address, timeout)
    if address.tls:
        yield _handshake(settings)


async def _skipped(name: str, text: str) -> Step:
    return Step(name, Verdict.SKIP, text)


async def _resolve(host: str, origin: str, timeout: float) -> Step:
    try:
        async with asyncio.timeout(timeout):
            found = await _addresses(host)
    except (OSError, UnicodeError) as error:
        # UnicodeError: a part of the name is empty or longer than the 63 characters that DNS has.
        why = "no valid name" if isinstance(error, UnicodeError) else _why(error)
        return Step("name resolution", Verdict.FAIL, f"{host}: {why}; correct {origin}, or DNS")
    said = "is an address" if found == [host] else f"is {', '.join(found)}"
    return Step("name resolution", Verdict.OK, f"{host} {said}")


async def _addresses(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _connect(host: str, port: int, shown: str, remedy: str, timeout: float) -> Step:
    refusals: dict[str, None] = {}
    # One after the other: asyncio tells of several only that none has worked.
    for each in await _addresses(host):
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(each, port)
        except OSError as error:
            refusals[_why(error)] = None
            continue
        writer.transport.abort()
        return Step("tcp", Verdict.OK, f"{shown} accepts connections")
    return Step("tcp", Verdict.FAIL, f"{shown}: {', '.join(refusals)}; {remedy}")


async def _go_through(proxy: Proxy, address: MilvusAddress, timeout: float) -> Step:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await open_way(address)
    except OSError as error:
        why = str(error) if isinstance(error, ProxyRefusedError) else _why(error)
        text = f"{proxy} does not connect to {address.authority}: {why}; {_NOTHING_LISTENS}, or {_EXCEPT}"
        return Step("proxy", Verdict.FAIL, text)
    writer.transport.abort()
    return Step("proxy", Verdict.OK, f"{proxy}, from {proxy.variable}, connects to {address.authority}")


async def _connect_unix(path: str, timeout: float) -> Step:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        return Step("unix socket", Verdict.FAIL, f"{path}: {_why(error)}; start Milvus, or correct milvus.uri")
    writer.transport.abort()
    return Step("unix socket", Verdict.OK, f"{path} accepts connections")


def _why(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or "no answer in time"
    return os.strerror(error.errno)


async def _handshake(settings: Settings) -> Step:
    try:
        made = await handshake(settings.milvus, settings.poll.timeout)
    except errors.TLSFilesUnusable as error:
        return Step("tls", Verdict.FAIL, f"{str(error).rstrip('. ')}; correct that file, or name another")
    if made.fault:
        return Step("tls", Verdict.FAIL, made.fault)
    return Step("tls", Verdict.OK, f"{made.version}, certificate accepted")
