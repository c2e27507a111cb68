"""Real Prometheus, real Alertmanager and a webhook: from a scrape to a text in somebody's hands."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import yaml

from peers.parts import ROOT, program
from peers.waiting import free_port, is_ready, until

RULES = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"

ALERTMANAGER = """\
route:
  receiver: hook
  group_by: [alertname, milvus, database, collection]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{webhook}/", send_resolved: true}}]
"""


class Subject(NamedTuple):
    """What an alert is and is about: its name without the prefix, and the labels that are never a replica's."""

    alert: str
    database: str = ""
    collection: str = ""
    milvus: str = ""

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Subject:
        about = (labels.get(name, "") for name in ("database", "collection", "milvus"))
        return cls(labels["alertname"].removeprefix("MilvusExternal"), *about)


class Notice(NamedTuple):
    """One alert in one post: it fires since ``starts``, or has resolved. ``texts`` are its annotations."""

    subject: Subject
    fires: bool
    starts: str
    texts: Mapping[str, str]


class Webhook:
    """Takes Alertmanager's posts and keeps them, oldest first."""

    def __init__(self) -> None:
        posts: list[dict[str, Any]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            kept: ClassVar = posts

            def do_POST(self) -> None:
                self.kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.posts = posts
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def alerts(self, status: str) -> list[dict[str, Any]]:
        return [alert for post in list(self.posts) for alert in post["alerts"] if alert["status"] == status]

    def notices(self) -> list[Notice]:
        """Return every alert of every post, oldest first."""
        alerts = [alert for post in list(self.posts) for alert in post["alerts"]]
        return [
            Notice(Subject.of(one["labels"]), one["status"] == "firing", one["startsAt"], one["annotations"])
            for one in alerts
        ]

    def firing(self) -> set[Subject]:
        """Return what fires, for all that we have been told."""
        return {subject for subject, fires in {one.subject: one.fires for one in self.notices()}.items() if fires}

    def arrived(self, *, resolved: bool = False) -> set[Subject]:
        """Return what has ever fired, or has ever resolved."""
        return {one.subject for one in self.notices() if one.fires is not resolved}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Monitoring:
    """Prometheus with the shipped rules, Alertmanager and webhook behind it. Use as a context manager.

    ``targets`` is one port, or several Milvus: value of the target label ``milvus`` -> port of its exporter.
    Everything ticks at one second. ``times`` are parameters of ``tools/generate_rules.py`` to make the rules with;
    without them they are as shipped, but evaluated every second.
    """

    def __init__(
        self, targets: int | Mapping[str, int], *, prometheus: str, times: Mapping[str, int] | None = None
    ) -> None:
        self.webhook = Webhook()
        self.port, self._alertmanager = free_port(), free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="monitoring-"))
        self.rules_file = self._folder / "rules.yml"
        self.rules_file.write_text(_rules(times, self._folder / "made"), encoding="utf-8")
        self._commands = {
            "alertmanager": self._alertmanager_command(),
            "prometheus": self._prometheus_command({"": targets} if isinstance(targets, int) else targets, prometheus),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def _alertmanager_command(self) -> list[str]:
        config = self._folder / "alertmanager.yml"
        config.write_text(ALERTMANAGER.format(webhook=self.webhook.port))
        # An empty cluster address keeps it from opening its cluster port.
        here = [f"--web.listen-address=127.0.0.1:{self._alertmanager}", "--cluster.listen-address="]
        found = program("prometheus-alertmanager")
        return [found, f"--config.file={config}", f"--storage.path={self._folder / 'alerts'}", *here]

    def _prometheus_command(self, targets: Mapping[str, int], prometheus: str) -> list[str]:
        # A label with an empty value is no label.
        described = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"milvus": milvus}} for milvus, port in targets.items()
        ]
        alertmanagers = [{"static_configs": [{"targets": [f"127.0.0.1:{self._alertmanager}"]}]}]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [self.rules_file.name],
            "scrape_configs": [{"job_name": "milvus-refresh", "static_configs": described}],
            "alerting": {"alertmanagers": alertmanagers},
        }
        file = self._folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        here = f"--web.listen-address=127.0.0.1:{self.port}"
        return [prometheus, f"--config.file={file}", f"--storage.tsdb.path={self._folder / 'data'}", here]

    def __enter__(self) -> Self:
        try:
            for name, command in self._commands.items():
                with (self._folder / f"{name}.log").open("wb") as log:
                    self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            for name, port in (("Prometheus", self.port), ("Alertmanager", self._alertmanager)):
                until(lambda port=port: is_ready(port), f"{name} is ready", seconds=30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20)
        self.webhook.close()
        shutil.rmtree(self._folder)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus; return its result vector."""
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        active: list[dict[str, Any]] = self._ask("targets")["activeTargets"]
        return active

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule with its ``health`` and ``lastError``."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]


def _rules(times: Mapping[str, int] | None, folder: Path) -> str:
    if times is None:
        return _every_second(RULES.read_text(encoding="utf-8"))
    settings = [word for name, value in times.items() for word in ("--set", f"{name}={value}")]
    line = [sys.executable, str(ROOT / "tools" / "generate_rules.py"), "--to", str(folder), *settings]
    subprocess.run(line, check=True, timeout=30)
    return _every_second((folder / "prometheus" / RULES.name).read_text(encoding="utf-8"))


def _every_second(rules: str) -> str:
    """Return the rules with every group evaluated each second."""
    return re.sub(r"^    interval: \w+$", "    interval: 1s", rules, flags=re.MULTILINE)
