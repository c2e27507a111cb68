"""How the command ends, and what it says when the user is at fault."""

from __future__ import annotations

import pytest

from exporter import __version__
from exporter.cli import Exit, build_parser, main


def test_version_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reports a fault can say what ran."""
    assert main(["version"]) == Exit.GOOD
    assert capsys.readouterr().out.startswith(f"milvus-refresh-exporter {__version__} (Python 3.")


@pytest.mark.parametrize(
    "arguments",
    [[], ["poll"], ["--milvus.token", "hunter2", "run"]],
    ids=["no command", "unknown command", "flag before the command"],
)
def test_a_command_nobody_knows_is_a_usage_fault(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and what would be right; never what was typed, which may be a misplaced secret."""
    assert main(arguments) == Exit.USAGE
    assert capsys.readouterr().err == (
        "milvus-refresh-exporter: the first argument is no command; "
        "write one of run, demo, once, check, jobs, health, completion, version, and flags after it\n"
    )


def test_a_flag_without_its_value_is_a_usage_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """The flag is named."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "--poll.interval"])
    assert ended.value.code == Exit.USAGE
    assert "argument --poll.interval: expected one argument" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "demo", "once", "check", "jobs"])
def test_all_faults_are_named_at_once_and_nothing_starts(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to correct one fault to learn of the next."""
    code = main([command, "--poll.interval", "soon", "--milvus.uri", "ftp://lake", "--no.such-flag", "1"])
    lines = capsys.readouterr().err.splitlines()
    assert code == Exit.USAGE
    assert len(lines) == 3
    assert all(line.startswith("milvus-refresh-exporter: --") for line in lines)


def test_the_demo_judges_its_own_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """A factor and a number that are none are named, both of them."""
    assert main(["demo", "--demo.speed", "fast", "--demo.seed", "x"]) == Exit.USAGE
    assert capsys.readouterr().err.splitlines() == [
        "milvus-refresh-exporter: --demo.speed: 'fast' is no factor; write a number from 0.01 to 10000",
        "milvus-refresh-exporter: --demo.seed: 'x' is no whole number",
    ]


@pytest.mark.parametrize("speed", ["nan", "inf", "0", "-1"])
def test_a_speed_that_would_stop_time_is_refused(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not every float is a factor."""
    assert main(["demo", "--demo.speed", speed]) == Exit.USAGE
    assert "is no factor" in capsys.readouterr().err


def test_once_on_a_milvus_that_is_not_there_still_prints_the_account(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """The exposition says up 0, the error goes to standard error, and the exit code is 1."""
    code = main(["once", "--milvus.uri", "http://127.0.0.1:1", "--poll.interval", "1s"])
    captured = capsysbinary.readouterr()
    assert code == Exit.BAD
    assert b"milvus_external_refresh_up 0.0\n" in captured.out
    assert b'milvus_external_refresh_poll_errors_total{kind="unreachable"} 1.0\n' in captured.out
    assert b"process_" not in captured.out
    assert b"python_gc" not in captured.out
    assert b"Milvus cannot be reached" in captured.err
    assert b"Traceback" not in captured.err


def test_help_shows_every_section() -> None:
    """The flags are grouped as in the reference."""
    commands = build_parser()._subparsers
    assert commands is not None
    run = commands._group_actions[0].choices["run"]  # type: ignore[index]
    text = run.format_help()
    assert all(flag in text for flag in ("--milvus.uri", "--poll.stale-after", "--web.listen-address", "--log.level"))
