"""The YAML file as leaves with line numbers.

Nothing is constructed: every scalar is taken as written and read by the setting that it is for, so a password of
``0123`` is not a number and ``yes`` is not a boolean by accident. Only known keys are descended into, and only as
deep as a setting can be, so aliases cannot multiply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from exporter.config.keys import GROUPS, KEYS
from exporter.config.keys import Path as KeyPath
from exporter.config.leaf import FileContent, Leaf, Tree, did_you_mean, printable
from exporter.config.targets import OF_ITS_OWN, TARGETS
from exporter.config.values import Unusable
from exporter.errors import may_pass

_LARGEST = 1 << 20
_LONGEST_PATH = 1000
_LONGEST_KEY = 160
_MOST_NODES = 50_000
_NOT_HERE = {("config",), ("config", "file")}
_IN_FILE = tuple(path for path in (*GROUPS, *KEYS) if path and path not in _NOT_HERE)
_IN_TARGET = tuple(path for path in _IN_FILE if path[0] in OF_ITS_OWN)
_DEPTH = 2  # freshness.overrides: a list of mappings
_STANDARD = re.compile("tag:yaml.org,2002:(str|int|float|bool|null|timestamp|merge|value|map|seq)")
_HARMLESS = re.compile(r"[^'\"]*(['\"](.|<[a-z -]+>)['\"][^'\"]*)*")


_EMPTY = "is empty; fill it in, or remove the key"
"""A key with nothing after it is more likely a file that was cut off than a wish; ``null`` is how to ask for none."""


class _Refused(Exception):
    """The file as a whole cannot be used; says why."""

    def __init__(self, why: str, *, may_pass: bool = False) -> None:
        super().__init__(why)
        self.may_pass = may_pass


def read_file(path: Path) -> FileContent:
    """Read the file. Never raises: what is wrong with it is part of the result."""
    name = printable(str(path), _LONGEST_PATH)
    try:
        root = _compose(_read(path))
        return FileContent(*_Walk(name, path.parent).tree(root))
    except _Refused as refusal:
        return FileContent({}, [f"{name}{refusal}"], refusal.may_pass)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise _Refused(f": config.file: cannot be read: {why}", may_pass=may_pass(error)) from None
    if len(content) > _LARGEST:
        raise _Refused(f": config.file: is larger than {_LARGEST} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Refused(f":{line}: config.file: is not UTF-8") from None


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise _Refused(f"{where}: config.file: is not YAML: {_safe_problem(error.problem or '')}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refused(f":{line}: config.file: holds a character that YAML does not allow") from None
    except (RecursionError, yaml.YAMLError):
        raise _Refused(": config.file: is nested too deeply") from None


def _safe_problem(problem: str) -> str:
    """Return PyYAML's words without what it quotes: an unquoted password that begins with * is an alias to it."""
    if "undefined alias" in problem:
        return "a value that begins with * must be quoted"
    if "another document" in problem:
        return "found a second document"
    if "found character '\\t'" in problem:
        return "found a tab; indent with spaces"
    return (
        printable(problem) if _HARMLESS.fullmatch(problem) else re.split("['\"]", problem)[0].strip() + " (not shown)"
    )


