"""What benchmarks/footprint.py counts: a subject's own files, and all of its processes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.footprint import family, size


def test_the_installer_the_package_and_links_are_not_counted(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "site-packages"
    for name, length in {
        "own/code.py": 100, "own/__pycache__/code.pyc": 10, "pipeline/code.py": 1, "pip/code.py": 5000,
        "pip-23.0.dist-info/METADATA": 5000, "setuptools/code.py": 5000, "own_1.0.deb": 5000,
    }.items():  # fmt: skip
        path = packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(length))
    (packages / "link").symlink_to(packages / "own" / "code.py")
    assert size(tmp_path) == 111


def test_workers_and_what_they_start_are_counted_with_their_parent() -> None:
    below = {1: [2, 3], 3: [4]}
    assert family(1, lambda process: below.get(process, [])) == [1, 2, 3, 4]
