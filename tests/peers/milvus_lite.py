"""milvus-lite: a Milvus in pure Python by the Milvus project. It answers our one call with UNIMPLEMENTED."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Self

from peers.parts import fetched
from peers.waiting import free_port, listens, until


class MilvusLite:
    """One server on a free port of loopback. It has no authorization and no TLS. Use as a context manager."""

    def __init__(self) -> None:
        self._program = str(fetched("milvus-lite", "bin/milvus-lite"))
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="milvus-lite-")
        with (Path(self._folder.name) / "log").open("wb") as log:
            # Its default is to listen on every interface.
            where = ["--data-dir", f"{self._folder.name}/data", "--host", "127.0.0.1", "--port", str(self.port)]
            self._process = subprocess.Popen([self._program, "server", *where], stdout=log, stderr=log)
        try:
            until(lambda: listens(self.port), "milvus-lite listens", seconds=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
