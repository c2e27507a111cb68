"""The job page in a real browser: what somebody sees of the demonstration, and what a hostile Milvus cannot do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from peers.browser import axe_faults, chromium
from peers.exporter import Exporter
from peers.pymilvus_server import FAILED, PymilvusServer, databases, job
from peers.waiting import until

pytestmark = pytest.mark.real

HOSTILE = "<img src=x onerror=alert(1)>"
BODY = "document.body.innerText"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    state = tmp_path_factory.mktemp("state") / "state.db"
    flags = ("--poll.interval", "2s", "--demo.speed", "20", "--state.path", str(state))
    with Exporter("", *flags, command="demo") as exporter:
        exporter.until(lambda now: now.total("jobs") > 0, "jobs")
        yield exporter


class Visit:
    """A page that is being looked at, with everything that went wrong on it."""

    def __init__(self, browser: Any, exporter: Exporter, path: str = "/", **context: Any) -> None:
        values = {"viewport": {"width": 1400, "height": 900}} | context
        self.context = browser.new_context(**values)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.base = f"http://127.0.0.1:{exporter.port}"
        self.page.goto(self.base + path)

    def names(self) -> list[str]:
        return [text.strip() for text in self.page.locator("th.c-name .name").all_inner_texts()]

    def updated(self) -> None:
        """Wait until the page has fetched itself once more and taken it over."""
        with self.page.expect_response(lambda answer: answer.url == self.page.url, timeout=20_000) as caught:
            pass
        caught.value.finished()
        self.page.wait_for_timeout(50)  # the script's turn


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    visits: list[Visit] = []

    def go(exporter: Exporter, path: str = "/", **context: Any) -> Visit:
        visits.append(Visit(browser, exporter, path, **context))
        return visits[-1]

    yield go
    for each in visits:
        each.context.close()
    assert [fault for each in visits for fault in each.faults if "ERR_CONNECTION_REFUSED" not in fault] == []


def test_the_first_screen_says_who_is_in_trouble_and_why(visit: Any, demo: Exporter) -> None:
    page = visit(demo).page
    assert re.match(r"\d+ of \d+ collections are in trouble", page.locator("h1").inner_text())
    assert page.title().startswith("(")
    groups = page.locator("tr.group").all_inner_texts()
    assert [text.split(":")[0] for text in groups] == ["In trouble", "Nothing to do"]
    first = page.locator("tbody").first
    assert "analytics/customers" in first.inner_text()
    row = first.locator("tr", has_text="analytics/customers")
    assert "Access Denied" in row.inner_text()
    assert row.bounding_box()["y"] + row.bounding_box()["height"] <= 900, "the first reason is above the fold"


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_refused_by_the_policy(visit: Any, demo: Exporter) -> None:
    seen = visit(demo)
    seen.updated()
    assert {url.split("/")[2] for url in seen.requests} == {f"127.0.0.1:{demo.port}"}
    assert seen.faults == []


def test_typing_filters_and_the_address_can_be_shared(visit: Any, demo: Exporter) -> None:
    seen = visit(demo)
    seen.page.get_by_label("Search").fill("access_denied")
    seen.page.wait_for_url("**/?q=access_denied")
    until(lambda: seen.names() == ["customers"], "the filter is applied")
    shared = visit(demo, "/" + seen.page.url.split("/")[-1])
    assert shared.names() == ["customers"]
    assert shared.page.get_by_label("Search").input_value() == "access_denied"


def test_trouble_only_and_database_by_keyboard(visit: Any, demo: Exporter) -> None:
    seen = visit(demo)
    everything = len(seen.names())
    seen.page.get_by_label("In trouble only").focus()
    seen.page.keyboard.press("Space")
    until(lambda: 0 < len(seen.names()) < everything, "fewer collections")
    assert seen.page.locator("tr.group").count() == 1
    seen.page.get_by_label("Database").select_option("analytics")
    until(lambda: "database=analytics" in seen.page.url, "the address follows")


def test_the_keyboard_reaches_the_content_at_once_and_shows_where_it_is(visit: Any, demo: Exporter) -> None:
    page = visit(demo).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the collections"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_without_a_script_everything_can_be_read_filtered_and_followed(visit: Any, demo: Exporter) -> None:
    seen = visit(demo, java_script_enabled=False)
    page = seen.page
    assert "in trouble" in page.locator("h1").inner_text()
    assert not page.get_by_text("Pause updates").is_visible()
    page.get_by_label("Search").fill("customers")
    page.get_by_role("button", name="Show", exact=True).click()
    assert seen.names() == ["customers"]
    assert "q=customers" in page.url
    page.get_by_role("link", name=re.compile("customers")).first.click()
    assert page.locator("h1").inner_text() == "analytics/customers"
    assert "Access Denied" in page.locator("#jobs").inner_text()


def test_jobs_move_while_one_looks_and_focus_scroll_and_field_stay(visit: Any, demo: Exporter) -> None:
    seen = visit(demo)
    page = seen.page
    page.evaluate("document.querySelectorAll('tbody th.c-name a')[6].focus({preventScroll: true})")
    page.evaluate("scrollTo(0, 300)")
    page.evaluate("window.kept = document.querySelector('table')")
    focused, before = page.evaluate("document.activeElement.href"), page.locator(".c-job").all_inner_texts()
    until(lambda: page.locator(".c-job").all_inner_texts() != before, "jobs have moved", seconds=40)
    assert page.evaluate("document.activeElement.href") == focused
    # What is above may have grown by a line or two, which the browser makes up for.
    assert abs(page.evaluate("scrollY") - 300) < 150
    assert page.evaluate("window.kept === document.querySelector('table')"), "the table was not made anew"


def test_focus_follows_a_collection_into_another_group(visit: Any, milvus: PymilvusServer) -> None:
    """A row that is moved by an update is still the one that the keyboard is on."""
    milvus.set(databases=databases(lake=["apples", "pears", "plums"]))
    milvus.set_jobs(*(job(n, name, database="lake") for n, name in enumerate(("apples", "pears", "plums"), 1)))
    with Exporter(milvus.uri) as exporter:
        exporter.until(lambda now: now.total("jobs") == 3, "the jobs")
        seen = visit(exporter)
        seen.page.locator("tbody th.c-name a", has_text="plums").focus()
        assert seen.names() == ["apples", "pears", "plums"]
        milvus.set_jobs(job(9, "plums", FAILED, database="lake"))
        until(lambda: seen.names()[0] == "plums", "the failed one comes first")
        assert "name=plums" in seen.page.evaluate("document.activeElement.href")


def test_updates_can_be_paused(visit: Any, demo: Exporter) -> None:
    seen = visit(demo)
    seen.page.get_by_role("button", name="Pause updates").click()
    assert seen.page.locator("#pause").get_attribute("aria-pressed") == "true"
    asked = len(seen.requests)
    seen.page.wait_for_timeout(3000)  # more than an interval of the page
    assert len(seen.requests) == asked


def test_an_unfolded_table_stays_unfolded(visit: Any, demo: Exporter) -> None:
    seen = visit(demo, "/collection?database=lake&name=orders")
    seen.page.get_by_text("By day", exact=True).click()
    seen.updated()
    assert seen.page.locator("details").evaluate("node => node.open")


def test_an_exporter_that_is_gone_is_said_and_its_return_too(visit: Any) -> None:
    with Exporter("", "--poll.interval", "2s", command="demo") as exporter:
        page = visit(exporter).page
        exporter.kill()
        page.locator("#lost").wait_for(state="visible", timeout=20_000)
        exporter.start()
        page.locator("#lost").wait_for(state="hidden", timeout=20_000)


def test_a_telephone_shows_cards_and_never_scrolls_sideways(visit: Any, demo: Exporter) -> None:
    for path in ("/", "/?trouble=1", "/collection?database=analytics&name=inventory"):
        page = visit(demo, path, viewport={"width": 360, "height": 740}, is_mobile=True).page
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page = visit(demo, viewport={"width": 360, "height": 740}, is_mobile=True).page
    edges = page.evaluate("[...document.querySelectorAll('td .strip')].map(n => n.getBoundingClientRect().right)")
    assert edges
    assert max(edges) <= 360
    page = visit(demo, viewport={"width": 390, "height": 844}, is_mobile=True).page
    assert page.locator("table.collections .badge.bad").first.bounding_box()["y"] < 844, "trouble is above the fold"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_telephone_folds_the_filters_and_a_desk_does_not(visit: Any, demo: Exporter, scripts: bool) -> None:
    page = visit(demo, viewport={"width": 360, "height": 740}, is_mobile=True, java_script_enabled=scripts).page
    assert page.get_by_label("Search").is_visible()
    assert not page.get_by_label("Database").is_visible()
    page.get_by_text("Filter and sort").click()
    assert page.get_by_label("Database").is_visible()
    page.get_by_label("In trouble only").check()
    if not scripts:
        page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**/?*trouble=1*")
    wide = visit(demo, java_script_enabled=scripts).page
    assert wide.get_by_label("Database").is_visible()
    assert not wide.get_by_text("Filter and sort").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?sort=name",
        "/?trouble=1&q=nothing",
        "/collection?database=analytics&name=customers",
        "/collection?name=none",
    ],
)
@pytest.mark.parametrize("width", [1400, 390])
def test_axe_finds_nothing(visit: Any, demo: Exporter, path: str, scheme: str, width: int) -> None:
    """Contrast, headings, table semantics, names and landmarks, by WCAG 2.2 AA and axe's own best practice."""
    seen = visit(demo, path, color_scheme=scheme, viewport={"width": width, "height": 900})
    seen.faults.clear()  # the page that is not there is an error to the console
    assert axe_faults(seen.page) == []


