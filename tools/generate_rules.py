"""Write the rule file and the PrometheusRule manifest from tools/rules; with --check, exit 1 if they are out of date.

``--set jobs=my-exporter`` (repeatable) replaces a parameter of ``tools/rules/parameters.py``, and ``--to FOLDER``
writes somewhere else: for rules with names and thresholds of your own.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from rules import Parameters, groups  # noqa: E402
from rules.rendering import manifest, rule_file  # noqa: E402

RULES = "prometheus/milvus-refresh.rules.yml"
MANIFEST = "kubernetes/components/prometheus-operator/prometheusrule.yaml"


def texts(p: Parameters) -> dict[str, str]:
    """Return every file by its path under ``deploy``."""
    made = groups(p)
    return {RULES: rule_file(made, p), MANIFEST: manifest(made, p)}


def parameters(settings: list[str]) -> Parameters:
    """Return the defaults with ``NAME=VALUE`` put in. Raises ``ValueError`` that says what is wrong."""
    defaults = Parameters()
    known = {field.name: getattr(defaults, field.name) for field in dataclasses.fields(defaults)}
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in known:
            raise ValueError(f"--set {setting}: write NAME=VALUE with one of {', '.join(known)}")
        kind = type(known[name])
        try:
            changes[name] = tuple(value.split(",")) if kind is tuple else kind(value)
        except ValueError:
            raise ValueError(f"--set {setting}: {value!r} is no {kind.__name__}") from None
        if kind in (int, float) and changes[name] < 0:
            raise ValueError(f"--set {setting}: must not be negative")
    return dataclasses.replace(defaults, **changes)


def main(arguments: list[str] | None = None) -> int:
    """Return 0, 1 for files that are out of date, 2 for a parameter that does not exist."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--to", type=Path, default=ROOT / "deploy", metavar="FOLDER")
    given = parser.parse_args(arguments)
    try:
        made = texts(parameters(given.set))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    old = [path for path, text in made.items() if not _says(given.to / path, text)]
    if given.check:
        for path in old:
            print(f"{given.to / path} is out of date: run tools/generate_rules.py", file=sys.stderr)
        return 1 if old else 0
    for path in old:
        (given.to / path).parent.mkdir(parents=True, exist_ok=True)
        (given.to / path).write_text(made[path], encoding="utf-8")
    return 0


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
