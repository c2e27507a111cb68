"""From the sources to settings, with every fault at once: flag beats environment beats file beats default."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exporter.config.keys import KEYS, Key
from exporter.config.leaf import FileContent, Leaf, Tree, did_you_mean, find, plain, printable, shown
from exporter.config.settings import Override, Settings
from exporter.config.sources import read_environment, read_flags
from exporter.config.targets import Given, state_file
from exporter.config.values import NotThereYet
from exporter.errors import NotYetUsable, UsageError

_FILE = ("config", "file")
_LONGEST_KEY = 160


def load(namespace: argparse.Namespace, unknown: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings that flags, environment and file make together.

    ``namespace`` and ``unknown`` are what ``parse_known_args`` of a parser with :func:`add_flags` has returned.
    Raises UsageError with all faults: ``ORIGIN: KEY: what is wrong and what would be right``. Where each of them may
    pass, such as a file that is not there yet, it is NotYetUsable.
    """
    flags, flag_faults = read_flags(namespace, unknown)
    variables, variable_faults = read_environment(environ)
    named = flags.get(_FILE) or variables.get(_FILE)
    file = _read_named(named)
    given = Given.of(file.tree | variables | flags)
    common, errors = _validate(given.common)
    faults = {_fault(error, given.common): _may_pass(error) for error in errors}
    targets, target_faults = _targets(given, frozenset(faults), common)
    lasting = dict.fromkeys([*flag_faults, *variable_faults], False)
    faults = lasting | dict.fromkeys(file.faults, file.may_pass) | faults
    faults |= dict.fromkeys(given.faults(), False) | target_faults
    if common is None or faults:
        raise (NotYetUsable if all(faults.values()) else UsageError)(tuple(faults))
    return common.completed(targets, file_is_empty=named is not None and not file.tree)


def _read_named(named: Leaf | None) -> FileContent:
    if named is None or not isinstance(named.value, str) or not named.value:
        return FileContent({}, [])
    from exporter.config.file import read_file  # noqa: PLC0415  # brings YAML, for those who have a file

    return read_file(Path(named.value))


def _targets(
    given: Given, known: frozenset[str], common: Settings | None
) -> tuple[dict[str, Settings], dict[str, bool]]:
    """Return the settings of each target, and the faults with whether each may pass.

    Faults in what is set for all of them are ``known``, and not repeated.
    """
    targets: dict[str, Settings] = {}
    faults: dict[str, bool] = {}
    path = common.state.path if common else None
    for name in given.own:
        tree = given.tree(name)
        settings, errors = _validate(tree)
        for error in errors:
            if _fault(error, tree) not in known:
                faults[_fault(error, tree, ("targets", name))] = _may_pass(error)
        if settings is not None:
            state = settings.state.model_copy(update={"path": state_file(path, name) if path else None})
            targets[name] = settings.model_copy(update={"state": state})
    return targets, faults


def _validate(tree: Tree) -> tuple[Settings | None, list[Any]]:
    nested: dict[str, Any] = {}
    for path, leaf in tree.items():
        section = nested
        for name in path[:-1]:
            section = section.setdefault(name, {})
        section[path[-1]] = plain(leaf)
    try:
        return Settings.model_validate(nested), []
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_input=False)
        return None, [error for error in errors if error["type"] != "default_factory_not_called"]


def _may_pass(error: Any) -> bool:
    return isinstance(error.get("ctx", {}).get("error"), NotThereYet)


def _fault(error: Any, tree: Tree, at: tuple[str, ...] = ()) -> str:
    """Word one of pydantic_core's ErrorDetails, whose parts depend on the type. ``at`` is where the tree stands."""
    steps: tuple[str | int, ...] = error["loc"]
    context: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "blame":
        steps = (*steps[:-1], *context["field"].split("."))
    path = next((path for path in KEYS if steps[: len(path)] == path), ())
    leaf = find(tree.get(path, Leaf(None, "default")), steps[len(path) :])
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in (*at, *steps)).lstrip(".")
    return f"{leaf.origin}: {printable(where, _LONGEST_KEY)}: {_problem(error, leaf, KEYS.get(path))}"


def _problem(error: Any, leaf: Leaf, key: Key | None) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"unknown key{did_you_mean(str(error['loc'][-1]), Override.model_fields)}"
        case "model_type":
            return f"is not a mapping; write {{{', '.join(Override.model_fields)}}}"
        case "blame" if key is not None and key.secret:
            return str(error["ctx"]["problem"])
    context = error.get("ctx", {})
    problem = context.get("error") or context.get("problem") or error["msg"]
    return f"{shown(leaf, key)} {problem}".lstrip()
