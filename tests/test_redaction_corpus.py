"""Redaction against texts as other software writes them: with secrets planted in them, and harmless.

``tests/data/redaction/README.md`` says where the texts come from.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
import re
from collections import Counter
from typing import Any

import pytest
from redaction_texts import DATA, HARMLESS, SECRETS, parts

from exporter import redaction
from exporter.redaction import RULES, brands, keys, rules, safe_reason, safe_source
from exporter.redaction.uris import strip_word

MOST_HURT = 0.02


def shown(entry: dict[str, Any]) -> list[str]:
    """Return all that is shown of a text: as a reason, and as a source if it can be one."""
    text = entry["text"]
    sources = [safe_source(text, "path"), safe_source(text, "bucket")] if entry.get("source") else []
    return [safe_reason(text), *sources]


def is_hurt(entry: dict[str, Any]) -> bool:
    """Whether more is gone than white space and the user info, query and fragment of URIs."""
    text = entry["text"]
    if entry.get("source") and safe_source(text) != text:
        return True
    return safe_reason(text) != " ".join(strip_word(word) for word in text.split())


def test_the_corpus_is_large_and_most_of_it_is_not_of_our_own_making() -> None:
    assert len(SECRETS) >= 600
    assert len(HARMLESS) >= 150
    assert {entry["kind"] for entry in SECRETS} == {"keyword", "brand", "uri", "dump"}
    for corpus in (SECRETS, HARMLESS):
        assert len({entry["text"] for entry in corpus}) == len(corpus)
        assert Counter(entry["how"] for entry in corpus)["own"] < 0.3 * len(corpus)


def test_a_planted_secret_would_be_seen_if_nothing_hid_it() -> None:
    for entry in SECRETS:
        assert parts(entry["canary"])
        assert all(part in entry["text"].lower() for part in parts(entry["canary"])), entry


@pytest.mark.parametrize("kind", ["keyword", "brand", "uri", "dump"])
def test_no_secret_is_shown_that_something_announces(kind: str) -> None:
    leaks = [
        (entry["text"], text)
        for entry in SECRETS
        if entry["kind"] == kind
        for text in shown(entry)
        if any(part in text.lower() for part in parts(entry["canary"]))
    ]
    assert not leaks


def test_harmless_texts_stay_as_they_are() -> None:
    hurt = [entry["text"] for entry in HARMLESS if is_hurt(entry)]
    assert len(hurt) <= MOST_HURT * len(HARMLESS), hurt


def test_a_safe_text_passes_unchanged() -> None:
    """The memory and the state file are cleaned again when they are loaded."""
    for entry in (*SECRETS, *HARMLESS):
        reason = safe_reason(entry["text"])
        assert safe_reason(reason) == reason
        for style in ("path", "bucket"):
            source = safe_source(entry["text"], style)
            assert safe_source(source, style) == source


def test_every_key_word_is_found_by_the_quick_look() -> None:
    for word in (*keys.KEY_WORDS, *keys.SHORT_KEY_WORDS):
        for joint in ("_", "", "-", ".", " "):
            name = word.replace("_", joint)
            assert keys.may_hold_key(name), name
            assert keys.KEY.fullmatch(name), name


def test_every_brand_is_in_the_corpus() -> None:
    """A pattern that matches nothing that its vendor writes would be worth nothing."""
    texts = "\n".join(entry["text"] for entry in SECRETS)
    unseen = [form for form in brands.BRANDS if not re.search(f"(?<![A-Za-z0-9]){form}", texts)]
    assert len(unseen) <= len(brands.BRANDS) // 4, unseen


def test_the_name_of_the_rules_changes_with_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rules.name_of_rules() == RULES
    monkeypatch.setattr(keys, "KEY", re.compile(keys.KEY.pattern + "|pin", keys.KEY.flags))
    assert rules.name_of_rules() != RULES


def test_the_name_of_the_rules_covers_every_module() -> None:
    modules = {info.name for info in pkgutil.iter_modules(redaction.__path__)} - {"rules"}
    assert {module.__name__.rpartition(".")[2] for module in rules.MODULES} == modules


def test_the_name_of_the_rules_changes_when_a_text_is_shown_differently() -> None:
    """What the corpus became is kept with the name of the rules that made it so.

    After a change on purpose: raise ``_REVISION`` unless a pattern has changed, and write down the new pair.
    """
    became = hashlib.sha256("\0".join(text for entry in (*SECRETS, *HARMLESS) for text in shown(entry)).encode())
    kept = json.loads((DATA / "rules.json").read_text(encoding="utf-8"))
    assert {"rules": RULES, "shown": became.hexdigest()} == kept
