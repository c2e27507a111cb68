"""The types of single settings: text as somebody wrote it in, a checked value out.

Every source (flag, environment, file) delivers text, lists of text, or nothing. A parser raises ValueError with what
is wrong and what would be right, never with the value itself: whether a value may be shown is not its business.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, InstanceOf, SecretStr

from exporter.config.pattern import Pattern, parse_pattern
from exporter.config.units import parse_bytes, parse_duration
from exporter.config.uri import MilvusAddress, parse_socket_path, parse_uri, split_host_port
from exporter.errors import may_pass

_LARGEST_GRPC_MESSAGE = (1 << 31) - 1  # gRPC keeps the limit in a C int
_SMALLEST_LIMIT = 1024
_LARGEST_COUNT = 1_000_000
_RESERVED = ("/", "/-", "/api", "/config", "/probe", "/sd")


@dataclass(frozen=True, slots=True)
class Unusable:
    """Stands where the source has something that can be no setting's value."""

    why: str
    text: str = ""
    """As written, where it may be shown."""


class NotThereYet(ValueError):
    """A file that may be there when somebody looks again."""


def _text(value: object) -> str:
    if isinstance(value, Unusable):
        raise ValueError(value.why)  # noqa: TRY004 - pydantic takes no TypeError
    if value is None:
        raise ValueError("needs a value; remove it to have the default")
    if not isinstance(value, str):
        raise ValueError("is not a single value")  # noqa: TRY004 - pydantic takes no TypeError
    if not value:
        raise ValueError("is empty; remove it to have the default")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return value


