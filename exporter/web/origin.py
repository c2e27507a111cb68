"""Whether a request comes from a page that is not ours, through somebody's browser."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_OURS: Final = (b"same-origin", b"none")
_SCHEMES: Final = ("http", "https")


def from_another_site(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether the headers (names in lower case) give a page of another site away.

    Browsers send two headers that no page can change: Sec-Fetch-Site (Fetch Metadata, W3C) and, with every POST,
    Origin (RFC 6454). Other callers send neither and are not affected. Origin must name the host that was asked. The
    scheme is not compared: a proxy in front may have ended TLS.

    That host must also be an IP address or localhost. The owner of any other name can point it at us after the browser
    has loaded a page from it (DNS rebinding), and to the browser that page is then ours.
    """
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value.lower())
    if any(site not in _OURS for site in found.get(b"sec-fetch-site", ())):
        return True
    origins, hosts = found.get(b"origin", ()), found.get(b"host", ())
    return any(not _same_host(origin, hosts) for origin in origins)


def _same_host(origin: bytes, hosts: Iterable[bytes]) -> bool:
    with suppress(ValueError):  # not an address
        parts = urlsplit(origin.decode("latin-1"))
        same = [parts.netloc] == [host.decode("latin-1") for host in hosts]
        return same and parts.scheme in _SCHEMES and _cannot_be_rebound(parts.hostname or "")
    return False


def _cannot_be_rebound(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return bool(ip_address(host))
    return False
