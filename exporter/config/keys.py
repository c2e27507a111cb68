"""The settings as a flat list: each key with its flag, its environment variable and what is said about it.

Read off the models once, so that flags, environment, file, help and docs cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from exporter.config.base import Section
from exporter.config.settings import Settings

PREFIX = "MILVUS_REFRESH_EXPORTER_"

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One setting, before it has a value."""

    path: Path
    meaning: str
    default: str
    """As a user would write it; ``none`` where there is none."""
    metavar: str
    secret: bool
    many: bool
    flag: str
    """Empty for a secret and for what exists in the file only."""
    variables: tuple[str, ...]
    """Names in the environment, the one that wins first."""

    @property
    def dotted(self) -> str:
        """Return the key as it is written in prose: ``poll.stale_after``."""
        return ".".join(self.path)

    @property
    def is_file(self) -> bool:
        """Whether the value names a file."""
        return self.metavar == "FILE"


@dataclass(frozen=True, slots=True)
class Group:
    """A section of the settings: ``()`` is the root."""

    path: Path
    meaning: str


def _walk(model: type[Section], path: Path = (), meaning: str = "") -> Iterator[Key | Group]:
    yield Group(path, meaning)
    for name, field in model.model_fields.items():
        here = (*path, name)
        extra = field.json_schema_extra
        if not isinstance(extra, dict):
            yield from _walk(cast("type[Section]", field.annotation), here, field.description or "")
        else:
            yield _key(here, field.description or "", field.default, extra)


def _key(path: Path, meaning: str, default: object, extra: dict[str, Any]) -> Key:
    many = isinstance(default, tuple)
    written = "none" if default is None else ", ".join(default) if isinstance(default, tuple) else str(default)
    variables = [] if extra["file_only"] else [PREFIX + "__".join(path).upper()]
    if path in {("milvus", name) for name in ("uri", "token", "user", "password")}:
        variables.append("_".join(path).upper())  # the names that people already use for Milvus
    return Key(
        path=path,
        meaning=meaning,
        default=extra["shown_default"] or written,
        metavar=extra["metavar"],
        secret=extra["secret"],
        many=many,
        flag="--" + ".".join(path).replace("_", "-") if extra["flag"] else "",
        variables=tuple(variables),
    )


_ALL = tuple(_walk(Settings))
KEYS: dict[Path, Key] = {entry.path: entry for entry in _ALL if isinstance(entry, Key)}
GROUPS: dict[Path, Group] = {entry.path: entry for entry in _ALL if isinstance(entry, Group)}
