"""The paths that people and their programs read, as functions from a query to a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from exporter.clock import Clock
from exporter.page.api import collections_reply, history_reply, jobs_reply
from exporter.page.assets import assets
from exporter.page.detail import detail
from exporter.page.listing import listing
from exporter.page.orders import Orders
from exporter.page.query import View, detail_of, view_of
from exporter.page.render import Links, html
from exporter.page.source import Source
from exporter.web import Page, Reply

API_JOBS = "/api/v1/jobs"
API_HISTORY = "/api/v1/history"
API_COLLECTIONS = "/api/v1/collections"


def pages(
    sources: Callable[[], Mapping[str, Source]], clock: Clock, *, runbooks: str = "", links: Links = ()
) -> Mapping[str, Page]:
    """Return what answers each path.

    ``sources`` returns the targets by name, in the order to show; it is called on the event loop for each request, so
    they may change meanwhile. One target has no switch, whatever its name. ``runbooks`` is the base address of
    docs/runbooks, or empty for no links. ``links`` are texts and addresses for the head of the page, relative to it.
    """
    orders = Orders()
    # Threads of its own: a crowd that looks at the page must not take those that polls decode in.
    threads = ThreadPoolExecutor(2, thread_name_prefix="page")

    def aside(work: Callable[[Mapping[str, Source], str], Reply]) -> Page:
        async def answer(query: str) -> Reply:
            return await asyncio.get_running_loop().run_in_executor(threads, work, sources(), query)

        return answer

    def show_list(targets: Mapping[str, Source], query: str) -> Reply:
        try:
            view = view_of(query, tuple(targets))
        except LookupError:
            return _no_target(targets, links)
        home = View(target=view.target).href() if len(targets) > 1 else "./"
        return html("list.html", 200, links, home=home, **listing(targets, view, runbooks, clock.wall()))

    def show_collection(targets: Mapping[str, Source], query: str) -> Reply:
        try:
            asked = detail_of(query, tuple(targets))
        except LookupError:
            return _no_target(targets, links)
        home = View(target=asked.target).href() if len(targets) > 1 else "./"
        found = detail(targets, asked, runbooks, clock.wall())
        if found is None:
            what = "No collection of this name is known: it was dropped, renamed, or is not an external one."
            return html("missing.html", 404, links, home=home, what=what)
        return html("collection.html", 200, links, home=home, **found)

    table: dict[str, Callable[[str], Awaitable[Reply]]] = {
        "/": aside(show_list),
        "/collection": aside(show_collection),
        API_JOBS: aside(lambda targets, query: jobs_reply(targets, query, orders, clock.wall())),
        API_HISTORY: aside(lambda targets, query: history_reply(targets, query, clock.wall())),
        API_COLLECTIONS: aside(lambda targets, query: collections_reply(targets, query, runbooks, clock.wall())),
    }
    return table | {f"/{asset.path}": asset.page() for asset in assets().values()}


def _no_target(targets: Mapping[str, Source], links: Links) -> Reply:
    if targets:
        return html("missing.html", 404, links, what="No Milvus of this name is configured.")
    return html("missing.html", 200, links, what="This exporter watches no Milvus.")
