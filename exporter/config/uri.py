"""Where Milvus is: the address forms that its own clients accept, and what gRPC is given for them.

The user info of a URI never leaves this module but as a secret: not in a fault, not in what is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from pydantic import SecretStr

DEFAULT_PORTS = {"http": 19530, "tcp": 19530, "https": 443}
FORMS = "http://host[:port][/database], https://..., tcp://... or unix:/path"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+")
_SHOWABLE = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]*)(:[0-9]{0,5})?(/[^:@?#]*)?")
_LOST_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_FINAL_LINE_ENDS = re.compile("(%0[ADad])+$")
_LARGEST_PORT = 65535
_LONGEST_LABEL = 63
_BAD_IPV6 = "has a bad IPv6 address; write it in brackets: [::1]:19530"
_LONGEST_SOCKET_PATH = 107  # sun_path of Linux, less the final zero


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """One Milvus, as its URI names it."""

    scheme: str
    host: str
    """Host name or address, IPv6 without brackets; empty for a Unix socket."""
    port: int
    """0 for a Unix socket."""
    path: str = ""
    """The Unix socket; empty otherwise."""
    database: str = ""
    """Show this database only; empty: all of them."""
    credentials: SecretStr | None = None
    """``user:password``, decoded, which is a token to Milvus."""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Return ``host:port``, an IPv6 address in brackets, or the path of the Unix socket."""
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def grpc_target(self) -> str:
        """Return the target for a gRPC channel.

        ``dns:///`` for names and addresses alike: gRPC's resolver takes both, and an explicit scheme keeps a host
        called ``ipv4`` or ``unix`` from being read as one. gRPC decodes percent signs, hence the quoting.
        """
        if self.path:
            return "unix:" + quote(self.path, safe="/ ")
        return "dns:///" + self.authority.replace("%", "%25")

    def __str__(self) -> str:
        """Return the URI with its user info hidden."""
        if self.path:
            return f"unix:{self.path}"
        hidden = "<secret>@" if self.credentials else ""
        database = "/" + quote(self.database, safe="") if self.database else ""
        authority = self.authority.replace("%", "%25")  # before a zone, as in RFC 6874
        return f"{self.scheme}://{hidden}{authority}{database}"


def parse_uri(text: str) -> MilvusAddress:
    """Read a Milvus URI. Raises ValueError, which says what is wrong and never holds a part of the user info."""
    if not text.isprintable() or " " in text:
        raise ValueError("holds blanks or control characters; write " + FORMS)
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme == "unix" and colon:
        return MilvusAddress("unix", "", 0, path=parse_socket_path(rest))
    if scheme not in DEFAULT_PORTS or not rest.startswith("//"):
        raise ValueError("is not a Milvus URI; write " + FORMS)
    authority, slash, database = rest[2:].partition("/")
    if "@" in database:
        raise ValueError("has a / in its user info; write it as %2F")
    if set("?#") & set(authority + database):
        raise ValueError("has a query or a fragment, which Milvus has no use for; or write %3F and %23")
    user_info, at, host_port = authority.rpartition("@")
    host, port = split_host_port(host_port)
    if port == 0:
        raise ValueError("has the port 0; write a port from 1 to 65535")
    return MilvusAddress(
        scheme,
        host,
        DEFAULT_PORTS[scheme] if port is None else port,
        database=_parse_database(slash + database),
        credentials=_parse_user_info(user_info) if at else None,
    )


class HostPort(NamedTuple):
    """``port`` is None where none is written."""

    host: str
    port: int | None


