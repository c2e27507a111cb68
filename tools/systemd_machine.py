"""A systemd that is process 1 of namespaces of its own, with the exporter installed as docs/deploy/systemd.md says.

Its root is made of Debian packages, once; what it changes there is gone with it. Needs root, mmdebstrap, util-linux and
iproute2.
"""
# ruff: noqa: S603  # the programs of this machine

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from image_check import ROOT, run, wheels

WORK = Path(os.environ.get("MRE_SYSTEMD_DIR", ROOT / ".cache" / "systemd"))
NEEDED = ("mmdebstrap", "unshare", "nsenter", "ip")
PACKAGES = "systemd,systemd-sysv,dbus,python3-venv,python3-pip,libstdc++6,ca-certificates"
UNIT = "milvus-refresh-exporter"
SETTINGS = Path("/etc/milvus-refresh-exporter")
GROUP = "milvus-refresh-systemd-check"
# Nothing of hardware, login or time: it is not this machine's system.
MASKED = (
    "systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-logind.service",
    "systemd-udev-trigger.service", "systemd-timesyncd.service", "systemd-sysctl.service", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "dev-hugepages.mount", "dev-mqueue.mount", "systemd-remount-fs.service",
)  # fmt: skip
# $1 the Debian root, $2 an empty folder, $3 the wheels, $4 our own, $5 this repository; then lines for control groups.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$2/up" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" overlay "$2/root"
R="$2/root"
mkdir "$R/wheels" "$R/wheel" "$R/source"
mount --bind "$3" "$R/wheels"
mount --bind "$4" "$R/wheel"
mount --bind "$5" "$R/source"
shift 5
mount -t proc proc "$R/proc"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for d in null zero full random urandom tty; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
ln -s /proc/self/fd "$R/dev/fd"
for d in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$R/$d"; done
chmod 755 "$R/run"
mount -t tmpfs -o mode=755 tmpfs "$R/sys/fs/cgroup"
for line in "$@"; do eval "$line"; done
ip link set lo up
cd "$R"
pivot_root . mnt
umount -l /mnt
mount --make-rshared /  # in a container systemd takes it as done, and credentials need it
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=basic.target
"""
INSTALL = f"""
set -e
python3 -m venv /opt/{UNIT}
/opt/{UNIT}/bin/pip install -q --no-index --find-links /wheels --require-hashes -r /source/requirements/image.txt
/opt/{UNIT}/bin/pip install -q --no-index --no-deps /wheel/*.whl
install -D -m 0644 /source/deploy/systemd/exporter.yaml {SETTINGS}/exporter.yaml
install -m 0644 /source/deploy/systemd/{UNIT}.service /etc/systemd/system/
systemctl daemon-reload
"""


def debian() -> Path:
    """Return a Debian 12 root with systemd, made once."""
    root, fresh = WORK / "root", WORK / "root.new"
    if not root.exists():
        shutil.rmtree(fresh, ignore_errors=True)
        WORK.mkdir(parents=True, exist_ok=True)
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(fresh))
        for unit in MASKED:
            (fresh / "etc/systemd/system" / unit).symlink_to("/dev/null")
        (fresh / "etc/machine-id").write_text("")
        fresh.rename(root)
    return root


@contextmanager
def control_groups() -> Iterator[tuple[list[Path], list[str]]]:
    """Yield a group of our own in each hierarchy, and how to mount it again from inside; remove them."""
    own = [line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    groups, lines = [], []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        names = set(options.split(","))
        if "cpuset" in names:  # takes no process before it is told its processors; systemd does without
            continue
        if kind == "cgroup":
            wanted, path = next((each, path) for each, path in own if each and set(each.split(",")) <= names)
            option = f"-o none,{wanted}" if wanted.startswith("name=") else f"-o {wanted}"
        elif kind == "cgroup2":
            option, path = "", next(path for each, path in own if not each)
        else:
            continue
        lines.append(f'mkdir -p "$R{where}" && mount -t {kind} {option} cgroup "$R{where}"')
        groups.append(Path(where) / path.strip("/") / GROUP)
    try:
        for group in groups:
            group.mkdir(exist_ok=True)
        yield groups, lines
    finally:
        for folder in [folder for group in groups for folder, _, _ in os.walk(group, topdown=False)]:
            run("rmdir", folder)


@dataclass(frozen=True, slots=True)
class Booted:
    """A running systemd: the number of its process, seen from outside."""

    process: int

    @property
    def prefix(self) -> tuple[str, ...]:
        """What begins a command line that is to run inside."""
        return ("nsenter", "-t", str(self.process), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")

    def do(self, *command: str) -> tuple[int, str]:
        """Run a command inside. Returns its exit code and what it printed."""
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.do("systemctl", "show", "--value", "-p", name, UNIT)[1]

    def said(self) -> str:
        """Return the unit's journal."""
        return self.do("journalctl", "-q", "-o", "cat", "--no-pager", "-u", UNIT)[1]

    def configure(self, text: str) -> None:
        """Replace the configuration file."""
        self.do("sh", "-c", f"cat > {SETTINGS}/exporter.yaml <<'END'\n{text}\nEND")

    def page(self) -> str:
        """Return ``/metrics``; what went wrong where there is none."""
        ask = (
            "import urllib.request as u; print(u.urlopen('http://127.0.0.1:19540/metrics', timeout=5).read().decode())"
        )
        return self.do("python3", "-c", ask)[1]


@contextmanager
def booted() -> Iterator[Booted]:
    """Yield a systemd that has finished its start, with the exporter installed and not started."""
    empty = WORK / "machine"
    empty.mkdir(exist_ok=True)
    with control_groups() as (groups, mounts):

        def enter() -> None:
            for group in groups:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        spaces = ("--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--net", "--cgroup")
        line = [
            "unshare",
            *spaces,
            "sh",
            "-c",
            BOOT,
            "boot",
            *map(str, (debian(), empty, wheels(), wheel(), ROOT)),
            *mounts,
        ]
        with (
            (WORK / "boot.log").open("w") as log,
            subprocess.Popen(line, preexec_fn=enter, stdin=subprocess.DEVNULL, stderr=log) as parent,  # noqa: PLW1509
        ):
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
            until(lambda: children.read_text() or parent.poll(), "a process 1")
            machine = Booted(int(children.read_text()))
            try:
                until(lambda: machine.do("systemctl", "is-system-running")[1] == "running", "a running systemd")
                run(*machine.prefix, "sh", "-c", INSTALL)
                yield machine
            finally:
                # The end of process 1 is the end of all; its parent waits for that.
                os.kill(machine.process, signal.SIGKILL)


def until(true: Callable[[], object], what: str, seconds: float = 60) -> float:
    """Wait for it. Returns seconds."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > seconds:
            sys.exit(f"systemd: {what} was waited for in vain")
        time.sleep(0.1)
    return time.monotonic() - begun


def wheel() -> Path:
    """Build the exporter's without a network. Returns its folder."""
    shutil.rmtree(WORK / "wheel", ignore_errors=True)
    run("/usr/bin/python3", "-m", "pip", "wheel", "-q", "--no-index", "--find-links", str(wheels()), "--no-deps", "-w",
        str(WORK / "wheel"), str(ROOT))  # fmt: skip
    return WORK / "wheel"
