"""Style, script and icon: served from paths that name their content, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from exporter.web import Handler, Reply, Request

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
}
_FILES: Final = {"style": "page.css", "script": "page.js", "icon": "icon.svg"}
_FOR_EVER: Final = (("cache-control", "public, max-age=31536000, immutable"),)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. ``path`` is relative to the page, so that it holds behind any prefix of a proxy."""

    path: str
    content_type: str
    content: bytes

    def page(self) -> Handler:
        """Return what answers its path."""

        async def answer(_: Request) -> Reply:
            return Reply(200, self.content_type, (self.content,), _FOR_EVER)

        return answer


@cache
def assets() -> dict[str, Asset]:
    """Return the files by what they are for."""
    return {use: _read(name) for use, name in _FILES.items()}


def _read(name: str) -> Asset:
    content = (Path(__file__).parent / "assets" / name).read_bytes()
    stem, _, suffix = name.partition(".")
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(f"assets/{stem}.{digest}.{suffix}", _TYPES[suffix], content)
