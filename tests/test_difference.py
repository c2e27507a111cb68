"""Two listings side by side: what is named in neither list is the same bytes in both, whatever the order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.milvus.decode import Decoded, ListingDecoder, _how_far
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.records import Record, parsed
from exporter.milvus.translate import translated
from exporter.model import Problem

NOW = 1_790_000_000.0


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


class Plain:
    """What a decoder does, the long way: every record of every listing is decoded and compared."""

    def __init__(self) -> None:
        self.said: dict[int, bytes | None] = {}
        self.reported: set[tuple[int, Problem]] = set()

    def start_over(self, listed: list[int]) -> None:
        self.said = dict.fromkeys((*self.said, *listed), None)

    def take(self, records: list[Record], now: float, scope: list[int] | None = None) -> Decoded:
        problems: Counter[Problem] = Counter()
        best: dict[int, Record] = {}
        for record in records:
            if record.job_id in best:
                self.report(record.job_id, Problem.DUPLICATE_JOB_ID, problems)
            best[record.job_id] = max(best.get(record.job_id, record), record, key=_how_far)
        changed = []
        for job_id, record in best.items():
            if self.said.get(job_id) == record.SerializeToString():
                continue
            found: list[Problem] = []
            changed.append(translated(record, job_id, now, found, ("path", "safe"), sources={}))
            self.said[job_id] = record.SerializeToString()
            for problem in found:
                self.report(job_id, problem, problems)
        gone = (self.said.keys() if scope is None else self.said.keys() & scope) - best.keys()
        for job_id in gone:
            del self.said[job_id]
        return Decoded(tuple(changed), tuple(gone), problems, len(best))

    def report(self, job_id: int, problem: Problem, problems: Counter[Problem]) -> None:
        if (job_id, problem) not in self.reported:
            self.reported.add((job_id, problem))
            problems[problem] += 1


@given(st.lists(step, max_size=12))
def test_decoding_what_differs_says_what_decoding_everything_says(steps: list[list[Record] | str]) -> None:
    """Whatever comes between: repeated ids, half-written ends, parts, polls that broke off."""
    plain, quick = Plain(), ListingDecoder()
    listing: list[Record] = []
    for now, each in enumerate(steps):
        if each == "start over":
            plain.start_over([1, 2])
            quick.start_over([1, 2])
            continue
        if each == "a part":
            raw = [record.SerializeToString() for record in listing[:2]]
            one, other = plain.take(listing[:2], NOW + now, [0, 1, 2]), quick.part(raw, NOW + now, [0, 1, 2])
        else:
            listing = listing if each == "the same" else listing[::-1] if isinstance(each, str) else each
            one = plain.take(listing, NOW + now)
            other = quick.whole([record.SerializeToString() for record in listing], NOW + now)
        assert sorted(one.changed, key=repr) == sorted(other.changed, key=repr)
        assert (set(one.gone), one.problems, one.total) == (set(other.gone), other.problems, other.total)


def test_what_has_not_changed_is_not_decoded_again() -> None:
    raw = [Record(job_id=n, state=pb.RefreshCompleted, end_time=5).SerializeToString() for n in range(1, 4)]
    decoder = ListingDecoder()
    decoder.whole(raw, NOW)
    looked_at: list[bytes] = []

    def watching(record: bytes, found: list[Problem]) -> Record | None:
        looked_at.append(record)
        return parsed(record, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.milvus.decode.parsed", watching)
        new = Record(job_id=9, state=pb.RefreshInProgress).SerializeToString()
        assert [job.job_id for job in decoder.whole([new, *raw[:2]], NOW + 30).changed] == [9]
    assert looked_at == [new]


def test_a_half_written_job_that_has_gone_from_a_listing_by_name_does_not_come_again() -> None:
    decoder = ListingDecoder()
    decoder.whole([Record(job_id=7, state=pb.RefreshFailed, start_time=5).SerializeToString()], NOW)
    assert decoder.part([], NOW + 30, [7]).gone == (7,)
    after = decoder.whole([], NOW + 60)
    assert (after.changed, after.gone) == ((), ())


def test_a_job_that_changes_keeps_its_id_as_the_object_that_others_hold() -> None:
    """Every table has it as key: a new one for each change would be held beside the old one."""
    pending = Record(job_id=10**18, external_source="s3://lake/docs", start_time=5)
    done = Record(job_id=10**18, external_source="s3://lake/docs", start_time=5, state=pb.RefreshCompleted, end_time=9)
    decoder = ListingDecoder()
    (before,) = decoder.whole([pending.SerializeToString()], NOW).changed
    (after,) = decoder.whole([done.SerializeToString()], NOW + 30).changed
    assert (before.job_id is after.job_id, before.source is after.source) == (True, True)
