"""What tests of the terminal build from: a listing, and the texts that are drawn of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from builders import DAY, NOON, completed, failed, job, outcome_row
from rich.console import Console

from exporter.model import Collection, FailureClass, Job, State
from exporter.terminal import plain
from exporter.terminal.asking import Listing
from exporter.terminal.choice import Choice
from exporter.terminal.overview import Overview, overview
from exporter.terminal.table import UNICODE, Symbols, table

DENIED = "Access Denied by the bucket"


def listing(*placed: tuple[str, str, Job], **more: Any) -> Listing:
    """Build an answer of now; jobs as database, collection, job, in the order to show."""
    jobs = tuple((Collection(database, name, 7), job) for database, name, job in placed)
    return Listing(**{"up": True, "taken": NOON, "jobs": jobs} | more)


def ordinary(**more: Any) -> Listing:
    """Build one job of each kind; one collection fails for the third time."""
    denied = {"failure_class": FailureClass.ACCESS_DENIED, "reason": DENIED}
    trouble = failed(31, NOON - 60, **denied)
    row = outcome_row("customers", "crm", failing=True, trouble=trouble, consecutive_failures=3)
    return listing(
        ("crm", "customers", trouble),
        ("lake", "clicks", job(21, State.IN_PROGRESS, start=NOON - 200, progress=0.37)),
        ("lake", "orders", completed(11, NOON - 600)),
        ("ml", "images", job(41, State.PENDING, start=NOON - 700, progress=0.0)),
        ("crm", "customers", failed(30, NOON - DAY, **denied)),
        **{"failing": (row,)} | more,
    )


def seen(what: Listing, most: int | None = None, **choice: Any) -> Overview:
    return overview("", what, Choice(**choice), most)


def drawn(
    what: Overview,
    width: int = 120,
    *,
    now: float = NOON,
    symbols: Symbols = UNICODE,
    colours: bool = False,
    **env: str,
) -> str:
    """Return the table as it is written, with its escape sequences where ``colours`` are wanted."""
    system = "truecolor" if colours else None
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=colours,
        color_system=system,
        highlight=False,
        markup=False,
        emoji=False,
        _environ=env,
    )
    console.print(table(what, now, symbols, width))
    return stream.getvalue()


def drawn_lines(what: Overview, width: int = 120, **more: Any) -> list[str]:
    return [line.rstrip() for line in drawn(what, width, **more).splitlines()]


def plain_lines(what: Overview, now: float = NOON) -> Sequence[str]:
    return list(plain.lines(what, now))
