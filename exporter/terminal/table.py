"""Jobs as a table for eyes: a line a job, and below it what there is to say of one that runs or has failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text

from exporter.model import Collection, Job, State
from exporter.terminal import words
from exporter.terminal.asking import Placed
from exporter.terminal.overview import Overview
from exporter.terminal.visible import ago, span, visible

STYLES: Final[Mapping[State, str]] = {
    State.PENDING: "yellow",
    State.IN_PROGRESS: "cyan",
    State.COMPLETED: "green",
    State.FAILED: "bold red",
    State.UNKNOWN: "magenta",
}
_COLUMNS: Final = ("STATE", "DATABASE", "COLLECTION", "SOURCE", "STARTED", "TOOK")
_FOLDED: Final = ("DATABASE", "COLLECTION", "SOURCE")
_GAP: Final = 2
_BAR: Final = 24
_INDENT: Final = 4
_ROOM: Final = {"SOURCE": 100, "TOOK": 60, "STARTED": 46}
"""Columns of a window that each of these needs; without, the source stands below a job that has not completed."""
_LEAST: Final = 8
"""Columns that a name keeps in the narrowest window."""


@dataclass(frozen=True, slots=True)
class Symbols:
    """What stands for a state, so that colour alone never does, and what a bar is made of."""

    states: Mapping[State, str]
    done: str
    left: str


UNICODE: Final = Symbols(dict(zip(State, "○▸✓✗?", strict=True)), "━", "╌")
ASCII: Final = Symbols(dict(zip(State, ".>+x?", strict=True)), "#", "-")


def table(seen: Overview, now: float, symbols: Symbols, width: int) -> Group:
    """Return everything to be drawn on ``width`` columns. ``now`` in epoch seconds."""
    parts: list[RenderableType] = [_notice(notice) for notice in words.notices(seen, now)]
    parts += _headline(seen, symbols, width)
    if troubled := words.failing(seen):
        parts.append(Text(troubled, style="red"))
    if nothing := words.nothing(seen):
        parts += [Text(), Text(nothing)]
    else:
        parts += [Text(), *_jobs(seen, now, symbols, width)]
    if rest := words.rest(seen):
        parts += [Text(), Text(rest, style="dim")]
    return Group(*parts)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table cut to the height of the window; the last line says so."""

    content: Group
    watching: str
    """What the last line of the window says besides."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many lines as there is room for."""
        lines = console.render_lines(self.content, options.update(height=None), pad=False)
        room = max(options.max_height - 1, 1)
        below = len(lines) - room
        for line in lines[:room]:
            yield from line
            yield Segment.line()
        more = f"{below:,} more lines below. " if below > 0 else ""
        yield Text(more + self.watching, style="dim", no_wrap=True, overflow="crop", end="")


def _notice(notice: words.Notice) -> Text:
    return Text(f" {notice.text} ", style="bold white on red" if notice.grave else "yellow")


def _headline(seen: Overview, symbols: Symbols, width: int) -> list[Text]:
    """Return what there is: in one line, or in two where one is too short."""
    head = Text(words.headline(seen), style="bold")
    states = Text("  ").join(
        Text(f"{symbols.states[state]} {text}", style=STYLES[state]) for state, text in words.tally(seen)
    )
    whole = Text.assemble(head, ": ", states) if states else head
    return [whole] if whole.cell_len <= width else [head, states]


def _jobs(seen: Overview, now: float, symbols: Symbols, width: int) -> Iterator[RenderableType]:
    names = [name for name in _COLUMNS if width >= _ROOM.get(name, 0)]
    rows = [[cell for name, cell in _cells(placed, now, symbols).items() if name in names] for placed in seen.rows]
    widths = _widths([names, *([cell.plain for cell in row] for row in rows)], width)
    yield from _columns([Text(name, style="bold") for name in names], widths)
    told: dict[Collection, tuple[str, str]] = {}
    for (collection, job), row in zip(seen.rows, rows, strict=True):
        yield from _columns(row, widths)
        source = "SOURCE" not in names and job.state is not State.COMPLETED
        for detail in _details(job, symbols, source=source, told=told.get(collection)):
            yield Padding(detail, (0, 0, 0, min(_INDENT, width // 8)), expand=False)
        if job.reason:
            told[collection] = (str(job.failure_class), job.reason)


def _cells(placed: Placed, now: float, symbols: Symbols) -> dict[str, Text]:
    collection, job = placed
    length = words.took(job, now)
    cells = (
        Text(f"{symbols.states[job.state]} {words.STATES[job.state]}", style=STYLES[job.state]),
        Text(visible(collection.database) or "?"),
        Text(visible(collection.name)),
        Text(visible(job.source), style="dim"),
        Text("-" if job.start is None else ago(now - job.start)),
        Text("-" if length is None else span(length)),
    )
    return dict(zip(_COLUMNS, cells, strict=True))


def _details(job: Job, symbols: Symbols, *, source: bool, told: tuple[str, str] | None) -> Iterator[Text]:
    """Yield what is said below a job. ``told`` are class and reason of the job of its collection above it."""
    if source and job.source:
        yield Text(visible(job.source), style="dim", overflow="fold")
    if not job.state.ended:
        yield _bar(job, symbols)
    if job.failure_class is None:
        return
    line = Text(str(job.failure_class), style="red" if job.state is State.FAILED else "yellow", overflow="fold")
    if told == (str(job.failure_class), job.reason):
        line.append(": the same reason as above", style="dim default")
    elif job.reason:
        line.append(f": {visible(job.reason)}", style="default")
    yield line


def _bar(job: Job, symbols: Symbols) -> Text:
    share = words.percent(job)
    done = share * _BAR // 100
    line = Text(overflow="fold")
    line.append(symbols.done * done, style="cyan")
    line.append(symbols.left * (_BAR - done), style="dim")
    line.append(f" {share} %")
    if hint := words.hint(job):
        line.append(f"  {hint}", style="dim")
    return line


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return how wide each column is: as its longest cell, and names and sources less where there is no room."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    names = [number for number, name in enumerate(rows[0]) if name in _FOLDED]
    excess = sum(widths) + _GAP * (len(widths) - 1) - width
    while excess > 0:
        widest = max(names, key=lambda column: widths[column])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _columns(cells: Sequence[Text], widths: Sequence[int]) -> Iterator[Text]:
    """Yield one row; a cell that is longer than its column goes on in the next line."""
    folded = [chop_cells(cell.plain, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, folded))):
        line = Text(no_wrap=True, overflow="crop")
        for cell, pieces, width in zip(cells, folded, widths, strict=True):
            piece = pieces[number] if number < len(pieces) else ""
            line.append(piece, style=cell.style)
            line.append(" " * (width - cell_len(piece) + _GAP))
        line.rstrip()
        yield line
