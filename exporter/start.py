"""The first thing that runs: it keeps what is slow about importing out of the start."""

from __future__ import annotations

import gc
import os
import signal


def main() -> int:
    """Run the command line. Returns its exit code."""
    # As process 1 of a container there is no default action: without this, a stop during the start would be ignored.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    # Modules make hundreds of thousands of objects that stay. Looking through them for garbage again and again is a
    # fifth of the time to the first page; the first poll switches it on, with these left out (exporter/heap.py).
    gc.disable()
    # No plugin of pydantic's is ever wanted here, and looking for some reads the metadata of all that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from exporter.cli import main as command_line  # noqa: PLC0415  # after the above
    from exporter.output import guard  # noqa: PLC0415

    guard()
    return command_line()
