"""The guides below docs/deploy: what they link to is there, and so is what they tell a reader to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from peers.parts import ROOT

GUIDES = sorted((ROOT / "docs" / "deploy").glob("*.md"))
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_link_of_a_guide_leads_somewhere(guide: Path) -> None:
    for target in re.findall(r"\]\((?!https://)([^)]+)\)", guide.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = (guide.parent / path).resolve() if path else guide
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_target_and_tool_that_a_guide_names_is_there(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    assert set(re.findall(r"\bmake ([a-z-]+)\b(?=[`\s])", "\n".join(re.findall(r"`[^`]+`", text)))) <= TARGETS
    for path in re.findall(r"\b((?:tools|benchmarks|deploy|tests)/[\w./-]+\.\w+)", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (benchmarks[\w.]*)", text):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists() or (ROOT / module).is_dir(), module
