"""Our own command as a user runs it: a process, flags, environment, HTTP. Nothing of it is imported here."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from peers.parts import ROOT
from peers.waiting import free_port, until

PREFIX = "milvus_external_refresh_"
MAIN = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from exporter.start import main; sys.exit(main())"
FETCH = """
import json, sys, urllib.error, urllib.request
url, headers, method = json.loads(sys.argv[1])
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=10)
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.buffer.write(json.dumps([answer.status, dict(answer.headers)]).encode() + b"\\n" + answer.read())
"""


def command_line() -> list[str]:
    """Return how to call the installed command; from a bare checkout, the same function its script calls."""
    script = Path(sys.executable).with_name("milvus-refresh-exporter")
    if script.exists():
        return [str(script)]
    return [sys.executable, "-c", MAIN]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without anything that configures the exporter, and ``more``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MILVUS_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def call(
    *arguments: str, env: Mapping[str, str] | None = None, prefix: tuple[str, ...] = (), seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; ``env`` is added to a clean environment."""
    line = [*prefix, *command_line(), *arguments]
    return subprocess.run(
        line, env=environment(**(env or {})), capture_output=True, text=True, timeout=seconds, check=False
    )


@dataclass(frozen=True)
class Samples:
    """An exposition, parsed by prometheus_client. Names without our prefix are completed."""

    text: str
    parsed: list[tuple[str, dict[str, str], float]] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> Samples:
        families = text_string_to_metric_families(text)
        return cls(text, [(s.name, s.labels, s.value) for family in families for s in family.samples])

    def all(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each sample whose labels include these."""
        names = (name, PREFIX + name)
        return [(have, value) for n, have, value in self.parsed if n in names and labels.items() <= have.items()]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one sample's value, None where there is none."""
        found = self.all(name, **labels)
        assert len(found) <= 1, f"{name}{labels} is {len(found)} samples"
        return found[0][1] if found else None

    def total(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.all(name, **labels))

    def errors(self) -> dict[str, float]:
        """Return ``poll_errors_total`` by kind, zeros left out."""
        return {labels["kind"]: value for labels, value in self.all("poll_errors_total") if value}


@dataclass(frozen=True)
class Answer:
    """What HTTP brought."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        zipped = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if zipped else self.body).decode()


class Exporter:
    """``milvus-refresh-exporter run`` at one-second polls on a free port. Use as a context manager."""

    def __init__(
        self,
        uri: str,
        *flags: str,
        env: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        command: str = "run",
    ) -> None:
        self.port = free_port()
        self._flags = ["--milvus.uri", uri, "--poll.interval", "1s"] if command == "run" else []
        self._flags += ["--web.listen-address", f"127.0.0.1:{self.port}", *flags]
        self._env, self._prefix, self._command = dict(env or {}), prefix, command
        self._folder = Path(tempfile.mkdtemp(prefix="exporter-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start and wait until it is ready, which is after the first attempt to poll, good or bad."""
        line = [*self._prefix, *command_line(), self._command, *self._flags]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                line, env=environment(**self._env), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._is_ready, "the exporter is ready", seconds=30)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code; later than 5 s is an error."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(5)
        self._process = None
        return code

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()
        self._process = None

    @property
    def log(self) -> str:
        """Everything it has written to standard output and standard error so far."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Fetch a path; ``accept_encoding="gzip"`` becomes the header. Any status is an answer."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        asked = json.dumps([f"http://127.0.0.1:{self.port}{path}", named, method])
        if not self._prefix:
            return _fetch(*json.loads(asked))
        inside = [*self._prefix, sys.executable, "-c", FETCH, asked]
        done = subprocess.run(inside, capture_output=True, timeout=20, check=False)
        if done.returncode:
            raise ConnectionError(done.stderr.decode()[-300:])
        head, _, body = done.stdout.partition(b"\n")
        status, got = json.loads(head)
        return Answer(status, {key.lower(): value for key, value in got.items()}, body)

    def metrics(self) -> Samples:
        """Scrape; any status but 200 is an error."""
        answer = self.get("/metrics")
        assert answer.status == 200, f"/metrics answered {answer.status}: {answer.body[:300]!r}"
        return Samples.of(answer.text)

    def until(self, condition: Callable[[Samples], Any], what: str, *, seconds: float = 15) -> Samples:
        """Scrape until the condition holds and return that scrape. Each scrape on the way must answer 200."""

        def held() -> Samples | None:
            assert self.running, f"the exporter has ended; its log:\n{self.log[-3000:]}"
            samples = self.metrics()
            return samples if condition(samples) else None

        found = until(held, what, seconds=seconds, every=0.1)
        assert found
        return found

    def next_poll(self) -> Samples:
        """Wait until two more polls have begun, so that one whole poll has seen the world as it is now."""
        before = self.metrics().value("polls_total") or 0
        return self.until(lambda now: (now.value("polls_total") or 0) >= before + 2, "two more polls")

    def _is_ready(self) -> bool:
        assert self.running, f"the exporter ended at once; its log:\n{self.log[-3000:]}"
        try:
            return self.get("/-/ready").status == 200
        except OSError:
            return False


def _fetch(url: str, headers: dict[str, str], method: str) -> Answer:
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())
