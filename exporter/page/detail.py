"""One collection's view: how it is doing, every job that Milvus lists, and what the state file keeps beyond that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from exporter.errors import StateUnusable
from exporter.ledger import Mark
from exporter.model import Job, State
from exporter.page import words
from exporter.page.freshness import freshness
from exporter.page.listing import paged, refresh_seconds, switch
from exporter.page.parts import Progress, progress, row_view
from exporter.page.query import Detail, View
from exporter.page.rows import Row, newest_first, rows
from exporter.page.source import Source
from exporter.page.strip import DAY, FINE, chart

PAGE: Final = 50
MOST_MARKS: Final = 20_000
"""Of the kept history that is looked at for one page."""


@dataclass(frozen=True, slots=True)
class JobView:
    """One line of the table of jobs."""

    job: Job
    words: str
    duration: str
    class_words: str
    reason: str
    note: str
    """What there is to know where the job has no reason of its own."""
    progress: Progress | None
    listed: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One day of history, by UTC. Durations in seconds, None where no job of it could be measured."""

    day: str
    completed: int
    failed: int
    typical: float | None
    longest: float | None


def detail(sources: Mapping[str, Source], asked: Detail, runbooks: str, now: float) -> dict[str, Any] | None:
    """Return what the template of one collection is given, None for a collection that nothing is known of."""
    source = sources[asked.target]
    fresh, everything = freshness(source, now), rows(asked.target, source, now)
    place = (asked.database, asked.name)
    row = next((row for row in everything if row.place == place), None)
    marks, readable = _marks(source, asked, now)
    if row is None:
        return None
    at = source.seen_at(now)
    several = len(sources) > 1
    # A young file has nothing to show of most of the time that it is allowed to keep.
    since = max(now - source.kept, min([now - DAY, *(mark.end for mark in marks[-1:])]))
    jobs, pages, readable = _jobs(source, row, marks, asked.page, at, readable=readable)
    return {
        "asked": asked if several else Detail("", *place),
        "view": View(target=asked.target if several else ""),
        "fresh": fresh,
        "at": at,
        "line": row_view(row, runbooks, at, shown_target=asked.target if several else "", narrowest=FINE),
        "jobs": jobs,
        "pages": pages,
        "keeps": source.past is not None,
        "readable": readable,
        "chart": chart(marks, since, now) if marks else None,
        "days": _days(marks),
        "since": since,
        "kept": words.limit(source.kept),
        "marks": len(marks),
        "cut": len(marks) >= MOST_MARKS,
        "targets": switch(sources, View(target=asked.target), now, fresh, everything),
        "refresh": refresh_seconds(source),
    }


def _marks(source: Source, asked: Detail, now: float) -> tuple[tuple[Mark, ...], bool]:
    """Return the kept jobs, and whether they could be read."""
    if source.past is None:
        return (), True
    try:
        return source.past.marks(asked.database, asked.name, since=now - source.kept, most=MOST_MARKS), True
    except StateUnusable:
        return (), False


def _jobs(
    source: Source, row: Row, marks: Sequence[Mark], page: int, at: float, *, readable: bool
) -> tuple[list[JobView], Any, bool]:
    """Return one page of what is listed or kept, the latest first; a kept job is read only when it is on the page."""
    listed = {job.job_id: job for job in newest_first(row.jobs)}
    kept = ((mark.start or mark.end, mark.job_id) for mark in marks if mark.job_id not in listed)
    order = sorted([*((job.start or 0.0, job_id) for job_id, job in listed.items()), *kept], reverse=True)
    pages = paged(len(order), page, PAGE)
    ids = [job_id for _, job_id in order[max(pages.first_shown - 1, 0) : pages.last_shown]]
    missing = [job_id for job_id in ids if job_id not in listed]
    found: dict[int, Job] = {}
    if missing and source.past is not None:
        try:
            found = source.past.jobs(missing)
        except StateUnusable:
            readable = False
    jobs = [(listed.get(job_id) or found.get(job_id), job_id in listed) for job_id in ids]
    return [_job(job, at, listed=here) for job, here in jobs if job is not None], pages, readable


def _job(job: Job, at: float, *, listed: bool) -> JobView:
    measured = job.start is not None and job.end is not None and job.end >= job.start
    told, reason, note = words.blame(job) if job.failure_class else ("", job.reason, "")
    return JobView(
        job=job,
        words=words.STATES[job.state],
        duration=words.duration(job.end - job.start) if measured and job.end and job.start is not None else "",
        class_words=told,
        reason=reason,
        note=note,
        progress=None if job.state.ended else progress(job, at),
        listed=listed,
    )


def _days(marks: Sequence[Mark]) -> list[Day]:
    found = []
    for _, of_day in groupby(marks, key=lambda mark: mark.end // DAY):
        group = list(of_day)
        done = [mark for mark in group if mark.completed]
        times = sorted(mark.end - mark.start for mark in done if mark.start is not None and mark.end >= mark.start)
        failed = sum(mark.state == State.FAILED for mark in group)
        middle = times[len(times) // 2] if times else None
        found.append(Day(words.iso(group[0].end)[:10], len(done), failed, middle, times[-1] if times else None))
    return found
