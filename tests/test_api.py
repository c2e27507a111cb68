"""The JSON API: what is asked for and nothing else, with freshness, in the shapes of docs/api/openapi.yaml."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest
import yaml
from builders import DAY, NOON, completed, failed, job
from hypothesis import given
from hypothesis import strategies as st
from page_sources import GOOD, RUNBOOKS, World, asked, body, fetch, troubled
from peers.parts import ROOT
from test_page_collection import Kept

from exporter.errors import StateUnwritable
from exporter.model import Collection, FailureClass, State
from exporter.page import Source
from exporter.page.answers import Answers
from exporter.page.conditions import Condition
from exporter.page.orders import Orders
from exporter.page.parameters import COLLECTIONS, FARTHEST, JOBS, MOST
from exporter.store import PollAccount

CONTRACT = yaml.safe_load((ROOT / "docs" / "api" / "openapi.yaml").read_text(encoding="utf-8"))
API_JOBS, API_HISTORY, API_COLLECTIONS = "/api/v1/jobs", "/api/v1/history", "/api/v1/collections"


def closed(shape: Any) -> Any:
    """Return a schema that allows only what it names, so that what the contract forgets is found."""
    if isinstance(shape, list):
        return [closed(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    if "allOf" in shape:
        return {**shape, "unevaluatedProperties": False}
    found = {key: closed(value) for key, value in shape.items()}
    return found | {"unevaluatedProperties": False} if isinstance(shape.get("properties"), dict) else found


SHAPES = {name: shape if name == "Job" else closed(shape) for name, shape in CONTRACT["components"]["schemas"].items()}


def schema(path: str, status: int) -> jsonschema_rs.Draft202012Validator:
    """Return what the contract says of an answer."""
    answer = CONTRACT["paths"][path]["get"]["responses"][str(status)]
    if "$ref" in answer:
        answer = CONTRACT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    (content,) = answer["content"].values()
    return jsonschema_rs.Draft202012Validator({**closed(content["schema"]), "components": {"schemas": SHAPES}})


def check(source: Source | dict[str, Source], path: str, query: str = "", **more: Any) -> Any:
    """Ask, compare the answer with the contract, and return it."""
    reply = fetch(source, path, query, **more)
    kind = "application/json" if reply.status == 200 else "application/problem+json"
    assert reply.content_type == kind
    answer = json.loads(body(reply))
    schema(path, reply.status).validate(answer)
    return answer


def ids(answer: Any) -> list[str]:
    return [each["job_id"] for each in answer["data"]]


def names(answer: Any) -> list[str]:
    return [each["collection"] for each in answer["data"]]


def strange() -> World:
    """Everything that may be missing is missing somewhere, everything that may be there is there somewhere."""
    denied = failed(2**62, NOON, FailureClass.ACCESS_DENIED, reason='a \ud800 \x00 "<b>')
    world = troubled().add("", job(5, State.UNKNOWN, start=None), database="").add("über", denied, trouble=denied)
    world.listed[Collection("gone", "gone", 90)] = (completed(91, NOON),)
    world.account = replace(GOOD, up=False, kind="deadline", partial=True)
    return world


@pytest.mark.parametrize("path", [API_JOBS, API_COLLECTIONS])
@pytest.mark.parametrize(
    "world",
    [World(), World(account=PollAccount(), stale=True), troubled(), strange()],
    ids=["empty", "before the first poll", "ordinary", "strange"],
)
def test_real_answers_are_as_the_contract_says(path: str, world: World) -> None:
    answer = check(world.source(), path)
    assert answer["page"]["total"] == len(answer["data"])


def test_the_contract_is_of_what_there_is() -> None:
    def parameters(path: str) -> list[str]:
        found = CONTRACT["paths"][path]["get"]["parameters"]
        return [each.get("name") or each["$ref"].rpartition("/")[2] for each in found]

    assert tuple(parameters(API_JOBS)) == JOBS
    assert tuple(parameters(API_HISTORY)) == JOBS
    assert tuple(parameters(API_COLLECTIONS)) == COLLECTIONS
    shared = CONTRACT["components"]["parameters"]
    assert (shared["limit"]["schema"]["maximum"], shared["offset"]["schema"]["maximum"]) == (MOST, FARTHEST)
    shapes = CONTRACT["components"]["schemas"]
    assert shapes["State"]["enum"] == list(State)
    assert shapes["Collection"]["properties"]["conditions"]["items"]["enum"] == [each.key for each in Condition]


def test_jobs_come_the_latest_first_over_all_collections() -> None:
    assert ids(check(troubled().source(), API_JOBS)) == ["31", "21", "11", "41"]


def test_a_job_has_times_class_and_reason() -> None:
    first = check(troubled().source(), API_JOBS, "limit=1")["data"][0]
    assert first == {
        "target": "",
        "database": "sales",
        "collection": "customers",
        "job_id": "31",
        "state": "RefreshFailed",
        "progress_ratio": 0.5,
        "source": "s3://lake/docs",
        "start_timestamp_seconds": NOON - 70,
        "end_timestamp_seconds": NOON - 60,
        "duration_seconds": 10.0,
        "failure_class": "access_denied",
        "reason": "Access Denied by the bucket, \u00fcber",
        "listed": True,
    }


def test_a_number_of_64_bits_stays_exact() -> None:
    assert str(2**62) in ids(check(strange().source(), API_JOBS))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("database=sales", ["31", "21", "11"]),
        ("database=", []),
        ("collection=figs", ["41"]),
        ("database=sales&collection=figs", []),
        ("state=RefreshFailed", ["31"]),
        ("state=RefreshFailed&state=RefreshInProgress", ["31", "21"]),
        ("target=", []),
        ("limit=2", ["31", "21"]),
        ("limit=2&offset=3", ["41"]),
        ("offset=10000000", []),
    ],
)
def test_jobs_are_filtered_and_paged(query: str, found: list[str]) -> None:
    source: Any = troubled().source() if query != "target=" else {"a": World().source(), "": World().source()}
    assert ids(check(source, API_JOBS, query)) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["figs", "apples", "berries", "customers"]),
        ("trouble=true", ["figs", "customers"]),
        ("trouble=false", ["apples", "berries"]),
        ("state=RefreshCompleted", ["figs", "apples"]),
        ("database=lake", ["figs"]),
        ("collection=apples", ["apples"]),
        ("limit=1&offset=1", ["apples"]),
    ],
)
def test_collections_are_filtered_and_paged(query: str, found: list[str]) -> None:
    assert names(check(troubled().source(), API_COLLECTIONS, query)) == found


def test_a_collection_says_how_it_is_doing_and_why() -> None:
    (customers,) = check(troubled().source(), API_COLLECTIONS, "collection=customers")["data"]
    assert (customers["trouble"], customers["conditions"]) == (True, ["failing_repeatedly"])
    assert customers["consecutive_failures"] == 96
    assert customers["cause"]["failure_class"] == "access_denied"
    assert customers["runbook"] == f"{RUNBOOKS}/failure-classes.md#access_denied"
    (figs,) = check(troubled().source(), API_COLLECTIONS, "collection=figs")["data"]
    assert (figs["conditions"], figs["age_seconds"], figs["max_age_seconds"]) == (["stale"], 31 * 3600 + 3, 93_600)
    assert figs["jobs"]["RefreshCompleted"] == 1


@pytest.mark.parametrize("path", [API_JOBS, API_COLLECTIONS])
def test_next_leads_through_everything_once_and_keeps_the_filters(path: str) -> None:
    world, found, query = troubled(), [], "database=sales&limit=1"
    while query:
        answer = check(world.source(), path, query)
        found += names(answer)
        query = (answer["page"]["next"] or "").removeprefix("?")
    assert sorted(found) == ["apples", "berries", "customers"]


def test_every_answer_says_how_fresh_it_is() -> None:
    world = troubled()
    world.account, world.stale = replace(GOOD, up=False, kind="unreachable", last_success=NOON - 600), True
    for path in (API_JOBS, API_COLLECTIONS):
        assert check(world.source(), path)["freshness"] == [
            {
                "target": "",
                "up": False,
                "kind": "unreachable",
                "partial": False,
                "stale": True,
                "data_age_seconds": 603.0,
                "last_success_timestamp_seconds": NOON - 600,
            }
        ]


def two() -> dict[str, Source]:
    return {"prod": troubled().source(), "staging": World().add("pears", completed(1, NOON + 1)).source()}


def test_several_milvus_answer_together_each_job_with_its_target() -> None:
    answer = check(two(), API_JOBS)
    assert [(each["target"], each["job_id"]) for each in answer["data"]][:2] == [("staging", "1"), ("prod", "31")]
    assert [each["target"] for each in answer["freshness"]] == ["prod", "staging"]


@pytest.mark.parametrize("path", [API_JOBS, API_COLLECTIONS])
def test_where_no_milvus_is_watched_there_is_nothing(path: str) -> None:
    assert check({}, path)["data"] == []


@pytest.mark.parametrize("path", [API_JOBS, API_COLLECTIONS])
def test_one_of_several_milvus_can_be_asked_for(path: str) -> None:
    answer = check(two(), path, "target=staging")
    assert names(answer) == ["pears"]
    assert [each["target"] for each in answer["freshness"]] == ["staging"]
    assert fetch(two(), path, "target=elsewhere").status == 404


DOCS = urlencode({"database": "sales", "collection": "docs"})


def test_history_adds_what_milvus_has_forgotten() -> None:
    world = World().add("docs", completed(9, NOON - 5))
    world.past = Kept([completed(9, NOON - 5), failed(3, NOON - 3 * DAY, reason="old"), completed(2, NOON - 5 * DAY)])
    answer = check(world.source(), API_HISTORY, DOCS)
    assert [(each["job_id"], each["listed"]) for each in answer["data"]] == [("9", True), ("3", False), ("2", False)]
    assert answer["data"][1]["reason"] == "old"
    assert ids(check(world.source(), API_HISTORY, f"{DOCS}&state=RefreshFailed")) == ["3"]
    assert world.past.read == [3, 2, 3]


def test_history_without_a_state_file_is_what_milvus_lists() -> None:
    assert ids(check(troubled().source(), API_HISTORY, "database=sales&collection=apples")) == ["11"]


def test_a_state_file_that_cannot_be_read_is_503_without_its_path() -> None:
    world = troubled()
    world.past = Kept(broken=StateUnwritable("/var/lib/x.db: locked"))
    answer = check(world.source(), API_HISTORY, DOCS)
    assert (answer["status"], "/var" in answer["detail"]) == (503, False)


def test_history_is_of_one_collection() -> None:
    answer = check(troubled().source(), API_HISTORY)
    assert [each["parameter"] for each in answer["errors"]] == ["database", "collection"]


SECRET = "s3cr3t-in-a-query"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=\u0665", "limit"),
        ("offset=-1", "offset"),
        ("offset=10000001", "offset"),
        ("state=failed", "state"),
        ("state=", "state"),
        ("limit=1&limit=2", "limit"),
        (f"token={SECRET}", None),
        (f"colection={SECRET}", None),
        ("database=%FF", None),
        ("&".join("limit=1" for _ in range(1000)), None),
    ],
)
def test_what_cannot_be_read_is_named_and_not_repeated(query: str, parameter: str | None) -> None:
    raw = query.encode().decode("latin-1")
    answer = check(troubled().source(), API_JOBS, raw)
    assert answer["status"] == 400
    assert parameter in [each["parameter"] for each in answer["errors"]]
    assert SECRET not in json.dumps(answer)


def test_all_faults_are_named_at_once() -> None:
    answer = asked(troubled().source(), API_COLLECTIONS, "limit=0&offset=x&trouble=maybe&state=a")
    assert [each["parameter"] for each in answer["errors"]] == ["state", "trouble", "limit", "offset"]


@given(st.text(st.characters(max_codepoint=255), max_size=60), st.sampled_from([API_JOBS, API_COLLECTIONS]))
def test_no_query_at_all_makes_it_fail(query: str, path: str) -> None:
    assert check(strange().source(), path, query)


def test_the_order_of_a_listing_is_made_once_and_anew_for_the_next() -> None:
    world, orders = troubled(), Orders()
    sources = {"": world.source()}
    first = orders.of(sources)
    assert orders.of(sources) is first
    world.listed = {**world.listed, Collection("a", "b", 1): (completed(99, NOON + 50),)}
    assert orders.of(sources)[0][2].job_id == 99


def test_the_jobs_of_a_target_that_a_reload_has_removed_are_forgotten() -> None:
    """They can be a hundred thousand. The next one who asks for jobs lets go of them."""
    sea, lake = troubled().source(), troubled().source()
    answers = Answers("", ())
    answers.jobs({"sea": sea, "lake": lake}, "", NOON)
    answers.jobs({"sea": sea, "lake": lake}, "target=lake", NOON)
    orders = answers._orders
    kept, dropped = orders.of({"sea": sea}), orders.of({"lake": lake})
    answers.jobs({"sea": sea}, "", NOON)
    assert orders.of({"sea": sea}) is kept
    assert orders.of({"lake": lake}) is not dropped
