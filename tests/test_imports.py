"""What each command imports: modules are counted, since a count is the same on every machine and time is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from peers.parts import ROOT

# Runs one command and prints what it has imported beyond the bare interpreter. A daemon is ended as soon as it says
# that it has started; nobody listens at its Milvus's port.
CHILD = """
import sys
bare = set(sys.modules)
import gc, json, logging, os, signal

class Stop(logging.Filter):
    def filter(self, record):
        if record.getMessage() == "started":
            os.kill(os.getpid(), signal.SIGTERM)
        return True

logging.getLogger("exporter").addFilter(Stop())
from exporter.cli import main
code = main(json.loads(sys.argv[1]))
sys.stdout.flush()
seen = [int(code), sorted(set(sys.modules) - bare), gc.get_freeze_count(), len(gc.get_objects())]
sys.stderr.write("\\n" + json.dumps(seen))
"""
MILVUS = "--milvus.uri=http://127.0.0.1:1"
NOBODY = {"pymilvus", "pandas", "numpy", "rich", "requests", "starlette", "httpx", "benchmarks"}
HEAVY = {"yaml", "grpc", "google", "httptools", "uvloop", "apscheduler", "prometheus_client"}


@dataclass(frozen=True)
class Command:
    """A command, how many modules it may import, and what it must not import: modules, each with what is below it."""

    arguments: tuple[str, ...]
    code: int
    most: int
    never: frozenset[str]


# Counted with CPython 3.11 and rounded up by about a twentieth, for other versions of it and of what is imported.
COMMANDS = {
    "version": Command(("version",), 0, 190, frozenset(HEAVY | {"exporter.app", "exporter.demo", "sqlite3"})),
    "once": Command(
        ("once", MILVUS), 1, 430,
        frozenset({"yaml", "apscheduler", "httptools", "uvloop", "exporter.web", "exporter.demo", "sqlite3"}),
    ),
    # Without a state file, without web.config_file, and looked at by nobody.
    "run": Command(
        ("run", MILVUS, "--web.listen-address=127.0.0.1:0"), 0, 550,
        frozenset({
            "exporter.demo", "exporter.check", "sqlite3", "bcrypt", "jinja2",
            "exporter.config.web", "exporter.page.answers", "exporter.web.security",
        }),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Start:
    """What a command has imported, and how many objects are left out of the search for garbage and how many are not."""

    command: Command
    modules: set[str]
    left_out: int
    searched: int


def imported(command: Command) -> Start:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MILVUS_")}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(command.arguments)],
        cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert last.startswith("["), done.stderr
    code, modules, left_out, searched = json.loads(last)
    assert code == command.code, done.stderr
    return Start(command, set(modules), left_out, searched)


def below(modules: set[str], package: str) -> list[str]:
    return sorted(module for module in modules if module == package or module.startswith(f"{package}."))


@pytest.fixture(scope="module", params=COMMANDS)
def started(request: pytest.FixtureRequest) -> Start:
    return imported(COMMANDS[request.param])


def test_a_command_imports_no_more_than_its_budget(started: Start) -> None:
    """A start costs what is imported: a module more is a decision, not an accident."""
    command, modules = started.command, started.modules
    packages = sorted({module.partition(".")[0] for module in modules})
    sizes = ", ".join(f"{package} {len(below(modules, package))}" for package in packages)
    assert len(modules) <= command.most, f"{len(modules)} modules, {command.most} are the budget: {sizes}"


def test_a_command_leaves_out_what_others_need(started: Start) -> None:
    never = sorted(started.command.never | NOBODY)
    assert [each for package in never for each in below(started.modules, package)] == []


def test_what_a_daemon_has_imported_is_never_searched_for_garbage(started: Start) -> None:
    """It stays for good: the first search alone would look through all of it before anything is shown."""
    if started.command is COMMANDS["run"]:
        assert started.left_out > 3 * started.searched
