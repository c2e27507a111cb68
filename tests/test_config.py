"""Configuration: four sources, one order, every fault at once, and no secret in anything that is shown."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib.util
import itertools
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from exporter.config import Credentials, ListenAddress, Settings, add_flags, effective, load
from exporter.config.keys import KEYS, PREFIX
from exporter.config.uri import FORMS
from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent / "config"
CANARY = "CANARYx7"
NO_FLAG = "has no flag, since process lists show flags"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="exporter")
    add_flags(made)
    return made


def loaded(*flags: str, environ: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    namespace, unknown = parser().parse_known_args([*flags, *(["--config.file", str(file)] if file else [])])
    return load(namespace, unknown, environ or {})


def faults(*flags: str, environ: Mapping[str, str] | None = None, file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(UsageError) as caught:
        loaded(*flags, environ=environ, file=file)
    return caught.value.faults


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "exporter.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Files


@pytest.mark.parametrize("path", sorted(HERE.glob("*.bad.yaml")), ids=lambda path: path.name)
def test_a_bad_file_gives_exactly_these_faults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert expected
    assert list(faults(file=Path(path.name))) == expected


@pytest.mark.parametrize("path", sorted(HERE.glob("*.bad.yaml")), ids=lambda path: path.name)
def test_no_planted_secret_of_a_bad_file_is_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    assert "CANARY" not in "\n".join(faults(file=Path(path.name)))


@pytest.mark.parametrize("path", sorted(HERE.glob("*.ok.yaml")), ids=lambda path: path.name)
def test_a_good_file_is_accepted(path: Path) -> None:
    assert loaded(file=path).config.file == path


def test_there_are_good_and_bad_files() -> None:
    assert len(list(HERE.glob("*.ok.yaml"))) > 2
    assert len(list(HERE.glob("*.bad.yaml"))) == len(list(HERE.glob("*.bad.txt"))) > 20


def test_a_file_can_set_every_setting() -> None:
    settings = loaded(file=HERE / "complete.ok.yaml")
    assert effective(settings) == (HERE / "complete.effective.txt").read_text(encoding="utf-8")
    assert settings.milvus.password is not None
    assert settings.milvus.password.get_secret_value() == "0123"
    assert settings.web.listen_address == (
        ListenAddress("", 80),
        ListenAddress("127.0.0.1", 81),
        ListenAddress("::1", 82),
        ListenAddress("", 0, "/run/exporter.sock"),
    )


def test_an_empty_file_means_the_defaults_and_is_known_to_be_empty() -> None:
    settings = loaded(file=HERE / "empty.ok.yaml")
    assert effective(settings) == effective(Settings())
    assert settings.file_is_empty


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n", "---\n...\n", "null\n", "{}\n", "poll: {}\n"])
def test_a_file_that_sets_nothing_is_known(text: str, tmp_path: Path) -> None:
    assert loaded("--poll.interval=15s", file=written(tmp_path, text)).file_is_empty


def test_a_file_that_sets_something_is_not_empty_and_no_file_is_not_an_empty_one(tmp_path: Path) -> None:
    assert not loaded(file=written(tmp_path, "poll: {interval: 15s}\n")).file_is_empty
    assert not loaded(file=HERE / "targets.ok.yaml").file_is_empty
    assert not loaded().file_is_empty


@given(st.integers(0, len((HERE / "complete.ok.yaml").read_bytes())))
def test_a_file_cut_off_after_a_key_is_a_fault(end: int) -> None:
    """Wherever the file ends, the key it ends with has a value."""
    text = (HERE / "complete.ok.yaml").read_bytes()[:end].rstrip()
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder), text)
        try:
            loaded(file=file)
        except UsageError:
            return
        assert not text.endswith(b":")


def test_a_key_inside_a_secret_is_never_shown(tmp_path: Path) -> None:
    """An unquoted password in braces is a mapping to YAML, and twice the same key a duplicate."""
    found = faults(file=written(tmp_path, f"milvus: {{token: {{{CANARY}, {CANARY}}}}}"))
    assert found == (f"{tmp_path}/exporter.yaml:1: milvus.token: the value is not a single value",)


def test_a_list_can_be_shared_by_alias() -> None:
    filters = loaded(file=HERE / "anchors.ok.yaml").filters
    assert filters.collections.exclude == filters.databases.exclude != ()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"poll: {}\nmilvus: {uri: \xff}\n", ":2: config.file: is not UTF-8"),
        (b"log: {level: info}\npoll: \x07\n", ":2: config.file: holds a character that YAML does not allow"),
        (b"[" * 5000, ": config.file: is nested too deeply"),
        (b"# " + b"x" * (1 << 20), ": config.file: is larger than 1048576 bytes"),
    ],
    ids=["not UTF-8", "control character", "nested deeply", "large"],
)
def test_a_file_that_cannot_be_used_is_one_fault(content: bytes, fault: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    assert faults(file=path) == (f"{path}{fault}",)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert loaded(file=written(tmp_path, b"\xef\xbb\xbfpoll: {interval: 15s}\n")).poll.interval == 15


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing.yaml", "No such file or directory"), (".", "Is a directory"), ("a\0b", "not a file name")],
)
def test_a_missing_file_is_a_fault_beside_the_others(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = name.replace("\0", "\\x00")
    assert faults("--config.file", name, "--poll.interval", "1") == (
        f"{shown}: config.file: cannot be read: {why}",
        '--poll.interval: poll.interval: "1" has no unit; write 1s for seconds',
    )


def test_an_unreadable_file_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "poll: {}")
    path.chmod(0)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Root, as which tests run in containers, may read everything.
    monkeypatch.setattr(Path, "open", denied)
    monkeypatch.setattr(Path, "read_bytes", denied)
    assert faults(file=path)[0].endswith("cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &a [x]\nfilters: {databases: {include: &b [*a, *b, *b]}}", "is not a single value"),
        (
            "freshness:\n  overrides: &o\n    - &e {"
            + ", ".join(f"k{n}: 1" for n in range(1000))
            + "}\n"
            + "    - *e\n" * 1000,
            "is too large when its aliases are followed",
        ),
    ],
    ids=["recursive", "quadratic"],
)
def test_aliases_cannot_multiply(text: str, fault: str, tmp_path: Path) -> None:
    assert fault in "\n".join(faults(file=written(tmp_path, text)))


def test_a_bomb_of_aliases_is_not_expanded(tmp_path: Path) -> None:
    bomb = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    text = "\n".join([*bomb, "filters: {databases: {include: *a59}}"])
    found = faults(file=written(tmp_path, text))
    assert len(found) == 62  # 60 unknown keys and two items that are lists


def test_files_in_the_file_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    settings = loaded(file=written(tmp_path, "milvus: {token_file: token}"))
    assert settings.milvus.token_file == tmp_path / "token"


# The order of sources

ORDER = ("flag", "prefixed variable", "conventional variable", "file")


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.combinations(ORDER, 2)))
def test_of_two_sources_the_stronger_one_wins(stronger: str, weaker: str, tmp_path: Path) -> None:
    def uri(source: str) -> str:
        return "http://strong" if source == stronger else "http://weak"

    both = (stronger, weaker)
    names = {"prefixed variable": PREFIX + "MILVUS__URI", "conventional variable": "MILVUS_URI"}
    settings = loaded(
        *(["--milvus.uri", uri("flag")] if "flag" in both else []),
        environ={name: uri(source) for source, name in names.items() if source in both},
        file=written(tmp_path, f"milvus: {{uri: {uri('file')}}}") if "file" in both else None,
    )
    assert settings.milvus.address.host == "strong"


@pytest.mark.parametrize("source", ORDER)
def test_each_source_wins_over_the_default(source: str, tmp_path: Path) -> None:
    settings = loaded(
        *(["--milvus.uri", "http://it"] if source == "flag" else []),
        environ={
            "prefixed variable": {PREFIX + "MILVUS__URI": "http://it"},
            "conventional variable": {"MILVUS_URI": "http://it"},
        }.get(source, {}),
        file=written(tmp_path, "milvus: {uri: 'http://it'}") if source == "file" else None,
    )
    assert settings.milvus.address.host == "it"


def test_sources_are_joined_by_key_not_by_section(tmp_path: Path) -> None:
    file = written(tmp_path, "poll: {interval: 20s, timeout: 3s, stale_after: 5m}")
    poll = loaded("--poll.timeout", "4s", environ={PREFIX + "POLL__STALE_AFTER": "6m"}, file=file).poll
    assert (poll.interval, poll.timeout, poll.stale_after) == (20, 4, 360)


def test_a_list_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = written(tmp_path, "web: {listen_address: [':1', ':2']}")
    assert loaded("--web.listen-address", ":3", file=file).web.listen_address == (ListenAddress("", 3),)


def test_an_overridden_value_is_not_looked_at(tmp_path: Path) -> None:
    assert loaded("--poll.interval=15s", file=written(tmp_path, "poll: {interval: 15}")).poll.interval == 15


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r"])
def test_the_line_end_after_a_secret_is_dropped_wherever_it_comes_from(end: str, tmp_path: Path) -> None:
    """`echo`, editors and here-documents append one, and base64 keeps it."""
    variables = {"MILVUS_USER": f"u{end}", "MILVUS_PASSWORD": f"p{end}"}
    in_file = written(tmp_path, f"milvus: {{user: {json.dumps('u' + end)}, password: {json.dumps('p' + end)}}}")
    encoded = end.replace("\n", "%0A").replace("\r", "%0d")
    for settings in (loaded(environ=variables), loaded(file=in_file)):
        user, password = settings.milvus.credentials.user, settings.milvus.credentials.password
        assert isinstance(user, SecretStr)
        assert isinstance(password, SecretStr)
        assert (user.get_secret_value(), password.get_secret_value()) == ("u", "p")
    for uri in (f"http://u:p{encoded}@host", f"http://u:p@host{end}"):
        token = loaded(environ={"MILVUS_URI": uri}).milvus.credentials.token
        assert isinstance(token, SecretStr)
        assert token.get_secret_value() == "u:p"


def test_a_line_end_inside_a_secret_is_a_fault(tmp_path: Path) -> None:
    problem = "the value holds a line end; write the secret on one line"
    assert faults(environ={"MILVUS_TOKEN": f"{CANARY}\n{CANARY}\n"}) == (f"MILVUS_TOKEN: milvus.token: {problem}",)
    in_file = written(tmp_path, f'milvus: {{user: u, password: "a\\r{CANARY}"}}')
    assert faults(file=in_file) == (f"{in_file}:1: milvus.password: {problem}",)
    assert "control characters" in faults(environ={"MILVUS_URI": f"http://u:{CANARY}%0A{CANARY}@host"})[0]


def test_a_secret_of_nothing_but_a_line_end_is_empty() -> None:
    assert "is empty" in faults(environ={"MILVUS_TOKEN": "\n"})[0]


def test_the_flag_for_the_file_wins_over_its_variable(tmp_path: Path) -> None:
    file = written(tmp_path, "poll: {interval: 15s}")
    assert loaded(environ={PREFIX + "CONFIG__FILE": str(file)}).poll.interval == 15
    assert loaded(environ={PREFIX + "CONFIG__FILE": "/nowhere"}, file=file).poll.interval == 15


# Flags and variables


def test_every_setting_has_the_flag_and_variable_that_its_key_gives() -> None:
    for key in KEYS.values():
        if key.flag:
            assert key.flag == "--" + key.dotted.replace("_", "-")
        if key.variables:
            assert key.variables[0] == PREFIX + key.dotted.replace(".", "__").upper()


def test_secrets_and_overrides_have_no_flag() -> None:
    flagless = {key.dotted for key in KEYS.values() if not key.flag}
    assert flagless == {"milvus.token", "milvus.user", "milvus.password", "freshness.overrides", "targets"}
    assert [key.dotted for key in KEYS.values() if not key.variables] == ["freshness.overrides", "targets"]


def test_a_list_repeats_its_flag_and_is_json_in_the_environment() -> None:
    flags = loaded("--filters.databases.include", "a", "--filters.databases.include=b").filters
    variable = loaded(environ={PREFIX + "FILTERS__DATABASES__INCLUDE": '["a", "b"]'}).filters
    assert flags == variable
    assert [pattern.pattern for pattern in flags.databases.include] == ["a", "b"]


@pytest.mark.parametrize("flags", [["--inventory.enabled=false"], ["--inventory.enabled", "false"]])
def test_a_switch_takes_its_value_as_any_flag_does(flags: list[str]) -> None:
    assert loaded(*flags).inventory.enabled is False


def test_an_empty_variable_is_not_set() -> None:
    settings = loaded(environ={"MILVUS_TOKEN": "", PREFIX + "POLL__INTERVAL": "", "MILVUS_URI": "http://a"})
    assert (settings.milvus.token, settings.poll.interval) == (None, 30)


@pytest.mark.parametrize("text", [":80", '":80"', "{}", "[80]", "[[", "[" * 100_000])
def test_a_list_variable_that_is_no_json_list_says_so(text: str) -> None:
    (fault,) = faults(environ={PREFIX + "WEB__LISTEN_ADDRESS": text})
    assert fault.startswith(f"{PREFIX}WEB__LISTEN_ADDRESS: web.listen_address: ")
    assert fault.endswith('is not a JSON list of texts; write ["..."]')
    assert len(fault) < 300


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("POL__INTERVAL", f"unknown environment variable; did you mean {PREFIX}POLL__INTERVAL?"),
        ("POLL_INTERVAL", f"unknown environment variable; did you mean {PREFIX}POLL__INTERVAL?"),
        ("poll__interval", f"unknown environment variable; did you mean {PREFIX}POLL__INTERVAL?"),
        ("FRESHNESS__OVERRIDES", "has no environment variable; set freshness.overrides in the file"),
    ],
)
def test_an_unknown_variable_with_our_prefix_is_a_fault(name: str, fault: str) -> None:
    assert faults(environ={PREFIX + name: CANARY}) == (f"{PREFIX}{name}: {fault}",)


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP_METRICS",
        "PORT",
        "PORT_19540_TCP",
        "PORT_19540_TCP_ADDR",
        "PORT_19540_TCP_PROTO",
        "HEADLESS_SERVICE_HOST",
        "HEADLESS_PORT_80_UDP_PORT",
    ],
)
def test_what_kubernetes_sets_for_a_service_named_like_us_is_no_fault(name: str) -> None:
    assert loaded(environ={PREFIX + name: "tcp://10.0.0.1:19540"}) == Settings()


def test_our_prefix_in_small_letters_is_no_place_to_lose_a_setting() -> None:
    (fault,) = faults(environ={"milvus_refresh_exporter_poll__interval": "15s"})
    assert fault.endswith(f"unknown environment variable; did you mean {PREFIX}POLL__INTERVAL?")


def test_other_programs_variables_are_no_business_of_ours() -> None:
    assert loaded(environ={"MILVUS_HOME": "x", "POLL__INTERVAL": "x"}) == Settings()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--pol.interval", "5s"], ("--pol.interval: unknown flag; did you mean --poll.interval?",)),
        (["--poll.stale_after=5s"], ("--poll.stale_after: unknown flag; did you mean --poll.stale-after?",)),
        (["--poll.int=5s"], ("--poll.int: unknown flag; did you mean --poll.interval?",)),
        (["--qqqqqqq"], ("--qqqqqqq: unknown flag",)),
        (
            ["--milvus.token", CANARY],
            (f"--milvus.token: {NO_FLAG}; use MILVUS_TOKEN or milvus.token_file",),
        ),
        (
            [f"--milvus.password={CANARY}"],
            (f"--milvus.password: {NO_FLAG}; use MILVUS_PASSWORD or milvus.password_file",),
        ),
        (["--milvus.tokn", f"--{CANARY}"], ("--milvus.tokn: unknown flag; did you mean --milvus.token-file?",)),
        (["--freshness.overrides=x"], ("--freshness.overrides: has no flag; set freshness.overrides in the file",)),
        ([CANARY], ("command line: an argument that is not a flag (not shown)",)),
        (["-" + CANARY], ("command line: an argument that is not a flag (not shown)",)),
        (["--poll.interval=5s", "--poll.interval=6s"], ("--poll.interval: poll.interval: is given 2 times",)),
    ],
)
def test_an_unknown_flag_is_a_fault_that_shows_no_value(flags: list[str], expected: tuple[str, ...]) -> None:
    assert faults(*flags) == expected


def test_all_faults_of_all_sources_come_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "poll: {interval: 1}\nlogg: {}\n")
    found = faults("--nonsense", "--log.level=loud", environ={PREFIX + "X": "1", "MILVUS_URI": "x"}, file=file)
    assert [fault.removeprefix(f"{tmp_path}/") for fault in found] == [
        "--nonsense: unknown flag",
        f"{PREFIX}X: unknown environment variable",
        "exporter.yaml:2: logg: unknown key; did you mean log?",
        f'MILVUS_URI: milvus.uri: "x" is not a Milvus URI; write {FORMS}',
        'exporter.yaml:1: poll.interval: "1" has no unit; write 1s for seconds',
        '--log.level: log.level: "loud" is not one of debug, info, warning, error',
    ]


def test_a_value_in_a_fault_is_cut_and_cannot_begin_a_line() -> None:
    (fault,) = faults("--log.level", "x\ninjected\x1b[31m\u202e\udcff" + "y" * 5000)
    assert "\n" not in fault
    assert fault.isprintable()
    assert len(fault) < 250


# Rules


@pytest.mark.parametrize(
    ("interval", "timeout", "stale_after"), [("1s", 0.9, 60), ("10s", 9, 60), ("30s", 10, 90), ("5m", 10, 900)]
)
def test_what_depends_on_the_interval_follows_it(interval: str, timeout: float, stale_after: float) -> None:
    poll = loaded("--poll.interval", interval).poll
    assert (poll.timeout, poll.stale_after) == (timeout, stale_after)


def test_a_fault_in_a_value_is_no_fault_in_what_depends_on_it() -> None:
    assert len(faults("--poll.interval", "x", "--poll.timeout", "1h")) == 1


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", (None, None, None)),
        ("uri", ("u:p", None, None)),
        ("uri user password", (None, "user", "password")),
        ("uri user password token", ("token", None, None)),
        ("token token_file", ("FILE", None, None)),
        ("user user_file password password_file", (None, "FILE", "FILE")),
        ("user_file password", (None, "FILE", "password")),
    ],
)
def test_of_several_credentials_the_first_in_order_is_used(
    keys: str, expected: tuple[str | None, ...], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    given_values = {key: str(file) if key.endswith("file") else key for key in keys.split()}
    if "uri" in given_values:
        given_values["uri"] = "http://u:p@host"
    chosen = Settings.model_validate({"milvus": given_values}).milvus.credentials

    def told(source: object) -> str | None:
        return "FILE" if source == file else source.get_secret_value() if source is not None else None  # type: ignore[attr-defined]

    assert isinstance(chosen, Credentials)
    assert (told(chosen.token), told(chosen.user), told(chosen.password)) == expected


@pytest.mark.parametrize(
    ("database", "collection", "age"),
    [("archive", "hourly_x", None), ("a", "hourly_x", 7200), ("sales", "daily", 86_400), ("a", "xhourly_", 93_600)],
)
def test_the_first_override_that_matches_the_whole_name_gives_the_age(
    database: str, collection: str, age: float | None
) -> None:
    freshness = loaded(file=HERE / "complete.ok.yaml").freshness
    assert freshness.max_age_for(database, collection) == age


def test_no_age_is_promised_by_default() -> None:
    assert Settings().freshness.max_age_for("a", "b") is None
    assert loaded("--freshness.max-age", "none").freshness.max_age is None


@pytest.mark.parametrize(
    ("filters", "database", "collection", "kept"),
    [
        ({}, "a", "b", True),
        ({}, "", "b", True),
        ({"databases": {"include": ["a|b"]}}, "a", "x", True),
        ({"databases": {"include": ["a|b"]}}, "ab", "x", False),
        ({"databases": {"include": [".*"]}}, "", "x", False),
        ({"databases": {"exclude": ["a.*"]}}, "ab", "x", False),
        ({"databases": {"exclude": ["a.*"]}}, "b", "x", True),
        ({"databases": {"exclude": [".*"]}}, "", "x", True),
        ({"collections": {"include": ["x", "y"]}}, "a", "y", True),
        ({"collections": {"include": ["x", "y"]}}, "a", "z", False),
        ({"collections": {"include": [".*"], "exclude": ["y"]}}, "a", "y", False),
        ({"databases": {"include": ["a"]}, "collections": {"exclude": ["y"]}}, "a", "y", False),
    ],
)
def test_filters_match_whole_names_and_exclusion_wins(
    filters: dict[str, object], database: str, collection: str, kept: bool
) -> None:
    settings = Settings.model_validate({"filters": filters})
    assert settings.filters.keeps(database, collection) is kept


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "/a/", "/a//b", "/../a", "/.", "a", "/a b", "/a?b", "/ä", "/{a}", "/-/ready", "/-/x", "/config"),
        *("/config/x", "/api", "/api/v1/jobs", "/probe", "/sd", "/-"),
    ],
)
def test_the_metrics_cannot_lie_on_another_page(path: str) -> None:
    assert len(faults("--web.telemetry-path", path)) == 1


@pytest.mark.parametrize("path", ["/metrics", "/a/b.c", "/configuration", "/~me", "/metrics/config"])
def test_the_metrics_can_lie_on_any_other_path(path: str) -> None:
    assert loaded("--web.telemetry-path", path).web.telemetry_path == path


@pytest.mark.parametrize("size", ["1023", "2GiB", "0"])
def test_a_size_that_grpc_cannot_have_is_a_fault(size: str) -> None:
    assert "must be from 1KiB to 2147483647 bytes" in faults("--milvus.max-response-bytes", size)[0]


@given(st.text(min_size=1))
def test_any_pattern_is_taken_or_a_fault(pattern: str) -> None:
    with contextlib.suppress(UsageError):
        assert loaded(f"--filters.databases.include={pattern}").filters.databases.include[0].pattern == pattern


# What is shown


def planted(tmp_path: Path) -> tuple[Settings, list[str]]:
    """Return settings in which everything that can be secret is, and the secrets."""
    secrets = [f"{CANARY}-{name}" for name in ("uri-user", "uri-password", "token", "user", "password", "in-file")]
    file = tmp_path / "secret"
    file.write_text(secrets[5])
    settings = loaded(
        "--milvus.token-file",
        str(file),
        environ={
            "MILVUS_URI": f"http://{secrets[0]}:{secrets[1]}@host/db",
            "MILVUS_TOKEN": secrets[2],
            "MILVUS_USER": secrets[3],
            "MILVUS_PASSWORD": secrets[4],
        },
    )
    return settings, secrets


def test_no_secret_is_in_anything_that_settings_can_be_turned_into(tmp_path: Path) -> None:
    settings, secrets = planted(tmp_path)
    shown = [effective(settings), effective(settings, one_line=True), repr(settings), str(settings)]
    shown += [repr(settings.milvus), repr(settings.milvus.credentials), str(settings.model_dump())]
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []
    assert "token: <secret>" in shown[0]
    assert "uri: http://<secret>@host:19530/db" in shown[0]


def test_no_secret_is_in_a_fault_beside_it(tmp_path: Path) -> None:
    secrets = {"MILVUS_URI": f"http://a:{CANARY}/@host", "MILVUS_USER": CANARY, "MILVUS_TOKEN": CANARY + "\udcff"}
    found = faults("--poll.interval=x", environ=secrets | {PREFIX + "MILVUS__PASWORD": CANARY})
    assert len(found) == 5
    assert CANARY not in "\n".join(found)


def test_what_is_in_force_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    text = (HERE / "complete.ok.yaml").read_text().replace("  user: monitor\n  password: 0123\n", "")
    settings = loaded("--config.file", str(written(tmp_path, text)))
    shown = effective(settings)
    assert effective(loaded(file=written(tmp_path, shown))) == shown
    assert yaml.safe_load(effective(settings, one_line=True)) == yaml.safe_load(shown)
    assert "\n" not in effective(settings, one_line=True)


def test_what_is_in_force_names_every_setting_but_the_file() -> None:
    def paths(tree: object, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        if not isinstance(tree, dict):
            return {path}
        return {found for name, below in tree.items() for found in paths(below, (*path, name))}

    assert paths(yaml.safe_load(effective(Settings()))) == set(KEYS) - {("config", "file")}


def test_help_names_every_flag_in_the_group_of_its_section() -> None:
    text = parser().format_help()
    for key in KEYS.values():
        if key.flag:
            assert re.search(rf"^\s+{re.escape(key.flag)} {key.metavar}", text, re.MULTILINE), key.flag
    assert re.search(r"^poll:\n  How often to ask Milvus", text, re.MULTILINE)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().poll.interval = 1  # type: ignore[misc]


# The reference


def generator() -> object:
    path = HERE.parent.parent / "tools" / "generate_configuration_docs.py"
    spec = importlib.util.spec_from_file_location("generate_configuration_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says() -> None:
    assert generator().main(["--check"]) == 0, "make docs"  # type: ignore[attr-defined]


def test_a_reference_that_is_out_of_date_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = generator()
    monkeypatch.setattr(module, "PAGE", tmp_path / "configuration.md")
    assert module.main(["--check"]) == 1  # type: ignore[attr-defined]
    (tmp_path / "configuration.md").write_text("old")
    assert module.main(["--check"]) == 1  # type: ignore[attr-defined]


def test_the_example_of_the_reference_is_accepted(tmp_path: Path) -> None:
    """Every key of the example is known and every value good, once the files it names are there."""
    text = generator().EXAMPLE  # type: ignore[attr-defined]
    for name in ("token", "ca.pem"):
        (tmp_path / name).write_text("x")
    text = text.replace("/run/secrets/milvus-token", "token")
    assert loaded(file=written(tmp_path, text)).freshness.max_age_for("a", "hourly_x") == 7200


def test_the_reference_has_a_row_for_every_setting() -> None:
    page = (HERE.parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [key.dotted for key in KEYS.values() if f"\n| `{key.dotted}` |" not in page] == []


def test_json_of_the_environment_example_is_json() -> None:
    page = (HERE.parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    match = re.search(r"LISTEN_ADDRESS='(.*?)'", page)
    assert match is not None
    loaded(environ={PREFIX + "WEB__LISTEN_ADDRESS": match[1]})
    assert json.loads(match[1])
