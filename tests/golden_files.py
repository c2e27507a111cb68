"""Golden files: what a test printed when somebody last read it. ``make golden`` writes them anew, for ``git diff``."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "golden"
MOST_LINES_SHOWN = 40


def assert_golden(name: str, found: str) -> None:
    """Compare a text with the golden file ``name``, byte by byte; under UPDATE_GOLDEN=1 write it instead."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.encode())
        return
    if not path.exists():
        pytest.fail(f"there is no {path}: `make golden` writes it", pytrace=False)
    wanted = path.read_bytes().decode()
    if found != wanted:
        # Only \n ends a line here: label values may hold every other character that Python takes for a line's end.
        lines = difflib.unified_diff(wanted.split("\n"), found.split("\n"), str(path), "found", lineterm="", n=1)
        shown = [ascii(line)[1:-1][:300] for line in lines][:MOST_LINES_SHOWN]
        pytest.fail("\n".join([*shown, "If it is meant: `make golden`, then read `git diff`."]), pytrace=False)
