"""Build the image without an engine and run it as it is meant to run: ``make image-check``, as root on Debian.

The base is made from Debian packages, the build gets its wheels from a folder and no network. Then the image runs with
a read-only root, no capability, 96 MiB of memory and no network but its own loopback. Needs buildah, podman, runc,
mmdebstrap and util-linux; everything is kept below ``.cache/image``. Prints what was measured; exit code 1 names what
is wrong.
"""
# ruff: noqa: S603, S607  # the programs of this machine

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("MRE_IMAGE_DIR", ROOT / ".cache" / "image"))
IMAGE = "localhost/milvus-refresh-exporter:check"
MEMORY_MIB = 96
NEEDED = ("buildah", "podman", "runc", "mmdebstrap", "nsenter", "unshare")
RUNTIME = "python3-minimal,python3,libstdc++6,dash,libc-bin,base-files,base-passwd,ca-certificates"
BUILD = f"{RUNTIME},python3-pip,python3-venv,coreutils,bash,sed,grep,findutils,tar,gzip"
STORE = ("--root", str(WORK / "store"), "--runroot", str(WORK / "run"), "--storage-driver", "overlay")
ENGINE = ("podman", *STORE, "--runtime", "runc", "--cgroup-manager", "cgroupfs")
# The two limits: a machine that withholds CAP_SYS_RESOURCE cannot give podman's own.
HARD = (
    "--network", "none", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt",
    "no-new-privileges", "--memory", f"{MEMORY_MIB}m", "--memory-swap", f"{MEMORY_MIB}m",
    "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096",
)  # fmt: skip
# Runs inside the container's network: when is /-/healthy first answered, and one scrape.
ASK = """
import sys, time, urllib.request as u
url, until = "http://127.0.0.1:19540", time.time() + 30
while True:
    try:
        u.urlopen(url + "/-/healthy", timeout=1); break
    except OSError:
        if time.time() > until: sys.exit("never healthy")
        time.sleep(0.005)
healthy = time.time()
while True:
    try:
        u.urlopen(url + "/-/ready", timeout=1); break
    except OSError:
        if time.time() > until: sys.exit("never ready")
        time.sleep(0.005)
print(healthy, time.time(), flush=True)
print(u.urlopen(url + "/metrics", timeout=5).read().decode())
"""


