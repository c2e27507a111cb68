"""The measured parts of docs/performance.md, between marks; everything around them is written by people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.goals import Measured
from benchmarks.machine import machine, today, versions
from benchmarks.picture import draw
from benchmarks.processes import ROOT
from benchmarks.report import markdown
from benchmarks.scale import Scale, Sized

PAGE: Final = ROOT / "docs" / "performance.md"
PICTURE: Final = ROOT / "docs" / "images" / "growth.svg"
_INTERVAL: Final = 30.0
"""The default of ``poll.interval``, in seconds."""
_RECORD_BYTES: Final = 239
_TARGETS: Final = ((10, 10_000), (100, 10_000), (1_000, 10_000), (1_000, 100_000), (10_000, 100_000))


def write_goals(measured: Sequence[Measured]) -> None:
    """Put the table of goals into the page."""
    replace_part(PAGE, "goals", f"{_measured_with()}\n\n{markdown(measured)}")


def write_scale(scale: Scale) -> None:
    """Put sizes, and what follows from them, into the page; and draw the picture."""
    PICTURE.write_text(draw(scale.curves), encoding="utf-8")
    replace_part(PAGE, "sizes", f"{_measured_with()}\n\n{sizes(scale)}")
    replace_part(PAGE, "fleet", fleet(scale))


def replace_part(page: Path, name: str, content: str) -> None:
    """Replace what stands between the marks of one part. Raises ValueError where they are missing."""
    begin, end = f"<!-- measured {name}: begin -->", f"<!-- measured {name}: end -->"
    text = page.read_text(encoding="utf-8")
    head, found, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{page.name}: the marks of {name!r} are missing")
    page.write_text(f"{head}{begin}\n{content}\n{end}{tail}", encoding="utf-8")


def _measured_with() -> str:
    return f"Measured {today()} on {machine()}.\nWith {versions()}."


def sizes(scale: Scale) -> str:
    """Return the sizing table."""
    head = (
        "collections", "listed jobs", "series", "CPU per poll", "of one core, 30 s", "memory (most)",
        "answer of Milvus", "scrape, gzip (plain)", "scrape: median, slowest", "health: slowest",
    )  # fmt: skip
    rows = [head, ("---:",) * len(head), *map(_size_row, scale.sizes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _size_row(size: Sized) -> tuple[str, ...]:
    return (
        f"{size.collections:,}",
        f"{size.jobs:,}",
        f"{size.series:,}",
        _seconds(size.poll_cpu),
        f"{size.poll_cpu / _INTERVAL:.2%}",
        f"{size.memory / 1e6:,.0f} ({size.most_memory / 1e6:,.0f}) MB",
        f"{size.jobs * _RECORD_BYTES / 1e6:,.1f} MB",
        f"{size.packed / 1e6:,.2f} ({size.body / 1e6:,.1f}) MB",
        f"{_seconds(size.scrape_median)}, {_seconds(size.scrape_slowest)}",
        _seconds(size.healthy_slowest),
    )


def fleet(scale: Scale) -> str:
    """Return what many Milvus would need: computed, on the straight line through the smallest and a large size."""
    small, large = scale.sizes[0], next((s for s in scale.sizes if s.jobs >= 100_000), scale.sizes[-1])
    jobs = large.jobs - small.jobs
    per_job = (large.poll_cpu - small.poll_cpu) / jobs
    fixed = max(0.0, small.poll_cpu - per_job * small.jobs)
    bytes_per_job = (large.memory - small.memory) / jobs
    base = small.memory - bytes_per_job * small.jobs
    lines = [
        f"A poll: {_seconds(fixed)} of CPU and {per_job * 1e6:.1f} us for each listed job.",
        f"A process: {base / 1e6:.0f} MB, of which {scale.floor_memory / 1e6:.0f} MB are what it imports, and",
        f"{bytes_per_job / 1e3:.1f} KB for each listed job.",
        "",
        "| Milvus clusters | jobs each | jobs in all | cores at 30 s | memory | from Milvus, average |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for targets, each in _TARGETS:
        cores = targets * (fixed + each * per_job) / _INTERVAL
        memory = targets * (base + each * bytes_per_job)
        rate = targets * each * _RECORD_BYTES * 8 / _INTERVAL
        lines.append(
            f"| {targets:,} | {each:,} | {targets * each:,} | {cores:,.2f} | {memory / 1e9:,.1f} GB | "
            f"{rate / 1e6:,.0f} Mbit/s |"
        )
    return "\n".join(lines)


def _seconds(value: float) -> str:
    if value >= 1:
        return f"{value:.1f} s"
    return f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"
