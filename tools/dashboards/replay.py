"""A Prometheus that has watched a recording: its samples and, worked out over all of its time, the recording rules.

Alerts are worked out the same way, as records with the name that Prometheus itself gives them. What they wait for
before they fire is left out.
"""

# ruff: noqa: S310, S603 - a developer's own programs, and one of them by its address
from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = _ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"
_CHAINED: Final = 3
"""Records that read records that read records. Each round works out what the round before has made possible."""


class Asked:
    """The HTTP API of a Prometheus."""

    def __init__(self, port: int) -> None:
        """Ask the one at this port of this machine."""
        self._base = f"http://127.0.0.1:{port}/api/v1"

    def __call__(self, path: str, **query: object) -> Any:
        """Return the data of an answer. Raises ValueError with Prometheus's own words where it refuses."""
        body = urllib.parse.urlencode(query, doseq=True).encode()
        try:
            with urllib.request.urlopen(f"{self._base}/{path}", data=body, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{json.load(error)['error']}\n{query}") from None

    def now(self, expr: str, at: float) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        found: list[dict[str, Any]] = self("query", query=expr, time=at)["result"]
        return found

    def course(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the result of a range query."""
        found: list[dict[str, Any]] = self("query_range", query=expr, start=start, end=end, step=step)["result"]
        return found


@contextmanager
def replayed(
    recording: str, start: float, end: float, folder: Path, *, prometheus: str, promtool: str, rules: bool = True
) -> Iterator[Asked]:
    """Lend a Prometheus that holds the recording from ``start`` to ``end``, and with ``rules`` what they make of it."""
    written, data = folder / "recording.txt", folder / "data"
    written.write_text(recording, encoding="utf-8")
    _run(promtool, "tsdb", "create-blocks-from", "openmetrics", str(written), str(data))
    written.unlink()
    # What is worked out before all that it reads is there would stay.
    for some in (*[_records()] * _CHAINED, _alerts()) if rules else ():
        _work_out(
            some, f"--start={start:.0f}", f"--end={end:.0f}", data=data, folder=folder, programs=(prometheus, promtool)
        )
    with _served(prometheus, data, folder) as port:
        yield Asked(port)


def _work_out(rules: list[dict[str, Any]], *span: str, data: Path, folder: Path, programs: tuple[str, str]) -> None:
    prometheus, promtool = programs
    file = folder / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}, sort_keys=False), encoding="utf-8")
    with _served(prometheus, data, folder) as port:
        there = (f"--url=http://127.0.0.1:{port}", "--eval-interval=2m", f"--output-dir={data}")
        _run(promtool, "tsdb", "create-blocks-from", "rules", *there, *span, str(file))


def _rules() -> list[dict[str, Any]]:
    found = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def _records() -> list[dict[str, Any]]:
    return [rule for rule in _rules() if "record" in rule]


def _alerts() -> list[dict[str, Any]]:
    """Return each alert as the record ALERTS."""
    return [
        {
            "record": "ALERTS",
            "expr": f"({rule['expr']})\n* 0 + 1",
            "labels": {"alertname": rule["alert"], "alertstate": "firing", **rule["labels"]},
        }
        for rule in _rules()
        if "alert" in rule
    ]


@contextmanager
def _served(prometheus: str, data: Path, folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "prometheus.yml"
    config.write_text("{}\n", encoding="utf-8")
    here = [
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=10y",
    ]
    with (folder / "prometheus.log").open("ab") as log:
        process = subprocess.Popen([prometheus, f"--config.file={config}", *here], stdout=log, stderr=log)
    try:
        _until_ready(process, port, folder / "prometheus.log")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"Prometheus did not start: {log.read_text(encoding='utf-8')[-1000:]}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])}: {done.stderr[-2000:]}")