def test_dark_is_dark(visit: Any, demo: Exporter) -> None:
    def brightness(scheme: str) -> int:
        page = visit(demo, color_scheme=scheme).page
        found = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
        return sum(map(int, found[:3]))

    assert brightness("dark") < 120
    assert brightness("light") > 600


def test_a_hostile_name_and_reason_are_text(visit: Any, milvus: PymilvusServer) -> None:
    """What Milvus sends is shown and never run, in the first answer and in what the script takes over."""
    milvus.set(databases=databases(default=[HOSTILE]))
    milvus.set_jobs(hostile_job(1))
    with Exporter(milvus.uri) as exporter:
        exporter.until(lambda now: now.total("jobs") > 0, "the job")
        seen = visit(exporter)
        assert HOSTILE in seen.page.evaluate(BODY)
        milvus.set_jobs(hostile_job(1), hostile_job(2))
        seen.updated()
        until(lambda: "2 failures in a row" in seen.page.evaluate(BODY), "the script has taken over the second")
        assert seen.page.locator("main img").count() == 0
        seen.page.locator("tbody th.c-name a").click()
        assert seen.page.locator("main img").count() == 0
        assert HOSTILE in seen.page.locator("h1").inner_text()


def hostile_job(number: int) -> dict[str, Any]:
    reason = f"no files found in external source: {HOSTILE}"
    return job(number, HOSTILE, FAILED, reason=reason, external_source=f"s3://lake/{HOSTILE}/")


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1"])
def test_a_page_of_a_name_that_was_pointed_at_us_cannot_reload(browser: Any, demo: Exporter, host: str) -> None:
    """DNS rebinding: the page came from a server of its owner. A page of our own address can."""
    status = 200 if host == "127.0.0.1" else 403
    context = browser.new_context(bypass_csp=True)  # their page would have neither of our policies
    page = context.new_page()
    page.goto(f"http://{host}:{demo.port}/nowhere")
    page.evaluate("document.head.innerHTML = '<meta name=referrer content=unsafe-url>'")
    before = demo.log.count("configuration reloaded")
    assert page.evaluate("async () => (await fetch('/-/reload', {method: 'POST'})).status") == status
    page.evaluate("document.body.innerHTML = '<form method=post action=/-/reload><button>go</button></form>'")
    with page.expect_navigation() as caught:
        page.get_by_role("button", name="go").click()
    assert caught.value.status == status
    assert demo.log.count("configuration reloaded") - before == (2 if status == 200 else 0)
    context.close()
