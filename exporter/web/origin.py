"""Whether a page of another site has sent a request through somebody's browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_NAMES: Final = (b"sec-fetch-site", b"origin", b"host")
_OURS: Final = (b"same-origin", b"none")
_SCHEMES: Final = (b"http://", b"https://")


def from_another_site(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers (names in small letters) say so.

    Browsers say it in two ways that no page can alter: Sec-Fetch-Site (Fetch Metadata, W3C) and, older, Origin (RFC
    6454), which must name the host that was asked. Other callers send neither. The scheme is left out: a proxy in
    front may have ended TLS.
    """
    sites, origins, hosts = ([value for key, value in headers if key == name] for name in _NAMES)
    if any(site not in _OURS for site in sites):
        return True
    ours = {scheme + host.lower() for scheme in _SCHEMES for host in hosts[:1]} if len(hosts) == 1 else set()
    return any(origin.lower() not in ours for origin in origins)
