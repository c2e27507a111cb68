"""Records at the door: units, impossible values, and that only what is new or has changed comes through."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from exporter.milvus import decode as module
from exporter.milvus import names
from exporter.milvus.decode import Decoded
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.records import Record
from exporter.model import FailureClass, Job, Problem, State

NOW = 1_790_000_000.0
START = int(NOW * 1000) - 60_000
END = int(NOW * 1000) - 20_000
DAY = 86_400
MOST, LEAST = 2**63 - 1, -(2**63)


class ListingDecoder(module.ListingDecoder):
    """Given records, where Milvus gives their bytes."""

    def whole(self, listing: Iterable[Record], now: float) -> Decoded:  # type: ignore[override]
        return super().whole([each.SerializeToString() for each in listing], now)

    def part(self, listing: Iterable[Record], now: float, scope: Iterable[int]) -> Decoded:  # type: ignore[override]
        return super().part([each.SerializeToString() for each in listing], now, scope)


def record(job_id: int = 1, state: int = pb.RefreshCompleted, **fields: Any) -> Record:
    """A record like Milvus's: a completed job of 40 s that ended 20 s ago, in source, name and progress."""
    ended = state in (pb.RefreshCompleted, pb.RefreshFailed)
    usual = {
        "collection_name": "docs",
        "external_source": "s3://bucket/docs/",
        "start_time": START,
        "end_time": END if ended else 0,
        "progress": 100 if state == pb.RefreshCompleted else 0,
    }
    return Record(job_id=job_id, state=state, **{**usual, **fields})  # type: ignore[arg-type]


def active(job_id: int = 1, **fields: Any) -> Record:
    return record(job_id, pb.RefreshInProgress, **fields)


def failed(job_id: int = 1, **fields: Any) -> Record:
    return record(job_id, pb.RefreshFailed, **{"reason": "timeout", **fields})


def decode(*records: Record, now: float = NOW) -> Decoded:
    return ListingDecoder().whole(records, now)


def only(*records: Record, now: float = NOW) -> Job:
    (job,) = decode(*records, now=now).changed
    return job


def ids(decoded: Decoded) -> list[int]:
    return sorted(job.job_id for job in decoded.changed)


# Units and words


def test_milliseconds_become_seconds_and_percent_a_ratio() -> None:
    job = only(active(progress=37, start_time=1_789_999_999_123))
    assert (job.start, job.progress) == (1_789_999_999.123, 0.37)


def test_every_field_of_a_completed_job() -> None:
    assert only(record(470_646_631_114_473_475)) == Job(
        job_id=470_646_631_114_473_475,
        name="docs",
        state=State.COMPLETED,
        progress=1.0,
        source="s3://bucket/docs/",
        start=START / 1000,
        end=END / 1000,
    )


def test_a_job_id_beyond_a_double_stays_exact() -> None:
    assert [job.job_id for job in decode(record(2**53 + 1), record(2**53), record(MOST)).changed] == [
        2**53 + 1,
        2**53,
        MOST,
    ]


@pytest.mark.parametrize(
    ("number", "state", "ended"),
    [
        (0, State.PENDING, False),
        (1, State.IN_PROGRESS, False),
        (2, State.COMPLETED, True),
        (3, State.FAILED, True),
        (4, State.UNKNOWN, False),
        (7, State.UNKNOWN, False),
        (-1, State.UNKNOWN, False),
        (2**31 - 1, State.UNKNOWN, False),
        (-(2**31), State.UNKNOWN, False),
    ],
)
def test_each_state_number_has_a_name_and_a_new_one_counts_as_active(number: int, state: State, ended: bool) -> None:
    decoded = decode(record(state=number))
    (job,) = decoded.changed
    assert (job.state, job.state.ended) == (state, ended)
    assert decoded.problems[Problem.UNKNOWN_STATE] == (state is State.UNKNOWN)


def test_an_empty_record_is_a_pending_job_that_lacks_only_its_id() -> None:
    decoded = decode(Record())
    assert decoded.changed == (Job(0, "", State.PENDING, 0.0, "", None, None),)
    assert decoded.problems == Counter({Problem.MISSING_JOB_ID: 1})


def test_source_and_reason_are_safe_before_a_job_exists() -> None:
    raw = failed(
        external_source="s3://key:hunter2@bucket/x?sig=abc", reason="denied: password=hunter2\nBacktrace: at 1"
    )
    job = only(raw)
    assert job.source == "s3://bucket/x"
    assert "hunter2" not in repr(job)
    assert job.reason.isprintable()


