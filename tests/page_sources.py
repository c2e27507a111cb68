"""What tests of the page and the API build from: a source around a snapshot, and asking a path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from builders import DAY, NOON, Clock, completed, failed, job, job_row, outcome_row

from exporter.model import Collection, FailureClass, Job, State
from exporter.page import Source, pages
from exporter.snapshot import CollectionRow, JobRows, OutcomeRow, Snapshot
from exporter.store import PollAccount, Publication
from exporter.web import Reply, Request

GOOD = PollAccount(attempts=1, up=True, last_attempt=NOON, last_success=NOON)
RUNBOOKS = "https://runbooks.example/here"


@dataclass
class World:
    """Collections as they come, made into one source."""

    account: PollAccount = GOOD
    stale: bool = False
    jobs: list[JobRows] = field(default_factory=list)
    outcomes: list[OutcomeRow] = field(default_factory=list)
    collections: list[CollectionRow] = field(default_factory=list)
    listed: dict[Collection, Sequence[Job]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    past: Any = None
    known_since: float = NOON - 2 * DAY

    def add(self, name: str, *jobs: Job, database: str = "sales", collection_id: int = 0, **outcome: Any) -> World:
        """Add a collection with its listed jobs and what is remembered of it."""
        at = Collection(database, name, collection_id or len(self.outcomes) + 1)
        self.listed[at] = jobs
        if jobs:
            newest = max(jobs, key=lambda each: (each.start or 0.0, each.job_id))
            self.jobs.append(job_row(name, database, at.collection_id, newest=newest, changed=NOON))
        self.outcomes.append(outcome_row(name, database, at.collection_id, **outcome))
        self.collections.append(CollectionRow(at, "s3://lake/docs", NOON - 30 * DAY))
        return self

    def source(self) -> Source:
        snapshot = Snapshot(
            now=NOON,
            jobs=tuple(self.jobs),
            outcomes=tuple(self.outcomes),
            collections=tuple(self.collections),
            known_since=self.known_since,
            **self.more,
        )
        publication = Publication(snapshot, self.account)
        return Source(
            current=lambda: publication,
            stale=lambda: self.stale,
            listed=lambda: self.listed,
            poll_interval=30.0,
            job_timeout=3600.0,
            past=self.past,
            kept=30 * DAY,
        )


def troubled() -> World:
    """A fine collection, one that runs, one that fails again and again, and one whose data is too old."""
    denied = failed(31, NOON - 60, FailureClass.ACCESS_DENIED, reason="Access Denied by the bucket, \u00fcber")
    old = completed(41, NOON - DAY)
    return (
        World()
        .add("apples", completed(11, NOON - 600), last_success=NOON - 600, max_age=26 * 3600.0)
        .add("berries", job(21, State.IN_PROGRESS, start=NOON - 240, progress=0.37), last_success=NOON - 900)
        .add("customers", denied, trouble=denied, failing=True, consecutive_failures=96, last_failure=NOON - 60)
        .add("figs", old, last_success=NOON - 31 * 3600, max_age=26 * 3600.0, database="lake")
    )


def fetch(source: Source | Mapping[str, Source], path: str, query: str = "", *, now: float = NOON + 3) -> Reply:
    """Ask a path as the server does."""
    sources = {"": source} if isinstance(source, Source) else source
    table = pages(lambda: sources, Clock(now), runbooks=RUNBOOKS, links=(("Metrics", "metrics"),))
    return asyncio.run(table[path](Request("GET", path.encode(), query)))  # type: ignore[arg-type]


def body(reply: Reply) -> str:
    return b"".join(reply.chunks).decode()


def asked(source: Source | Mapping[str, Source], path: str, query: str = "", **more: Any) -> Any:
    """Ask the API. Returns the parsed answer."""
    return json.loads(body(fetch(source, path, query, **more)))


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@dataclass(frozen=True)
class Shown:
    """A page as somebody reads it."""

    status: int
    text: str
    """Everything between tags; blanks of any kind are one."""
    links: list[str]
    tags: list[tuple[str, dict[str, str | None]]]

    def order(self, *words: str) -> list[str]:
        """Return these words in the order in which they first appear; those that do not, not."""
        return sorted((word for word in words if word in self.text), key=self.text.index)


def page(source: Source | Mapping[str, Source], path: str = "/", query: str = "", **more: Any) -> Shown:
    reply = fetch(source, path, query, **more)
    parser = _Texts()
    parser.feed(body(reply))
    return Shown(reply.status, " ".join(" ".join(parser.texts).split()), parser.links, parser.tags)
