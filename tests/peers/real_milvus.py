"""Real Milvus 2.3.5: the Go server out of a wheel. It has authorization, roles and TLS, and no refresh API.

It listens on every interface and on fixed ports (its etcd on 2379 and 2380), so it lives in a network namespace, and
whoever speaks to it has to run in there too: ``RealMilvus.prefix``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from peers.namespace import Namespace
from peers.parts import FOLDER, fetched
from peers.waiting import until

PORT = 19530


class RealMilvus:
    """One server with authorization on (root:Milvus), in a namespace of its own. Use as a context manager."""

    uri = f"http://127.0.0.1:{PORT}"

    def __init__(self, *options: str, authorization: bool = True) -> None:
        self._program = str(fetched("milvus", "bin/milvus-server"))
        # Any text after this option counts as true; off is leaving it out.
        self._options = [*(["--authorization-enabled", "true"] if authorization else []), *options]
        self._space = Namespace()
        self._folder = Path()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def prefix(self) -> tuple[str, ...]:
        return self._space.prefix

    def __enter__(self) -> Self:
        self._space.__enter__()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # No need to stop it kindly: its data go too. The wrapper waits for nothing but SIGINT.
        self.kill()
        for process in self._processes:
            process.send_signal(signal.SIGINT)
            process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._space.__exit__()

    def start(self) -> None:
        """Start on an empty data folder and wait until it serves."""
        self._folder = Path(tempfile.mkdtemp(prefix="real-milvus-"))
        unpacked = FOLDER / "milvus" / "unpacked"
        if unpacked.exists():
            shutil.copytree(unpacked, self._folder / "bin", symlinks=True)
        log, env = self._folder / "log", {**os.environ, "PYTHONUNBUFFERED": "1"}
        command = [*self.prefix, self._program, "--data", str(self._folder), *self._options]
        with log.open("wb") as out:
            self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env))
        # An open port says little: the wrapper itself listens on each for a moment, to see whether it is free.
        until(lambda: "Welcome to use Milvus" in log.read_text(), "real Milvus says that it is up", seconds=90)
        if not unpacked.exists():
            self._keep_unpacked(unpacked)

    def kill(self) -> None:
        """End it as a crash does; its data and its wrapper stay."""
        for pid in self._server_ids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self._server_ids(), "the server has ended")

    def restart(self) -> None:
        """Start the server again on its data after :meth:`kill`, without waiting for it (about ten seconds).

        Not by the wrapper: with connections of the killed server still in TIME_WAIT it would take another port.
        """
        program, run = self._folder / "bin" / "milvus", {"DEPLOY_MODE": "STANDALONE", "METRICS_PORT": "9091"}
        run |= {"MILVUS_RUN_DIR": str(self._folder / "run"), "LD_LIBRARY_PATH": str(program.parent)}
        with (self._folder / "log").open("ab") as out:
            self._processes.append(
                subprocess.Popen(
                    [*self.prefix, str(program), "run", "standalone"],
                    cwd=self._folder,
                    env={**os.environ, **run},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            )

    def run(self, command: list[str], *, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command where this Milvus can be reached."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=seconds, check=False)

    def _keep_unpacked(self, unpacked: Path) -> None:
        """The first start unpacks 246 MB for six seconds; later ones copy the result."""
        scratch = Path(tempfile.mkdtemp(dir=unpacked.parent))
        shutil.copytree(self._folder / "bin", scratch / "bin", symlinks=True)
        if not unpacked.exists():
            (scratch / "bin").rename(unpacked)
        shutil.rmtree(scratch)

    def _server_ids(self) -> list[int]:
        """The server itself, which is the wrapper's child, told by the file it was started from."""
        found = []
        for link in Path("/proc").glob("[0-9]*/exe"):
            with contextlib.suppress(OSError):
                if link.readlink().is_relative_to(self._folder):
                    found.append(int(link.parent.name))
        return found
