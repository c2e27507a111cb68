"""The command line: which command, with which settings, and how it ends."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from exporter import __version__, health
from exporter.errors import NotYetUsable, UsageError
from exporter.output import OutputFailed

if TYPE_CHECKING:
    from exporter.config import Settings

Reread = Callable[[], "Settings"]

PROGRAM = "milvus-refresh-exporter"
COMMANDS = ("run", "demo", "once", "check", "jobs", "health", "completion", "version")
PRINTING = ("once", "check", "jobs", "completion", "version")
"""Commands that are run for what they print."""


class Exit(IntEnum):
    """How the command ends. A supervisor should not restart after ``USAGE``: what is wrong stays so."""

    GOOD = 0
    BAD = 1
    """The poll failed, ``check`` has found something that keeps the daemon from working, the output cannot be written,
    or an address is in use or a file is not there, which may be otherwise at the next try."""
    USAGE = 2
    """The command line or the configuration is at fault."""
    INTERRUPTED = 130
    """By Ctrl-C, before there was an answer: as a shell has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if sys.stdout is None and _is_for_output(given):
            _complain("standard output is closed")
            return Exit.BAD
        try:
            return _command(given)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except UsageError as error:
        for fault in error.faults:
            _complain(fault)
        return Exit.BAD if isinstance(error, NotYetUsable) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except OutputFailed as failure:
        if not failure.reader_is_gone:
            _complain(str(failure))
        return Exit.BAD


def _command(given: list[str]) -> int:
    _require_command(given)
    if given == ["health"] and (address := health.address(os.environ)) is not None:
        return _say(health.health(address))  # without the settings, which take three times the memory
    from exporter import config, log  # noqa: PLC0415  # see above

    parser = build_parser(given[0])
    namespace, unknown = parser.parse_known_args(given)
    if namespace.command in ("version", "completion"):
        print(_version() if namespace.command == "version" else _completion(parser, namespace.shell))
        return Exit.GOOD
    reread = partial(config.load, namespace, unknown, os.environ)
    settings = reread()
    log.configure(settings.log.level, settings.log.format)
    if settings.file_is_empty and namespace.command != "health":
        text = "%s sets nothing: defaults, environment and flags are all there is"
        logging.getLogger("exporter").warning(text, settings.config.file)
    code: int = namespace.run(settings, namespace, reread)
    return code


def _is_for_output(given: Sequence[str]) -> bool:
    return bool(given) and (given[0] in PRINTING or not {"-h", "--help"}.isdisjoint(given))


def _complain(text: str) -> None:
    if sys.stderr is None:  # print would take standard output instead
        return
    try:
        print(f"{PROGRAM}: {text}", file=sys.stderr)
    except OSError:
        sys.stderr = None  # nobody can be told, and the flush at exit would change the exit code


