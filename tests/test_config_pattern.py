"""Regular expressions: linear in time, whole names, and nothing that Python took for something else."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_config import faults, loaded

from exporter.config.pattern import parse_pattern

LOOK_AROUND = "has a look-around"
POSSESSIVE = "has a possessive quantifier or an atomic group"
BACKREFERENCE = "has a backreference or an octal number"
FLAG = "has a flag that RE2 does not have; of Python's there are i, m and s"
UNBOUNDED = "has a repetition without a lower bound, which RE2 takes literally; write {0,N}"


def refusal(pattern: str) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        parse_pattern(pattern)
    return str(caught.value)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "([a-z]+)*_", "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)b"])
def test_no_pattern_stops_the_process(pattern: str) -> None:
    """Python's own engine needs years for these. A process of its own, since none could be stopped by a thread."""
    code = f"from exporter.config.pattern import parse_pattern; print(parse_pattern({pattern!r}).matches('a' * 40))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a", "ba", False),
        ("a|ab", "ab", True),
        ("a|b|", "", True),
        ("(?i)orders", "ORDERS", True),
        (r"tmp_\d+", "tmp_12", True),
        (r"\w+", "größe", False),
        (r"\w+", "groesse", True),
        (".", "ö", True),
        ("[ä-ü]", "ö", True),
        (r"\x{F6}", "ö", True),
        ("a$", "a\n", False),
    ],
)
def test_the_whole_name_must_match(pattern: str, name: str, matches: bool) -> None:
    assert parse_pattern(pattern).matches(name) is matches


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?!test_).*", LOOK_AROUND),
        ("(?=a).*", LOOK_AROUND),
        ("a(?<=a)b", LOOK_AROUND),
        ("a(?<!b)", LOOK_AROUND),
        (r"(a)\1", BACKREFERENCE),
        (r"(?P<x>a)(?P=x)", BACKREFERENCE),
        (r"\101", BACKREFERENCE),
        (r"[\101]", BACKREFERENCE),
        ("a++", POSSESSIVE),
        ("a*+", POSSESSIVE),
        ("a?+", POSSESSIVE),
        ("a{2}+", POSSESSIVE),
        ("(?>a|ab)", POSSESSIVE),
        ("(a)?(?(1)b|c)", "has a condition"),
        ("(?#name)a", "has a comment"),
        ("(?x)a b", FLAG),
        ("(?a)a", FLAG),
        ("(?u:a)", FLAG),
        ("(?i-x:a)", FLAG),
        ("a{,3}", UNBOUNDED),
        ("a{,}", UNBOUNDED),
        ("a{99999999999999999999}", "repeats more than 1000 times"),
        (r"a\Z", r"has \Z, which RE2 does not have; leave it out, the whole name must match anyway"),
        (r"\N{DIGIT ONE}", r"has \N, \u or \U"),
        ("\\u0061", r"has \N, \u or \U"),
        ("[[:alpha:]]", "has a class such as [:alpha:]"),
        ("[_[:^digit:]x]", "has a class such as [:alpha:]"),
    ],
)
def test_what_was_python_s_is_refused_by_name_with_what_to_write(pattern: str, why: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(OverflowError):
            re.compile(pattern)  # Python takes it, which is why it has to have a name
    assert refusal(pattern).startswith(why)


@pytest.mark.parametrize(
    "pattern",
    [r"a\\1", r"\++", "[+]+", "a}+", "[{,3}]", r"\{,3}", "(?P<n>a)+", "(?:a+)+", "[]:alpha:]", "[a:]", "(?im-s:a)"],
)
def test_what_only_looks_like_it_is_taken(pattern: str) -> None:
    assert parse_pattern(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", ["(", "*", "[", "a{1001}", "(?P<n", "((a{100}){100}){100}", "a\\"])
def test_a_pattern_that_cannot_be_compiled_is_a_fault_and_nothing_else_is_said(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (fault,) = faults(f"--filters.databases.include={pattern}")
    assert "is not a regular expression (RE2): " in fault
    assert capfd.readouterr().err == ""


def test_equal_patterns_are_equal_settings() -> None:
    """A reload leaves alone what has not changed."""
    one, other = (loaded("--filters.collections.exclude=a.*").filters for _ in range(2))
    assert one == other != loaded("--filters.collections.exclude=b.*").filters


# Against Python's engine, on names as Milvus has them

ATOMS = st.sampled_from(
    [
        *("a", "b", "_", "7", "B", ".", "^", "$", "{", "}", "]", "a{", "a{1", "#"),
        *(r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B", r"\A", r"\.", r"\_", r"\-", r"\$", r"\++"),
        *("[ab]", "[^ab]", "[a-z_]", r"[\d_]", r"[\w-]", "[]a]", "[[a]", "[a&&b]", "[+]", "[[:alpha:]]"),
        *("(?i)", "(?i:a)", "(?-i:b)", "(?s:.)", "(?m:^)", r"\x61", r"\0", r"\07", r"\1", "{,2}"),
    ]
)
QUANTIFIERS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "{0}", "*?", "+?", "??", "{1,2}?", "{,2}", "{,}"])
PATTERNS = st.recursive(
    ATOMS,
    lambda below: st.one_of(
        st.builds(str.__add__, below, below),
        st.builds("({}|{})".format, below, st.one_of(below, st.just(""))),
        st.builds("(?:{}){}".format, below, QUANTIFIERS),
        st.builds("(?P<n>{})".format, below),
        st.builds(str.__add__, below, QUANTIFIERS),
    ),
    max_leaves=6,
)
NAMES = st.text("abB_7$", min_size=1, max_size=6)


@given(PATTERNS, st.lists(NAMES, min_size=5, max_size=10))
@settings(max_examples=500)
def test_a_pattern_that_both_engines_take_means_the_same(pattern: str, names: list[str]) -> None:
    """Nobody's old filter changes what it lets through; where it would, it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            before = re.compile(pattern)
        except re.error:
            return
    with suppress(ValueError):
        now = parse_pattern(pattern)
        assert [now.matches(name) for name in names] == [before.fullmatch(name) is not None for name in names]
