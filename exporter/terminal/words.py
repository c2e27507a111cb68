"""What a listing says in words, on a terminal and in a pipe alike. Every text here can be written out as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.model import Collection, Job, State
from exporter.terminal.overview import Overview
from exporter.terminal.visible import ago, count, stamp, visible

STATES: Final = {
    State.PENDING: "Pending",
    State.IN_PROGRESS: "Running",
    State.COMPLETED: "Completed",
    State.FAILED: "Failed",
    State.UNKNOWN: "Unknown state",
}
ORDER: Final = (State.FAILED, State.IN_PROGRESS, State.PENDING, State.UNKNOWN, State.COMPLETED)
"""What somebody looks for first."""
_INDEX_WAIT_FROM: Final = 0.9
"""Milvus holds a job here until the indexes are built (docs/milvus.md, "Progress")."""
_NAMED: Final = 5
"""Collections that are named in one sentence."""


class Notice(NamedTuple):
    """Something to know before the jobs are read."""

    grave: bool
    """Whether what is shown is not the present."""
    text: str


def notices(seen: Overview, now: float) -> list[Notice]:
    """Return why what is shown is old or not everything, the worst first. ``now`` in epoch seconds."""
    listing, found = seen.listing, []
    if not listing.up:
        since = "" if listing.taken is None else f" Shown is what was listed {ago(now - listing.taken)}."
        found.append(Notice(grave=True, text=f"{visible(listing.why)} ({listing.kind}){since}"))
    elif listing.partial:
        missing = f"; not listed: {named(listing.unlisted)}" if listing.unlisted else ""
        text = f"Milvus refuses the whole listing, collections were asked for one by one{missing}. "
        found.append(Notice(grave=False, text=text + visible(listing.why)))
    if listing.unplaced and any(not collection.database for collection, _ in seen.rows):
        found.append(Notice(grave=False, text=f"Some databases are not known: {visible(listing.unplaced)}"))
    return found


def headline(seen: Overview) -> str:
    """Return how many jobs there are, in how many collections, and of when that is."""
    jobs = sum(seen.states.values())
    moment = "" if seen.listing.taken is None else f" as of {stamp(seen.listing.taken)}"
    return f"{count(jobs, 'job')} in {count(seen.collections, 'collection')}{moment}"


def tally(seen: Overview) -> list[tuple[State, str]]:
    """Return how many jobs are in each state that has some."""
    return [(state, f"{seen.states[state]:,} {STATES[state].lower()}") for state in ORDER if seen.states.get(state)]


def failing(seen: Overview) -> str:
    """Return in which collections the last refresh has failed, "" where in none."""
    if not seen.failing:
        return ""
    worst = sorted(seen.failing, key=lambda row: (-row.consecutive_failures, row.collection))
    told = []
    for row in worst[:_NAMED]:
        class_ = str(row.trouble.failure_class) if row.trouble is not None else ""
        several = f"{row.consecutive_failures:,} in a row" if row.consecutive_failures > 1 else ""
        told.append(f"{place(row.collection)} ({', '.join(filter(None, (class_, several)))})")
    more = len(worst) - len(told)
    rest = f" and {more:,} more" if more else ""
    return f"Last refresh failed in {count(len(worst), 'collection')}: {', '.join(told)}{rest}"


def nothing(seen: Overview) -> str:
    """Return what to say where no job is shown, "" where some are."""
    if seen.total:
        return ""
    return "No failed jobs." if seen.failed_only else "No jobs."


def rest(seen: Overview) -> str:
    """Return what the limit leaves out, "" where nothing."""
    left = seen.total - len(seen.rows)
    return f"{len(seen.rows):,} of {count(seen.total, 'job')}; --all shows the others too" if left else ""


def hint(job: Job) -> str:
    """Return what to know about the progress of a job that has not ended."""
    if job.state is State.IN_PROGRESS and not percent(job):
        return "a job of one task stays at 0 until it is done"
    if job.progress >= _INDEX_WAIT_FROM:
        return "from 90 % on it waits for indexes"
    return "listing the source" if job.state is State.PENDING else ""


def percent(job: Job) -> int:
    """Return how far a job is. Before it has ended that is never rounded up to 100."""
    return min(int(job.progress * 100), 100 if job.state is State.COMPLETED else 99)


def took(job: Job, now: float) -> float | None:
    """Return how many seconds a job has run, or runs until ``now``; None where that is not known."""
    if job.start is None or (job.end is None and job.state.ended):
        return None
    length = (now if job.end is None else job.end) - job.start
    return length if length >= 0 else None


def place(collection: Collection) -> str:
    """Return database and collection in one word."""
    return visible(f"{collection.database or '?'}/{collection.name}")


def named(collections: Sequence[Collection]) -> str:
    """Return the first names, and how many more there are."""
    more = len(collections) - _NAMED
    return ", ".join(map(place, collections[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")
