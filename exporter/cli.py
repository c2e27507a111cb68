"""The command line: which command, with which settings, and how it ends."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import sys
from collections.abc import Coroutine, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from exporter import __version__, config, log
from exporter.errors import UsageError

if TYPE_CHECKING:
    from exporter.config import Settings

PROGRAM = "milvus-refresh-exporter"
COMMANDS = ("run", "demo", "once", "check", "version")


class Exit(IntEnum):
    """How the command ends."""

    GOOD = 0
    BAD = 1
    """The poll failed, or ``check`` has found something that keeps the daemon from working."""
    USAGE = 2
    """The command line or the configuration is at fault."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    try:
        _require_command(given)
        namespace, unknown = parser.parse_known_args(given)
        if namespace.command == "version":
            print(f"{PROGRAM} {__version__} (Python {platform.python_version()})")
            return Exit.GOOD
        settings = config.load(namespace, unknown, os.environ)
        log.configure(settings.log.level, settings.log.format)
        code: int = namespace.run(settings, namespace)
    except UsageError as error:
        for fault in error.faults:
            print(f"{PROGRAM}: {fault}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.GOOD
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BAD
    return code


def _require_command(arguments: Sequence[str]) -> None:
    """Refuse a missing or unknown command. argparse would print it, and it may be the value of a misplaced flag."""
    if not arguments or arguments[0] not in (*COMMANDS, "-h", "--help"):
        raise UsageError((f"the first argument is no command; write one of {', '.join(COMMANDS)}, and flags after it",))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Prometheus exporter for the refresh jobs of Milvus external collections."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, run, text in (
        ("run", _run, "the daemon"),
        ("demo", _demo, "the daemon on a simulated Milvus; nothing else is needed"),
        ("once", _once, "poll once and print the exposition"),
        ("check", _check, "try each step on the way to Milvus and say what is wrong"),
    ):
        usage = f"{PROGRAM} {name} [flags]"
        command = commands.add_parser(name, usage=usage, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run)
        if name == "demo":
            _add_demo_flags(command)
        config.add_flags(command)
    commands.add_parser("version", help="print the version")
    return parser


def _add_demo_flags(parser: argparse.ArgumentParser) -> None:
    demo = parser.add_argument_group("demo", "The simulated Milvus.")
    demo.add_argument("--demo.milvus-listen", dest="demo_listen", default="127.0.0.1:0", metavar="HOST:PORT",
                      help="Where it listens. Default: a free port of the loopback interface.")  # fmt: skip
    demo.add_argument("--demo.speed", dest="demo_speed", default="1", metavar="FACTOR",
                      help="Divides durations and schedules of its jobs, and its outages. Default: 1.")  # fmt: skip
    demo.add_argument("--demo.seed", dest="demo_seed", default="1", metavar="NUMBER",
                      help="The same number makes the same world. Default: 1.")  # fmt: skip
    demo.add_argument("--demo.outage", dest="demo_outage", action="store_true",
                      help="Take it down from time to time: for minutes, at speed 1.")  # fmt: skip


def _run(settings: Settings, _: argparse.Namespace) -> int:
    from exporter import app  # noqa: PLC0415  # faults of the configuration need none of it

    return _serve(app.serve(settings))


def _demo(settings: Settings, namespace: argparse.Namespace) -> int:
    from exporter import app  # noqa: PLC0415

    speed, seed = _demo_numbers(namespace)
    demo = app.Demo(listen=namespace.demo_listen, speed=speed, seed=seed, outages=namespace.demo_outage)
    return _serve(app.serve_demo(settings, demo, lambda text: print(text, flush=True)))


def _demo_numbers(namespace: argparse.Namespace) -> tuple[float, int]:
    faults = []
    speed, seed = 0.0, 0
    with contextlib.suppress(ValueError):
        speed = float(namespace.demo_speed)
    if not 0.01 <= speed <= 10_000:  # noqa: PLR2004
        faults.append(f"--demo.speed: {namespace.demo_speed!r} is no factor; write a number from 0.01 to 10000")
    try:
        seed = int(namespace.demo_seed)
    except ValueError:
        faults.append(f"--demo.seed: {namespace.demo_seed!r} is no whole number")
    if faults:
        raise UsageError(tuple(faults))
    return speed, seed


def _once(settings: Settings, _: argparse.Namespace) -> int:
    from exporter.target import once  # noqa: PLC0415

    body, good = asyncio.run(once(settings))
    for chunk in body.chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
    return Exit.GOOD if good else Exit.BAD


def _check(settings: Settings, _: argparse.Namespace) -> int:
    from exporter.check import check  # noqa: PLC0415

    good = asyncio.run(check(settings, lambda step: print(step, flush=True)))
    return Exit.GOOD if good else Exit.BAD


def _serve(life: Coroutine[Any, Any, None]) -> int:
    from exporter.web import new_event_loop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(life)
    return Exit.GOOD


if __name__ == "__main__":
    sys.exit(main())
