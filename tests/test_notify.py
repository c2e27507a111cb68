"""The service manager's protocol, with its side played by a socket of our own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A datagram socket and its NOTIFY_SOCKET, of each kind that systemd uses."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@mre-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.setblocking(False)
        yield name, listener


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (notify.ready(), b"READY=1"),
        (notify.ready("listening on :19540"), b"READY=1\nSTATUS=listening on :19540"),
        (notify.alive(), b"WATCHDOG=1"),
        (notify.stopping(), b"STOPPING=1"),
        (notify.reloading(12.5), b"RELOADING=1\nMONOTONIC_USEC=12500000"),
        (notify.saying("Milvus \u00e4"), "STATUS=Milvus \u00e4".encode()),
    ],
)
def test_each_message_arrives_as_the_protocol_wants_it(
    manager: tuple[str, socket.socket], message: str, sent: bytes
) -> None:
    name, listener = manager
    assert notify.send(message, {"NOTIFY_SOCKET": name})
    assert listener.recv(4096) == sent


def test_a_line_break_in_a_status_begins_no_other_variable() -> None:
    assert notify.saying("polls\nMAINPID=1\r\n") == "STATUS=polls MAINPID=1"


@pytest.mark.parametrize("name", ["", "@", "/", "relative", "vsock:2:1234", "/" + "x" * 108, "/tmp/a\0b"], ids=repr)
def test_what_is_no_socket_of_ours_is_left_alone(name: str) -> None:
    assert notify.address({"NOTIFY_SOCKET": name}) is None
    assert not notify.send(notify.ready(), {"NOTIFY_SOCKET": name})


def test_without_a_service_manager_nothing_is_sent_and_nothing_fails() -> None:
    assert not notify.send(notify.ready(), {})


def test_a_manager_that_has_gone_is_no_error(tmp_path: Path) -> None:
    assert not notify.send(notify.alive(), {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


def test_a_manager_that_does_not_read_never_blocks_the_daemon(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    delivered = [notify.send(notify.alive(), {"NOTIFY_SOCKET": name}) for _ in range(1000)]
    assert delivered[0]
    assert not all(delivered)


def test_no_descriptor_is_left_behind(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        notify.send(notify.alive(), {"NOTIFY_SOCKET": name})
        with contextlib.suppress(BlockingIOError):
            listener.recv(4096)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "41"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_signs_of_life_come_twice_as_often_as_the_watchdog_looks(
    environment: dict[str, str], period: float | None
) -> None:
    assert notify.watchdog_period(environment, 42) == period


def test_signs_of_life_stop_with_the_health_and_come_back_with_it(manager: tuple[str, socket.socket]) -> None:
    """Each question to ``healthy`` is one period; no time is measured."""
    name, listener = manager
    health = iter([True, False, False, True])
    seen: list[bytes] = []

    def healthy() -> bool:
        with contextlib.suppress(BlockingIOError):
            seen.append(listener.recv(4096))
        return next(health)

    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"}
    with pytest.raises(RuntimeError):  # the iterator is at its end
        asyncio.run(notify.keep_alive(healthy, environment, 1))
    assert seen == [b"WATCHDOG=1"] * 2


def test_where_nobody_watches_no_sign_of_life_is_given() -> None:
    asyncio.run(notify.keep_alive(lambda: pytest.fail("asked"), {}, 1))
