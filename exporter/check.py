"""``check``: one line per step, with ok or what is wrong and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from exporter import errors
from exporter.catalog.visibility import GRANT, is_missing, look, told
from exporter.ledger import look_at_state
from exporter.milvus.client import MilvusClient
from exporter.milvus.handshake import NOT_GRPC, handshake
from exporter.milvus.records import parsed

if TYPE_CHECKING:
    from exporter.config import MilvusAddress, Settings


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


# A refined error stands before the one that it refines.
_REMEDIES: Final[dict[type[errors.MilvusError], str]] = {
    errors.CredentialsUnusable: "correct that file, or name another",
    errors.Unauthenticated: "set milvus.token_file, or milvus.user with milvus.password_file, to what Milvus knows",
    errors.PermissionDenied: "grant the user the privilege named here (docs/milvus.md, Privileges)",
    errors.TLSFilesUnusable: "correct that file, or name another",
    errors.TLSFailed: "correct milvus.tls.ca_file, .cert_file and .key_file, or milvus.tls.server_name",
    errors.DeadlineExceeded: "look whether Milvus hangs, or raise poll.timeout",
    errors.NotReady: "wait until Milvus has started",
    errors.RateLimited: "raise poll.interval, or Milvus's limits",
    errors.ResponseTooLarge: "raise milvus.max_response_bytes",
    errors.BadResponse: "look whether milvus.uri leads to Milvus's gRPC port, and not through an HTTP proxy",
    errors.Unimplemented: "Milvus 3.0 brought the refresh API, older ones have none: upgrade Milvus, or correct "
    "milvus.uri",
    errors.ServerFault: "look into Milvus's log",
}
_LONGEST_VERSION: Final = 80


async def check(settings: Settings, show: Callable[[Step], None]) -> bool:
    """Try each step and show its line. Returns whether the daemon would work; missing inventory is only a warning."""
    show(Step("configuration", Verdict.OK, f"valid; milvus.uri is {settings.milvus.address}"))
    state = _state_file(settings)
    if state is not None:
        show(state)
    good = state is None or state.verdict is not Verdict.FAIL
    for step in _reach(settings):
        line = await step
        show(line)
        if line.verdict is Verdict.FAIL:
            show(Step("milvus", Verdict.SKIP, "not asked, because it cannot be reached"))
            return False
    client = MilvusClient(settings)
    try:
        return await _ask(client, settings, show) and good
    finally:
        await client.close()


async def _ask(client: MilvusClient, settings: Settings, show: Callable[[Step], None]) -> bool:
    credentials = await _credentials(client, settings)
    show(credentials)
    if credentials.verdict is Verdict.FAIL:
        show(Step("milvus", Verdict.SKIP, "not asked any further"))
        return False
    show(await _version(client, settings))
    refresh_api, names = await _refresh_api(client, settings)
    show(refresh_api)
    inventory, databases = await _inventory(client, settings, names)
    show(inventory)
    filters = await _filters(client, settings, databases)
    if filters is not None:
        show(filters)
    return Verdict.FAIL not in (refresh_api.verdict, filters.verdict if filters else None)


def _state_file(settings: Settings) -> Step | None:
    """Look at the state file without writing, so that a running daemon is not disturbed. None where none is set."""
    path = settings.state.path
    if path is None:
        return None
    try:
        _, memory = look_at_state(path, thorough=True)
        free = os.statvfs(path.parent).f_bavail
    except (errors.StateUnusable, OSError) as error:
        return Step("state file", Verdict.FAIL, str(error))
    if not all(os.access(each, os.W_OK) for each in (path.parent, path) if each.exists()):
        text = "cannot be written, or its folder; correct the owner, or state.path"
        return Step("state file", Verdict.FAIL, f"{path}: {text}")
    if not free:
        return Step("state file", Verdict.FAIL, f"{path}: the disk is full; make room")
    if memory is None:
        return Step("state file", Verdict.OK, f"{path} {'holds nothing yet' if path.exists() else 'will be made'}")
    return Step("state file", Verdict.OK, f"{path} remembers {_count(len(memory.outcomes), 'collection')}")


def _reach(settings: Settings) -> Iterator[Awaitable[Step]]:
    address, timeout = settings.milvus.address, settings.poll.timeout
    if address.path:
        yield _connect_unix(address.path, timeout)
        return
    yield _resolve(address.host, timeout)
    yield _connect(address, timeout)
    if address.tls:
        yield _handshake(settings)


async def _resolve(host: str, timeout: float) -> Step:
    try:
        async with asyncio.timeout(timeout):
            found = await _addresses(host)
    except (OSError, UnicodeError) as error:
        # UnicodeError: a part of the name is empty or longer than the 63 characters that DNS has.
        why = "no valid name" if isinstance(error, UnicodeError) else _why(error)
        return Step("name resolution", Verdict.FAIL, f"{host}: {why}; correct the host in milvus.uri, or DNS")
    said = "is an address" if found == [host] else f"is {', '.join(found)}"
    return Step("name resolution", Verdict.OK, f"{host} {said}")


async def _addresses(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _connect(address: MilvusAddress, timeout: float) -> Step:
    refusals: dict[str, None] = {}
    # One after the other: asyncio tells of several only that none has worked.
    for each in await _addresses(address.host):
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(each, address.port)
        except OSError as error:
            refusals[_why(error)] = None
            continue
        writer.transport.abort()
        return Step("tcp", Verdict.OK, f"{address.authority} accepts connections")
    remedy = "start Milvus, open the way to it, or correct milvus.uri"
    return Step("tcp", Verdict.FAIL, f"{address.authority}: {', '.join(refusals)}; {remedy}")


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
        return _failed("tls", error)
    if made.fault:
        return Step("tls", Verdict.FAIL, made.fault)
    return Step("tls", Verdict.OK, f"{made.version}, certificate accepted")


async def _credentials(client: MilvusClient, settings: Settings) -> Step:
    try:
        await client.connect(timeout=settings.poll.timeout)
    except errors.Unimplemented:
        return Step("credentials", Verdict.SKIP, "the server does not know Connect")
    except errors.Unreachable as error:
        # The port has just accepted a connection, so it is there.
        tls = settings.milvus.address.tls or settings.milvus.address.path
        remedy = NOT_GRPC if tls else f"write https in milvus.uri if Milvus has TLS switched on, or {NOT_GRPC}"
        return Step("credentials", Verdict.FAIL, f"{_said(error)}; {remedy}")
    except errors.ServerFault as error:
        # The daemon itself never calls Connect, so this alone keeps it from nothing.
        return Step("credentials", Verdict.WARN, f"not tried: {_said(error)}")
    except errors.MilvusError as error:
        missing = isinstance(error, errors.Unauthenticated) and not settings.milvus.credentials.given
        said = f"missing: Milvus asks for them and none are set. {error.detail}" if missing else _said(error)
        return Step("credentials", Verdict.FAIL, f"{said}; {_remedy(error)}")
    given = settings.milvus.credentials.given
    return Step("credentials", Verdict.OK, "accepted" if given else "none set and none asked for")


async def _version(client: MilvusClient, settings: Settings) -> Step:
    try:
        version = await client.server_version(timeout=settings.poll.timeout)
    except errors.MilvusError as error:
        return Step("server version", Verdict.WARN, f"not known: {_said(error)}")
    shown = "".join(char for char in version if char.isprintable())[:_LONGEST_VERSION]
    return Step("server version", Verdict.OK, shown or "not told")


async def _refresh_api(client: MilvusClient, settings: Settings) -> tuple[Step, frozenset[str] | None]:
    """List the jobs. Returns the names of their collections too, None where they could not be listed."""
    try:
        jobs = await client.list_all_jobs(timeout=settings.poll.timeout)
        names = frozenset(parsed(raw).collection_name for raw in jobs)
    except errors.ServerFault as error:
        if error.may_be_one_broken_job:
            instead = "until this is over each poll lists the known collections one by one, which needs the inventory"
            return Step("refresh API", Verdict.WARN, f"cannot list all jobs at once: {_said(error)}; {instead}"), None
        return _failed("refresh API", error), None
    except errors.MilvusError as error:
        return _failed("refresh API", error), None
    return Step("refresh API", Verdict.OK, f"{_count(len(jobs), 'job')} listed"), names


async def _inventory(
    client: MilvusClient, settings: Settings, names: frozenset[str] | None
) -> tuple[Step, tuple[str, ...]]:
    """Ask what a pass of the inventory asks, and for the collections of jobs. Returns the databases too."""
    if not settings.inventory.enabled:
        return Step("inventory", Verdict.SKIP, "switched off; the label database is empty"), ()
    try:
        sight = await look(client, names or (), timeout=settings.poll.timeout)
        good, text = told(sight, None if names is None else len(names), _sees_everything(client, settings))
    except errors.MilvusError as error:
        text = f"{_said(error)}; without it the label database can be empty: {_remedy(error)}"
        return Step("inventory", Verdict.WARN, text), ()
    return Step("inventory", Verdict.OK if good else Verdict.WARN, text), sight.databases


def _sees_everything(client: MilvusClient, settings: Settings) -> str:
    """Return why nothing is hidden from this user, nothing where that is not known."""
    if not settings.milvus.credentials.given:
        return "authorization is off, so nothing is hidden"
    with contextlib.suppress(errors.CredentialsUnusable):  # the file is gone since the last call
        if client.user() == "root":
            return "root sees everything"
    return ""


async def _filters(client: MilvusClient, settings: Settings, databases: tuple[str, ...]) -> Step | None:
    """Return what is wrong with the choice of databases, None where nothing is."""
    only, include = settings.milvus.address.database, settings.filters.databases.include
    all_shown = databases and _sees_everything(client, settings)
    if only and only not in databases and (all_shown or await is_missing(client, only, settings.poll.timeout)):
        text = f'milvus.uri names the database "{only}", which does not exist; correct it'
        return Step("filters", Verdict.FAIL, text)
    if (only or include) and not databases:
        name = "milvus.uri names a database" if only else "filters.databases.include is set"
        text = f"{name}, and only the inventory tells databases: without it nothing is shown"
        return Step("filters", Verdict.WARN, f"{text}; make the inventory work, or take the filter out")
    if only and only not in databases:
        text = f'milvus.uri names the database "{only}", which this user may not see: nothing will be shown'
        return Step("filters", Verdict.WARN, f"{text}; to see it, {GRANT}")
    if include and not any(settings.filters.databases.keeps(database) for database in databases):
        text = f"filters.databases keeps none of the databases that Milvus shows ({', '.join(databases[:5])})"
        return Step("filters", Verdict.WARN, f"{text}: nothing will be shown; correct it, or {GRANT}")
    return None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _said(error: errors.MilvusError) -> str:
    return str(error).rstrip(". ")


def _remedy(error: errors.MilvusError) -> str:
    return next((text for leaf, text in _REMEDIES.items() if isinstance(error, leaf)), "start Milvus")


def _failed(name: str, error: errors.MilvusError) -> Step:
    return Step(name, Verdict.FAIL, f"{_said(error)}; {_remedy(error)}")
