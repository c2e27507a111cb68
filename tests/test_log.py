"""The log: one line per record whatever is in it, and no text in it that an exception brought along."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
import re
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter import log
from exporter.errors import ServerFault, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cr3t-canary"
STAMP = 1_767_225_600.0625  # 2026-01-01T00:00:00.062Z


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    before, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.raiseExceptions = raising


def logged(
    message: str,
    *arguments: object,
    level: str = "info",
    fmt: Literal["text", "json"] = "text",
    error: BaseException | None = None,
    **fields: object,
) -> str:
    """Return what one error record of the poll's logger becomes."""
    stream = io.StringIO()
    log.configure(level, fmt, stream)
    made = logging.getLogger("exporter.poll").makeRecord(
        "exporter.poll",
        logging.ERROR,
        "poll.py",
        1,
        message,
        arguments,
        None if error is None else (type(error), error, error.__traceback__),
        extra=fields,
    )
    made.created = STAMP
    logging.getLogger("exporter.poll").handle(made)
    return stream.getvalue()


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Return the error with a traceback of this place."""
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_text_line_has_time_level_logger_message_and_fields() -> None:
    line = logged("poll of %s", "all", kind="unreachable", jobs=3, note='a "b"', nothing="", same="a=b")
    assert line == (
        "2026-01-01T00:00:00.062Z ERROR poll: poll of all "
        'kind=unreachable jobs=3 note="a \\"b\\"" nothing="" same="a=b"\n'
    )


def test_a_json_line_is_one_object() -> None:
    line = logged(
        "poll", fmt="json", kind="tls", jobs=3, ratio=0.5, none=None, odd=float("nan"), path=["a"], level_="x"
    )
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.062Z",
        "level": "error",
        "logger": "poll",
        "message": "poll",
        "kind": "tls",
        "jobs": 3,
        "ratio": 0.5,
        "none": None,
        "odd": "nan",
        "path": "['a']",
        "level_": "x",
    }


def test_a_field_cannot_take_the_place_of_a_part_of_the_line() -> None:
    line = json.loads(logged("poll", fmt="json", time="never", logger="other"))
    assert (line["time"], line["time_"], line["logger_"]) == ("2026-01-01T00:00:00.062Z", "never", "other")


@given(message=st.text(), value=st.text(), fmt=st.sampled_from(["text", "json"]))
def test_nothing_in_a_record_can_begin_a_line_or_move_the_cursor(
    message: str, value: str, fmt: Literal["text", "json"]
) -> None:
    line = logged("%s", message, fmt=fmt, value=value)
    assert line.endswith("\n")
    assert line[:-1].isprintable()


FIELD = re.compile(r' (?P<key>[a-z]+)=(?P<value>"(?:[^"\\]|\\.)*"|[^" =\\]+)')


def fields_of(line: str) -> dict[str, str]:
    """Return the fields as somebody reads them who knows quotes and backslashes."""
    rest, found = line.rstrip("\n").partition("poll: poll")[2], {}
    while rest:
        field = FIELD.match(rest)
        assert field, rest
        value = field["value"]
        found[field["key"]] = ast.literal_eval(value) if value.startswith('"') else value
        rest = rest[field.end() :]
    return found


@given(st.text(), st.text())
@example('\\" kind="tls', "")
@example("\\", " forged=1")
@example("a\\nb", "a\nb")
def test_a_text_cannot_forge_a_field(reason: str, other: str) -> None:
    assert fields_of(logged("poll", reason=reason, other=other)) == {"reason": reason, "other": other}


def test_json_keeps_every_character() -> None:
    text = 'ä\n\x1b\u2028\u202e"\\'
    assert json.loads(logged("%s", text, fmt="json"))["message"] == text


def test_a_message_that_does_not_fit_its_arguments_is_logged_all_the_same() -> None:
    assert logged("%d %d", "x").endswith("poll: %d %d\n")


@pytest.mark.parametrize("fmt", ["text", "json"])
@pytest.mark.parametrize("level", ["debug", "info", "error"])
@pytest.mark.parametrize("cause", [None, KeyError(SECRET)])
def test_the_text_of_a_foreign_exception_is_never_logged(
    fmt: Literal["text", "json"], level: str, cause: Exception | None
) -> None:
    error = raised(ValueError(SECRET), cause)
    line = logged("it failed", fmt=fmt, level=level, error=error, other=error)
    assert SECRET not in line
    assert "ValueError at tests/test_log.py:" in line


def test_a_traceback_is_shown_at_debug_alone() -> None:
    error = raised(ValueError("x"), raised(KeyError("y")))
    above, below = logged("it failed", error=error), logged("it failed", level="debug", error=error)
    assert above.count("\n") == 1
    first, *rest = below.splitlines()
    assert first == above.rstrip("\n")
    assert len(rest) == 4
    assert all(line.startswith("    ") for line in rest)
    assert [line.split()[0] for line in rest] == [
        "tests/test_log.py:" + rest[0].split(":")[1].split()[0],
        "KeyError",
        "tests/test_log.py:" + rest[2].split(":")[1].split()[0],
        "ValueError",
    ]
    assert len(json.loads(logged("it failed", fmt="json", level="debug", error=error))["traceback"]) == 4


def test_a_chain_of_exceptions_that_bites_its_tail_ends() -> None:
    first, second = ValueError("x"), KeyError("y")
    first.__cause__, second.__cause__ = second, first
    assert logged("it failed", level="debug", error=first).count("\n") == 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServerFault(SECRET, code=5), 'error="ServerFault: Milvus answered with an error. (code 5)"'),
        (UsageError(("a: b", "c")), 'error="UsageError: a: b\\nc"'),
        (FileNotFoundError(2, "No such file", SECRET), 'error="FileNotFoundError: No such file"'),
        (RuntimeError(SECRET), "error=RuntimeError"),
    ],
)
def test_an_exception_is_one_line_with_its_type_and_what_is_safe_of_it(error: Exception, said: str) -> None:
    assert logged("it failed", error=error).endswith(f"poll: it failed {said}\n")


def test_a_second_call_changes_level_and_format_and_doubles_nothing() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure("info", "text", first)
    log.configure("debug", "json", second)
    logging.getLogger("exporter.x").debug("seen once")
    assert first.getvalue() == ""
    assert second.getvalue().count("seen once") == 1


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    log.configure("warning", "text", stream)
    logging.getLogger("exporter.x").info("not seen")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["apscheduler.scheduler", "grpc", "asyncio", "apscheduler.executors.default"])
def test_what_others_say_of_every_tick_is_not_logged_even_at_debug(name: str) -> None:
    stream = io.StringIO()
    log.configure("debug", "text", stream)
    logging.getLogger(name).info("a tick")
    logging.getLogger(name).warning("trouble")
    assert "a tick" not in stream.getvalue()
    assert "trouble" in stream.getvalue()


def test_a_standard_error_that_is_closed_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    log.configure("info", "text", stream)
    stream.close()
    logging.getLogger("exporter.x").error("into the void")
    assert capsys.readouterr().err == ""


def test_the_log_goes_to_standard_error_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "text")
    logging.getLogger("exporter.x").info("hello")
    assert capsys.readouterr().err.endswith("INFO x: hello\n")


def test_a_record_made_about_a_target_names_it_also_from_a_thread() -> None:
    """What polls a Milvus knows nothing of others; who reads the lines of five hundred must know which one it is."""

    async def poll() -> str:
        with log.about("lake"):
            return await asyncio.to_thread(logged, "poll succeeded", collection="orders")

    assert asyncio.run(poll()).endswith("poll: poll succeeded target=lake collection=orders\n")
    with log.about("lake"):
        assert json.loads(logged("x", fmt="json"))["target"] == "lake"
    assert "target" not in logged("poll succeeded")


def test_the_only_milvus_has_no_name_to_tell() -> None:
    with log.about(""):
        assert "target" not in logged("poll succeeded")


def test_two_targets_at_once_are_not_mixed_up() -> None:
    async def poll(name: str, turn: asyncio.Event, other: asyncio.Event) -> str:
        with log.about(name):
            other.set()
            await turn.wait()
            return logged("poll succeeded")

    async def both() -> list[str]:
        one, other = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(poll("lake", one, other), poll("sea", other, one))

    lake, sea = asyncio.run(both())
    assert "target=lake" in lake
    assert "target=sea" in sea
