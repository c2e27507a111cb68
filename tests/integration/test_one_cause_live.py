"""A rotated key: 200 collections fail at once, on a real Prometheus and Alertmanager with what is shipped for both."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import yaml
from peers.monitoring import RULES, Webhook
from peers.parts import ROOT, generations, missing, program
from peers.waiting import free_port, is_ready, until

from exporter.metrics import Format, contract
from exporter.metrics.render import Renderer
from exporter.model import Collection, FailureClass, Job, State
from exporter.snapshot import OutcomeRow, Snapshot

pytestmark = pytest.mark.real

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.example.yml"
DAY = 86_400.0


class Page:
    """What an exporter would serve. Use as a context manager."""

    def __init__(self) -> None:
        self.failing: dict[int, tuple[str, FailureClass]] = {}
        """By number of the collection, bucket and class of its failure."""
        self.began = time.time()
        self.old = False
        """Whether the last success of what fails is longer ago than allowed."""
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(page.text())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def text(self) -> bytes:
        now, failing = time.time(), dict(self.failing)  # one scrape sees all of a change or nothing
        rows = tuple(self._row(number, failing.get(number), self.began) for number in range(210))
        rest = Renderer().rest(Snapshot(now, outcomes=rows), Format.TEXT_1_0_0)
        own = {contract.LAST_POLL_SUCCESS: now, contract.INTERVAL: 30, contract.STALE: 0}
        return b"".join(rest) + "".join(f"{metric.name} {value}\n" for metric, value in own.items()).encode()

    def _row(self, number: int, cause: tuple[str, FailureClass] | None, now: float) -> OutcomeRow:
        where = Collection("lake", f"c{number:03}", number)
        success = now - (DAY if cause and self.old else 600)
        if cause is None:
            return OutcomeRow(where, success, None, None, 0, False, None, 1, 0, None, DAY / 2)
        bucket, class_ = cause
        job = Job(number, where.name, State.FAILED, 0.0, f"{bucket}/{where.name}", now - 9, now - 5, class_, "denied")
        return OutcomeRow(where, success, now - 5, None, 4, True, job, 1, 4, None, DAY / 2)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Stage:
    """A page, Prometheus and Alertmanager on what is shipped, evaluated every second, and webhooks."""

    def __init__(self, page: Page, folder: Path, prometheus: str) -> None:
        self.page, self.pages, self.tickets = page, Webhook(), Webhook()
        self.port, manager = free_port(), free_port()
        receivers = {"milvus-refresh-pages": self.pages, "milvus-refresh-tickets": self.tickets}
        example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
        example["route"]["routes"][0] |= {"group_wait": "3s", "group_interval": "3s"}
        example["receivers"] = [
            {"name": one["name"], "webhook_configs": [{"url": f"http://127.0.0.1:{receivers[one['name']].port}/"}]}
            if one["name"] in receivers
            else {"name": one["name"]}
            for one in example["receivers"]
        ]
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(example), encoding="utf-8")
        rules = re.sub(r"^    interval: \w+$", "    interval: 1s", RULES.read_text("utf-8"), flags=re.MULTILINE)
        (folder / "rules.yml").write_text(rules, encoding="utf-8")
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": "milvus-refresh", "static_configs": [{"targets": [f"127.0.0.1:{page.port}"]}]}
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self._commands = {
            manager: [
                program("prometheus-alertmanager"),
                f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/alerts",
                f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
            ],
            self.port: [
                prometheus,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for port, command in self._commands.items():
            self._processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            until(lambda port=port: is_ready(port), command[0], seconds=60)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(20)
        self.pages.close()
        self.tickets.close()


def told(hook: Webhook) -> list[tuple[str, str]]:
    """Return of each message the names of the alerts in it, and whether it says that they fire."""
    return [
        (",".join(sorted({one["labels"]["alertname"] for one in post["alerts"]})), post["status"])
        for post in list(hook.posts)
    ]


@pytest.fixture
def stage() -> Iterator[Stage]:
    prometheus = generations("prometheus").get("system") or missing("Prometheus is not installed")
    folder = Path(tempfile.mkdtemp(prefix="one-cause-"))
    with Page() as page, Stage(page, folder, prometheus) as running:
        yield running
    shutil.rmtree(folder)


def test_200_collections_of_one_bucket_are_one_ticket_and_one_page_and_another_cause_is_another(stage: Stage) -> None:
    many, single = "MilvusExternalRefreshSourceFailing", "MilvusExternalRefreshFailed"
    stage.page.failing = dict.fromkeys(range(200), ("s3://lake", FailureClass.ACCESS_DENIED))
    until(lambda: told(stage.tickets), "the first ticket", seconds=60)
    stage.page.failing |= dict.fromkeys(range(200, 205), ("s3://archive", FailureClass.TIMEOUT))
    until(lambda: len(told(stage.tickets)) >= 2, "a second cause", seconds=60)
    stage.page.failing[205] = ("s3://lake", FailureClass.SCHEMA_MISMATCH)
    until(lambda: len(told(stage.tickets)) >= 3, "a collection with a cause of its own", seconds=60)
    assert sorted(told(stage.tickets)[:2]) == [(many, "firing")] * 2
    alone = {single, "MilvusExternalRefreshFailingRepeatedly"}
    assert all(set(names.split(",")) <= alone for names, _ in told(stage.tickets)[2:])
    (first, *_) = stage.tickets.alerts("firing")
    assert "200 collections of Milvus from s3://lake with access_denied" in first["annotations"]["description"]
    assert told(stage.pages) == []
    stage.page.old = True
    until(lambda: len(told(stage.pages)) >= 3, "two causes and a single collection are too old", seconds=60)
    assert sorted(told(stage.pages)) == [
        ("MilvusExternalCollectionStale", "firing"),
        ("MilvusExternalManyCollectionsStale", "firing"),
        ("MilvusExternalManyCollectionsStale", "firing"),
    ]
    stage.page.failing = {number: stage.page.failing[number] for number in (0, 1, 200, 201)}
    closed = (many, "resolved")
    try:
        until(lambda: told(stage.tickets).count(closed) >= 2, "the tickets are closed", seconds=60)
    except AssertionError as late:
        late.add_note(f"told: {told(stage.tickets)}")
        raise
