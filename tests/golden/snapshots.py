"""The snapshots that golden files show, and what builds them."""

from __future__ import annotations

from exporter.ledger import DURATION_BUCKETS
from exporter.model import Collection, FailureClass, Job, State
from exporter.snapshot import CollectionRow, DatabaseRow, JobRows, OutcomeRow, Snapshot, StateCounts

NOW = 1_760_000_000.0
HOUR = 3600.0
SINCE = NOW - 24 * HOUR
FIRST_ID = 461_234_567_890_123_001
"""Above 2**53: no float holds it."""

HOSTILE = {
    "quotes": 'a "b" c',
    "newlines": "a\nb\r\nc\n",
    "backslashes": r"C:\new\table" + "\\",
    "non-ascii": "Größe/表/🧊",
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "control": "a\x01b\x1bc\x7fd\tz",
    "syntax": '},{a="b"} 1 # {c="d"} 2\n# EOF\n# TYPE x gauge',
    "blank": " ",
    "half a pair": "a\ud800b",
}


def collection(name: str = "docs", database: str = "sales", collection_id: int = 449) -> Collection:
    return Collection(database, name, collection_id)


def job(state: State = State.COMPLETED, number: int = 1, **given: object) -> Job:
    """Return a job that began an hour ago and, where it has ended, took 90.5 s."""
    values: dict[str, object] = {
        "job_id": FIRST_ID + number,
        "name": "docs",
        "state": state,
        "progress": 1.0 if state is State.COMPLETED else 0.0,
        "source": "s3://lake/docs",
        "start": NOW - HOUR,
        "end": NOW - HOUR + 90.5 if state.ended else None,
    }
    if state is State.FAILED:
        values |= {"failure_class": FailureClass.ACCESS_DENIED, "reason": "access denied: s3://lake/docs"}
    return Job(**(values | given))  # type: ignore[arg-type]


def count(**states: int) -> StateCounts:
    """Return jobs per state: ``count(completed=3)``."""
    pending, in_progress, completed, failed, unknown = (states.get(state.name.lower(), 0) for state in State)
    return pending, in_progress, completed, failed, unknown


def rows(newest: Job | None, where: Collection | None = None, **given: object) -> JobRows:
    """Return the job rows of a collection, of one job unless counts are given."""
    values: dict[str, object] = {
        "collection": where or collection(),
        "counts": ((newest.source, count(**{newest.state.name.lower(): 1})),) if newest else (),
        "newest": newest,
        "changed": NOW - 60.25,
        "sources_folded": 0,
    }
    return JobRows(**(values | given))  # type: ignore[arg-type]


def outcome(where: Collection | None = None, **given: object) -> OutcomeRow:
    """Return the outcomes of a collection of which nothing has been seen."""
    values: dict[str, object] = {
        "collection": where or collection(),
        "last_success": None,
        "last_failure": None,
        "last_success_duration": None,
        "consecutive_failures": 0,
        "failing": False,
        "trouble": None,
        "finished": 0,
        "failed": 0,
        "failed_exemplar": None,
        "max_age": None,
    }
    return OutcomeRow(**(values | given))  # type: ignore[arg-type]


def database(name: str = "sales", durations: tuple[int, ...] = (), total: float = 0.0, **failed: int) -> DatabaseRow:
    """Return a database's counters; ``failed`` by class."""
    buckets = durations or (0,) * (len(DURATION_BUCKETS) + 1)
    return DatabaseRow(name, buckets, total, tuple((each, failed.get(each, 0)) for each in FailureClass))


def one_per_state() -> Snapshot:
    """One collection for each state, with the times and texts that jobs of the state can have."""
    told = {"failure_class": FailureClass.SOURCE_UNREACHABLE, "reason": "explore: host not found, will retry"}
    jobs = (
        rows(job(State.PENDING, 1, start=None), collection("a_pending")),
        rows(job(State.PENDING, 2, **told), collection("b_retried")),
        rows(job(State.IN_PROGRESS, 3, progress=0.35, start=NOW - 12.345), collection("c_in_progress")),
        rows(job(State.COMPLETED, 4), collection("d_completed")),
        rows(job(State.FAILED, 5, progress=0.5), collection("e_failed")),
        rows(
            job(State.FAILED, 6, end=None, reason="", failure_class=FailureClass.UNKNOWN), collection("f_half_written")
        ),
        rows(job(State.UNKNOWN, 7), collection("g_unknown")),
        rows(job(State.IN_PROGRESS, 8, start=NOW + 30), collection("h_clock_ahead")),
        rows(None, collection("i_gone"), counts=(("s3://lake/docs", count(completed=2)),)),
    )
    return Snapshot(NOW, jobs, known_since=SINCE, listed_jobs=10)


