"""The house keeps its own promises: sizes, names, floors, files that a user needs."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from peers.parts import ROOT

PACKAGE = ROOT / "exporter"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "pb" not in path.parts)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = {
    "grpc": ("milvus", "demo"),
    "google": ("milvus", "demo"),
    "apscheduler": ("schedule",),
    "prometheus_client": ("metrics",),
    "httptools": ("web",),
    "signal": ("app", "start", "terminal"),
    "sqlite3": ("ledger",),
    "yaml": ("config",),
    "re2": ("config",),
    "bcrypt": ("web",),
    "jinja2": ("page",),
    "rich": ("terminal",),
    "shtab": ("terminal",),
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_has_under_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_function_is_over_50_lines(path: Path) -> None:
    def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        return (node.end_lineno or node.lineno) - node.lineno + 1

    assert {node.name: length(node) for node in functions(path) if length(node) > 50} == {}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_dependency_is_used_only_in_its_room(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    astray = {module for module in imported(path) if module in ROOMS and room not in ROOMS[module]}
    assert astray == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_command_line_ends_the_process(path: Path) -> None:
    if path.name != "cli.py":
        assert not re.search(r"\bsys\.exit\(|raise SystemExit", path.read_text(encoding="utf-8"))


def test_every_tracked_text_is_free_of_paths_of_a_developers_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    # Built so that this file does not contain what it looks for.
    machine = re.compile(
        "|".join(f"(?<![A-Za-z0-9.]){start}/[a-z]" for start in ("/wo" + "rk", "/ro" + "ot", "/ho" + "me"))
    )
    found = []
    for tracked in listed.stdout.splitlines():
        path = ROOT / tracked
        if path.suffix in {".png", ".svg", ".gz"} or not path.is_file():
            continue
        found += [tracked for line in path.read_text(encoding="utf-8").splitlines() if machine.search(line)]
    assert found == []


@pytest.mark.parametrize("file", ["README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "Dockerfile"])
def test_the_files_that_a_user_looks_for_are_there(file: str) -> None:
    assert (ROOT / file).stat().st_size > 100


@pytest.mark.parametrize(
    "target", ["demo", "test", "check", "proto", "golden", "docs", "parts", "image", "clean", "help"]
)
def test_each_promised_make_target_exists_and_explains_itself(target: str) -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*## \S", rules, re.MULTILINE)


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_license_is_the_declared_one() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("dependency", PROJECT["project"]["dependencies"])
def test_each_dependency_says_why_it_is_there(dependency: str) -> None:
    reasons = ROOT / "docs" / "decisions" / "0003-dependencies.md"
    assert re.split(r"[<>=!; ]", dependency)[0] in reasons.read_text(encoding="utf-8")
