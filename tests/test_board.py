"""The listing as it stands: where each job is, and when it was last seen to change."""

from __future__ import annotations

import pytest
from builders import NOON, collection, job, no_end

from exporter.ledger import Board
from exporter.model import State

DOCS, IMAGES = collection("docs"), collection("images", collection_id=8)


def test_a_job_is_found_where_it_was_put() -> None:
    board = Board()
    board.put([(job(1), DOCS)], NOON)
    assert board.job(1) == (job(1), DOCS)
    assert 1 in board
    assert len(board) == 1
    assert board.ids(DOCS) == board.all_ids() == {1}


def test_an_unknown_id_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Board().job(1)


@pytest.mark.parametrize("change", [{"state": State.IN_PROGRESS}, {"progress": 0.75}])
def test_a_change_of_state_or_progress_is_stamped(change: dict[str, object]) -> None:
    board = Board()
    board.put([(job(1, State.PENDING), DOCS)], NOON)
    board.put([(job(**({"job_id": 1, "state": State.PENDING} | change)), DOCS)], NOON + 30)  # type: ignore[arg-type]
    assert board.groups[DOCS].changed[1] == NOON + 30


def test_a_new_reason_is_no_change_of_state_or_progress() -> None:
    """A stuck job stays stuck, however often its text is rewritten."""
    board = Board()
    board.put([(job(1, State.PENDING), DOCS)], NOON)
    board.put([(job(1, State.PENDING, reason="still retrying"), DOCS)], NOON + 30)
    assert board.groups[DOCS].changed[1] == NOON
    assert board.job(1)[0].reason == "still retrying"


def test_a_job_keeps_its_last_change_when_it_moves() -> None:
    board = Board()
    board.put([(job(1), DOCS)], NOON)
    assert board.move(1, IMAGES) == DOCS
    assert board.job(1)[1] == IMAGES
    assert board.groups[IMAGES].changed[1] == NOON
    assert DOCS not in board.groups


def test_a_job_put_elsewhere_leaves_where_it_was() -> None:
    board = Board()
    board.put([(job(1), DOCS)], NOON)
    board.put([(job(1), IMAGES)], NOON + 30)
    assert board.ids(DOCS) == frozenset()
    assert board.groups[IMAGES].changed[1] == NOON


def test_moving_what_is_not_listed_says_so() -> None:
    board = Board()
    assert board.move(1, DOCS) is None
    assert board.groups == {}


def test_a_removed_job_leaves_nothing() -> None:
    board = Board()
    board.put([(job(1), DOCS)], NOON)
    assert board.remove(1) == DOCS
    assert board.remove(1) is None
    assert board.groups == {}
    assert len(board) == 0


def test_every_change_marks_its_collections() -> None:
    """Rows are made anew for these alone."""
    board = Board()
    board.put([(job(1), DOCS)], NOON)
    assert board.dirty == {DOCS}
    board.dirty.clear()
    board.move(1, IMAGES)
    assert board.dirty == {DOCS, IMAGES}
    board.dirty.clear()
    board.remove(1)
    assert board.dirty == {IMAGES}


def test_an_end_that_the_record_lacks_is_filled_in() -> None:
    board = Board()
    board.put([(no_end(1, State.FAILED, half_written=True), DOCS)], NOON)
    board.dirty.clear()
    board.set_end(1, NOON + 30)
    assert board.dirty == {DOCS}
    made, _ = board.job(1)
    assert made.end == NOON + 30
    assert not made.half_written


def test_a_whole_listing_covers_every_collection() -> None:
    board = Board()
    board.put([(job(1), DOCS)], NOON)
    board.groups[DOCS].listed = 50.0
    board.whole = 40.0
    assert board.listed_at(DOCS) == 50.0
    assert board.listed_at(IMAGES) == 40.0
