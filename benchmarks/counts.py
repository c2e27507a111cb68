"""How many bytecode instructions of ours a fixed workload takes: the same on every machine, however busy.

    python -m benchmarks.counts             count and compare with what is recorded
    python -m benchmarks.counts --record    record anew, after a change that is meant to cost or to save

CPython's own tracing counts each instruction executed in a frame of the package; a call into C counts once. The count
depends on the interpreter's minor version, so each has a record of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Final

from benchmarks.http import Scraper
from benchmarks.processes import ROOT, Milvus
from benchmarks.subjects import Product, configuration
from benchmarks.world import Shape

RECORD: Final = Path(__file__).with_name("counts.json")
MARGIN: Final = 0.10
VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_JOBS, _COLLECTIONS = 2_000, 200
_TIMES: Final = 3
_SCRAPES: Final = 20
_PACKAGE: Final = str(ROOT / "exporter") + os.sep


class Instructions:
    """Counts the instructions of the package's frames in all threads that begin after it was made."""

    def __init__(self) -> None:
        self._on = False
        self._count = 0
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def during(self, work: Callable[[], object]) -> int:
        """Return how many there were while something was done."""
        self._count, self._on = 0, True
        work()
        self._on = False
        return self._count

    def _enter(self, frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:  # noqa: ARG002
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, _: FrameType, event: str, __: object) -> Callable[..., Any]:
        if event == "opcode" and self._on:
            self._count += 1
        return self._step


def count() -> dict[str, int]:
    """Return instructions by workload."""
    counter = Instructions()
    with Milvus() as milvus:
        milvus.load(_JOBS, _COLLECTIONS)
        polls = _polls(counter, milvus)
        scrape = _scrape(counter, milvus)
    return {**polls, "scrape": scrape}


def _polls(counter: Instructions, milvus: Milvus) -> dict[str, int]:
    product = Product(milvus.address)
    found = {}
    for name, shape in (("poll, 1 % changed", Shape(0.01)), ("poll, nothing changed", Shape())):
        counts = []
        for number in range(-2, _TIMES):
            milvus.turn(shape if number == -2 else None)
            product.other("want")
            instructions = counter.during(product.poll)
            if number >= 0:
                counts.append(instructions)
        found[name] = int(median(counts))
    product.other("close")
    return found


def _scrape(counter: Instructions, milvus: Milvus) -> int:
    """Return the instructions of one scrape over HTTP, gzip, with the body at hand."""
    import asyncio  # noqa: PLC0415

    from exporter.app import serve  # noqa: PLC0415
    from exporter.config import Settings  # noqa: PLC0415
    from exporter.web import new_event_loop  # noqa: PLC0415

    settings = Settings.model_validate({**configuration(milvus.address), "web": {"listen_address": ["127.0.0.1:0"]}})
    counts: list[int] = []

    def scrape(address: str) -> None:
        try:
            with Scraper(address) as scraper:
                while b"refresh_jobs" not in scraper.get():
                    pass
                scraper.many(3, gzip=True)
                counts.append(counter.during(lambda: scraper.many(_SCRAPES, gzip=True)) // _SCRAPES)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def announce(addresses: Any) -> None:
        threading.Thread(target=scrape, args=(addresses[0],)).start()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(settings, announce))
    return counts[0]


def recorded() -> dict[str, int] | None:
    """Return what is recorded for this version of Python."""
    found: dict[str, int] | None = json.loads(RECORD.read_text(encoding="utf-8")).get(VERSION)
    return found


def faults(counted: dict[str, int], expected: dict[str, int]) -> list[str]:
    """Return a line for each workload whose cost has left its margin, up or down."""
    return [
        f"{name}: {now:,} instructions, recorded are {expected.get(name, 0):,}"
        for name, now in counted.items()
        if abs(now - expected.get(name, 0)) > MARGIN * expected.get(name, 0)
    ]


def _record(counted: dict[str, int]) -> None:
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    known[VERSION] = counted
    RECORD.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    """Count, and record or compare. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__.split("\n")[0])
    parser.add_argument("--record", action="store_true", help="write what is counted to counts.json")
    parser.add_argument("--json", action="store_true", help="print what is counted, and compare nothing")
    options = parser.parse_args()
    counted = count()
    if options.record:
        _record(counted)
    if options.json:
        print(json.dumps(counted))
        return 0
    for name, instructions in counted.items():
        print(f"{name}: {instructions:,} instructions")
    found = faults(counted, recorded() or {})
    for fault in found:
        print(fault, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