@pytest.mark.parametrize(("style", "shown"), [("path", "s3://bucket/docs/"), ("bucket", "s3://bucket"), ("none", "")])
def test_the_source_is_as_long_as_the_label_setting_says(style: Any, shown: str) -> None:
    (job,) = ListingDecoder(source_style=style).whole([record()], NOW).changed
    assert job.source == shown


def test_without_reasons_the_class_remains() -> None:
    (job,) = ListingDecoder(reason_style="none").whole([failed(reason="timeout")], NOW).changed
    assert (job.reason, job.failure_class) == ("", FailureClass.TIMEOUT)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (failed(reason="timeout"), FailureClass.TIMEOUT),
        (failed(reason="never seen before"), FailureClass.UNKNOWN),
        (failed(reason="", end_time=END), FailureClass.UNKNOWN),
        (record(reason="left over"), None),
        (active(reason="timeout, last failure: bucket not found"), FailureClass.SOURCE_NOT_FOUND),
        (active(), None),
        (record(state=0, reason=""), None),
        (record(state=9, reason="timeout"), FailureClass.TIMEOUT),
    ],
)
def test_a_failed_job_always_has_a_class_and_another_only_while_it_says_why(
    raw: Record, expected: FailureClass | None
) -> None:
    assert only(raw).failure_class is expected


# Impossible values: what is read instead, and what is counted

IMPOSSIBLE: dict[str, tuple[Record, dict[str, Any], list[Problem]]] = {
    "no job id": (record(0), {"job_id": 0}, [Problem.MISSING_JOB_ID]),
    "negative job id": (record(-5), {"job_id": -5}, []),
    "a name as long as Milvus allows": (record(collection_name="n" * 255), {"name": "n" * 255}, []),
    "a name that is longer": (record(collection_name="n" * 256), {"state": State.COMPLETED}, [Problem.NAME_TOO_LONG]),
    "unknown state": (record(state=7, end_time=0), {"state": State.UNKNOWN}, [Problem.UNKNOWN_STATE]),
    "unknown state with an end": (record(state=4, end_time=END), {"end": None}, [Problem.UNKNOWN_STATE]),
    "progress 101": (active(progress=101), {"progress": 1.0}, [Problem.PROGRESS_OUT_OF_RANGE]),
    "progress 250": (active(progress=250), {"progress": 1.0}, [Problem.PROGRESS_OUT_OF_RANGE]),
    "progress -1": (active(progress=-1), {"progress": 0.0}, [Problem.PROGRESS_OUT_OF_RANGE]),
    "progress, most": (active(progress=MOST), {"progress": 1.0}, [Problem.PROGRESS_OUT_OF_RANGE]),
    "progress, least": (active(progress=LEAST), {"progress": 0.0}, [Problem.PROGRESS_OUT_OF_RANGE]),
    "start -1": (active(start_time=-1), {"start": None}, [Problem.NEGATIVE_TIME]),
    "start, least": (active(start_time=LEAST), {"start": None}, [Problem.NEGATIVE_TIME]),
    "start, most": (active(start_time=MOST), {"start": None}, [Problem.TIME_OUT_OF_RANGE]),
    "end -1": (record(end_time=-1), {"end": None}, [Problem.NEGATIVE_TIME]),
    "end, least": (record(end_time=LEAST), {"end": None}, [Problem.NEGATIVE_TIME]),
    "end, most": (record(end_time=MOST), {"end": None}, [Problem.TIME_OUT_OF_RANGE]),
    "end before start": (record(end_time=START - 1), {"end": START / 1000}, [Problem.END_BEFORE_START]),
    "end before an impossible start": (
        record(start_time=MOST, end_time=END),
        {"start": None, "end": END / 1000},
        [Problem.TIME_OUT_OF_RANGE],
    ),
    "completed without end": (record(end_time=0), {"end": None}, [Problem.ENDED_WITHOUT_END_TIME]),
    "failed with reason, without end": (failed(end_time=0), {"end": None}, [Problem.ENDED_WITHOUT_END_TIME]),
    "running with an end": (active(end_time=END), {"end": None}, [Problem.ACTIVE_WITH_END_TIME]),
    "pending with an end": (record(state=0, end_time=-3), {"end": None}, [Problem.ACTIVE_WITH_END_TIME]),
    "all at once": (
        Record(job_id=0, state=9, progress=-9, start_time=-9),
        {"state": State.UNKNOWN, "progress": 0.0, "start": None},
        [Problem.MISSING_JOB_ID, Problem.UNKNOWN_STATE, Problem.PROGRESS_OUT_OF_RANGE, Problem.NEGATIVE_TIME],
    ),
    "start and end negative: one problem": (
        record(start_time=-1, end_time=-1),
        {"start": None, "end": None},
        [Problem.NEGATIVE_TIME],
    ),
}


