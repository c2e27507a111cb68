"""Drawn by Grafana's own components in Chromium, the dashboards say in words what their queries have found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from grafana_files import NAMES, load, panels
from peers.browser import chromium
from peers.history import BEGAN, MINUTE, NOW, History, Situation
from peers.parts import ROOT, fetched, generations, missing

from exporter.metrics import contract

sys.path.insert(0, str(ROOT / "tools"))

from dashboards import draw
from dashboards.replay import Asked, replayed

pytestmark = pytest.mark.real

LIST, DETAIL, EXPORTER = NAMES
SHOWN = 120 * MINUTE


def written() -> str:
    """One collection fails with a reason and is too old, another is fine; and a cluster of which no poll succeeds."""
    history = History()
    it = Situation(history, "eu")
    about = it.exporter(milvus="lake")
    for name, success, state in (("orders", NOW - 7200, "RefreshFailed"), ("items", NOW - 60, "RefreshCompleted")):
        place = {"database": "sales", "collection": name}
        it.of(about, contract.LAST_SUCCESS, success, **place)
        it.of(about, contract.MAX_AGE, 3600, **place)
        it.of(about, contract.CONSECUTIVE, 2 if state == "RefreshFailed" else 0, **place)
        it.of(about, contract.LAST_STATE, 1, **place, source="s3://b/x", state=state)
    failed = {"database": "sales", "collection": "orders"}
    it.of(about, contract.LAST_FAILURE, NOW - 600, **failed)
    reason = {"job_id": "7", "failure_class": "access_denied", "reason": "Access Denied: <b>s3</b>"}
    it.of(about, contract.LAST_FAILURE_INFO, 1, **failed, source="s3://b/x", **reason)
    Situation(history, "us").exporter(polled=lambda left: NOW - max(left, 30) * MINUTE)
    return history.text()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    prometheus, promtool = (generations(name).get("system") for name in ("prometheus", "promtool"))
    if not prometheus or not promtool:
        missing("prometheus is not installed")
    folder = tmp_path_factory.mktemp("drawn")
    with replayed(written(), BEGAN, NOW, folder, prometheus=prometheus, promtool=promtool, rules=False) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> draw.Page:
    fetched("grafana-ui", "node_modules/@grafana/ui/package.json")
    made: Path = tmp_path_factory.mktemp("page")
    return draw.Page(made)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def told(asked: Asked, page: draw.Page, browser: Any) -> Any:
    @cache
    def tell(dashboard: str, cluster: str) -> str:
        """Return all that can be read on a dashboard."""
        picture = draw.Picture("", dashboard, chosen=(("cluster", cluster),))
        with page.drawn(browser, draw.given(picture, asked, NOW, SHOWN)) as shown:
            return " ".join(shown.inner_text("#grid").split())

    return tell


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cluster", ["eu", "us", "nothing"])
def test_every_panel_is_drawn_whatever_there_is_to_show(told: Any, name: str, cluster: str) -> None:
    """A fault of the page fails in there."""
    text = told(name, cluster)
    assert not [panel["title"] for panel in panels(load(name)) if " ".join(panel["title"].split()) not in text]


def test_who_is_woken_up_reads_what_is_wrong_and_why(told: Any) -> None:
    text = told(LIST, "eu")
    assert "Older than promised 1 " in text
    assert (
        "Too old, refreshes fail sales/orders eu lake Access Denied: <b>s3</b> access_denied Failed 2.0 hours 200%"
        in text
    )
    assert "sales/items eu lake - " not in text, "it is fine"


def test_the_first_tile_tells_all_there_from_missing_from_nothing_known(told: Any) -> None:
    assert "Not watched now Milvus none exporters none" in told(LIST, "eu")
    assert "Not watched now Milvus 1 exporters none" in told(LIST, "us")
    assert "Not watched now nothing is watched" in told(LIST, "nothing")


def test_a_text_for_nothing_found_does_not_say_that_all_is_well(told: Any) -> None:
    text = told(LIST, "nothing")
    assert "Older than promised not known" in text
    assert "None known; trust this only while nothing above is missing" in text


def test_the_call_to_refresh_again_is_in_the_collections_names(told: Any) -> None:
    assert "MilvusClient(uri, token=token, db_name='sales').refresh_external_collection('orders')" in told(DETAIL, "eu")
