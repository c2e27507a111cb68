"""The first moments of the process."""

from __future__ import annotations

import subprocess
import sys

from peers.parts import ROOT

STAND_IN = """
import gc, os, signal, sys, types
command_line = types.ModuleType("exporter.cli")
command_line.main = lambda: {body}
sys.modules["exporter.cli"] = command_line
from exporter.start import main
sys.exit(main())
"""


def started(body: str) -> subprocess.CompletedProcess[str]:
    """Run the start with something else in the place of the command line."""
    code = STAND_IN.format(body=body)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
    )


def test_a_stop_before_anything_has_begun_ends_the_process_of_its_own_accord() -> None:
    """As process 1 of a container it would otherwise be ignored: there is no default action there."""
    assert started("os.kill(os.getpid(), signal.SIGTERM)").returncode == 143


def test_the_exit_code_of_the_command_line_is_handed_on() -> None:
    assert started("7").returncode == 7


def test_garbage_is_not_looked_for_while_modules_are_imported() -> None:
    assert started("print(gc.isenabled()) or 0").stdout == "False\n"
