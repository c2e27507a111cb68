"""Where listings are shown: a window that is drawn over, or one text after the other."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live

from exporter.clock import Clock
from exporter.terminal import plain, records
from exporter.terminal.asking import Listing
from exporter.terminal.choice import Choice
from exporter.terminal.overview import overview
from exporter.terminal.table import ASCII, UNICODE, Fitted, table
from exporter.terminal.visible import has_symbols, span

if TYPE_CHECKING:
    from exporter.config import Settings

_PIPE_WIDTH: Final = 120
"""Columns of a table that is asked for where there is no terminal."""
_DRAWN_PER_SECOND: Final = 1
"""Ages go on between two answers."""


class Display:
    """Standard output, in the form that the choice and the terminal call for."""

    def __init__(self, target: str, settings: Settings, choice: Choice, clock: Clock) -> None:
        terminal = sys.stdout.isatty()
        self._target, self._choice, self._clock = target, choice, clock
        self._every, self._stale_after = settings.poll.interval, settings.poll.stale_after
        self._form = choice.form or ("table" if terminal else "plain")
        width = None if terminal or "COLUMNS" in os.environ else _PIPE_WIDTH
        self._console = Console(highlight=False, markup=False, emoji=False, width=width)
        self._symbols = UNICODE if has_symbols() else ASCII
        self._seen = overview(target, Listing(), choice, None)
        drawn_over = choice.watch and terminal and self._form == "table" and not self._console.is_dumb_terminal
        self._live = self._window() if drawn_over else None
        self._first = True

    def screen(self) -> AbstractContextManager[object]:
        """Return what the window is open in; what stood on the terminal before comes back with its end."""
        return self._live or nullcontext()

    def show(self, listing: Listing) -> None:
        """Show what Milvus has said now."""
        self._seen = overview(self._target, listing, self._choice, self._choice.most(self._form))
        if self._live is not None:
            self._live.refresh()
        else:
            self._write(self._clock.wall())
        self._first = False

    def _window(self) -> Live:
        return Live(
            console=self._console, screen=True, refresh_per_second=_DRAWN_PER_SECOND, get_renderable=self._fitted
        )

    def _fitted(self) -> Fitted:
        content = table(self._seen, self._clock.wall(), self._symbols, self._console.width)
        return Fitted(content, f"Asked every {span(self._every)}. Ctrl-C ends.")

    def _write(self, now: float) -> None:
        if self._form == "json":
            taken = self._seen.listing.taken
            stale = taken is None or now - taken > self._stale_after
            sys.stdout.writelines(records.document(self._seen, now, stale=stale, one_line=self._choice.watch))
        else:
            if not self._first:
                sys.stdout.write("\n")
            if self._form == "plain":
                sys.stdout.writelines(f"{line}\n" for line in plain.lines(self._seen, now))
            else:
                self._console.print(table(self._seen, now, self._symbols, self._console.width))
        sys.stdout.flush()
