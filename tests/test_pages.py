"""Rows in pages: in order, and what has not changed stays the same object."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.pages import PAGE, Pages, Table

KEYS = st.integers(0, 400).map(lambda n: (f"k{n:03}",))
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), st.integers(0, 3)), max_size=300)


@given(st.lists(CHANGES, max_size=8))
@settings(max_examples=100)
def test_a_table_is_its_rows_in_the_order_of_their_keys(history: list[dict[tuple[str], int | None]]) -> None:
    """Whatever comes, changes and goes, many at once or one by one."""
    table: Table[tuple[str], int] = Table()
    truth: dict[tuple[str], int] = {}
    for changes in history:
        table.update(changes)
        truth.update({key: row for key, row in changes.items() if row is not None})
        for key in [key for key, row in changes.items() if row is None]:
            truth.pop(key, None)
        assert table.pages == tuple(truth[key] for key in sorted(truth))
        assert len(table) == len(table.pages) == len(truth)
        assert all(0 < len(page) <= PAGE for page in table.pages.pages)


def filled(size: int) -> Table[tuple[str], list[int]]:
    table: Table[tuple[str], list[int]] = Table()
    table.update({(f"k{n:05}",): [n] for n in range(size)})
    return table


def test_one_change_makes_one_new_page() -> None:
    table = filled(1000)
    before = table.pages.pages
    table.update({("k00500",): [0]})
    after = table.pages.pages
    assert len(after) == len(before)
    assert sum(one is not other for one, other in zip(before, after, strict=True)) == 1


def test_one_new_row_and_one_that_goes_make_two_new_pages() -> None:
    table = filled(1000)
    before = table.pages.pages
    table.update({("k00500x",): [0], ("k00010",): None})
    assert len(set(map(id, table.pages.pages)) - set(map(id, before))) == 2


def test_a_row_that_is_set_to_what_it_was_stays_the_same_object() -> None:
    table = filled(100)
    pages, row = table.pages, table.get(("k00007",))
    table.update({("k00007",): [7], ("nobody",): None})
    assert table.pages is pages
    assert table.get(("k00007",)) is row


def test_any_rows_come_in_pages() -> None:
    rows = tuple(range(2 * PAGE + 1))
    assert [len(page) for page in Pages.of(rows).pages] == [PAGE, PAGE, 1]
    assert Pages.of(rows) == rows
    assert Pages.of(rows)[PAGE] == PAGE
    pages = Pages.of(rows)
    assert Pages.of(pages) is pages


def test_all_rows_may_go_and_others_come() -> None:
    table = filled(200)
    table.update({(f"k{n:05}",): None for n in range(200)})
    assert (len(table), table.pages.pages) == (0, ())
    table.update({("again",): [1]})
    assert table.pages == ([1],)
