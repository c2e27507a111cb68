"""Goal 19: the CPU of a quiet day, beside everything else that is measured. A window of 15 s after the other."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Final, Self

from benchmarks.daemon import Daemon
from benchmarks.goals import Measured, milliseconds
from benchmarks.http import Scraper
from benchmarks.processes import Milvus, Worker
from benchmarks.world import Shape

_WINDOW_SECONDS: Final = 15.0
_JOBS, _COLLECTIONS = 1_000, 520


class Steady:
    """Runs in a thread of its own beside a benchmark, until there are ``windows`` windows and all else is over."""

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._over = threading.Event()
        self._enough = threading.Event()
        self._fault: Exception | None = None
        self._ours: list[float] = []
        self._usual: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def result(self) -> Measured:
        """Wait until there are windows enough, and return the result."""
        self._enough.wait()
        self._over.set()
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        ours, usual = (milliseconds(each) / _WINDOW_SECONDS for each in (self._ours, self._usual))
        return Measured(19, "12k series, window", ours, usual, "ms/s", note=f"{len(self._ours)} windows")

    def _run(self) -> None:
        try:
            self._watch()
        except Exception as fault:  # noqa: BLE001  # raised where the result is asked for
            self._fault = fault
        finally:
            self._enough.set()

    def _watch(self) -> None:
        with ExitStack() as stack:
            milvus = stack.enter_context(Milvus())
            milvus.load(_JOBS, _COLLECTIONS, active=False)
            milvus.turn(Shape(window=True))
            daemon = stack.enter_context(Daemon(milvus.address, interval=f"{_WINDOW_SECONDS:g}s"))
            daemon.wait_good()
            usual = stack.enter_context(Worker("usual", milvus.address))
            usual.do("poll")
            ours = stack.enter_context(Scraper(daemon.address))
            theirs = stack.enter_context(Scraper(usual.do("serve")["address"]))
            ours.get(gzip=True)
            theirs.get(gzip=True)
            while not self._over.is_set():
                began = daemon.cpu(), usual.cpu()
                milvus.turn()
                if self._over.wait(_WINDOW_SECONDS):
                    return
                usual.do("poll")
                ours.get(gzip=True)
                theirs.get(gzip=True)
                self._ours.append(daemon.cpu() - began[0])
                self._usual.append(usual.cpu() - began[1])
                if len(self._ours) >= self._windows:
                    self._enough.set()
