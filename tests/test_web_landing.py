"""The page at ``/``."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from exporter.web import FailingCollection, LandingFacts
from exporter.web.landing import landing_page

FACTS = LandingFacts(
    version="1.2.3",
    last_poll_ok=True,
    last_poll_kind="",
    data_age=12.4,
    jobs=(("RefreshCompleted", 41), ("RefreshFailed", 2)),
    failing=(FailingCollection("sales", "orders", "access_denied", "no access to s3://lake/orders"),),
    links=(("Metrics", "/metrics"),),
)


def page(facts: LandingFacts = FACTS) -> str:
    return b"".join(landing_page(facts).chunks).decode()


class Reader(HTMLParser):
    """Collects what a browser would show and load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def test_the_page_shows_every_fact() -> None:
    text = page()
    for fact in ("1.2.3", "RefreshCompleted", "41", "sales", "orders", "access_denied", "s3://lake/orders", "/metrics"):
        assert fact in text


@pytest.mark.parametrize(
    ("ok", "kind", "age", "sentence"),
    [
        (None, "", None, "The first poll has not finished. No data yet."),
        (True, "", 12.4, "The last poll was good. Data is 12 s old."),
        (False, "unreachable", 600.0, "The last poll failed: unreachable. Data is 10 min old."),
        (False, "", None, "The last poll failed: unknown. No data yet."),
        (False, "deadline", 7 * 3600.0, "Data is 7 h old."),
        (False, "deadline", 3 * 86400.0, "Data is 3 d old."),
        (True, "", -0.2, "Data is 0 s old."),
    ],
)
def test_the_banner_says_how_the_last_poll_went_and_how_old_the_data_is(
    ok: bool | None, kind: str, age: float | None, sentence: str
) -> None:
    assert sentence in page(replace(FACTS, last_poll_ok=ok, last_poll_kind=kind, data_age=age))


def test_names_cannot_become_markup() -> None:
    evil = "<script>alert('x')</script>\"&"
    text = page(
        LandingFacts(
            evil, False, evil, 1.0, ((evil, 1),), (FailingCollection(evil, evil, evil, evil),), ((evil, evil),)
        )
    )
    assert set(read(text).tags) == set(read(page()).tags)
    assert evil not in text
    assert text.count("&lt;script&gt;") == 9


def test_a_name_that_is_not_unicode_does_not_break_the_page() -> None:
    assert "a?b" in page(replace(FACTS, version="a\udcffb"))


def test_the_page_is_well_formed_and_fits_a_phone() -> None:
    reader = read(page())
    assert reader.open == []
    assert ("content", "width=device-width, initial-scale=1") in reader.attributes


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    reader = read(page())
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(reader.tags)
    assert not {"src", "style", "onclick", "onload"} & {name for name, _ in reader.attributes}
    assert "url(" not in page()


def test_the_policy_allows_exactly_the_style_of_the_page() -> None:
    style = re.search("<style>(.*?)</style>", page(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = dict(landing_page(FACTS).headers)["content-security-policy"]
    assert policy.endswith(f"; style-src 'sha256-{digest}'")
    assert policy.startswith("default-src 'none'; ")


def test_twenty_failing_collections_are_shown_and_the_rest_counted() -> None:
    entries = tuple(FailingCollection("db", f"name{number}.", "timeout", "") for number in range(23))
    text = page(replace(FACTS, failing=entries))
    assert "name19." in text
    assert "name20." not in text
    assert "And 3 more" in text


def test_no_failing_collection_is_said() -> None:
    text = page(replace(FACTS, failing=()))
    assert "None." in text
    assert "more, see" not in text
