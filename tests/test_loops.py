"""Of the tests themselves: each has event loops of its own, and gRPC has one queue for all of them."""

from __future__ import annotations

import asyncio

import grpc
import pytest


def call(channel: grpc.aio.Channel, seconds: float) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
    return channel.unary_unary("/a.Service/Method")(b"", timeout=seconds, wait_for_ready=True)


def test_a_call_that_an_earlier_loop_gave_up_leaves_no_line_in_the_output_of_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def given_up() -> grpc.aio.Channel:
        channel = grpc.aio.insecure_channel("127.0.0.1:1")
        waiting = asyncio.ensure_future(call(channel, 0.2).code())
        await asyncio.sleep(0.05)
        waiting.cancel()
        return channel

    async def outlives_it() -> grpc.StatusCode:
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            return await call(channel, 0.4).code()

    earlier = asyncio.new_event_loop()
    channel = earlier.run_until_complete(given_up())
    earlier.close()
    assert asyncio.run(outlives_it()) == grpc.StatusCode.DEADLINE_EXCEEDED
    assert [record.getMessage() for record in caplog.records] == []
    del channel
