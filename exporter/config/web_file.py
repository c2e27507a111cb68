"""From the text of ``web.config_file`` to a checked :class:`WebConfig`, or every fault with its line.

As in the settings' own file, nothing is constructed: every scalar is the text that was written. Never shown: a hash, a
user's name (the two may have been swapped), a key written into the file, the value of an unknown key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from exporter.config.leaf import did_you_mean, printable, quoted
from exporter.config.values import NotThereYet, Unusable
from exporter.config.web import Fault, HttpServer, TlsServer, WebConfig, faults_between
from exporter.errors import may_pass

_LARGEST: Final = 64 * 1024
_MOST_NODES: Final = 10_000
_MOST_BRACKETS: Final = 500
"""PyYAML takes seconds for thousands of open ones, and this file is read while scrapes are served."""
_DEPTH: Final = 3  # http_server_config.headers.NAME
_USERS: Final = "basic_auth_users"
_INLINE: Final = {"cert": "cert_file", "key": "key_file", "client_ca": "client_ca_file"}
_FILES: Final = tuple(("tls_server_config", name) for name in _INLINE.values())
_KNOWN: Final = {
    (): tuple(WebConfig.model_fields),
    ("tls_server_config",): tuple(TlsServer.model_fields),
    ("http_server_config",): tuple(HttpServer.model_fields),
}


class Refused(Exception):
    """The file cannot be used: every fault, each with file, line and key."""

    def __init__(self, faults: tuple[str, ...], *, may_pass: bool = False) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
        self.may_pass = may_pass
        """Whether all of it is files that may be there later."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read: what it says, and on which line each key stands."""

    path: Path
    name: str
    config: WebConfig
    lines: dict[tuple[str, ...], int]

    def blame(self, faults: list[Fault]) -> Refused:
        """Return the refusal for faults that show only once the files are opened."""
        return Refused(_written(self.name, self.lines, {}, faults))


def read_web_config(path: Path) -> Source:
    """Return what the file says. Raises :class:`Refused` with all faults."""
    name = printable(str(path), 1000)
    root = _compose(name, _read(name, path))
    walk = _Walk(path.parent)
    tree = walk.plain(root, ()) if root is not None else None
    if not isinstance(tree, dict) or not tree:
        keys = ", ".join(_KNOWN[()])
        raise Refused((f"{name}: has none of the keys {keys}, and would protect nothing",))
    faults = walk.faults + [((key,), "is empty; fill it, or remove the key") for key in tree if tree[key] is None]
    config: WebConfig | None = None
    passing = False
    try:
        config = WebConfig.model_validate(tree)
        faults += faults_between(config)
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_input=False)
        passing = not faults and all(isinstance(error.get("ctx", {}).get("error"), NotThereYet) for error in errors)
        faults += [_fault(error) for error in errors]
    if config is None or faults:
        raise Refused(_written(name, walk.lines, tree, faults), may_pass=passing)
    return Source(path, name, config, walk.lines)


def _read(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise Refused((f"{name}: cannot be read: {why}",), may_pass=may_pass(error)) from None
    if len(content) > _LARGEST:
        raise Refused((f"{name}: is larger than {_LARGEST} bytes",))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused((f"{name}: is not UTF-8",)) from None


def _compose(name: str, text: str) -> yaml.Node | None:
    if text.count("{") + text.count("[") > _MOST_BRACKETS:
        raise Refused((f"{name}: is not YAML of this kind: more than {_MOST_BRACKETS} brackets",))
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise Refused((f"{name}{where}: is not YAML (the text there is not shown)",)) from None
    except (RecursionError, yaml.YAMLError):
        raise Refused((f"{name}: is not YAML",)) from None


class _Walk:
    """One reading of one file: what was found so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes = 0
        self.lines: dict[tuple[str, ...], int] = {}
        self.faults: list[Fault] = []

    def plain(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        """Return dicts, lists, texts and None for a node and all below it, as deep as the format goes."""
        self._nodes += 1
        self.lines.setdefault(path, node.start_mark.line + 1)
        if self._nodes > _MOST_NODES or len(path) > _DEPTH:
            return Unusable("is more than a setting can hold")
        if not node.tag.startswith("tag:yaml.org,2002:"):
            return Unusable("has a YAML tag; put a value that begins with ! in quotes")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*path, str(number))) for number, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode) or (node.tag == "tag:yaml.org,2002:null" and node.style is None):
            return None
        # As everywhere in Prometheus's world, a path in a file is relative to that file.
        return str(self._folder / node.value) if path in _FILES and node.value else node.value

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            here = (*path, key.value) if isinstance(key, yaml.ScalarNode) else path
            if here == path:
                self.faults.append((path, "has a key that is not text"))
            elif key.value in found:
                self.faults.append((here, f"is given twice, the second time on line {key.start_mark.line + 1}"))
            else:
                self.lines[here] = key.start_mark.line + 1
                found[key.value] = self.plain(value, here)
        return found


def _fault(error: Any) -> Fault:  # pydantic_core's ErrorDetails, whose parts depend on the type
    path = tuple(str(step) for step in error["loc"] if step != "[key]")
    if error["type"] == "extra_forbidden":
        return path, _unknown(path)
    if error["type"] == "model_type":
        return path, f"is not a mapping with some of the keys {', '.join(_KNOWN.get(path, ()))}"
    return path, str(error.get("ctx", {}).get("error") or error["msg"])


def _unknown(path: tuple[str, ...]) -> str:
    *above, name = path
    if above == ["tls_server_config"] and name in _INLINE:
        return f"is not taken; write it to a file of its own and name that in {_INLINE[name]}"
    if path == ("rate_limit",):
        return "is not taken; requests, connections and sign-ins are bounded anyway (docs/web-config.md)"
    return "unknown key" + did_you_mean(name, _KNOWN.get(tuple(above), ()))


def _written(name: str, lines: dict[tuple[str, ...], int], tree: Any, faults: list[Fault]) -> tuple[str, ...]:
    """Return the faults as text, in the order of the lines."""
    texts = []
    for path, problem in faults:
        line = next((lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines), 1)
        texts.append((line, f"{name}:{line}: {_dotted(path)}: {_shown(tree, path, problem)}{problem}"))
    return tuple(text for _, text in sorted(texts))


def _dotted(path: tuple[str, ...]) -> str:
    if not path:
        return "the file"
    # A hash that stands where a key belongs has lost its name or its indentation.
    return _USERS if path[0] == _USERS else printable(".".join("(not shown)" if "$" in step else step for step in path))


def _shown(tree: Any, path: tuple[str, ...], problem: str) -> str:
    """Return the bad value in front of the problem, where it may be shown and there is one."""
    if path and path[0] == _USERS:
        return "an entry " if len(path) > 1 else ""
    if path[:1] not in (("tls_server_config",), ("http_server_config",)) or problem.startswith("unknown key"):
        return ""
    if path[-1] in _INLINE:
        return ""
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else _item(tree, step)
    return f"{quoted(tree)} " if isinstance(tree, str) and "$" not in tree else ""  # a hash in the wrong place


def _item(tree: Any, step: str) -> Any:
    return tree[int(step)] if isinstance(tree, list) and step.isdigit() and int(step) < len(tree) else None