def _require_command(arguments: Sequence[str]) -> None:
    """Refuse a missing or unknown command. argparse would print it, and it may be the value of a misplaced flag."""
    if not arguments or arguments[0] not in (*COMMANDS, "-h", "--help"):
        raise UsageError((f"the first argument is no command; write one of {', '.join(COMMANDS)}, and flags after it",))


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser of all commands. Settings are flags of this ``command`` alone, "completion" or "" for all."""
    from exporter import config  # noqa: PLC0415  # a bare `health` needs none of it

    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Prometheus exporter for the refresh jobs of Milvus external collections."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, run, text in (
        ("run", _run, "the daemon"),
        ("demo", _demo, "the daemon on a simulated Milvus; nothing else is needed"),
        ("once", _once, "poll once and print the exposition"),
        ("check", _check, "try each step on the way to Milvus and say what is wrong"),
        ("jobs", _jobs, "ask Milvus and show its refresh jobs, the latest first"),
        ("health", _health, "ask the daemon on this machine whether it is alive, for container health checks"),
    ):
        usage = f"{PROGRAM} {name} [flags]"
        parsed = commands.add_parser(name, usage=usage, help=text, description=text[0].upper() + text[1:] + ".")
        parsed.set_defaults(run=run)
        if name == "demo":
            _add_demo_flags(parsed)
        if name == "jobs":
            _add_jobs_flags(parsed)
        if name in ("once", "check", "jobs"):
            parsed.add_argument("--target", metavar="NAME", help="Of several Milvus, this one alone.")
        if command in (name, "completion", ""):
            config.add_flags(parsed)
    completion = commands.add_parser("completion", help="print a script with which a shell completes what is typed")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
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


def _add_jobs_flags(parser: argparse.ArgumentParser) -> None:
    jobs = parser.add_argument_group("jobs", "What to show, and how.")
    jobs.add_argument("--watch", dest="jobs_watch", action="store_true",
                      help="Go on until Ctrl-C, asking every poll.interval: 5s unless it is set.")  # fmt: skip
    jobs.add_argument("--output", dest="jobs_output", metavar="WORD",
                      help="table, plain (columns with tabs between them) or json. "
                           "Default: table on a terminal, plain elsewhere.")  # fmt: skip
    jobs.add_argument("--failed", dest="jobs_failed", action="store_true", help="Failed jobs only.")
    jobs.add_argument("--database", dest="jobs_database", metavar="PATTERN", action="append",
                      help="Only databases of this name; * and ? stand for anything. Repeatable.")  # fmt: skip
    jobs.add_argument("--collection", dest="jobs_collection", metavar="PATTERN", action="append",
                      help="Only collections of this name; * and ? stand for anything. Repeatable.")  # fmt: skip
    jobs.add_argument("--limit", dest="jobs_limit", metavar="COUNT",
                      help="Show so many at most. Default: 50 in a table, all elsewhere.")  # fmt: skip
    jobs.add_argument("--all", dest="jobs_all", action="store_true", help="Show all in a table too.")


def _run(settings: Settings, _: argparse.Namespace, reread: Reread) -> int:
    from exporter import app  # noqa: PLC0415  # faults of the configuration need none of it

    return _serve(app.serve(settings, reread=reread))


def _demo(settings: Settings, namespace: argparse.Namespace, reread: Reread) -> int:
    from exporter import app  # noqa: PLC0415

    speed, seed = _demo_numbers(namespace)
    demo = app.Demo(listen=namespace.demo_listen, speed=speed, seed=seed, outages=namespace.demo_outage)
    return _serve(app.serve_demo(settings, demo, lambda text: print(text, flush=True), reread))


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


def _once(settings: Settings, namespace: argparse.Namespace, _: Reread) -> int:
    import asyncio  # noqa: PLC0415

    from exporter.target import once  # noqa: PLC0415

    targets = _chosen(settings, namespace.target)
    if len(targets) > 1:
        raise UsageError(("--target: is missing; of several Milvus once polls the one that it names",))
    ((name, chosen),) = targets.items()
    body, good = asyncio.run(once(chosen, name))
    for chunk in body.chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
    return Exit.GOOD if good else Exit.BAD


def _check(settings: Settings, namespace: argparse.Namespace, _: Reread) -> int:
    import asyncio  # noqa: PLC0415

    from exporter.check_fleet import check_each  # noqa: PLC0415

    targets = _chosen(settings, namespace.target)
    good = asyncio.run(check_each(targets, lambda step: print(step, flush=True)))
    return Exit.GOOD if good else Exit.BAD


def _jobs(settings: Settings, namespace: argparse.Namespace, _: Reread) -> int:
    from exporter.terminal.command import jobs  # noqa: PLC0415

    targets = _chosen(settings, namespace.target)
    if len(targets) > 1:
        raise UsageError(("--target: is missing; of several Milvus jobs asks the one that it names",))
    ((name, chosen),) = targets.items()
    fault = jobs(name, chosen, namespace)
    if fault:
        _complain(fault)
    return Exit.BAD if fault else Exit.GOOD


def _completion(parser: argparse.ArgumentParser, shell: str) -> str:
    from exporter.terminal.completion import script  # noqa: PLC0415

    return script(parser, shell)


def _version() -> str:
    return f"{PROGRAM} {__version__} (Python {platform.python_version()})"


def _chosen(settings: Settings, name: str | None) -> Mapping[str, Settings]:
    """Return the targets that a command is about, whichever process owns them."""
    if name is None:
        return settings.by_target()
    if name not in settings.targets:
        raise UsageError(("--target: no target of this name is configured; /config and the file name them",))
    return {name: settings.targets[name]}


def _health(settings: Settings, _: argparse.Namespace, _reread: Reread) -> int:
    return _say(health.health(str(settings.web.listen_address[0])))


def _say(verdict: health.Verdict) -> int:
    print(verdict.text, file=sys.stdout if verdict.good else sys.stderr)
    return Exit.GOOD if verdict.good else Exit.BAD


def _serve(life: Coroutine[Any, Any, None]) -> int:
    import asyncio  # noqa: PLC0415

    from exporter.web import new_event_loop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(life)
    return Exit.GOOD


if __name__ == "__main__":
    sys.exit(main())
