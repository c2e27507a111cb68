"""Measure what the shipped rules cost a real Prometheus that watches one Milvus, in several situations.

Prometheus is given the past that the rules look back on (an hour of scrapes, six of records, two weeks of hourly notes)
and scrapes on from there. Prints the time of each group, by Prometheus's own account, and its share of the interval.
"""

from __future__ import annotations

import argparse
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:] = [str(ROOT), str(ROOT / "tools"), *(path for path in sys.path if path != str(Path(__file__).parent))]

from exporter.metrics import Format, contract  # noqa: E402
from exporter.metrics.render import Renderer  # noqa: E402
from exporter.model import Collection, FailureClass, Job, State  # noqa: E402
from exporter.snapshot import CollectionRow, JobRows, OutcomeRow, Snapshot  # noqa: E402
from rules import records  # noqa: E402

SHIPPED: Final = ROOT / "deploy" / "prometheus" / "milvus-refresh.rules.yml"
EVERY: Final = 30
"""Seconds between scrapes and between evaluations, as in the example configuration."""
HOUR: Final = 3600
DAY: Final = 86_400
_LABELS: Final = 'job="milvus-refresh",instance="127.0.0.1:{port}"'
_WATCHED: Final = 75.0
"""How long Prometheus runs before its groups are asked for."""

_LOOKED_BACK_ON: Final = {
    metric.name
    for metric in (
        contract.LAST_SUCCESS,
        contract.LAST_FAILURE,
        contract.MAX_AGE,
        contract.CREATED,
        contract.CONSECUTIVE,
        contract.FAILING,
        contract.LAST_POLL_SUCCESS,
        contract.LAST_PROGRESS,
    )
}
"""Metrics that rules read an hour of."""

Situation = Callable[[int, float], Snapshot]


def _healthy(collections: int, now: float) -> Snapshot:
    return _snapshot(collections, now, lambda _: None)


def _one_bucket(collections: int, now: float) -> Snapshot:
    return _snapshot(collections, now, lambda _: "s3://lake")


def _each_its_own(collections: int, now: float) -> Snapshot:
    return _snapshot(collections, now, lambda number: f"s3://bucket-{number}")


SITUATIONS: Final[dict[str, Situation]] = {
    "all well": _healthy,
    "all fail and are too old, one bucket": _one_bucket,
    "all fail and are too old, each for a cause of its own": _each_its_own,
}


def _snapshot(collections: int, now: float, bucket: Callable[[int], str | None]) -> Snapshot:
    jobs, outcomes, found = [], [], []
    for number in range(collections):
        root = bucket(number)
        where = Collection("lake", f"collection_{number:05}", number)
        source = f"{root or 's3://lake'}/collection_{number:05}"
        made = Job(
            461_000_000_000_000_000 + number,
            where.name,
            State.FAILED if root else State.COMPLETED,
            0.0 if root else 1.0,
            source,
            now - 900,
            now - 600,
            FailureClass.ACCESS_DENIED if root else None,
            f"AccessDenied: GetObject on {source}/part-0.parquet" if root else "",
        )
        last = now - (90_000 if root else 600)
        jobs.append(JobRows(where, ((source, (0, 0, 0 if root else 20, 5, 0)),), made, now - 600, 0))
        failure = (now - 600, 9, True, made) if root else (None, 0, False, None)
        failed_at, in_a_row, failing, trouble = failure
        outcomes.append(
            OutcomeRow(where, last, failed_at, 300.0, in_a_row, failing, trouble, 20, 5, None, max_age=80_000.0)
        )
        found.append(CollectionRow(where, source, now - 30 * DAY))
    return Snapshot(now, tuple(jobs), outcomes=tuple(outcomes), collections=tuple(found), known_since=now - DAY)


def _page(situation: Situation, collections: int, now: float) -> str:
    renderer, snapshot = Renderer(), situation(collections, now)
    parts = [*renderer.jobs(snapshot, Format.TEXT_1_0_0), *renderer.rest(snapshot, Format.TEXT_1_0_0)]
    own = {
        contract.LAST_POLL_SUCCESS: now,
        contract.INTERVAL: EVERY,
        contract.STALE: 0,
        contract.UP: 1,
        contract.SERVER_TIMEOUT: 3600,
    }
    return b"".join(parts).decode() + "".join(f"{metric.name} {value}\n" for metric, value in own.items())


