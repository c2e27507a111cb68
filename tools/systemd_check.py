"""Run the unit under a real systemd: ``python tools/systemd_check.py``, as root on Debian, with the test environment.

A root made of Debian packages boots as process 1 of namespaces of its own (processes, mounts, network, control groups).
The exporter is installed in it as docs/deploy/systemd.md says, then started, reloaded, killed, frozen and given a token
as a credential, on a Milvus made of pymilvus's servicer that asks for it. Needs mmdebstrap, util-linux and iproute2.
What is fetched is kept below ``.cache/systemd`` and ``.cache/image``, the rest is gone afterwards. Takes two to three
minutes, one of them for the watchdog. Prints what was seen; exit code 1 names what is wrong.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from systemd_machine import NEEDED, SETTINGS, UNIT, Booted, booted, until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from peers.pymilvus_server import PymilvusServer, databases, job

TOKEN = "root:kohlrabi"  # noqa: S105  # the simulated Milvus's
NEW_STATE = "a new state file begins"
DYNAMIC_USERS = range(61184, 65520)
"""systemd.exec(5), DynamicUser."""


def started(machine: Booted) -> Iterator[str]:
    """Start it on a Milvus that is down: active all the same, shut in, and its state is its own."""
    begun = time.monotonic()
    code, said = machine.do("systemctl", "start", UNIT)
    seconds = time.monotonic() - begun
    if code or machine.show("StatusText") != "listening":
        yield f"does not start: {said}{machine.said()}"
        return
    main = machine.show("MainPID")
    found = dict(re.findall(r"^(\w+):\s+(\S+)", machine.do("cat", f"/proc/{main}/status")[1], re.MULTILINE))
    memory = machine.show("MemoryCurrent")
    used = f"{int(memory) // 2**20} MiB" if memory.isdigit() else "unknown"
    print(f"start   active after {seconds:.2f} s, Milvus down; user {found['Uid']}; {found['Threads']} threads, "
          f"RSS {int(found['VmRSS']) // 1024} MiB; MemoryCurrent {used}")  # fmt: skip
    if "milvus_external_refresh_up 0.0" not in machine.page():
        yield f"no page: {machine.page()[:300]}"
    for name, wanted in {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}.items():
        if found[name] != wanted:
            yield f"{name} is {found[name]}"
    if int(found["Uid"]) not in DYNAMIC_USERS:
        yield f"runs as {found['Uid']}"
    if machine.do("nsenter", "-t", main, "-m", "touch", "/etc/x")[0] == 0:
        yield "can write to /etc"
    owner = machine.do("stat", "-c", "%u %a", f"/var/lib/{UNIT}/state.db")[1]
    if owner != f"{found['Uid']} 600":
        yield f"state file: {owner}"


def reloaded(machine: Booted) -> Iterator[str]:
    """Give it a good configuration and a bad one, which changes nothing; a start with a bad one is reported once."""
    before = machine.show("MainPID")
    if machine.do("systemctl", "reload", UNIT)[0] or "configuration reloaded" not in machine.said():
        yield "does not reload"
    good = machine.do("cat", f"{SETTINGS}/exporter.yaml")[1]
    machine.configure(f"{good}\nnonsense: 1")
    machine.do("systemctl", "reload", UNIT)
    until(lambda: "the one before stays" in machine.said(), "the message about a bad configuration")
    if (machine.show("ActiveState"), machine.show("MainPID")) != ("active", before):
        yield "a bad configuration stopped it"
    code, _ = machine.do("systemctl", "restart", UNIT)
    time.sleep(7)  # RestartSec and more
    state = [machine.show(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
    if code == 0 or state != ["failed", "2", "0"]:
        yield f"started with a bad configuration: {state}"
    print("reload  a good one is taken over, a bad one changes nothing; at a start it fails, once")
    machine.configure(good)


def credentialed(machine: Booted, milvus: PymilvusServer) -> Iterator[str]:
    """Start it without a token, which Milvus refuses, and with the drop-in; nobody else reads the token."""
    machine.configure(f"milvus: {{uri: '{milvus.uri}'}}")
    machine.do("systemctl", "start", UNIT)
    until(lambda: "poll failed" in machine.said() and "unauthenticated" in machine.said(), "a refusal")
    machine.do("sh", "-c", f"umask 077; printf %s {TOKEN} > {SETTINGS}/token")
    machine.do("cp", "-r", f"/source/deploy/systemd/{UNIT}.service.d", "/etc/systemd/system/")
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "restart", UNIT)
    seconds = until(lambda: "milvus_external_refresh_up 1.0" in machine.page(), "a poll with the token")
    print(f"token   refused without; by LoadCredential it polls, {seconds:.1f} s after the restart")
    shown = f"/run/credentials/{UNIT}.service/milvus-token"
    if machine.do("setpriv", "--reuid=1", "--clear-groups", "cat", shown)[0] == 0:
        yield "others can read the token"
    if TOKEN.partition(":")[2] in machine.said() + machine.do("systemctl", "show", UNIT)[1]:
        yield "the token is in the journal or among the unit's properties"


def brought_back(machine: Booted, milvus: PymilvusServer) -> Iterator[str]:
    """Kill it and freeze it: it is restarted, and what Milvus lists no longer is still remembered."""
    known = 'milvus_external_refresh_last_success_timestamp_seconds{database="default",collection="ext"}'
    if known not in machine.page():
        yield f"{known} is not on the page"
    milvus.set_jobs()
    new = machine.said().count(NEW_STATE)
    for name, wait in ((signal.SIGKILL, 30), (signal.SIGSTOP, 120)):
        restarts = int(machine.show("NRestarts"))
        machine.do("systemctl", "kill", f"--signal={name.name}", UNIT)
        seconds = until(
            lambda: int(machine.show("NRestarts")) > restarts and machine.show("SubState") == "running",  # noqa: B023
            f"a restart after {name.name}", wait,
        )  # fmt: skip
        print(f"{name.name:8}running again after {seconds:.0f} s")
    if "Watchdog timeout" not in machine.said():
        yield "it was not the watchdog"
    until(lambda: known in machine.page(), "what was remembered")
    if machine.said().count(NEW_STATE) > new:
        yield "the state was lost"


def stopped(machine: Booted) -> Iterator[str]:
    """Stop it: in order."""
    begun = time.monotonic()
    machine.do("systemctl", "stop", UNIT)
    seconds = time.monotonic() - begun
    state = [machine.show(name) for name in ("ActiveState", "Result", "ExecMainStatus")]
    print(f"stop    {seconds:.1f} s")
    if state != ["inactive", "success", "0"]:
        yield f"does not stop well: {state}"


def main() -> int:
    """Boot and look. Returns the exit code."""
    lacking = [name for name in NEEDED if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    if lacking or os.geteuid():
        print(f"needs root and {', '.join(lacking or NEEDED)}", file=sys.stderr)
        return 2
    with booted() as machine:
        print(f"booted  {machine.do('systemctl', '--version')[1].splitlines()[0]}")
        faults = [*started(machine), *reloaded(machine)]
        enter = ("nsenter", "-t", str(machine.process), "-n")
        with PymilvusServer(
            prefix=enter, databases=databases(default=["ext"]), jobs=[job(1)], auth={"tokens": [TOKEN]}
        ) as milvus:
            faults += [*credentialed(machine, milvus), *brought_back(machine, milvus)]
        faults += stopped(machine)
    for fault in faults:
        print(f"systemd: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
