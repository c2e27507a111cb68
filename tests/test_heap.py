"""Free memory goes back where the C library can do it, and garbage is looked for where there can be some."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import weakref
from collections.abc import Iterator

import pytest

from exporter import heap


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


class Knot:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def test_a_c_library_without_such_a_function_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As musl's and that of macOS."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    heap.trim()
    heap.map_large_blocks.__wrapped__()


def test_what_is_frozen_is_not_searched() -> None:
    knot = Knot()
    heap.freeze()
    assert not any(each is knot for each in gc.get_objects())


def test_what_was_frozen_and_is_garbage_goes_when_it_is_frozen_again() -> None:
    gone = weakref.ref(Knot())
    heap.freeze()
    gc.collect()
    assert gone() is not None
    heap.refreeze()
    assert gone() is None


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off, as at the start of the process"])
def test_after_a_pause_the_collector_is_as_it_was(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    with contextlib.suppress(ZeroDivisionError), heap.paused():
        assert not gc.isenabled()
        _ = 1 / 0
    assert gc.isenabled() is enabled