@pytest.mark.parametrize(("raw", "read_as", "problems"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_impossible_value_is_repaired_and_counted_once(
    raw: Record, read_as: dict[str, Any], problems: list[Problem]
) -> None:
    decoder = ListingDecoder()
    decoded = decoder.whole([raw], NOW)
    (job,) = decoded.changed
    assert {name: getattr(job, name) for name in read_as} == read_as
    assert decoded.problems == Counter(problems)
    assert decoder.whole([raw], NOW + 30).problems == Counter(), "seen again"
    decoder.start_over([])
    assert decoder.whole([raw], NOW + 60).problems == Counter(), "decoded again"


def test_each_problem_of_the_closed_list_can_be_met() -> None:
    met = {problem for _, _, problems in IMPOSSIBLE.values() for problem in problems}
    damaged = {Problem.TEXT_NOT_UTF8, Problem.UNDECODABLE}  # tests/test_damaged_records.py
    assert met | {Problem.DUPLICATE_JOB_ID} | damaged == set(Problem)


POSSIBLE = {
    "start not set": active(start_time=0),
    "pending from the first moment": record(state=0, start_time=int(NOW * 1000)),
    "end at the start": record(end_time=START),
    "a clock almost a day ahead": active(start_time=int((NOW + DAY) * 1000)),
    "failed in the middle": failed(progress=99),
    "completed without progress": record(progress=0),
    "half-written": failed(end_time=0, reason=""),
    "a source without a scheme": record(external_source="external-demo/"),
}


@pytest.mark.parametrize("raw", POSSIBLE.values(), ids=POSSIBLE.keys())
def test_what_can_happen_is_no_problem(raw: Record) -> None:
    assert decode(raw).problems == Counter()


def test_a_stamp_more_than_a_day_ahead_is_no_time() -> None:
    decoded = decode(active(start_time=int((NOW + DAY) * 1000) + 1))
    assert decoded.changed[0].start is None
    assert decoded.problems == Counter({Problem.TIME_OUT_OF_RANGE: 1})


def test_the_same_problem_of_two_jobs_counts_twice() -> None:
    assert decode(active(1, progress=250), active(2, progress=250)).problems[Problem.PROGRESS_OUT_OF_RANGE] == 2


def test_another_problem_of_the_same_job_is_counted_when_it_comes() -> None:
    decoder = ListingDecoder()
    decoder.whole([active(progress=250)], NOW)
    later = decoder.whole([active(progress=-1, start_time=-1)], NOW)
    assert later.problems == Counter({Problem.NEGATIVE_TIME: 1})


# A failed job that Milvus has not finished writing


def half_written(**fields: Any) -> Record:
    return failed(**{"end_time": 0, "reason": "", **fields})


def test_a_half_written_job_is_failed_at_once_and_no_problem() -> None:
    decoder = ListingDecoder()
    first = decoder.whole([half_written()], NOW)
    assert [(job.state, job.half_written, job.failure_class) for job in first.changed] == [
        (State.FAILED, True, FailureClass.UNKNOWN)
    ]
    assert first.problems == Counter()
    assert decoder.whole([half_written()], NOW + 30) == Decoded((), (), Counter(), 1)


def test_what_milvus_writes_later_replaces_the_half_written_job() -> None:
    decoder = ListingDecoder()
    decoder.whole([half_written()], NOW)
    whole = decoder.whole([failed(reason="bucket not found")], NOW + 10)
    (job,) = whole.changed
    assert (job.end, job.half_written, job.failure_class) == (END / 1000, False, FailureClass.SOURCE_NOT_FOUND)
    assert whole.problems == Counter()
    assert decoder.whole([failed(reason="bucket not found")], NOW + 40).changed == ()


@pytest.mark.parametrize("end", [-1, LEAST, MOST, int((NOW + 2 * DAY) * 1000)])
def test_a_failed_job_with_an_impossible_end_is_not_waited_for(end: int) -> None:
    """Nobody writes it anew, and it comes once only: one that waits for a second sight would never be counted."""
    decoder = ListingDecoder()
    (job,) = decoder.whole([half_written(end_time=end)], NOW).changed
    assert (job.half_written, job.end) == (False, None)
    assert decoder.whole([half_written(end_time=end)], NOW + 30).changed == ()


def test_only_failed_jobs_are_half_written() -> None:
    assert not only(record(end_time=0)).half_written
    assert not only(active()).half_written
    assert not only(record(state=8, end_time=0)).half_written


# What comes again and what does not


def test_an_unchanged_listing_brings_nothing() -> None:
    decoder = ListingDecoder()
    listing = [record(1), failed(2), active(3), record(4, 0)]
    assert ids(decoder.whole(listing, NOW)) == [1, 2, 3, 4]
    again = decoder.whole(listing[::-1], NOW + 30)
    assert (again.changed, again.gone, again.total) == ((), (), 4)


CHANGES = {
    "progress": active(progress=50),
    "progress falls": active(progress=1),
    "state": record(1, pb.RefreshPending, progress=10),
    "a reason": active(progress=10, reason="bucket not found"),
    "a start": active(progress=10, start_time=START + 1),
    "completed": record(),
    "failed": failed(),
    "a state that is new": record(state=7, end_time=0, progress=10),
}


@pytest.mark.parametrize("later", CHANGES.values(), ids=CHANGES.keys())
def test_each_change_of_an_active_job_comes_through(later: Record) -> None:
    decoder = ListingDecoder()
    decoder.whole([active(progress=10)], NOW)
    assert ids(decoder.whole([later], NOW + 30)) == [1]
    assert ids(decoder.whole([later], NOW + 60)) == []


@pytest.mark.parametrize("first", [record(), failed()])
def test_an_ended_job_comes_again_only_where_it_says_something_else(first: Record) -> None:
    decoder = ListingDecoder()
    decoder.whole([first], NOW)
    later = Record()
    later.CopyFrom(first)
    later.reason, later.progress = "other words", 3
    assert [job.progress for job in decoder.whole([later], NOW + 30).changed] == [0.03]
    assert decoder.whole([later], NOW + 60).changed == ()


@pytest.mark.parametrize(
    ("first", "later"),
    [(record(), record(end_time=END + 1)), (record(), failed()), (failed(), record()), (record(), active())],
    ids=["another end", "failed after all", "completed after all", "running again"],
)
def test_an_ended_job_whose_state_or_end_differs_comes_again(first: Record, later: Record) -> None:
    decoder = ListingDecoder()
    decoder.whole([first], NOW)
    assert ids(decoder.whole([later], NOW)) == [1]


def test_an_end_that_is_written_later_comes_through() -> None:
    decoder = ListingDecoder()
    decoder.whole([record(end_time=0)], NOW)
    (job,) = decoder.whole([record()], NOW).changed
    assert job.end == END / 1000


def test_a_pair_of_state_and_end_is_never_mistaken_for_another() -> None:
    decoder = ListingDecoder()
    decoder.whole([record(end_time=1), record(2, end_time=MOST)], NOW)
    assert ids(decoder.whole([failed(end_time=1), failed(2, end_time=MOST - 1)], NOW)) == [1, 2]


def test_ids_that_are_no_longer_listed_are_gone_once() -> None:
    decoder = ListingDecoder()
    decoder.whole([record(1), record(2), active(3)], NOW)
    decoded = decoder.whole([record(2)], NOW)
    assert sorted(decoded.gone) == [1, 3]
    assert decoder.whole([record(2)], NOW).gone == ()


def test_a_job_that_comes_back_is_told_again_with_its_problems_counted_once() -> None:
    decoder = ListingDecoder()
    decoder.whole([active(progress=250)], NOW)
    decoder.whole([], NOW)
    back = decoder.whole([active(progress=250)], NOW)
    assert (ids(back), back.problems) == ([1], Counter())


def test_a_forgotten_job_that_comes_back_is_new() -> None:
    decoder = ListingDecoder()
    decoder.whole([active(progress=250)], NOW)
    decoder.whole([], NOW)
    decoder.forget([1])
    back = decoder.whole([active(progress=250)], NOW)
    assert (ids(back), back.problems) == ([1], Counter({Problem.PROGRESS_OUT_OF_RANGE: 1}))


def test_an_empty_listing_is_a_listing() -> None:
    assert ListingDecoder().whole([], NOW) == Decoded((), (), Counter(), 0)


# One collection's listing


def test_a_part_says_what_is_gone_only_within_its_scope() -> None:
    decoder = ListingDecoder()
    decoder.whole([record(1), record(2), record(3)], NOW)
    decoded = decoder.part([record(1)], NOW, scope=[1, 2])
    assert (decoded.gone, decoded.changed, decoded.total) == ((2,), (), 1)
    assert decoder.whole([record(1), record(3)], NOW).gone == ()


def test_a_part_brings_new_jobs_of_its_own() -> None:
    decoder = ListingDecoder()
    assert ids(decoder.part([record(9)], NOW, scope=[])) == [9]
    assert decoder.whole([record(9)], NOW).changed == ()


def test_an_id_in_scope_that_was_never_listed_is_not_gone() -> None:
    assert ListingDecoder().part([], NOW, scope=[5]).gone == ()


def test_a_part_with_duplicates_settles_them_too() -> None:
    decoded = ListingDecoder().part([active(), record()], NOW, scope=[1])
    assert (ids(decoded), decoded.changed[0].state, decoded.total) == ([1], State.COMPLETED, 1)


# Starting over


def test_after_starting_over_everything_comes_again_and_nothing_is_gone() -> None:
    decoder = ListingDecoder()
    listing = [record(1), failed(2), active(3)]
    decoder.whole(listing, NOW)
    decoder.start_over([])
    again = decoder.whole(listing, NOW)
    assert (ids(again), again.gone) == ([1, 2, 3], ())


def test_after_starting_over_an_id_that_somebody_else_remembers_can_be_gone() -> None:
    decoder = ListingDecoder()
    decoder.start_over([41, 42])
    decoded = decoder.whole([record(42)], NOW)
    assert (ids(decoded), decoded.gone) == ([42], (41,))


def test_after_starting_over_a_half_written_job_is_at_first_sight_again() -> None:
    decoder = ListingDecoder()
    decoder.whole([half_written()], NOW)
    decoder.start_over([])
    assert decoder.whole([half_written()], NOW).problems == Counter()


# The same id twice

TWICE = {
    "the ended one": ([active(progress=99), record()], State.COMPLETED),
    "the later end": ([failed(end_time=END - 5), record()], State.COMPLETED),
    "the further progress": ([active(progress=20), record(state=0, progress=10)], State.IN_PROGRESS),
    "the ended one before a new state": ([record(state=9, end_time=END), record()], State.COMPLETED),
    "three times": ([record(state=0), active(), failed()], State.FAILED),
}


@pytest.mark.parametrize(("records", "state"), TWICE.values(), ids=TWICE.keys())
def test_of_a_job_listed_twice_the_record_furthest_along_counts_in_any_order(
    records: list[Record], state: State
) -> None:
    for order in itertools.permutations([*records, record(2)]):
        decoded = decode(*order)
        assert (ids(decoded), decoded.total) == ([1, 2], 2)
        (job,) = [job for job in decoded.changed if job.job_id == 1]
        assert job.state is state
        assert decoded.problems == Counter({Problem.DUPLICATE_JOB_ID: 1})


ALIKE = {
    "reasons": [failed(end_time=0, reason="a"), failed(end_time=0, reason="b")],
    "starts": [active(start_time=START), active(start_time=START + 1)],
    "sources": [record(external_source="s3://a/"), record(external_source="s3://b/")],
    "names": [record(collection_name="a"), record(collection_name="b")],
}


@pytest.mark.parametrize("records", ALIKE.values(), ids=ALIKE.keys())
def test_records_of_one_id_that_are_equally_far_along_do_not_take_turns(records: list[Record]) -> None:
    """The order of a listing is not stable: it must not look like a change."""
    decoder = ListingDecoder()
    first = decoder.whole(records, NOW)
    assert decoder.whole(records[::-1], NOW).changed == ()
    assert ListingDecoder().whole(records[::-1], NOW).changed == first.changed


def test_a_duplicate_does_not_bring_the_unchanged_again() -> None:
    decoder = ListingDecoder()
    decoder.whole([record(1), active(2)], NOW)
    decoded = decoder.whole([record(1), record(1), active(2)], NOW)
    assert (decoded.changed, decoded.gone, decoded.total) == ((), (), 2)
    assert decoded.problems == Counter({Problem.DUPLICATE_JOB_ID: 1})
    assert decoder.whole([record(1), record(1), active(2)], NOW).problems == Counter()


def test_records_without_an_id_are_one_job() -> None:
    decoded = decode(record(0), active(0))
    assert (ids(decoded), decoded.total) == ([0], 1)
    assert set(decoded.problems) == {Problem.MISSING_JOB_ID, Problem.DUPLICATE_JOB_ID}


# Whatever parses

INT64 = st.one_of(
    st.integers(LEAST, MOST),
    st.sampled_from([0, -1, 1, START, END, LEAST, MOST, int((NOW + DAY) * 1000) + 1]),
)
RECORDS = st.lists(
    st.builds(
        Record,
        job_id=st.one_of(st.integers(0, 3), INT64),
        state=st.one_of(st.integers(0, 4), st.integers(-(2**31), 2**31 - 1)),
        progress=INT64,
        reason=st.one_of(st.just(""), st.text()),
        collection_name=st.text(max_size=5),
        external_source=st.text(),
        start_time=INT64,
        end_time=INT64,
    ),
    max_size=6,
)


def sane(decoded: Decoded) -> None:
    assert len({job.job_id for job in decoded.changed}) == len(decoded.changed)
    for job in decoded.changed:
        assert 0 <= job.progress <= 1
        assert job.end is None or (job.state.ended and math.isfinite(job.end) and job.end >= (job.start or 0))
        assert job.start is None or 0 < job.start <= NOW + DAY
        assert (job.failure_class is not None) or job.state is not State.FAILED
        assert job.reason.isprintable()
        assert job.source.isprintable()
        assert not job.half_written or (job.state is State.FAILED and job.end is None and not job.reason)


@given(listings=st.lists(RECORDS, max_size=3), scope=st.sets(st.integers(0, 3)))
def test_any_records_decode_to_sane_jobs(listings: list[list[Record]], scope: set[int]) -> None:
    decoder = ListingDecoder()
    for records in listings:
        whole = decoder.whole(records, NOW)
        sane(whole)
        assert whole.total == len({each.job_id for each in records})
        again = decoder.whole(records, NOW)
        assert all(job.half_written for job in again.changed)
        assert not set(again.problems) - {Problem.ENDED_WITHOUT_END_TIME}
        sane(decoder.part(records, NOW, scope))
        decoder.start_over(scope)


@given(records=RECORDS, order=st.randoms(use_true_random=False))
def test_the_order_of_a_listing_decides_nothing(records: list[Record], order: Any) -> None:
    shuffled = list(records)
    order.shuffle(shuffled)
    one, other = decode(*records), decode(*shuffled)
    assert {job.job_id: job for job in one.changed} == {job.job_id: job for job in other.changed}
    assert one.problems == other.problems


@given(raw=st.binary(max_size=200))
def test_any_bytes_that_parse_decode(raw: bytes) -> None:
    try:
        listing = pb.ListRefreshExternalCollectionJobsResponse.FromString(raw)
    except DecodeError:
        return
    sane(decode(*listing.jobs))


@given(raw=st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_in_the_place_of_records_decode(raw: list[bytes]) -> None:
    wire = b"".join(b"\x12" + bytes([len(each)]) + each for each in raw)
    try:
        listing = pb.ListRefreshExternalCollectionJobsResponse.FromString(wire)
    except DecodeError:
        return
    sane(decode(*listing.jobs))


def test_a_name_longer_than_milvus_allows_is_cut_and_two_of_them_stay_two() -> None:
    """It is a label of some fifty series: 30 MB of it would be hundreds of megabytes of metrics."""
    decoded = decode(*(record(number, collection_name="n" * 30_000_000 + end) for number, end in enumerate("ab", 1)))
    one, other = (job.name for job in decoded.changed)
    assert one != other
    assert len(one) == len(other) == 255
    assert one.startswith("n" * 238 + "~")
    assert decoded.problems == {Problem.NAME_TOO_LONG: 2}


def test_half_a_surrogate_pair_in_a_long_name_is_no_fault() -> None:
    assert len(names.cut("\ud800" * 300)) == 255
