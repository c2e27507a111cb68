"""Write deploy/grafana/*.json from ``dashboards``, or compare them with it (``--check``).

Needs grafana-foundation-sdk 0.0.21 exactly: its releases of older Grafana schemas have higher version numbers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from dashboards import detail, exporter, frame, overview  # noqa: E402 - the two lines above say where it is

FOLDER = ROOT / "deploy" / "grafana"


def main(arguments: list[str]) -> int:
    """Write or compare the files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write deploy/grafana/*.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a file is out of date")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files are (default: %(default)s)")
    parser.add_argument(
        "--runbooks", default=frame.RUNBOOKS, help="base address of the runbooks (default: %(default)s)"
    )
    parser.add_argument(
        "--exporter", default=frame.EXPORTER, help="address of the exporter's page (default: %(default)s)"
    )
    asked = parser.parse_args(arguments)
    made = {f"{each.UID}.json": each.text(asked.runbooks, asked.exporter) for each in (overview, detail)}
    made[f"{exporter.UID}.json"] = exporter.text()
    late = [name for name, text in made.items() if _read(asked.folder / name) != text]
    if asked.check:
        for name in late:
            sys.stderr.write(f"{asked.folder / name} is out of date: python tools/generate_dashboards.py\n")
        return 1 if late else 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in late:
        (asked.folder / name).write_text(made[name], encoding="utf-8")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
