"""What a shell needs to complete a command line of ours, made from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

import shtab

from exporter.terminal.choice import FORMS

VALUES: Final = {
    "inventory.enabled": ("true", "false"),
    "inventory.unseen_collections": ("dropped", "hidden"),
    "labels.source": ("path", "bucket", "none"),
    "labels.failure_reason": ("safe", "none"),
    "log.level": ("debug", "info", "warning", "error"),
    "log.format": ("text", "json"),
    "jobs_output": FORMS,
}
"""The words that a flag takes, by its destination. Configuration judges them itself, so the parser does not know."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for bash, zsh or fish. Changes the parser, which is of no use for parsing then."""
    for action in _actions(parser):
        if action.dest in VALUES:
            action.choices = VALUES[action.dest]
        elif action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
        if action.help:
            action.help = _first_sentence(action.help)
    return shtab.complete(parser, shell)


def _actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    for action in parser._actions:  # argparse offers no other way to see them
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")
