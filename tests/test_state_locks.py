"""One state file, one writer, by whatever name it is reached; and nobody but its owner reads it."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import AS_IS, DAY, completed, ended

from exporter.errors import StateUnusable
from exporter.ledger import DatabaseTotals, Memory, Outcomes, StateFile

TAKEN = "another process uses it; give each exporter a file of its own"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def mounted(path: Path, tmp_path: Path) -> Iterator[Path]:
    """Mount the state file a second time, as two containers do, and return its name there."""
    second = tmp_path / "second"
    second.touch()
    done = subprocess.run(["mount", "--bind", path, second], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    yield second
    subprocess.run(["umount", second], check=True)


def use(path: Path) -> StateFile:
    state = StateFile(path, 30 * DAY, AS_IS)
    state.open(2 * DAY)
    return state


@pytest.fixture
def opened(path: Path) -> Iterator[StateFile]:
    state = use(path)
    yield state
    state.close()


def remembering() -> Memory:
    memory = Memory(0.0, baseline_done=True)
    memory.ended[1] = one = ended(completed(1, DAY))
    memory.outcomes[one.collection], memory.databases["sales"] = Outcomes(), DatabaseTotals()
    return memory


def test_a_file_with_a_hard_link_is_refused(opened: StateFile, path: Path, tmp_path: Path) -> None:
    os.link(path, tmp_path / "link.db")
    with pytest.raises(StateUnusable, match="has hard links, so another exporter may write to it"):
        use(tmp_path / "link.db")


def test_a_file_that_is_mounted_twice_has_one_writer(opened: StateFile, mounted: Path) -> None:
    """The second folder has a lock file of its own."""
    with pytest.raises(StateUnusable, match=TAKEN):
        use(mounted)


def test_a_lock_file_that_somebody_has_deleted_lets_nobody_else_in(opened: StateFile, path: Path) -> None:
    path.with_name("state.db.lock").unlink()
    with pytest.raises(StateUnusable, match=TAKEN):
        use(path)


@pytest.mark.parametrize("existing", [False, True], ids=["new", "made_by_an_older_version"])
def test_every_file_is_readable_by_its_owner_alone(path: Path, existing: bool) -> None:
    """Whatever the process's mask lets through: reasons and sources are nobody else's business."""
    before = os.umask(0)
    try:
        if existing:
            use(path).close()
            for file in path.parent.iterdir():
                file.chmod(0o644)
        state = use(path)
        state.load(0.0)
        state.save(remembering(), 2 * DAY)
        modes = {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in path.parent.iterdir()}
        state.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("state.db", "state.db-journal", "state.db.lock"), "0o600")
