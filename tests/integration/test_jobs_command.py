"""``jobs`` on a real pseudo-terminal, read back by a terminal emulator; and in a pipe. Nothing of it is imported."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from typing import Self

import pexpect
import pyte
import pytest
from peers.exporter import Exporter, call, command_line, environment
from peers.pymilvus_server import COMPLETED, FAILED, IN_PROGRESS, LIST_JOBS, PymilvusServer, databases, job
from peers.waiting import free_port, until

ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"
HOSTILE = "x\x1b]0;owned\x07\x1b[31m\u202e[bold]:skull:"


class Terminal:
    """The command on a terminal of its own. Use as a context manager."""

    def __init__(self, *arguments: str, columns: int = 120, lines: int = 30, **env: str) -> None:
        program, *given = command_line()
        kept = {key: value for key, value in environment().items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
        self._process = pexpect.spawn(
            program,
            [*given, *arguments],
            env={**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env},
            dimensions=(lines, columns),
            encoding="utf-8",
            timeout=20,
        )
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self._screen)
        self.written = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close(force=True)

    @property
    def text(self) -> str:
        """What stands on the screen now."""
        self._read()
        return "\n".join(line.rstrip() for line in self._screen.display)

    def shows(self, text: str, *, seconds: float = 25) -> str:
        """Wait until a text stands on the screen. Returns the screen."""
        return until(lambda: text in (seen := self.text) and seen, f"{text!r} on the screen", seconds=seconds)

    def resize(self, columns: int, lines: int) -> None:
        self._process.setwinsize(lines, columns)
        self._screen.resize(lines, columns)

    def press(self, *, control: str) -> None:
        self._process.sendcontrol(control)

    def end(self, number: int) -> None:
        self._process.kill(number)

    def code(self) -> int | None:
        """Wait for the end and return the exit code; below 0 is the signal that has ended it."""
        deadline = time.monotonic() + 20
        while self._process.isalive() and time.monotonic() < deadline:
            self._read()
        self._read()
        assert not self._process.isalive()
        self._process.close()
        code = self._process.exitstatus
        return -(self._process.signalstatus or 0) if code is None else int(code)

    def _read(self) -> None:
        try:
            while not self._process.closed:
                piece = self._process.read_nonblocking(65536, timeout=0.05)
                self.written += piece
                self._stream.feed(piece)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return


Jobs = Callable[..., Terminal]


@pytest.fixture
def jobs(milvus: PymilvusServer) -> Iterator[Jobs]:
    """Lend the command on the Milvus of this test."""
    opened: list[Terminal] = []

    def open_(*arguments: str, **more: object) -> Terminal:
        opened.append(Terminal("jobs", "--milvus.uri", milvus.uri, *arguments, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for each in opened:
        each.__exit__()


@pytest.fixture
def filled(milvus: PymilvusServer) -> PymilvusServer:
    milvus.set(databases=databases(crm=["customers"], lake=["clicks", "orders"]))
    milvus.set_jobs(
        job(3, "customers", FAILED, database="crm", reason="AWS Error ACCESS_DENIED: Access Denied"),
        job(2, "clicks", IN_PROGRESS, database="lake", progress=40),
        job(1, "orders", COMPLETED, database="lake"),
    )
    return milvus


def piped(milvus: PymilvusServer, *arguments: str, **env: str) -> list[str]:
    done = call("jobs", "--milvus.uri", milvus.uri, *arguments, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_look_is_a_table_that_stays(filled: PymilvusServer, jobs: Jobs) -> None:
    """Newest first, state as symbol and word, progress as a bar, class and reason below what has failed."""
    with jobs() as terminal:
        assert terminal.code() == 0
        lines = [line for line in terminal.text.splitlines() if line]
    assert ALTERNATE not in terminal.written
    assert re.fullmatch(r"3 jobs in 3 collections as of \S+Z: ✗ 1 failed  ▸ 1 running  ✓ 1 completed", lines[0])
    assert lines[1] == "Last refresh failed in 1 collection: crm/customers (access_denied)"
    assert lines[2].split() == ["STATE", "DATABASE", "COLLECTION", "SOURCE", "STARTED", "TOOK"]
    assert lines[3].split()[:5] == ["✗", "Failed", "crm", "customers", "s3://lake/data"]
    assert lines[4].strip() == "access_denied: AWS Error ACCESS_DENIED: Access Denied"
    assert lines[5].split()[:4] == ["▸", "Running", "lake", "clicks"]
    assert lines[6].strip() == "━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 40 %"
    assert lines[7].split()[:4] == ["✓", "Completed", "lake", "orders"]
    assert len(lines) == 8


def test_colours_come_on_a_terminal_and_go_with_no_color_and_a_dumb_one(filled: PymilvusServer, jobs: Jobs) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7][;m]")
    for env, wanted in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with jobs(**env) as terminal:
            assert terminal.code() == 0
        assert bool(coloured.search(terminal.written)) is wanted
        assert "✗ Failed" in terminal.text
    assert "\x1b" not in terminal.written


def test_the_window_is_drawn_over_until_ctrl_c(filled: PymilvusServer, jobs: Jobs) -> None:
    """What moves is seen, and the terminal is left as it was found, quietly and with 0."""
    with jobs("--watch", "--poll.interval", "1s") as terminal:
        assert "40 %" in terminal.shows("Ctrl-C ends.")
        filled.set_jobs(job(2, "clicks", IN_PROGRESS, database="lake", progress=95))
        assert "from 90 % on it waits for indexes" in terminal.shows("95 %")
        terminal.press(control="c")
        assert terminal.code() == 0
    assert terminal.written.count(ALTERNATE) == terminal.written.count(BACK) == 1
    after = terminal.written.rpartition(BACK)[2]
    assert after.strip("\r\n") == ""
    assert "Traceback" not in terminal.written
    assert "\x1b[?25h" in terminal.written, "the cursor is shown again"


def test_sigterm_leaves_the_terminal_in_order_too(filled: PymilvusServer, jobs: Jobs) -> None:
    with jobs("--watch") as terminal:
        terminal.shows("Ctrl-C ends.")
        terminal.end(signal.SIGTERM)
        assert terminal.code() == 0
    assert terminal.written.count(BACK) == 1


def test_an_outage_is_a_banner_over_what_was_known(filled: PymilvusServer, jobs: Jobs) -> None:
    """The kind in plain words; asking goes on, and the banner leaves with the outage."""
    with jobs("--watch", "--poll.interval", "1s") as terminal:
        terminal.shows("✗ Failed")
        filled.set(faults={LIST_JOBS: {"status": {"code": 1400, "reason": "auth check failure"}}})
        screen = terminal.shows("Milvus rejects the credentials.")
        assert "(unauthenticated)" in screen
        assert "✗ Failed     crm" in screen
        filled.set(faults={})
        until(lambda: "rejects" not in terminal.text, "the banner is gone")
        filled.kill()
        assert "✗ Failed     crm" in terminal.shows("Milvus cannot be reached.")
        filled.start()
        until(lambda: "cannot be reached" not in terminal.text, "the banner is gone", seconds=30)
        terminal.press(control="c")
        assert terminal.code() == 0


def test_another_size_of_the_window_is_followed(filled: PymilvusServer, jobs: Jobs) -> None:
    with jobs("--watch", "--poll.interval", "1s") as terminal:
        terminal.shows("SOURCE")
        terminal.resize(70, 12)
        until(lambda: "SOURCE" not in terminal.text, "the narrow table")
        assert "✗ Failed     crm" in terminal.shows("Ctrl-C ends.")
        terminal.resize(70, 6)
        terminal.shows("more lines below. Asked every 1s. Ctrl-C ends.")


def test_a_dumb_terminal_gets_one_table_after_the_other(filled: PymilvusServer, jobs: Jobs) -> None:
    with jobs("--watch", "--poll.interval", "1s", TERM="dumb") as terminal:
        until(lambda: terminal.text.count("3 jobs in 3 collections") >= 2, "a second table")
        terminal.press(control="c")
        assert terminal.code() == 0
    assert "\x1b" not in terminal.written


def test_nothing_listening_ends_a_watch_at_once(jobs: Jobs) -> None:
    with Terminal("jobs", "--watch", "--milvus.uri", f"http://127.0.0.1:{free_port()}") as terminal:
        assert terminal.code() == 1
        assert "Milvus cannot be reached." in terminal.text
    assert ALTERNATE not in terminal.written


@pytest.mark.parametrize("form", ["table", "plain", "json"])
def test_hostile_names_and_reasons_are_texts(form: str, milvus: PymilvusServer, jobs: Jobs) -> None:
    """A terminal obeys what is written to it: nothing of theirs is."""
    milvus.set(databases=databases(**{HOSTILE: [HOSTILE]}))
    milvus.set_jobs(
        job(1, HOSTILE, FAILED, database=HOSTILE, reason=f"why {HOSTILE}", external_source=f"s3://{HOSTILE}")
    )
    with jobs("--output", form, columns=300) as terminal:
        assert terminal.code() == 0
    bare = re.sub(r"\x1b\[[0-9;]*m", "", terminal.written)
    assert not set(bare) & set("\x1b\x07\u202e")
    assert "owned" in bare
    assert "[bold]:skull:" in bare
    if form != "json":
        assert "\\x1b]0;owned\\x07\\x1b[31m\\u202e" in bare


def test_a_pipe_gets_lines_with_tabs_and_no_colours(filled: PymilvusServer) -> None:
    lines = piped(filled, FORCE_COLOR="1")
    assert lines[0].startswith("# 3 jobs in 3 collections as of ")
    rows = [line.split("\t") for line in lines if not line.startswith("# ")]
    assert [row[:3] for row in rows[1:]] == [
        ["RefreshFailed", "crm", "customers"],
        ["RefreshInProgress", "lake", "clicks"],
        ["RefreshCompleted", "lake", "orders"],
    ]
    assert {len(row) for row in rows} == {10}
    assert "\x1b" not in "".join(lines)


def test_a_table_can_be_had_in_a_pipe_and_lines_on_a_terminal(filled: PymilvusServer, jobs: Jobs) -> None:
    assert any(line.startswith("✗ Failed     crm") for line in piped(filled, "--output", "table", LC_ALL="C.UTF-8"))
    assert any(
        line.startswith("x Failed     crm") for line in piped(filled, "--output", "table", PYTHONIOENCODING="ascii")
    )
    with jobs("--output", "plain") as terminal:
        assert terminal.code() == 0
    assert "RefreshFailed\tcrm\tcustomers\t" in terminal.written


def test_json_is_one_document_and_with_watch_one_a_line(filled: PymilvusServer, jobs: Jobs) -> None:
    document = json.loads("\n".join(piped(filled, "--output", "json", "--failed")))
    assert [each["collection"] for each in document["data"]] == ["customers"]
    assert document["freshness"][0]["up"] is True
    with jobs("--output", "json", "--watch", "--poll.interval", "1s", columns=4000) as terminal:
        until(lambda: terminal.text.count('{"data"') >= 2, "a second document")
        terminal.press(control="c")
        assert terminal.code() == 0
    first, second = terminal.written.splitlines()[:2]
    assert json.loads(first)["page"] == json.loads(second)["page"]


def test_filters_limit_and_their_emptiness(filled: PymilvusServer) -> None:
    def names(*arguments: str) -> list[str]:
        return [line.split("\t")[2] for line in piped(filled, *arguments) if not line.startswith("# ")][1:]

    assert names("--database", "lake") == ["clicks", "orders"]
    assert names("--collection", "c*") == ["customers", "clicks"]
    assert names("--limit", "1") == ["customers"]
    lines = piped(filled, "--database", "lake", "--failed")
    assert "# No failed jobs." in lines


def test_milvus_is_asked_once_for_one_look(filled: PymilvusServer) -> None:
    piped(filled)
    assert len(filled.list_all_calls()) == 1


def test_a_reader_that_leaves_early_hears_no_complaint(filled: PymilvusServer) -> None:
    """``jobs | head -1``."""
    now = int(time.time() * 1000) - 3_600_000
    filled.set_jobs(
        {**job(0, "orders", database="lake", start_time=now, end_time=now + 5), "repeat": 20_000, "step_ms": 1}
    )
    line = f"{shlex.join(command_line())} jobs --milvus.uri {filled.uri} | head -1"
    shell = pexpect.spawn("/bin/sh", ["-c", line], env=environment(), encoding="utf-8", timeout=30)
    out = shell.read()
    shell.close()
    assert out.count("\n") == 1
    assert out.startswith("# 20,000 jobs in 1 collection as of ")


def test_the_demo_is_shown_with_trouble_in_it() -> None:
    """What a newcomer sees first: the demonstration's Milvus, looked at from beside its daemon."""
    port = free_port()
    with Exporter("", "--demo.milvus-listen", f"127.0.0.1:{port}", command="demo") as demo:
        demo.until(lambda now: now.total("jobs") > 0, "jobs")
        with Terminal("jobs", "--milvus.uri", f"http://127.0.0.1:{port}", lines=60) as terminal:
            assert terminal.code() == 0
            screen = terminal.written
    assert re.search(r"Last refresh failed in \d+ collections?: ", screen)
    assert re.search(r"50 of 1,\d\d\d jobs; --all shows the others too", screen)
