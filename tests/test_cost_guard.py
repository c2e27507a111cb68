"""What a poll and a scrape cost, in bytecode instructions of ours: no clock, so no busy machine makes it fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from peers.parts import ROOT

from benchmarks import counts

RENEW = "If this is meant, record anew: python -m benchmarks.counts --record"


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    # In a process of its own: the tracing counts everything from the first thread on, and caches are cold.
    line = [sys.executable, "-m", "benchmarks.counts", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("work", ["poll, nothing changed", "poll, 1 % changed", "scrape"])
def test_a_fixed_workload_costs_what_is_recorded(work: str, counted: dict[str, int]) -> None:
    """Within a tenth: more is a regression, and less is progress that should be recorded so that it stays."""
    expected = counts.recorded()
    if expected is None:
        pytest.skip(f"nothing is recorded for Python {counts.VERSION}; {counts.RECORD.name} has other versions")
    found = counts.faults({work: counted[work]}, expected)
    assert not found, f"{found[0]}. {RENEW}"


def test_an_unchanged_poll_costs_less_than_one_with_changes(counted: dict[str, int]) -> None:
    """The workload does what its name says."""
    assert 0 < counted["poll, nothing changed"] < counted["poll, 1 % changed"]


@pytest.mark.parametrize(("now", "faulty"), [(100, 0), (109, 0), (91, 0), (112, 1), (88, 1)])
def test_a_count_outside_the_margin_is_named(now: int, faulty: int) -> None:
    found = counts.faults({"scrape": now}, {"scrape": 100})
    assert len(found) == faulty
    assert all(str(now) in fault for fault in found)


def test_a_workload_without_a_record_is_named() -> None:
    assert counts.faults({"new": 5}, {}) == ["new: 5 instructions, recorded are 0"]
