"""What somebody wants to see: the flags of ``jobs``, read all at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from exporter.errors import UsageError
from exporter.model import Collection, Job, State
from exporter.terminal.visible import visible

FORMS: Final = ("table", "plain", "json")
ROWS: Final = 50
"""Jobs in a table, where nothing is said of it."""
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Which jobs, in which form. Patterns are those of file names (``*``, ``?``), for the whole name, case counts."""

    form: str | None = None
    """One of ``FORMS``; None for a table on a terminal and plain lines elsewhere."""
    watch: bool = False
    failed: bool = False
    databases: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    limit: int | None = None
    """Jobs to show at most; None for ``ROWS`` in a table and all elsewhere."""
    everything: bool = False

    def covers(self, collection: Collection) -> bool:
        """Return whether the name patterns let a collection through."""
        return _matches(collection.database, self.databases) and _matches(collection.name, self.collections)

    def shows(self, job: Job) -> bool:
        """Return whether a job of such a collection is to be shown."""
        return not self.failed or job.state is State.FAILED

    def most(self, form: str) -> int | None:
        """Return how many jobs are shown at most in a form; None for all."""
        if self.everything:
            return None
        return self.limit or (ROWS if form == "table" else None)


def choice_of(flags: argparse.Namespace) -> Choice:
    """Return what the flags of ``jobs`` say. Raises UsageError with all faults."""
    faults = []
    if flags.jobs_output is not None and flags.jobs_output not in FORMS:
        faults.append(f"--output: {visible(flags.jobs_output)!r} is not one of {', '.join(FORMS)}")
    limit = None
    if flags.jobs_limit is not None:
        if flags.jobs_limit.isascii() and flags.jobs_limit.isdigit() and 1 <= int(flags.jobs_limit[:9]) <= _MOST:
            limit = int(flags.jobs_limit[:9])
        else:
            faults.append(f"--limit: {visible(flags.jobs_limit)!r} is no whole number from 1 to {_MOST}")
        if flags.jobs_all:
            faults.append("--limit: has no effect with --all; give one of them")
    if faults:
        raise UsageError(tuple(faults))
    return Choice(
        form=flags.jobs_output,
        watch=flags.jobs_watch,
        failed=flags.jobs_failed,
        databases=tuple(flags.jobs_database or ()),
        collections=tuple(flags.jobs_collection or ()),
        limit=limit,
        everything=flags.jobs_all,
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