class _Walk:
    """One reading of one file: what was found so far, and how much."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._nodes = 0
        self._found: Tree = {}
        self._faults: list[tuple[int, str]] = []

    def tree(self, root: yaml.Node | None) -> tuple[Tree, list[str]]:
        if root is not None and not _is_null(root):
            self._section(root, ())
        return self._found, [fault for _, fault in sorted(self._faults)]

    def _section(self, node: yaml.Node, path: KeyPath, at: KeyPath = ()) -> None:
        """Walk a section. ``at`` is where its target stands, where it is one's."""
        known = _IN_TARGET if at else _IN_FILE
        if not isinstance(node, yaml.MappingNode) or not _STANDARD.fullmatch(node.tag):
            names = ", ".join(here[-1] for here in known if here[:-1] == path)
            named = _dotted((*at, *path)) or "the file"
            self._fault(node, named, f"must be a mapping with some of the keys {names}")
            return
        for key, value in self._entries(node, (*at, *path)):
            here = (*path, key.value)
            if here in _NOT_HERE and not at:
                self._fault(key, _dotted(here), "cannot be set in the file itself")
            elif here not in known:
                self._fault(key, _dotted((*at, *here)), _unknown(here, known))
            elif _is_empty(value):
                self._fault(key, _dotted((*at, *here)), _EMPTY)
            elif here == TARGETS:
                self._targets(value)
            elif here in KEYS:
                self._found[(*at, *here)] = self._leaf(value, _DEPTH, (*at, *here), is_file=KEYS[here].is_file)
            elif not _is_null(value):
                self._section(value, here, at)

    def _targets(self, node: yaml.Node) -> None:
        if _is_null(node):
            return
        if not isinstance(node, yaml.MappingNode) or not _STANDARD.fullmatch(node.tag):
            self._fault(node, "targets", "must be a mapping from names to what is set for each")
            return
        self._found[TARGETS] = Leaf({}, f"{self._name}:{node.start_mark.line + 1}")
        for key, value in self._entries(node, TARGETS):
            at = (*TARGETS, key.value)
            self._found[at] = Leaf(None, f"{self._name}:{key.start_mark.line + 1}")
            if _is_empty(value):
                self._fault(key, _dotted(at), _EMPTY)
            elif not _is_null(value):
                self._section(value, (), at)

    def _entries(self, node: yaml.MappingNode, path: tuple[str, ...]) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Return the entries of a mapping whose keys are text, each key once."""
        lines: dict[str, int] = {}
        entries: list[tuple[yaml.ScalarNode, yaml.Node]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, _dotted(path) or "the file", "has a key that is not text")
            elif key.value in lines:
                self._fault(key, _dotted((*path, key.value)), f"is given twice, first on line {lines[key.value]}")
            else:
                lines[key.value] = key.start_mark.line + 1
                entries.append((key, value))
        return entries

    def _leaf(self, node: yaml.Node, depth: int, path: tuple[str, ...], *, is_file: bool = False) -> Leaf:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _Refused(": config.file: is too large when its aliases are followed")
        origin = f"{self._name}:{node.start_mark.line + 1}"
        if not _STANDARD.fullmatch(node.tag):
            return Leaf(Unusable("has a YAML tag; put a value that begins with ! in quotes"), origin)
        if isinstance(node, yaml.ScalarNode):
            return Leaf(None if _is_null(node) else self._scalar(node.value, is_file=is_file), origin)
        if not depth or (path[-2:] in KEYS and KEYS[path[-2:]].secret):
            return Leaf(Unusable("is not a single value"), origin)
        if isinstance(node, yaml.SequenceNode):
            return Leaf([self._leaf(item, depth - 1, path) for item in node.value], origin)
        entries = self._entries(node, path) if isinstance(node, yaml.MappingNode) else []
        if any(_is_empty(value) for _, value in entries):  # the key is not shown: it may be half of a secret
            self._fault(node, _dotted(path), "has a key with nothing after it; fill it in, or remove the key")
        return Leaf({key.value: self._leaf(value, depth - 1, path) for key, value in entries}, origin)

    def _scalar(self, text: str, *, is_file: bool) -> str:
        # As everywhere in Prometheus's world, a path in a file is relative to that file.
        return str(self._folder / text) if is_file and text else text

    def _fault(self, node: yaml.Node, key: str, problem: str) -> None:
        line = node.start_mark.line + 1
        self._faults.append((line, f"{self._name}:{line}: {key}: {problem}"))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.tag == "tag:yaml.org,2002:null"


def _is_empty(node: yaml.Node) -> bool:
    """Whether nothing at all is written, not even ``null``."""
    return _is_null(node) and not node.value


def _dotted(path: KeyPath) -> str:
    return printable(".".join(path), _LONGEST_KEY)


def _unknown(here: KeyPath, known: Sequence[KeyPath]) -> str:
    if here in _IN_FILE:
        return "is not a target's; it is set for the whole exporter, beside targets"
    return "unknown key" + _hint(here, known)


def _hint(here: KeyPath, known: Sequence[KeyPath]) -> str:
    """Return where the key may belong: the same name elsewhere, or one that is spelt like it."""
    elsewhere = [".".join(path) for path in known if path[-1] == here[-1]]
    if len(elsewhere) == 1:
        return f"; did you mean {elsewhere[0]}?"
    return did_you_mean(".".join(here), map(".".join, known))
