"""From a failed job in Milvus to a text in somebody's hands, through Prometheus, the shipped rule and Alertmanager."""

from __future__ import annotations

import subprocess
import time

import pytest
from peers.exporter import Exporter
from peers.monitoring import Monitoring
from peers.parts import generations, missing, program
from peers.pymilvus_server import COMPLETED, FAILED, IN_PROGRESS, PymilvusServer, databases, job
from peers.waiting import until

pytestmark = pytest.mark.real

SOURCE = "s3://lake-bucket/orders"
REASON = 'explore external files failed: AccessDenied: "GetObject" on part-0.parquet'


def record(number: int, state: int, **more: object) -> dict[str, object]:
    """A job of lake/orders that is ``number`` seconds newer than the first."""
    start = int(time.time() * 1000) - 60_000 + number * 1000
    stamps = {"start_time": start, "end_time": start + 5000 if state in (COMPLETED, FAILED) else 0}
    return job(number, "orders", state, database="lake", external_source=SOURCE, **stamps, **more)


@pytest.mark.parametrize("release", ["system", "debian-forky"])
def test_failure_reaches_the_webhook_with_its_reason_and_the_next_success_resolves_it(
    milvus: PymilvusServer, release: str
) -> None:
    prometheus = generations("prometheus").get(release) or missing(f"there is no Prometheus of {release}")
    milvus.set(databases=databases(lake=["orders"]))
    milvus.set_jobs(record(1, COMPLETED))
    with Exporter(milvus.uri) as exporter, Monitoring(exporter.port, prometheus=prometheus) as monitoring:
        until(lambda: monitoring.query("milvus_external_refresh_up == 1"), "Prometheus scrapes the daemon", seconds=30)
        assert not monitoring.webhook.alerts("firing")

        milvus.set_jobs(record(1, COMPLETED), record(2, FAILED, reason=REASON))
        (alert, *_) = until(lambda: monitoring.webhook.alerts("firing"), "the webhook hears of the failure")
        assert alert["labels"]["alertname"] == "MilvusExternalRefreshFailed"
        assert (alert["labels"]["database"], alert["labels"]["collection"]) == ("lake", "orders")
        assert alert["labels"]["severity"] == "warning"
        text = alert["annotations"]["description"]
        for part in ("lake/orders", f"Source: {SOURCE}.", 'AccessDenied: "GetObject"', "(job 461000000000000002)"):
            assert part in text
        assert not {"reason", "source", "job_id", "instance"} & alert["labels"].keys()

        milvus.set_jobs(record(2, FAILED, reason=REASON), record(3, IN_PROGRESS))
        exporter.next_poll()
        assert not monitoring.webhook.alerts("resolved"), "a retry that merely runs is no success"

        milvus.set_jobs(record(2, FAILED, reason=REASON), record(3, COMPLETED))
        until(lambda: monitoring.webhook.alerts("resolved"), "the next success resolves it", seconds=30)


def test_promtool_finds_nothing_to_say_about_metrics(milvus: PymilvusServer) -> None:
    milvus.set(databases=databases(lake=["orders"]))
    milvus.set_jobs(record(1, COMPLETED), record(2, FAILED, reason=REASON), record(3, IN_PROGRESS))
    with Exporter(milvus.uri) as exporter:
        text = exporter.until(lambda now: now.total("jobs") == 3, "the jobs").text
    promtool = [program("promtool"), "check", "metrics"]
    done = subprocess.run(promtool, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("release", ["system", "debian-forky"])
def test_prometheus_takes_every_family_and_drops_no_sample(milvus: PymilvusServer, release: str) -> None:
    prometheus = generations("prometheus").get(release) or missing(f"there is no Prometheus of {release}")
    milvus.set(databases=databases(lake=["orders"]))
    milvus.set_jobs(record(1, COMPLETED), record(2, FAILED, reason=REASON), record(3, IN_PROGRESS))
    with Exporter(milvus.uri) as exporter, Monitoring(exporter.port, prometheus=prometheus) as monitoring:
        shown = exporter.until(lambda now: now.total("jobs") == 3, "the jobs")
        ours = {name for name, _, _ in shown.parsed if name.startswith("milvus_external_refresh_")}

        def stored() -> set[str]:
            found = monitoring.query('group by (__name__) ({__name__=~"milvus_external_refresh_.+"})')
            return {each["metric"]["__name__"] for each in found}

        until(lambda: ours <= stored(), "every series of ours in Prometheus", seconds=30)
        target = monitoring.targets()[0]
        assert (target["health"], target["lastError"]) == ("up", "")
