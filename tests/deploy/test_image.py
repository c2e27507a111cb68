"""The image's files: linted, pinned, and free of what only one machine knows. `make image-check` builds and runs it."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from peers.parts import ROOT, fetched

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


def canonical(requirement: str) -> str:
    """Return the name in a requirement as indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!;\[ ]", requirement)[0]).lower()


def pinned(file: Path) -> dict[str, list[str]]:
    """Return name==version -> hashes."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if named := re.match(r"^([A-Za-z0-9._-]+==\S+)", line):
            name = named[1]
            found[name] = []
        found.setdefault(name, []).extend(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    found.pop("", None)
    return found


def linted(file: Path) -> str:
    done = subprocess.run(
        [str(fetched("deploy", "bin/hadolint")), "--no-fail", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.real
def test_hadolint_has_nothing_to_say() -> None:
    assert linted(ROOT / "Dockerfile") == ""


@pytest.mark.real
def test_hadolint_would_notice_an_unpinned_package(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13-slim\nRUN pip install requests\n", encoding="utf-8")
    assert "DL3013" in linted(tmp_path / "Dockerfile")


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_has_a_version_and_hashes_and_no_address(file: Path) -> None:
    found = pinned(file)
    assert found
    assert [name for name, hashes in found.items() if not hashes] == []
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|\bfile:", file.read_text("utf-8"))


def test_what_the_project_needs_is_what_the_image_installs() -> None:
    """After a change of the dependencies: `make requirements`."""
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["fast"]]
    have = {canonical(name) for name in pinned(ROOT / "requirements" / "image.txt")}
    assert {canonical(each) for each in wanted} - have == set()


def test_nothing_is_installed_without_a_hash() -> None:
    for line in re.sub(r"\\\n", "", DOCKERFILE).splitlines():
        for command in line.split("&&"):
            if " install " in command:
                assert "--require-hashes" in command or "--no-deps --no-index" in command, command


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source.removeprefix("./").rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert "*" in ignored
    assert let_in == copied
    assert all((ROOT / each).exists() for each in copied)


def test_it_runs_as_a_number_that_is_not_root_and_asks_our_own_command_for_its_health() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert 'CMD ["milvus-refresh-exporter", "health"]' in last
    assert 'ENTRYPOINT ["milvus-refresh-exporter"]' in last  # no shell between the engine's SIGTERM and the daemon
    assert "RUN" not in re.sub(r"#.*", "", last)
