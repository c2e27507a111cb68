"""Secrets to plant in the texts of data/canaries.yaml, and what tells that one of them can be read."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml

SHORTEST = 6
"""Characters of a secret in a row that count as shown: less can be chance, or what is left of a cut."""
WORDS = ("Plum{}CanaryFox", "hunter2canary{}", "BIGCANARY{}WORD", "canary.{}-with_dots~tilde", "Zx9/q{}+CANARY7Kp==")
"""A plain word can only be told by where it stands, the last could be caught by its looks."""
RANDOM = "k7Qm2Zp9Xr4Tt6Vb1Nc8Wd"
_PLACE = re.compile("«([a-z0-9]+)»")
_SHAPES: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "canaries.yaml").read_text(encoding="utf-8")
)
SOURCES = tuple(text for texts in _SHAPES["sources"].values() for text in texts)
REASONS = tuple(text for texts in _SHAPES["reasons"].values() for text in texts)


@dataclass(frozen=True)
class Planted:
    """A text with secrets in it, and all that no output may hold."""

    text: str
    secrets: tuple[str, ...]

    def windows(self) -> frozenset[str]:
        """Return every run of ``SHORTEST`` characters of the secrets, in the forms they were planted in."""
        return frozenset(
            secret[at : at + SHORTEST] for secret in self.secrets for at in range(len(secret) - SHORTEST + 1)
        )

    def seen_in(self, shown: str) -> list[str]:
        """Return the parts of secrets that can be read in ``shown``."""
        return sorted(window for window in self.windows() if window in shown)


def plant(template: str, secret: str) -> Planted:
    """Put a secret into each place of a template, in the form that the place asks for."""
    planted: list[str] = []

    def form(found: re.Match[str]) -> str:
        written = _written(found[1], secret)
        planted.append(written.removeprefix("eyJhbGciOiJIUzI1NiJ9"))
        return written

    return Planted(_PLACE.sub(form, template), tuple(planted))


def _written(form: str, secret: str) -> str:
    pair = f"user:{secret}".encode()
    whole = quote(secret + "/+=", safe="")
    payload = base64.urlsafe_b64encode(f'{{"sub":"{secret}"}}'.encode()).decode().rstrip("=")
    return {
        "s": secret,
        "cut": secret[: max(SHORTEST, len(secret) // 2)],
        "pct": whole,
        "pct2": quote(whole, safe=""),
        "b64": base64.b64encode(pair).decode(),
        "b64url": base64.urlsafe_b64encode(pair).decode(),
        "s64": base64.b64encode(secret.encode()).decode(),
        "hex": (secret.encode().hex() * 3)[:64],
        "jwt": f"eyJhbGciOiJIUzI1NiJ9.{payload}.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "rnd": RANDOM,
    }[form]
