"""The settings in force, to be shown: YAML that reads back as the same settings, but for the secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from exporter.config.base import Section
from exporter.config.connection import Milvus
from exporter.config.keys import KEYS
from exporter.config.settings import Settings
from exporter.config.targets import OF_ITS_OWN, TARGETS
from exporter.config.units import format_bytes, format_duration
from exporter.config.uri import MilvusAddress
from exporter.config.values import ListenAddress

_WORDS: Final = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
"""What YAML takes for something else than text."""


def effective(settings: Settings, *, one_line: bool = False) -> str:
    """Return every setting but ``config.file`` as YAML, secrets and the user info of the URI as ``<secret>``.

    Of a target, what differs from what holds for all; with targets there is no other ``milvus``. ``one_line`` is for a
    log line. A final newline is there without it.
    """
    tree = _shown(settings)
    del tree["config"]
    tree[TARGETS[0]] = _targets(settings) if settings.targets else None
    if settings.targets:
        del tree["milvus"]
    if one_line:
        return _on_one_line(tree)
    import yaml  # noqa: PLC0415  # a start without a file needs none of it: the log's line is written below

    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def _shown(section: Section, path: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: _value(value, (*path, name)) for name, value in section if (*path, name) != TARGETS}


def _targets(settings: Settings) -> dict[str, Any]:
    shared = {**_shown(settings), "milvus": _shown(Milvus(), ("milvus",))}
    return {name: _own(target, shared) for name, target in settings.targets.items()}


def _own(target: Settings, shared: dict[str, Any]) -> dict[str, Any]:
    shown = _shown(target)
    differing = {name: _difference(shown[name], shared[name]) for name in OF_ITS_OWN}
    own = {name: below for name, below in differing.items() if below}
    own.setdefault("milvus", {})["uri"] = shown["milvus"]["uri"]
    return own


def _difference(tree: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            if below := _difference(value, other[name]):
                found[name] = below
        elif value != other[name]:
            found[name] = value
    return found


def _value(value: object, path: tuple[str, ...]) -> object:
    match value:
        case Section():
            return _shown(value, path)
        case tuple():
            return [_value(item, path) for item in value]
    return _scalar(value, path)


def _scalar(value: object, path: tuple[str, ...]) -> object:
    match value:
        case SecretStr():
            return "<secret>"
        case re.Pattern():
            return value.pattern
        case Path() | MilvusAddress() | ListenAddress():
            return str(value)
        case float():
            return format_duration(value)
        case int() if not isinstance(value, bool) and KEYS[path].metavar == "BYTES":
            return format_bytes(value)
    return value


def _on_one_line(value: object) -> str:
    """Return YAML's flow form of what :func:`effective` shows. Quoted is whatever is not plainly a text."""
    match value:
        case None:
            return "null"
        case dict():
            return "{" + ", ".join(f"{_on_one_line(key)}: {_on_one_line(below)}" for key, below in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_on_one_line, value)) + "]"
        case str():
            return _text_on_one_line(value)
    return str(value).lower()


def _text_on_one_line(text: str) -> str:
    bare = text.replace("_", "").replace("/", "")
    # A number has a digit at its end, or begins with 0, as 0xFF does.
    if bare.isascii() and bare.isalnum() and bare[-1].isalpha() and bare[0] != "0" and bare.lower() not in _WORDS:
        return text
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    shown = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in text)
    return '"' + "".join(shown) + '"'