def _or_none(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else parse(value)


def _duration(value: object) -> float:
    return parse_duration(_text(value))


def _age(value: object) -> float | None:
    if value is None or value == "none":
        return None
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or none" if isinstance(value, str) else str(error)) from None


def one_line(secret: str) -> str:
    """Return a secret without the line ends after it, which files, pipes and variables bring along.

    Raises ValueError for one that holds a line end in its midst, which no client could have meant.
    """
    text = secret.rstrip("\r\n")
    if set("\r\n") & set(text):
        raise ValueError("holds a line end; write the secret on one line")
    return text


def _secret(value: object) -> SecretStr:
    return value if isinstance(value, SecretStr) else SecretStr(_text(one_line(_text(value))))


def _size(value: object) -> int:
    size = parse_bytes(str(value) if type(value) is int else _text(value))
    if not _SMALLEST_LIMIT <= size <= _LARGEST_GRPC_MESSAGE:
        raise ValueError(f"must be from 1KiB to {_LARGEST_GRPC_MESSAGE} bytes, gRPC's largest message")
    return size


def _count(value: object) -> int:
    text = str(value) if type(value) is int else _text(value)
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= _LARGEST_COUNT:
        raise ValueError(f"is not a whole number from 1 to {_LARGEST_COUNT}")
    return int(text)


def _ordinal(value: object) -> int:
    text = str(value) if type(value) is int else _text(value)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError("is not a whole number from 0 on")
    return int(text)


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = _text(value)
    if text not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text == "true"


def _pattern(value: object) -> Pattern:
    return value if isinstance(value, Pattern) else parse_pattern(_text(value))


def _state_file(value: object) -> Path:
    path = Path(_text(value))
    if not path.parent.is_dir():
        raise NotThereYet("is in a folder that does not exist; make the folder first")
    if path.is_dir():
        raise ValueError("is a folder; name a file in it")
    return path


def _readable_file(value: object) -> Path:
    text = _text(value)
    if "\0" in text:
        raise ValueError("is not a file name")
    path = Path(text)
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            path.open("rb").close()
    except OSError as error:
        raise (NotThereYet if may_pass(error) else ValueError)(f"cannot be read: {error.strerror}") from None
    if not regular:
        # A pipe can be read once, and these are read again when they change.
        raise ValueError("is not a regular file")
    return path


def _telemetry_path(value: object) -> str:
    path = _text(value)
    segments = path.split("/")[1:]
    if not re.fullmatch("(/[A-Za-z0-9._~-]+)+", path) or {".", ".."} & set(segments):
        raise ValueError("is not a path; write it like /metrics: no final /, and of letters, digits and . _ ~ - only")
    if path in _RESERVED or f"/{segments[0]}" in _RESERVED:
        raise ValueError("is taken by another page; write for example /metrics")
    return path


def _web_address(value: object) -> str:
    address = _text(value)
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", address):
        raise ValueError("is not the address of a folder; write it like https://wiki.example.com/runbooks")
    return address


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = _text(value)
        if text not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return text

    return check


def a_list(value: object) -> object:
    """Refuse what is not a list, in words."""
    if isinstance(value, Unusable):
        raise ValueError(value.why)  # noqa: TRY004 - pydantic takes no TypeError
    if not isinstance(value, list | tuple):
        raise ValueError("is not a list; write [...]")  # noqa: TRY004 - pydantic takes no TypeError
    return value


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to serve: ``host`` (empty: every interface) and ``port`` (0: any free one), or a Unix socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        """Return the address as a user writes it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listen_address(value: object) -> ListenAddress:
    if isinstance(value, ListenAddress):
        return value
    text = _text(value)
    if text.startswith("unix:"):
        return ListenAddress("", 0, parse_socket_path(text.removeprefix("unix:")))
    host, port = split_host_port(text, host_optional=True)
    if port is None:
        raise ValueError("has no port; write for example :19540, 127.0.0.1:19540, [::1]:19540 or unix:/path")
    return ListenAddress(host, port)


def _uri(value: object) -> MilvusAddress:
    return value if isinstance(value, MilvusAddress) else parse_uri(_text(_text(value).rstrip("\r\n")))


Duration = Annotated[float, BeforeValidator(_duration)]
Age = Annotated[float | None, BeforeValidator(_age)]
Secret = Annotated[SecretStr | None, BeforeValidator(_or_none(_secret))]
ReadableFile = Annotated[Path | None, BeforeValidator(_or_none(_readable_file))]
ConfigFile = Annotated[Path | None, BeforeValidator(_or_none(lambda value: Path(_text(value))))]
StateFile = Annotated[Path | None, BeforeValidator(_or_none(_state_file))]
OptionalText = Annotated[str | None, BeforeValidator(_or_none(_text))]
Size = Annotated[int, BeforeValidator(_size)]
Count = Annotated[int, BeforeValidator(_count)]
Ordinal = Annotated[int | None, BeforeValidator(_or_none(_ordinal))]
Switch = Annotated[bool, BeforeValidator(_switch)]
OptionalPattern = Annotated[InstanceOf[Pattern] | None, BeforeValidator(_or_none(_pattern))]
Patterns = Annotated[tuple[Annotated[InstanceOf[Pattern], BeforeValidator(_pattern)], ...], BeforeValidator(a_list)]
TelemetryPath = Annotated[str, BeforeValidator(_telemetry_path)]
WebAddress = Annotated[str | None, BeforeValidator(_or_none(_web_address))]
Listen = Annotated[InstanceOf[ListenAddress], BeforeValidator(_listen_address)]
Listens = Annotated[tuple[Listen, ...], BeforeValidator(a_list)]
Uri = Annotated[InstanceOf[MilvusAddress], BeforeValidator(_uri)]
SourceLabel = Annotated[Literal["path", "bucket", "none"], BeforeValidator(_one_of("path", "bucket", "none"))]
ReasonLabel = Annotated[Literal["safe", "none"], BeforeValidator(_one_of("safe", "none"))]
UnseenCollections = Annotated[Literal["dropped", "hidden"], BeforeValidator(_one_of("dropped", "hidden"))]
_LEVELS = ("debug", "info", "warning", "error")
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_one_of(*_LEVELS))]
LogFormat = Annotated[Literal["text", "json"], BeforeValidator(_one_of("text", "json"))]
