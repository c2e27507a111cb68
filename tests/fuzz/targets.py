"""What is fuzzed: functions that take any bytes and raise only where the product has a fault.

Nothing here needs atheris, so that an input that once found a fault can be tried again by a plain test.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from builders import DAY, NOON, settings
from canaries import REASONS, SOURCES, WORDS, plant
from golden.grammar import check_grammar, samples

from exporter import errors
from exporter.config import Settings, add_flags, effective, load
from exporter.config.keys import KEYS
from exporter.config.units import format_bytes, format_duration, parse_bytes, parse_duration
from exporter.config.uri import parse_uri, shown_uri, split_host_port
from exporter.errors import UsageError
from exporter.ledger import Memory
from exporter.metrics import Format
from exporter.metrics.render import Renderer
from exporter.milvus.client import _records
from exporter.milvus.decode import ListingDecoder
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.reasons import classify, strip_wrappers
from exporter.milvus.translate import clean_reason
from exporter.model import FailureClass, Job
from exporter.poll.memory import PollMemory, Taken
from exporter.redaction import MAX_REASON_CHARS, MAX_SOURCE_BYTES, safe_reason, safe_source

VERSION = re.compile(r"(?<=[\w.-])@(?=\d[\d-]*(?![\w@:.]))")
"""What an "@" may stand before: a date or version in a path."""

WORDS_AROUND = (
    *(
        "reading",
        "bucket lake-prod:",
        "s3://lake/orders",
        "(403)",
        "failed,",
        "Access Denied.",
        "…",
        "é",
        "=",
        ":",
        "-",
    ),
    *("worker failure 1/2:", "FFI operation failed:", "loon FFI transient error", "timeout, last failure:", "***"),
    *("password", "token", "secret key", "Bearer", "{}", '{"a": 1}', "map[]", "'x'", '"x"', "<a>", "%20", "a@b"),
)
JOINTS = (" ", "; ", ", ", ": ", " | ", "\n", " and ", "\t")
LONGEST = 8192
SOON = 0.04
"""CPU seconds; twice what the worst known text takes."""
FORMATS = (Format.TEXT_0_0_4, Format.OPENMETRICS)


def text_of(data: bytes) -> str:
    """Return text that holds whatever Python text can hold, half surrogate pairs too."""
    return data.decode("utf-8", "surrogateescape")


# Texts


def redact(data: bytes) -> None:
    """Any source and reason becomes a bounded line that is left alone the second time."""
    raw = text_of(data)
    reason = safe_reason(raw)
    assert len(reason) <= MAX_REASON_CHARS
    assert reason.isprintable()
    assert "@" not in VERSION.sub("", reason)
    assert safe_reason(reason) == reason
    for style in ("path", "bucket"):
        source = safe_source(raw, style)
        assert len(source.encode()) <= MAX_SOURCE_BYTES
        assert source.isprintable()
        assert not set("@?#\\") & set(VERSION.sub("", source))
        assert safe_source(source, style) == source


def canaries(data: bytes) -> None:
    """No planted secret can be read, whatever other ugly texts and words stand around it."""
    word = WORDS[data[0] % len(WORDS)].format(17) if data else "canary"
    shown, secrets = composed(data[1:24], word)
    found = sorted(window for window in secrets if window in shown)
    assert not found, f"{found} can be read in {shown!r}"


def composed(data: bytes, word: str) -> tuple[str, frozenset[str]]:
    """Return what is shown of texts picked by ``data``, one after the other, and what must not be in it."""
    secrets: set[str] = set()
    text = ""
    for kind, number, joint in zip(data[::3], data[1::3], data[2::3], strict=False):
        if kind % 3:
            piece = WORDS_AROUND[number % len(WORDS_AROUND)]
        else:
            templates = REASONS + SOURCES
            planted = plant(templates[(kind // 3 * 256 + number) % len(templates)], word)
            piece = planted.text
            secrets |= planted.windows()
        text += piece + JOINTS[joint % len(JOINTS)]
    return clean_reason(text), frozenset(secrets)


def reasons(data: bytes) -> None:
    """Any text has one failure class, the same each time."""
    raw = text_of(data)
    found = classify(raw)
    assert found in FailureClass
    assert classify(raw) is found
    inner, own = strip_wrappers(raw)
    assert own is None or own in FailureClass
    assert len(inner) <= len(raw)


def repeated(data: bytes) -> None:
    """A text of one piece again and again takes time in proportion to its length, as far as it is looked at."""
    head, _, unit = text_of(data).partition("\0")
    whole, quarter = (head + unit * (length // max(1, len(unit))) for length in (LONGEST, LONGEST // 4))
    if _cpu_seconds(whole) < SOON:
        return
    # Four times the length, so four times the time; squared it were sixteen. The best of several is free of noise.
    long, short = (min(_cpu_seconds(text) for _ in range(5)) for text in (whole, quarter))
    assert long < SOON or long < 9 * short, f"{long:.3f} s of CPU, {short:.3f} s for a quarter"


def _cpu_seconds(raw: str) -> float:
    began = time.process_time()
    safe_reason(raw)
    safe_source(raw)
    classify(raw)
    return time.process_time() - began


# Listings


def decode(data: bytes) -> None:
    """Two answers, one after the other, become a page that every parser can read; or are refused as no answer."""
    cut = len(data) * data[0] // 256 if data else 0
    memory = PollMemory(_settings(), Memory(NOON - DAY))
    now = NOON
    for raw in (data[:cut], data[cut:]):
        now += 30
        with contextlib.suppress(errors.BadResponse):
            taken = memory.take_whole(records(raw), now, now)
            if isinstance(taken, Taken):
                memory.enter_whole(taken, now, now)
    snapshot = memory.snapshot(now, now)
    thorough = len(data) % 8 == 0
    if not thorough:
        # No text of Milvus's gets into these rows.
        snapshot = replace(snapshot, databases=())
    format_ = FORMATS[len(data) // 8 % 2]
    text = exposition(Renderer(), snapshot, format_)
    check_grammar(text, format_)
    # The parser takes most of the time; lines that differ in the state alone have the same texts in them.
    samples(text if thorough else _OTHER_STATES.sub("", text), format_)


_OTHER_STATES = re.compile(r'^.*,state="Refresh(?!Failed|Unknown).*\n', re.MULTILINE)


@cache
def _settings() -> Settings:
    return settings(limits={"max_collections": "2", "max_sources": "2"})


def listings(data: bytes) -> None:
    """Whichever way a listing is compared with the one before it, the same is new, changed and gone."""
    pool = _picked(data[8:])
    by_bytes, by_record = ListingDecoder(), ListingDecoder()
    for n, order in enumerate(data[:8]):
        picked = sorted(range(len(pool) * 2), key=lambda at, order=order: (at * (order | 1) + order // 7) % 251)
        listing = [pool[at % len(pool)].SerializeToString() for at in picked[: order % (len(pool) + 2)]]
        one = by_bytes.whole(listing, NOON + n)
        other = by_record.whole(listing[::-1], NOON + n)
        assert _by_id(one.changed) == _by_id(other.changed)
        assert sorted(one.gone) == sorted(other.gone)
        assert (one.problems, one.total) == (other.problems, other.total)


def _by_id(jobs: Iterable[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.job_id)


def exposition(renderer: Renderer, snapshot: Any, format_: Format) -> str:
    text = b"".join((*renderer.rest(snapshot, format_), *renderer.jobs(snapshot, format_))).decode()
    text = text or "# HELP x x\n# TYPE x gauge\nx 1\n"
    return text + ("# EOF\n" if format_.openmetrics else "")


def records(data: bytes) -> list[bytes]:
    """Read bytes as the wire's own form; where that fails, as picks of fields, so that most inputs get far."""
    try:
        _, found = _records(data)
    except errors.BadResponse:
        found = [record.SerializeToString() for record in _picked(data)]
    return found


