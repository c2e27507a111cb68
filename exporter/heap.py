"""Memory that is no longer needed goes back to the system, and what stays is not looked through for garbage."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache
from typing import Final

MANY_JOBS: Final = 16_384
"""A listing of so many, some 4 MB, leaves behind more free memory than it costs to give it back."""
_LARGE: Final = 1024 * 1024
_M_TRIM_THRESHOLD: Final = -1  # of glibc's <malloc.h>
_M_MMAP_THRESHOLD: Final = -3


def give_back() -> None:
    """Return free memory to the system, where the C library can: glibc keeps what lies between two blocks in use."""
    trim = _c_function("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def expect_large() -> None:
    """From now on have the C library give back what is large as soon as it is free. For a process with many jobs.

    glibc's own bounds grow with the largest block so far: after one answer of 24 MB so much stays at the end of each
    thread's heap, where :func:`give_back` does not reach it. With few jobs that is little, and new pages at each poll
    would cost half as much again as the poll.
    """
    tune = _c_function("mallopt")
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, _LARGE)
        tune(_M_TRIM_THRESHOLD, _LARGE)


def leave_out() -> None:
    """Leave out what exists by now from all later searches for garbage.

    What has been imported is no garbage: the first search alone would look through it for an eighth of the whole start.
    Whatever of it goes later is freed all the same, when its last reference goes.
    """
    gc.freeze()


def settle() -> None:
    """Leave out what exists by now, and return free memory.

    A hundred thousand jobs are no garbage, and looking through them stops everything else for a third of a second.
    """
    leave_out()
    give_back()


@cache
def _c_function(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None  # musl and macOS have none
    return function