def split_host_port(text: str, *, host_optional: bool = False) -> HostPort:
    """Split ``host:port``, an IPv6 address in brackets. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(_BAD_IPV6)
        return HostPort(_parse_ipv6(host), _parse_port(rest[1:]) if rest else None)
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    if ":" in host:
        raise ValueError("has more than one colon; write an IPv6 address in brackets: [::1]:19530")
    if not (host_optional and not host) and not _HOST.fullmatch(host):
        raise ValueError("has no valid host name; letters, digits, dots, hyphens and underscores are allowed")
    if colon or not host_optional:  # a port alone is told that it lacks its colon
        _check_labels(host)
    return HostPort(host, _parse_port(port) if colon else None)


def parse_socket_path(text: str) -> str:
    """Return the absolute path of a Unix socket from what stands after ``unix:``. Raises ValueError."""
    path = text.removeprefix("//")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("must name the socket by its absolute path; write unix:/path/to/socket")
    path = "/" + path.lstrip("/")  # more slashes name the same file, and would read back as an authority
    if len(path.encode(errors="replace")) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"is too long for a socket; at most {_LONGEST_SOCKET_PATH} bytes of path")
    return path


def shown_uri(text: str) -> str:
    """Return what may be shown of a URI that could not be read: no user info, wherever a typing slip has put it."""
    if re.fullmatch("unix:[A-Za-z0-9._/-]*", text):
        return text
    scheme, sep, rest = text.partition("://")
    if not sep or not re.fullmatch("[A-Za-z]{1,12}", scheme):
        scheme, rest = "", text
    before, at, rest = rest.rpartition("@")
    hidden = "<secret>@" if at else ""
    # What is no plain host and port may be a password: https://user:password with the rest forgotten.
    rest = rest if _SHOWABLE.fullmatch(rest) and (scheme or not before) else "<not shown>"
    return f"{scheme}{'://' if scheme else ''}{hidden}{rest}"


def _check_labels(host: str) -> None:
    """Raise ValueError for a name that no resolver can know."""
    labels = host.removesuffix(".").split(".")
    if len(labels) > 1 and not all(labels):
        raise ValueError("has two dots in a row in its host name")
    if max(map(len, labels)) > _LONGEST_LABEL:
        raise ValueError(f"has more than {_LONGEST_LABEL} characters between two dots of its host name")
    if labels[-1].isdigit():  # no name ends in a number
        try:
            IPv4Address(host)
        except AddressValueError:
            raise ValueError("has a bad IPv4 address; write four numbers from 0 to 255: 192.0.2.1") from None


def _parse_ipv6(text: str) -> str:
    """Return the address. A zone stands behind a ``%``, which a URI has as ``%25`` (RFC 6874); both are taken."""
    address, percent, zone = text.partition("%")
    zone = zone.removeprefix("25")
    try:
        IPv6Address(address)
    except AddressValueError:
        raise ValueError(_BAD_IPV6) from None
    if percent and not _ZONE.fullmatch(zone):
        raise ValueError("has a bad zone in its IPv6 address; write it like [fe80::1%25eth0]:19530")
    return f"{address}{percent}{zone}"


def _parse_port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > _LARGEST_PORT:
        raise ValueError("has no valid port; write a number from 1 to 65535")
    return int(text)


def _decode(text: str, what: str) -> str:
    if _LOST_PERCENT.search(text):
        raise ValueError(f"has a % in its {what} that encodes nothing; write it as %25")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ValueError(f"has a {what} that is not UTF-8") from None
    if _CONTROL.search(decoded):
        raise ValueError(f"has control characters in its {what}")
    return decoded


def _parse_database(path: str) -> str:
    segments = path.removeprefix("/").removesuffix("/").split("/")
    if len(segments) > 1:
        raise ValueError("has more than a database in its path; write http://host:port/database")
    return _decode(segments[0], "database")


def _parse_user_info(text: str) -> SecretStr:
    user, colon, password = text.partition(":")
    # What encodes a file's content encodes the line end after it too; no form of a secret keeps that.
    user, password = _decode(user, "user info"), _decode(_FINAL_LINE_ENDS.sub("", password), "user info")
    if not (user and colon and password):
        raise ValueError("has a user without a password or the reverse; write user:password@, or use milvus.token_file")
    if ":" in user:
        # Milvus splits at the first colon and would look for another user.
        raise ValueError("has a user name with a colon, which Milvus cannot have")
    return SecretStr(f"{user}:{password}")
