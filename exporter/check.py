"""``check``: one line per step, with ok or what is wrong and what to do about it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from exporter import errors
from exporter.milvus.client import MilvusClient

if TYPE_CHECKING:
    from exporter.config import Settings


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

    def __str__(self) -> str:
        return f"{self.verdict.value:<5} {self.name:<16} {self.text}"


_REMEDIES: Final[dict[type[errors.MilvusError], str]] = {
    errors.Unauthenticated: "set milvus.token_file, or milvus.user with milvus.password_file, to what Milvus knows",
    errors.PermissionDenied: "grant the user the privilege named here (docs/milvus.md, Privileges)",
    errors.Unreachable: "start Milvus, or correct milvus.uri",
    errors.TLSFailed: "correct milvus.tls.ca_file, .cert_file and .key_file, or milvus.tls.server_name",
    errors.DeadlineExceeded: "look whether Milvus hangs, or raise poll.timeout",
    errors.NotReady: "wait until Milvus has started",
    errors.RateLimited: "raise poll.interval, or Milvus's limits",
    errors.ResponseTooLarge: "raise milvus.max_response_bytes",
    errors.BadResponse: "look whether milvus.uri leads to Milvus's gRPC port, and not through an HTTP proxy",
    errors.Unimplemented: "the refresh API came with Milvus 3.0: upgrade Milvus, or correct milvus.uri",
    errors.ServerFault: "look into Milvus's log",
}
_GRANTS: Final = "grant ListDatabases, ShowCollections and DescribeCollection (docs/milvus.md, Privileges)"


async def check(settings: Settings, show: Callable[[Step], None]) -> bool:
    """Try each step and show its line. Returns whether the daemon would work; missing inventory is only a warning."""
    show(Step("configuration", Verdict.OK, "valid"))
    good = True
    for step in _reach(settings):
        line = await step
        show(line)
        good = good and line.verdict is not Verdict.FAIL
        if not good:
            show(Step("milvus", Verdict.SKIP, "not asked, because it cannot be reached"))
            return False
    client = MilvusClient(settings)
    try:
        for ask in (_credentials, _version, _refresh_api):
            line = await ask(client, settings)
            show(line)
            good = good and line.verdict is not Verdict.FAIL
        for line in [*_filters(settings), await _inventory(client, settings)]:
            show(line)
    finally:
        await client.close()
    return good


def _reach(settings: Settings) -> Iterator[Awaitable[Step]]:
    address = settings.milvus.address
    if address.path:
        yield _connect_unix(address.path, settings.poll.timeout)
        return
    yield _resolve(address.host, address.port)
    yield _connect(address.host, address.port, settings.poll.timeout)
    if address.tls:
        yield _handshake(settings)


async def _resolve(host: str, port: int) -> Step:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Step(
            "name resolution", Verdict.FAIL, f"{host}: {error.strerror}; correct the host in milvus.uri, or DNS"
        )
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return Step("name resolution", Verdict.OK, f"{host} is {', '.join(addresses)}")


async def _connect(host: str, port: int, timeout: float) -> Step:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        return Step(
            "tcp", Verdict.FAIL, f"{host}:{port}: {why}; start Milvus, open the way to it, or correct milvus.uri"
        )
    writer.close()
    return Step("tcp", Verdict.OK, f"{host}:{port} accepts connections")


async def _connect_unix(path: str, timeout: float) -> Step:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_unix_connection(path)
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        return Step("unix socket", Verdict.FAIL, f"{path}: {why}; start Milvus, or correct milvus.uri")
    writer.close()
    return Step("unix socket", Verdict.OK, f"{path} accepts connections")


async def _handshake(settings: Settings) -> Step:
    address, tls = settings.milvus.address, settings.milvus.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.set_alpn_protocols(["h2"])
        if tls.cert_file and tls.key_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        async with asyncio.timeout(settings.poll.timeout):
            _, writer = await asyncio.open_connection(
                address.host, address.port, ssl=context, server_hostname=tls.server_name or address.host
            )
    except (ssl.SSLError, OSError, TimeoutError) as error:
        why = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error) or "no answer"
        return Step("tls", Verdict.FAIL, f"{why}; {_REMEDIES[errors.TLSFailed]}")
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    return Step("tls", Verdict.OK, f"{version}, certificate accepted")


async def _credentials(client: MilvusClient, settings: Settings) -> Step:
    try:
        await client.connect(timeout=settings.poll.timeout)
    except errors.Unimplemented:
        return Step("credentials", Verdict.SKIP, "the server does not know Connect")
    except errors.MilvusError as error:
        return _failed("credentials", error)
    return Step("credentials", Verdict.OK, "accepted")


async def _version(client: MilvusClient, settings: Settings) -> Step:
    try:
        version = await client.server_version(timeout=settings.poll.timeout)
    except errors.MilvusError as error:
        return Step("server version", Verdict.WARN, f"not known: {error}")
    return Step("server version", Verdict.OK, version if version.isprintable() else "not printable")


async def _refresh_api(client: MilvusClient, settings: Settings) -> Step:
    try:
        answer = await client.list_jobs(timeout=settings.poll.timeout)
    except errors.ServerFault as error:
        if error.may_be_one_broken_job:
            return Step("refresh API", Verdict.WARN, f"{error}; collections will be listed one by one")
        return _failed("refresh API", error)
    except errors.MilvusError as error:
        return _failed("refresh API", error)
    return Step("refresh API", Verdict.OK, f"{len(answer.jobs)} jobs listed")


def _filters(settings: Settings) -> Iterator[Step]:
    if settings.filters.databases.include and not settings.inventory.enabled:
        yield Step(
            "filters",
            Verdict.WARN,
            "filters.databases.include cannot match without the inventory, which tells the databases; enable it",
        )


async def _inventory(client: MilvusClient, settings: Settings) -> Step:
    """Ask what a pass of the inventory asks, once."""
    timeout = settings.poll.timeout
    if not settings.inventory.enabled:
        return Step("inventory", Verdict.SKIP, "switched off; the label database is empty")
    try:
        databases = await client.list_databases(timeout=timeout)
        shown = [(name, line) for name in databases for line in await client.show_collections(name, timeout=timeout)]
        if shown:
            database, line = shown[0]
            await client.describe_collection(database, line.name, timeout=timeout)
    except errors.MilvusError as error:
        return Step("inventory", Verdict.WARN, f"{error}; without it the label database can be empty: {_GRANTS}")
    if not shown:
        return Step(
            "inventory",
            Verdict.WARN,
            f"no collection is shown in {len(databases)} databases; where some exist, {_GRANTS}",
        )
    return Step("inventory", Verdict.OK, f"{len(databases)} databases, {len(shown)} collections")


def _failed(name: str, error: errors.MilvusError) -> Step:
    remedy = next((text for leaf, text in _REMEDIES.items() if isinstance(error, leaf)), "look into Milvus's log")
    return Step(name, Verdict.FAIL, f"{error}; {remedy}")
