"""The text of rows: printed once per row, and joined once while no row of its kind has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Row = TypeVar("Row")
Texts = tuple[bytes, ...]
"""What one row adds to each family of its block, in the order of the block; empty where it adds nothing."""


class RowTexts(Generic[Row]):
    """Prints rows of one kind, one listing of them after the other. A row is the same while it is the same object."""

    def __init__(self, print_row: Callable[[Row], Texts]) -> None:
        self._print = print_row
        self._rows: Sequence[Row] = ()
        self._texts: dict[int, tuple[Row, Texts]] = {}
        """By identity. Each row is held, so that no other can take its place in memory."""
        self._families: list[Texts] = []
        self._joined: dict[int, bytes] = {}

    def take(self, rows: Sequence[Row]) -> None:
        """Print those of the rows that are new."""
        if rows is self._rows:
            return
        known, print_row = self._texts, self._print
        self._texts = {id(row): known.get(id(row)) or (row, print_row(row)) for row in rows}
        self._families = list(zip(*(texts for _, texts in self._texts.values()), strict=True))
        self._rows, self._joined = rows, {}

    def of_each(self, family: int) -> Texts:
        """Return what each row adds to a family, by its number in the block."""
        return self._families[family] if self._families else ()

    def of_all(self, family: int, *, keep: bool) -> bytes:
        """Return the text of a family. ``keep`` it for the next time, where somebody holds it anyway."""
        text = self._joined.get(family)
        if text is None:
            text = b"".join(self.of_each(family))
            if keep:
                self._joined[family] = text
        return text
