"""Bytes that are not what they should be cost what they are in, and nothing beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from builders import Clock, ScriptedMilvus, Watching, watches
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from wire import LIST_JOBS, Refusal, serving, settings

from exporter import errors
from exporter.milvus.client import MilvusClient
from exporter.milvus.decode import Decoded, ListingDecoder
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.records import Record
from exporter.model import Problem, State

NOW = 1_790_000_000.0
MARK = "@@@@"
CUT = b"\x12\xff"
"""A name of 127 bytes or more, of which there is none."""


def raw(job_id: int = 1, **more: Any) -> bytes:
    return Record(
        job_id=job_id, collection_name="docs", state=pb.RefreshCompleted, end_time=5, **more
    ).SerializeToString()


def not_utf8(message: Any, instead: bytes = b"\xff\xfe\xc3(") -> bytes:
    """Return a message with bytes that are no UTF-8 in the place of its mark."""
    found: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    assert MARK.encode() in found
    with_it = found.replace(MARK.encode(), instead)
    with pytest.raises(DecodeError):
        (Record if isinstance(message, bytes) else type(message)).FromString(with_it)
    return with_it


def broken(job_id: int = 1) -> bytes:
    return Record(job_id=job_id).SerializeToString() + CUT


def decode(*records: bytes) -> Decoded:
    return ListingDecoder().whole(records, NOW)


def listed(decoded: Decoded) -> list[int]:
    return sorted(job.job_id for job in decoded.changed)


# One listing


@pytest.mark.parametrize("place", ["collection_name", "reason", "external_source", "external_spec"])
def test_text_that_is_not_utf8_is_shown_with_replacement_characters_and_counted(place: str) -> None:
    bad = Record(job_id=2, state=pb.RefreshFailed, end_time=5)
    setattr(bad, place, f"s3://a/{MARK}z")
    decoded = decode(raw(1), not_utf8(bad), raw(3))
    assert listed(decoded) == [1, 2, 3]
    assert (decoded.problems, decoded.total) == ({Problem.TEXT_NOT_UTF8: 1}, 3)
    job = next(job for job in decoded.changed if job.job_id == 2)
    assert job.state is State.FAILED
    assert place == "external_spec" or "\ufffd" in f"{job.name}{job.reason}{job.source}"


def test_a_record_that_cannot_be_decoded_costs_itself() -> None:
    decoded = decode(raw(1), broken(2), raw(3), CUT)
    assert listed(decoded) == [1, 3]
    assert decoded.problems == {Problem.UNDECODABLE: 2}


def test_a_job_whose_record_is_damaged_for_a_while_stays_what_it_was() -> None:
    decoder = ListingDecoder()
    decoder.whole([raw(1), raw(2)], NOW)
    for _ in range(2):
        during = decoder.whole([broken(1), raw(2)], NOW)
        assert (during.changed, during.gone) == ((), ())
    after = decoder.whole([raw(1), raw(2)], NOW)
    assert (listed(after), after.gone) == ([1], ())
    assert decoder.whole([raw(2)], NOW).gone == (1,)


def test_a_damaged_record_is_counted_once_and_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = ListingDecoder()
    bad = not_utf8(raw(2, reason=MARK))
    assert decoder.whole([broken(1), bad], NOW).problems == {Problem.UNDECODABLE: 1, Problem.TEXT_NOT_UTF8: 1}
    monkeypatch.setattr("exporter.milvus.decode.parsed", None)
    again = decoder.whole([broken(1), bad], NOW)
    assert (again.changed, again.gone, again.problems) == ((), (), {})


def test_a_listing_by_name_is_as_patient() -> None:
    decoder = ListingDecoder()
    decoder.part([raw(1)], NOW, [])
    during = decoder.part([broken(1), not_utf8(raw(2, reason=MARK))], NOW, [1])
    assert (listed(during), during.gone) == ([2], ())


def test_of_a_job_listed_twice_the_record_that_can_be_decoded_counts() -> None:
    decoded = decode(broken(1), raw(1), broken(2), broken(2))
    assert (listed(decoded), decoded.total) == ([1], 2)
    assert decoded.problems == {Problem.UNDECODABLE: 2}


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=12)), max_size=6))
def test_whatever_the_bytes_are_the_good_records_beside_them_are_there(damage: list[tuple[int, bytes]]) -> None:
    decoder = ListingDecoder()
    odd = [Record(job_id=job_id).SerializeToString() + more for job_id, more in damage]
    good = [raw(job_id) for job_id in (7, 8, 9)]
    for listing in ([*odd, *good], [*good, *odd[::-1]], odd):
        decoded = decoder.whole(listing, NOW)
        if listing is not odd:
            assert {7, 8, 9}.isdisjoint(decoded.gone)
    assert {7, 8, 9} <= set(decoded.gone)


# One poll


@pytest.fixture
def milvus() -> ScriptedMilvus:
    return ScriptedMilvus(Clock())


@pytest.fixture
def watching(milvus: ScriptedMilvus) -> Iterator[Watching]:
    with watches(milvus) as watch:
        yield watch


def test_a_damaged_record_does_not_take_a_poll_down(
    milvus: ScriptedMilvus, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs, other = milvus.create("docs"), milvus.create("other")
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)
    milvus.fail(milvus.submit(other), reason=MARK)

    async def listing(self: ScriptedMilvus, **_: Any) -> list[bytes]:
        records = [made.SerializeToString() for made, _ in self.jobs.values()]
        return [broken(10**18), *(not_utf8(one) if MARK.encode() in one else one for one in records)]

    monkeypatch.setattr(ScriptedMilvus, "list_all_jobs", listing)
    watch.poll(3)
    assert watch.account.up
    assert not sum(watch.account.errors.values())
    assert watch.finished("docs") == 1
    failing = watch.outcome("other")
    assert failing is not None
    assert failing.failing
    assert {problem: n for problem, n in watch.account.problems.items() if n} == {
        Problem.UNDECODABLE: 1,
        Problem.TEXT_NOT_UTF8: 1,
    }


# What a server does that looks at its own texts before it sends them

GO = "grpc: error while marshaling: string field contains invalid UTF-8"
"""Google's Go library, which Milvus's servers use: nothing of the answer is sent."""


def test_a_go_server_that_cannot_send_one_text_is_asked_by_name(milvus: ScriptedMilvus, watching: Watching) -> None:
    docs = milvus.create("docs")
    milvus.create("bad")
    watch = watching()
    watch.poll()
    milvus.refreshed(docs)
    milvus.refuse_whole = milvus.refuse_by_name["default", "bad"] = refusal_of(GO)
    watch.poll()
    assert watch.account.up
    assert watch.account.partial
    assert watch.finished("docs") == 1
    assert [c.name for c in watch.snapshot.unlisted] == ["bad"]


def refusal_of(details: str) -> errors.MilvusError:
    return refused({LIST_JOBS: Refusal(grpc.StatusCode.INTERNAL, details)})


@pytest.mark.parametrize("details", [GO, "Failed to serialize response!", "", "in other words"])
def test_no_wording_decides_whether_an_answer_that_was_not_sent_may_be_one_broken_job(details: str) -> None:
    error = refusal_of(details)
    assert isinstance(error, errors.ServerFault)
    assert error.may_be_one_broken_job


# Other answers


def ask(method: str, answers: dict[str, Any]) -> Any:
    async def run() -> Any:
        async with serving(answers) as wire:
            client = MilvusClient(settings(f"http://{wire.target}"))
            try:
                return await {
                    "list": lambda: client.list_all_jobs(timeout=5),
                    "databases": lambda: client.list_databases(timeout=5),
                    "show": lambda: client.show_collections("lake", timeout=5),
                    "describe": lambda: client.describe_collections("lake", ["one", "two"], timeout=5),
                }[method]()
            finally:
                await client.close()

    return asyncio.run(run())


def refused(answers: dict[str, Any]) -> errors.MilvusError:
    with pytest.raises(errors.MilvusError) as raised:
        ask("list", answers)
    return raised.value


def test_a_damaged_name_hides_no_other_database_or_collection() -> None:
    databases = not_utf8(pb.ListDatabasesResponse(db_names=["lake", MARK]), b"\xff\xff\xff\xff")
    assert ask("databases", {"ListDatabases": databases}) == ("lake", "\ufffd" * 4)
    shown = not_utf8(pb.ShowCollectionsResponse(collection_names=[MARK, "docs"], collection_ids=[1, 2]), b"d\xc3cs")
    assert [one.name for one in ask("show", {"ShowCollections": shown})] == ["d\ufffdcs", "docs"]


def test_a_damaged_description_costs_no_other() -> None:
    one = pb.DescribeCollectionResponse(schema=pb.CollectionSchema(name="one", external_source=f"s3://a/{MARK}"))
    two = pb.DescribeCollectionResponse(schema=pb.CollectionSchema(name="two", external_source="s3://b/"))
    together = not_utf8(pb.BatchDescribeCollectionResponse(responses=[one, two]))
    found = ask("describe", {"BatchDescribeCollection": together})
    assert [each.source for each in found] == ["s3://a/\ufffd\ufffd\ufffd(", "s3://b/"]


def test_a_status_with_a_damaged_reason_is_still_that_status() -> None:
    status = pb.Status(code=8, reason=f"rate {MARK}", extra_info={MARK: MARK})
    damaged = not_utf8(pb.ListRefreshExternalCollectionJobsResponse(status=status))
    error = refused({LIST_JOBS: damaged})
    assert (error.kind, error.code) == ("rate_limited", 8)
    assert "rate \ufffd" in error.detail
