"""Kubernetes objects as kubectl and helm make them, without a network and without a cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from peers.parts import ROOT, fetched

KUSTOMIZE = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "milvus-refresh-exporter"
OVERLAYS = sorted(path.parent.name for path in KUSTOMIZE.glob("overlays/*/kustomization.yaml"))
VALUES = sorted(CHART.glob("ci/*-values.yaml"))
RELEASE = "milvus-refresh-exporter"
NAMESPACE = "milvus"

Objects = list[dict[str, Any]]


def run(part: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a part that was fetched."""
    line = [str(fetched(part, program)), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def objects(text: str) -> Objects:
    return [each for each in yaml.safe_load_all(text) if each]


def kustomize(folder: Path) -> Objects:
    """Return what ``kubectl apply -k`` would send."""
    done = run("kubernetes", "kubectl", "kustomize", str(folder))
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return objects(done.stdout)


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("kubernetes", "helm", "template", RELEASE, str(CHART), "--namespace", NAMESPACE, *arguments)


def helm(values: Path | None = None, *arguments: str) -> Objects:
    """Return what ``helm install`` would send."""
    done = template(*(["--values", str(values)] if values else []), *arguments)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def rendered() -> dict[str, Objects]:
    """Return every shipped way to say it, by name."""
    made = {f"kustomize {name}": kustomize(KUSTOMIZE / "overlays" / name) for name in OVERLAYS}
    made["kustomize base"] = kustomize(KUSTOMIZE / "base")
    made["helm default"] = helm()
    for values in VALUES:
        made[f"helm {values.name.removesuffix('-values.yaml')}"] = helm(values)
    return made


def of_kind(made: Objects, *kinds: str) -> Objects:
    return [each for each in made if each["kind"] in kinds]


def workload(made: Objects) -> dict[str, Any]:
    """Return the Deployment or StatefulSet."""
    (found,) = of_kind(made, "Deployment", "StatefulSet")
    return found


def write(made: Objects, folder: Path) -> list[Path]:
    """Write each object into a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}-{each['kind']}.json" for number, each in enumerate(made)]
    for path, each in zip(paths, made, strict=True):
        path.write_text(json.dumps(each), encoding="utf-8")
    return paths


def names(made: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(f"{each['kind']}/{each['metadata']['name']}" for each in made)
