"""The texts of data/redaction, and what of each must not be seen. Its README says where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "redaction"
SHORTEST = 6
"""Characters of a secret in a row that count as shown."""


def entries(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


SECRETS, HARMLESS = entries("secrets.jsonl"), entries("harmless.jsonl")


def parts(canary: str) -> set[str]:
    """Return each run of six characters of the words of a secret."""
    return {
        word[at : at + SHORTEST]
        for word in canary.lower().split()
        for at in range(max(1, len(word) - SHORTEST + 1))
        if len(word) >= SHORTEST - 1
    }
