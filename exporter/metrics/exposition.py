"""Exposition bytes, rendered once per publication and served many times."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from exporter import heap
from exporter.clock import Clock
from exporter.metrics.negotiate import accepts_gzip, choose_format
from exporter.metrics.own import Account, OwnMetrics
from exporter.metrics.render import Renderer
from exporter.metrics.text import Format
from exporter.store import Publication, Store

_OPENMETRICS_END: Final = b"# EOF\n"
_GZIP_WINDOW: Final = 31  # a gzip header and trailer; one member, since some readers stop after the first
_GZIP_LEVEL: Final = 1  # on such text level 9 costs six times as much for a tenth fewer bytes


@dataclass(frozen=True, slots=True)
class Body:
    """What a scrape is answered with."""

    content_type: str
    encoding: str
    """``gzip``, or empty."""
    chunks: tuple[bytes, ...]


class Exposition:
    """Renders on demand and keeps what it has rendered while the publication stays. Safe to call from any thread.

    ``account`` gives the exporter's own facts for a publication that is stale or not.
    """

    def __init__(
        self, store: Store, clock: Clock, account: Callable[[Publication, bool], Account], *, process: bool = True
    ) -> None:
        self._store = store
        self._clock = clock
        self._own = OwnMetrics(lambda: account(self._publication, self._stale), process=process)
        self._renderer = Renderer()
        self._publication = store.current
        self._stale = True
        self._bodies: dict[tuple[Format, bool], Body] = {}
        self._before: dict[tuple[Format, bool], Body] = {}
        self._wanted: set[tuple[Format, bool]] = set()
        self._lock = threading.Lock()

    def body(self, accept: str = "", accept_encoding: str = "") -> Body:
        """Return the exposition in the format and encoding that the caller's headers ask for."""
        form = (choose_format(accept), accepts_gzip(accept_encoding))
        with self._lock, heap.paused():
            self._look()
            self._wanted.add(form)
            return self._body(*form)

    def at_hand(self, accept: str = "", accept_encoding: str = "") -> Body | None:
        """Return the exposition where nothing has to be rendered for it, None otherwise. Never waits.

        While the next one is being rendered this is the one before: a scrape sees the old or the new.
        """
        form = (choose_format(accept), accepts_gzip(accept_encoding))
        if not self._lock.acquire(blocking=False):
            return self._bodies.get(form) or self._before.get(form)
        try:
            self._look()
            self._wanted.add(form)
            return self._bodies.get(form)
        finally:
            self._lock.release()

    def prepare(self) -> None:
        """Render ahead what was asked for since the last call, so that the next scrape finds it ready."""
        with self._lock, heap.paused():
            self._look()
            wanted, self._wanted = self._wanted, set()
            for form in wanted:
                self._body(*form)
            self._before = {form: body for form, body in self._before.items() if form not in self._bodies}
        if self._publication.snapshot.listed_jobs >= heap.MANY_JOBS:
            heap.map_large_blocks()
            heap.trim()

    def _look(self) -> None:
        """Take the current publication, once: everything in one answer is of one moment."""
        before, was_stale = self._publication, self._stale
        current, stale = self._store.current, self._store.stale(self._clock.monotonic())
        # A poll may publish between these two reads. What it refreshes is the next publication: of one listing, what
        # has been withheld stays withheld.
        if was_stale and _same_listing(before, current):
            stale = True
        if current is not before or stale != was_stale:
            self._before, self._bodies = self._bodies, {}
        self._publication, self._stale = current, stale

    def _body(self, format_: Format, gzip: bool) -> Body:  # noqa: FBT001  # the second half of a key
        body = self._bodies.get((format_, gzip))
        if body is None:
            chunks = self._chunks(format_, keep=not gzip)
            whole = (_compressed(chunks),) if gzip else tuple(chunks)
            body = self._bodies[format_, gzip] = Body(format_.value, "gzip" if gzip else "", whole)
        return body

    def _chunks(self, format_: Format, *, keep: bool) -> Iterator[bytes]:
        snapshot = self._publication.snapshot
        yield self._own.render(format_)
        yield from self._renderer.rest(snapshot, format_, keep=keep)
        if not self._stale:
            yield from self._renderer.jobs(snapshot, format_, keep=keep)
        if format_.openmetrics:
            yield _OPENMETRICS_END


def _same_listing(one: Publication, other: Publication) -> bool:
    return one.snapshot is other.snapshot and one.account.last_success == other.account.last_success


def _compressed(chunks: Iterable[bytes]) -> bytes:
    compressor = _compressor()
    return b"".join((*map(compressor.compress, chunks), compressor.flush()))


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor() -> _Compressor:
    """Return isal's compressor where it is installed, at a fifteenth of zlib's cost, or zlib's."""
    try:
        from isal import isal_zlib  # noqa: PLC0415  # optional
    except ImportError:
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    fast: _Compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    return fast
