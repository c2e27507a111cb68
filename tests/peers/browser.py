"""A real Chromium, driven by Playwright, and axe-core for what can be checked of accessibility by a program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.parts import fetched, missing, program

FLAGS = (
    "--no-sandbox",  # as root there is no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",  # a name whose owner has pointed it at this machine
)
AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@contextmanager
def chromium() -> Iterator[Any]:
    """Lend the browser. Playwright downloads none: the system's own is driven."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    path = program("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def axe_source() -> str:
    """Return axe-core as a script for a page."""
    return fetched("axe", "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def axe_faults(page: Any) -> list[str]:
    """Return what axe finds against the page as it is now: rule, how bad, and where."""
    # Evaluated by the driver and not as a script of the page, whose policy would refuse it.
    page.evaluate(axe_source())
    options = {"runOnly": {"type": "tag", "values": AXE_RULES}, "resultTypes": ["violations"]}
    found = page.evaluate(f"async () => (await axe.run(document, {json.dumps(options)})).violations")
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for each in found
        for node in each["nodes"]
    ]
