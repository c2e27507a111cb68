"""Fuzz every target, one process after the other: ``python tests/fuzz/run.py --seconds N [TARGET ...]``.

Prints how many inputs each target was given, how much of the code they reached and which of them it did not stand;
ends with 1 where there was one. Such inputs are put beside the others in ``regressions``, which a test tries again.
What was learnt stays in the work folder, so that the next run goes on from there. Needs atheris; docs/fuzzing.md.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE.parent)]

from fuzz.seeds import dictionary, keep, regressions, seeds  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402

MEMORY_MIB = 2048
SECONDS_PER_INPUT = 20
"""The slowest honest input takes some milliseconds; the rest is for a loaded machine."""
LENGTH = {"units": 64, "repeated": 64, "uris": 256, "canaries": 24, "decode": 384, "listings": 512}
SHARES = {
    "redact": 4,
    "canaries": 3,
    "reasons": 2,
    "repeated": 1,
    "decode": 8,
    "listings": 2,
    "configuration": 3,
    "units": 1,
    "uris": 2,
}


@dataclass(frozen=True)
class Result:
    """What fuzzing one target has shown."""

    target: str
    executions: int
    coverage: int
    features: int
    seconds: float
    crashes: tuple[Path, ...]
    said: str = ""

    def __str__(self) -> str:
        found = f"{self.target:<14} {self.executions:>10} executions {self.seconds:>7.0f} s"
        return f"{found} {self.coverage:>6} edges {self.features:>7} features {len(self.crashes):>3} crashes"


def fuzz(target: str, work: Path, *, seconds: int, runs: int = -1) -> Result:
    """Run one target in a process of its own; ``runs`` limits the executions, -1 is no limit."""
    learnt, crashes, first = ((work / target / name).resolve() for name in ("corpus", "crashes", "seeds"))
    for folder in (learnt, crashes, first):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in [*seeds(target), *(data for _, data in regressions(target))]:
        (first / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = work / target / "words"
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in dictionary(target)), encoding="utf-8")
    before = set(crashes.iterdir())
    line = [
        *(sys.executable, str(HERE / "harness.py"), target),
        *(
            f"-max_total_time={seconds}",
            f"-runs={runs}",
            f"-rss_limit_mb={MEMORY_MIB}",
            f"-timeout={SECONDS_PER_INPUT}",
        ),
        *(f"-max_len={LENGTH.get(target, 1024)}", f"-dict={words}", f"-artifact_prefix={crashes}/"),
        *("-print_final_stats=1", "-verbosity=1", str(learnt), str(first)),
    ]
    began = time.monotonic()
    said = _run(line, seconds)
    return _result(target, said, time.monotonic() - began, tuple(sorted(set(crashes.iterdir()) - before)))


def _run(line: list[str], seconds: int) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE.parent)])}
    # Its own end comes first; this one is for a process that does not come back.
    limit = seconds + 10 * SECONDS_PER_INPUT
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            said += b"\nended from outside: it did not come back in time\n"
    return said.decode("utf-8", "replace") + f"\nexit {process.returncode}\n"


def _result(target: str, said: str, seconds: float, crashes: tuple[Path, ...]) -> Result:
    numbers = {name: int(value) for name, value in re.findall(r"stat::(\w+):\s+(\d+)", said)}
    progress = re.findall(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+)", said, re.MULTILINE)
    executions, coverage, features = map(int, progress[-1]) if progress else (0, 0, 0)
    executions = max(executions, numbers.get("number_of_executed_units", 0))
    good = said.endswith("\nexit 0\n")
    return Result(target, executions, coverage, features, seconds, crashes, "" if good else said)


def _quoted(word: str) -> str:
    return "".join(char if char.isalnum() else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in word)


def main() -> int:
    """Run as the module's docstring says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for all of them together")
    parser.add_argument("--runs", type=int, default=-1, help="at most this many executions of each")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "fuzz", help="where what was learnt is kept")
    asked = parser.parse_args()
    chosen = asked.targets or list(TARGETS)
    if unknown := set(chosen) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    whole = sum(SHARES[target] for target in chosen)
    results = []
    for target in chosen:
        found = fuzz(target, asked.work, seconds=max(1, asked.seconds * SHARES[target] // whole), runs=asked.runs)
        results.append(found)
        print(found, flush=True)
        for crash in found.crashes:
            print(f"  kept as {keep(target, crash.read_bytes()).relative_to(ROOT)}")
        if found.said:
            print(*(f"  | {line}" for line in found.said.splitlines()[-40:]), sep="\n", flush=True)
    print(f"{sum(result.executions for result in results)} executions in all")
    return int(any(result.crashes or result.said for result in results))


if __name__ == "__main__":
    sys.exit(main())
