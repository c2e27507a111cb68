"""Redaction and classification over texts that nobody has thought of: composed, escaped, disguised and cut."""

# ruff: noqa: RUF001

from __future__ import annotations

from typing import Any

import pytest
from canaries import REASONS, SOURCES, WORDS, plant
from fuzz import seeds, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.milvus import redact, secrets_patterns
from exporter.milvus.disguise import plain_keys, undisguise
from exporter.milvus.reasons import classify
from exporter.milvus.redact import safe_reason, safe_source
from exporter.milvus.secrets_patterns import SHORTEST_RANDOM, mask_keyed

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
        "＠",
        "？",
        "“",
        "ｋｅｙ",
        "х",
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


@given(ANY_TEXT)
def test_plain_keys_keep_every_place(raw: str) -> None:
    """What is found in the plain text is hidden in the other one, by its place."""
    assert len(plain_keys(raw)) == len(raw)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="%&\\+")))
def test_plain_text_is_no_disguise(raw: str) -> None:
    assert undisguise(raw) == plain_keys(raw) == raw


@given(ANY_TEXT)
def test_a_text_in_plain_has_no_white_space_that_was_escaped(raw: str) -> None:
    """It would end a value, and let out what follows it."""
    assert undisguise(raw).count(" ") <= sum(not char.isascii() or char.isspace() for char in raw) * 20


# Bounds on the work.


@pytest.mark.parametrize("unit", seeds._UNITS)
def test_the_time_a_text_takes_grows_as_its_length(unit: str) -> None:
    """Of CPU, against a quarter of the same text. The fuzzer looks for other pieces."""
    targets.repeated(unit.encode())


class Counting:
    """A pattern that counts how often it is searched for."""

    def __init__(self, pattern: Any) -> None:
        self.pattern, self.searches = pattern, 0

    def search(self, text: str, at: int) -> Any:
        self.searches += 1
        return self.pattern.search(text, at)


@pytest.mark.parametrize("unit", ["sig=", "sig= ", 'token:"', "password is x1 ", "key_key=", "-p "])
def test_a_text_of_nothing_but_keys_is_not_searched_again_for_each_of_them(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(secrets_patterns._keyed())
    monkeypatch.setattr(secrets_patterns, "_keyed", lambda: counting)
    assert len(mask_keyed(unit * 2000)) < 20_000
    assert counting.searches <= secrets_patterns._MOST_KEYS + 1


@pytest.mark.parametrize(
    "unit", ["password%253D", "FFI operation failed: ", "a@b ", "{", "&amp;#61;", "worker failure 1/1: x"]
)
def test_a_text_is_gone_over_a_bounded_number_of_times(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    once = redact._safe_reason_once
    monkeypatch.setattr(redact, "_safe_reason_once", lambda text: (rounds.append(len(text)), once(text))[1])
    safe_reason(unit * 5000)
    assert 1 < len(rounds) <= redact._ROUNDS + 1
    assert max(rounds[1:]) <= redact.MAX_REASON_CHARS, "all but the first round see what is shown"