def databases() -> Snapshot:
    """The same name in two databases, and one whose database is not known; two sources, and folded ones."""
    archive, nowhere = collection("docs", "archive", 17), collection("docs", "", 0)
    sources = (
        ("__other__", count(completed=40)),
        ("s3://lake/docs", count(pending=1, completed=20, failed=2)),
        ("s3://lake/old", count(completed=1)),
    )
    jobs = (
        rows(job(number=1), nowhere),
        rows(job(number=2), archive),
        rows(job(State.PENDING, 3), counts=sources, sources_folded=8),
    )
    seen = {"last_success": NOW - HOUR, "last_success_duration": 90.5, "finished": 61, "failed": 2}
    return Snapshot(
        NOW,
        jobs,
        outcomes=(
            outcome(nowhere, finished=1),
            outcome(archive, max_age=168 * HOUR),
            outcome(**seen, max_age=93_600.0),
        ),
        databases=(database("archive"), database("sales", access_denied=1, timeout=1)),
        collections=(
            CollectionRow(archive, "s3://lake/docs", None),
            CollectionRow(collection(), "s3://lake/docs", NOW - 400 * HOUR),
            CollectionRow(collection("never_refreshed", "sales", 450), "", NOW - HOUR),
        ),
        known_since=SINCE,
        listed_jobs=66,
        sources_folded=8,
    )


def unlisted() -> Snapshot:
    """A partial listing: one collection's rows are fresh, another's are the last known ones."""
    other = collection("orders", "sales", 450)
    return Snapshot(
        NOW, (rows(job(number=1)), rows(job(number=2), other)), unlisted=(other,), known_since=SINCE, listed_jobs=2
    )


def folded() -> Snapshot:
    """More collections than may have series of their own, in two databases."""
    return Snapshot(
        NOW,
        (rows(job()),),
        folded=(("archive", count(completed=7)), ("sales", count(in_progress=1, completed=500, failed=3))),
        known_since=SINCE,
        listed_jobs=512,
        collections_folded=31,
    )


def hostile() -> Snapshot:
    """Every text that people, pipelines or an attacker can choose, at its ugliest."""
    jobs, outcomes, found = [], [], []
    for number, text in enumerate(HOSTILE.values()):
        where = Collection(text, text, number)
        failed = job(State.FAILED, number, source=text, reason=text)
        jobs.append(rows(failed, where))
        outcomes.append(outcome(where, last_failure=NOW, trouble=failed, failed=1, finished=1, max_age=1.0))
        found.append(CollectionRow(where, text, NOW))
    return Snapshot(
        NOW,
        (*jobs, rows(job(State.FAILED, reason="x" * 10_000))),
        folded=tuple((text, count(failed=1)) for text in HOSTILE.values()),
        unlisted=tuple(row.collection for row in jobs),
        outcomes=tuple(outcomes),
        databases=(database(HOSTILE["syntax"]),),
        collections=tuple(found),
        known_since=SINCE,
        listed_jobs=len(jobs),
    )


def index_wait() -> Snapshot:
    """One job waits for its indexes, another's wait has run out: its data is live, and it is trouble all the same."""
    late = job(
        State.FAILED,
        2,
        progress=0.97,
        failure_class=FailureClass.INDEX_WAIT_TIMEOUT,
        reason="timeout waiting for indexes",
    )
    assert late.end is not None
    other = collection("orders", "sales", 450)
    outcomes = (
        outcome(last_success=NOW - 30 * HOUR, last_success_duration=900.0, finished=1),
        outcome(
            other, last_success=late.end, trouble=late, finished=1, failed=1, failed_exemplar=(late.job_id, late.end)
        ),
    )
    return Snapshot(
        NOW,
        (rows(job(State.IN_PROGRESS, 1, progress=0.93)), rows(late, other)),
        outcomes=outcomes,
        databases=(database("sales", index_wait_timeout=1),),
        known_since=SINCE,
        listed_jobs=2,
        jobs_without_visible_collection=1,
    )


def failures() -> Snapshot:
    """A collection that fails again and again, and one whose counters stand at 0 for their first snapshot."""
    failed = job(State.FAILED, 9)
    assert failed.end is not None
    outcomes = (
        outcome(
            last_success=NOW - 50 * HOUR,
            last_failure=failed.end,
            last_success_duration=300.0,
            consecutive_failures=3,
            failing=True,
            trouble=failed,
            finished=12,
            failed=5,
            failed_exemplar=(failed.job_id, failed.end),
            max_age=93_600.0,
        ),
        outcome(collection("young", "sales", 451), last_failure=NOW, trouble=job(State.FAILED, 10)),
    )
    return Snapshot(
        NOW,
        (rows(failed),),
        outcomes=outcomes,
        databases=(database("sales", access_denied=3, unknown=2),),
        known_since=SINCE,
        listed_jobs=9,
    )


def durations() -> Snapshot:
    """A histogram with something in every bucket, above the last bound too; and a database without a job."""
    buckets = tuple(range(1, len(DURATION_BUCKETS) + 2))
    return Snapshot(NOW, databases=(database("empty"), database("sales", buckets, 123_456.7891)), known_since=SINCE)


def everything() -> Snapshot:
    """A series of every family that a snapshot can show."""
    failed = job(State.FAILED)
    seen = {"last_success": 1.5, "last_failure": 2.5, "last_success_duration": 3.5, "trouble": failed, "max_age": 4.5}
    return Snapshot(
        NOW,
        (rows(failed),),
        folded=(("sales", count(completed=1)),),
        unlisted=(collection(),),
        outcomes=(outcome(**seen, failing=True, finished=2, failed=1, failed_exemplar=(failed.job_id, 2.5)),),
        databases=(database(),),
        collections=(CollectionRow(collection(), "s3://lake/docs", 5.5),),
        known_since=SINCE,
        listed_jobs=2,
        jobs_without_visible_collection=1,
    )


CASES = {
    build.__name__: build()
    for build in (one_per_state, databases, unlisted, folded, hostile, index_wait, failures, durations, everything)
}
