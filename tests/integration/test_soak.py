"""A short soak; `python tests/trials/soak.py` runs the long one, which also judges memory and the file."""

from __future__ import annotations

from trials.soak import soak


def test_what_churns_is_counted_once_and_leaves_no_task_and_no_socket_behind() -> None:
    """Jobs, collections and outages come and go: everything that ended has been counted, and nothing stays open."""
    found = soak(polls=250, seed=9)
    assert found.faults() == [], found.faults()
    assert found.ended > 200
    assert min(found.failed_polls, found.partial_polls) > 0, "too few troubles: another seed"
