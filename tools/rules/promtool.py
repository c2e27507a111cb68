"""Running cases by promtool."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from rules.cases import Case

ROOT: Final = Path(__file__).resolve().parents[2]
CASES: Final = ROOT / "tests" / "rules"
_FETCHED: Final = ("prometheus-trixie", "prometheus-forky")
_NO_CASES: Final = ("situations",)


def installed() -> dict[str, str]:
    """Return every promtool that is here, by version: the system's own, and those that tools/parts.sh has fetched."""
    parts = Path(os.environ.get("MRE_PARTS_DIR", ROOT / ".cache" / "parts"))
    paths = [shutil.which("promtool"), *(str(parts / name / "usr/bin/promtool") for name in _FETCHED)]
    return {_version(path): path for path in paths if path and Path(path).exists()}


def _version(promtool: str) -> str:
    said = subprocess.run([promtool, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return (said.stdout or said.stderr).split()[2].partition("+")[0].rstrip(",")


def load_cases() -> dict[str, tuple[Case, ...]]:
    """Return the cases under tests/rules by the module that has them."""
    sys.path.insert(0, str(CASES))
    try:
        return {path.stem: _load(path) for path in sorted(CASES.glob("*.py")) if path.stem not in _NO_CASES}
    finally:
        sys.path.remove(str(CASES))


def _load(path: Path) -> tuple[Case, ...]:
    spec = importlib.util.spec_from_file_location(f"rule_cases_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases: tuple[Case, ...] = module.CASES
    return cases


def write(folder: Path, rules: dict[str, Any], cases: Mapping[str, Case]) -> list[Path]:
    """Write a rule file and, for each length of step, a test file. Returns the test files. JSON is YAML, and quicker.

    What promtool says of a case has its key in it.
    """
    (folder / "rules.yml").write_text(json.dumps(rules), encoding="utf-8")
    by_step: dict[int, list[dict[str, Any]]] = {}
    for key, case in cases.items():
        by_step.setdefault(case.step, []).append(case.as_mapping(key))
    files = []
    for step, tests in by_step.items():
        files.append(folder / f"every-{step}m.test.yml")
        content = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": f"{step}m",
            # Without an order promtool takes any, and a record would be read before it is made.
            "group_eval_order": [group["name"] for group in rules["groups"]],
            "tests": tests,
        }
        files[-1].write_text(json.dumps(content), encoding="utf-8")
    return files


def run(promtool: str, files: Iterable[Path]) -> str:
    """Return what promtool complains of, empty if of nothing."""
    line = [promtool, "test", "rules", *map(str, files)]
    # Collecting garbage less often saves a quarter of the time.
    env = {**os.environ, "GOGC": "400"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300, env=env)  # noqa: S603
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
