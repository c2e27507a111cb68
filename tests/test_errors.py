"""The error tree as a closed list: each leaf one sentence, each kind one label value."""

from __future__ import annotations

import re

import pytest

from exporter import errors

# The table of kinds in the metric contract, in its order. A new kind is a new label value: a promise to users.
CONTRACT = (
    "unreachable",
    "tls",
    "deadline",
    "not_ready",
    "rate_limited",
    "unauthenticated",
    "permission_denied",
    "unimplemented",
    "response_too_large",
    "bad_response",
    "server_error",
    "internal",
)
LEAVES = errors.leaves()


def test_the_kinds_are_exactly_those_of_the_metric_contract() -> None:
    assert errors.KINDS == CONTRACT


def test_leaves_reach_below_leaves() -> None:
    assert {errors.Unreachable, errors.CollectionGone, errors.TLSFilesUnusable} <= set(LEAVES)
    assert errors.MilvusError not in LEAVES
    assert len(set(LEAVES)) == len(LEAVES)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_each_leaf_is_one_sentence_and_one_kind_of_the_contract(leaf: type[errors.MilvusError]) -> None:
    assert leaf.kind in CONTRACT
    assert re.fullmatch(r"[A-Z][^.]*\.", leaf.sentence)
    assert "sentence" in vars(leaf), "its own, not its parent's"
    assert [other for other in LEAVES if other.sentence == leaf.sentence] == [leaf]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_a_refinement_keeps_its_parents_kind(leaf: type[errors.MilvusError]) -> None:
    for parent in leaf.__mro__[1:]:
        if parent in LEAVES:
            assert leaf.kind == parent.kind


def test_the_text_is_the_sentence_and_then_the_detail() -> None:
    assert str(errors.Unreachable("UNAVAILABLE: refused")) == "Milvus cannot be reached. UNAVAILABLE: refused"
    assert str(errors.Unreachable()) == "Milvus cannot be reached."


def test_an_error_knows_milvus_code_and_detail() -> None:
    error = errors.ServerFault("Status 5: broken", code=5)
    assert (error.code, error.detail) == (5, "Status 5: broken")
    assert errors.ServerFault().code == 0


@pytest.mark.parametrize("code", [5, 65535, 1100, 1101])
def test_these_four_codes_may_mean_one_broken_job(code: int) -> None:
    assert errors.ServerFault(code=code).may_be_one_broken_job


@pytest.mark.parametrize("code", [0, 1, 3, 6, 100, 105, 800, 1102, 65534, -5])
def test_no_other_code_may_mean_one_broken_job(code: int) -> None:
    assert not errors.ServerFault(code=code).may_be_one_broken_job


def test_a_usage_error_carries_every_fault_and_prints_one_a_line() -> None:
    error = errors.UsageError(("first", "second"))
    assert error.faults == ("first", "second")
    assert str(error) == "first\nsecond"
    assert not isinstance(error, errors.MilvusError)
