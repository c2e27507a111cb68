"""Lines of rows, printed once per row and joined once per page: what has not changed is not touched again."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar, cast

from exporter.metrics.text import encoded, number
from exporter.pages import Pages

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Running:
    """A line that counts up while its job is under way: the text before the value, and the job's start."""

    text: str
    start: float

    def line(self, now: float) -> bytes:
        """Return the line as of a moment, in epoch seconds."""
        # Rounded to what Milvus's stamps can say; the difference of two floats has noise behind that.
        return encoded(f"{self.text} {number(max(0.0, round(now - self.start, 3)))}\n")


Line = str | Running
Lines = tuple[Line, ...]
"""What one row adds to each family of its block, in the order of the block; empty where it adds nothing."""


@dataclass(frozen=True, slots=True)
class _Text:
    """The lines of some rows in one family."""

    text: bytes | memoryview
    lengths: array[int]
    """Bytes of the lines of each row."""
    running: tuple[tuple[int, Running], ...] = ()
    """By row, what is running; nothing of it stands in the text."""

    def ends(self) -> list[int]:
        """Return where the lines of each row begin, and after the last one where they end."""
        return list(accumulate(self.lengths, initial=0))

    def part(self, first: int, last: int, ends: Sequence[int]) -> _Text:
        """Return the lines of the rows from ``first`` to before ``last``, without a copy."""
        running = tuple((row - first, line) for row, line in self.running if first <= row < last)
        return _Text(memoryview(self.text)[ends[first] : ends[last]], self.lengths[first:last], running)

    def as_of(self, now: float) -> bytes:
        """Return the lines as of a moment, in epoch seconds."""
        if not self.running:
            return bytes(self.text)
        pieces: list[bytes | memoryview] = []
        begun, ends, text = 0, self.ends(), memoryview(self.text)
        for row, line in self.running:
            pieces += (text[begun : ends[row]], line.line(now))
            begun = ends[row]
        return b"".join((*pieces, text[begun:]))


@dataclass(frozen=True, eq=False, slots=True)
class _Page:
    rows: tuple[object, ...]
    """Held, so that what is found by identity is what was printed."""
    columns: tuple[_Text, ...]


class PrintedPages(Generic[Row]):
    """Prints rows of one kind, one listing of them after the other. A row is the same while it is the same object.

    What is kept is the text of each page and where in it each row stands, so that a new page is made of the pieces of
    former ones and of what is really new.
    """

    def __init__(self, print_row: Callable[[Row], Lines]) -> None:
        self._print = print_row
        self._pages: dict[int, _Page] = {}

    def columns(self, rows: Sequence[Row], now: float) -> list[list[bytes]]:
        """Return the lines of all rows by family, page by page. ``now`` in epoch seconds."""
        pages = {id(page): page for page in Pages.of(rows).pages}
        before = self._pages
        gone = [page for key, page in before.items() if key not in pages]
        known = {id(row): (page, n) for page in gone for n, row in enumerate(page.rows)}
        self._pages = {key: before.get(key) or self._printed(page, known) for key, page in pages.items()}
        columns = zip(*(page.columns for page in self._pages.values()), strict=True)
        return [[text.as_of(now) for text in column] for column in columns]

    def _printed(self, rows: tuple[Row, ...], known: Mapping[int, tuple[_Page, int]]) -> _Page:
        parts: list[Sequence[_Text]] = []
        ends: dict[int, list[list[int]]] = {}
        for page, first, last in _runs([known.get(id(row)) for row in rows]):
            if page is None:
                parts.append([_text(column) for column in zip(*map(self._print, rows[first:last]), strict=True)])
                continue
            if id(page) not in ends:
                ends[id(page)] = [text.ends() for text in page.columns]
            there = zip(page.columns, ends[id(page)], strict=True)
            parts.append([text.part(first, last, places) for text, places in there])
        return _Page(rows, tuple(_joined(column) for column in zip(*parts, strict=True)))


def _runs(places: Sequence[tuple[_Page, int] | None]) -> Iterator[tuple[_Page | None, int, int]]:
    """Yield rows side by side together: the page they stood in and from where to where there, or here if in none."""
    begun = 0
    while begun < len(places):
        place, end = places[begun], begun + 1
        if place is None:
            while end < len(places) and places[end] is None:
                end += 1
            yield None, begun, end
        else:
            page, first = place
            while end < len(places) and places[end] == (page, first + end - begun):
                end += 1
            yield page, first, first + end - begun
        begun = end


def _text(lines: Sequence[Line]) -> _Text:
    """Return what rows side by side add to one family."""
    if Running in set(map(type, lines)):
        running = tuple((row, line) for row, line in enumerate(lines) if isinstance(line, Running))
    else:
        running = ()
    texts = ["" if isinstance(line, Running) else line for line in lines] if running else cast("Sequence[str]", lines)
    text = "".join(texts)
    if text.isascii():  # each character a byte: encoded at once, which is what takes the time
        return _Text(encoded(text), array("I", map(len, texts)), running)
    pieces = [encoded(each) for each in texts]
    return _Text(b"".join(pieces), array("I", map(len, pieces)), running)


def _joined(parts: Sequence[_Text]) -> _Text:
    if len(parts) == 1:
        return _Text(bytes(parts[0].text), parts[0].lengths, parts[0].running)
    lengths = array("I")
    running: list[tuple[int, Running]] = []
    for part in parts:
        running += ((len(lengths) + row, line) for row, line in part.running)
        lengths.extend(part.lengths)
    return _Text(b"".join([part.text for part in parts]), lengths, tuple(running))
