"""Translate job records at the door, and only those that are new or have changed.

Most of a listing is yesterday's ended jobs (docs/milvus.md, "Retention"). A record whose bytes are those of the last
poll is not even decoded, and one that says the same never becomes a job: a poll costs what has changed
(docs/decisions/0010-cost-follows-change.md).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from exporter.milvus.difference import Picked, Seen, difference, hashed, ids_after
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.reasons import classify
from exporter.milvus.records import Record, parsed
from exporter.milvus.redact import SourceStyle, safe_reason, safe_source
from exporter.model import FailureClass, Job, Problem, State

Fingerprint = int | tuple[int, int, int, int, str]
ReasonStyle = Literal["safe", "none"]

_STATES: Final[dict[int, State]] = {
    pb.RefreshPending: State.PENDING,
    pb.RefreshInProgress: State.IN_PROGRESS,
    pb.RefreshCompleted: State.COMPLETED,
    pb.RefreshFailed: State.FAILED,
}
_ENDED: Final = frozenset({int(pb.RefreshCompleted), int(pb.RefreshFailed)})
# Host clocks differ by seconds, in bad cases by hours. A stamp further ahead than this is no time at all.
_MAX_AHEAD_SECONDS: Final = 86_400.0
_MAX_KEPT_CHARS: Final = 1024
"""Longer texts are cleaned each time: what is kept must stay small."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One listing in our words."""

    changed: tuple[Job, ...]
    """New jobs and jobs that differ from the last listing; half-written ones each time."""
    gone: tuple[int, ...]
    """Ids that an earlier listing had and this one has not."""
    problems: Counter[Problem]
    """Impossible values met for the first time, each once per job id."""
    total: int
    """Jobs in the listing, each id once."""


