#!/usr/bin/env python3
"""Make docs/images/page-*.png from the running demonstration: desk light and dark, telephone, one collection.

``make screenshots`` runs it. Needs Chromium (Debian: ``apt-get install chromium``); with the font Inter installed the
pictures look as on most desks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.browser import chromium  # noqa: E402
from peers.exporter import Exporter  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGES: Final = ROOT / "docs" / "images"


class Shot(NamedTuple):
    """One picture. Sizes in CSS pixels."""

    name: str
    path: str
    width: int
    height: int
    scheme: str
    scale: float = 1.0


SHOTS: Final = (
    Shot("page-light", "/", 1360, 900, "light"),
    Shot("page-dark", "/", 1360, 900, "dark"),
    Shot("page-phone", "/", 390, 844, "light", 2.0),
    Shot("page-collection", "/collection?database=analytics&name=inventory", 1360, 900, "light"),
)


def take(browser: Any, base: str, shot: Shot, folder: Path) -> None:
    """Take one picture."""
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,
        device_scale_factor=shot.scale,
    )
    page.goto(base + shot.path, wait_until="networkidle")
    page.screenshot(path=str(folder / f"{shot.name}.png"))
    page.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the demonstration, take every picture, end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where to put them")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        state = ("--state.path", f"{scratch}/state.db")
        with Exporter("", *state, command="demo") as exporter, chromium() as browser:
            exporter.until(lambda now: now.total("jobs") > 0, "jobs")
            for shot in SHOTS:
                take(browser, f"http://127.0.0.1:{exporter.port}", shot, folder)
                print(folder / f"{shot.name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
