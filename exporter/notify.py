"""The service manager's notification protocol: tell systemd that we are ready, alive, reading settings anew, stopping.

One datagram a message to the socket that ``NOTIFY_SOCKET`` names; see sd_notify(3). Without that variable nothing is
sent, so the calls need no condition around them. A message that cannot be sent is lost, never an error: a service
manager that does not listen is no reason to stop.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

_MICROSECONDS: Final = 1_000_000
_LONGEST_PATH: Final = 108
"""Bytes of an address of a Unix socket, unix(7)."""


def ready(status: str = "") -> str:
    """Return the message that a start, or a reload, is complete. ``status``: one line for ``systemctl status``."""
    return "READY=1" + (f"\n{saying(status)}" if status else "")


def stopping() -> str:
    """Return the message that the end has begun."""
    return "STOPPING=1"


def reloading(monotonic: float) -> str:
    """Return the message that settings are being read anew; :func:`ready` must follow, whatever comes of it.

    ``monotonic``: seconds of ``CLOCK_MONOTONIC``, which systemd compares with its own (``Type=notify-reload``).
    """
    return f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * _MICROSECONDS)}"


def alive() -> str:
    """Return the sign of life that holds off the watchdog."""
    return "WATCHDOG=1"


def saying(status: str) -> str:
    """Return the line that ``systemctl status`` shows. A line break in it would begin another variable."""
    return "STATUS=" + " ".join(status.split())


def address(environment: Mapping[str, str]) -> str | None:
    """Return the socket to send to: a path, an abstract name (with its leading NUL), or None.

    Addresses of other kinds (``vsock:`` of virtual machines) are none of ours.
    """
    name = environment.get("NOTIFY_SOCKET", "")
    if len(name) < 2 or len(os.fsencode(name)) > _LONGEST_PATH or "\0" in name:  # noqa: PLR2004  # a sign and a name
        return None
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def send(message: str, environment: Mapping[str, str]) -> bool:
    """Send a message. Returns whether it was delivered; never blocks, never raises."""
    target = address(environment)
    if target is None:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(0)
        sender.sendto(message.encode("utf-8", "replace"), target)
        return True
    return False


def watchdog_period(environment: Mapping[str, str], process: int) -> float | None:
    """Return how often to send :func:`alive` in seconds: half of what systemd allows. None where it does not watch us.

    ``process``: our own number. The variables are inherited by children, who are not meant.
    """
    allowed = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", "")
    if not (allowed.isascii() and allowed.isdigit()) or int(allowed) == 0:
        return None
    if meant and meant != str(process):
        return None
    return int(allowed) / _MICROSECONDS / 2


async def keep_alive(healthy: Callable[[], bool], environment: Mapping[str, str], process: int) -> None:
    """Give signs of life for as long as ``healthy`` says so; until it is cancelled. Returns where nobody watches.

    On the event loop, so that a loop that hangs gives none.
    """
    period = watchdog_period(environment, process)
    while period is not None:
        if healthy():
            send(alive(), environment)
        await asyncio.sleep(period)
