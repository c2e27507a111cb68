"""Two listings side by side: what is named in neither list is the same bytes in both, whatever the order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import errors
from exporter.milvus.decode import ListingDecoder
from exporter.milvus.difference import difference
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.records import Record, Row, rows

NOW = 1_790_000_000.0


def records(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def many(first: int, last: int) -> list[bytes]:
    return records(*range(first, last, -1))


def named(old: list[bytes], new: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the records that are added and those that are removed."""
    found = difference(old, new)
    return [new[place] for place in found.added], [old[place] for place in found.removed]


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_what_is_taken_away_and_added_makes_the_new_of_the_old(old: list[int], new: list[int]) -> None:
    added, removed = named(records(*old), records(*new))
    assert Counter(records(*old)) - Counter(removed) + Counter(added) == Counter(records(*new))
    assert not Counter(removed) - Counter(records(*old))


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_what_is_neither_added_nor_removed_has_its_one_place_in_both(old: list[int], new: list[int]) -> None:
    found = difference(old, new)
    pairs = [(run.new + n, run.old + n) for run in found.runs for n in range(run.length)]
    assert sorted([*found.added, *(place for place, _ in pairs)]) == list(range(len(new)))
    assert sorted([*found.removed, *(place for _, place in pairs)]) == list(range(len(old)))
    assert all(new[place] == old[former] for place, former in pairs)


@pytest.mark.parametrize(
    ("old", "new", "added", "removed"),
    [
        ([], [], [], []),
        (many(1000, 0), many(1000, 0), [], []),
        (many(1000, 0), many(1017, 17), many(1017, 1000), many(17, 0)),
        (many(1000, 0), many(3000, 900), many(3000, 1000), many(900, 0)),
        (many(1000, 0), [b"x" if r == b"500" else r for r in many(1000, 0)], [b"x"], [b"500"]),
        (many(1000, 0), [r for r in many(1000, 0) if r != b"500"], [], [b"500"]),
        (many(200, 100), [*many(200, 150), b"x", *many(150, 100)], [b"x"], []),
    ],
    ids=[
        "nothing",
        "the same",
        "a window that slides",
        "after an outage",
        "one changed",
        "one dropped",
        "one inserted",
    ],
)
def test_only_what_differs_is_named(
    old: list[bytes], new: list[bytes], added: list[bytes], removed: list[bytes]
) -> None:
    assert named(old, new) == (added, removed)


def test_a_listing_in_another_order_is_the_same_listing() -> None:
    """Milvus promises no order for jobs that started in the same moment."""
    added, removed = named(many(1000, 0), many(1000, 0)[::-1])
    assert Counter(added) == Counter(removed)


# Decoding what differs only

STATES = (pb.RefreshPending, pb.RefreshInProgress, pb.RefreshCompleted, pb.RefreshFailed, 7)


@st.composite
def a_record(draw: st.DrawFn) -> Record:
    return Record(
        job_id=draw(st.integers(0, 6)),
        collection_name=draw(st.sampled_from(["a", "b"])),
        state=draw(st.sampled_from(STATES)),
        progress=draw(st.sampled_from([0, 50, 250])),
        start_time=draw(st.sampled_from([0, 1_789_999_000_000, -1])),
        end_time=draw(st.sampled_from([0, 1_789_999_500_000])),
        reason=draw(st.sampled_from(["", "timeout"])),
    )


unique = st.lists(a_record(), unique_by=lambda record: record.job_id, max_size=7)
any_listing = st.one_of(unique, st.lists(a_record(), max_size=7))
step = st.one_of(any_listing, st.sampled_from(["the same", "again, reversed", "a part", "start over"]))


@given(st.lists(step, max_size=12), st.sampled_from([1, 3, 512]))
def test_decoding_what_differs_says_what_decoding_everything_says(
    steps: list[list[Record] | str], together: int
) -> None:
    """Whatever comes between: repeated ids, half-written ends, parts, polls that broke off, many records at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.milvus.records._TOGETHER", together)
        both_ways(steps)


def both_ways(steps: list[list[Record] | str]) -> None:
    plain, quick = ListingDecoder(), ListingDecoder()
    listing: list[Record] = []
    for now, each in enumerate(steps):
        if each == "start over":
            plain.start_over([1, 2])
            quick.start_over([1, 2])
            continue
        if each == "a part":
            one, other = plain.part(listing[:2], NOW + now, [0, 1, 2]), quick.part(listing[:2], NOW + now, [0, 1, 2])
        else:
            listing = listing if each == "the same" else listing[::-1] if isinstance(each, str) else each
            one = plain.whole(listing, NOW + now)
            other = quick.whole_of_bytes([record.SerializeToString() for record in listing], NOW + now)
        assert sorted(one.changed, key=repr) == sorted(other.changed, key=repr)
        assert (set(one.gone), one.problems, one.total) == (set(other.gone), other.problems, other.total)


def test_what_has_not_changed_is_not_decoded_again() -> None:
    raw = [Record(job_id=n, state=pb.RefreshCompleted, end_time=5).SerializeToString() for n in range(1, 4)]
    decoder = ListingDecoder()
    decoder.whole_of_bytes(raw, NOW)
    looked_at: list[bytes] = []

    def watching(records: Sequence[bytes]) -> Iterator[Row]:
        looked_at.extend(records)
        return rows(records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.milvus.decode.rows", watching)
        new = Record(job_id=9, state=pb.RefreshInProgress).SerializeToString()
        assert [job.job_id for job in decoder.whole_of_bytes([new, *raw[:2]], NOW + 30).changed] == [9]
    assert looked_at == [new]


def test_a_half_written_job_that_has_gone_from_a_listing_by_name_does_not_come_again() -> None:
    decoder = ListingDecoder()
    decoder.whole_of_bytes([Record(job_id=7, state=pb.RefreshFailed, start_time=5).SerializeToString()], NOW)
    assert decoder.part([], NOW + 30, [7]).gone == (7,)
    after = decoder.whole_of_bytes([], NOW + 60)
    assert (after.changed, after.gone) == ((), ())


def test_a_record_that_cannot_be_decoded_is_a_bad_response_and_forgets_nothing() -> None:
    good = [Record(job_id=n, state=pb.RefreshCompleted, end_time=5).SerializeToString() for n in range(1, 4)]
    decoder = ListingDecoder()
    decoder.whole_of_bytes(good, NOW)
    with pytest.raises(errors.BadResponse, match="a job record that is none"):
        decoder.whole_of_bytes([b"\x12\x04\xff\xfe\xff\xfe", *good[1:]], NOW + 30)
    after = decoder.whole_of_bytes(good, NOW + 60)
    assert (after.changed, after.gone) == ((), ())


def test_a_job_that_changes_keeps_its_id_as_the_object_that_others_hold() -> None:
    """Every table has it as key: a new one for each change would be held beside the old one."""
    pending = Record(job_id=10**18, external_source="s3://lake/docs", start_time=5)
    done = Record(job_id=10**18, external_source="s3://lake/docs", start_time=5, state=pb.RefreshCompleted, end_time=9)
    decoder = ListingDecoder()
    (before,) = decoder.whole_of_bytes([pending.SerializeToString()], NOW).changed
    (after,) = decoder.whole_of_bytes([done.SerializeToString()], NOW + 30).changed
    assert (before.job_id is after.job_id, before.source is after.source) == (True, True)
