"""The flags of ``jobs``: what they let through, and what is said of those that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import NOON, completed, failed
from terminal_views import listing, ordinary, plain_lines, seen

from exporter.cli import Exit, build_parser, main
from exporter.errors import UsageError
from exporter.model import Collection, State
from exporter.terminal.choice import ROWS, Choice, choice_of


def chosen(*flags: str) -> Choice:
    return choice_of(build_parser().parse_args(["jobs", *flags]))


def test_nothing_said_is_a_table_of_fifty_and_everything_elsewhere() -> None:
    choice = chosen()
    assert (choice.form, choice.watch, choice.failed) == (None, False, False)
    assert (choice.most("table"), choice.most("plain"), choice.most("json")) == (ROWS, None, None)


def test_a_limit_holds_in_every_form_and_all_lifts_it() -> None:
    assert [chosen("--limit", "3").most(form) for form in ("table", "plain", "json")] == [3, 3, 3]
    assert chosen("--all").most("table") is None


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--output", "yaml"), "--output: 'yaml' is not one of table, plain, json"),
        (("--limit", "0"), "--limit: '0' is no whole number from 1 to 1000000"),
        (("--limit", "-1"), "--limit: '-1' is no whole number from 1 to 1000000"),
        (("--limit", "1e3"), "--limit: '1e3' is no whole number from 1 to 1000000"),
        (("--limit", "9" * 30), f"--limit: '{'9' * 30}' is no whole number from 1 to 1000000"),
        (("--limit", "\u0663"), "--limit: '\u0663' is no whole number from 1 to 1000000"),
        (("--limit", "3", "--all"), "--limit: has no effect with --all; give one of them"),
    ],
)
def test_a_flag_that_makes_no_sense_is_named(flags: tuple[str, ...], told: str) -> None:
    given = [f"{flags[0]}={flags[1]}", *flags[2:]]  # argparse takes -1 for a flag otherwise
    with pytest.raises(UsageError) as error:
        chosen(*given)
    assert error.value.faults == (told,)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(UsageError) as error:
        chosen("--output", "yaml", "--limit", "no")
    assert len(error.value.faults) == 2


def test_usage_faults_end_with_2_before_milvus_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "--output", "ya\x1b[31mml"]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("milvus-refresh-exporter: --output: 'ya")


def test_a_milvus_that_cannot_be_asked_ends_with_1_and_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Also with ``--watch``: a wrong address is a mistake, not an outage."""
    for more in ([], ["--watch"], ["--output", "json"]):
        assert main(["jobs", "--milvus.uri", "http://127.0.0.1:1", "--poll.interval", "1s", *more]) == Exit.BAD
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("milvus-refresh-exporter: Milvus cannot be reached. UNAVAILABLE: ")
        assert err.endswith("(unreachable); try: milvus-refresh-exporter check\n")
        assert err.count("\n") == 1


def test_of_several_targets_one_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "several.yaml"
    file.write_text("targets: {a: {milvus: {uri: 'http://127.0.0.1:1'}}, b: {milvus: {uri: 'http://127.0.0.1:2'}}}")
    assert main(["jobs", "--config.file", str(file)]) == Exit.USAGE
    assert "--target: is missing" in capsys.readouterr().err
    assert main(["jobs", "--config.file", str(file), "--target", "c"]) == Exit.USAGE
    assert "--target: no target of this name" in capsys.readouterr().err
    assert main(["jobs", "--config.file", str(file), "--target", "b", "--poll.interval", "1s"]) == Exit.BAD
    assert "127.0.0.1:2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ({}, [31, 21, 11, 41, 30]),
        ({"failed": True}, [31, 30]),
        ({"databases": ("lake",)}, [21, 11]),
        ({"databases": ("l*", "m?")}, [21, 11, 41]),
        ({"collections": ("customers",)}, [31, 30]),
        ({"collections": ("Customers",)}, []),
        ({"collections": ("custom",)}, []),
        ({"databases": ("lake",), "collections": ("c*",)}, [21]),
    ],
)
def test_filters_match_whole_names_and_keep_the_order(choice: dict[str, object], ids: list[int]) -> None:
    found = seen(ordinary(), **choice)
    assert [job.job_id for _, job in found.rows] == ids
    assert found.total == len(ids)


def test_counts_are_of_the_chosen_collections_whatever_is_shown_of_them() -> None:
    found = seen(ordinary(), failed=True, most=1, databases=("crm", "lake"))
    assert len(found.rows) == 1
    assert found.total == 2
    assert found.collections == 3
    assert found.states == {State.FAILED: 2, State.IN_PROGRESS: 1, State.COMPLETED: 1}


def test_a_collection_that_is_left_out_is_not_named_among_the_failing() -> None:
    assert seen(ordinary()).failing
    assert not seen(ordinary(), databases=("lake",)).failing


def test_a_name_and_its_successor_are_one_collection() -> None:
    jobs = ((Collection("a", "b", 8), completed(1, NOON)), (Collection("a", "b", 7), failed(2, NOON)))
    found = seen(listing(jobs=jobs))
    assert found.collections == 1
    assert plain_lines(found)[0] == "# 2 jobs in 1 collection as of 2026-09-21T14:13:20Z: 1 failed, 1 completed"
