"""A short soak; `python tests/trials/soak.py` runs the long one, which also judges memory and the file."""

from __future__ import annotations

import pytest
from trials.soak import A_DAY, KIB, SAMPLE, Figures, Sample, soak


def test_what_churns_is_counted_once_and_leaves_no_task_and_no_socket_behind() -> None:
    """Jobs, collections and outages come and go: everything that ended has been counted, and nothing stays open."""
    found = soak(polls=250, seed=9)
    assert found.faults() == [], found.faults()
    assert found.ended > 200
    assert min(found.failed_polls, found.partial_polls) > 0, "too few troubles: another seed"


@pytest.mark.parametrize(
    ("memory", "blocks", "said"),
    [
        (300 * KIB / A_DAY, 0.1, []),
        (2000 * KIB / A_DAY, 0.1, ["memory"]),
        (300 * KIB / A_DAY, 1.0, ["Python's objects"]),
    ],
    ids=["neither grows", "memory", "an object a poll"],
)
def test_a_long_soak_says_what_grows_without_end(memory: float, blocks: float, said: list[str]) -> None:
    """Growth of memory or of Python's objects with each poll is a promise broken, be it one object a poll."""
    found = Figures(samples=[_sample(poll, memory, blocks) for poll in range(SAMPLE, 20_000, SAMPLE)])
    assert [fault.partition(" grow")[0] for fault in found.faults()] == said


def _sample(poll: int, memory: float, blocks: float) -> Sample:
    noise = poll * 7919 % 100  # up and down without a slope
    return Sample(
        poll,
        memory=70_000 * KIB + int(memory * poll) + 20 * KIB * noise,
        blocks=250_000 + int(blocks * poll) + 20 * noise,
        in_use=12_000 * KIB,
        free=5_000 * KIB,
        file=500 * KIB,
        tasks=1,
        threads=12,
        sockets=5,
    )
