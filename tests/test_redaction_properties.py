"""Redaction and classification over texts that nobody has thought of: composed, escaped and cut."""

# ruff: noqa: RUF001

from __future__ import annotations

from typing import Any

import pytest
from canaries import REASONS, SOURCES, WORDS, plant
from fuzz import seeds, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.milvus.reasons import classify
from exporter.redaction import clauses, lines, reasons, safe_reason, safe_source, sources
from exporter.redaction.clauses import hide_values
from exporter.redaction.escapes import unescaped
from exporter.redaction.random_runs import SHORTEST_RANDOM

PIECES = (
    *"@?#/\\ \n\t\"'{}[]()<>=:;,&%+|␣…*-_.éя",
    *(
        "s3://",
        "%40",
        "%3D",
        "%253A",
        "&#61;",
        "&quot;",
        "\\u003d",
        "\\x3a",
        "\\n",
        "＝",
        "：",
        "“",
        "@2026/",
    ),
    *("password", "token=", "secret_key", "Bearer ", "-----BEGIN ", "-----END x-----", "map[", "is ", "value", " -u "),
    *("worker failure 1/2: ", "FFI operation failed: ", "Backtrace:", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.a"),
)
ANY_TEXT = st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=50).map("".join)
PLANTED = st.builds(plant, st.sampled_from(SOURCES + REASONS), st.sampled_from([word.format(17) for word in WORDS]))


@pytest.mark.parametrize(
    "text",
    [
        "Bearer: password⁚ {}, x",
        "Bearer password ‘{}’ does not match",
        "token password is {}1!",
        "secret=a;password= {}",
        '<credentials user="x" password="{}"/>: access denied',
        "token: token: {}",
        "Authorization: password: {}",
        "token: Cookie: session={}; Path=/",
        "password: x and password:\n\n\n{}",
        "secret key: <name>fs.s3a.secret.key</name>\n  <value>{}</value>",
        'token: <SecretAccessKey xmlns="http://s3">{}</SecretAccessKey>',
        'password="x"/>\n<add key="StorageAccountKey" value="{}"/>',
        "password: key: access_key_value, value: {}",
        "token: password&equals;{}: no",
        "credentials=root/{}\t=, no",
        "Bearer\tBasic      {}",
        "'uri': 'http://catalog:8181'; apikey = @\"{}\"",
    ],
)
def test_a_key_that_stands_in_the_value_of_another_still_guards_its_own(text: str) -> None:
    """Found by fuzzing: what hides the first value must not hide the key before the second one."""
    assert "canary" not in safe_reason(text.replace("{}", "hunter2canary"))


@given(st.binary(min_size=1, max_size=24))
@settings(max_examples=300)
def test_no_secret_survives_any_composition_of_known_shapes(data: bytes) -> None:
    targets.canaries(data)


@given(PLANTED, st.sampled_from(["", "/x", "/é" * 300, "?x=1", " and more"]))
@settings(max_examples=200)
def test_no_secret_survives_in_a_source_whatever_follows(planted: Any, after: str) -> None:
    if planted.text in {plant(text, word.format(17)).text for text in SOURCES for word in WORDS}:
        assert not planted.seen_in(safe_source(planted.text + after))


@given(PLANTED, st.integers(0, 400))
@settings(max_examples=200)
def test_a_text_that_is_cut_off_shows_at_most_the_first_few_characters_of_what_was_cut(
    planted: Any, length: int
) -> None:
    """Of a secret that only its own form tells from a word, less than that form needs can be seen at the very end."""
    assert not planted.seen_in(safe_reason(planted.text[:length])[: -(SHORTEST_RANDOM - 1)])


@given(ANY_TEXT)
def test_a_safe_text_is_one_bounded_line_and_is_left_alone(raw: str) -> None:
    targets.redact(raw.encode("utf-8", "surrogatepass"))


@given(ANY_TEXT)
def test_any_text_has_one_class_and_always_the_same(raw: str) -> None:
    targets.reasons(raw.encode("utf-8", "surrogatepass"))


@given(ANY_TEXT, st.sampled_from([" ", "\n", "\t  "]))
def test_blanks_around_a_text_change_no_class(raw: str, blanks: str) -> None:
    assert classify(blanks + raw + blanks) == classify(raw)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="%&\\+")))
def test_plain_text_has_no_escapes(raw: str) -> None:
    assert unescaped(raw) == raw


# Bounds on the work.


@pytest.mark.parametrize("unit", seeds._UNITS)
def test_the_time_a_text_takes_grows_as_its_length(unit: str) -> None:
    """Of CPU, against a quarter of the same text. The fuzzer looks for other pieces."""
    targets.repeated(unit.encode())


class Counting:
    """A pattern that counts what it has found."""

    def __init__(self, pattern: Any) -> None:
        self.pattern, self.seen = pattern, 0

    def finditer(self, text: str, *bounds: int) -> Any:
        for found in self.pattern.finditer(text, *bounds):
            self.seen += 1
            yield found


LONG = 64 * 1024
KEYS = ("sig=", "sig= ", 'token:"', "password is x1 ", "token=(", "sig='a, b=", "(sk=)", "password=[{(", "secret ")


@pytest.mark.parametrize("unit", KEYS)
def test_a_text_of_nothing_but_keys_is_gone_over_once(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each key: a clause that has been gone over is not gone over for the keys inside it."""
    counting = Counting(clauses.MARK)
    monkeypatch.setattr(clauses, "MARK", counting)
    text = unit * (LONG // len(unit))
    hide_values(text)
    assert counting.seen <= 2 * len(text)


@pytest.mark.parametrize("unit", ["(", "[{(", "'\"", "(a, ", "[ '"])
def test_brackets_in_brackets_are_followed_only_so_deep(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sign is compared with all that are open around it."""
    deepest: list[int] = []
    turn = clauses._turn
    monkeypatch.setattr(clauses, "_turn", lambda stack, *mark: (turn(stack, *mark), deepest.append(len(stack))))
    hide_values(f"{unit * (LONG // len(unit))} password=x {unit * (LONG // len(unit))}")
    assert 0 < max(deepest) <= clauses._DEEPEST


@pytest.mark.parametrize("unit", ["(", "password=", "a://b@", "%2540", "{", "x "])
def test_of_a_long_text_no_rule_sees_more_than_a_window(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(hide: Any) -> Any:
        return lambda text: (seen.append(len(text)), hide(text))[1]

    monkeypatch.setattr(reasons, "hide_prose", counted(reasons.hide_prose))
    monkeypatch.setattr(sources, "_hide_in_path", counted(sources._hide_in_path))
    text = unit * (LONG // len(unit))
    safe_reason(text)
    safe_source(text)
    assert len(seen) > 1
    assert max(seen) <= reasons._WHOLE


@pytest.mark.parametrize(
    "unit", ["password%253D", "FFI operation failed: ", "a@b ", "{", "&amp;#61;", "worker failure 1/1: x"]
)
def test_a_text_is_gone_over_a_bounded_number_of_times(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    once = reasons._clean
    monkeypatch.setattr(reasons, "_clean", lambda text: (rounds.append(len(text)), once(text))[1])
    safe_reason(unit * 5000)
    assert 1 < len(rounds) <= lines._ROUNDS
    assert max(rounds[1:]) <= reasons.MAX_REASON_CHARS, "all but the first round see what is shown"
