"""The corpus of redaction, put into Milvus's answers and looked for in all that the exporter shows and keeps."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from builders import Clock, ScriptedMilvus, settings
from redaction_texts import HARMLESS, SECRETS, SHORTEST, parts

from exporter import app, log, target
from exporter.config import Settings
from exporter.fleet import Fleet
from exporter.reload import Reloader
from exporter.target import InForce
from exporter.terminal import asking
from exporter.terminal.choice import Choice
from exporter.terminal.display import Display
from exporter.web.reply import Request

CORPUS = (*SECRETS, *HARMLESS)
SOURCES = [entry["text"] for entry in CORPUS if entry.get("source")]
# Digits stand in any time stamp, and "example" is the end of a published key as well as of many a host's name.
HIDDEN = {part for each in SECRETS for part in parts(each["canary"]) if not part.isdigit() and part not in "example"}
READABLE = "Access Denied by the bucket number "
WHERE = ("/metrics", "page", "API", "jobs", "log", "state file")

Ask = Callable[[str], Awaitable[str]]


class Served(ScriptedMilvus):
    """A scripted Milvus in the place of the client."""

    async def close(self) -> None:
        pass


def everything_fails(milvus: Served) -> None:
    """Let a job of each text's own collection fail, and one of a collection for all, the texts their reasons.

    What the client makes of a collection's own source, in which a scripted Milvus has no part, is tried by
    ``tests/integration/test_canaries.py``.
    """
    one = milvus.create("one", "lake")
    for number, entry in enumerate(CORPUS):
        for collection in (milvus.create(f"c{number}", "lake"), one):
            job = milvus.submit(collection, source=SOURCES[number % len(SOURCES)])
            milvus.fail(job, f"{READABLE}{number}" if number % 50 == 0 else entry["text"])


async def paged(ask: Ask, path: str) -> str:
    """Return all pages of a view, one after the other."""
    shown: list[str] = []
    for page in count(1):
        text = await ask(f"{path}page={page}")
        shown.append(text)
        if f"page={page + 1}" not in text:
            return "\n".join(shown)
    raise AssertionError


def terminal(milvus: Served, listing: asking.Listing, chosen: Settings) -> Iterator[str]:
    for form in ("table", "plain", "json"):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            Display("", chosen, Choice(form=form, everything=True), milvus.clock).show(listing)
        yield shown.getvalue()


async def life(milvus: Served, chosen: Settings) -> Mapping[str, str]:
    """Return what a daemon shows and keeps that has seen every text, by where."""
    in_force = InForce(milvus.clock.wall())
    fleet = Fleet({"": chosen}, milvus.clock, in_force)
    reloader = Reloader(chosen, lambda: chosen, fleet, in_force=in_force, clock=milvus.clock)
    application = app._web(reloader, fleet, in_force, milvus.clock, can_reload=False)

    async def ask(address: str) -> str:
        path, _, query = address.partition("?")
        reply = await application(Request("GET", path.encode(), query))
        assert reply.status == 200, b"".join(reply.chunks)
        return b"".join(reply.chunks).decode()

    watching = fleet.targets[""]
    assert watching.reader is not None
    await watching.reader.read()
    await watching.corridor.poll()
    everything_fails(milvus)
    milvus.clock.turn(30)
    await watching.reader.read()
    await watching.corridor.poll()
    listing = await asking.Connection(chosen, milvus.clock).ask()
    shown = {
        "/metrics": await ask("/metrics"),
        "page": await paged(ask, "/?") + await paged(ask, "/collection?database=lake&name=one&"),
        "API": "\n".join(
            [
                await ask(f"/api/v1/{of}limit=1000&offset={offset}")
                for of in ("jobs?", "collections?", "history?database=lake&collection=one&")
                for offset in (0, 1000, 2000)
            ]
        ),
        "jobs": "\n".join(terminal(milvus, listing, chosen)),
    }
    await fleet.close()
    return shown


@contextlib.contextmanager
def logging_to(stream: io.StringIO) -> Iterator[None]:
    """Log to a stream all that there is, and give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log.configure("debug", "json", stream)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    folder: Path = tmp_path_factory.mktemp("outputs")
    chosen = settings(
        state={"path": str(folder / "state.db")}, limits={"max_collections": "5000", "max_sources": "1000"}
    )
    milvus, logged = Served(Clock()), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, logging_to(logged):
        for module in (target, asking):
            patched.setattr(module, "MilvusClient", lambda _: milvus)
        shown = dict(asyncio.run(life(milvus, chosen)))
    shown["log"] = logged.getvalue()
    shown["state file"] = "\n".join(file.read_bytes().decode("latin-1") for file in sorted(folder.iterdir()))
    return shown


def secrets_in(text: str) -> set[str]:
    text = text.lower()
    lengths = {len(part) for part in HIDDEN}
    return {text[at : at + length] for length in lengths for at in range(len(text))} & HIDDEN


@pytest.mark.parametrize("where", WHERE)
def test_no_secret_of_the_corpus_is_in_any_output(outputs: Mapping[str, str], where: str) -> None:
    assert not secrets_in(outputs[where])


@pytest.mark.parametrize("where", WHERE)
def test_every_text_has_been_through_each_output(outputs: Mapping[str, str], where: str) -> None:
    """Or nothing would have been shown of it because it was not there."""
    for number in range(0, len(CORPUS), 50):
        assert f"{READABLE}{number}" in outputs[where]
    assert outputs[where].count("***") > len(SECRETS) / 2


def test_a_secret_would_be_found() -> None:
    assert secrets_in(f"reason={SECRETS[0]['text']!r}")
    assert SHORTEST in {len(part) for part in HIDDEN}
