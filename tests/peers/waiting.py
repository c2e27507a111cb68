"""Waiting for a condition, with a deadline. The only place of the tests that lets time pass."""

from __future__ import annotations

import contextlib
import socket
import time
import urllib.request
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, seconds: float = 15.0, every: float = 0.05) -> T:
    """Return the first truthy value of ``condition``; after ``seconds`` fail, saying ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        last = condition()
        if last:
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last seen: {last!r})")
        time.sleep(every)


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def is_ready(port: int) -> bool:
    """Whether a program of Prometheus's family on this port says that it is ready to answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
