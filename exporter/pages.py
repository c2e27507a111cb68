"""Sorted rows in small immutable pages: what has changed is in a new page, what has not is in the same one.

A reader that remembers what it has made of a page need not look at its rows again
(docs/decisions/0010-cost-follows-change.md).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Generic, TypeVar, overload

Key = TypeVar("Key", bound="tuple[str, ...]")
Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)

PAGE: Final = 128
"""Rows in a page at most."""
_MANY: Final = 4
"""From one change to so many rows on, everything is put in order anew: cheaper than one insertion after the other."""


@dataclass(frozen=True, eq=False, slots=True)
class Pages(Sequence[Row_co]):
    """A sequence of rows that shows its pages."""

    pages: tuple[tuple[Row_co, ...], ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Row_co]) -> Pages[Row_co]:
        """Return any rows in pages."""
        if isinstance(rows, Pages):
            return rows
        whole = tuple(rows)
        return cls(tuple(whole[n : n + PAGE] for n in range(0, len(whole), PAGE)))

    def __len__(self) -> int:
        return sum(map(len, self.pages))

    def __iter__(self) -> Iterator[Row_co]:
        return chain.from_iterable(self.pages)

    @overload
    def __getitem__(self, index: int) -> Row_co: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row_co]: ...
    def __getitem__(self, index: int | slice) -> Row_co | Sequence[Row_co]:
        """Return rows by position. Looks through the pages: for a few, not for all."""
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Pages | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to a tuple, which it would have to hash like


class Table(Generic[Key, Row]):
    """Rows by key, in the order of the keys. A row that is set to what it was stays the very same object."""

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._keys: list[list[Key]] = []
        self._pages: list[tuple[Row, ...]] = []
        self._last: list[Key] = []
        """The last key of each page."""
        self.pages: Pages[Row] = Pages()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key) -> Row | None:
        """Return the row of a key."""
        return self._rows.get(key)

    def update(self, rows: Mapping[Key, Row | None]) -> None:
        """Set rows, and drop those that are None."""
        new = {key: row for key, row in rows.items() if self._rows.get(key) != row}
        if not new:
            return
        placed = {key for key in new if key in self._rows}
        for key, row in new.items():
            if row is None:
                del self._rows[key]
            else:
                self._rows[key] = row
        many, moved = len(new) * _MANY > len(self._rows), placed != new.keys() or None in new.values()
        if many and moved:
            self._arrange(sorted(self._rows))
        elif many:
            self._pages = [self._anew(page, keys, new) for page, keys in zip(self._pages, self._keys, strict=True)]
        else:
            self._change(new)
        self.pages = Pages(tuple(self._pages))

    def _arrange(self, keys: Sequence[Key]) -> None:
        rows = self._rows
        self._keys = [list(keys[n : n + PAGE // 2]) for n in range(0, len(keys), PAGE // 2)]
        self._pages = [tuple(rows[key] for key in page) for page in self._keys]
        self._last = [page[-1] for page in self._keys]

    def _anew(self, page: tuple[Row, ...], keys: Iterable[Key], new: Mapping[Key, object]) -> tuple[Row, ...]:
        return page if new.keys().isdisjoint(keys) else tuple(map(self._rows.__getitem__, keys))

    def _change(self, new: Mapping[Key, Row | None]) -> None:
        touched: dict[int, list[Key]] = {}
        for key in new:
            # What comes after everything goes into the last page.
            touched.setdefault(min(bisect_left(self._last, key), len(self._last) - 1), []).append(key)
        for number in sorted(touched, reverse=True):  # from the end, as pages may split and vanish
            keys = self._keys[number]
            for key in touched[number]:
                at = bisect_left(keys, key)
                there = at < len(keys) and keys[at] == key
                if new[key] is None:
                    del keys[at]
                elif not there:
                    keys.insert(at, key)
            self._replace(number, keys)

    def _replace(self, number: int, keys: list[Key]) -> None:
        parts = [keys[n : n + PAGE // 2] for n in range(0, len(keys), PAGE // 2)] if len(keys) > PAGE else [keys]
        parts = [part for part in parts if part]
        rows = self._rows
        self._keys[number : number + 1] = parts
        self._pages[number : number + 1] = [tuple(rows[key] for key in part) for part in parts]
        self._last[number : number + 1] = [part[-1] for part in parts]
