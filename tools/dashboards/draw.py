"""Draw dashboards into docs/images: their JSON and query results, by Grafana's components in Chromium.

A recorded day (``recording``) in a real Prometheus (``replay``), and ``drawn/``, which hands each panel with what its
queries find to @grafana/data and @grafana/ui: joins, units, thresholds, mappings and overrides are Grafana's own code,
and so are tables, tiles, bars and graphs. State timelines and heat maps are no part of these libraries; where they
belong, their latest values stand as text. Needs what ``make parts`` fetches, and Debian's chromium.
"""

# ruff: noqa: S603 - a developer's own programs
from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tests")]

from grafana_files import filled, load  # noqa: E402 - the line above says where it is
from peers.browser import chromium  # noqa: E402
from peers.parts import fetched, generations, program  # noqa: E402

from dashboards import recording  # noqa: E402
from dashboards.replay import Asked, replayed  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMAGES: Final = ROOT / "docs" / "images"
_PAGE: Final = Path(__file__).parent / "drawn" / "page.jsx"
_HOST: Final = "http://dashboards.invalid"
_MOST_POINTS: Final = 720
_NOTE: Final = "Drawn with @grafana/ui from a recorded day of the demo; no screenshot of a Grafana server"


class Picture(NamedTuple):
    """One picture: of a dashboard the rows from ``first`` to before ``until``, and what is chosen there."""

    name: str
    dashboard: str
    first: str = ""
    until: str = ""
    chosen: tuple[tuple[str, str], ...] = ()
    theme: str = "dark"
    width: int = 1760