def _picked(data: bytes) -> list[pb.RefreshExternalCollectionJobInfo]:
    jobs = []
    for record in data.split(b"\xff")[:5]:
        numbers, _, texts = record.partition(b"\xfe")
        at = iter(numbers)
        state, progress, job_id, start, end = (next(at, 0) for _ in range(5))
        name, source, reason = (
            text.decode("utf-8", "replace") for text in (texts + b"\xfd\xfd\xfd").split(b"\xfd")[:3]
        )
        jobs.append(
            pb.RefreshExternalCollectionJobInfo(
                job_id=_ODD[job_id % len(_ODD)] if job_id > 127 else job_id,
                state=state - 128 if state > 191 else state % 6,
                progress=progress - 100,
                start_time=_stamp(start),
                end_time=_stamp(end),
                collection_name=name,
                external_source=source,
                reason=reason,
            )
        )
    return jobs


_ODD = (0, -1, 1, 2**63 - 1, -(2**63), 2**53 + 1, 10**18)


def _stamp(number: int) -> int:
    if number > 247:
        return _ODD[number % len(_ODD)]
    return 1_790_000_000_000 + (number - 128) * 3_600_000 if number else 0


# Settings


def configuration(data: bytes) -> None:
    """Any file, environment and command line is settings or faults to read, never a traceback."""
    mode, rest = (data[0] % 4, data[1:]) if data else (0, b"")
    environ: dict[str, str] = {}
    flags: list[str] = []
    if mode < 2:
        file = _file()
        file.write_bytes(rest)
        flags = ["--config.file", str(file)]
    else:
        words = [text_of(word).replace("\0", "") for word in rest.split(b"\n")]
        if mode == 2:
            flags = words
        else:
            names = [name for key in KEYS.values() for name in key.variables]
            numbered = ((names[ord(word[0]) % len(names)] if word else "X", word[1:]) for word in words)
            environ = dict(numbered)
    check_configuration(flags, environ)


