"""Lines of rows, printed once per row and joined once per page: what has not changed is not touched again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.metrics.text import encoded, number
from exporter.pages import Pages

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Running:
    """A line that counts up while its job is under way: the text before the value, and the job's start."""

    text: str
    start: float

    def line(self, now: float) -> bytes:
        """Return the line as of a moment, both in epoch seconds."""
        # Rounded to what Milvus's stamps can say; the difference of two floats has noise behind that.
        return encoded(f"{self.text} {number(max(0.0, round(now - self.start, 3)))}\n")


Line = str | Running
Lines = tuple[Line, ...]
"""What one row adds to each family of its block, in the order of the block; empty where it adds nothing."""
Printed = tuple[bytes | Running, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    rows: tuple[object, ...]
    """Held, so that what is found by identity is what was printed."""
    columns: tuple[bytes | list[bytes | Running], ...]
    """One for each family; in pieces where one of them is running."""


class PrintedPages(Generic[Row]):
    """Prints rows of one kind, one listing of them after the other. A row is the same while it is the same object."""

    def __init__(self, print_row: Callable[[Row], Lines]) -> None:
        self._print = print_row
        self._pages: dict[int, _Page] = {}
        self._lines: dict[int, tuple[Row, Printed]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def columns(self, rows: Sequence[Row], now: float) -> list[list[bytes]]:
        """Return the lines of all rows by family, in pieces. ``now`` in epoch seconds."""
        before, self._pages = self._pages, {}
        fresh: set[int] = set()
        for page in Pages.of(rows).pages:
            known = before.pop(id(page), None)
            if known is None:
                fresh.update(map(id, page))
                known = _Page(page, _columns([self._printed(row) for row in page]))
            self._pages[id(page)] = known
        for gone in before.values():
            for row in gone.rows:
                if id(row) not in fresh:
                    self._lines.pop(id(row), None)
        pages = [page.columns for page in self._pages.values()]
        return [[_as_of(piece, now) for piece in column] for column in zip(*pages, strict=True)]

    def _printed(self, row: Row) -> Printed:
        known = self._lines.get(id(row))
        if known is None:
            lines = tuple(line if isinstance(line, Running) else encoded(line) for line in self._print(row))
            known = self._lines[id(row)] = (row, lines)
        return known[1]


def _columns(rows: Sequence[Printed]) -> tuple[bytes | list[bytes | Running], ...]:
    return tuple(_joined(column) for column in zip(*rows, strict=True))


def _joined(column: tuple[bytes | Running, ...]) -> bytes | list[bytes | Running]:
    try:
        return b"".join(column)  # type: ignore[arg-type]  # where it cannot be, it says so
    except TypeError:
        return list(column)


def _as_of(piece: bytes | list[bytes | Running], now: float) -> bytes:
    if isinstance(piece, bytes):
        return piece
    return b"".join(line if isinstance(line, bytes) else line.line(now) for line in piece)
