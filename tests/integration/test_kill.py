"""Counts survive kills; `python tests/trials/kill.py` runs the long trial."""

from __future__ import annotations

from trials.kill import trial


def test_killed_at_random_moments_every_job_is_counted_once() -> None:
    """None lost, none doubled, and no count that had been shown goes back."""
    found = trial(rounds=8, seed=3)
    assert found.kills == 8
    assert found.ended > 10
    assert (found.counted, found.failed_counted) == (found.ended, found.failed)
    assert found.ids_kept == found.ended
    assert found.went_back == 0
