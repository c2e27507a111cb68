"""The query of the API, read strictly: a filter that is misspelt must not answer with everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from urllib.parse import urlencode

from exporter.model import State
from exporter.page.query import pairs

MOST: Final = 1000
DEFAULT: Final = 100
FARTHEST: Final = 10_000_000
Value = TypeVar("Value")
_STATES: Final = tuple(str(state) for state in State)


class BadParameters(ValueError):
    """What is wrong, by parameter name. The names are ours and the texts do not repeat what was sent."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. None is no filter; an empty ``database`` is one: those whose database is not known."""

    target: str | None = None
    database: str | None = None
    collection: str | None = None
    states: tuple[str, ...] = ()
    trouble: bool | None = None
    limit: int = DEFAULT
    offset: int = 0

    def keeps(self, database: str, collection: str) -> bool:
        """Return whether the filters keep a collection."""
        return self.database in (None, database) and self.collection in (None, collection)

    def reference(self, *, offset: int) -> str:
        """Return the address of another part of the same, relative to this one."""
        there = replace(self, offset=offset)
        values = [
            *((name, getattr(there, name)) for name in ("target", "database", "collection")),
            *(("state", state) for state in there.states),
            ("trouble", None if there.trouble is None else str(there.trouble).lower()),
            ("limit", there.limit),
            ("offset", there.offset),
        ]
        return f"?{urlencode([(name, value) for name, value in values if value is not None], errors='replace')}"


JOBS: Final = ("target", "database", "collection", "state", "limit", "offset")
HISTORY_NEEDS: Final = ("database", "collection")
COLLECTIONS: Final = ("target", "database", "collection", "state", "trouble", "limit", "offset")


def asked(query: str, allowed: Sequence[str], required: Sequence[str] = ()) -> Asked:
    """Read a query. Raises :class:`BadParameters` with everything that is wrong."""
    try:
        given = pairs(query, "strict")
    except ValueError:
        raise BadParameters([("", "the query is not UTF-8, or has too many parameters")]) from None
    faults: list[tuple[str, str]] = []
    if any(name not in allowed for name, _ in given):
        faults.append(("", f"there are other parameters than {', '.join(allowed)}"))
    values: dict[str, list[str]] = {}
    for name, value in given:
        if name in allowed:
            values.setdefault(name, []).append(value)
    faults += [(name, "is given more than once") for name in values if name != "state" and len(values[name]) > 1]
    faults += [(name, "is required") for name in required if name not in values]
    if any(state not in _STATES for state in values.get("state", ())):
        faults.append(("state", f"is one of {', '.join(_STATES)}"))
    single = {name: found[0] for name, found in values.items()}
    read = Asked(
        target=single.get("target"),
        database=single.get("database"),
        collection=single.get("collection"),
        states=tuple(dict.fromkeys(values.get("state", ()))),
        trouble=_of(single, "trouble", _switch, None, faults),
        limit=_of(single, "limit", lambda text: _number(text, 1, MOST), DEFAULT, faults),
        offset=_of(single, "offset", lambda text: _number(text, 0, FARTHEST), 0, faults),
    )
    if faults:
        raise BadParameters(faults)
    return read


def _of(
    given: Mapping[str, str], name: str, read: Callable[[str], Value], default: Value, faults: list[tuple[str, str]]
) -> Value:
    if name not in given:
        return default
    try:
        return read(given[name])
    except ValueError as error:
        faults.append((name, str(error)))
        return default


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is true or false")
    return text == "true"


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise ValueError(f"is a whole number from {least} to {most}")
    return int(text)
