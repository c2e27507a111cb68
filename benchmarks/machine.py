"""What was measured with: the machine and the versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.nginx import command
from exporter import __version__

_PACKAGES: Final = (
    "grpcio", "protobuf", "httptools", "uvloop", "isal", "apscheduler", "pydantic", "prometheus-client",
)  # fmt: skip


def machine() -> str:
    """Return one line about the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}"


def versions() -> str:
    """Return one line about what runs on it."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join((f"milvus-refresh-exporter {__version__}", python, *map(_package, _PACKAGES), _nginx()))


def today() -> str:
    """Return the date."""
    return datetime.now(UTC).date().isoformat()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"no {name}"


def _nginx() -> str:
    nginx = command()
    if nginx is None:
        return "no nginx"
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr
    return f"nginx {said.strip().rpartition('/')[2]}"
