"""From a query to a reply, for each path. Imported when somebody looks: many an exporter is only ever scraped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.page.api import collections_reply, history_reply, jobs_reply
from exporter.page.detail import detail
from exporter.page.listing import listing
from exporter.page.orders import Orders
from exporter.page.query import View, detail_of, view_of
from exporter.page.render import Links, html
from exporter.page.source import Source
from exporter.web import Reply

Sources = Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Answers:
    """What does not differ between requests. The methods may run in several threads; ``now`` in epoch seconds."""

    runbooks: str
    links: Links
    _orders: Orders = field(default_factory=Orders)

    def show_list(self, targets: Sources, query: str, now: float) -> Reply:
        """Answer the job page."""
        try:
            view = view_of(query, tuple(targets))
        except LookupError:
            return self._no_target(targets)
        return html(
            "list.html", 200, self.links, home=_home(targets, view.target), **listing(targets, view, self.runbooks, now)
        )

    def show_collection(self, targets: Sources, query: str, now: float) -> Reply:
        """Answer the page of one collection."""
        try:
            asked = detail_of(query, tuple(targets))
        except LookupError:
            return self._no_target(targets)
        home = _home(targets, asked.target)
        found = detail(targets, asked, self.runbooks, now)
        if found is None:
            what = "No collection of this name is known: it was dropped, renamed, or is not an external one."
            return html("missing.html", 404, self.links, home=home, what=what)
        return html("collection.html", 200, self.links, home=home, **found)

    def jobs(self, targets: Sources, query: str, now: float) -> Reply:
        """Answer the API's jobs."""
        self._orders.keep(targets)
        return jobs_reply(targets, query, self._orders, now)

    def history(self, targets: Sources, query: str, now: float) -> Reply:
        """Answer the API's history of one collection."""
        return history_reply(targets, query, now)

    def collections(self, targets: Sources, query: str, now: float) -> Reply:
        """Answer the API's collections."""
        return collections_reply(targets, query, self.runbooks, now)

    def _no_target(self, targets: Sources) -> Reply:
        if targets:
            return html("missing.html", 404, self.links, what="No Milvus of this name is configured.")
        return html("missing.html", 200, self.links, what="This exporter watches no Milvus.")


def _home(targets: Sources, target: str) -> str:
    return View(target=target).href() if len(targets) > 1 else "./"
