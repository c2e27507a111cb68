"""Whatever stands in a file, in the environment and on the command line: settings or faults, and no secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from fuzz import targets
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config import Settings, effective, load
from exporter.config.keys import KEYS
from exporter.config.units import format_bytes, format_duration, parse_bytes, parse_duration
from exporter.config.uri import parse_uri
from exporter.errors import UsageError

CANARY = "CanaryQx7"
SECRETS = [key for key in KEYS.values() if key.secret]
ODD = st.text(st.sampled_from("\"'|>!&*%@`{}[],:#?-~ \t\\é\u2028ab01"), max_size=6)
OTHERS = st.lists(
    st.sampled_from(
        [
            "poll: {interval: 1}",
            "log: {level: loud}",
            "nonsense: 1",
            "web: {listen_address: x}",
            "poll: [",
            "- x",
            "a: *b",
        ]
    ),
    max_size=3,
)


def said(flags: list[str], environ: Mapping[str, str]) -> str:
    """Return all that a user gets to see: faults, or the settings in force."""
    namespace, unknown = targets._parser().parse_known_args(flags)
    try:
        loaded = load(namespace, unknown, environ)
    except UsageError as error:
        return f"{error} {error!r}"
    return f"{effective(loaded)} {effective(loaded, one_line=True)} {loaded!r} {loaded}"


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: b"\0" + text.encode("utf-8", "surrogatepass")))
@settings(max_examples=150)
def test_any_bytes_are_settings_or_faults(data: bytes) -> None:
    targets.configuration(data)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([step for path in KEYS for step in path]) | st.text(max_size=8), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=150)
def test_any_yaml_is_settings_or_faults(tree: object) -> None:
    targets.configuration(b"\0" + yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(sorted(KEYS)), st.text(max_size=60) | ODD)
@settings(max_examples=300)
def test_any_value_of_any_setting_is_taken_or_refused_in_each_source(path: tuple[str, ...], text: str) -> None:
    key = KEYS[path]
    if key.flag:
        targets.check_configuration([f"{key.flag}={text}"], {})
    for name in key.variables:
        targets.check_configuration([], {name: text})


LIKE_NUMBERS = st.from_regex(r"[0-9a-fnoxy_.:/+-]{1,8}", fullmatch=True)
LIKE_OTHERS = st.sampled_from(
    ["yes", "No", "TRUE", "off", "null", "Null", "~", ".inf", ".NaN", "<<", "=", "2026-01-01"]
)


@given(st.text(min_size=1, max_size=30) | ODD.filter(bool) | LIKE_NUMBERS | LIKE_OTHERS)
@settings(max_examples=300)
def test_the_line_of_the_log_reads_back_as_what_is_in_force(text: str) -> None:
    """No text in it is read as anything else, and none of it breaks the line."""
    try:
        loaded = Settings.model_validate({"milvus": {"uri": "https://a", "tls": {"server_name": text}}})
    except ValueError:
        return  # not UTF-8
    line = effective(loaded, one_line=True)
    assert yaml.safe_load(line)["milvus"]["tls"]["server_name"] == text
    assert line.isascii()
    assert line.isprintable()


@given(
    st.sampled_from(SECRETS), ODD, ODD, OTHERS, st.sampled_from(["{}", "'{}'", '"{}"', "[{}]", "{{{}}}", "|\n    {}"])
)
@settings(max_examples=300)
def test_no_secret_of_a_file_is_shown_however_it_is_written(
    key: object, before: str, after: str, others: list[str], form: str
) -> None:
    value = form.format(before + CANARY + after)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "exporter.yaml"
        file.write_text("\n".join([f"milvus:\n  {key.path[-1]}: {value}", *others]), encoding="utf-8")  # type: ignore[attr-defined]
        assert CANARY not in said(["--config.file", str(file)], {})


@given(
    st.sampled_from(["milvus.token", "milvus.password", "milvus.tokne", "milvus.user", "token", "milvus_password"]),
    ODD,
    ODD,
    st.booleans(),
)
def test_no_secret_that_was_tried_as_a_flag_is_shown(name: str, before: str, after: str, joined: bool) -> None:
    value = before + CANARY + after
    flags = [f"--{name}={value}"] if joined else [f"--{name}", value]
    assert CANARY not in said([*flags, "--poll.interval=1"], {})


@given(st.sampled_from([name for key in SECRETS for name in key.variables]), ODD, ODD, st.booleans())
def test_no_secret_of_the_environment_is_shown(name: str, before: str, after: str, good: bool) -> None:
    environ = {name: before + CANARY + after, "MILVUS_URI": "http://milvus" if good else "x"}
    assert CANARY not in said([], environ)


@given(
    st.sampled_from(["http://", "https://", "tcp://", "http:/", "http:", "unix:", ""]),
    st.sampled_from(["root", "", "a:b", "ro%20ot"]),
    st.tuples(ODD, ODD),
    st.sampled_from(["@host", "@host:19530/db", "@[::1]:1", "@host:x", "@", "@a@b", "%40host", "@host?x=1"]),
    st.sampled_from(["flag", "variable", "file"]),
)
@settings(max_examples=300)
def test_no_user_info_of_an_address_is_shown(
    scheme: str, user: str, around: tuple[str, str], rest: str, source: str
) -> None:
    uri = f"{scheme}{user}:{around[0]}{CANARY}{around[1]}{rest}"
    if source == "flag":
        assert CANARY not in said([f"--milvus.uri={uri}"], {})
    elif source == "variable":
        assert CANARY not in said([], {"MILVUS_URI": uri})
    else:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "exporter.yaml"
            file.write_text(yaml.safe_dump({"milvus": {"uri": uri}}), encoding="utf-8")
            assert CANARY not in said(["--config.file", str(file)], {})


@given(st.text(max_size=60) | st.from_regex(r"(http|https|tcp|unix):/{0,3}[^\n]*"))
def test_any_address_is_read_or_refused_and_reads_back(text: str) -> None:
    targets.uris(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("text", ["unix:" + "/" * 20 + "x[::]:5", "unix:////run/milvus.sock"])
def test_a_socket_with_too_many_slashes_reads_back_as_it_is_shown(text: str) -> None:
    address = parse_uri(text)
    assert parse_uri(str(address)) == address


@given(st.integers(1, 3_153_600_000_000))
def test_every_duration_reads_back_to_the_millisecond(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(0, 10**15))
def test_every_size_reads_back(count: int) -> None:
    assert parse_bytes(format_bytes(count)) == count


@given(st.text(max_size=30) | st.text(st.sampled_from("0123456789ywdhmsKMGiB ."), max_size=12))
def test_any_text_is_a_duration_a_size_or_neither(text: str) -> None:
    targets.units(text.encode("utf-8", "surrogatepass"))
