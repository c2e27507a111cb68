"""The shipped rules do what tests/rules says, on every generation of Prometheus that is here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from peers.parts import ROOT, generations, missing

pytestmark = pytest.mark.real

SHIPPED = ROOT / "deploy" / "prometheus"
RULES = "milvus-refresh.rules.yml"
TESTS = sorted(path.name for path in (ROOT / "tests" / "rules").glob("*.test.yml"))

MUTATIONS = {
    "earlier instead of later": (">\n          (", "<\n          ("),
    "not strictly later": (">\n          (", ">=\n          ("),
    "replicas apart": ("without (instance, pod)", "without (pod)"),
    "pods apart": ("without (instance, pod)", "without (instance)"),
    "job lost": ("without (instance, pod)", "without (instance, pod, job)"),
    "the lesser of two replicas": ("max without", "min without"),
    "only where there was a success": (
        "            or\n              0 * max",
        "            and\n              0 * max",
    ),
    "not kept firing": ("        keep_firing_for: 5m\n", ""),
    "kept firing for long": ("keep_firing_for: 5m", "keep_firing_for: 1h"),
    "waiting": ("        keep_firing_for: 5m\n", "        for: 5m\n        keep_firing_for: 5m\n"),
    "another severity": ("severity: warning", "severity: critical"),
    "reason of any Milvus": ("milvus=%q,", ""),
    "reason of any job": ("job=%q,milvus=%q", "milvus=%q"),
    "no reason": ("{{- if $reason }}", "{{- if false }}"),
    "no source": ("{{- with $source }}", '{{- with "" }}'),
    "the success's time": ("$value | humanizeTimestamp", "0.0 | humanizeTimestamp"),
}


def promtool(release: str) -> str:
    return generations("promtool").get(release) or missing(f"there is no promtool of {release}")


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("release", ["system", "debian-trixie", "debian-forky"])
def test_rules_and_example_configuration_are_valid(release: str) -> None:
    program = promtool(release)
    for arguments in (("check", "rules", SHIPPED / RULES), ("check", "config", SHIPPED / "prometheus.example.yml")):
        done = run(program, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("release", ["system", "debian-trixie", "debian-forky"])
@pytest.mark.parametrize("cases", TESTS)
def test_rules_behave_as_their_tests_say(release: str, cases: str) -> None:
    done = run(promtool(release), "test", "rules", ROOT / "tests" / "rules" / cases)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("old", "new"), MUTATIONS.values(), ids=MUTATIONS)
def test_each_fault_put_into_the_rules_is_caught(tmp_path: Path, old: str, new: str) -> None:
    """Otherwise a rule could lose a condition and its tests would go on passing."""
    program = promtool("system")
    shipped = (SHIPPED / RULES).read_text(encoding="utf-8")
    assert old in shipped, "the mutation no longer applies: rewrite it"
    changed = shipped.replace(old, new)
    if "=%q" in old:
        # One matcher less needs one argument less.
        gone = "$labels.milvus" if old.startswith("milvus") else "$labels.job"
        changed = changed.replace("$labels.job $labels.milvus ", "$labels.job $labels.milvus ".replace(f"{gone} ", ""))
    (tmp_path / "deploy" / "prometheus").mkdir(parents=True)
    (tmp_path / "deploy" / "prometheus" / RULES).write_text(changed, encoding="utf-8")
    shutil.copytree(ROOT / "tests" / "rules", tmp_path / "tests" / "rules")
    assert run(program, "check", "rules", tmp_path / "deploy" / "prometheus" / RULES).returncode == 0
    done = run(program, "test", "rules", *sorted((tmp_path / "tests" / "rules").glob("*.test.yml")))
    assert done.returncode != 0, "no test noticed"
