"""Translate job records at the door, and only those that are new or have changed.

Most of a listing is yesterday's ended jobs (docs/milvus.md, "Retention"). A record whose bytes are those of the last
poll is not even decoded: a poll costs what has changed
(docs/decisions/0010-cost-follows-change.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from exporter.milvus.difference import Difference, Picked, Seen, difference, hashed, ids_after
from exporter.milvus.records import Record, parsed, rows
from exporter.milvus.redact import SourceStyle
from exporter.milvus.translate import (
    ENDED,
    ReasonStyle,
    Sources,
    half_written,
    ordinary,
    translated,
)
from exporter.model import Job, Problem

_SAID: Final = -1
"""The hash of nothing: Python has none of this value."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One listing in our words."""

    changed: tuple[Job, ...]
    """New jobs and jobs that differ from the last listing, if only in what we do not read; half-written ones each
    time."""
    gone: tuple[int, ...]
    """Ids that an earlier listing had and this one has not."""
    problems: Counter[Problem]
    """Impossible values met for the first time, each once per job id."""
    total: int
    """Jobs in the listing, each id once."""


class ListingDecoder:
    """Remembers what the last listing said of each job, by id."""

    def __init__(self, *, source_style: SourceStyle = "path", reason_style: ReasonStyle = "safe") -> None:
        self._styles: tuple[SourceStyle, ReasonStyle] = (source_style, reason_style)
        self._sources: Sources = {}
        self._known: dict[int, int] = {}
        """The hash of each job's record in the last listing; the ids alone where ``_seen`` has both."""
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
            records = list(map(parsed, listing))
            decoded = self.whole(records, now)
            # With an id listed twice, what is known is not one record for one id.
            if decoded.total == len(listing):
                ids = [record.job_id for record in records]
                self._seen, self._known = Seen(hashed(listing), ids), dict.fromkeys(ids, _SAID)
                self._unwritten = {r.job_id: raw for r, raw in zip(records, listing, strict=True) if half_written(r)}
        return decoded

    def whole(self, records: Sequence[Record], now: float) -> Decoded:
        """Decode a listing of everything. ``now`` in epoch seconds."""
        return self._decode(records, now, scope=None)

    def part(self, records: Sequence[Record], now: float, scope: Iterable[int]) -> Decoded:
        """Decode the listing of one collection, ``scope`` being the ids it is known to have had."""
        return self._decode(records, now, scope=frozenset(scope))

    def start_over(self, listed: Iterable[int]) -> None:
        """Take every record as changed next time, and every id in ``listed`` as one that an earlier listing had."""
        self._unwritten = {}
        self._known = dict.fromkeys((*self._known, *listed), _SAID)
        self._seen = None

    def _against(self, before: Seen, listing: Sequence[bytes], now: float) -> Decoded | None:
        """Decode what differs from the last listing; None where an id is listed twice, which takes a look at all."""
        hashes = hashed(listing)
        differs = difference(before.hashes, hashes)
        added = Picked(listing, differs.added)
        # A job that has changed keeps its id as the object that it is everywhere: 32 bytes for each.
        former = {(id_ := before.ids[place]): id_ for place in differs.removed}
        found = list(ordinary(rows(added), former, now, self._styles[0], self._sources))
        listed = [one if isinstance(one, int) else one[0] for one in found]
        arrived, known = set(listed), self._known
        # What is known and has not gone from its place stands in two.
        if len(arrived) < len(added) or not known.keys() & arrived <= former.keys():
            return None
        waited, self._unwritten = self._unwritten, {}
        problems: Counter[Problem] = Counter()
        moved = _moved(before, differs, hashes)
        changed = [
            self._careful(raw, id_, now, problems, before=raw) for id_, raw in waited.items() if id_ not in former
        ]
        if moved or int in set(map(type, found)):
            for place, id_, one in zip(differs.added, listed, found, strict=True):
                if moved and hashes[place] in moved and id_ not in waited:
                    continue  # it says what it said, in another place
                odd = isinstance(one, int)
                changed.append(
                    self._careful(listing[place], id_, now, problems, before=waited.get(id_)) if odd else cast(Job, one)
                )
        else:
            changed += cast("list[Job]", found)
        known.update(dict.fromkeys(listed, _SAID))
        self._seen = Seen(hashes, ids_after(before, differs, listed))
        gone = tuple(former.keys() - arrived)
        self._forget(gone)
        return Decoded(tuple(changed), gone, problems, len(listing))

    def _careful(self, raw: bytes, job_id: int, now: float, problems: Counter[Problem], *, before: bytes | None) -> Job:
        """Return one record in our words, whatever it says, and wait for what Milvus has yet to write.

        ``before`` is the half-written record of the same job in the last listing.
        """
        record = parsed(raw)
        if half_written(record):
            self._unwritten[job_id] = raw
        return self._in_our_words(record, job_id, now, problems, again=raw == before)

    def _forget(self, gone: Iterable[int]) -> None:
        for job_id in gone:
            del self._known[job_id]
            self._reported.pop(job_id, None)

    def _decode(self, records: Sequence[Record], now: float, scope: frozenset[int] | None) -> Decoded:
        if self._seen is not None:
            self._known = dict(zip(self._seen.ids, self._seen.hashes, strict=True))
        self._seen, self._unwritten = None, {}
        problems: Counter[Problem] = Counter()
        seen = {record.job_id for record in records}
        single = records if len(seen) == len(records) else self._settle_duplicates(records, problems)
        changed = tuple(job for record in single if (job := self._changed(record, now, problems)))
        known = self._known
        gone = tuple((known.keys() if scope is None else scope & known.keys()) - seen)
        self._forget(gone)
        return Decoded(changed, gone, problems, len(seen))

    def _settle_duplicates(self, records: Sequence[Record], problems: Counter[Problem]) -> Iterable[Record]:
        """Return each id once: of a job listed twice, the record furthest along."""
        best: dict[int, Record] = {}
        for record in records:
            other = best.get(record.job_id)
            if other is not None:
                self._report(record.job_id, Problem.DUPLICATE_JOB_ID, problems)
            if other is None or _how_far(record) > _how_far(other):
                best[record.job_id] = record
        return best.values()

    def _changed(self, record: Record, now: float, problems: Counter[Problem]) -> Job | None:
        """Return the job of a record that is new, has changed or is half-written."""
        job_id, said = record.job_id, _said(record)
        again = self._known.get(job_id) == said
        if again and not half_written(record):
            return None
        self._known[job_id] = said
        return self._in_our_words(record, job_id, now, problems, again=again)

    def _in_our_words(self, record: Record, job_id: int, now: float, problems: Counter[Problem], *, again: bool) -> Job:
        found: list[Problem] = []
        job = translated(record, job_id, now, found, again=again, styles=self._styles, sources=self._sources)
        for problem in found:
            self._report(job_id, problem, problems)
        return job

    def _report(self, job_id: int, problem: Problem, problems: Counter[Problem]) -> None:
        reported = self._reported.setdefault(job_id, set())
        if problem not in reported:
            reported.add(problem)
            problems[problem] += 1


def _moved(before: Seen, differs: Difference, hashes: Sequence[int]) -> set[int]:
    """Return the hashes of records that stand in both listings and yet in none of the runs."""
    if not differs.runs:
        return set()  # had any record been in both, there were one
    was = set(map(before.hashes.__getitem__, differs.removed))
    return was.intersection(map(hashes.__getitem__, differs.added))


def _said(record: Record) -> int:
    # Milvus writes fields in their order, as this does, so it is the hash of the record as it came. Where it is not, a
    # record is taken as changed once more.
    return hash(record.SerializeToString())


def _how_far(record: Record) -> tuple[bool, int, int, int, int, str, str, str]:
    """Return what orders records of one job. A total order: a listing's own order must not decide."""
    progress = (record.state in ENDED, record.end_time, record.progress, int(record.state), record.start_time)
    return (*progress, record.reason, record.external_source, record.collection_name)
