"""One fault on a running exporter, from beginning to end, and everything that is promised meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from peers.exporter import Exporter, Samples

_FILES = "process_open_fds"
_MORE_FILES = 2
"""The connection of a scrape, and a resolver's socket that is still open."""
_MEMORY = "process_resident_memory_bytes"
_MORE_MEMORY = 16 * 1024 * 1024


@contextmanager
def unharmed(exporter: Exporter) -> Iterator[Exporter]:
    """Lend an exporter for many faults, which together must cost neither open files nor memory."""
    before = exporter.next_poll()
    yield exporter
    most = _of(before, _FILES) + _MORE_FILES
    after = exporter.until(lambda now: _of(now, _FILES) <= most, f"at most {most:.0f} open files")
    assert _of(after, _MEMORY) - _of(before, _MEMORY) < _MORE_MEMORY
    assert "Traceback" not in exporter.log, exporter.log[-3000:]


@dataclass(frozen=True)
class Ordeal:
    """What one fault did. ``polls`` is how many polls after its end the first good one was, 1 being the next."""

    polls: float
    down: Samples
    up: Samples


def endure(
    exporter: Exporter,
    begin: Callable[[], object],
    end: Callable[[], object],
    *kinds: str,
    recovery: int,
    failures: int = 2,
) -> Ordeal:
    """Switch a fault on, let ``failures`` polls fail, switch it off, and check what a user relies on.

    Down with one of ``kinds`` and no other; the last jobs stay as they are and so does the stamp of the last good
    poll; every scrape answers 200; good again after at most ``recovery`` polls; no traceback in the log.
    """
    before = exporter.until(lambda now: now.value("up") == 1, "a good poll")
    begin()
    down = exporter.until(lambda now: _is_down(now, before, failures), f"{failures} polls that fail as {kinds}")
    assert _new_errors(down, before).keys() <= set(kinds), _new_errors(down, before)
    _is_kept(down, before)
    end()
    ended = exporter.metrics()
    up = exporter.until(lambda now: now.value("up") == 1, "good again", seconds=10 + 3 * recovery)
    took = _of(up, "polls_total") - _of(ended, "polls_total")
    # The poll under way when the fault ends may still fail.
    assert took <= recovery + 1, f"good again after {took} polls; {_new_errors(up, before)}"
    assert _new_errors(up, before).keys() <= set(kinds), _new_errors(up, before)
    assert _of(up, "poll_last_success_timestamp_seconds") > _of(down, "poll_last_success_timestamp_seconds")
    assert "Traceback" not in exporter.log, exporter.log[-3000:]
    return Ordeal(took, down, up)


def _is_down(now: Samples, before: Samples, failures: int) -> bool:
    return now.value("up") == 0 and sum(_new_errors(now, before).values()) >= failures


def _new_errors(now: Samples, before: Samples) -> dict[str, float]:
    known = before.errors()
    new = {kind: value - known.get(kind, 0) for kind, value in now.errors().items()}
    return {kind: value for kind, value in new.items() if value}


def _is_kept(down: Samples, before: Samples) -> None:
    """What was known stays and says how old it is."""
    assert down.value("snapshot_stale") == 0
    assert down.total("jobs") == before.total("jobs") > 0
    good, tried = (_of(down, f"poll_last_{what}_timestamp_seconds") for what in ("success", "attempt"))
    assert _of(before, "poll_last_success_timestamp_seconds") <= good < tried


def _of(samples: Samples, name: str) -> float:
    value = samples.value(name)
    assert value is not None, f"{name} is missing"
    return value
