"""Translate job records at the door, and only those that are new or have changed.

Most of a listing is yesterday's ended jobs (docs/milvus.md, "Retention"). A record whose bytes are those of the last
poll is not even decoded, and one that says the same never becomes a job: a poll costs what has changed
(docs/decisions/0010-cost-follows-change.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.milvus.difference import Picked, Seen, difference, hashed, ids_after
from exporter.milvus.records import Record, parsed
from exporter.milvus.redact import SourceStyle
from exporter.milvus.translate import ENDED, Fingerprint, ReasonStyle, fingerprint, half_written, ordinary, translated
from exporter.model import Job, Problem


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
                r.job_id: raw for r, raw in zip(records, listing, strict=True) if half_written(fingerprint(r))
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
        listed = [record.job_id for record in records]
        arrived, known = set(listed), self._known
        # What is known and has not gone from its place stands in two.
        if len(arrived) < len(added) or not known.keys() & arrived <= former.keys():
            return None
        # A job that has changed keeps its id as the object that it is everywhere: 32 bytes for each.
        listed = list(map(former.get, listed, listed))
        unwritten = {id_: raw for id_, raw in self._unwritten.items() if id_ not in former}
        problems: Counter[Problem] = Counter()
        changed = [self._translate(r, fingerprint(r), now, problems) for r in parsed(tuple(unwritten.values()))]
        for place, job_id, record in zip(differs.added, listed, records, strict=True):
            print_ = fingerprint(record)
            if half_written(print_):
                unwritten[job_id] = listing[place]
            elif known.get(job_id) == print_:
                continue
            changed.append(self._translate(record, print_, now, problems, job_id))
        ids = ids_after(before, differs, listed)
        self._unwritten, self._seen = unwritten, Seen(hashes, ids)
        gone = tuple(former.keys() - arrived)
        self._forget(gone)
        return Decoded(tuple(changed), gone, problems, len(listing))

    def _forget(self, gone: Iterable[int]) -> None:
        for job_id in gone:
            del self._known[job_id]
            self._reported.pop(job_id, None)

    def _decode(self, records: Sequence[Record], now: float, scope: frozenset[int] | None) -> Decoded:
        self._seen, self._unwritten = None, {}
        problems: Counter[Problem] = Counter()
        seen: set[int] = set()
        fresh: list[tuple[Record, Fingerprint]] = []
        known = self._known
        for record in records:
            job_id = record.job_id
            seen.add(job_id)
            print_ = fingerprint(record)
            if known.get(job_id) != print_ or half_written(print_):
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
        prints = ((record, fingerprint(record)) for record in best.values())
        return [(r, p) for r, p in prints if self._known.get(r.job_id) != p or half_written(p)]

    def _translate(
        self, record: Record, print_: Fingerprint, now: float, problems: Counter[Problem], job_id: int | None = None
    ) -> Job:
        """Return the record in our words; ``job_id`` is its id as the object that others have of it."""
        job_id = record.job_id if job_id is None else job_id
        job = ordinary(record, job_id, print_, now, self._source_style)
        if job is None:
            found: list[Problem] = []
            again = self._known.get(job_id) == print_
            job = translated(
                record, job_id, print_, now, found, again=again, styles=(self._source_style, self._reason_style)
            )
            for problem in found:
                self._report(job_id, problem, problems)
        self._known[job_id] = print_
        return job

    def _report(self, job_id: int, problem: Problem, problems: Counter[Problem]) -> None:
        reported = self._reported.setdefault(job_id, set())
        if problem not in reported:
            reported.add(problem)
            problems[problem] += 1


def _how_far(record: Record) -> tuple[bool, int, int, int, int, str, str, str]:
    """Return what orders records of one job. A total order: a listing's own order must not decide."""
    progress = (record.state in ENDED, record.end_time, record.progress, int(record.state), record.start_time)
    return (*progress, record.reason, record.external_source, record.collection_name)
