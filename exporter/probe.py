"""``/probe`` and ``/sd``: the metrics of one of several Milvus, and their list for Prometheus's http_sd."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from exporter.target import Target
from exporter.web import Handler, Reply, Request
from exporter.web.reply import text_reply

Serve = Callable[[Target, str, str], Awaitable[Reply]]
"""Answers with the metrics of a target for the texts of the Accept and Accept-Encoding headers."""

_MOST_PARAMETERS: Final = 16


def pages(targets: Mapping[str, Target], serve: Serve) -> Mapping[str, Handler]:
    """Return what answers each path. ``targets`` may change meanwhile."""

    async def probe(request: Request) -> Reply:
        # A name, never an address: nobody can use us to reach into the network. And nothing of it is repeated.
        try:
            given = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        except ValueError:
            return text_reply(400, "too many parameters")
        names = [value for key, value in given if key == "target"]
        if len(names) != 1:
            return text_reply(400, "one target is needed: /probe?target=NAME")
        target = targets.get(names[0])
        if target is None:
            return text_reply(404, "no target of this name is watched here; /sd lists them")
        return await serve(target, request.header(b"accept"), request.header(b"accept-encoding"))

    async def discover(_: Request) -> Reply:
        # The address is left to relabelling: Prometheus knows at which one it has asked us.
        found = [{"targets": [name], "labels": {"__param_target": name}} for name in sorted(targets)]
        return Reply(200, "application/json", (json.dumps(found).encode(),))

    return {"/probe": probe, "/sd": discover}
