"""The real daemon as a process: ``run`` with limits that no benchmark reaches."""

from __future__ import annotations

import http.client
import re
import time
from typing import Final

from benchmarks.http import Scraper, free_port, unpacked
from benchmarks.processes import Process

_MOST: Final = "1000000"
_LOOK_SECONDS: Final = 0.05
"""Each look is a connection and a request that the daemon pays for: a start is not to consist of them."""


_MAIN = "import sys; from exporter.start import main; sys.exit(main())"


class Daemon(Process):
    """``milvus-refresh-exporter run`` on a free port of the loopback interface. ``interval`` is a duration."""

    def __init__(self, milvus: str, *more: str, interval: str = "1h") -> None:
        self.address = f"127.0.0.1:{free_port()}"
        timeout = ["--poll.timeout=2m"] if interval == "1h" else []
        super().__init__(
            ["-c", _MAIN, "run", f"--milvus.uri=http://{milvus}", "--milvus.max-response-bytes=2000MiB",
             f"--web.listen-address={self.address}", f"--poll.interval={interval}", *timeout,
             f"--limits.max-collections={_MOST}", f"--limits.max-outcomes={_MOST}", *more],
        )  # fmt: skip

    def wait_ready(self, seconds: float = 300.0) -> None:
        """Wait until the first poll is over, well or not. Raises RuntimeError where it does not end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.running:
            try:
                with Scraper(self.address) as scraper:
                    scraper.get("/-/ready")
                    return
            except (OSError, RuntimeError, http.client.HTTPException):
                time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"the daemon does not get ready:\n{self.said()}")

    def wait_good(self, seconds: float = 300.0) -> None:
        """Wait until the last poll has succeeded. Raises RuntimeError where none does."""
        self.wait_ready(seconds)
        end = time.monotonic() + seconds
        while not self.value("milvus_external_refresh_up"):
            if time.monotonic() > end:
                raise RuntimeError(f"no poll succeeds:\n{self.said()}")
            time.sleep(0.5)

    def require(self, jobs: int) -> None:
        """Raise RuntimeError unless the last poll has succeeded and brought so many jobs."""
        up, listed = (self.value(f"milvus_external_refresh_{name}") for name in ("up", "snapshot_jobs"))
        if not up or listed != jobs:
            raise RuntimeError(f"up is {up:g}, with {listed:g} jobs instead of {jobs}:\n{self.said()}")

    def value(self, name: str) -> float:
        """Return a sample without labels."""
        with Scraper(self.address) as scraper:
            text = unpacked(scraper.get(gzip=True)).decode()
        found = re.search(rf"^{name} (\S+)", text, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"{name} is not shown")
        return float(found[1])
