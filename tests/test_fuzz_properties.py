"""What fuzzing has found once stays mended, and each target still bites. Nothing here needs atheris."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import targets
from fuzz.seeds import dictionary, regressions, seeds
from fuzz.targets import TARGETS

from exporter.redaction import reasons

FOUND = regressions()


@pytest.mark.parametrize(("path", "data"), FOUND, ids=[f"{path.parent.name}-{path.stem}" for path, _ in FOUND])
def test_an_input_that_found_a_fault_finds_none_any_more(path: Path, data: bytes) -> None:
    TARGETS[path.parent.name](data)


def test_inputs_of_old_faults_are_kept() -> None:
    assert FOUND
    assert {path.parent.name for path, _ in FOUND} <= TARGETS.keys()


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_begins_with_inputs_that_are_good(target: str) -> None:
    known = seeds(target)
    assert len(known) > 2
    assert dictionary(target)
    for seed in [b"", *known[:: max(1, len(known) // 40)]]:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", ["decode", "listings"])
def test_seeds_of_listings_hold_jobs(target: str) -> None:
    assert any(len(targets.records(seed[1:])) > 1 for seed in seeds(target))


def test_a_target_notices_a_secret_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "hide_values", lambda text: text)
    with pytest.raises(AssertionError, match="can be read"):
        targets.canaries(b"".join(seeds("canaries")))
