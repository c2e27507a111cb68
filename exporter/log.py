"""The log: one line per record on standard error, as text or JSON, and nothing in it that could be taken for a line.

An exception is named by its type and a message that is known to be safe. Foreign exceptions carry whatever they were
given (a response, a URI, a setting), so of those only the place is told; a traceback, at level debug, shows places
alone for the same reason.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from exporter.errors import ExporterError, MilvusError

_HANDLER = "exporter"
_PACKAGE = "exporter."
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Their info lines tell of every tick or connection.
_NOISY = ("apscheduler", "asyncio", "grpc")

_target: ContextVar[str] = ContextVar("target", default="")


@contextmanager
def about(target: str) -> Iterator[None]:
    """Name the target in each record that is made in here, also by the tasks and threads that are begun in here.

    What polls a Milvus knows nothing of others. Nothing is added for the one without a name.
    """
    token = _target.set(target)
    try:
        yield
    finally:
        _target.reset(token)


def configure(level: str, fmt: Literal["text", "json"], stream: TextIO | None = None) -> None:
    """Send the log to ``stream`` (standard error where it is None). May be called again, to change the level.

    ``level`` is debug, info, warning or error. Fields come from the ``extra`` of a logging call.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.name = _HANDLER
    handler.setFormatter(_Text() if fmt == "text" else _Json())
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.name == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a closed standard error is no reason for a traceback


class _Text(logging.Formatter):
    """``2026-01-01T00:00:00.000Z INFO poll: message key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {_escaped(key)}={_field(value)}" for key, value in _fields(record).items())
        head = f"{_time(record)} {record.levelname} {_name(record)}: {_escaped(_message(record))}{fields}"
        return "\n    ".join([head, *map(_escaped, _places(record))])


class _Json(logging.Formatter):
    """One object per line: time, level, logger, message and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": _name(record),
            "message": _message(record),
        }
        for key, value in _fields(record).items():
            line[f"{key}_" if key in line else key] = _jsonable(value)
        if places := _places(record):
            line["traceback"] = places
        return json.dumps(line)


def safe_description(error: BaseException) -> str:
    """Return type and message of an exception, without any text that is not ours.

    Our own errors are written to be read, but for what Milvus said in them; of the operating system's the reason is
    kept; of all others the place where they were raised.
    """
    name = type(error).__name__
    if isinstance(error, MilvusError):
        return f"{name}: {error.sentence}" + (f" (code {error.code})" if error.code else "")
    if isinstance(error, ExporterError):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} at {_place(frames[-1])}" if frames else name


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} in {frame.name}"


def _places(record: logging.LogRecord) -> list[str]:
    """Return the traceback, cause first, at level debug; nothing above it."""
    error = record.exc_info[1] if record.exc_info else None
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        return []
    lines: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        here = [_place(frame) for frame in traceback.extract_tb(error.__traceback__)]
        lines = [*here, safe_description(error), *lines]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = {"target": target} if (target := _target.get()) else {}
    fields |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = record.exc_info[1]
    return {key: safe_description(v) if isinstance(v, BaseException) else v for key, v in fields.items()}


def _name(record: logging.LogRecord) -> str:
    return record.name.removeprefix(_PACKAGE)


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _field(value: object) -> str:
    text = _escaped(str(value).replace("\\", "\\\\").replace('"', '\\"'))
    return text if text and not set(' "=\\') & set(text) else f'"{text}"'


def _jsonable(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
