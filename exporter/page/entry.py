"""The paths that people and their programs read, as functions from a query to a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from exporter.clock import Clock
from exporter.page.assets import assets
from exporter.page.source import Source
from exporter.web import Handler, Reply, Request

if TYPE_CHECKING:
    from exporter.page.answers import Answers

    Work = Callable[[Answers, Mapping[str, Source], str, float], Reply]

API_JOBS = "/api/v1/jobs"
API_HISTORY = "/api/v1/history"
API_COLLECTIONS = "/api/v1/collections"


def pages(
    sources: Callable[[], Mapping[str, Source]],
    clock: Clock,
    *,
    runbooks: str = "",
    links: Sequence[tuple[str, str]] = (),
) -> Mapping[str, Handler]:
    """Return what answers each path.

    ``sources`` returns the targets by name, in the order to show; it is called on the event loop for each request, so
    they may change meanwhile. One target has no switch, whatever its name. ``runbooks`` is the base address of
    docs/runbooks, or empty for no links. ``links`` are texts and addresses for the head of the page, relative to it.
    """
    # Threads of its own: a crowd that looks at the page must not take those that polls decode in.
    threads = ThreadPoolExecutor(2, thread_name_prefix="page")

    @cache
    def answers() -> Answers:
        from exporter.page.answers import Answers  # noqa: PLC0415  # in one of the threads, when somebody looks

        return Answers(runbooks, links)

    def aside(work: Work) -> Handler:
        def reply(targets: Mapping[str, Source], query: str) -> Reply:
            return work(answers(), targets, query, clock.wall())

        async def answer(request: Request) -> Reply:
            return await asyncio.get_running_loop().run_in_executor(threads, reply, sources(), request.query)

        return answer

    table: dict[str, Handler] = {
        "/": aside(lambda say, targets, query, now: say.show_list(targets, query, now)),
        "/collection": aside(lambda say, targets, query, now: say.show_collection(targets, query, now)),
        API_JOBS: aside(lambda say, targets, query, now: say.jobs(targets, query, now)),
        API_HISTORY: aside(lambda say, targets, query, now: say.history(targets, query, now)),
        API_COLLECTIONS: aside(lambda say, targets, query, now: say.collections(targets, query, now)),
    }
    return table | {f"/{asset.path}": asset.page() for asset in assets().values()}
