"""Free memory goes back where the C library can do it, and nothing is amiss where it cannot."""

from __future__ import annotations

import pytest

from exporter import heap


def test_a_c_library_without_such_functions_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As musl's and that of macOS."""
    assert heap._c_function("no_such_function") is None
    monkeypatch.setattr(heap, "_c_function", lambda _: None)
    heap.give_back()
    heap.expect_large.__wrapped__()


def test_with_many_jobs_both_bounds_of_what_is_kept_are_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone would leave the other to grow with the largest answer."""
    asked: dict[int, int] = {}
    monkeypatch.setattr(heap, "_c_function", lambda name: asked.__setitem__ if name == "mallopt" else None)
    heap.expect_large.__wrapped__()
    assert asked == {heap._M_MMAP_THRESHOLD: heap._LARGE, heap._M_TRIM_THRESHOLD: heap._LARGE}
