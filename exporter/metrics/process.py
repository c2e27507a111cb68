"""What ``/metrics`` holds where several Milvus are watched: the account of the process, and of no Milvus."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from exporter.metrics.exposition import Body
from exporter.metrics.negotiate import accepts_gzip, choose_format
from exporter.metrics.own import OwnMetrics, ProcessAccount

_GZIP_WINDOW = 31


class ProcessExposition:
    """Renders the account of the process for each scrape: it is small, and different each time."""

    def __init__(self, account: Callable[[], ProcessAccount]) -> None:
        self._own = OwnMetrics(account, process=True)

    def body(self, accept: str = "", accept_encoding: str = "") -> Body:
        """Return the exposition in the format and encoding that the caller's headers ask for."""
        format_ = choose_format(accept)
        text = self._own.render(format_) + (b"# EOF\n" if format_.openmetrics else b"")
        if accepts_gzip(accept_encoding):
            return Body(format_.value, "gzip", (zlib.compress(text, level=1, wbits=_GZIP_WINDOW),))
        return Body(format_.value, "", (text,))
