"""``python -m benchmarks.footprint``: size, start and memory beside other exporters, on Debian.

Go exporters come as Debian packages that are unpacked and not installed, Python ones as virtual environments, ours as
the pinned requirements and a wheel of this tree. Everything lies in ``.cache/footprint``. Python is Debian's. What
they watch is not there: each is asked for the page that it has then. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import machine, today

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = Path(os.environ.get("MRE_FOOTPRINT_DIR", ROOT / ".cache" / "footprint"))
ROUNDS: Final = 5
PORT: Final = 19699
LISTEN: Final = f"127.0.0.1:{PORT}"
INTERPRETER: Final = ("python3.11", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib")
IDLE_SECONDS: Final = 3.0
PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Subject:
    """An exporter: ``package`` as Debian or PyPI has it, ``command`` below its folder, with its port set."""

    package: str
    language: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """One start. Seconds until the page was answered, CPU seconds until then, and bytes some seconds after it."""

    wall: float
    cpu: float
    resident: int
    processes: int
    page: int


OURS: Final = Subject(
    "milvus-refresh-exporter", "Python",
    ("bin/milvus-refresh-exporter", "run", "--milvus.uri=http://127.0.0.1:1", f"--web.listen-address={LISTEN}"),
)  # fmt: skip
SUBJECTS: Final = (
    OURS,
    Subject("prometheus-pve-exporter", "Python",
            ("bin/pve_exporter", "--config.file", "settings", "--web.listen-address", LISTEN)),
    Subject("flower", "Python",
            ("bin/celery", "--broker=memory://", "flower", "--address=127.0.0.1", f"--port={PORT}")),
    *(
        Subject(f"prometheus-{name}-exporter", "Go", (f"usr/bin/prometheus-{name}-exporter", *flags), environment)
        for name, flags, environment in (
            ("node", (f"--web.listen-address={LISTEN}",), ()),
            ("blackbox", (f"--web.listen-address={LISTEN}", "--config.file=etc/prometheus/blackbox.yml"), ()),
            ("postgres", (f"--web.listen-address={LISTEN}",), (("DATA_SOURCE_NAME", "postgresql://a:b@127.0.0.1:1/c"),)),
            ("mysqld", (f"--web.listen-address={LISTEN}",), (("DATA_SOURCE_NAME", "a:b@(127.0.0.1:1)/"),)),
            ("redis", (f"-web.listen-address={LISTEN}", "-redis.addr=redis://127.0.0.1:1"), ()),
        )
    ),
)  # fmt: skip


def installed(subject: Subject) -> tuple[Path, str]:
    """Return the subject's folder, made where it is not there, and its version."""
    folder = FOLDER / subject.package
    if subject is OURS:
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        fresh = folder.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        (_unpack if subject.language == "Go" else _install)(subject, folder, fresh)
    if subject.language == "Go":
        return folder, _output("dpkg-deb", "-f", str(next(folder.glob("*.deb"))), "Version")
    shown = _output(str(folder / "bin/python"), "-m", "pip", "show", subject.package)
    return folder, shown.partition("Version: ")[2].partition("\n")[0]


def _unpack(subject: Subject, folder: Path, fresh: Path) -> None:
    fetch = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", subject.package)
    subprocess.run(fetch, cwd=fresh, check=True)
    _output("dpkg-deb", "-x", str(next(fresh.glob("*.deb"))), str(fresh))
    fresh.rename(folder)


def _install(subject: Subject, folder: Path, fresh: Path) -> None:
    fresh.rename(folder)  # an environment cannot be moved later
    _output("/usr/bin/python3", "-m", "venv", str(folder))
    pip = (str(folder / "bin/python"), "-m", "pip", "install", "-qq")
    if subject is OURS:
        _output(*pip, "--require-hashes", "-r", str(ROOT / "requirements/image.txt"))
        _output(*pip, "--no-deps", str(ROOT))
    else:
        _output(*pip, subject.package)
    (folder / "settings").write_text("default: {user: a@pam, password: b}\n", encoding="utf-8")


def size(folder: Path) -> int:
    """Return bytes of the files that a subject is made of: neither pip, nor links, nor the package itself."""
    return sum(path.lstat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        tools = {"pip", "setuptools", "pkg_resources", "_distutils_hack"} & {part.split("-")[0] for part in path.parts}
        if path.is_file() and not path.is_symlink() and not tools and path.suffix != ".deb":
            yield path


def start(subject: Subject, folder: Path) -> Start:
    """Start it, ask for its page until there is one, leave it alone, look at its memory, and end it."""
    environment = {"PATH": os.defpath, "HOME": str(folder), **dict(subject.environment)}
    command = [str(folder / subject.command[0]), *subject.command[1:]]
    with (folder / "log").open("wb") as log:
        begun = time.monotonic()
        child = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            page = _page(child, begun + PATIENCE_SECONDS)
            wall = time.monotonic() - begun
            cpu = sum(map(_cpu, family(child.pid, _children)))
            time.sleep(IDLE_SECONDS)
            alive = family(child.pid, _children)
            return Start(wall, cpu, sum(map(_resident, alive)), len(alive), page)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _page(child: subprocess.Popen[bytes], until: float) -> int:
    while True:
        try:
            with urllib.request.urlopen(f"http://{LISTEN}/metrics", timeout=PATIENCE_SECONDS) as answer:
                return len(answer.read())
        except OSError as not_yet:
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{child.args!r} has no page") from not_yet
            time.sleep(0.002)


def family(process: int, children: Callable[[int], Iterable[int]]) -> list[int]:
    """Return a process and all below it."""
    return [process, *(each for child in children(process) for each in family(child, children))]


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text(encoding="ascii").split()]


def _cpu(process: int) -> float:
    return time.clock_gettime((~process << 3) | 2)  # as in benchmarks/processes.py


def _resident(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _row(subject: Subject, version: str, bytes_: int, interpreter: int, starts: list[Start]) -> str:
    def median(value: Callable[[Start], float]) -> float:
        return statistics.median(map(value, starts))

    python = subject.language == "Python"
    whole = f"{(bytes_ + interpreter) / 1e6:.0f} MB" if python else f"{bytes_ / 1e6:.0f} MB"
    return (
        f"| {subject.package} {version} | {subject.language} | {bytes_ / 1e6:.0f} MB | {whole} "
        f"| {median(lambda s: s.wall) * 1e3:,.0f} ms | {median(lambda s: s.cpu) * 1e3:,.0f} ms "
        f"| {median(lambda s: s.resident) / 2**20:.0f} MiB ({starts[-1].processes}) | {starts[-1].page / 1e3:.0f} KB |"
    )


def main() -> None:
    """Measure, all subjects in each round; the first round only warms the caches."""
    folders = {subject: installed(subject) for subject in SUBJECTS}
    sizes = _output("dpkg-query", "-W", "-f", "${Installed-Size}\n", *INTERPRETER)
    interpreter = sum(map(int, sizes.split())) * 1024
    taken = {subject: size(folder) for subject, (folder, _) in folders.items()}
    rounds = [{subject: start(subject, folders[subject][0]) for subject in SUBJECTS} for _ in range(ROUNDS + 1)]
    print(f"Measured {today()} on {machine()}; CPython 3.11 of Debian, {interpreter / 1e6:.0f} MB.\n")
    print("| exporter | language | installed | with interpreter | first page | CPU until then | resident | page |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for subject, (_, version) in folders.items():
        print(_row(subject, version, taken[subject], interpreter, [each[subject] for each in rounds[1:]]))


if __name__ == "__main__":
    main()
