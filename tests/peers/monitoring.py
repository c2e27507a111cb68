"""Real Prometheus, real Alertmanager and a webhook: from a scrape to a text in somebody's hands."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, ClassVar, Self

from peers.parts import ROOT, program
from peers.waiting import free_port, until

RULES = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"

PROMETHEUS = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: milvus-refresh
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
alerting:
  alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]
"""

ALERTMANAGER = """\
route:
  receiver: hook
  group_by: [alertname, database, collection]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{webhook}/", send_resolved: true}}]
"""


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

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Monitoring:
    """Prometheus with the shipped rules on one target, Alertmanager and webhook behind it. Use as a context manager.

    Everything ticks at one second; ``keep_firing_for`` of the rules is cut to two.
    """

    def __init__(self, target: int, *, prometheus: str) -> None:
        self.webhook = Webhook()
        self.port, self._alertmanager = free_port(), free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="monitoring-"))
        self._commands = {
            "alertmanager": self._alertmanager_command(),
            "prometheus": self._prometheus_command(target, prometheus),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def _alertmanager_command(self) -> list[str]:
        config = self._folder / "alertmanager.yml"
        config.write_text(ALERTMANAGER.format(webhook=self.webhook.port))
        # An empty cluster address keeps it from opening its cluster port.
        here = [f"--web.listen-address=127.0.0.1:{self._alertmanager}", "--cluster.listen-address="]
        found = program("prometheus-alertmanager")
        return [found, f"--config.file={config}", f"--storage.path={self._folder / 'alerts'}", *here]

    def _prometheus_command(self, target: int, prometheus: str) -> list[str]:
        config = self._folder / "prometheus.yml"
        config.write_text(PROMETHEUS.format(target=target, alertmanager=self._alertmanager))
        rules = RULES.read_text(encoding="utf-8")
        assert "keep_firing_for: 5m" in rules
        (self._folder / "rules.yml").write_text(
            rules.replace("keep_firing_for: 5m", "keep_firing_for: 2s"), encoding="utf-8"
        )
        here = f"--web.listen-address=127.0.0.1:{self.port}"
        return [prometheus, f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'data'}", here]

    def __enter__(self) -> Self:
        try:
            for name, command in self._commands.items():
                with (self._folder / f"{name}.log").open("wb") as log:
                    self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            for name, port in (("Prometheus", self.port), ("Alertmanager", self._alertmanager)):
                until(lambda port=port: _ready(port), f"{name} is ready", seconds=30)
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
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def targets(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/targets", timeout=5) as answer:
            active: list[dict[str, Any]] = json.load(answer)["data"]["activeTargets"]
            return active


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