def run(*command: str, check: bool = True, **more: object) -> str:
    """Run a program and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if check and done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def base(name: str, packages: str) -> None:
    """Put a root made of Debian packages into the store, under a name that ``FROM`` finds."""
    if subprocess.run(["podman", *STORE, "image", "exists", name], check=False).returncode == 0:
        return
    tar = WORK / f"{name.replace('/', '_').replace(':', '_')}.tar"
    if not tar.exists():
        run("mmdebstrap", "--variant=extract", f"--include={packages}", "bookworm", str(tar))
    root = WORK / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    run("tar", "--numeric-owner", "-xf", str(tar), "-C", str(root))
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for file in ("passwd", "group"):  # what the packages' own scripts would have done
        shutil.copy(root / f"usr/share/base-passwd/{file}.master", root / f"etc/{file}")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    for ballast in ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache", "var/lib/apt/lists"):
        shutil.rmtree(root / ballast, ignore_errors=True)
    container = run("buildah", *STORE, "from", "scratch").strip()
    run("buildah", *STORE, "add", "-q", container, str(root), "/")
    run("buildah", *STORE, "config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
    run("buildah", *STORE, "commit", "-q", container, name)
    run("buildah", *STORE, "rm", container)
    shutil.rmtree(root)


def wheels() -> Path:
    """Fetch what requirements/ pins, so that the build itself needs no network."""
    files = [ROOT / "requirements" / f"{name}.txt" for name in ("build", "image")]
    folder = WORK / f"wheels-{hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()[:12]}"
    if not folder.exists():
        for file in files:
            run("/usr/bin/python3", "-m", "pip", "download", "-q", "--require-hashes", "--only-binary", ":all:", "-d",
                str(folder), "-r", str(file))  # fmt: skip
    return folder


def build() -> float:
    """Build the image from the repository's own Dockerfile. Returns seconds."""
    (WORK / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    revision = run("git", "-C", str(ROOT), "rev-parse", "HEAD", check=False).strip()
    version = re.search(r'__version__ = "(.+)"', (ROOT / "exporter/__init__.py").read_text())
    started = time.monotonic()
    run(
        "unshare", "-n", "buildah", *STORE, "bud", "--isolation", "chroot", "--pull-never", "--format", "docker",
        "--no-cache", "-v", f"{wheels()}:/wheels:ro", "-v", f"{WORK / 'pip.conf'}:/etc/pip.conf:ro",
        "--build-arg", "BASE=base:runtime", "--build-arg", "BUILD_BASE=base:build",
        "--build-arg", f"REVISION={revision}", "--build-arg", f"VERSION={version[1] if version else ''}", "-t", IMAGE,
        str(ROOT),
    )  # fmt: skip
    return time.monotonic() - started


def faults_of_the_image() -> Iterator[str]:
    """Yield what is wrong with it without running the daemon."""
    config = json.loads(run(*ENGINE, "inspect", IMAGE))[0]
    labels = config["Labels"] or {}
    for label in ("title", "licenses", "version", "revision", "base.name"):
        if not labels.get(f"org.opencontainers.image.{label}"):
            yield f"label {label} is empty"
    if config["User"] != "10001:10001":
        yield f"runs as {config['User']}"
    if config.get("Healthcheck", {}).get("Test") != ["CMD", "milvus-refresh-exporter", "health"]:
        yield "has no health check"
    inside = """
import os, shutil, stat, sys
for name in ("pip", "pip3", "gcc", "cc", "make", "git", "apt-get", "curl"):
    if shutil.which(name): print("has", name)
for top, folders, files in os.walk("/opt"):
    for name in folders + files:
        path = os.path.join(top, name); mode = os.lstat(path)
        if not stat.S_ISLNK(mode.st_mode) and (mode.st_uid or mode.st_mode & 0o6022): print("not root's alone:", path)
import importlib.util
if importlib.util.find_spec("pip"): print("has the module pip")
import exporter.cli
if not exporter.cli.__cached__ or not os.path.exists(exporter.cli.__cached__): print("is not compiled")
try: open("/opt/x", "w"); print("can write to /opt")
except OSError: pass
if os.getuid() != 10001: print("is user", os.getuid())
"""
    yield from run(*ENGINE, "run", "--rm", *HARD, "--entrypoint", "python", IMAGE, "-c", inside).splitlines()
    said = run(*ENGINE, "run", "--rm", *HARD, IMAGE, "version")
    if not said.startswith(f"milvus-refresh-exporter {labels.get('org.opencontainers.image.version')} "):
        yield f"says {said!r}"


@contextmanager
def container(*arguments: str, options: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Yield a running container's id and the number of its process; remove it."""
    name = run(*ENGINE, "run", "-d", *HARD, *options, IMAGE, *arguments).strip().splitlines()[-1]
    try:
        yield name, int(run(*ENGINE, "inspect", "--format", "{{.State.Pid}}", name))
    finally:
        run(*ENGINE, "rm", "-f", "-t", "0", name, check=False)


def born(process: int) -> float:
    """Return when a process was started, in epoch seconds."""
    ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> dict[str, float]:
    """Return RSS of a process and the most of its cgroup, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = {"RSS": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024}  # type: ignore[index]
    for line in Path(f"/proc/{process}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            peak = Path("/sys/fs/cgroup/memory") / path.strip("/") / "memory.max_usage_in_bytes"
        elif not controllers:
            peak = Path("/sys/fs/cgroup") / path.strip("/") / "memory.peak"
        else:
            continue
        if peak.exists():
            found["most of the container"] = int(peak.read_text()) / 2**20
    return found


def live(*arguments: str, wanted: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """Run the daemon, scrape it, ask its health, stop it. Yields what is wrong; prints what was measured."""
    with container(*arguments, options=options) as (name, process):
        asked = subprocess.run(["nsenter", "-t", str(process), "-n", sys.executable, "-c", ASK], check=False,
                               capture_output=True, text=True)  # fmt: skip
        if asked.returncode:
            yield f"{arguments}: {asked.stderr.strip()}:\n{run(*ENGINE, 'logs', name, check=False)[-2000:]}"
            return
        answer = asked.stdout
        times, _, metrics = answer.partition("\n")
        healthy, ready = (float(each) - born(process) for each in times.split())
        if wanted not in metrics:
            yield f"{arguments}: {wanted!r} is not in what it shows"
        used = memory(process)
        for _ in range(3):  # as often as an engine would
            done = subprocess.run([*ENGINE, "exec", name, "milvus-refresh-exporter", "health"], check=False,
                                  capture_output=True, text=True)  # fmt: skip
            if done.returncode:
                yield f"{arguments}: health: {done.stdout}{done.stderr}"
        after = memory(process)
        started = time.monotonic()
        run(*ENGINE, "stop", "-t", "10", name)
        seconds = time.monotonic() - started
        code = run(*ENGINE, "inspect", "--format", "{{.State.ExitCode}}", name).strip()
        if code != "0":
            yield f"{arguments}: ended with {code}:\n{run(*ENGINE, 'logs', name, check=False)[-2000:]}"
        print(f"{arguments[0]:5}  healthy after {healthy:.2f} s, ready after {ready:.2f} s; RSS {used['RSS']:.0f} MiB; "
              f"most, with health checks: {after.get('most of the container', 0):.0f} of {MEMORY_MIB} MiB; "
              f"stopped in {seconds:.1f} s with exit code {code}; {len(metrics.splitlines())} lines")  # fmt: skip


def main() -> int:
    """Build, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-build", action="store_true", help="only run what is there")
    given = parser.parse_args()
    lacking = [name for name in NEEDED if not shutil.which(name)]
    if lacking or os.geteuid():
        print(f"needs root and {', '.join(lacking or NEEDED)}; on Debian: apt-get install --no-install-recommends "
              "buildah podman runc mmdebstrap util-linux", file=sys.stderr)  # fmt: skip
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    if not given.no_build:
        base("base:runtime", RUNTIME)
        base("base:build", BUILD)
        print(f"built in {build():.0f} s, without a network")
    size, below = (
        int(run(*ENGINE, "inspect", "--format", "{{.Size}}", name)) / 1e6 for name in (IMAGE, "base:runtime")
    )
    print(f"image {size:.0f} MB, of which the base {below:.0f} MB")
    faults = [
        *faults_of_the_image(),
        *live("run", wanted="milvus_external_refresh_up 0"),
        *live("demo", wanted='milvus_external_refresh_jobs{database="lake"'),
        *live("run", "--state.path=/var/lib/milvus-refresh-exporter/state.db",
              wanted="milvus_external_refresh_state_ok 1",
              options=("--tmpfs", "/var/lib/milvus-refresh-exporter:mode=1777")),
    ]  # fmt: skip
    for fault in faults:
        print(f"image: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
