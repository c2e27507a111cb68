"""The unit: systemd understands every line, it is closed tight, and the daemon says what `Type=notify` waits for."""

from __future__ import annotations

import configparser
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers.exporter import command_line, environment
from peers.parts import ROOT, program
from peers.waiting import free_port, until

from exporter.config.keys import KEYS, PREFIX

SYSTEMD = ROOT / "deploy" / "systemd"
UNIT = SYSTEMD / "milvus-refresh-exporter.service"
EXPOSURE = 1.3
"""Measured 1.2 with systemd 252; what is left open is the network, local sockets and reading /proc."""


def installed(folder: Path, text: str) -> Path:
    """Write the unit with its drop-in and a program that exists."""
    unit = folder / UNIT.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
    shutil.copytree(SYSTEMD / f"{UNIT.name}.d", folder / f"{UNIT.name}.d")
    return unit


def verified(unit: Path) -> str:
    done = subprocess.run(
        [program("systemd-analyze"), "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.real
def test_systemd_has_nothing_to_say_about_the_unit_and_its_drop_in(tmp_path: Path) -> None:
    """Any output is a fault: its exit code is 0 for a misspelt key."""
    assert verified(installed(tmp_path, UNIT.read_text(encoding="utf-8"))) == ""


@pytest.mark.real
@pytest.mark.parametrize(
    ("right", "wrong"), [("RestartSec=", "RestratSec="), ("ProtectSystem=strict", "ProtectSystem=x")]
)
def test_a_fault_in_the_unit_would_be_seen(right: str, wrong: str, tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert right in text
    assert verified(installed(tmp_path, text.replace(right, wrong))) != ""


@pytest.mark.real
def test_the_unit_leaves_little_open(tmp_path: Path) -> None:
    unit = installed(tmp_path, UNIT.read_text(encoding="utf-8"))
    threshold = f"--threshold={EXPOSURE * 10:.0f}"
    done = subprocess.run(
        [program("systemd-analyze"), "security", "--offline=yes", threshold, "--no-pager", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_the_unit_sets_only_what_the_exporter_knows() -> None:
    texts = [UNIT.read_text("utf-8"), *(path.read_text("utf-8") for path in SYSTEMD.glob("*.d/*.conf"))]
    named = re.findall(rf"^Environment=({PREFIX}\w+)=", "\n".join(texts), re.MULTILINE)
    assert len(named) == 3
    assert set(named) <= {variable for key in KEYS.values() for variable in key.variables}


def test_the_watchdog_waits_longer_than_a_stop_and_the_stop_longer_than_the_daemon_takes() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"].removesuffix("s")) > 5
    assert int(service["WatchdogSec"].removesuffix("s")) > int(service["TimeoutStopSec"].removesuffix("s"))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        yield listener


@contextmanager
def daemon(manager: socket.socket, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the daemon as systemd would start it, on a Milvus that is down. systemd's side of the socket is ours."""
    flags = ("run", "--milvus.uri", "http://127.0.0.1:1", "--web.listen-address", f"127.0.0.1:{port}")
    given = environment(NOTIFY_SOCKET=manager.getsockname(), WATCHDOG_USEC="400000", WATCHDOG_PID="")
    with subprocess.Popen([*command_line(), *flags], env=given, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_daemon_says_that_it_is_ready_alive_and_stopping(manager: socket.socket) -> None:
    """An outage of Milvus is no reason not to be ready: ready is that it listens."""
    port = free_port()
    with daemon(manager, port) as process:
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=")
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        process.terminate()
        assert following(manager) == "STOPPING=1"
        assert process.wait(10) == 0


def test_the_daemon_says_that_it_reads_its_settings_anew_and_when_it_has(manager: socket.socket) -> None:
    with daemon(manager, free_port()) as process:
        assert manager.recv(4096).startswith(b"READY=1")
        process.send_signal(signal.SIGHUP)
        assert following(manager).startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert following(manager).startswith("READY=1")


def following(manager: socket.socket) -> str:
    """Return the next message that is no sign of life."""

    def message() -> str:
        text = manager.recv(4096).decode()
        return "" if text == "WATCHDOG=1" else text

    return until(message, "a message", seconds=20, every=0)
