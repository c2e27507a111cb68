"""Free memory goes back where the C library can do it, and garbage is looked for where there can be some."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()
    heap._QUIET.bound = 0


class Knot:
    """Refers to itself: only a search for garbage frees it."""

    def __init__(self) -> None:
        self.me = self


def test_garbage_is_not_looked_for_in_quiet_work_nor_among_what_it_has_made() -> None:
    """The first search afterwards would otherwise look through a hundred thousand jobs."""
    with heap.quiet():
        assert not gc.isenabled()
        made = [Knot() for _ in range(1000)]
    assert gc.isenabled()
    assert not {id(each) for each in gc.get_objects()} & {id(each) for each in made}


def test_what_was_garbage_before_the_work_goes_before_it() -> None:
    gone = weakref.ref(Knot())
    with heap.quiet():
        assert gone() is None


def test_work_in_several_threads_is_quiet_until_the_last_of_them_has_ended() -> None:
    with heap.quiet():
        with ThreadPoolExecutor(1) as other, heap.quiet():
            assert other.submit(gc.isenabled).result() is False
        assert not gc.isenabled()
    assert gc.isenabled()


def test_whoever_wants_the_search_on_does_not_disturb_quiet_work() -> None:
    """One of several Milvus ends its first poll while another's goes on."""
    gc.disable()
    with heap.quiet():
        heap.look_again()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    heap.look_again()
    assert gc.isenabled()


def test_a_search_that_is_off_anyway_stays_off() -> None:
    """As at the start of the process, until the first poll has ended."""
    gc.disable()
    with heap.quiet():
        pass
    assert not gc.isenabled()


def test_work_that_fails_leaves_the_search_on() -> None:
    with pytest.raises(ZeroDivisionError), heap.quiet():
        _ = 1 / 0
    assert gc.isenabled()


@pytest.mark.parametrize("settled", [True, False], ids=["after a good poll", "before any poll was good"])
def test_garbage_among_what_was_left_out_goes_when_it_has_become_much(settled: bool) -> None:
    if settled:
        heap.settle()
    some = len(gc.get_objects()) // 1000 if not settled else gc.get_freeze_count() // 1000
    knots: list[weakref.ref[Knot]] = []
    for _ in range(10 * heap._LOOK_EVERY):
        with heap.quiet():
            knots += [weakref.ref(Knot()) for _ in range(some)]
    alive = sum(each() is not None for each in knots)
    assert 0 < alive < len(knots) / 2
