"""The way that gRPC takes to Milvus: straight, or through an HTTP proxy that the environment names.

gRPC reads these variables itself, in lower case alone, when a channel is opened. What looks at the way beside gRPC must
read them as gRPC does: its ``http_proxy_mapper``, whose rules these are.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from exporter.config import MilvusAddress

_PROXY: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXY: Final = ("no_grpc_proxy", "no_proxy")
_PORT: Final = 443
"""Where the variable names none."""
_MOST_SHOWN: Final = 80


class ProxyRefusedError(ConnectionError):
    """The proxy answers, and does not connect to Milvus. The text says with what."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the way leads through. ``variable`` is what names it."""

    variable: str
    host: str
    port: int
    credentials: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def proxy_to(address: MilvusAddress, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy that gRPC goes through, None where it goes straight."""
    if address.path:
        return None
    proxy = _named(environ)
    return None if proxy is None or _is_excepted(address.host, environ) else proxy


def without_effect(environ: Mapping[str, str] = os.environ) -> str:
    """Return why a variable that looks like a proxy's has none; empty where there is none such."""
    variable = _first(_PROXY, environ)
    if variable and environ[variable] and _named(environ) is None:
        return f"{variable} has no effect: gRPC takes http://[user:password@]host:port and nothing else"
    shouted = next((name.upper() for name in _PROXY if environ.get(name.upper())), "")
    if shouted and not variable:
        return f"{shouted} has no effect: gRPC reads {', '.join(_PROXY)} in lower case alone"
    return ""


async def open_way(address: MilvusAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to Milvus as gRPC does. Raises :class:`OSError`, one of them :class:`ProxyRefusedError`."""
    proxy = proxy_to(address)
    if proxy is None:
        return await asyncio.open_connection(address.host, address.port)
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        await _ask_through(proxy, address.authority, reader, writer)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def _ask_through(
    proxy: Proxy, authority: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    lines = [f"CONNECT {authority} HTTP/1.0", f"Host: {authority}"]
    if proxy.credentials:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.credentials.encode()).decode()}")
    writer.write("\r\n".join((*lines, "", "")).encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise ProxyRefusedError("hangs up, or answers with something else than HTTP") from None
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    version, _, said = status.partition(" ")
    if not version.startswith("HTTP/"):
        raise ProxyRefusedError("answers with something else than HTTP")
    if not said.startswith("2"):
        shown = "".join(char for char in said if char.isprintable())[:_MOST_SHOWN]
        raise ProxyRefusedError(f"answers {shown}")


def _named(environ: Mapping[str, str]) -> Proxy | None:
    variable = _first(_PROXY, environ)
    if not variable:
        return None
    try:
        uri = urlsplit(environ[variable])
        port = uri.port or _PORT
    except ValueError:
        return None
    if uri.scheme != "http" or not uri.hostname:
        return None
    user_info = uri.netloc.rpartition("@")[0]
    return Proxy(variable, uri.hostname, port, unquote(user_info))


def _is_excepted(host: str, environ: Mapping[str, str]) -> bool:
    entries = environ.get(_first(_NO_PROXY, environ), "").split(",")
    return any(_matches(host, entry.strip()) for entry in entries if entry.strip())


def _matches(host: str, entry: str) -> bool:
    """Return whether an entry means a host: by the end of its name, whatever stands before; or its network."""
    if host.lower().endswith(entry.lower()):
        return True
    try:
        return "/" in entry and ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Return the first of some variables that is set; an empty one is set."""
    return next((name for name in names if name in environ), "")
