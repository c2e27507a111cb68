"""Start what compose.yaml starts, on a loopback of its own, and report what the parts say of each other.

Runs inside a namespace where the names of the services lead to 127.0.0.1. Reads the programs as JSON from the command
line, prints answers as JSON. Standard library only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from typing import Any


def asked(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.loads(answer.read())["data"]
    except OSError:
        return None


def report(seconds: float) -> dict[str, Any]:
    """Return targets, rule groups and Alertmanagers once everything is there, or what there is when time is up."""
    until = time.monotonic() + seconds
    while True:
        targets = asked("http://prometheus:9090/api/v1/targets") or {}
        rules = asked("http://prometheus:9090/api/v1/rules") or {}
        managers = asked("http://prometheus:9090/api/v1/alertmanagers") or {}
        found = asked("http://prometheus:9090/api/v1/query?query=milvus_external_refresh_up") or {}
        answer = {
            "targets": {one["labels"]["job"]: one["health"] for one in targets.get("activeTargets", [])},
            "groups": [group["name"] for group in rules.get("groups", [])],
            "alertmanagers": [one["url"] for one in managers.get("activeAlertmanagers", [])],
            "up": [one["value"][1] for one in found.get("result", [])],
        }
        if (all(answer.values()) and set(answer["targets"].values()) == {"up"}) or time.monotonic() > until:
            return answer
        time.sleep(0.2)


def main() -> None:
    programs = [subprocess.Popen(line, stdout=sys.stderr) for line in json.loads(sys.argv[1])]
    try:
        sys.stdout.write(f"{json.dumps(report(40))}\n")
    finally:
        for each in programs:
            each.terminate()
        for each in programs:
            each.wait(10)


if __name__ == "__main__":
    main()
