"""All listed jobs, the latest first: sorted once per listing and not once per page of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.model import Collection, Job
from exporter.page.rows import start_key
from exporter.page.source import Listed, Source

Placed = tuple[str, Collection, Job]
"""Target, collection, job."""


class Orders:
    """Keeps the order of the last listings asked for, of each choice of targets. Threads may share it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[list[Listed], list[Placed]]] = {}

    def keep(self, targets: Iterable[str]) -> None:
        """Forget the jobs of targets that are not among these: a reload can have removed them."""
        current = set(targets)
        for names in [names for names in tuple(self._known) if not current.issuperset(names)]:
            self._known.pop(names, None)  # another thread may have been quicker

    def of(self, sources: Mapping[str, Source]) -> list[Placed]:
        """Return the listed jobs of these targets, the latest first. Not to be changed."""
        listings = [source.listed() for source in sources.values()]
        names = tuple(sources)
        known = self._known.get(names)
        if known is not None and all(one is other for one, other in zip(known[0], listings, strict=True)):
            return known[1]
        found = in_order(
            (target, collection, job)
            for target, listed in zip(names, listings, strict=True)
            for collection, jobs in listed.items()
            for job in jobs
        )
        self._known[names] = (listings, found)
        return found


def in_order(jobs: Iterable[Placed]) -> list[Placed]:
    """Return jobs in the order in which they were started, the latest first."""
    return sorted(jobs, key=_key, reverse=True)


def _key(placed: Placed) -> tuple[float, int]:
    return start_key(placed[2])