class ListingDecoder:
    """Remembers what the last listing said of each job, by id."""

    def __init__(self, *, source_style: SourceStyle = "path", reason_style: ReasonStyle = "safe") -> None:
        self._source_style = source_style
        self._reason_style = reason_style
        self._known: dict[int, Fingerprint] = {}
        self._reported: dict[int, set[Problem]] = {}
        self._seen: Seen | None = None
        """The last listing, one record for each id in ``_known``; None where what is known came in another way."""
        self._unwritten: dict[int, bytes] = {}
        """Its half-written records."""

    def whole_of_bytes(self, listing: Sequence[bytes], now: float) -> Decoded:
        """Decode a listing of everything as it came. ``now`` in epoch seconds.

        Raises :class:`exporter.errors.BadResponse` for a record that cannot be decoded, and then knows what it knew.
        """
        before = self._seen if self._known else Seen()
        decoded = None if before is None else self._against(before, listing, now)
        if decoded is None:
            records = list(parsed(listing))
            decoded = self.whole(records, now)
            self._unwritten = {
                r.job_id: raw for r, raw in zip(records, listing, strict=True) if _half_written(_fingerprint(r))
            }
            # With an id listed twice, what is known is not one record for one id.
            if decoded.total == len(listing):
                self._seen = Seen(hashed(listing), [record.job_id for record in records])
        return decoded

    def whole(self, records: Sequence[Record], now: float) -> Decoded:
        """Decode a listing of everything. ``now`` in epoch seconds."""
        return self._decode(records, now, scope=None)

    def part(self, records: Sequence[Record], now: float, scope: Iterable[int]) -> Decoded:
        """Decode the listing of one collection, ``scope`` being the ids it is known to have had."""
        return self._decode(records, now, scope=frozenset(scope))

    def start_over(self, listed: Iterable[int]) -> None:
        """Take every record as changed next time, and every id in ``listed`` as one that an earlier listing had."""
        self._known = dict.fromkeys((*self._known, *listed), -1)
        self._seen = None

    def _against(self, before: Seen, listing: Sequence[bytes], now: float) -> Decoded | None:
        """Decode what differs from the last listing; None where an id is listed twice, which takes a look at all."""
        hashes = hashed(listing)
        differs = difference(before.hashes, hashes)
        added = Picked(listing, differs.added)
        records, former = parsed(added), {(id_ := before.ids[place]): id_ for place in differs.removed}
        # A job that has changed keeps its id as the object that it is everywhere: 32 bytes for each.
        ids = ids_after(before, differs, (former.get(id_ := record.job_id, id_) for record in records))
        arrived = {ids[place] for place in differs.added}
        known = self._known
        if len(arrived) < len(added) or any(id_ in known and id_ not in former for id_ in arrived):
            return None
        unwritten = {id_: raw for id_, raw in self._unwritten.items() if id_ not in former}
        problems: Counter[Problem] = Counter()
        changed = [self._translate(r, _fingerprint(r), now, problems) for r in parsed(tuple(unwritten.values()))]
        for place, record in zip(differs.added, records, strict=True):
            print_ = _fingerprint(record)
            half_written = _half_written(print_)
            if half_written or known.get(ids[place]) != print_:
                changed.append(self._translate(record, print_, now, problems, ids[place]))
            if half_written:
                unwritten[ids[place]] = listing[place]
        self._unwritten, self._seen = unwritten, Seen(hashes, ids)
        gone = tuple(former.keys() - arrived)
        self._forget(gone)
        return Decoded(tuple(changed), gone, problems, len(listing))

    def _forget(self, gone: Iterable[int]) -> None:
        for job_id in gone:
            del self._known[job_id]
            self._reported.pop(job_id, None)

    def _decode(self, records: Sequence[Record], now: float, scope: frozenset[int] | None) -> Decoded:
        self._seen = None
        problems: Counter[Problem] = Counter()
        seen: set[int] = set()
        fresh: list[tuple[Record, Fingerprint]] = []
        known = self._known
        for record in records:
            job_id = record.job_id
            seen.add(job_id)
            print_ = _fingerprint(record)
            if known.get(job_id) != print_ or _half_written(print_):
                fresh.append((record, print_))
        if len(seen) < len(records):
            fresh = self._settle_duplicates(records, problems)
        changed = tuple(self._translate(record, print_, now, problems) for record, print_ in fresh)
        gone = tuple((known.keys() if scope is None else scope & known.keys()) - seen)
        self._forget(gone)
        return Decoded(changed, gone, problems, len(seen))

    def _settle_duplicates(
        self, records: Sequence[Record], problems: Counter[Problem]
    ) -> list[tuple[Record, Fingerprint]]:
        """Return what is new or has changed, each id once: of a job listed twice, the record furthest along."""
        best: dict[int, Record] = {}
        for record in records:
            other = best.get(record.job_id)
            if other is not None:
                self._report(record.job_id, Problem.DUPLICATE_JOB_ID, problems)
            if other is None or _how_far(record) > _how_far(other):
                best[record.job_id] = record
        prints = ((record, _fingerprint(record)) for record in best.values())
        return [(r, p) for r, p in prints if self._known.get(r.job_id) != p or _half_written(p)]

    def _translate(
        self, record: Record, print_: Fingerprint, now: float, problems: Counter[Problem], job_id: int | None = None
    ) -> Job:
        """Return the record in our words; ``job_id`` is its id as the object that others have of it."""
        job_id = record.job_id if job_id is None else job_id
        again = self._known.get(job_id) == print_
        self._known[job_id] = print_
        found: list[Problem] = [] if job_id else [Problem.MISSING_JOB_ID]
        state = _state(record.state, found)
        start = _stamp(record.start_time, now, found)
        end = _end(record.end_time, start, state, now, found)
        half_written = _half_written(print_)
        # At first sight Milvus may be about to write the end; at the second it is missing.
        if state.ended and end is None and record.end_time == 0 and (again or not half_written):
            found.append(Problem.ENDED_WITHOUT_END_TIME)
        reason = record.reason
        job = Job(
            job_id,
            sys.intern(record.collection_name),  # of one collection many jobs are remembered
            state,
            _progress(record.progress, found),
            _source(record.external_source, self._source_style),
            start,
            end,
            _failure_class(state, reason),
            _reason(reason) if reason and self._reason_style == "safe" else "",
            half_written,
        )
        for problem in found:
            self._report(job_id, problem, problems)
        return job

    def _report(self, job_id: int, problem: Problem, problems: Counter[Problem]) -> None:
        reported = self._reported.setdefault(job_id, set())
        if problem not in reported:
            reported.add(problem)
            problems[problem] += 1