PICTURES: Final = (
    Picture("dashboard-list", "milvus-refresh-list", until="History"),
    Picture("dashboard-list-below", "milvus-refresh-list", first="History"),
    Picture(
        "dashboard-collection",
        "milvus-refresh-collection",
        chosen=(("milvus", "lakehouse"), ("collection", "inventory")),
    ),
    Picture("dashboard-exporter", "milvus-refresh-health"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw every picture; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where to put them")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _draw(folder)
    except pytest.skip.Exception as lacking:
        sys.stderr.write(f"{lacking}\n")
        return 1
    return 0


def _draw(folder: Path) -> None:
    now = time.time() // recording.STEP * recording.STEP
    told = recording.recorded((recording.LAKE, recording.ARCHIVE), now)
    with tempfile.TemporaryDirectory(prefix="dashboards-") as name:
        scratch = Path(name)
        page = Page(scratch)
        with _replayed(told, now, scratch) as asked, chromium() as browser:
            for picture in PICTURES:
                page.shoot(browser, given(picture, asked, now), folder / f"{picture.name}.png")
                print(folder / f"{picture.name}.png")


@contextmanager
def _replayed(told: str, now: float, folder: Path) -> Iterator[Asked]:
    prometheus, promtool = (list(generations(name).values())[-1] for name in ("prometheus", "promtool"))
    with replayed(told, now - recording.DAY, now, folder, prometheus=prometheus, promtool=promtool) as asked:
        yield asked


def given(picture: Picture, asked: Asked, now: float, seconds: int = recording.DAY) -> dict[str, Any]:
    """Return what the page draws from: panels with the results of their queries."""
    dashboard = load(picture.dashboard)
    titles = [panel["title"] for panel in dashboard["panels"]]
    first, until = (titles.index(row) if row else None for row in (picture.first, picture.until))
    shown = dashboard["panels"][first:until]
    span = {"from": now - seconds, "to": now}
    return {
        "title": dashboard["title"],
        "panels": [_with_results(panel, asked, span, picture) for panel in shown],
        "range": span,
        "note": _NOTE,
        "variables": {"runbooks": "https://example.com/runbooks", "source": "All"},
        "width": picture.width,
        "theme": picture.theme,
    }


def _with_results(panel: dict[str, Any], asked: Asked, span: dict[str, float], picture: Picture) -> dict[str, Any]:
    step = _step(panel)
    values = {"__interval": f"{step}s", "__rate_interval": f"{4 * recording.STEP + step}s", "__range": "24h"}
    results, targets = {}, []
    for target in panel.get("targets", ()):
        expr = filled(target["expr"], **values, **dict(picture.chosen))
        results[target["refId"]] = (
            asked.now(expr, span["to"]) if target.get("instant") else asked.course(expr, span["from"], span["to"], step)
        )
        targets.append({**target, "step": step})
    return {"panel": {**panel, "targets": targets}, "results": results}


def _step(panel: dict[str, Any]) -> int:
    """Return the seconds between two points, as Grafana works them out."""
    least = 3600 if panel.get("interval") == "1h" else recording.STEP
    return max(least, recording.DAY // min(panel.get("maxDataPoints") or _MOST_POINTS, _MOST_POINTS))


class Page:
    """The page that draws, bundled anew."""

    def __init__(self, scratch: Path) -> None:
        """Bundle it into a folder."""
        self._library = fetched("grafana-ui", "node_modules/@grafana/ui/package.json").parent
        self._script = scratch / "page.js"
        modules = self._library.parents[1]
        command = [program("node"), str(modules / "esbuild/bin/esbuild"), str(_PAGE), "--bundle", "--format=esm"]
        # Fonts of an editor that no panel has; what they import of React is told to be for production.
        command += [f"--loader:.{kind}=empty" for kind in ("ttf", "woff", "woff2")]
        command += ['--define:process.env.NODE_ENV="production"', f"--outfile={self._script}", "--log-level=error"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={"NODE_PATH": str(modules), "PATH": "/usr/bin:/bin"},
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])

    def shoot(self, browser: Any, what: dict[str, Any], to: Path) -> None:
        """Draw ``what`` and take a picture of all of it. Raises RuntimeError where the page has failed."""
        with self.drawn(browser, what) as page:
            height = page.evaluate("document.getElementById('grid').offsetHeight")
            page.set_viewport_size({"width": what["width"] + 8, "height": height})
            page.wait_for_timeout(500)
            page.screenshot(path=str(to), full_page=True)

    @contextmanager
    def drawn(self, browser: Any, what: dict[str, Any]) -> Iterator[Any]:
        """Lend the page with ``what`` on it. Raises RuntimeError where it has failed."""
        page = browser.new_page(viewport={"width": what["width"] + 8, "height": 1000}, color_scheme=what["theme"])
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.route("**/*", lambda route: self._answer(route, what))
        page.goto(_HOST)
        try:
            page.wait_for_selector("body[data-drawn]", state="attached", timeout=30_000)
        except Exception as late:
            raise RuntimeError(f"not drawn: {faults}") from late
        if faults:
            raise RuntimeError(f"drawn with faults: {faults}")
        yield page
        page.close()

    def _answer(self, route: Any, what: dict[str, Any]) -> None:
        path = route.request.url.removeprefix(_HOST).split("?")[0]
        icon = re.search(r"/img/icons/(.+\.svg)$", path)
        if path in ("", "/"):
            body = _HTML.format(given=json.dumps(what).replace("<", "\\u003c"))
            route.fulfill(content_type="text/html; charset=utf-8", body=body)
        elif path == "/page.js":
            route.fulfill(content_type="text/javascript; charset=utf-8", path=self._script)
        elif path == "/page.css":
            route.fulfill(content_type="text/css; charset=utf-8", path=self._script.with_suffix(".css"))
        elif icon and (self._library / "dist/public/img/icons" / icon[1]).exists():
            route.fulfill(content_type="image/svg+xml", path=self._library / "dist/public/img/icons" / icon[1])
        else:
            route.fulfill(status=404)


_HTML: Final = """\
<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/page.css"><style>body {{ margin: 0 }}</style>
<div id="root"></div><script>window.given = {given};</script><script type="module" src="/page.js"></script>
"""


if __name__ == "__main__":
    sys.exit(main())
