"""Translate job records at the door, and only those that are new or have changed.

Most of a listing is yesterday's ended jobs (docs/milvus.md, "Retention"). A record whose bytes are those of the last
poll is not decoded: a poll costs what has changed (docs/decisions/0010-cost-follows-change.md). Kept is a hash of each
record, not its bytes, which are some 250 each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.milvus.records import Record, parsed
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
    """Jobs in the listing, each id once."""


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

        Raises :class:`exporter.errors.BadResponse` for a record that cannot be decoded, and then knows what it knew.
        """
        return self._decode(listing, now, scope=None)

    def part(self, records: Iterable[Record], now: float, scope: Iterable[int]) -> Decoded:
        """Decode the listing of one collection, ``scope`` being the ids it is known to have had."""
        return self._decode([record.SerializeToString() for record in records], now, scope=frozenset(scope))

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
        said, listed, new = self._compared(listing)
        jobs, odd = self._translated(listing, new, former := self._not_in(listed, scope), now)
        if len(listed.union([job.job_id for job in jobs])) < len(listing):  # a job has two records
            listing = self._one_of_each(listing, problems)
            said, listed, new = self._compared(listing)
            jobs, odd = self._translated(listing, new, former := self._not_in(listed, scope), now)
        job_ids = [job.job_id for job in jobs]
        self._forget({*former, *job_ids})
        self._said.update(zip(job_ids, said, strict=True))
        self._ids.update(zip(said, job_ids, strict=True))
        for job_id, found in odd:
            self._report(job_id, found, problems)
        gone = tuple(former.keys() - set(job_ids))
        return Decoded(tuple(jobs), gone, problems, len(listing))

    def _compared(self, listing: Sequence[bytes]) -> tuple[list[int], set[int], list[int]]:
        """Return of a listing the hashes of new records, the ids of jobs that say what they said, and new places."""
        hashes = list(map(hash, listing))
        job_ids = list(map(self._ids.get, hashes))
        listed = {job_id for job_id in job_ids if job_id is not None}
        new = [place for place, job_id in enumerate(job_ids) if job_id is None]
        return [hashes[place] for place in new], listed, new

    def _translated(
        self, listing: Sequence[bytes], places: Iterable[int], former: Mapping[int, int], now: float
    ) -> tuple[list[Job], list[tuple[int, list[Problem]]]]:
        """Return the jobs of some records, and what had to be repaired."""
        jobs: list[Job] = []
        odd: list[tuple[int, list[Problem]]] = []
        found: list[Problem] = []
        for place in places:
            # One after the other: each look at a place makes a copy of the record, and a message is large.
            record = parsed(listing[place])
            # A job that changes keeps its id as the object that it is everywhere: 32 bytes for each.
            job_id = former.get(record.job_id, record.job_id)
            jobs.append(translated(record, job_id, now, found, self._styles, sources=self._sources))
            if found:
                odd.append((job_id, found))
                found = []
        return jobs, odd

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
        best: dict[int, Record] = {}
        for record in list(map(parsed, listing)):
            other = best.get(record.job_id)
            if other is not None:
                self._report(record.job_id, (Problem.DUPLICATE_JOB_ID,), problems)
            if other is None or _how_far(record) > _how_far(other):
                best[record.job_id] = record
        return [record.SerializeToString() for record in best.values()]

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
