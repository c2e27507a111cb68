"""``check`` where several Milvus are configured: each of them, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from exporter.check import check
from exporter.reach import Step

if TYPE_CHECKING:
    from exporter.config import Settings

_AT_ONCE: Final = 8


async def check_each(targets: Mapping[str, Settings], show: Callable[[Step], None]) -> bool:
    """Check each target and show its lines together, under its name. Returns whether the daemon would work for all.

    The only Milvus has no name, and its lines are shown one by one as they come.
    """
    if (only := targets.get("")) is not None:
        return await check(only, show)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(settings: Settings) -> tuple[bool, list[Step]]:
        steps: list[Step] = []
        async with turns:
            return await check(settings, steps.append), steps

    found = {name: asyncio.create_task(one(settings)) for name, settings in targets.items()}
    for name, task in found.items():
        for step in (await task)[1]:
            show(replace(step, target=name))
    return all(task.result()[0] for task in found.values())
