"""The JSON API of the demonstration, asked whatever its contract allows and whatever it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from peers.exporter import Exporter
from peers.parts import ROOT

CONTRACT = yaml.safe_load((ROOT / "docs" / "api" / "openapi.yaml").read_text(encoding="utf-8"))
contract = schemathesis.openapi.from_dict(CONTRACT)
contract.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE])
against_contract = schemathesis.openapi.from_dict(CONTRACT)
against_contract.config.generation.update(modes=[schemathesis.GenerationMode.NEGATIVE])
MANY = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    state = tmp_path_factory.mktemp("state") / "state.db"
    with Exporter("", "--demo.speed", "20", "--state.path", str(state), command="demo") as exporter:
        exporter.until(lambda now: now.total("jobs") > 0, "jobs")
        yield exporter


@contract.parametrize()
@MANY
def test_whatever_the_contract_allows_is_answered_by_it(case: schemathesis.Case, demo: Exporter) -> None:
    case.call_and_validate(base_url=f"http://127.0.0.1:{demo.port}")


@against_contract.parametrize()
@MANY
def test_whatever_the_contract_forbids_is_refused_by_it(case: schemathesis.Case, demo: Exporter) -> None:
    case.call_and_validate(base_url=f"http://127.0.0.1:{demo.port}")


def test_jobs_add_up_to_the_metrics(demo: Exporter) -> None:
    def agree() -> bool:
        before = demo.metrics()
        found = json.loads(demo.get("/api/v1/jobs?limit=1").text)["page"]["total"]
        return bool(before.value("snapshot_jobs") == found or demo.metrics().value("snapshot_jobs") == found)

    assert any(agree() for _ in range(5))


def test_paging_through_everything_meets_each_job_once(demo: Exporter) -> None:
    answer = json.loads(demo.get("/api/v1/jobs?limit=1000").text)
    more = json.loads(demo.get(f"/api/v1/jobs{answer['page']['next']}").text)
    ids = [job["job_id"] for page in (answer, more) for job in page["data"]]
    # A poll between the two can move the border by the few jobs that it has brought.
    assert len(ids) >= len(set(ids)) >= len(ids) - 20 > 1000


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/history?database=a&collection=b", "/api/v1/collections"])
def test_reading_is_all_that_is_allowed(demo: Exporter, path: str) -> None:
    assert demo.get(path, method="POST").status == 405
    head = demo.get(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v1/jobs/", "/api/v1/jobs/1", "/api/v2/jobs", "//"])
def test_there_is_no_second_way_to_write_a_path(demo: Exporter, path: str) -> None:
    assert demo.get(path).status == 404


def test_an_answer_bears_the_headers_that_every_answer_has(demo: Exporter) -> None:
    answer = demo.get("/api/v1/collections?limit=1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
