"""A user's mistake ends with exit code 2, every fault named at once, and never with a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from peers.exporter import call

FAULTY = """\
milvus:
  uri: ftp://milvus.example:19530
  pasword: canary-misspelt-secret
  tls:
    cert_file: /nowhere/client.pem
poll:
  interval: 0s
  stale_after: soon
labels:
  source: everything
filters:
  databases:
    include: ["("]
limits:
  max_collections: -1
"""
NAMED = (
    "milvus.uri",
    "milvus.pasword",
    "poll.interval",
    "poll.stale_after",
    "labels.source",
    "filters.databases.include",
    "limits.max_collections",
)


def refused(*arguments: str, **env: str) -> str:
    """Run and return what standard error says; the exit code is 2."""
    done = call(*arguments, env=env, seconds=20)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("command", ["run", "once"])
def test_every_fault_of_a_file_is_named_at_once_with_file_and_key(tmp_path: Path, command: str) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(FAULTY)
    said = refused(command, "--config.file", str(path))
    for key in NAMED:
        assert any(key in line and path.name in line for line in said.splitlines()), f"{key} is not named:\n{said}"


def test_the_bad_value_is_shown_and_what_would_be_right(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(FAULTY)
    said = refused("run", "--config.file", str(path))
    assert "everything" in said
    assert "bucket" in said
    assert "soon" in said


def test_the_value_of_an_unknown_key_is_never_shown_for_it_may_be_a_misspelt_secret(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(FAULTY)
    assert "canary-misspelt-secret" not in refused("run", "--config.file", str(path))


def test_faults_of_file_environment_and_flags_come_together(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("labels: {source: everything}\n")
    flags = ("run", "--config.file", str(path), "--poll.interval", "never")
    said = refused(*flags, MILVUS_REFRESH_EXPORTER_LIMITS__MAX_SOURCES="many")
    assert "labels.source" in said
    assert "--poll.interval" in said
    assert "MILVUS_REFRESH_EXPORTER_LIMITS__MAX_SOURCES" in said


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("poll: [", "exporter.yml"),
        ("- a\n- list\n", "exporter.yml"),
        ("poll: 7\n", "poll"),
        ("poll: {interval: 10s, timeout: 20s}\n", "poll.timeout"),
        ("poll:\n", "poll"),
        ("milvus: {tls: {key_file: /}}\n", "milvus.tls"),
        ("milvus: {token_file: /}\n", "milvus.token_file"),
        ("web: {listen_address: nonsense}\n", "web.listen_address"),
        ("log: {level: loud}\n", "log.level"),
        ("\x00\x01", "exporter.yml"),
    ],
    ids=["broken YAML", "list", "no mapping", "timeout over interval", "cut off", "key alone", "no file", "address",
         "level", "binary"],
)  # fmt: skip
def test_each_bad_file_is_one_clear_sentence(tmp_path: Path, content: str, hint: str) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(content)
    assert hint in refused("run", "--config.file", str(path))


@pytest.mark.parametrize(
    "arguments",
    [(), ("fly",), ("run", "--no-such-flag"), ("run", "stray"), ("run", "--poll.interval"), ("once", "--web.listen")],
    ids=" ".join,
)
def test_each_bad_command_line_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    assert refused(*arguments).strip()


def test_user_info_of_a_bad_address_is_not_shown() -> None:
    assert "canary-password" not in refused("run", "--milvus.uri", "ftp://root:canary-password@milvus:19530")


def test_version_and_help_are_no_mistakes() -> None:
    for arguments in (("version",), ("--help",), ("run", "--help")):
        done = call(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
