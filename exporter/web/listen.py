"""From the text of ``web.listen_address`` to a socket that is bound."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.errors import NotYetUsable, UsageError, may_pass

_RIGHT: Final = "right would be :19540, 127.0.0.1:19540, [::1]:19540 or unix:/run/exporter.sock"
_MAX_PORT: Final = 65535
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_CONNECT_SECONDS: Final = 1.0
_BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a path, or a host (empty: every interface) and a port."""

    text: str
    host: str = ""
    port: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens. ``inode`` is the socket file's, so that only our own file is removed."""

    socket: socket.socket
    path: str = ""
    inode: tuple[int, int] = (0, 0)

    @property
    def address(self) -> str:
        """What is really listened on, written like the setting."""
        if self.path:
            return f"unix:{self.path}"
        # Not the host of getsockname, which leaves the zone out: without it a link-local address means nothing.
        host, port = socket.getnameinfo(self.socket.getsockname(), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.socket.close()
        if self.path:
            with suppress(OSError):
                if _inode(self.path) == self.inode:
                    Path(self.path).unlink()


def parse_address(text: str) -> Address:
    """Return what ``text`` means. Raises :class:`exporter.errors.UsageError` with what would be right."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or "\0" in path:
            raise _fault(text, "has no usable path")
        return Address(text, path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _MAX_PORT:
        raise _fault(text, f"has no port from 0 to {_MAX_PORT}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _fault(text, "needs brackets around the IPv6 address")
    return Address(text, host=host, port=int(port))


def listen_all(texts: Sequence[str], backlog: int = _BACKLOG) -> list[Listener]:
    """Listen on every address, or on none: from here on nobody else can have them.

    Raises :class:`exporter.errors.UsageError` with all faults at once, NotYetUsable where each of them may pass.
    """
    listeners: list[Listener] = []
    faults: dict[str, bool] = {}
    for text in texts:
        try:
            bound = _bind(parse_address(text))
            listeners += bound
            for listener in bound:  # two processes can bind one TCP address, and only one of them can listen
                listener.socket.listen(backlog)
        except UsageError as error:
            faults |= dict.fromkeys(error.faults, False)
        except (OSError, UnicodeError) as error:
            faults[f"web.listen_address: cannot listen on {text}: {_why(error)}"] = may_pass(error)
    if faults or not listeners:
        close_all(listeners)
        kind = NotYetUsable if faults and all(faults.values()) else UsageError
        raise kind(tuple(faults) or (f"web.listen_address: no address; {_RIGHT}",))
    return listeners


def close_all(listeners: Iterable[Listener]) -> None:
    """Close them and remove their socket files."""
    for listener in listeners:
        listener.close()


def _bind(address: Address) -> list[Listener]:
    if address.path:
        return [_bind_path(address.path)]
    if not address.host:
        return [_bind_everywhere(address.port)]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[Listener] = []
    missing: OSError | None = None
    try:
        for family, *_, where in dict.fromkeys(found):
            # One name, one port: where the system chooses it, it chooses once.
            port = address.port or (listeners[0].socket.getsockname()[1] if listeners else 0)
            try:
                listeners.append(Listener(_bind_inet(family, (where[0], port, *where[2:]))))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error  # localhost is ::1 too where IPv6 is switched off
    except OSError:
        close_all(listeners)
        raise
    if missing is not None and not listeners:
        raise missing
    return listeners


def _bind_everywhere(port: int) -> Listener:
    if socket.has_dualstack_ipv6():
        try:
            return Listener(_bind_inet(socket.AF_INET6, ("::", port), both=True))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
    return Listener(_bind_inet(socket.AF_INET, ("0.0.0.0", port)))  # noqa: S104  # what the setting asks for


def _bind_inet(family: int, where: tuple[object, ...], *, both: bool = False) -> socket.socket:
    # With the protocol by name: asyncio switches Nagle's algorithm off only where it sees that this is TCP, and 40 ms
    # are lost per answer otherwise.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        bound.bind(where)
    except OSError:
        bound.close()
        raise
    return bound


def _bind_path(path: str) -> Listener:
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        return Listener(bound, path, _inode(path))
    except OSError:
        bound.close()
        raise


def _remove_stale(path: str) -> None:
    """Remove the socket file of a process that is gone; leave everything else, for ``bind`` to complain about."""
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_CONNECT_SECONDS)
        try:
            caller.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        except OSError:
            return


def _inode(path: str) -> tuple[int, int]:
    found = os.stat(path, follow_symlinks=False)  # noqa: PTH116  # one call, two numbers
    return found.st_dev, found.st_ino


def _why(error: OSError | UnicodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _fault(text: str, what: str) -> UsageError:
    return UsageError((f"web.listen_address: {text!r} {what}; {_RIGHT}",))
