"""Which path answers what.

A table of exact paths: whatever is not spelled as in the table is 404, so there is no second way to write a path that
a proxy in front might judge differently.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from exporter.errors import UsageError
from exporter.web.origin import from_another_site
from exporter.web.reply import Handler, Reply, Request, text_reply

HEALTHY: Final = "/-/healthy"
READY: Final = "/-/ready"
RELOAD: Final = "/-/reload"
ALWAYS_ANSWERED: Final = frozenset({HEALTHY.encode(), READY.encode()})
"""Never refused for being too many: a busy exporter is not a dead one."""

_TELEMETRY_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_READING: Final = ("GET", "HEAD")

log = logging.getLogger("exporter.web")

Reload = Callable[[], Awaitable[Sequence[str]]]
"""Reads the configuration again. Returns the faults for which it was not taken over, none where it was."""


@dataclass(frozen=True, slots=True)
class _Route:
    answer: Handler
    methods: tuple[str, ...] = _READING


NO_PAGES: Final[Mapping[str, Handler]] = MappingProxyType({})


def create_app(
    *,
    metrics: Callable[[str, str], Awaitable[Reply]],
    healthy: Callable[[], bool],
    ready: Callable[[], bool],
    config_text: Callable[[], str],
    telemetry_path: str,
    pages: Mapping[str, Handler] = NO_PAGES,
    reload: Reload | None = None,
) -> Handler:
    """Return the handler of all paths.

    ``metrics`` is given the texts of the Accept and Accept-Encoding headers (empty if absent). ``pages`` are further
    exact paths, for GET and HEAD. Without ``reload`` there is no ``/-/reload``.

    Raises :class:`exporter.errors.UsageError` for a telemetry path that is no path or belongs to something else, and
    ValueError for a page on a path that is taken.
    """

    async def serve_metrics(request: Request) -> Reply:
        return await metrics(request.header(b"accept"), request.header(b"accept-encoding"))

    async def serve_config(_: Request) -> Reply:
        return Reply(200, "text/yaml; charset=utf-8", (config_text().encode(),))

    table = {
        "/config": _Route(serve_config),
        HEALTHY: _Route(_probe(healthy, "healthy", "not healthy: the poll loop does not run")),
        READY: _Route(_probe(ready, "ready", "not ready: the first poll has not finished")),
    }
    if reload is not None:
        table[RELOAD] = _Route(_reloader(reload), ("POST",))
    if taken := table.keys() & pages.keys():
        raise ValueError(f"pages on paths that are taken: {sorted(taken)}")
    table |= {path: _Route(page) for path, page in pages.items()}
    _check_telemetry_path(telemetry_path, table)
    table[telemetry_path] = _Route(serve_metrics)
    return _application({path.encode(): route for path, route in table.items()})


def _check_telemetry_path(path: str, taken: Mapping[str, _Route]) -> None:
    if path == "/":
        return
    right = "right would be a path such as /metrics, of letters, digits and ._~- without a slash at the end"
    if not _TELEMETRY_PATH.fullmatch(path):
        raise UsageError((f"web.telemetry_path: {path!r} is no path; {right}",))
    if path in taken or path.startswith("/-/"):
        raise UsageError((f"web.telemetry_path: {path!r} belongs to another page; {right}",))


def _probe(check: Callable[[], bool], good: str, bad: str) -> Handler:
    async def answer(_: Request) -> Reply:
        return text_reply(200, good) if check() else text_reply(503, bad)

    return answer


def _reloader(reload: Reload) -> Handler:
    under_way: set[asyncio.Future[Sequence[str]]] = set()

    async def answer(request: Request) -> Reply:
        if from_another_site(request.headers):
            return text_reply(403, "forbidden: the request comes from a page of another site")
        # A reload that has begun goes on to its end, even if the caller goes away.
        task = asyncio.ensure_future(reload())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        faults = await asyncio.shield(task)
        return text_reply(500, "\n".join(faults)) if faults else text_reply(200, "configuration reloaded")

    return answer


def _application(table: Mapping[bytes, _Route]) -> Handler:
    async def application(request: Request) -> Reply:
        route = table.get(request.path)
        if route is None:
            return text_reply(404, "not found")
        if request.method not in route.methods:
            return text_reply(405, "method not allowed", ("allow", ", ".join(route.methods)))
        try:
            return await route.answer(request)
        except Exception as error:  # a fault of one page must not look like a dead exporter
            # Only a path of the table gets here, so nothing of the caller's is logged; the error's text could be
            # anybody's.
            log.error("could not answer %s: %s", request.path.decode("ascii", "replace"), type(error).__name__)  # noqa: TRY400
            log.debug("traceback", exc_info=error)
            return text_reply(500, "internal error")

    return application
