"""The list of collections: what is asked for, found, sorted, cut into pages, and put into groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from exporter.model import State
from exporter.page import words
from exporter.page.freshness import Freshness, freshness
from exporter.page.parts import RowView, row_view
from exporter.page.query import SORTS, View
from exporter.page.rows import Row, rows
from exporter.page.source import Source

PAGE: Final = 50
NO_DATABASE: Final = "-"
"""How the address asks for collections whose database is not known; no database can be called so."""


@dataclass(frozen=True, slots=True)
class Target:
    """One entry of the switch between several Milvus."""

    name: str
    href: str
    current: bool
    trouble: int
    stale: bool


@dataclass(frozen=True, slots=True)
class Pages:
    """Which part of the found is shown. Numbers count from 1."""

    page: int
    last: int
    first_shown: int
    last_shown: int
    found: int


def listing(sources: Mapping[str, Source], view: View, runbooks: str, now: float) -> dict[str, Any]:
    """Return what the template of the list is given. ``now`` in epoch seconds."""
    source = sources[view.target]
    fresh, everything = freshness(source, now), rows(view.target, source, now)
    found = sort([row for row in everything if matches(row, view)], view.sort)
    pages = paged(len(found), view.page, PAGE)
    shown = found[pages.first_shown - 1 : pages.last_shown] if found else []
    # Shown as it was, where it is old: a strip that goes on to now would claim that nothing has run since.
    at = source.seen_at(now)
    target = view.target if len(sources) > 1 else ""
    view_shown = replace(view, target=target)
    views = [row_view(row, runbooks, at, shown_target=target) for row in shown]
    return {
        "view": view_shown,
        "fresh": fresh,
        "at": at,
        "trouble": sum(row.trouble for row in everything),
        "total": len(everything),
        "states": _states(source),
        "groups": _groups(views, found) if view.sort == "trouble" else [("", views)],
        "pages": pages,
        "databases": sorted({row.place[0] or NO_DATABASE for row in everything}),
        "sorts": SORTS,
        "state_choices": [(str(state), words.STATES[state]) for state in State if state is not State.UNKNOWN],
        "targets": switch(sources, view, now, fresh, everything),
        "refresh": refresh_seconds(source),
    }


def matches(row: Row, view: View) -> bool:
    """Return whether a row is asked for."""
    if view.trouble and not row.trouble:
        return False
    if view.database and (row.place[0] or NO_DATABASE) != view.database:
        return False
    if view.state and (row.newest is None or row.newest.state != view.state):
        return False
    return not view.q or view.q.casefold() in _text(row)


def sort(found: list[Row], by: str) -> list[Row]:
    """Return rows in another order than worst first; where they are the same by it, worst first."""
    match by:
        case "name":
            return sorted(found, key=lambda row: row.place)
        case "age":
            return sorted(found, key=lambda row: (row.outcome and row.outcome.last_success) or 0.0)
        case "recent":
            return sorted(found, key=lambda row: -((row.newest and row.newest.start) or 0.0))
        case "failures":
            return sorted(found, key=lambda row: -(row.outcome.consecutive_failures if row.outcome else 0))
        case _:
            return found


def paged(found: int, page: int, size: int) -> Pages:
    """Return which part of ``found`` a page holds; one beyond the last is the last."""
    last = max(1, -(-found // size))
    page = min(page, last)
    return Pages(page, last, (page - 1) * size + 1 if found else 0, min(page * size, found), found)


def switch(
    sources: Mapping[str, Source], view: View, now: float, fresh: Freshness, shown: Sequence[Row]
) -> list[Target]:
    """Return the entries of the switch; none where there is nothing to switch."""
    if len(sources) == 1:
        return []
    found = []
    for name, source in sources.items():
        here = name == view.target
        its_rows = shown if here else rows(name, source, now)
        stale = fresh.stale if here else source.stale()
        href = View(target=name).href()
        found.append(Target(name, href, here, sum(row.trouble for row in its_rows), stale))
    return found


def refresh_seconds(source: Source) -> int:
    """Return how often an open page looks for news."""
    return round(min(max(source.poll_interval, 2.0), 60.0))


def _groups(views: list[RowView], found: Sequence[Row]) -> list[tuple[str, list[RowView]]]:
    trouble = sum(row.trouble for row in found)
    titles = {True: f"In trouble: {trouble:,}", False: f"Nothing to do: {len(found) - trouble:,}"}
    return [(titles[bad], list(group)) for bad, group in groupby(views, key=lambda view: view.row.trouble)]


def _states(source: Source) -> list[tuple[str, str, int]]:
    counts = source.current().snapshot.states()
    return [
        (str(state), words.STATES[state], counts[state])
        for state in (State.IN_PROGRESS, State.PENDING, State.COMPLETED, State.FAILED, State.UNKNOWN)
        if counts[state] or state is not State.UNKNOWN
    ]


def _text(row: Row) -> str:
    cause = row.cause
    told = (cause.failure_class or "", cause.reason) if cause else ()
    return "\n".join(("/".join(row.place), row.source, row.condition.words, *told)).casefold()
