"""Several Milvus in one schedule. Nobody listens at their addresses: tried is who is polled, not what for."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from builders import Clock

from exporter import heap
from exporter.clock import SystemClock
from exporter.config import Settings
from exporter.fleet import Change, Fleet, share
from exporter.reload import unchangeable
from exporter.sharding import moment, owner
from exporter.target import InForce


def settings(**sections: Any) -> Settings:
    nobody = {"milvus": {"uri": "http://127.0.0.1:1"}, "poll": {"interval": "1h", "timeout": "100ms"}}
    return Settings.model_validate(nobody | sections)


def several(names: str, **sections: Any) -> dict[str, Settings]:
    return {name: settings(**sections) for name in names.split()}


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work

    asyncio.run(bounded())


async def until_ready(fleet: Fleet) -> None:
    while not fleet.ready:  # noqa: ASYNC110  # it is a property, which nobody sets
        await asyncio.sleep(0.01)


def at_once(names: str, **sections: Any) -> dict[str, Settings]:
    """Return targets whose polls are spread over a moment."""
    return several(names, poll={"interval": "1s", "timeout": "100ms"}, **sections)


def test_a_share_is_what_the_hash_gives_to_this_process() -> None:
    names = [f"m{number}" for number in range(40)]
    whole = Settings().model_copy(update={"targets": {name: settings() for name in names}})
    shares = [
        share(whole.model_copy(update={"shard": whole.shard.model_copy(update={"total": 3, "index": index})}))
        for index in range(3)
    ]
    assert sorted(name for each in shares for name in each) == sorted(names)
    assert all(owner(name, 3) == index for index, each in enumerate(shares) for name in each)
    assert list(share(settings())) == [""]


def test_it_is_ready_when_each_has_been_polled_and_stays_so() -> None:
    """A target that is added later must not take the others out of a load balancer."""

    async def scenario() -> None:
        fleet = Fleet(at_once("a b c"), SystemClock(), InForce(0.0))
        assert not fleet.ready
        fleet.start()
        await until_ready(fleet)
        assert all(target.store.current.account.attempts for target in fleet.targets.values())
        await fleet.change(at_once("a b c") | several("later"))
        assert fleet.ready
        await fleet.stop()
        await fleet.close()

    run(scenario())


def test_one_target_that_no_longer_polls_does_not_make_the_process_dead() -> None:
    """A restart would mend nothing and hit all the others; when none is polled any more, it is right."""

    async def scenario() -> None:
        clock = Clock()
        fleet = Fleet(at_once("a b"), clock, InForce(0.0))
        assert not fleet.healthy
        fleet.start()
        assert fleet.healthy
        clock.turn(10_000)
        assert not fleet.healthy
        fleet._pulses["a"].beat()
        assert fleet.healthy
        await fleet.stop()
        await fleet.close()

    run(scenario())


def test_polls_are_spread_over_the_interval_and_the_only_milvus_does_not_wait() -> None:
    """Five hundred polls in the same moment would be a burst for us and for the network."""

    async def scenario() -> None:
        names = " ".join(f"m{number}" for number in range(20))
        for interval, window in ((40, 40.0), (600, 60.0)):
            poll = {"interval": f"{interval}s", "timeout": "100ms"}
            fleet = Fleet(several(names, poll=poll), SystemClock(), InForce(0.0))
            fleet.start()
            delays = fleet._schedule._delays
            assert {name: delays[f"poll {name}"] for name in names.split()} == {
                name: moment(name) * window for name in names.split()
            }
            await fleet.stop()
            await fleet.close()
        only = Fleet({"": settings()}, SystemClock(), InForce(0.0))
        only.start()
        assert only._schedule._delays == {"poll": 0.0, "inventory": 0.0}
        await only.stop()
        await only.close()

    run(scenario())


def test_a_process_whose_share_is_empty_is_alive_and_ready() -> None:
    async def scenario() -> None:
        fleet = Fleet({}, SystemClock(), InForce(0.0))
        fleet.start()
        assert fleet.healthy
        assert fleet.ready
        await fleet.stop()
        await fleet.close()

    run(scenario())


def test_a_process_that_polls_nothing_looks_for_garbage() -> None:
    """It is the first poll that switches the collector on after a start; here there may never be one."""

    async def scenario() -> None:
        empty = Fleet({}, SystemClock(), InForce(0.0))
        gc.disable()
        empty.start()
        assert gc.isenabled()
        emptied = Fleet(several("far"), SystemClock(), InForce(0.0))
        gc.disable()
        emptied.start()
        assert not gc.isenabled()
        await emptied.change({})
        assert gc.isenabled()
        for fleet in (empty, emptied):
            await fleet.stop()
            await fleet.close()

    try:
        run(scenario())
    finally:
        gc.enable()


def test_a_change_touches_only_what_has_changed() -> None:
    """What is watched in the same way keeps its very objects: channel, memory, exposition."""

    async def scenario() -> None:
        fleet = Fleet(at_once("same other gone"), SystemClock(), InForce(0.0))
        fleet.start()
        await until_ready(fleet)
        before = dict(fleet.targets)
        wanted = at_once("same") | at_once("other", freshness={"max_age": "1h"}) | at_once("new")
        change = await fleet.change(wanted)
        assert change == Change(added=("new",), removed=("gone",), changed=("other",))
        assert set(fleet.targets) == {"same", "other", "new"}
        assert fleet.targets["same"] is before["same"]
        after = fleet.targets["other"]
        assert after is not before["other"]
        assert after.memory is before["other"].memory
        assert after.client is before["other"].client
        assert after.store.current.account.attempts >= before["other"].store.current.account.attempts > 0
        assert await fleet.change(wanted) == Change()
        await fleet.stop()
        await fleet.close()

    run(scenario())


@pytest.mark.parametrize(
    ("sections", "kept"),
    [
        ({"filters": {"collections": {"exclude": ["a"]}}}, (True, True)),
        ({"inventory": {"interval": "1h"}}, (True, True)),
        ({"labels": {"source": "none"}}, (False, False)),
        ({"milvus": {"uri": "http://127.0.0.1:2"}}, (False, False)),
        ({"inventory": {"enabled": False}}, (True, False)),
    ],
)
def test_channel_and_inventory_go_over_where_the_settings_say_the_same_of_them(
    sections: dict[str, Any], kept: tuple[bool, bool]
) -> None:
    async def scenario() -> None:
        fleet = Fleet(at_once("a"), SystemClock(), InForce(0.0))
        before = fleet.targets["a"]
        fleet.start()
        while not (counted := before.inventory_account().by_kind):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
        await fleet.change(at_once("a", **sections))
        after = fleet.targets["a"]
        assert (after.client is before.client, after.reader is before.reader) == kept
        assert all(after.inventory_account().by_kind[kind] >= count for kind, count in counted.items())
        await fleet.stop()
        await fleet.close()

    run(scenario())


def test_the_state_file_goes_over_open(tmp_path: Path) -> None:
    """Closed and opened again, it could be refused, and counts would begin anew."""

    async def scenario() -> None:
        path = str(tmp_path / "state.db")
        fleet = Fleet(at_once("a", state={"path": path}), SystemClock(), InForce(0.0))
        before = fleet.targets["a"].state
        fleet.start()
        await fleet.change(at_once("a", state={"path": path, "history": "2d"}))
        assert fleet.targets["a"].state is before
        assert before is not None
        assert before.history == 2 * 86_400
        await fleet.stop()
        await fleet.close()
        assert not before.account.errors

    run(scenario())


def test_what_is_no_longer_needed_is_freed(caplog: pytest.LogCaptureFixture) -> None:
    """Also what was left out of the search for garbage before: a process may be told a thousand times to reload."""
    caplog.set_level(logging.CRITICAL, "exporter")  # a record that is kept keeps the frames of its error

    async def scenario() -> None:
        fleet = Fleet(at_once("changed removed"), SystemClock(), InForce(0.0))
        fleet.start()
        await until_ready(fleet)
        before = [weakref.ref(target.corridor) for target in fleet.targets.values()]
        heap.freeze()
        await fleet.change(at_once("changed", freshness={"max_age": "1h"}))
        assert [each() for each in before] == [None, None]
        await fleet.stop()
        await fleet.close()

    run(scenario())


# What a reload cannot change


def test_what_is_settled_by_the_start_is_told_by_name(tmp_path: Path) -> None:
    one = settings()
    (tmp_path / "web.yml").write_text("")
    other = settings(
        web={"listen_address": [":1", "unix:/s"], "telemetry_path": "/m", "config_file": str(tmp_path / "web.yml")},
        state={"path": str(tmp_path / "state.db")},
    )
    assert list(unchangeable(one, one)) == []
    assert [fault.partition(":")[0] for fault in unchangeable(one, other)] == [
        "web.listen_address",
        "web.config_file",
        "web.telemetry_path",
        "state.path",
    ]
    assert "it stays :1, unix:/s" in next(iter(unchangeable(other, one)))


def test_every_setting_of_the_web_side_is_settled_by_the_start() -> None:
    """A new one must be given a thought: does it take effect with a reload?"""
    assert {f"web.{name}" for name in type(settings().web).model_fields} == {
        fault.partition(":")[0] for fault in unchangeable(settings(), different_web())
    }


def different_web() -> Settings:
    web = settings().web
    other = web.model_copy(update=dict.fromkeys(type(web).model_fields, "other"))
    return settings().model_copy(update={"web": other})
