"""What curl sees: status, headers, negotiation, compression."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import pytest
from peers.exporter import Exporter, Samples
from peers.pymilvus_server import FAILED, IN_PROGRESS, PymilvusServer, databases, job
from prometheus_client.openmetrics.parser import text_string_to_metric_families

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with PymilvusServer(databases=databases(lake=["orders"])) as milvus:
        milvus.set_jobs(
            job(1, "orders", database="lake"),
            job(2, "orders", FAILED, database="lake"),
            job(3, "orders", IN_PROGRESS, database="lake"),
        )
        with Exporter(milvus.uri) as daemon:
            daemon.until(lambda now: now.total("jobs") == 3, "the jobs")
            yield daemon


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/html", "application/json"])
def test_text_0_0_4_is_what_anybody_gets(exporter: Exporter, accept: str) -> None:
    answer = exporter.get("/metrics", accept=accept)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert Samples.of(answer.text).value("up") == 1


@pytest.mark.parametrize("accept", [OPENMETRICS, PROMETHEUS_3])
def test_openmetrics_is_what_prometheus_gets(exporter: Exporter, accept: str) -> None:
    answer = exporter.get("/metrics", accept=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["milvus_external_refresh_jobs_finished"].type == "counter"
    assert not any(sample.name.endswith("_created") for family in families.values() for sample in family.samples)


def test_both_formats_tell_the_same(exporter: Exporter) -> None:
    def ours(text: str) -> set[str]:
        return {
            line.split(" # {")[0]
            for line in text.splitlines()
            if line.startswith("milvus_external_refresh_") and "poll" not in line and "duration" not in line
        }

    assert ours(exporter.get("/metrics").text) == ours(exporter.get("/metrics", accept=OPENMETRICS).text)


def test_gzip_for_who_asks_and_plain_for_who_does_not(exporter: Exporter) -> None:
    zipped = exporter.get("/metrics", accept_encoding="gzip")
    assert zipped.headers["content-encoding"] == "gzip"
    assert "milvus_external_refresh_up 1" in gzip.decompress(zipped.body).decode()
    assert len(zipped.body) < len(zipped.text) / 3
    for asked in ("identity", "gzip;q=0", "br"):
        plain = exporter.get("/metrics", accept_encoding=asked)
        assert "content-encoding" not in plain.headers
        assert "milvus_external_refresh_up 1" in plain.text


def test_the_exporter_tells_about_its_own_process(exporter: Exporter) -> None:
    samples = exporter.metrics()
    assert samples.value("process_start_time_seconds")
    assert samples.all("python_info")
    (build, _), *more = samples.all("exporter_build_info")
    assert not more
    assert build["version"]


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_health_and_readiness_answer_200(exporter: Exporter, path: str) -> None:
    assert exporter.get(path).status == 200


def test_the_page_leads_to_the_metrics(exporter: Exporter) -> None:
    answer = exporter.get("/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert 'href="metrics"' in answer.text
    assert "default-src" in answer.headers["content-security-policy"]


def test_config_shows_the_effective_settings(exporter: Exporter) -> None:
    text = exporter.get("/config").text
    assert "interval" in text
    assert "1s" in text


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/metrics/x", "/%2e%2e/etc/passwd", "/-/"])
def test_anything_else_is_404(exporter: Exporter, path: str) -> None:
    assert exporter.get(path).status == 404


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/config"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_wrong_method_is_405(exporter: Exporter, method: str, path: str) -> None:
    assert exporter.get(path, method=method).status == 405


def test_head_is_get_without_a_body(exporter: Exporter) -> None:
    answer = exporter.get("/metrics", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GARBAGE\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
    ids=["a TLS hello", "no HTTP", "a header of 200 kB"],
)
def test_nonsense_on_the_socket_hurts_nobody(exporter: Exporter, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", exporter.port), timeout=10) as raw:
        try:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(65536)
        except ConnectionError:
            answer = b""
    assert answer == b"" or b" 400 " in answer or b" 431 " in answer, answer[:100]
    assert exporter.get("/-/healthy").status == 200
    assert "Traceback" not in exporter.log
