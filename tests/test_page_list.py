"""The list: trouble first, why, filters and sorts in the address, pages, several Milvus."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from builders import DAY, NOON, Clock, completed, failed, job
from page_sources import GOOD, RUNBOOKS, World, body, fetch, page, troubled

from exporter.model import Collection, FailureClass, State
from exporter.page import Source, pages
from exporter.page.render import POLICY
from exporter.store import PollAccount, Publication
from exporter.web import Request


def clean(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_first_words_say_how_many_are_in_trouble() -> None:
    assert "2 of 4 collections are in trouble" in page(troubled().source()).text


def test_trouble_comes_first_worst_first() -> None:
    shown = page(troubled().source())
    words = ("In trouble: 2", "figs", "customers", "Nothing to do: 2", "apples", "berries")
    assert shown.order(*words) == list(words)


def test_a_failing_collection_says_class_in_words_reason_and_what_to_do() -> None:
    shown = page(troubled().source())
    for text in ("The storage refuses Milvus", "access_denied", "Access Denied by the bucket", "96 failures in a row"):
        assert text in shown.text
    assert f"{RUNBOOKS}/failure-classes.md#access_denied" in shown.links


def test_old_data_says_how_old_and_what_is_allowed() -> None:
    shown = page(troubled().source())
    assert "31 h ago" in clean(shown.text)
    assert "too old: may be up to 26 h" in clean(shown.text)
    assert f"{RUNBOOKS}/MilvusExternalCollectionStale.md" in shown.links


@pytest.mark.parametrize("path", ["/", "/collection"])
def test_a_bare_time_out_says_what_timed_out_and_after_how_long(path: str) -> None:
    bare = failed(1, NOON - 5, FailureClass.TIMEOUT, reason="timeout", start=NOON - 3605)
    world = World().add("docs", bare, trouble=bare, failing=True, consecutive_failures=1, last_failure=NOON - 5)
    shown = clean(page(world.source(), path, "database=sales&name=docs" if path != "/" else "").text)
    assert "Timed out: Milvus ended it after 60 min, by its own limit" in shown
    assert "Often the source could not be reached" in shown


@pytest.mark.parametrize("reason", ["timeout, last failure: Access Denied", ""])
def test_a_time_out_with_a_cause_or_a_withheld_reason_gets_no_explanation_of_ours(reason: str) -> None:
    told = failed(1, NOON - 5, FailureClass.TIMEOUT, reason=reason)
    world = World().add("docs", told, trouble=told, failing=True, consecutive_failures=1, last_failure=NOON - 5)
    shown = page(world.source()).text
    assert reason in shown
    assert "It has kept no other reason" not in shown


def test_the_legend_says_where_how_wide_and_how_high_to_everybody() -> None:
    shown = page(troubled().source())
    assert "Last 24 hours, from left to right, each job as wide as it took:" in shown.text
    assert shown.order("low: completed", "high: failed", "between: under way")
    assert not [attrs for tag, attrs in shown.tags if attrs.get("class") == "legend" and "aria-hidden" in attrs]


@pytest.mark.parametrize(("query", "unfolded"), [("", False), ("q=a", False), ("trouble=1", True), ("sort=name", True)])
def test_filters_are_unfolded_where_one_is_set(query: str, unfolded: bool) -> None:
    (more,) = [attrs for tag, attrs in page(troubled().source(), "/", query).tags if tag == "details"]
    assert ("open" in more) is unfolded


def test_trouble_without_a_reason_of_a_job_says_what_it_means() -> None:
    assert "are they still being started?" in page(troubled().source(), "/", "q=figs").text
    hanging = job(1, State.IN_PROGRESS, start=NOON - 7200, progress=0.99)
    assert "Milvus should have ended this job and has not." in page(World().add("docs", hanging).source()).text


def test_without_an_address_of_runbooks_there_is_no_dead_link() -> None:
    table = pages(lambda: {"": troubled().source()}, Clock(NOON))
    text = body(asyncio.run(table["/"](Request("GET", b"/"))))  # type: ignore[arg-type]
    assert "access_denied" in text
    assert "What to do" not in text


def test_a_running_job_has_a_bar_and_what_its_figure_means() -> None:
    def told(progress: float, state: State = State.IN_PROGRESS) -> str:
        return page(World().add("docs", job(1, state, start=NOON - 60, progress=progress)).source()).text

    assert "37 %" in told(0.37)
    assert "a job of one task stays at 0 until it is done" in told(0.0)
    assert "from 90 % on it waits for indexes" in told(0.93)
    assert "listing the source" in told(0.0, State.PENDING)
    late = World().add("docs", job(1, State.PENDING, start=NOON - 2640))
    assert "has not got beyond listing the source" in page(late.source()).text
    assert "99 %" in told(0.999)
    bars = [tag for tag in page(troubled().source()).tags if tag[0] == "progress"]
    assert [(bar["max"], bar["value"], bar["aria-label"]) for _, bar in bars] == [
        ("100", "37", "Refresh of berries: Running")
    ]


@pytest.mark.parametrize(
    ("account", "stale", "words"),
    [
        (GOOD, False, "Data is 3 s old. Milvus has answered the last poll."),
        (replace(GOOD, partial=True), False, "Milvus lists some collections only one by one, and not all of them."),
        (replace(GOOD, up=False, kind="deadline"), False, "The last poll failed: Milvus did not answer in time."),
        (
            replace(GOOD, up=False, kind="unreachable"),
            True,
            "Data is 3 s old: too old to rely on. The last poll failed: Milvus cannot be reached. You see how it was",
        ),
        (PollAccount(attempts=1, kind="unauthenticated"), True, "No data yet. The last poll failed: Milvus rejects"),
        (PollAccount(), True, "No data yet. The first poll has not finished."),
        (GOOD, True, "Polls have stopped"),
        (replace(GOOD, up=False, kind="newer_than_us"), False, "The last poll failed: for a reason not known."),
    ],
)
def test_the_banner_says_how_old_the_data_is_and_why(account: PollAccount, stale: bool, words: str) -> None:
    world = troubled()
    world.account, world.stale = account, stale
    assert words in clean(page(world.source()).text)


def test_stale_data_is_red_and_does_not_go_on_by_itself() -> None:
    world = troubled()
    world.account, world.stale = replace(GOOD, up=False, kind="unreachable", last_success=NOON), True
    reply = page(world.source(), now=NOON + 7200)
    assert ("p", {"class": "banner bad", "id": "banner"}) in reply.tags
    assert "for 4 min" in clean(reply.text)  # the running job, as of the last answer
    assert "Past Milvus's time-out" not in reply.text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["apples", "berries", "customers", "figs"]),
        ("q=APPL", ["apples"]),
        ("q=sales/b", ["berries"]),
        ("q=access_denied", ["customers"]),
        ("q=by+the+bucket", ["customers"]),
        ("database=lake", ["figs"]),
        ("database=-", []),
        ("state=RefreshInProgress", ["berries"]),
        ("state=RefreshFailed&trouble=1", ["customers"]),
        ("trouble=1", ["customers", "figs"]),
        ("q=nothing+like+it", []),
        ("state=nonsense&sort=nonsense&page=x", ["apples", "berries", "customers", "figs"]),
        ("q=" + "%FF" * 20, []),
        ("q=%C3%BCber", ["customers"]),
        ("q=\u00c3\u00bcber", ["customers"]),
        ("&".join(f"x{n}=1" for n in range(500)), ["apples", "berries", "customers", "figs"]),
    ],
)
def test_filters_come_from_the_address(query: str, names: list[str]) -> None:
    shown = page(troubled().source(), "/", query)
    found = [parse_qs(urlsplit(link).query)["name"][0] for link in shown.links if link.startswith("collection?")]
    assert sorted(found) == names
    assert shown.status == 200


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("trouble", ["figs", "customers", "apples", "berries"]),
        ("name", ["figs", "apples", "berries", "customers"]),
        ("age", ["customers", "figs", "berries", "apples"]),
        ("recent", ["customers", "berries", "apples", "figs"]),
        ("failures", ["customers", "figs", "apples", "berries"]),
    ],
)
def test_sorts_come_from_the_address(sort: str, names: list[str]) -> None:
    shown = page(troubled().source(), "/", f"sort={sort}")
    found = [parse_qs(urlsplit(link).query)["name"][0] for link in shown.links if link.startswith("collection?")]
    assert found == names


def test_the_form_keeps_what_was_asked_for() -> None:
    shown = page(troubled().source(), "/", "q=a&database=sales&state=RefreshFailed&sort=name&trouble=1")
    values = {attrs.get("name"): attrs for tag, attrs in shown.tags if tag == "input"}
    assert values["q"]["value"] == "a"
    assert "checked" in values["trouble"]
    chosen = [attrs["value"] for tag, attrs in shown.tags if tag == "option" and "selected" in attrs]
    assert chosen == ["sales", "RefreshFailed", "name"]


def many(number: int) -> World:
    world = World()
    for n in range(number):
        world.add(f"c{n:03}", completed(n + 1, NOON - n), last_success=NOON - n)
    return world


def test_more_than_a_page_is_cut_on_the_server_and_a_filter_stays_while_paging() -> None:
    shown = page(many(120).source(), "/", "database=sales&page=2")
    names = [link for link in shown.links if link.startswith("collection?")]
    assert len(names) == 50
    assert "./?database=sales&page=3" in shown.links
    assert "./?database=sales" in shown.links
    assert "Page 2 of 3" in shown.text


def test_a_page_beyond_the_last_is_the_last() -> None:
    assert "Page 3 of 3" in page(many(120).source(), "/", "page=99999").text


def test_a_database_that_is_not_known_can_be_asked_for() -> None:
    world = troubled().add("elder", completed(51, NOON), database="")
    shown = page(world.source(), "/", "database=-")
    assert [link for link in shown.links if link.startswith("collection?")] == ["collection?database=&name=elder"]


def test_what_the_metrics_fold_is_on_the_page_all_the_same() -> None:
    world = troubled()
    world.listed[Collection("sales", "folded", 99)] = (failed(91, NOON), completed(92, NOON - 50))
    shown = page(world.source(), "/", "q=folded")
    assert "Failed 3 s ago" in clean(shown.text)


def test_two_generations_of_one_name_are_one_row() -> None:
    world = World().add("docs", completed(1, NOON - 50), collection_id=7, last_success=NOON - 50)
    world.listed[Collection("sales", "docs", 6)] = (failed(0, NOON - 90),)
    shown = page(world.source())
    assert "The one collection is fine" in shown.text
    assert "1 completed, 1 failed" in shown.text


def test_the_counts_are_those_of_the_metrics() -> None:
    assert "4 Completed jobs" in page(troubled().source()).text.replace("Completed jobs 4", "4 Completed jobs")


def test_nothing_known_is_said_and_no_empty_table() -> None:
    shown = page(World().source())
    assert "No collection known" in shown.text
    assert not [tag for tag, _ in shown.tags if tag == "table"]


def two() -> dict[str, Source]:
    return {"prod": troubled().source(), "staging": World(stale=True).add("pears", completed(1, NOON)).source()}


def test_several_milvus_have_a_switch_that_says_where_trouble_is() -> None:
    shown = page(two())
    assert shown.order("prod", "2 in trouble", "staging", "stale") == ["prod", "2 in trouble", "staging", "stale"]
    assert "./?target=staging" in shown.links
    assert "collection?target=prod&database=sales&name=customers" in shown.links
    assert "pears" not in shown.text


def test_the_other_one_is_shown_when_asked_for_and_stays_so() -> None:
    shown = page(two(), "/", "target=staging")
    assert "pears" in shown.text
    assert "customers" not in shown.text
    assert ("input", {"type": "hidden", "name": "target", "value": "staging"}) in shown.tags
    assert all("target=staging" in link for link in shown.links if link.startswith(("./?sort", "collection?")))


@pytest.mark.parametrize("path", ["/", "/collection"])
def test_a_milvus_that_is_not_configured_is_404_and_not_repeated(path: str) -> None:
    reply = fetch(two(), path, "target=elsewhere.example")
    assert reply.status == 404
    assert "elsewhere" not in body(reply)


def test_one_milvus_has_no_switch_and_no_target_in_its_addresses() -> None:
    shown = page({"only": troubled().source()})
    assert not [link for link in shown.links if "target=" in link]


HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def test_hostile_names_sources_and_reasons_are_text() -> None:
    bad = failed(1, NOON, reason=HOSTILE, source=HOSTILE)
    world = World().add(HOSTILE, bad, database=HOSTILE, failing=True, trouble=bad, consecutive_failures=1)
    for path, query in (
        ("/", ""),
        ("/", urlencode({"q": HOSTILE})),
        ("/collection", urlencode({"database": HOSTILE, "name": HOSTILE})),
    ):
        shown = page(world.source(), path, query)
        assert shown.status == 200
        assert shown.text.count(HOSTILE) >= 3
        assert "49" not in shown.text.replace("149", "")
        assert sum(tag == "script" for tag, _ in shown.tags) == 1
        assert not [name for _, attrs in shown.tags for name in attrs if name.startswith("on")]


def test_half_a_surrogate_pair_in_a_name_costs_nobody_the_page() -> None:
    world = troubled().add("half\ud800", completed(61, NOON))
    assert fetch(world.source(), "/").status == 200


def test_nothing_inline_and_nothing_from_outside() -> None:
    reply = fetch(troubled().source(), "/")
    assert dict(reply.headers)["content-security-policy"] == POLICY
    assert re.findall(r"(default|style|script|connect|img)-src '(\w+)'", POLICY) == [
        ("default", "none"),
        ("style", "self"),
        ("script", "self"),
        ("connect", "self"),
        ("img", "self"),
    ]
    for tag, attrs in page(troubled().source()).tags:
        assert "style" not in attrs, tag
        for name in ("src", "srcset"):
            assert not (attrs.get(name) or "").startswith(("http", "//", "data:"))
    assert "<style" not in body(reply)
    assert body(reply).count("<script ") == body(reply).count("defer></script>") == 1


def test_style_script_and_icon_are_kept_for_ever_under_names_that_tell_their_content() -> None:
    shown = page(troubled().source())
    linked = {attrs.get("href") or attrs.get("src") for tag, attrs in shown.tags if tag in ("link", "script")}
    assert len(linked) == 3
    for path in linked:
        assert path is not None
        assert re.fullmatch(r"assets/\w+\.[0-9a-f]{16}\.(css|js|svg)", path)
        reply = fetch(troubled().source(), f"/{path}")
        assert (reply.status, dict(reply.headers)["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert reply.chunks[0]


def test_every_address_is_relative_so_that_a_prefix_of_a_proxy_does_no_harm() -> None:
    shown = page(troubled().source())
    inside = [link for link in shown.links if not link.startswith(RUNBOOKS)]
    assert inside
    assert not [link for link in inside if link.startswith("/") or "://" in link]


def test_pages_are_made_off_the_event_loop_in_threads_of_their_own() -> None:
    source, names = troubled().source(), []

    def current() -> Publication:
        names.append(threading.current_thread().name)
        return source.current()

    for path in ("/", "/collection", "/api/v1/jobs", "/api/v1/history", "/api/v1/collections"):
        name = "name" if path == "/collection" else "collection"
        assert fetch(replace(source, current=current), path, f"database=sales&{name}=apples").status == 200
    assert len(names) >= 5
    assert {name.rpartition("_")[0] for name in names} == {"page"}


def test_where_no_milvus_is_watched_the_page_says_so() -> None:
    shown = page({})
    assert (shown.status, "This exporter watches no Milvus." in shown.text) == (200, True)


def test_targets_may_come_and_go() -> None:
    sources = {"prod": troubled().source()}
    table = pages(lambda: sources, Clock(NOON))
    assert "staging" not in body(asyncio.run(table["/"](Request("GET", b"/"))))  # type: ignore[arg-type]
    sources["staging"] = World().source()
    assert "staging" in body(asyncio.run(table["/"](Request("GET", b"/"))))  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", [{"last_success": NOON + 500}, {"last_success": NOON - 900 * DAY, "max_age": 1.0}])
def test_clocks_that_differ_and_very_old_data_are_shown_without_fuss(outcome: dict[str, float]) -> None:
    assert page(World().add("docs", completed(1, NOON), **outcome).source()).status == 200


def test_classes_that_need_nobody_are_no_trouble() -> None:
    late = failed(1, NOON - 5, FailureClass.INDEX_WAIT_TIMEOUT)
    shown = page(World().add("docs", late, trouble=late, last_success=NOON - 5).source())
    assert "The one collection is fine" in shown.text
    assert f"{RUNBOOKS}/MilvusExternalRefreshIndexWaitTimedOut.md" in shown.links


ODD = "do\u202ecs\u200b\x1b\u2066"
"""A name whose direction marks, zero-width blank and control no browser shows."""


@pytest.mark.parametrize("path", ["/", "/collection"])
def test_what_cannot_be_seen_in_a_name_is_written_out_and_the_name_still_leads_to_its_collection(path: str) -> None:
    """It could pass for another collection. Links and forms keep the name itself: it is the identity."""
    denied = failed(1, NOON - 60, FailureClass.ACCESS_DENIED, reason=f"Access {ODD}", source=f"s3://{ODD}")
    world = World().add(ODD, denied, database=ODD, trouble=denied, failing=True, last_failure=NOON - 60)
    query = urlencode({"database": ODD, "name": ODD}) if path == "/collection" else ""
    text = body(fetch(world.source(), path, query))
    written = ODD.encode("unicode_escape").decode()
    assert written in text
    values = re.findall(r'<option value="([^"]*)"', text)
    for value in values:
        text = text.replace(f'"{value}"', "")
    assert not any(char in text for char in ODD if not char.isprintable())
    if path == "/":
        assert ODD in values
        assert urlencode({"name": ODD}) in text
