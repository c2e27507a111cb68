"""Where the real parts are, and the one place that decides what a missing one means.

A part that is not there skips the test with the reason. Under ``MRE_REQUIRE_PARTS=1``, which CI sets, it fails it.
``make parts`` fetches them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MRE_PARTS_DIR", ROOT / ".cache" / "parts"))


def missing(reason: str) -> NoReturn:
    """Skip, or fail where every part is required."""
    text = f"{reason}; `make parts` fetches it"
    if os.environ.get("MRE_REQUIRE_PARTS") == "1":
        pytest.fail(f"a part is missing and MRE_REQUIRE_PARTS=1: {text}", pytrace=False)
    pytest.skip(text)


def program(name: str) -> str:
    """Return the path of a program of this machine."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or missing(f"{name} is not installed")


def fetched(part: str, path: str) -> Path:
    """Return a file of a part that tools/parts.sh put into its folder."""
    folder = FOLDER / part
    if not (folder / ".complete").exists() or not (folder / path).exists():
        missing(f"{part} is not in {FOLDER}")
    return folder / path


def generations(name: str) -> dict[str, str]:
    """Return every installed version of ``prometheus`` or ``promtool``: where it is from -> path."""
    found = {f"debian-{release}": FOLDER / f"prometheus-{release}/usr/bin/{name}" for release in ("trixie", "forky")}
    there = {release: str(path) for release, path in found.items() if path.exists()}
    own = shutil.which(name)
    return {"system": own, **there} if own else there


@cache
def private_networks() -> bool:
    """Whether this user may make a network namespace with a loopback of its own, and enter it."""
    try:
        attempt = ["unshare", "-n", "sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up"]
        made = subprocess.run(attempt, capture_output=True, timeout=10, check=False)
        return made.returncode == 0 and shutil.which("nsenter") is not None
    except (OSError, subprocess.SubprocessError):
        return False
