"""Draw the first screen of the list for the README, from the demo's data.

The dashboard's own queries, titles, texts, colours and grid, drawn by a page of ours. Not a Grafana screenshot, and the
picture says so. Needs prometheus and chromium (Debian: apt-get install --no-install-recommends chromium).
"""

# ruff: noqa: S603, S607 - a developer's own programs, by the names that he calls them
from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from dashboards.drawing import page, shortened  # noqa: E402 - the line above says where it is

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PICTURE: Final = ROOT / "docs" / "images" / "dashboard-list.png"
_WIDTH, _HEIGHT = 1680, 976
_LAST_ROW: Final = "History"
"""The first row that is not on the picture."""
_MAX_AGE: Final = "6h"
_PROMETHEUS: Final = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}/*.rules.yml]
scrape_configs:
  - job_name: milvus-refresh
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
"""


def main(arguments: list[str]) -> int:
    """Draw the picture; return the exit code."""
    parser = argparse.ArgumentParser(description="Draw the first screen of the list from the demo's data.")
    parser.add_argument("--to", type=Path, default=PICTURE, help="where to (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=75, help="how long to watch the demo (default: %(default)s)")
    asked = parser.parse_args(arguments)
    lacking = [name for name in ("prometheus", "chromium") if shutil.which(name) is None]
    if lacking:
        sys.stderr.write(f"not installed: {', '.join(lacking)}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="preview-") as folder, _watched(Path(folder)) as ask:
        time.sleep(asked.seconds)
        html = page(_first_screen(), ask, width=_WIDTH, note=_note())
        source = Path(folder) / "page.html"
        source.write_text(html, encoding="utf-8")
        _shoot(source, asked.to)
    sys.stdout.write(f"{asked.to}\n")
    return 0


def _note() -> str:
    version = subprocess.run(["prometheus", "--version"], capture_output=True, text=True, check=True)
    words = (version.stdout or version.stderr).split()
    return (
        f"Drawn by tools/dashboards/preview.py from the data of `demo --freshness.max-age {_MAX_AGE}` in Prometheus "
        f"{words[2]}, with the dashboard's own queries, texts and colours. Not a Grafana screenshot."
    )


def _first_screen() -> list[dict[str, Any]]:
    text = (ROOT / "deploy" / "grafana" / "milvus-refresh-list.json").read_text(encoding="utf-8")
    panels: list[dict[str, Any]] = json.loads(text)["panels"]
    titles = [panel["title"] for panel in panels]
    return panels[: titles.index(_LAST_ROW)]


@contextmanager
def _watched(folder: Path) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Run the demo and a Prometheus that scrapes it. Yields a function from an expression to its result."""
    exporter, port = _free_port(), _free_port()
    config = folder / "prometheus.yml"
    config.write_text(_PROMETHEUS.format(rules=ROOT / "deploy" / "prometheus", exporter=exporter), encoding="utf-8")
    run = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from exporter.cli import main; sys.exit(main())"
    address = f"127.0.0.1:{exporter}"
    demo = [sys.executable, "-c", run, "demo", "--web.listen-address", address, "--freshness.max-age", _MAX_AGE]
    here = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    commands = (demo, ["prometheus", f"--config.file={config}", *here])
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"{len(processes)}.log").open("wb") as log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        yield lambda expression: _ask(port, expression)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def _ask(port: int, expression: str) -> list[dict[str, Any]]:
    body = urllib.parse.urlencode({"query": shortened(expression)}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query", data=body, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


def _shoot(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    command = ["chromium", "--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={_WIDTH},{_HEIGHT}"]
    command += [f"--user-data-dir={source.parent / 'browser'}", f"--screenshot={to}", source.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
