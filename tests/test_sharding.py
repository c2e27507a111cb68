"""Who owns which target, and when it is polled."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from peers.parts import ROOT

from exporter.sharding import moment, owner

NAMES = [f"milvus-{number}" for number in range(2000)]


@pytest.mark.parametrize("total", range(1, 17))
def test_each_target_is_owned_exactly_once(total: int) -> None:
    """Asked one after the other, the processes claim each target once, and none of them nearly all or nothing."""
    claims = Counter(name for index in range(total) for name in NAMES if owner(name, total) == index)
    assert set(claims.values()) == {1}
    assert len(claims) == len(NAMES)
    shares = Counter(owner(name, total) for name in NAMES)
    fair = len(NAMES) / total
    assert all(0.7 * fair < shares[index] < 1.3 * fair for index in range(total))


@pytest.mark.parametrize("total", range(1, 16))
def test_one_process_more_takes_its_share_and_nothing_else_moves(total: int) -> None:
    moved = [name for name in NAMES if owner(name, total) != owner(name, total + 1)]
    assert {owner(name, total + 1) for name in moved} == {total}
    assert 0.7 < len(moved) * (total + 1) / len(NAMES) < 1.3


def test_the_owner_of_a_name_stays_for_ever() -> None:
    """A new release, another machine or another Python must not poll a target twice or not at all."""
    assert [owner(name, 7) for name in ("production", "staging", "eu-1", "eu-2", "")] == [2, 5, 0, 4, 5]


def test_the_owner_does_not_depend_on_the_process() -> None:
    code = "from exporter.sharding import owner; print([owner(f'milvus-{n}', 7) for n in range(50)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([owner(name, 7) for name in NAMES[:50]])


def test_polls_are_spread_over_the_interval() -> None:
    """In each tenth of it about a tenth, also among the targets of one process of several."""
    for names in (NAMES, [name for name in NAMES if owner(name, 4) == 2]):
        tenths = Counter(int(moment(name) * 10) for name in names)
        assert set(tenths) == set(range(10))
        assert max(tenths.values()) < 1.6 * len(names) / 10
