"""What of a listing is shown: chosen and counted once, however often it is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from exporter.model import State
from exporter.snapshot import OutcomeRow
from exporter.terminal.asking import Listing, Placed
from exporter.terminal.choice import Choice


@dataclass(frozen=True, slots=True)
class Overview:
    """A listing as somebody has chosen to see it."""

    target: str
    """Empty where there are no targets."""
    listing: Listing
    rows: Sequence[Placed]
    """The jobs to show, the latest started first."""
    total: int
    """Jobs that could be shown, were there no limit."""
    most: int | None
    states: Mapping[State, int]
    """Jobs of the chosen collections by state, also of those states that are not shown."""
    collections: int
    failing: Sequence[OutcomeRow]
    failed_only: bool


def overview(target: str, listing: Listing, choice: Choice, most: int | None) -> Overview:
    """Choose and count. ``most`` jobs are to be shown, None for all."""
    known: dict[tuple[str, str], bool] = {}
    covered: list[Placed] = []
    for placed in listing.jobs:
        place = placed[0][:2]
        kept = known.get(place)
        if kept is None:
            kept = known[place] = choice.covers(placed[0])
        if kept:
            covered.append(placed)
    shown = [placed for placed in covered if choice.shows(placed[1])]
    return Overview(
        target=target,
        listing=listing,
        rows=tuple(islice(shown, most)),
        total=len(shown),
        most=most,
        states=Counter(job.state for _, job in covered),
        collections=sum(known.values()),
        failing=tuple(row for row in listing.failing if choice.covers(row.collection)),
        failed_only=choice.failed,
    )
