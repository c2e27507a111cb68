"""Jobs as lines for other programs: tabs between columns, nothing cut, nothing coloured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.terminal import words
from exporter.terminal.asking import Placed
from exporter.terminal.overview import Overview
from exporter.terminal.visible import stamp, visible

COLUMNS: Final = (
    "state",
    "database",
    "collection",
    "source",
    "progress_percent",
    "started",
    "duration_seconds",
    "failure_class",
    "reason",
    "job_id",
)


def lines(seen: Overview, now: float) -> Iterator[str]:
    r"""Yield comments, which begin with ``#``, a line with the names of the columns, and one line a job.

    A tab or line break in a text is written out as ``\t`` or ``\n``. ``now`` in epoch seconds.
    """
    states = ", ".join(text for _, text in words.tally(seen))
    yield f"# {words.headline(seen)}" + (f": {states}" if states else "")
    for notice in words.notices(seen, now):
        yield f"# {notice.text}"
    for text in (words.failing(seen), words.nothing(seen)):
        if text:
            yield f"# {text}"
    yield "\t".join(COLUMNS)
    for placed in seen.rows:
        yield "\t".join(map(visible, _cells(placed, now)))
    if rest := words.rest(seen):
        yield f"# {rest}"


def _cells(placed: Placed, now: float) -> tuple[str, ...]:
    collection, job = placed
    took = words.took(job, now)
    return (
        str(job.state),
        collection.database,
        collection.name,
        job.source,
        str(words.percent(job)),
        "" if job.start is None else stamp(job.start),
        "" if took is None else f"{took:.3f}",
        str(job.failure_class or ""),
        job.reason,
        str(job.job_id),
    )