def _past(page: str, now: float, port: int, *, notes: bool) -> Iterator[str]:
    """Yield samples of the time before, in OpenMetrics' notation: the hourly notes, or all but these."""
    target = _LABELS.format(port=port)
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        series, value = line.rsplit(" ", 1)
        name, _, labels = series.rstrip("}").partition("{")
        labels = ",".join(part for part in (target, labels) if part)
        if name in _LOOKED_BACK_ON and not notes:
            yield from (f"{name}{{{labels}}} {value} {now - ago}" for ago in range(HOUR, 0, -EVERY))
        place = labels.replace(target, 'job="milvus-refresh"')
        for record, metric, step, since in (
            (records.LAST_SUCCESS, contract.LAST_SUCCESS, EVERY, 6 * HOUR),
            (records.LAST_FAILURE, contract.LAST_FAILURE, EVERY, 6 * HOUR),
            (records.HOURLY, contract.LAST_SUCCESS_DURATION, HOUR, 14 * DAY),
        ):
            if name == metric.name and (step == HOUR) is notes:
                yield from (f"{record}{{{place}}} {value} {now - ago}" for ago in range(since, 0, -step))


def measure(prometheus: str, situation: Situation, collections: int) -> dict[str, tuple[float, float, int]]:
    """Return of each group its interval and its time in seconds, and how many alerts it has."""
    folder = Path(tempfile.mkdtemp(prefix="rules-cost-"))
    began = int(time.time())
    page = [_page(situation, collections, began)]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            stamp = f"{contract.LAST_POLL_SUCCESS.name} "
            self.wfile.write(page[0].replace(f"\n{stamp}{began}", f"\n{stamp}{int(time.time())}").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = None
    try:
        _write_past(folder, page[0], began, server.server_port)
        intervals, port = _write_configuration(folder, server.server_port), _free_port()
        line = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*line, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)  # noqa: S603
        time.sleep(_WATCHED)
        return {name: (intervals[name], *rest) for name, rest in _groups(port).items()}
    finally:
        if process:
            process.terminate()
            process.wait(30)
        server.shutdown()
        shutil.rmtree(folder)


def _write_past(folder: Path, page: str, now: int, port: int) -> None:
    for notes in (False, True):
        with (folder / "past").open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in _past(page, now, port, notes=notes))
            file.write("# EOF\n")
        # One long block for two weeks: promtool reads the file once for each.
        line = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=384h", "openmetrics"]
        subprocess.run([*line, str(folder / "past"), str(folder / "data")], check=True, capture_output=True)  # noqa: S603
    (folder / "past").unlink()


def _write_configuration(folder: Path, port: int) -> dict[str, float]:
    """Write rules that are all evaluated often. Returns how often each group is in life."""
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    units = {"m": 60, "h": HOUR}
    intervals = {}
    for group in shipped["groups"]:
        own = group.pop("interval", None)
        intervals[group["name"]] = float(own[:-1]) * units[own[-1]] if own else EVERY
    (folder / "rules.yml").write_text(yaml.safe_dump(shipped), encoding="utf-8")
    scraped = {"job_name": "milvus-refresh", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    often = {"scrape_interval": "10s", "evaluation_interval": "15s"}
    config = {"global": often, "rule_files": ["rules.yml"], "scrape_configs": [scraped]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return intervals


def _groups(port: int) -> dict[str, tuple[float, int]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules", timeout=30) as answer:
        groups: list[dict[str, Any]] = json.load(answer)["data"]["groups"]
    wrong = [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    if wrong:
        raise RuntimeError(f"{wrong[0]['name']}: {wrong[0].get('lastError')}")
    return {
        group["name"]: (group["evaluationTime"], sum(len(rule.get("alerts", ())) for rule in group["rules"]))
        for group in groups
    }


def _free_port() -> int:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as found:
        return found.server_port


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", default="prometheus", help="which one (prometheus)")
    parser.add_argument("--collections", type=int, default=1000)
    given = parser.parse_args()
    for name, situation in SITUATIONS.items():
        print(f"\n{given.collections} collections, {name}:")
        share = 0.0
        for group, (interval, seconds, alerts) in measure(given.prometheus, situation, given.collections).items():
            share += seconds / interval
            print(f"  {group:27} {seconds * 1000:7.0f} ms each {interval:5.0f} s, {alerts} alerts", flush=True)
        print(f"  together {share:.2%} of the time")


if __name__ == "__main__":
    main()
