"""Ask a running exporter on this machine whether it is alive, for container health checks.

Needs little memory and starts fast: it shares a container's limits with the daemon, every few seconds. So it speaks the
few bytes of HTTP itself and imports none of the packages that the daemon needs.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

DEFAULT_ADDRESS: Final = ":19540"
ADDRESS_VARIABLE: Final = "MILVUS_REFRESH_EXPORTER_WEB__LISTEN_ADDRESS"
FILE_VARIABLE: Final = "MILVUS_REFRESH_EXPORTER_CONFIG__FILE"

_SECONDS: Final = 4.0
"""For each attempt to connect, write and read; below the usual time-out of a container health check."""
_REQUEST: Final = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nUser-Agent: health\r\nConnection: close\r\n\r\n"
_ENOUGH: Final = 4096
_LOOPBACK: Final = ("127.0.0.1", "::1")
_EVERY_INTERFACE: Final = ("", "0.0.0.0", "::")  # noqa: S104  # what is listened on, not what we listen on
_OK: Final = "200"
_SILENT: Final = "hung up without a word"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, in a line for people."""

    good: bool
    text: str


class _NoHttpError(OSError):
    """The other side does not speak plain HTTP."""


def address(environment: Mapping[str, str]) -> str | None:
    """Return the first listen address, or None where only the configuration file can tell it."""
    if environment.get(FILE_VARIABLE):
        return None
    text = environment.get(ADDRESS_VARIABLE, "")
    if text.startswith("["):
        with suppress(ValueError):  # of [::1]:19540 no JSON can be made
            listed = json.loads(text)
            return str(listed[0]) if listed else None
    return text or DEFAULT_ADDRESS


def health(listen_address: str) -> Verdict:
    """Ask ``/-/healthy`` at an address as ``web.listen_address`` has it, over TLS where that is what is spoken there.

    The certificate is not verified: the question is whether this machine's own process lives.
    """
    try:
        targets = _targets(listen_address)
    except ValueError:
        return Verdict(good=False, text=f"{listen_address!r} is no address that can be asked")
    failure: OSError = OSError("nothing to ask")
    for target in targets:
        try:
            return _judge(_ask(target))
        except OSError as error:
            failure = error
    return Verdict(good=False, text=f"{listen_address}: {failure or type(failure).__name__}")


def _targets(text: str) -> Sequence[str | tuple[str, int]]:
    """Return where to connect to, in order. Raises ``ValueError`` for what is no address."""
    if text.startswith("unix:"):
        return (text.removeprefix("unix:"),)
    host, _, port = text.rpartition(":")
    plain, percent, zone = host.removeprefix("[").removesuffix("]").partition("%")
    host = f"{plain}{percent}{zone.removeprefix('25')}"  # the % before a zone may be written as in a URI
    number = int(port)
    return tuple((each, number) for each in (_LOOPBACK if host in _EVERY_INTERFACE else (host,)))


def _ask(target: str | tuple[str, int]) -> bytes:
    """Return the answer's beginning. Raises ``OSError``."""
    try:
        with _connected(target) as plain:
            return _exchange(plain)
    except (_NoHttpError, ConnectionResetError, BrokenPipeError):
        return _ask_over_tls(target)


def _ask_over_tls(target: str | tuple[str, int]) -> bytes:
    import ssl  # noqa: PLC0415  # most exporters speak plain HTTP, and it is most of what would be imported

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _connected(target) as plain, context.wrap_socket(plain) as secured:
        # With TLS 1.3 our side of the handshake is done before the server has looked for a client's certificate. One
        # that misses it hangs up: it lives, and more cannot be learnt without a certificate and its key.
        try:
            return _exchange(secured)
        except (_NoHttpError, ssl.SSLError, ConnectionError) as error:
            if isinstance(error, _NoHttpError) and error.args != (_SILENT,):
                raise
            return b"HTTP/1.1 200 listens, and wants a client certificate\r\n"


def _connected(target: str | tuple[str, int]) -> socket.socket:
    if not isinstance(target, str):
        return socket.create_connection(target, timeout=_SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_SECONDS)
    try:
        connection.connect(target)
    except OSError:
        connection.close()
        raise
    return connection


def _exchange(connection: socket.socket) -> bytes:
    connection.sendall(_REQUEST)
    answer = b""
    while len(answer) < _ENOUGH and (more := connection.recv(_ENOUGH)):
        answer += more
    if not answer.startswith(b"HTTP/"):
        raise _NoHttpError("does not speak HTTP" if answer else _SILENT)
    return answer


def _judge(answer: bytes) -> Verdict:
    head, _, body = answer.partition(b"\r\n\r\n")
    line = head.partition(b"\r\n")[0].decode("ascii", "replace")
    _, _, status = line.partition(" ")
    said = body.decode("utf-8", "replace").strip().partition("\n")[0]
    good = status.partition(" ")[0] == _OK
    return Verdict(good=good, text=said if good and said else status or line)
