"""Memory that is no longer needed goes back to the system, and what stays is not looked through for garbage."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache
from typing import Final

MANY_JOBS: Final = 16_384
"""A listing of so many, some 4 MB, leaves behind more free memory than it costs to give it back."""


def give_back() -> None:
    """Return free memory to the system, where the C library can: glibc keeps what lies between two blocks in use."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def settle() -> None:
    """Leave out what exists by now from all later searches for garbage.

    A hundred thousand jobs are no garbage, and looking through them stops everything else for a third of a second.
    Whatever of it goes later is freed all the same, when its last reference goes.
    """
    gc.freeze()
    give_back()


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None  # musl and macOS have none
    return trim
