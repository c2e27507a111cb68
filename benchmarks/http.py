"""A scraper that behaves as Prometheus does: keep-alive where the server has it, and Prometheus's own headers."""

from __future__ import annotations

import http.client
import socket
import time
import zlib
from typing import Final, Self

_ACCEPT: Final = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
_PLAIN: Final = {"Accept": _ACCEPT}
_GZIP: Final = {"Accept": _ACCEPT, "Accept-Encoding": "gzip"}


class Scraper:
    """One connection to a server. Not to be shared between threads."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def get(self, path: str = "/metrics", *, gzip: bool = False) -> bytes:
        """Return the body as it comes over the wire. Raises RuntimeError unless the status is 200."""
        self._connection.request("GET", path, headers=_GZIP if gzip else _PLAIN)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"{path} is answered with {response.status}")
        return body

    def many(self, count: int, path: str = "/metrics", *, gzip: bool = False) -> None:
        """Get the same several times."""
        for _ in range(count):
            self.get(path, gzip=gzip)

    def timed(self, path: str = "/metrics", *, gzip: bool = False) -> float:
        """Return the seconds that one answer took."""
        begun = time.perf_counter()
        self.get(path, gzip=gzip)
        return time.perf_counter() - begun


def unpacked(body: bytes) -> bytes:
    """Return what a gzip body holds."""
    return zlib.decompress(body, 31)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_open(address: str, seconds: float = 30.0) -> None:
    """Wait until somebody listens. Raises TimeoutError."""
    host, _, port = address.rpartition(":")
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"nobody listens on {address}") from None
            time.sleep(0.01)
        else:
            return
