"""Names of databases, collections and aliases: no longer than Milvus allows by default."""

from __future__ import annotations

import hashlib
from typing import Final

LONGEST: Final = 255
"""Characters. A name is a label of every series of its collection."""
_HASH_CHARS: Final = 16
_MOST_KEPT: Final = 1024
_LONGEST_KEPT: Final = 4096
"""Milvus can be configured to allow longer names (``proxy.maxNameLength``), but hardly ones of megabytes."""


def cut(name: str) -> str:
    """Return a name of at most ``LONGEST`` characters. A long one ends in a hash, so that two stay two."""
    if len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{name[: LONGEST - len(digest) - 1]}~{digest}"


class WholeNames:
    """Cuts names that Milvus gives, and knows them whole when Milvus is to be asked by name."""

    def __init__(self) -> None:
        self._whole: dict[str, str] = {}

    def cut(self, name: str) -> str:
        """Return a name as everything behind the client knows it."""
        if len(name) <= LONGEST:
            return name
        short = cut(name)
        if len(name) <= _LONGEST_KEPT and (short in self._whole or len(self._whole) < _MOST_KEPT):
            self._whole[short] = name
        return short

    def whole(self, name: str) -> str:
        """Return a name as Milvus knows it."""
        return self._whole.get(name, name)
