"""Memory that is no longer needed goes back to the system, and what stays is not looked through for garbage."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    _QUIET.bound = _bound()
    give_back()


@contextmanager
def quiet() -> Iterator[None]:
    """Have no search for garbage while much is made, nor ever through what has been made: it is no garbage.

    Without the latter the first search after it would look through all of it. For work that makes no cycles, in any
    thread. What others make meanwhile is left out too, garbage or not: that is looked for when it has become much.
    """
    with _QUIET.lock:
        if not _QUIET.under_way and gc.isenabled():
            gc.collect(1)  # what is young by now: nothing of the work, so it takes no time
            gc.disable()
            _QUIET.off = True
        _QUIET.under_way += 1
    try:
        yield
    finally:
        with _QUIET.lock:
            _QUIET.under_way -= 1
            if _QUIET.off and not _QUIET.under_way:
                _QUIET.off = False
                _leave_out_once_more()
                gc.enable()


def look_again() -> None:
    """Have garbage looked for from now on; where quiet work is under way, from its end on."""
    with _QUIET.lock:
        if _QUIET.under_way:
            _QUIET.off = True
        else:
            gc.enable()


@dataclass(slots=True)
class _Quiet:
    """The search for garbage is the whole process's, and several threads may want it off at once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    under_way: int = 0
    off: bool = False
    """Whether we have switched it off: at the start of the process it is off anyway."""
    times: int = 0
    bound: int = 0
    """Objects left out from which on all of them are looked through; 0 before that is known."""


_QUIET: Final = _Quiet()
_LOOK_EVERY: Final = 64
"""Counting what is left out goes through all of it as well."""


def _leave_out_once_more() -> None:
    gc.freeze()
    _QUIET.times += 1
    if _QUIET.times % _LOOK_EVERY:
        return
    if _QUIET.bound and gc.get_freeze_count() > _QUIET.bound:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _QUIET.bound = 0
    _QUIET.bound = _QUIET.bound or _bound()


def _bound() -> int:
    return gc.get_freeze_count() * 5 // 4


@cache
def _c_function(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None  # musl and macOS have none
    return function
