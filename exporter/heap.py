"""The collector and the allocator: what stays is not searched for garbage again, and what is free goes back."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Final

MANY_JOBS: Final = 16_384
"""A listing of so many, some 4 MB, leaves behind more free memory than it costs to trim."""
_LARGE: Final = 1024 * 1024
_M_TRIM_THRESHOLD: Final = -1  # of glibc's <malloc.h>
_M_MMAP_THRESHOLD: Final = -3


def freeze() -> None:
    """Freeze what exists, so that later collections skip it: modules, and a hundred thousand jobs, are no garbage."""
    gc.freeze()
    trim()


def refreeze() -> None:
    """Freeze again after a full collection: what was frozen and is no longer needed refers to itself."""
    gc.unfreeze()
    gc.collect()
    freeze()


@contextmanager
def paused() -> Iterator[None]:
    """Pause the cyclic collector during a bulk allocation. It is the whole process's: another thread may resume it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def trim() -> None:
    """Return free memory to the system where the C library can: glibc keeps what lies between two blocks in use."""
    with suppress(OSError, AttributeError):  # musl and macOS have none
        ctypes.CDLL(None).malloc_trim(0)


@cache
def map_large_blocks() -> None:
    """Fix glibc's bounds: by themselves they grow with the largest block, and an answer of 24 MB stays in each arena.

    For a process with many jobs: with few, new pages at each poll cost more than they save.
    """
    with suppress(OSError, AttributeError):
        for bound in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(bound, _LARGE)
