"""How the command ends where it cannot begin or cannot print: what a supervisor and a shell act on."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from peers.exporter import call, command_line, environment, free_port
from peers.parts import ROOT
from peers.waiting import until

ADDRESS = "MILVUS_REFRESH_EXPORTER_WEB__LISTEN_ADDRESS"
NOBODY = "--milvus.uri=http://127.0.0.1:1"
FULL = "milvus-refresh-exporter: cannot write to standard output: No space left on device\n"
CLOSED = "milvus-refresh-exporter: standard output is closed\n"


# What may be otherwise at the next try ends with 1, everything else with 2


def test_an_address_in_use_may_be_free_later_and_no_state_file_is_made(tmp_path: Path) -> None:
    """The process that has the address may have the state file as well."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = call("run", NOBODY, f"--web.listen-address={address}", f"--state.path={tmp_path}/state.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"milvus-refresh-exporter: web.listen_address: cannot listen on {address}: Address already in use\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_demo_waits_for_an_address_of_its_milvus_too() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert call("demo", f"--demo.milvus-listen={address}").returncode == 1


@pytest.mark.parametrize(
    "flag",
    [
        "--config.file=MISSING",
        "--milvus.token-file=MISSING",
        "--web.config-file=MISSING",
        "--web.config-file=web.yml",
        "--state.path=MISSING/state.db",
    ],
)
def test_a_file_that_is_not_there_may_be_there_later(flag: str, tmp_path: Path) -> None:
    """A volume that is not mounted yet, a secret or a certificate that is still to be written."""
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: missing.crt, key_file: missing.key}\n")
    flag = flag.replace("MISSING", f"{tmp_path}/missing").replace("web.yml", str(web))
    done = call("run", NOBODY, "--web.listen-address=127.0.0.1:0", flag)
    assert done.returncode == 1, done.stderr
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert call("run", NOBODY, "--poll.interval=soon", flag).returncode == 2


def test_a_supervisor_does_not_restart_after_a_fault_of_the_configuration() -> None:
    unit = (ROOT / "deploy/systemd/milvus-refresh-exporter.service").read_text()
    assert "\nRestart=on-failure\n" in unit
    assert "\nRestartPreventExitStatus=2\n" in unit


# Standard output


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, in which P is the command."""
    line = line.replace("P ", shlex.join(command_line()) + " ", 1)
    return subprocess.run(
        ["bash", "-c", f"{line}"],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["version", "--help", "run --help", "completion bash", "check", "once"])
@pytest.mark.parametrize(("output", "said"), [("> /dev/full", FULL), (">&-", CLOSED)])
def test_output_that_cannot_be_written_is_one_line_and_exit_code_1(command: str, output: str, said: str) -> None:
    asks = f" {NOBODY}" if command in ("check", "once") else ""
    done = shell(f"P {command}{asks} {output}")
    lines = [line for line in done.stderr.splitlines(keepends=True) if " poll: " not in line]
    assert (done.returncode, "".join(lines), done.stdout) == (1, said, "")


@pytest.mark.parametrize("command", ["version", "--help", "completion bash"])
def test_a_reader_that_has_gone_is_told_nothing(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*command_line(), *command.split()],
        env=environment(), stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_jobs_without_an_output_says_so() -> None:
    done = shell(f"P jobs {NOBODY} >&-")
    assert (done.returncode, done.stderr) == (1, CLOSED)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_socket_and_no_file_takes_the_place_of_a_closed_stream(closed: str) -> None:
    """What a library prints would go there, and uvloop aborts where it finds one of its own in that place."""
    code = "import os; from exporter import output; output.guard(); os._exit(os.open('/', os.O_RDONLY))"
    opened = subprocess.run(
        ["bash", "-c", f"{shlex.join([sys.executable, '-c', code])} {closed}"],
        env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert opened.returncode > 2


def test_the_daemon_ends_in_order_without_any_stream() -> None:
    port = free_port()
    line = shlex.join([*command_line(), "run", NOBODY, f"--web.listen-address=127.0.0.1:{port}"])
    with subprocess.Popen(["bash", "-c", f"exec {line} <&- >&- 2>&-"], env=environment()) as daemon:
        until(lambda: call("health", env={ADDRESS: f'["127.0.0.1:{port}"]'}).returncode == 0, "it lives", seconds=30)
        daemon.terminate()
        assert daemon.wait(10) == 0


def test_a_closed_standard_error_sends_no_fault_to_standard_output() -> None:
    done = shell("P run --poll.interval=soon 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_full_standard_error_does_not_change_the_exit_code() -> None:
    assert shell("P run --poll.interval=soon 2> /dev/full").returncode == 2
