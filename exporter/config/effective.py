"""The settings in force, to be shown: YAML that reads back as the same settings, but for the secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from exporter.config.base import Section
from exporter.config.connection import Milvus
from exporter.config.keys import KEYS
from exporter.config.pattern import Pattern
from exporter.config.settings import Settings
from exporter.config.targets import OF_ITS_OWN, TARGETS
from exporter.config.units import format_bytes, format_duration
from exporter.config.uri import MilvusAddress
from exporter.config.values import ListenAddress


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
    import yaml  # noqa: PLC0415  # not for commands that show no settings

    if one_line:
        return yaml.safe_dump(tree, sort_keys=False, default_flow_style=True, width=float("inf")).strip()
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
        case Pattern():
            return value.pattern
        case Path() | MilvusAddress() | ListenAddress():
            return str(value)
        case float():
            return format_duration(value)
        case int() if not isinstance(value, bool) and KEYS[path].metavar == "BYTES":
            return format_bytes(value)
    return value
