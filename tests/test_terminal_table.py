"""What is drawn: everything in its place on any width, state never by colour alone, and hostile texts as texts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from builders import DAY, HOUR, NOON, completed, failed, job, outcome_row
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from terminal_views import drawn, drawn_lines, listing, ordinary, plain_lines, seen

from exporter.errors import leaves
from exporter.model import Collection, FailureClass, State
from exporter.page import words as page_words
from exporter.page.conditions import INDEX_WAIT_FROM
from exporter.page.parts import progress
from exporter.terminal import words
from exporter.terminal.asking import sentence
from exporter.terminal.plain import COLUMNS
from exporter.terminal.table import ASCII, UNICODE, Fitted, table
from exporter.terminal.visible import ago, span, stamp, visible

SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = {
    "colours": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "8-bit controls": "\x9b31m\x90\x84",
    "clear": "\x1b[2J\x1b[H",
    "lines": "one\ntwo\rthree\x0bfour\x85five\u2028six",
    "tab": "one\ttwo",
    "bidi": "invoice\u202egpj.exe\u2066\u200f",
    "zero width": "pay\u200bpal\ufeff\u00ad",
    "markup": "[bold red]x[/] [link=http://evil.example]y[/link] [/]",
    "emoji code": ":skull:",
    "lone surrogate": "a\udc80b",
    "backspaces": "good\x08\x08\x08\x08evil",
    "null": "a\x00b",
}


def test_an_ordinary_table_is_as_it_was() -> None:
    assert drawn_lines(seen(ordinary())) == [
        "5 jobs in 4 collections as of 2026-09-21T14:13:20Z: ✗ 2 failed  ▸ 1 running  ○ 1 pending  ✓ 1 completed",
        "Last refresh failed in 1 collection: crm/customers (access_denied, 3 in a row)",
        "",
        "STATE        DATABASE  COLLECTION  SOURCE          STARTED     TOOK",
        "✗ Failed     crm       customers   s3://lake/docs  1m 10s ago  10s",
        "    access_denied: Access Denied by the bucket",
        "▸ Running    lake      clicks      s3://lake/docs  3m ago      3m 20s",
        "    ━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 37 %",
        "✓ Completed  lake      orders      s3://lake/docs  10m ago     10s",
        "○ Pending    ml        images      s3://lake/docs  11m ago     11m 40s",
        "    ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 0 %  listing the source",
        "✗ Failed     crm       customers   s3://lake/docs  1d ago      10s",
        "    access_denied: the same reason as above",
    ]


def test_without_unicode_it_says_the_same() -> None:
    lines = drawn_lines(seen(ordinary()), symbols=ASCII)
    assert "".join(lines).isascii()
    assert lines[4].startswith("x Failed     crm")
    assert lines[7] == "    ########---------------- 37 %"


def test_no_colour_takes_nothing_away_but_colours() -> None:
    """Symbol and word say the state; a bar has two kinds of marks."""
    coloured, bare = drawn(seen(ordinary()), colours=True), drawn(seen(ordinary()))
    quiet = drawn(seen(ordinary()), colours=True, NO_COLOR="1")
    assert "\x1b[36m" in coloured
    assert "\x1b" not in bare
    assert SGR.sub("", coloured) == bare == SGR.sub("", quiet)
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7])[0-9;]*m", quiet)


@pytest.mark.parametrize("width", [34, 45, 46, 59, 60, 80, 99, 100, 132, 400])
def test_no_line_is_wider_than_the_window(width: int) -> None:
    long = listing(
        ("d" * 60, "c" * 255, failed(1, NOON, reason="reason " * 28, source="s3://" + "p" * 250)),
        ("数据" * 30, "湖" * 100, job(2, State.IN_PROGRESS, source="s3://湖/" + "湖" * 80)),
    )
    lines = drawn_lines(seen(long), width)
    assert max(map(cell_len, lines)) <= width
    text = re.sub(r"\s", "", "".join(lines))
    assert text.count("c") >= 255, "a name is folded and never cut"
    assert text.count("湖") >= 100


@pytest.mark.parametrize(("width", "columns"), [(45, 3), (46, 4), (59, 4), (60, 5), (99, 5), (100, 6)])
def test_a_narrow_window_has_fewer_columns(width: int, columns: int) -> None:
    """The source of what runs or has failed then stands below it."""
    lines = drawn_lines(seen(ordinary()), width)
    (head,) = [line for line in lines if line.startswith("STATE")]
    assert len(head.split()) == columns
    assert sum("s3://lake/docs" in line for line in lines) == (5 if columns == 6 else 4)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_a_text(text: str) -> None:
    """In names, sources, reasons, the line of failing collections, and in the sentence of an outage."""
    at = Collection(text, text, 7)
    bad = failed(1, NOON, reason=text, source=text)
    row = replace(outcome_row(failing=True, trouble=bad, consecutive_failures=2), collection=at)
    partial = {"partial": True, "unlisted": (at,), "why": text, "unplaced": text}
    for what in (
        listing((text, text, bad), ("", text, bad), failing=(row,), **partial),
        listing((text, text, job(2, State.PENDING, source=text)), up=False, kind="deadline", why=text),
    ):
        for colours in (False, True):
            out = SGR.sub("", drawn(seen(what), 200, colours=colours))
            assert [char for char in out if not char.isprintable()] == ["\n"] * out.count("\n")
            assert visible(text) in out
        lines = plain_lines(seen(what))
        assert all(line.replace("\t", "").isprintable() for line in lines)
        assert all(line.count("\t") == len(COLUMNS) - 1 for line in lines if not line.startswith("# "))
        assert sum(not line.startswith("# ") for line in lines) == 1 + len(what.jobs)


@given(st.text())
def test_no_text_whatever_reaches_the_terminal_as_a_command(text: str) -> None:
    found = seen(listing((text, text, failed(1, NOON, reason=text, source=text))))
    out = SGR.sub("", drawn(found, colours=True))
    assert all(char == "\n" or char.isprintable() for char in out)


def test_what_is_not_printable_is_written_out() -> None:
    assert visible("a\x1b\u202e\t\udc80\U000e0001") == "a\\x1b\\u202e\\t\\udc80\\U000e0001"
    assert visible("数据 über \\x1b 🙂") == "数据 über \\x1b 🙂"


def test_an_outage_stands_above_what_was_known_before() -> None:
    lost = ordinary(up=False, kind="unreachable", why="Milvus cannot be reached. UNAVAILABLE")
    lines = drawn_lines(seen(lost), now=NOON + 95)
    told = "Milvus cannot be reached. UNAVAILABLE (unreachable) Shown is what was listed 1m 35s ago."
    assert lines[0] == f" {told}"
    assert lines[1].startswith("5 jobs in 4 collections as of 2026-09-21T14:13:20Z")
    assert f"# {told}" in plain_lines(seen(lost), NOON + 95)
    assert drawn(seen(lost), colours=True).startswith("\x1b[1;37;41m")


def test_a_partial_listing_names_what_is_missing() -> None:
    missing = tuple(Collection("lake", f"c{number}") for number in range(7))
    (notice,) = words.notices(seen(ordinary(partial=True, unlisted=missing, why="Broken.")), NOON)
    assert not notice.grave
    assert "not listed: lake/c0, lake/c1, lake/c2, lake/c3, lake/c4 and 2 more. Broken." in notice.text


def test_databases_that_are_not_known_are_explained_where_one_is_missing() -> None:
    why = {"unplaced": "The Milvus user lacks a privilege. Status 1401"}
    assert words.notices(seen(ordinary(**why)), NOON) == []
    (notice,) = words.notices(seen(listing(("", "docs", completed(1, NOON)), **why)), NOON)
    assert notice.text == "Some databases are not known: The Milvus user lacks a privilege. Status 1401"
    assert "✓ Completed  ?         docs" in drawn(seen(listing(("", "docs", completed(1, NOON)))))


def test_many_failing_collections_are_counted_the_longest_first() -> None:
    rows = [outcome_row(f"c{n}", consecutive_failures=n, failing=True, trouble=failed(n, NOON)) for n in range(1, 9)]
    told = words.failing(seen(listing(failing=tuple(rows))))
    assert told.startswith("Last refresh failed in 8 collections: sales/c8 (source_empty, 8 in a row), sales/c7")
    assert told.endswith("sales/c4 (source_empty, 4 in a row) and 3 more")
    assert words.failing(seen(listing(failing=tuple(rows[:1])))).endswith(": sales/c1 (source_empty)")


def test_nothing_to_show_is_said() -> None:
    assert drawn_lines(seen(listing())) == ["0 jobs in 0 collections as of 2026-09-21T14:13:20Z", "", "No jobs."]
    assert drawn_lines(seen(listing(), failed=True))[-1] == "No failed jobs."
    assert plain_lines(seen(listing(), failed=True))[1:] == ["# No failed jobs.", "\t".join(COLUMNS)]


def test_what_the_limit_leaves_out_is_said() -> None:
    assert drawn_lines(seen(ordinary(), most=2))[-1] == "2 of 5 jobs; --all shows the others too"
    assert plain_lines(seen(ordinary(), most=2))[-1] == "# 2 of 5 jobs; --all shows the others too"
    assert "--all" not in drawn(seen(ordinary(), most=5))


def test_another_reason_or_another_collection_is_told_anew() -> None:
    jobs = (
        ("a", "x", failed(3, NOON, reason="one")),
        ("b", "x", failed(2, NOON, reason="one")),
        ("a", "x", failed(1, NOON, reason="two")),
    )
    details = [line.strip() for line in drawn_lines(seen(listing(*jobs))) if line.startswith(" ")]
    assert details == ["source_empty: one", "source_empty: one", "source_empty: two"]


def test_a_job_that_tries_again_tells_why() -> None:
    again = job(1, State.PENDING, failure_class=FailureClass.SOURCE_UNREACHABLE, reason="no route")
    assert drawn_lines(seen(listing(("a", "b", again))))[-1] == "    source_unreachable: no route"


def test_times_that_are_not_known_are_dashes_and_none_is_negative() -> None:
    jobs = (
        ("a", "b", job(1, State.UNKNOWN, start=None)),
        ("a", "b", job(2, State.COMPLETED, start=NOON, end=NOON - 5)),
        ("a", "b", job(3, State.FAILED, start=NOON - 60, end=None, half_written=True)),
        ("a", "b", job(4, State.IN_PROGRESS, start=NOON + 3600)),
    )
    times = [line.split()[-2:] for line in drawn_lines(seen(listing(*jobs))) if "s3://" in line]
    assert times == [["-", "-"], ["now", "-"], ["ago", "-"], ["now", "-"]]
    assert [line.split("\t")[6] for line in plain_lines(seen(listing(*jobs)))[2:]] == ["", "", "", ""]


def test_plain_lines_have_every_field_unshortened() -> None:
    reason = "r" * 200
    one = listing(("crm", "customers", failed(31, NOON - 60, FailureClass.ACCESS_DENIED, reason=reason)))
    assert plain_lines(seen(one))[1:] == [
        "\t".join(COLUMNS),
        f"RefreshFailed\tcrm\tcustomers\ts3://lake/docs\t50\t2026-09-21T14:12:10Z\t10.000\taccess_denied\t{reason}\t31",
    ]


def test_a_table_is_cut_to_the_window_and_says_so() -> None:
    found = seen(listing(*(("a", f"c{n}", completed(n, NOON - n)) for n in range(40))))
    console = Console(width=80, height=12)
    options = console.options.update(height=12)
    content = Fitted(table(found, NOON, UNICODE, 80), "Ctrl-C ends.")
    lines = ["".join(segment.text for segment in line) for line in console.render_lines(content, options)]
    assert len(lines) == 12
    assert lines[-1].rstrip() == "32 more lines below. Ctrl-C ends."
    assert lines[-2].split()[:4] == ["✓", "Completed", "a", "c7"]


def test_page_and_terminal_say_the_same() -> None:
    """Words, percentages and hints are written twice, since the page would bring a template library along."""
    assert words.STATES == page_words.STATES
    for state in (State.PENDING, State.IN_PROGRESS, State.UNKNOWN):
        for share in (0.0, 0.004, 0.01, 0.5, 0.899, INDEX_WAIT_FROM, 0.99, 0.999, 1.0):
            one = job(1, state, progress=share)
            shown = progress(one, NOON)
            assert (words.percent(one), words.hint(one)) == (shown.percent, shown.hint)


def test_every_kind_of_failure_has_a_sentence() -> None:
    assert all(sentence(leaf.kind, None).endswith(".") for leaf in leaves())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (0.04, "0s"), (4.21, "4.2s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m"), (200, "3m 20s"),
     (3600, "1h"), (HOUR * 5 + 725, "5h 12m"), (DAY * 3 + HOUR * 4 + 3000, "3d 4h")],
)  # fmt: skip
def test_a_length_of_time_has_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-3600, "now"), (0.9, "now"), (95, "1m 35s ago"), (150, "2m ago"),
                                               (3725, "1h 2m ago"), (DAY, "1d ago")])  # fmt: skip
def test_how_long_ago_is_coarser(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_a_moment_that_is_none_is_a_number() -> None:
    assert stamp(NOON) == "2026-09-21T14:13:20Z"
    assert stamp(1e18) == "1000000000000000000"
