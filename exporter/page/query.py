"""What somebody asked for: the query of a view, read leniently, and addresses that keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from exporter.model import State

MOST_FIELDS: Final = 50
LONGEST: Final = 500
"""Characters of a search text that are looked for; the rest is dropped."""
_LAST_PAGE: Final = 100_000

SORTS: Final = {
    "trouble": "Trouble first",
    "name": "Name",
    "age": "Oldest data",
    "recent": "Latest refresh",
    "failures": "Failures in a row",
}


def pairs(query: str, errors: str = "replace") -> list[tuple[str, str]]:
    """Return names and values of what follows a question mark, given as latin-1 for its bytes.

    Raises ValueError for too many, and with ``errors="strict"`` for what is not UTF-8.
    """
    found = parse_qsl(query, keep_blank_values=True, encoding="latin-1", max_num_fields=MOST_FIELDS)
    texts = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in found)
    return [(name.decode("utf-8", errors), value.decode("utf-8", errors)) for name, value in texts]


@dataclass(frozen=True, slots=True)
class View:
    """The list as somebody wants it. What is at its default does not appear in the address."""

    target: str = ""
    q: str = ""
    database: str = ""
    """"" for all; a database that is not known is asked for as ``-``."""
    state: str = ""
    trouble: bool = False
    sort: str = "trouble"
    page: int = 1

    def href(self, **changes: Any) -> str:
        """Return the address of the same view with changes; anything but another page begins at the first."""
        view = replace(self, **({"page": 1} | changes))
        values = {f.name: getattr(view, f.name) for f in fields(view) if getattr(view, f.name) != f.default}
        shown = {name: "1" if value is True else str(value) for name, value in values.items()}
        return f"./?{urlencode(shown, errors='replace')}" if shown else "./"

    @property
    def filtered(self) -> bool:
        """Return whether something may be hidden."""
        return bool(self.q or self.database or self.state or self.trouble)


@dataclass(frozen=True, slots=True)
class Detail:
    """One collection's view."""

    target: str = ""
    database: str = ""
    name: str = ""
    page: int = 1

    def href(self, **changes: Any) -> str:
        """Return the address of the same view with changes."""
        return collection_href(**({"target": self.target, "database": self.database, "name": self.name} | changes))


def collection_href(target: str, database: str, name: str, page: int = 1) -> str:
    """Return the address of a collection's view."""
    values = {"database": database, "name": name}
    if target:
        values = {"target": target, **values}
    if page != 1:
        values["page"] = str(page)
    return f"collection?{urlencode(values, errors='replace')}"


def view_of(query: str, targets: Sequence[str]) -> View:
    """Read the list's query. What makes no sense is as if it were not there, but for a target: see ``asked_target``."""
    given = _given(query)
    state, sort = given.get("state", ""), given.get("sort", "")
    return View(
        target=asked_target(given, targets),
        q=given.get("q", "").strip()[:LONGEST],
        database=given.get("database", ""),
        state=state if state in tuple(State) else "",
        trouble=given.get("trouble", "") not in ("", "0"),
        sort=sort if sort in SORTS else "trouble",
        page=_page(given.get("page", "")),
    )


def detail_of(query: str, targets: Sequence[str]) -> Detail:
    """Read a collection's query."""
    given = _given(query)
    return Detail(
        asked_target(given, targets),
        given.get("database", ""),
        given.get("name", ""),
        _page(given.get("page", "")),
    )


def asked_target(given: Mapping[str, str], targets: Sequence[str]) -> str:
    """Return the target asked for, the first where none is. Raises LookupError for one that is not configured."""
    asked = given.get("target", "")
    if not asked:
        return targets[0]
    if asked not in targets:
        raise KeyError("target")
    return asked


def _given(query: str) -> dict[str, str]:
    try:
        return dict(reversed(pairs(query)))  # the first of several counts
    except ValueError:
        return {}


def _page(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_PAGE)) else 1
    return min(max(number, 1), _LAST_PAGE)
