"""Completion: scripts that the shells themselves take, and that know what the command line knows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from exporter import config
from exporter.cli import COMMANDS, PROGRAM, Exit, build_parser, main
from exporter.config.keys import KEYS
from exporter.terminal.completion import VALUES, script

SHELLS = ("bash", "zsh", "fish")
PROMPT = "PS1='rea''dy> '"  # what is typed is echoed, and must not look like the prompt itself
FUNCTION = "_shtab_milvus_refresh_exporter"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    files = {shell: folder / f"completion.{shell}" for shell in SHELLS}
    for shell, file in files.items():
        file.write_text(script(build_parser(), shell) + "\n", encoding="utf-8")
    return files


def shell(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def of_bash(file: Path, *typed: str, folder: Path | None = None) -> set[str]:
    """Return what bash offers for a line of which the last word is being typed."""
    words = " ".join(f"'{word}'" for word in (PROGRAM, *typed))
    asked = f"source '{file}'; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; {FUNCTION}"
    line = f"{asked}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        [shell("bash"), "--norc", "-c", line], capture_output=True, text=True, check=True, timeout=20, cwd=folder
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_takes_its_script(name: str, scripts: dict[str, Path]) -> None:
    options = ["-f"] if name == "zsh" else []
    done = subprocess.run(
        [shell(name), *options, "-n", str(scripts[name])], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SHELLS)
def test_the_command_prints_the_script(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", name]) == Exit.GOOD
    out = capsys.readouterr().out
    assert all(flag in out for flag in ("milvus.uri", "poll.interval", "watch"))
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("arguments", [["completion"], ["completion", "tcsh"]])
def test_another_shell_is_a_usage_fault(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE
    assert "shell" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("",), set(COMMANDS)),
        (("jo",), {"jobs"}),
        (("jobs", "--wat"), {"--watch"}),
        (("jobs", "--output", ""), {"table", "plain", "json"}),
        (("jobs", "--output", "j"), {"json"}),
        (("run", "--log.level", ""), {"debug", "info", "warning", "error"}),
        (("jobs", "--failed", "--inventory.enabled", "t"), {"true"}),
        (("completion", ""), set(SHELLS)),
        (("run", "--wat"), set()),
    ],
)
def test_bash_offers_what_can_follow(typed: tuple[str, ...], offered: set[str], scripts: dict[str, Path]) -> None:
    assert of_bash(scripts["bash"], *typed) == offered


def test_bash_offers_files_where_a_file_is_wanted(scripts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "exporter.yaml").touch()
    assert of_bash(scripts["bash"], "run", "--config.file", "exp", folder=tmp_path) == {"exporter.yaml"}


def test_tab_completes_in_a_bash_that_somebody_types_into(scripts: dict[str, Path]) -> None:
    typing = pexpect.spawn(shell("bash"), ["--norc", "--noprofile", "-i"], encoding="utf-8", timeout=20)
    try:
        typing.sendline(f"{PROMPT}; bind 'set enable-bracketed-paste off'; source '{scripts['bash']}'")
        typing.expect("ready> ")
        typing.send(f"{PROGRAM} jobs --out\t")
        typing.expect("--output ")
        typing.send("pl\t")
        typing.expect("ain ")
    finally:
        typing.close(force=True)


def test_fish_offers_what_can_follow(scripts: dict[str, Path]) -> None:
    asked = f"source '{scripts['fish']}'; complete -C '{PROGRAM} jobs --output '"
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", asked], capture_output=True, text=True, check=True, timeout=20
    )
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == {"table", "plain", "json"}


def test_tab_completes_in_a_zsh_that_somebody_types_into(scripts: dict[str, Path]) -> None:
    typing = pexpect.spawn(shell("zsh"), ["-f", "-i"], encoding="utf-8", timeout=20, dimensions=(24, 200))
    try:
        typing.sendline(f"{PROMPT}; autoload -Uz compinit && compinit -u -D && eval \"$(cat '{scripts['zsh']}')\"")
        typing.expect("ready> ")
        typing.send(f"{PROGRAM} jobs --out\t")
        typing.expect("--output")
        typing.send(" pl\t")
        typing.expect("plain")
    finally:
        typing.close(force=True)


def test_words_that_are_offered_are_those_that_the_configuration_takes() -> None:
    """It judges its values itself; the parser knows nothing of them."""
    wanted = {key.dotted for key in KEYS.values() if key.metavar in ("WORD", "BOOL") and key.flag}
    assert set(VALUES) == wanted | {"jobs_output"}
    for dotted in wanted:
        key = next(key for key in KEYS.values() if key.dotted == dotted)
        for value in VALUES[dotted]:
            namespace, unknown = build_parser().parse_known_args(["run", key.flag, value])
            config.load(namespace, unknown, {})


def test_flags_are_explained_in_one_short_sentence(scripts: dict[str, Path]) -> None:
    """A list of flags with a paragraph each is none."""
    lines = scripts["fish"].read_text(encoding="utf-8").splitlines()
    told = [line.split(" -d ", 1)[1] for line in lines if line.startswith("complete") and " -d " in line]
    assert told
    assert max(map(len, told)) < 130
