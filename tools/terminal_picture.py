#!/usr/bin/env python3
"""Make docs/images/terminal.svg: what ``jobs`` writes to a terminal, on the running demonstration."""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pexpect
from rich.console import Console
from rich.text import Text

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.exporter import Exporter, command_line, environment  # noqa: E402
from peers.waiting import free_port  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE: Final = ROOT / "docs" / "images" / "terminal.svg"
COLUMNS: Final = 116
JOBS: Final = "20"
# rich names a font on somebody else's server; a picture in a repository has what the reader's machine has.
FONTS: Final = re.compile(r"@font-face \{.*?\}\n?", re.DOTALL)


def written(uri: str) -> str:
    """Return what the command writes to a terminal, escape sequences and all."""
    program, *given = command_line()
    terminal = pexpect.spawn(
        program,
        [*given, "jobs", "--milvus.uri", uri, "--limit", JOBS],
        env={**environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"},
        dimensions=(60, COLUMNS),
        encoding="utf-8",
        timeout=30,
    )
    text = str(terminal.read())
    terminal.close()
    if terminal.exitstatus:
        raise RuntimeError(text)
    return text.replace("\r\n", "\n")


def picture(text: str) -> str:
    """Return an SVG of a terminal's text."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text(f"$ milvus-refresh-exporter jobs --limit {JOBS}", style="bold"))
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
    return FONTS.sub("", console.export_svg(title="milvus-refresh-exporter jobs", unique_id="terminal"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the demonstration, look at it, end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=IMAGE, help="where to put it")
    to = parser.parse_args(arguments).to
    port = free_port()
    with Exporter("", "--demo.milvus-listen", f"127.0.0.1:{port}", command="demo") as demo:
        demo.until(lambda now: now.total("jobs", state="RefreshInProgress") > 0, "a running job", seconds=120)
        to.write_text(picture(written(f"http://127.0.0.1:{port}")), encoding="utf-8")
    print(to)
    return 0


if __name__ == "__main__":
    sys.exit(main())
