"""What this user may see of the collections whose jobs are listed: for ``check`` (docs/milvus.md, "Privileges")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from exporter import errors
from exporter.catalog.candidates import DEFAULT
from exporter.model import DescribedCollection, ShownCollection

_MAX_CALLS: Final = 200
"""Names that nothing visible bears are looked up one by one, in each database."""
_MAX_NAMES: Final = 5
_LONGEST_NAME: Final = 60
_DOCS: Final = "(docs/milvus.md, Privileges)"
GRANT: Final = f'grant DescribeCollection and IndexDetail with collection_name="*" {_DOCS}'
_GRANT_SIGHT: Final = (
    f'grant IndexDetail with collection_name="*" {_DOCS}: DescribeCollection alone shows no collection'
)


class Source(Protocol):
    """The calls of the inventory that this makes."""

    async def list_databases(self, *, timeout: float) -> tuple[str, ...]:
        """Return the databases this user may see."""

    async def show_collections(self, database: str, *, timeout: float) -> tuple[ShownCollection, ...]:
        """Return the collections of one database that this user may see."""

    async def describe_collection(self, database: str, name: str, *, timeout: float) -> DescribedCollection:
        """Describe one collection."""

    async def list_jobs(self, *, timeout: float, database: str, collection: str) -> object:
        """List the jobs of one collection by name."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is visible, and what is not although it has jobs."""

    databases: tuple[str, ...]
    collections: int
    hidden: tuple[str, ...] = ()
    """Names of jobs' collections that exist in a database whose name is known, and may not be seen."""
    unknown: tuple[str, ...] = ()
    """Names that no database has whose name is known, and those that were too many to be looked up."""
    may_describe: bool = True
    """Whether nothing has been found that speaks against the privilege DescribeCollection."""


async def look(source: Source, job_names: Iterable[str], *, timeout: float) -> Sight:
    """Ask what a pass of the inventory asks, and for the collections of jobs. Raises :class:`errors.MilvusError`."""
    databases = await source.list_databases(timeout=timeout)
    visible: set[str] = set()
    total = 0
    for database in databases:
        names = await _visible_in(source, database, timeout)
        total += len(names)
        visible.update(names)
    hidden, unknown = [], []
    places = tuple(dict.fromkeys((*databases, DEFAULT)))
    wanted = sorted(set(job_names) - visible)
    most = max(1, _MAX_CALLS // len(places))
    for name in wanted[:most]:
        try:
            exists = await _exists_in_one_of(source, places, name, timeout)
        except errors.PermissionDenied as denied:
            if not denied.hides_one_collection:  # the call itself: all other names would fare alike
                return Sight(databases, total, unknown=tuple(wanted), may_describe=False)
            hidden.append(name)
            continue
        if not exists:
            unknown.append(name)
    return Sight(databases, total, tuple(hidden), (*unknown, *wanted[most:]))


async def _visible_in(source: Source, database: str, timeout: float) -> Sequence[str]:
    try:
        shown = await source.show_collections(database, timeout=timeout)
        if shown:
            await source.describe_collection(database, shown[0].name, timeout=timeout)
    except (errors.CollectionGone, errors.DatabaseGone):
        return ()  # dropped between two calls
    return [collection.name for collection in shown]


async def _exists_in_one_of(source: Source, databases: Iterable[str], name: str, timeout: float) -> bool:
    """Return whether a name that is not shown is an alias of something visible; False where nobody knows the name.

    Raises :class:`errors.PermissionDenied` where it is hidden.
    """
    for database in databases:
        try:
            await source.describe_collection(database, name, timeout=timeout)
        except (errors.CollectionGone, errors.DatabaseGone):
            continue
        return True
    return False


async def is_missing(source: Source, database: str, timeout: float) -> bool:
    """Return whether a database is known not to exist.

    Listing jobs by the name of whatever collection needs no privilege; ShowCollections says nothing of a hidden one.
    """
    try:
        await source.list_jobs(timeout=timeout, database=database, collection="any")
    except errors.DatabaseGone:
        return True
    except errors.MilvusError:
        return False
    return False


def told(sight: Sight, jobs_of: int | None, everything: str = "") -> tuple[bool, str]:
    """Return whether all is well as far as one can know, and what to say.

    ``jobs_of`` is how many collections have jobs, None where jobs could not be listed; ``everything`` says why this
    user sees everything, if so.
    """
    found = f"{_count(sight.collections, 'collection')} in {_count(len(sight.databases), 'database')}"
    if everything and not sight.hidden:
        why = "" if sight.collections and not sight.unknown else f"; {everything}"
        return True, found + why + _left_behind(sight.unknown)
    unseen = (*sight.hidden, *sight.unknown)
    if not jobs_of or not unseen:
        if sight.collections or jobs_of:
            return True, found
        no_jobs = "no jobs are listed" if jobs_of == 0 else "jobs cannot be listed"
        return False, f"{found}, and {no_jobs}: Milvus is empty, or hides all from this user; if it is not, {GRANT}"
    which = f"{_names(unseen)}; {_remedy(sight)}"
    if len(unseen) >= jobs_of:
        none = "it is not" if jobs_of == 1 else "none of them is"
        return False, f"jobs of {_count(jobs_of, 'collection')} are listed, {none} visible to this user: {which}"
    text = f"{found}; of {jobs_of} collections with jobs {len(unseen)} {_are(len(unseen))} not visible: {which}"
    return not sight.hidden and sight.may_describe, text


def _left_behind(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"; jobs are listed of {_count(len(names), 'name')} that no collection bears any more: {_names(names)}"


def _remedy(sight: Sight) -> str:
    if not sight.may_describe:
        return GRANT
    if sight.hidden:
        return _GRANT_SIGHT
    return f"dropped or renamed, or in a database that this user may not see; if so, {GRANT}"


def _names(names: Sequence[str]) -> str:
    shown = ["".join(char for char in name if char.isprintable())[:_LONGEST_NAME] for name in names[:_MAX_NAMES]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
