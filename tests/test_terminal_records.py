"""Jobs as JSON are those of the API, record by record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import NOON, completed, failed, job
from page_sources import World, body, fetch
from terminal_views import listing, ordinary, seen
from test_api import API_JOBS, schema

from exporter.model import Collection, FailureClass, Job, State
from exporter.terminal.records import document

JOBS = {
    "failed": failed(2**62, NOON, FailureClass.ACCESS_DENIED, reason='a \ud800 \x00 "<b>'),
    "completed": completed(11, NOON - 600),
    "running": job(21, State.IN_PROGRESS, start=NOON - 240, progress=0.37),
    "no start": job(5, State.UNKNOWN, start=None),
    "end before start": job(6, State.COMPLETED, start=NOON, end=NOON - 5),
    "half written": job(7, State.FAILED, end=None, half_written=True),
    "ended at once": job(8, State.COMPLETED, start=NOON, end=NOON),
}


def answered(what: Any, *, now: float = NOON, **more: Any) -> Any:
    return json.loads("".join(document(seen(what, **more), now, stale=False, one_line=True)))


@pytest.mark.parametrize("one", JOBS.values(), ids=JOBS)
def test_a_record_is_the_apis(one: Job) -> None:
    """What reads one of them can read the other."""
    at = Collection("über", "docs\x1b", 7)
    world = World()
    world.listed[at] = (one,)
    (theirs,) = json.loads(body(fetch(world.source(), API_JOBS)))["data"]
    (ours,) = answered(listing((at.database, at.name, one)))["data"]
    assert ours == theirs
    assert list(ours) == list(theirs)


@pytest.mark.parametrize(
    "what",
    [
        ordinary(),
        listing(),
        ordinary(up=False, kind="deadline", why="Milvus did not answer in time."),
        ordinary(partial=True),
        listing(*(("a", "b", one) for one in JOBS.values())),
    ],
    ids=["ordinary", "empty", "outage", "partial", "strange"],
)
def test_a_document_is_as_the_apis_contract_says(what: Any) -> None:
    schema(API_JOBS, 200).validate(answered(what))


def test_freshness_tells_of_an_outage() -> None:
    lost = answered(ordinary(up=False, kind="deadline"), now=NOON + 40)
    assert lost["freshness"] == [
        {
            "target": "",
            "up": False,
            "kind": "deadline",
            "partial": False,
            "stale": False,
            "data_age_seconds": 40.0,
            "last_success_timestamp_seconds": NOON,
        }
    ]
    assert len(lost["data"]) == 5


def test_the_total_tells_what_a_limit_has_left_out() -> None:
    assert answered(ordinary(), most=2)["page"] == {"limit": 2, "offset": 0, "total": 5, "next": None}
    assert answered(ordinary(), failed=True)["page"] == {"limit": 2, "offset": 0, "total": 2, "next": None}


def test_a_document_cannot_command_a_terminal_and_is_one_line_where_that_is_wanted() -> None:
    hostile = listing(("\x1b[31m\u202e", "a\nb\x9b", JOBS["failed"]))
    for one_line in (True, False):
        text = "".join(document(seen(hostile), NOON, stale=True, one_line=one_line))
        assert json.loads(text)["data"][0]["database"] == "\x1b[31m\u202e"
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
        assert text.count("\n") == (1 if one_line else 4)
