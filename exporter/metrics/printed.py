"""Lines of rows, printed once per row and joined once per page: what has not changed is not touched again."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
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

    def with_changes(self, changes: Sequence[_Change]) -> _Text:
        """Return the lines with some rows' anew; the very same object where they say what they said."""
        told = [change for change in changes if not self._says(change)]
        if not told:
            return self
        if told[0][:2] == (0, len(self.lengths)):
            return told[0][2]
        ends, lengths, text = self.ends(), self.lengths[:], memoryview(self.text)
        pieces: list[bytes | memoryview] = []
        running = list(self.running)
        begun = 0
        for first, last, new in told:
            pieces += (text[begun : ends[first]], new.text)
            begun, lengths[first:last] = ends[last], new.lengths
            running = [each for each in running if not first <= each[0] < last]
            running += ((first + row, line) for row, line in new.running)
        running.sort(key=itemgetter(0))
        return _Text(b"".join((*pieces, text[begun:])), lengths, tuple(running))

    def _says(self, change: _Change) -> bool:
        first, last, new = change
        if self.lengths[first:last] != new.lengths:
            return False
        begin = sum(self.lengths[:first])
        if memoryview(self.text)[begin : begin + len(new.text)] != new.text:
            return False
        return [(row - first, line) for row, line in self.running if first <= row < last] == list(new.running)

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


_Change = tuple[int, int, _Text]
"""Rows from one to before another, and what they say now."""


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
        self._pages: list[_Page] = []

    def columns(self, rows: Sequence[Row], now: float) -> list[list[bytes]]:
        """Return the lines of all rows by family, page by page. ``now`` in epoch seconds."""
        self._pages = self._printed_pages(Pages.of(rows).pages, self._pages)
        columns = zip(*(page.columns for page in self._pages), strict=True)
        return [[text.as_of(now) for text in column] for column in columns]

    def _printed_pages(self, pages: Sequence[tuple[Row, ...]], before: Sequence[_Page]) -> list[_Page]:
        same = {id(page.rows): page for page in before}
        made = [same.get(id(page)) for page in pages]
        if len(pages) == len(before):
            made = [there or self._in_place(page, old) for there, page, old in zip(made, pages, before, strict=True)]
        if None in made:
            kept = set(map(id, pages))
            gone = [page for page in before if id(page.rows) not in kept]
            known = {id(row): (page, n) for page in gone for n, row in enumerate(page.rows)}
            return [there or self._printed(page, known) for there, page in zip(made, pages, strict=True)]
        return cast("list[_Page]", made)

    def _in_place(self, rows: tuple[Row, ...], former: _Page) -> _Page | None:
        """Return a page with some rows anew, the others where they stood; None where rows have come, gone or moved."""
        if len(rows) != len(former.rows):
            return None
        anew = [n for n, (new, old) in enumerate(zip(rows, former.rows, strict=True)) if new is not old]
        if not {id(former.rows[n]) for n in anew}.isdisjoint(id(rows[n]) for n in anew):
            return None
        changes = [(first, last, self._texts(rows[first:last])) for first, last in _side_by_side(anew)]
        columns = enumerate(former.columns)
        return _Page(rows, tuple(text.with_changes([(f, to, new[n]) for f, to, new in changes]) for n, text in columns))

    def _printed(self, rows: tuple[Row, ...], known: Mapping[int, tuple[_Page, int]]) -> _Page:
        parts: list[Sequence[_Text]] = []
        ends: dict[int, list[list[int]]] = {}
        for page, first, last in _runs([known.get(id(row)) for row in rows]):
            if page is None:
                parts.append(self._texts(rows[first:last]))
                continue
            if id(page) not in ends:
                ends[id(page)] = [text.ends() for text in page.columns]
            there = zip(page.columns, ends[id(page)], strict=True)
            parts.append([text.part(first, last, places) for text, places in there])
        return _Page(rows, tuple(_joined(column) for column in zip(*parts, strict=True)))

    def _texts(self, rows: Sequence[Row]) -> list[_Text]:
        """Print rows side by side. Returns their lines by family."""
        return [_text(column) for column in zip(*map(self._print, rows), strict=True)]


def _side_by_side(places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield places in a row together: from the first to before the last."""
    first = last = -1
    for place in places:
        if place != last:
            if first >= 0:
                yield first, last
            first = place
        last = place + 1
    if first >= 0:
        yield first, last


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
