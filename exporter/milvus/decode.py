"""Translate job records at the door, and only those that are new or have changed.

Most of a listing is yesterday's ended jobs (docs/milvus.md, "Retention"). A record whose bytes are those of the last
poll is not decoded: a poll costs what has changed (docs/decisions/0010-cost-follows-change.md). Kept is a hash of each
record, not its bytes, which are some 250 each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.milvus.records import Record, job_id_of, parsed
from exporter.milvus.translate import ENDED, Sources, translated
from exporter.model import Job, Problem
from exporter.redaction import SourceStyle
from exporter.texts import ReasonStyle


@dataclass(frozen=True, slots=True)
class Decoded:
    """One listing in our words."""

    changed: tuple[Job, ...]
    """New jobs and jobs that differ from the last listing, if only in what we do not read."""
    gone: tuple[int, ...]
    """Ids that an earlier listing had and this one has not."""
    problems: Counter[Problem]
    """Impossible values met for the first time, each once per job id."""
    total: int
    """Jobs in the listing, each id once, without those of which not even the id can be read."""


@dataclass(slots=True)
class _New:
    """What those records of a listing say that are new or have changed."""

    jobs: list[Job] = field(default_factory=list)
    odd: list[tuple[int, list[Problem]]] = field(default_factory=list)
    """What had to be repaired, by job id."""
    said: dict[int, int] = field(default_factory=dict)
    """The hash of each record by job id, also where the rest of it cannot be decoded."""
    nameless: int = 0
    """Records of which not even the id can be read."""


class ListingDecoder:
    """Remembers what the last listing said of each job."""

    def __init__(self, *, source_style: SourceStyle = "path", reason_style: ReasonStyle = "safe") -> None:
        self._styles: tuple[SourceStyle, ReasonStyle] = (source_style, reason_style)
        self._sources: Sources = {}
        self._said: dict[int, int] = {}
        """The hash of each job's record in the last listing, by job id."""
        self._ids: dict[int, int] = {}
        """The same the other way round."""
        self._unsure: set[int] = set()
        """Ids that an earlier listing had and of which nothing else is known any more."""
        self._reported: dict[int, set[Problem]] = {}

    def whole(self, listing: Sequence[bytes], now: float) -> Decoded:
        """Decode a listing of everything as it came. ``now`` in epoch seconds.

        A record that cannot be decoded costs itself: its job stays what it was, if it was known.
        """
        return self._decode(listing, now, scope=None)

    def part(self, listing: Sequence[bytes], now: float, scope: Iterable[int]) -> Decoded:
        """Decode the listing of one collection, ``scope`` being the ids it is known to have had."""
        return self._decode(listing, now, scope=frozenset(scope))

    def start_over(self, listed: Iterable[int]) -> None:
        """Take every record as changed next time, and every id in ``listed`` as one that an earlier listing had."""
        self._unsure.update(self._said, listed)
        self._said, self._ids = {}, {}

    def forget(self, job_ids: Iterable[int]) -> None:
        """Forget what was reported of jobs that will not be listed again."""
        for job_id in job_ids:
            self._reported.pop(job_id, None)

    def _decode(self, listing: Sequence[bytes], now: float, scope: frozenset[int] | None) -> Decoded:
        problems: Counter[Problem] = Counter()
        listed, places = self._compared(listing)
        new = self._translated(listing, places, former := self._not_in(listed, scope), now)
        if len(listed | new.said.keys()) + new.nameless < len(listing):  # a job has two records
            listing = self._one_of_each(listing, problems)
            listed, places = self._compared(listing)
            new = self._translated(listing, places, former := self._not_in(listed, scope), now)
        self._forget({*former, *new.said})
        self._said.update(new.said)
        self._ids.update((said, job_id) for job_id, said in new.said.items())
        for job_id, found in new.odd:
            self._report(job_id, found, problems)
        gone = tuple(former.keys() - new.said.keys())
        for job_id in gone:
            if self._reported.get(job_id) == {Problem.UNDECODABLE}:  # never a job, so nobody else will forget it
                del self._reported[job_id]
        return Decoded(tuple(new.jobs), gone, problems, len(listing) - new.nameless)

    def _compared(self, listing: Sequence[bytes]) -> tuple[set[int], list[int]]:
        """Return of a listing the ids of jobs that say what they said, and the places of records that are new."""
        job_ids = list(map(self._ids.get, map(hash, listing)))
        listed = {job_id for job_id in job_ids if job_id is not None}
        return listed, [place for place, job_id in enumerate(job_ids) if job_id is None]

    def _translated(
        self, listing: Sequence[bytes], places: Iterable[int], former: Mapping[int, int], now: float
    ) -> _New:
        new = _New()
        found: list[Problem] = []
        for place in places:
            # One after the other: each look at a place makes a copy of the record, and a message is large.
            raw = listing[place]
            record = parsed(raw, found)
            known = record.job_id if record is not None else job_id_of(raw)
            if known is None:
                new.nameless += 1
            else:
                # A job that changes keeps its id as the object that it is everywhere: 32 bytes for each.
                known = former.get(known, known)
                new.said[known] = hash(raw)
            if record is not None and known is not None:
                new.jobs.append(translated(record, known, now, found, self._styles, sources=self._sources))
            if found:
                new.odd.append((known or 0, found))
                found = []
        return new

    def _not_in(self, listed: set[int], scope: frozenset[int] | None) -> dict[int, int]:
        """Return ids, as the objects that they are, whose records are not what they were."""
        if scope is not None:
            return {job_id: job_id for job_id in scope - listed if job_id in self._said or job_id in self._unsure}
        former = dict(zip(self._unsure, self._unsure, strict=True))
        if len(listed) < len(self._ids):
            former.update((job_id, job_id) for job_id in self._said.keys() - listed)
        return former

    def _one_of_each(self, listing: Sequence[bytes], problems: Counter[Problem]) -> list[bytes]:
        """Return one record for each job: of those listed twice the one furthest along."""
        best: dict[int, tuple[Record, bytes]] = {}
        broken: dict[int, bytes] = {}
        nameless: list[bytes] = []
        for raw in listing:
            record = parsed(raw, [])
            if record is None:
                job_id = job_id_of(raw)
                if job_id is None:
                    nameless.append(raw)
                else:
                    broken.setdefault(job_id, raw)
                continue
            other = best.get(record.job_id)
            if other is not None:
                self._report(record.job_id, (Problem.DUPLICATE_JOB_ID,), problems)
            if other is None or _how_far(record) > _how_far(other[0]):
                best[record.job_id] = record, raw
        for job_id in broken.keys() & best.keys():
            self._report(job_id, (Problem.UNDECODABLE,), problems)
        alone = (raw for job_id, raw in broken.items() if job_id not in best)
        return [*(raw for _, raw in best.values()), *alone, *nameless]

    def _forget(self, job_ids: set[int]) -> None:
        for job_id in job_ids:
            said = self._said.pop(job_id, None)
            if said is not None:
                del self._ids[said]
        self._unsure.difference_update(job_ids)

    def _report(self, job_id: int, found: Iterable[Problem], problems: Counter[Problem]) -> None:
        """Count impossible values, each once for a job."""
        reported = self._reported.setdefault(job_id, set())
        problems.update(set(found) - reported)
        reported.update(found)


def _how_far(record: Record) -> tuple[bool, int, int, int, int, str, str, str]:
    """Return what orders records of one job. A total order: a listing's own order must not decide."""
    progress = (record.state in ENDED, record.end_time, record.progress, int(record.state), record.start_time)
    return (*progress, record.reason, record.external_source, record.collection_name)