def check_configuration(flags: list[str], environ: dict[str, str]) -> None:
    try:
        # What argparse itself refuses is said by it, on standard error, and ends with 2.
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            namespace, unknown = _parser().parse_known_args(flags)
    except SystemExit as end:
        if end.code not in (0, 2):
            raise
        return
    try:
        loaded = load(namespace, unknown, environ)
    except UsageError as error:
        check_faults(error.faults)
        return
    assert effective(loaded)
    assert "\n" not in effective(loaded, one_line=True)


def check_faults(faults: tuple[str, ...]) -> None:
    assert faults
    for fault in faults:
        assert fault.isprintable(), fault
        assert len(fault) < 2000, fault
        fault.encode()


@cache
def _file() -> Path:
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if shared.is_dir() else None)) / "exporter.yaml"


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exporter")
    add_flags(parser)
    return parser


def units(data: bytes) -> None:
    """Any text is a duration or a size that reads back, or a ValueError."""
    text = text_of(data)
    with contextlib.suppress(ValueError):
        seconds = parse_duration(text)
        assert seconds > 0
        assert parse_duration(format_duration(seconds)) == seconds
    with contextlib.suppress(ValueError):
        assert parse_bytes(format_bytes(parse_bytes(text))) == parse_bytes(text)


def uris(data: bytes) -> None:
    """Any text is an address or a ValueError, and neither shows a part of the user info."""
    text = text_of(data)
    for optional in (False, True):
        with contextlib.suppress(ValueError):
            split_host_port(text, host_optional=optional)
    said = shown_uri(text)
    secret = ""
    try:
        address = parse_uri(text)
        said += f" {address} {address!r}"
        if not address.path:
            secret = text.partition("://")[2].partition("/")[0].rpartition("@")[0].partition(":")[2]
        again = parse_uri(str(address).replace("<secret>", "a:b"))
        assert again.grpc_target == address.grpc_target
        address.grpc_target.encode()
    except ValueError as error:
        said += f" {error}"
        if "://" in text:
            secret = text.partition("://")[2].rpartition("@")[0]
    for part in re.split(r"[:@/?#%\[\]\s]", secret):
        # A short one can stand in a host or in our own words by chance.
        assert len(part) < 5 or part in _without(text, part) or part not in said, "user info is shown"


def _without(text: str, part: str) -> str:
    """Return what is no user info: the scheme and what follows the last at sign, with the words of ours."""
    return f"{text.partition('://')[0]} {text.rpartition('@')[2]} {FAULT_WORDS}"


FAULT_WORDS = (
    " ".join(
        part
        for constant in (parse_uri.__code__.co_consts, split_host_port.__code__.co_consts)
        for part in constant
        if isinstance(part, str)
    )
    + " secret MilvusAddress scheme host port path database credentials SecretStr http https tcp unix None not shown"
)

TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (redact, canaries, reasons, repeated, decode, listings, configuration, units, uris)
}
