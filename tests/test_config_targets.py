"""Several Milvus in one file, and which of them are this process's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_config import CANARY, HERE, faults, loaded, written

from exporter.config import Settings, effective
from exporter.config.keys import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

OK = HERE / "targets.ok.yaml"
TWO = "targets:\n  a: {milvus: {uri: 'http://a'}}\n  b: {milvus: {uri: 'http://b'}, poll: {interval: 5s}}\n"


def test_the_settings_in_force_name_each_target_by_what_differs() -> None:
    shown = effective(loaded(file=OK))
    assert shown == (HERE / "targets.effective.txt").read_text(encoding="utf-8")
    assert "CANARY" not in shown + effective(loaded(file=OK), one_line=True)


def test_what_is_in_force_reads_back_as_the_same_targets(tmp_path: Path) -> None:
    plain = OK.read_text().replace("reader:CANARY@", "").replace("      token: CANARY\n", "")
    settings = loaded(file=written(tmp_path, plain))
    again = loaded(file=written(tmp_path, effective(settings)))
    assert effective(again) == effective(settings)
    for name, target in settings.targets.items():
        assert again.targets[name].watches_like(target)


def test_one_milvus_is_a_target_without_a_name() -> None:
    settings = Settings()
    assert settings.by_target() == {"": settings}


def test_what_is_set_for_all_holds_for_a_target_key_by_key() -> None:
    targets = loaded(file=OK).by_target()
    quick, production = targets["quick"], targets["production-eu_1"]
    assert (quick.poll.interval, quick.poll.timeout, quick.poll.stale_after) == (2, 1, 60)
    assert (production.poll.interval, production.poll.timeout) == (20, 5)
    assert [pattern.pattern for pattern in quick.filters.databases.exclude] == ["tmp"]
    assert [pattern.pattern for pattern in production.filters.databases.exclude] == ["scratch"]
    assert quick.freshness.max_age_for("archive", "x") is None
    assert production.freshness.max_age_for("x", "x") == 26 * 3600


def test_a_flag_for_all_holds_for_targets_that_say_nothing_themselves(tmp_path: Path) -> None:
    """A target is more particular than a flag, which is about all of them."""
    settings = loaded("--poll.interval", "7s", file=written(tmp_path, TWO))
    assert {name: target.poll.interval for name, target in settings.targets.items()} == {"a": 7, "b": 5}


def test_credentials_of_one_milvus_never_become_anothers(tmp_path: Path) -> None:
    """Whatever is said of `milvus` beside targets is a fault, wherever it is said."""
    found = faults("--milvus.uri", "http://x", environ={"MILVUS_TOKEN": CANARY}, file=written(tmp_path, TWO))
    assert sorted(found) == [
        "--milvus.uri: milvus.uri: has no effect with targets; set targets.NAME.milvus.uri",
        "MILVUS_TOKEN: milvus.token: has no effect with targets; set targets.NAME.milvus.token",
    ]


def test_each_target_has_a_state_file_of_its_own(tmp_path: Path) -> None:
    for path, expected in (
        ("s.db", ["s.a.db", "s.b.db"]),
        ("s", ["s.a.db", "s.b.db"]),
        ("s.x.y", ["s.x.a.y", "s.x.b.y"]),
    ):
        settings = loaded("--state.path", str(tmp_path / path), file=written(tmp_path, TWO))
        assert [str(target.state.path) for target in settings.targets.values()] == [
            str(tmp_path / name) for name in expected
        ]


def test_a_fault_for_all_targets_is_told_once(tmp_path: Path) -> None:
    assert len(faults("--limits.max-sources", "0", file=written(tmp_path, TWO))) == 1


def test_nothing_said_of_targets_is_one_milvus(tmp_path: Path) -> None:
    assert loaded(file=written(tmp_path, "targets: null\n")).targets == {}


def test_files_of_a_target_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    settings = loaded(file=written(tmp_path, "targets: {a: {milvus: {uri: 'http://a', token_file: token}}}"))
    assert settings.targets["a"].milvus.token_file == tmp_path / "token"


def test_targets_have_neither_flag_nor_variable() -> None:
    assert faults("--targets=x") == ("--targets: has no flag; set targets in the file",)
    name = f"{PREFIX}TARGETS__A__MILVUS__URI"
    assert faults(environ={name: CANARY}) == (f"{name}: has no environment variable; set targets in the file",)


@pytest.mark.parametrize("name", ["a", "A-b_9", "0", "x" * 63])
def test_a_name_can_be_part_of_a_label_a_query_and_a_file_name(name: str, tmp_path: Path) -> None:
    assert list(loaded(file=written(tmp_path, f"targets: {{{name}: {{milvus: {{uri: 'http://a'}}}}}}")).targets) == [
        name
    ]


@pytest.mark.parametrize("name", ["''", "-a", "a-", "a.b", "a b", "ä", "../a", "x" * 64, '"a\\0"', "a/b"])
def test_a_name_that_cannot_is_a_fault(name: str, tmp_path: Path) -> None:
    (fault,) = faults(file=written(tmp_path, f"targets: {{{name}: {{milvus: {{uri: 'http://a'}}}}}}"))
    assert fault.endswith("is no name of a target; write at most 63 letters and digits, with - and _ between them")
    assert fault.isprintable()


# Sharing


@pytest.mark.parametrize(
    ("host", "flags", "index"),
    [
        ("laptop-7", ["--shard.total=1"], 0),
        ("exporter-2", ["--shard.total=3"], 2),
        ("exporter-2", ["--shard.total=3", "--shard.index=0"], 0),
        ("laptop", ["--shard.total=3", "--shard.index=1"], 1),
    ],
)
def test_the_number_of_a_statefulsets_pod_is_its_share(
    host: str, flags: list[str], index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert loaded(*flags, file=written(tmp_path, TWO)).shard.index == index


@pytest.mark.parametrize(
    ("host", "flags", "fault"),
    [
        ("laptop", ["--shard.total=3"], "needs shard.index: the host name does not end in a number"),
        ("exporter-3", ["--shard.total=3"], "is not above 3, the number that ends the host name"),
        ("exporter-3", ["--shard.total=3", "--shard.index=3"], '"3" is not below shard.total, 3'),
        ("exporter", ["--shard.index=1"], '"1" is not below shard.total, 1'),
        ("exporter-0", ["--shard.total=0"], '"0" is not a whole number from 1'),
        ("exporter-0", ["--shard.index=-1"], '"-1" is not a whole number from 0 on'),
    ],
)
def test_a_share_that_nobody_can_have_is_a_fault(
    host: str, flags: list[str], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that take the same share would both poll it, and nobody another one."""
    monkeypatch.setattr("socket.gethostname", lambda: host)
    (found,) = faults(*flags, file=written(tmp_path, TWO))
    assert fault in found


def test_sharing_without_targets_is_a_fault() -> None:
    environ: Mapping[str, str] = {PREFIX + "SHARD__TOTAL": "2", PREFIX + "SHARD__INDEX": "0"}
    assert faults(environ=environ) == (f"{PREFIX}SHARD__TOTAL: shard.total: has no effect without targets",)
