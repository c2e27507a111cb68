"""What the process puts together: here, that polls of many Milvus leave scrapes their own threads."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from exporter import app
from exporter.clock import SystemClock
from exporter.config import Settings
from exporter.fleet import Fleet
from exporter.reload import Reloader
from exporter.target import InForce
from exporter.web.reply import Request


async def asked(application: Any, path: str, query: bytes = b"") -> tuple[int, bytes]:
    reply = await application(Request("GET", path.encode(), query.decode()))
    return reply.status, b"".join(reply.chunks)


def test_scrapes_are_answered_while_all_threads_of_the_polls_are_held_up() -> None:
    """A disk that hangs, or five hundred listings to decode at once: whoever scrapes need not care."""

    async def scenario() -> None:
        one = Settings.model_validate({"milvus": {"uri": "http://127.0.0.1:1"}})
        settings = Settings().model_copy(update={"targets": {"one": one}})
        clock, in_force, disk = SystemClock(), InForce(1.0), threading.Event()
        fleet = Fleet(settings.targets, clock, in_force)
        reloader = Reloader(settings, lambda: settings, fleet, in_force=in_force, clock=clock)
        application = app._web(reloader, fleet, in_force, clock, can_reload=False)
        held_up = [asyncio.create_task(asyncio.to_thread(disk.wait, 60)) for _ in range(64)]
        try:
            async with asyncio.timeout(10):
                status, body = await asked(application, "/probe", b"target=one")
                assert (status, b"milvus_external_refresh_up 0.0" in body) == (200, True)
                status, body = await asked(application, "/metrics")
                assert (status, b"exporter_build_info" in body) == (200, True)
                assert (await asked(application, "/-/reload"))[0] == 404
        finally:
            disk.set()
            await asyncio.gather(*held_up)
            await fleet.close()

    asyncio.run(scenario())