def _fingerprint(record: Record) -> Fingerprint:
    """Return a few numbers that differ when the record says something new.

    An ended job with its end written never changes again; an active or half-written one may still get a reason.
    """
    state, end = record.state, record.end_time
    if state in _ENDED and end > 0:
        return int(end * 8 + state)
    return (int(state), record.progress, record.start_time, end, record.reason)


def _half_written(print_: Fingerprint) -> bool:
    # An impossible end is no missing one: nobody will write it anew, so there is nothing to wait for.
    return isinstance(print_, tuple) and print_[0] == pb.RefreshFailed and print_[3] == 0 and not print_[4]


def _how_far(record: Record) -> tuple[bool, int, int, int, int, str, str, str]:
    """Return what orders records of one job. A total order: a listing's own order must not decide."""
    progress = (record.state in _ENDED, record.end_time, record.progress, int(record.state), record.start_time)
    return (*progress, record.reason, record.external_source, record.collection_name)


def _state(number: int, found: list[Problem]) -> State:
    state = _STATES.get(number)  # an open enum: any int32 can stand here
    if state is None:
        found.append(Problem.UNKNOWN_STATE)
        return State.UNKNOWN
    return state


_RATIOS: Final = tuple(percent / 100 for percent in range(101))
"""Made once: most jobs stand at the same few."""


def _progress(percent: int, found: list[Problem]) -> float:
    if 0 <= percent <= 100:  # noqa: PLR2004
        return _RATIOS[percent]
    found.append(Problem.PROGRESS_OUT_OF_RANGE)
    return 0.0 if percent < 0 else 1.0


def _stamp(milliseconds: int, now: float, found: list[Problem]) -> float | None:
    """Return epoch seconds; None for 0, which is "not set", and for what cannot be a time."""
    if milliseconds == 0:
        return None
    if milliseconds < 0:
        found.append(Problem.NEGATIVE_TIME)
        return None
    seconds = milliseconds / 1000
    if seconds > now + _MAX_AHEAD_SECONDS:
        found.append(Problem.TIME_OUT_OF_RANGE)
        return None
    return seconds


def _end(milliseconds: int, start: float | None, state: State, now: float, found: list[Problem]) -> float | None:
    if not state.ended:
        # A state that is newer than us may well be one that ends.
        if milliseconds != 0 and state is not State.UNKNOWN:
            found.append(Problem.ACTIVE_WITH_END_TIME)
        return None
    end = _stamp(milliseconds, now, found)
    if end is not None and start is not None and end < start:
        found.append(Problem.END_BEFORE_START)
        return start
    return end


def _failure_class(state: State, reason: str) -> FailureClass | None:
    if state is State.FAILED or (reason and not state.ended):
        return _class(reason)
    return None


# The jobs of one collection name one source, and one that keeps failing gives one reason: each is cleaned once.
_once_each = lru_cache(maxsize=16_384)
_clean_reason, _classified = _once_each(safe_reason), _once_each(classify)


@_once_each
def _clean_source(raw: str, style: SourceStyle) -> str:
    source = safe_source(raw, style)
    return sys.intern(raw if source == raw else source)  # one object, also with what the inventory has


def _source(raw: str, style: SourceStyle) -> str:
    return (_clean_source if len(raw) <= _MAX_KEPT_CHARS else safe_source)(raw, style)


def _reason(raw: str) -> str:
    return (_clean_reason if len(raw) <= _MAX_KEPT_CHARS else safe_reason)(raw)


def _class(raw: str) -> FailureClass:
    return (_classified if len(raw) <= _MAX_KEPT_CHARS else classify)(raw)
