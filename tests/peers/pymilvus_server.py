"""The handle of ``pymilvus_process.py``: start, freeze, kill and steer a Milvus made of pymilvus's servicer.

The world is a mapping with these keys, each optional::

    version     text that GetVersion and Connect tell
    databases   name -> {"id", "collections": [collection(...)]}
    jobs        [job(...)]; with "repeat" (and "step_ms", "spread") one entry stands for many jobs
    auth        {"tokens": ["root:Milvus"], "deny": ["ListDatabases"]}
    rbac        {"users": {name: [role]}, "roles": {name: [{"privilege", "db", "collection"}]}, "groups": {name: [...]},
                "public": true}; without it nothing is filtered. pymilvus can make them too
    faults      method -> {"grpc": code name, "details"} | {"status": {"code", "error_code", "reason"}} |
                {"hang": true} | {"delay": seconds} | {"raw_hex": bytes}, each with "list_all_only": true at will
    tls         {"cert", "key"} paths, and "ca" to ask for a client certificate
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

PENDING, IN_PROGRESS, COMPLETED, FAILED = range(4)
LIST_JOBS = "ListRefreshExternalCollectionJobs"
PROGRAM = Path(__file__).with_name("pymilvus_process.py")
FIRST_ID = 461_000_000_000_000_000


def collection(
    name: str, number: int, *, external: bool = True, source: str = "s3://lake/data", **more: Any
) -> dict[str, Any]:
    """Describe a collection; ``number`` is its id."""
    return {"name": name, "id": number, "external": external, "source": source, **more}


def databases(**names: list[str]) -> dict[str, Any]:
    """Describe databases with external collections, ids given in order: ``databases(default=["ext"])``."""
    described: dict[str, Any] = {}
    for place, (database, there) in enumerate(names.items(), 1):
        ids = range(place * 1000, place * 1000 + len(there))
        described[database] = {"id": place, "collections": [collection(n, i) for n, i in zip(there, ids, strict=True)]}
    return described


def job(
    number: int, name: str = "ext", state: int = COMPLETED, *, database: str = "default", **fields: Any
) -> dict[str, Any]:
    """Describe a job that began ``120 - number`` seconds ago and, if ended, took 30 s; any field can be overruled."""
    start = int(time.time() * 1000) - (120 - number % 60) * 1000
    ended = state in (COMPLETED, FAILED)
    defaults: dict[str, Any] = {
        "job_id": FIRST_ID + number,
        "collection_name": name,
        "database": database,
        "state": state,
        "progress": 100 if state == COMPLETED else 40 if state == IN_PROGRESS else 0,
        "external_source": "s3://lake/data",
        "start_time": start,
        "end_time": start + 30_000 if ended else 0,
        "reason": "timeout" if state == FAILED else "",
    }
    return {**defaults, **fields}


class PymilvusServer:
    """One such Milvus. Use as a context manager; ``port`` stays the same over :meth:`start` after :meth:`kill`.

    ``prefix`` begins its command line, as a namespace's does.
    """

    def __init__(self, *, prefix: tuple[str, ...] = (), **world: Any) -> None:
        self.world: dict[str, Any] = world
        self.port = 0
        self._prefix = prefix
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="pymilvus-server-")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def uri(self) -> str:
        return f"{'https' if self.world.get('tls') else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        listen = self.world.get("listen") or f"127.0.0.1:{self.port}"
        path = Path(self._folder.name) / "world.json"
        path.write_text(json.dumps({**self.world, "listen": listen}), encoding="utf-8")
        line, pipe = [*self._prefix, sys.executable, str(PROGRAM), str(path)], subprocess.PIPE
        with (Path(self._folder.name) / "log").open("a") as log:
            self._process = subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=log, text=True)
        self.port = self._answer(60)["port"]
        assert self.port, f"the pymilvus server could not listen on {listen}"

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def ensure_running(self) -> None:
        """Wake it or start it, whatever a test did to it."""
        if self._process is None:
            self.start()
        self.thaw()

    def kill(self) -> None:
        """End it as a crash does. :meth:`start` brings it back on the same port with the same world."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """Stop it with SIGSTOP: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def set(self, **world: Any) -> None:
        """Replace keys of the world while it runs."""
        self.world.update(world)
        self._command({"world": world})

    def set_jobs(self, *jobs: dict[str, Any]) -> None:
        self.set(jobs=list(jobs))

    def set_fault(self, method: str = LIST_JOBS, **fault: Any) -> None:
        self.set(faults={**self.world.get("faults", {}), method: fault})

    def clear_faults(self) -> None:
        self.set(faults={})

    def calls(self, method: str | None = None) -> list[dict[str, Any]]:
        """Return the calls received, oldest first: method, headers, request (set fields only), at (epoch seconds)."""
        calls: list[dict[str, Any]] = self._command({"calls": True})["calls"]
        return [call for call in calls if method in (None, call["method"])]

    def list_all_calls(self) -> list[dict[str, Any]]:
        return [call for call in self.calls(LIST_JOBS) if not call["request"].get("collection_name")]

    def forget_calls(self) -> None:
        self._command({"forget_calls": True})

    def _signal(self, number: int) -> None:
        assert self._process, "not running"
        os.kill(self._process.pid, number)

    def _command(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process, "not running"
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer(30)

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            log = (Path(self._folder.name) / "log").read_text()[-2000:]
            raise AssertionError(f"the pymilvus server said nothing within {seconds} s; its log ends:\n{log}")
        answer: dict[str, Any] = json.loads(line)
        return answer
