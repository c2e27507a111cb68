"""``targets``: several Milvus by name. Each becomes settings of its own, on top of what is said for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.config.leaf import Leaf, Tree, printable

TARGETS = ("targets",)
OF_ITS_OWN = ("milvus", "poll", "inventory", "filters", "labels", "limits", "freshness", "server")
"""Sections that a target may have."""
FOR_ALL = OF_ITS_OWN[1:]
"""Of these, what is set for all targets at once. Not `milvus`: credentials go to the Milvus that they stand at."""

# Part of a label, of a query and of a file name; no dot, or a target's file could be another one's lock or journal.
_NAME = re.compile("[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Given:
    """What all sources together say of targets."""

    common: Tree
    """Everything but ``targets``."""
    own: Mapping[str, Tree]
    """What each target says, by path below its name."""
    origins: Mapping[str, str]
    """Where each target stands."""
    mapping: Leaf | None = None
    """``targets`` itself, where it is given."""

    @classmethod
    def of(cls, tree: Tree) -> Given:
        """Take a tree apart: below ``targets`` a path has the target's name, and then a path like any other."""
        common = {path: leaf for path, leaf in tree.items() if path[:1] != TARGETS}
        below = {path[1:]: leaf for path, leaf in tree.items() if path[:1] == TARGETS and len(path) > 1}
        origins = {path[0]: leaf.origin for path, leaf in below.items() if len(path) == 1}
        own: dict[str, Tree] = {name: {} for name in origins}
        for path, leaf in below.items():
            if len(path) > 1:
                own[path[0]][path[1:]] = leaf
        return cls(common, own, origins, tree.get(TARGETS))

    def tree(self, name: str) -> Tree:
        """Return what holds for one target: its own before what is said for all, key by key."""
        shared = {path: leaf for path, leaf in self.common.items() if path[0] in (*FOR_ALL, "state")}
        return shared | self.own[name]

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the targets as such."""
        if self.mapping is not None and not self.own:
            yield f"{self.mapping.origin}: targets: is empty; name at least one Milvus, or remove it"
        yield from self._names()
        for name, tree in self.own.items():
            if ("milvus", "uri") not in tree:
                yield f"{self.origins[name]}: targets.{printable(name)}.milvus.uri: is missing"
        if self.own:
            for path, leaf in self.common.items():
                if path[0] == "milvus":
                    key = ".".join(path)
                    yield f"{leaf.origin}: {key}: has no effect with targets; set targets.NAME.{key}"
        elif (shard := self.common.get(("shard", "total"))) and shard.value != "1":
            yield f"{shard.origin}: shard.total: has no effect without targets"

    def _names(self) -> Iterator[str]:
        alike: dict[str, str] = {}
        for name, origin in self.origins.items():
            if not _NAME.fullmatch(name):
                right = "at most 63 letters and digits, with - and _ between them"
                yield f"{origin}: targets.{printable(name)}: is no name of a target; write {right}"
            if alike.setdefault(name.lower(), name) != name:
                # Not every file system tells them apart, and each has a state file.
                yield f"{origin}: targets.{printable(name)}: differs from {printable(alike[name.lower()])} in case only"


def state_file(path: Path, name: str) -> Path:
    """Return where the state of one target is kept: ``state.db`` becomes ``state.NAME.db``."""
    return path.with_name(f"{path.stem}.{name}{path.suffix or '.db'}")
