"""One exporter, configured by a file that tests write anew: several Milvus, and reload."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import yaml

from peers.exporter import Answer, Exporter, Samples
from peers.waiting import until

TIGHT = {"interval": "1s", "timeout": "500ms"}


class Configured(Exporter):
    """``run`` with a configuration file. Use as a context manager; sections are settings, as the file has them."""

    def __init__(self, folder: Path, *flags: str, **sections: Any) -> None:
        super().__init__("")
        self.file = folder / f"exporter-{self.port}.yaml"
        self.write(**sections)
        listen = ("--web.listen-address", f"127.0.0.1:{self.port}")
        self._flags = ["--config.file", str(self.file), *listen, *flags]

    def write(self, **sections: Any) -> None:
        """Replace the file. Nothing is told of it."""
        self.file.write_text(yaml.safe_dump({"poll": TIGHT, **sections}), encoding="utf-8")

    def reload(self, **sections: Any) -> Answer:
        """Replace the file and ask for it to be read."""
        self.write(**sections)
        return self.get("/-/reload", method="POST")

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit code; a negative one is a signal's."""
        assert self._process
        code = self._process.wait(seconds)
        self._process = None
        return code

    def probe(self, target: str, **headers: str) -> Samples:
        """Scrape one target; any status but 200 is an error."""
        answer = self.get(f"/probe?target={quote(target)}", **headers)
        assert answer.status == 200, f"/probe answered {answer.status}: {answer.body[:300]!r}"
        return Samples.of(answer.text)

    def polls(self, target: str) -> float:
        return self.probe(target).value("polls_total") or 0

    def until_polled(self, target: str, times: int = 2) -> Samples:
        """Wait until so many more polls of a target have begun, one whole one among them."""
        before = self.polls(target)
        until(lambda: self.polls(target) >= before + times, f"{times} more polls of {target}", seconds=20)
        return self.probe(target)


class Silent:
    """A port that accepts connections and never says a word. Use as a context manager."""

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def accept(self) -> socket.socket:
        """Wait for a caller, who is told nothing."""
        self._socket.settimeout(20)
        return self._socket.accept()[0]


class Slow:
    """Somebody who asks for a path and reads the answer only when told to. Use as a context manager."""

    def __init__(self, port: int, path: str, *headers: str) -> None:
        self._port = port
        self._request = "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()

    def __enter__(self) -> Self:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(5)
        self._socket.connect(("127.0.0.1", self._port))
        self._socket.sendall(self._request)
        self.answer = b""
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read_some(self) -> None:
        self.answer += self._socket.recv(1000)

    def read_all(self) -> None:
        """Read until the other side closes."""
        pieces = [self.answer]
        while piece := self._socket.recv(65536):
            pieces.append(piece)
        self.answer = b"".join(pieces)

    @property
    def whole(self) -> bool:
        """Whether the answer is as long as it says."""
        head, _, body = self.answer.partition(b"\r\n\r\n")
        named = [line.lower().partition(b":") for line in head.split(b"\r\n")]
        lengths = [int(value) for name, _, value in named if name == b"content-length"]
        return head.startswith(b"HTTP/1.1 200") and lengths == [len(body)]
