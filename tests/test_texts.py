"""The one door for texts that are remembered: whatever comes in later says no more than the settings in force allow."""

from __future__ import annotations

from collections.abc import Sequence

from builders import DAY, NOON, failed, job, job_row, outcome_row

from exporter.model import Collection, State
from exporter.snapshot import OTHER, CollectionRow, Snapshot
from exporter.summary import cleaned
from exporter.texts import Texts

DOCS = Collection("sales", "docs", 7)
NONE, BUCKET = Texts("none", "none"), Texts("bucket", "safe")
TROUBLE = failed(3, NOON, reason="403 for s3://lake/quarterly", source="s3://lake/quarterly")


def snapshot(counts: Sequence[tuple[str, tuple[int, int, int, int, int]]]) -> Snapshot:
    return Snapshot(
        now=NOON,
        jobs=(job_row(counts=tuple(counts), newest=job(1, State.PENDING, source="s3://lake/quarterly", end=None)),),
        outcomes=(outcome_row(trouble=TROUBLE),),
        collections=(CollectionRow(DOCS, "s3://lake/quarterly", NOON - DAY),),
        listed={DOCS: (TROUBLE,)},
    )


def test_nothing_of_a_text_is_left_where_none_may_be_shown() -> None:
    before = snapshot([("s3://lake/quarterly", (0, 0, 1, 0, 0))])
    assert "quarterly" in repr(before)
    after = repr(cleaned(before, NONE))
    assert "quarterly" not in after
    assert "403" not in after


def test_counts_of_sources_that_are_the_same_now_are_added_up() -> None:
    before = snapshot(
        [("s3://lake/a", (1, 0, 2, 0, 0)), ("s3://lake/b", (0, 0, 3, 1, 0)), ("s3://mine/b", (0, 0, 0, 0, 1))]
    )
    assert cleaned(before, BUCKET).jobs[0].counts == (
        ("s3://lake", (1, 0, 5, 1, 0)),
        ("s3://mine", (0, 0, 0, 0, 1)),
    )
    assert cleaned(before, NONE).states() == before.states()


def test_what_the_limits_have_folded_stays_what_it_is() -> None:
    counts = ((OTHER, (0, 0, 9, 0, 0)), ("s3://lake/a", (1, 0, 0, 0, 0)))
    assert cleaned(snapshot(counts), BUCKET).jobs[0].counts == (
        (OTHER, (0, 0, 9, 0, 0)),
        ("s3://lake", (1, 0, 0, 0, 0)),
    )
