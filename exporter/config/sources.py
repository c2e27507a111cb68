"""The command line and the environment as leaves."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence

from exporter.config.keys import GROUPS, KEYS, PREFIX, Key
from exporter.config.leaf import Leaf, Tree, did_you_mean, printable
from exporter.config.targets import TARGETS
from exporter.config.values import Unusable

# A Kubernetes Service puts variables into every pod of its namespace, and one named after us gets our prefix.
_SERVICE_LINK = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
_FLAG_NAME = re.compile("--[A-Za-z][A-Za-z0-9._-]{0,60}")
_FLAGS = {key.flag: key for key in KEYS.values() if key.flag}
_FLAGLESS = {"--" + key.dotted.replace("_", "-"): key for key in KEYS.values() if not key.flag}
_SECRET_FLAGS = tuple(name for name, key in _FLAGLESS.items() if key.secret)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give a parser one flag for each setting that may have one, in a group for each section."""
    parser.allow_abbrev = False  # a new setting must not change what an abbreviation means
    for path, group in GROUPS.items():
        keys = [key for key in KEYS.values() if key.path[:-1] == path and key.flag]
        if keys:
            section = parser.add_argument_group(".".join(path), group.meaning.replace("%", "%%"))
            for key in keys:
                section.add_argument(key.flag, dest=key.dotted, metavar=key.metavar, action="append", help=_help(key))


def _help(key: Key) -> str:
    meaning = key.meaning.replace("`", "")
    default = "" if key.default == "none" else f" Default: {key.default}."
    return (meaning + (" Repeatable." if key.many else "") + default).replace("%", "%%")


def read_flags(namespace: argparse.Namespace, unknown: Sequence[str]) -> tuple[Tree, list[str]]:
    """Return what the flags say, and what is wrong with what argparse did not know."""
    found: Tree = {}
    faults: list[str] = []
    given = vars(namespace)
    for key in _FLAGS.values():
        values: list[str] | None = given.get(key.dotted)
        if values is None:
            continue
        if len(values) > 1 and not key.many:
            faults.append(f"{key.flag}: {key.dotted}: is given {len(values)} times")
        items = [Leaf(value, key.flag) for value in values]
        found[key.path] = Leaf(list(items), key.flag) if key.many else items[-1]
    return found, faults + _unknown_flags(unknown)


def _unknown_flags(unknown: Sequence[str]) -> list[str]:
    """Write faults about arguments nobody knows. What may be the value of a misspelt secret is never shown."""
    if not unknown:
        return []
    from difflib import get_close_matches  # noqa: PLC0415  # for faults alone

    faults: list[str] = []
    before = ""
    for argument in unknown:
        name, equals, _ = argument.partition("=")
        is_flag = _FLAG_NAME.fullmatch(name) is not None
        if before and (not is_flag or get_close_matches(before, _SECRET_FLAGS)):
            before = ""  # the value of the flag before; a secret may look like a flag itself
        elif is_flag:
            faults.append(_unknown_flag(name))
            before = "" if equals else name
        else:
            faults.append("command line: an argument that is not a flag (not shown)")
    return faults


def _unknown_flag(name: str) -> str:
    key = _FLAGLESS.get(name.replace("_", "-"))
    if key is not None and key.secret:
        file = ".".join((*key.path[:-1], key.path[-1] + "_file"))
        return f"{name}: has no flag, since process lists show flags; use {key.variables[-1]} or {file}"
    if key is not None:
        return f"{name}: has no flag; set {key.dotted} in the file"
    return f"{name}: unknown flag{did_you_mean(name.replace('_', '-'), _FLAGS, '--')}"


def read_environment(environ: Mapping[str, str]) -> tuple[Tree, list[str]]:
    """Return what the environment says and what is wrong with it. An empty variable is one that is not set."""
    found: Tree = {}
    faults: list[str] = []
    names = {name: key for key in KEYS.values() for name in key.variables}
    for key in KEYS.values():
        name = next((name for name in key.variables if environ.get(name)), None)
        if name is not None:
            found[key.path] = _from_variable(key, name, environ[name])
    for name in sorted(environ):
        rest = name[len(PREFIX) :]
        if name.upper().startswith(PREFIX) and name not in names and not _SERVICE_LINK.fullmatch(rest):
            faults.append(f"{printable(name)}: {_unknown_variable(rest, names)}")
    return found, faults


def _unknown_variable(rest: str, names: Mapping[str, Key]) -> str:
    path = tuple(rest.lower().split("__"))
    path = TARGETS if path[:1] == TARGETS else path
    if path in KEYS and not KEYS[path].variables:
        return f"has no environment variable; set {KEYS[path].dotted} in the file"
    return "unknown environment variable" + did_you_mean(rest.upper(), names, PREFIX)


def _from_variable(key: Key, name: str, text: str) -> Leaf:
    if not key.many:
        return Leaf(text, name)
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return Leaf(Unusable('is not a JSON list of texts; write ["..."]', text), name)
    return Leaf([Leaf(item, name) for item in items], name)
