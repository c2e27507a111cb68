"""`/probe` and `/sd` as functions: a name in, one target's answer out."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.probe import pages
from exporter.web import Reply
from exporter.web.reply import Request

TARGETS: dict[str, Any] = {name: SimpleNamespace(name=name) for name in ("sea", "lake")}


async def serve(target: Any, accept: str, accept_encoding: str) -> Reply:
    return Reply(200, "text/plain", (f"{target.name} {accept} {accept_encoding}".encode(),))


def asked(path: str, query: str = "") -> Reply:
    return asyncio.run(pages(TARGETS, serve)[path](Request("GET", path.encode(), query)))


def test_the_one_that_is_named_answers() -> None:
    assert asked("/probe", "target=lake").chunks == (b"lake  ",)


@pytest.mark.parametrize("query", ["", "target=lake&target=lake", "x=lake", "&".join(["a=1"] * 17)])
def test_nothing_but_one_name_will_do(query: str) -> None:
    assert asked("/probe", query).status == 400


@pytest.mark.parametrize(
    "query", ["target=", "target=CANARY", "target=LAKE", "target=lake%00", "target=10.0.0.1:19530"]
)
def test_a_name_that_is_not_ours_is_not_found_and_not_repeated(query: str) -> None:
    reply = asked("/probe", query)
    assert reply.status == 404
    assert b"CANARY" not in b"".join(reply.chunks)


def test_the_list_is_what_http_sd_reads_and_follows_a_change() -> None:
    """Sorted, so that Prometheus sees no change where there is none."""
    targets = dict(TARGETS)
    listed = pages(targets, serve)["/sd"]
    assert asyncio.run(listed(Request("GET", b"/sd"))).content_type == "application/json"

    def names() -> list[str]:
        reply = asyncio.run(listed(Request("GET", b"/sd")))
        return [each["labels"]["__param_target"] for each in json.loads(reply.chunks[0])]

    assert names() == ["lake", "sea"]
    del targets["sea"]
    assert names() == ["lake"]


def test_a_probe_hands_on_what_its_caller_accepts() -> None:
    headers = [(b"accept", b"a"), (b"accept-encoding", b"gzip")]
    request = Request("GET", b"/probe", "target=lake", headers)
    assert asyncio.run(pages(TARGETS, serve)["/probe"](request)).chunks == (b"lake a gzip",)
