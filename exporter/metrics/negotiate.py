"""Which format and which encoding a caller gets, by the quality values of RFC 9110."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from exporter.metrics.text import Format

_MAX_HEADER: Final = 4096
# Each of the few that scrape sends the same headers every time.
_remembered = lru_cache(maxsize=32)


@_remembered
def choose_format(accept: str) -> Format:
    """Return the acceptable format the caller likes best; plain text 0.0.4 where nothing fits.

    A monitoring endpoint that answers 406 helps nobody, so whoever asks for something else gets plain text.
    """
    best, best_quality = Format.TEXT_0_0_4, 0.0
    for name, parameters in _items(accept):
        found = _format(name, parameters.get("version", ""))
        quality = _quality(parameters)
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


@_remembered
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the caller takes gzip, and likes plain bytes no better."""
    qualities = {name: _quality(parameters) for name, parameters in _items(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def _format(name: str, version: str) -> Format | None:
    if name == "application/openmetrics-text":
        return Format.OPENMETRICS if version in ("", "1.0.0") else None
    if name == "text/plain":
        return Format.TEXT_1_0_0 if version == "1.0.0" else Format.TEXT_0_0_4 if version in ("", "0.0.4") else None
    return Format.TEXT_0_0_4 if name in ("text/*", "*/*") else None


def _items(header: str) -> list[tuple[str, dict[str, str]]]:
    items = []
    if len(header) > _MAX_HEADER:
        header = header[:_MAX_HEADER].rpartition(",")[0]  # half an item may mean the opposite of the whole
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        items.append((name, {key.strip(): value.strip().strip('"') for key, _, value in pairs}))
    return items


def _quality(parameters: dict[str, str]) -> float:
    text = parameters.get("q", "1")
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
