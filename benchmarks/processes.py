"""Processes that are measured: started, asked, and ended again by the one that started them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

import grpc

from benchmarks.milvus import UNBOUNDED
from benchmarks.world import Shape

ROOT = Path(__file__).resolve().parents[1]
_STOP_SECONDS = 10.0
_TAIL_BYTES = 4000


class Process:
    """A child process on this interpreter, with its CPU time and its memory. Ends with the ``with`` block."""

    def __init__(self, command: Sequence[str]) -> None:
        # What is installed has been compiled (pip does it, and the image): that is no part of a start.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, "PYTHONPATH": str(ROOT)}
        # What it logs costs it what logging costs, and is shown where it ends too early.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed in stop()
        self._child = subprocess.Popen(
            [sys.executable, *command] if command[0].startswith("-") else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    def cpu(self) -> float:
        """Return user and system time of all its threads, also of those that have ended, in seconds."""
        # The kernel's clock of another process: ~pid << 3 | CPUCLOCK_SCHED (clock_getcpuclockid(3)).
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory(self, field: str = "VmRSS") -> int:
        """Return resident bytes; ``VmHWM`` for the most there has been."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{field} is not known here")

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def line(self) -> str:
        """Return the next line of its standard output. Raises RuntimeError where it has ended."""
        text = self._pipe(self._child.stdout).readline().decode()
        if not text:
            raise RuntimeError(f"{self._child.args!r} has ended with {self._child.wait()}:\n{self.said()}")
        return text.strip()

    def said(self) -> str:
        """Return the end of what it has written to standard error."""
        self._log.seek(max(0, self._log.tell() - _TAIL_BYTES))
        return self._log.read().decode(errors="replace")

    def tell(self, text: str) -> None:
        """Write a line to its standard input."""
        pipe = self._pipe(self._child.stdin)
        pipe.write(text.encode() + b"\n")
        pipe.flush()

    def stop(self) -> None:
        """End it: by closing its standard input, then by SIGTERM, then by SIGKILL."""
        if self._child.poll() is None:
            self._pipe(self._child.stdin).close()
            self._child.terminate()
            try:
                self._child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._log):
            if pipe is not None and not pipe.closed:
                pipe.close()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise RuntimeError("no pipe")
        return pipe


class Worker(Process):
    """A subject that does one thing at a time when it is told to: see :mod:`benchmarks.subjects`."""

    def __init__(self, subject: str, address: str) -> None:
        super().__init__(["-m", "benchmarks.subjects", subject, address])
        self.line()

    def do(self, what: str) -> dict[str, Any]:
        """Do it, and return what it says about it; CPU in seconds under ``cpu``."""
        self.tell(what)
        answer: dict[str, Any] = json.loads(self.line())
        return answer


class Milvus(Process):
    """The server of prepared bytes."""

    def __init__(self) -> None:
        super().__init__(["-m", "benchmarks.milvus"])
        self.address = self.line()
        self.jobs = 0
        self._channel = grpc.insecure_channel(self.address, options=UNBOUNDED)

    def load(self, jobs: int, collections: int, *, active: bool = True) -> None:
        """Have a new world; ``active``: all its jobs are under way and flip."""
        self.jobs = jobs
        self._order("Load", jobs=jobs, collections=collections, active=active)

    def turn(self, shape: Shape | None = None) -> dict[str, Any]:
        """Let one interval pass, from now on with ``shape``."""
        if shape is None:
            return self._order("Turn")
        form = {"share": shape.share, "together": shape.together, "window": shape.window}
        return self._order("Turn", shape=form)

    def stop(self) -> None:
        self._channel.close()
        super().stop()

    def _order(self, method: str, **order: Any) -> dict[str, Any]:
        call = self._channel.unary_unary(f"/benchmark/{method}")
        answer: dict[str, Any] = json.loads(call(json.dumps(order).encode(), timeout=300))
        return answer
