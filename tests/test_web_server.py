"""The server through real sockets: bounds, time-outs, stop. Nothing sleeps: a test waits for what the server does."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import UsageError
from exporter.web import Bounds, Reply, Server, accept, create_app, new_event_loop
from exporter.web.protocol import BoundedProtocol
from exporter.web.reply import text_reply

SOON = 0.05
"""A time-out that a test waits for."""
GUARD = 30.0
"""A test that would hang fails instead."""
BOUNDS = Bounds(head_timeout=GUARD, answer_timeout=GUARD, idle_timeout=GUARD, linger=GUARD)
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = (b"0123456789abcdef" * 65536,) * 20

Metrics = Callable[[str, str], Awaitable[Reply]]


@pytest.fixture(params=[asyncio.new_event_loop, new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a coroutine on each loop that users can have; fail for anything the loop complained about."""

    def runner(test: Callable[[], Awaitable[None]]) -> None:
        complaints: list[dict[str, Any]] = []

        async def guarded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(GUARD):
                await test()

        with asyncio.Runner(loop_factory=request.param) as loop:
            loop.run(guarded())
        assert complaints == []

    return runner


async def small(accept: str, accept_encoding: str) -> Reply:
    return text_reply(200, "up 1")


async def big(accept: str, accept_encoding: str) -> Reply:
    return Reply(200, "text/plain", BIG)


class Gate:
    """A handler that answers when it is told to."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.open = asyncio.Event()

    async def __call__(self, accept: str, accept_encoding: str) -> Reply:
        self.entered.release()
        await self.open.wait()
        return text_reply(200, "up 1")


def app(metrics: Metrics = small) -> Any:
    return create_app(
        metrics=metrics,
        healthy=lambda: True,
        ready=lambda: True,
        config_text=lambda: "",
        telemetry_path="/metrics",
    )


@asynccontextmanager
async def serving(metrics: Metrics = small, bounds: Bounds = BOUNDS, *, send_buffer: int = 0) -> AsyncIterator[int]:
    server = Server(app(metrics), ["127.0.0.1:0"], bounds)
    await server.start()
    if send_buffer:
        for listener in server._listeners:  # connections inherit it
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    try:
        yield int(server.addresses[0].rpartition(":")[2])
    finally:
        await server.stop(0)


class Caller:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split(" ")[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def status(self) -> int:
        return (await self.answer())[0]

    async def ask(self, data: bytes = GET) -> int:
        self.send(data)
        return await self.status()

    async def rest(self) -> bytes:
        """Everything until the server closes. A reset counts as closed."""
        try:
            return await self.reader.read(-1)
        except ConnectionResetError:
            return b""


def reset(caller: Caller) -> None:
    """Go away at once, with a reset."""
    bare = caller.writer.get_extra_info("socket")
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.writer.transport.abort()


def whole(caller: socket.socket) -> bytes:
    """Block until the answer of :func:`small` has come to its end."""
    answer = b""
    while not answer.endswith(b"up 1\n"):
        answer += (piece := caller.recv(1 << 16))
        assert piece, answer
    return answer


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()


Run = Callable[[Callable[[], Awaitable[None]]], None]


def test_a_connection_is_kept_for_the_next_scrape(run: Run) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            for _ in range(3):
                caller.send(GET)
                status, headers, body = await caller.answer()
                assert (status, body) == (200, b"up 1\n")
                assert not {"connection", "server", "date"} & set(headers)

    run(test)


def test_small_packets_are_not_held_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is two writes, and Nagle's algorithm would keep the second one for 40 ms."""
    options: list[int] = []
    before = BoundedProtocol.connection_made

    def connection_made(self: BoundedProtocol, transport: Any) -> None:
        before(self, transport)
        options.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(BoundedProtocol, "connection_made", connection_made)

    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            assert await caller.ask() == 200

    run(test)
    assert len(options) == 1
    assert options[0] != 0


def test_a_large_body_arrives_whole(run: Run) -> None:
    async def test() -> None:
        async with serving(big) as port, connected(port) as caller:
            caller.send(GET)
            assert (await caller.answer())[2] == b"".join(BIG)
            assert await caller.ask(GET.replace(b"/metrics", b"/-/ready")) == 200

    run(test)


def test_head_sends_no_body_and_keeps_the_connection(run: Run) -> None:
    async def test() -> None:
        async with serving(big) as port, connected(port) as caller:
            caller.send(GET.replace(b"GET", b"HEAD"))
            head = await caller.reader.readuntil(b"\r\n\r\n")
            assert f"content-length: {len(BIG) * len(BIG[0])}\r\n".encode() in head
            assert await caller.ask(GET.replace(b"/metrics", b"/-/ready")) == 200

    run(test)


def test_a_few_pipelined_requests_are_answered_in_order(run: Run) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            caller.send(GET + GET.replace(b"/metrics", b"/nowhere") + GET)
            assert [await caller.status() for _ in range(3)] == [200, 404, 200]
            assert await caller.ask() == 200

    run(test)


def test_a_flood_of_pipelined_requests_ends_the_connection(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(gate) as port, connected(port) as caller:
            caller.send(GET * (BOUNDS.pipelined + 1))
            assert await caller.rest() == b""

    run(test)


HEAD_LIMIT = BOUNDS.head_bytes


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /metrics HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * (HEAD_LIMIT // 6) + b"\r\n",
        b"GET /" + b"a" * HEAD_LIMIT + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT,
        b"GET /" + b"a" * HEAD_LIMIT,
    ],
    ids=["header", "headers", "path", "unfinished header", "unfinished path"],
)
def test_a_head_above_16_kib_is_refused(run: Run, request_bytes: bytes) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            caller.send(request_bytes)
            status, headers, body = await caller.answer()
            assert (status, headers["connection"]) == (431, "close")
            assert body == b"request header fields too large\n"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert await caller.rest() == b""

    run(test)


def test_a_head_sent_in_many_pieces_is_bounded_all_the_same(run: Run) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            assert await caller.ask() == 200
            caller.send(b"GET /metrics HTTP/1.1\r\n")
            refusal = asyncio.create_task(caller.status())
            while not refusal.done():
                caller.send(b"X: " + b"a" * 1000)
                await caller.writer.drain()
                await asyncio.sleep(0)
            assert await refusal == 431

    run(test)


def test_a_head_just_below_the_bound_is_served(run: Run) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            header = b"X: " + b"a" * (HEAD_LIMIT - 200) + b"\r\n"
            for _ in range(3):
                assert await caller.ask(GET[:-2] + header + b"\r\n") == 200

    run(test)


def test_a_body_that_says_it_is_large_is_refused_unread(run: Run) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            assert await caller.ask(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n") == 413
            assert await caller.rest() == b""

    run(test)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 4095,
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["short", "withheld", "chunked", "large chunk", "upgrade"],
)
def test_a_body_is_ignored_and_ends_the_connection_after_the_answer(run: Run, request_bytes: bytes) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            caller.send(request_bytes)
            status, headers, _ = await caller.answer()
            assert (status, headers["connection"]) == (405, "close")
            assert await caller.rest() == b""

    run(test)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET ?x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"FOO /metrics HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\0",
    ],
    ids=["TLS", "HTTP/2", "no path", "not ASCII", "CONNECT", "two lengths", "overflow", "method", "nonsense"],
)
def test_what_is_not_http_is_400_without_a_word_in_the_log(
    run: Run, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        caplog.set_level(logging.INFO)
        async with serving() as port, connected(port) as caller:
            caller.send(request_bytes)
            status, _, body = await caller.answer()
            assert (status, body) == (400, b"bad request\n")
            assert await caller.rest() == b""

    run(test)
    assert caplog.text == ""


def test_a_caller_that_says_nothing_is_closed(run: Run) -> None:
    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, head_timeout=SOON)) as port, connected(port) as caller:
            assert await caller.rest() == b""

    run(test)


@pytest.mark.parametrize("before", [b"", GET], ids=["first request", "second request"])
@pytest.mark.parametrize("drip", [b"a", b"X: y\r\n"], ids=["one header", "many headers"])
def test_a_caller_that_sends_its_head_drop_by_drop_is_closed(run: Run, before: bytes, drip: bytes) -> None:
    """Each drop must not start the clock anew, nor may a good first request."""

    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, head_timeout=SOON)) as port, connected(port) as caller:
            if before:
                assert await caller.ask(before) == 200
            caller.send(b"GET /metrics HTTP/1.1\r\n")
            closed = asyncio.create_task(caller.rest())
            while not closed.done():
                caller.send(drip)
                await asyncio.wait([closed], timeout=SOON / 10)
            assert closed.result() == b""

    run(test)


@pytest.mark.parametrize("before", [b"", GET], ids=["first request", "second request"])
def test_empty_lines_do_not_keep_a_connection(run: Run, before: bytes) -> None:
    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, head_timeout=SOON)) as port, connected(port) as caller:
            if before:
                assert await caller.ask(before) == 200
            closed = asyncio.create_task(caller.rest())
            while not closed.done():
                caller.send(b"\r\n")
                await asyncio.wait([closed], timeout=SOON / 10)

    run(test)


def test_a_request_that_begins_behind_another_has_no_more_time_than_one_alone(run: Run) -> None:
    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, head_timeout=SOON)) as port, connected(port) as caller:
            assert await caller.ask(GET + b"GET /metrics HT") == 200
            assert await caller.rest() == b""

    run(test)


def test_an_idle_connection_is_closed(run: Run) -> None:
    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, idle_timeout=SOON)) as port, connected(port) as caller:
            assert await caller.ask() == 200
            assert await caller.rest() == b""

    run(test)


def test_an_answer_that_is_being_made_is_not_idle(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        bounds = replace(BOUNDS, idle_timeout=SOON, head_timeout=SOON)
        async with serving(gate, bounds) as port, connected(port) as caller, connected(port) as idle:
            caller.send(GET)
            await idle.rest()
            gate.open.set()
            assert await caller.status() == 200

    run(test)


def slow_caller(port: int, request: bytes = GET) -> socket.socket:
    """A caller with a small window that does not read."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.connect(("127.0.0.1", port))
    caller.sendall(request)
    return caller


CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BODY = GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")


@pytest.mark.parametrize("request_bytes", [GET, CLOSE, BODY], ids=["keep", "close", "body"])
@pytest.mark.parametrize("size", [1, len(BIG)], ids=["1 MiB", "20 MiB"])
def test_a_reader_that_does_not_read_is_dropped(
    run: Run, request_bytes: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its answer waits in the handler or, the last piece, in the transport's buffer."""
    lost = asyncio.Event()
    after = BoundedProtocol.connection_lost

    def connection_lost(self: BoundedProtocol, exc: Exception | None) -> None:
        after(self, exc)
        lost.set()

    monkeypatch.setattr(BoundedProtocol, "connection_lost", connection_lost)

    async def large(accept: str, accept_encoding: str) -> Reply:
        return Reply(200, "text/plain", BIG[:size])

    async def test() -> None:
        bounds = replace(BOUNDS, answer_timeout=SOON, idle_timeout=SOON, linger=SOON)
        async with serving(large, bounds, send_buffer=4096) as port:
            with slow_caller(port, request_bytes):
                await lost.wait()

    run(test)


async def dripped(caller: socket.socket) -> bool:
    """Send a little more. Returns False once the other side no longer takes it."""
    try:
        await asyncio.get_running_loop().sock_sendall(caller, b"x")
    except ConnectionError:
        return False
    await asyncio.sleep(0)
    return True


def test_a_refused_caller_that_goes_on_sending_is_dropped(run: Run) -> None:
    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, linger=SOON)) as port:
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.setblocking(False)
                caller.send(b"nonsense\r\n\r\n")
                loop = asyncio.get_running_loop()
                assert (await loop.sock_recv(caller, 1000)).startswith(b"HTTP/1.1 400 ")
                while await dripped(caller):
                    pass

    run(test)


@pytest.mark.parametrize(
    "header", [b"Content-Length: 5", b"Transfer-Encoding: chunked"], ids=["of a known length", "chunked"]
)
def test_a_caller_that_sends_its_body_late_is_not_reset(run: Run, header: bytes) -> None:
    """Many send head and body apart. A reset in between is an error to them, though the request was answered."""

    async def test() -> None:
        async with serving() as port:
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.setblocking(False)
                caller.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
                loop = asyncio.get_running_loop()
                while await loop.sock_recv(caller, 1000):
                    pass
                for _ in range(5):
                    assert await dripped(caller)

    run(test)


def test_a_caller_that_never_ends_its_body_is_dropped_after_its_answer(run: Run) -> None:
    async def test() -> None:
        async with serving(bounds=replace(BOUNDS, linger=SOON)) as port:
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.setblocking(False)
                caller.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                while await dripped(caller):
                    pass

    run(test)


def test_a_slow_reader_gets_its_whole_answer_though_its_body_was_not_read(run: Run) -> None:
    """The moment for the rest of the body is too short for that."""

    async def two_pieces(accept: str, accept_encoding: str) -> Reply:
        return Reply(200, "text/plain", BIG[:2])

    async def test() -> None:
        bounds = replace(BOUNDS, linger=0.0)
        async with serving(two_pieces, bounds, send_buffer=4096) as port, connected(port) as caller:
            caller.send(BODY)
            assert len((await caller.answer())[2]) == 2 * len(BIG[0])

    run(test)


def test_a_caller_that_goes_away_leaves_no_trace_in_the_log(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        caplog.set_level(logging.INFO)
        async with serving(big) as port:
            for _ in range(10):
                with slow_caller(port) as caller:
                    await asyncio.get_running_loop().run_in_executor(None, caller.recv, 4096)
            async with connected(port) as caller:
                assert await caller.ask(GET.replace(b"/metrics", b"/-/ready")) == 200

    run(test)
    assert caplog.text == ""


@pytest.mark.parametrize("request_bytes", [GET, GET + GET], ids=["one", "pipelined"])
def test_a_caller_that_is_gone_when_its_answer_is_ready_leaves_no_trace_in_the_log(
    run: Run, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The first write fails, and the writes after it must not each be a warning."""
    callers: list[socket.socket] = []

    async def reset_then_answer(accept: str, accept_encoding: str) -> Reply:
        callers.pop().close()
        return Reply(200, "text/plain", BIG)

    async def test() -> None:
        caplog.set_level(logging.INFO)
        async with serving(reset_then_answer) as port:
            callers.append(socket.create_connection(("127.0.0.1", port)))
            callers[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            callers[0].sendall(request_bytes)
            async with connected(port) as caller:
                assert await caller.ask(GET.replace(b"/metrics", b"/-/ready")) == 200
                assert callers == []

    run(test)
    assert caplog.text == ""


def test_a_caller_that_goes_away_while_its_first_of_two_answers_is_made_leaves_no_trace(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        caplog.set_level(logging.INFO)
        gate = Gate()
        async with serving(gate) as port:
            async with connected(port) as caller:
                caller.send(GET + GET)
                await gate.entered.acquire()
            async with connected(port) as caller:
                assert await caller.ask(GET.replace(b"/metrics", b"/-/ready")) == 200
            gate.open.set()
            async with connected(port) as caller:
                assert await caller.ask(GET.replace(b"/metrics", b"/-/ready")) == 200

    run(test)
    gc.collect()
    assert caplog.text == ""


def test_a_request_too_many_is_503_and_health_is_answered_meanwhile(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with (
            serving(gate, replace(BOUNDS, requests=2)) as port,
            connected(port) as first,
            connected(port) as second,
            connected(port) as third,
        ):
            for caller in (first, second):
                caller.send(GET)
                await gate.entered.acquire()
            third.send(GET)
            status, headers, body = await third.answer()
            assert (status, body, headers["retry-after"]) == (503, b"too many requests at once\n", "1")
            for path in (b"/-/healthy", b"/-/ready"):
                assert await third.ask(GET.replace(b"/metrics", path)) == 200
            gate.open.set()
            assert [await first.status(), await second.status()] == [200, 200]
            assert await third.ask() == 200

    run(test)


def test_a_failed_request_gives_its_place_back(run: Run) -> None:
    async def fail(accept: str, accept_encoding: str) -> Reply:
        return Reply(200, "text/plain", (b"x",), (("header", "bad\nvalue"),))

    async def test() -> None:
        async with serving(fail, replace(BOUNDS, requests=1)) as port:
            for _ in range(2):
                async with connected(port) as caller:
                    caller.send(GET)
                    assert await caller.rest() == b""
            async with connected(port) as caller:
                assert await caller.ask(GET.replace(b"/metrics", b"/nowhere")) == 404

    run(test)


def test_a_request_whose_caller_has_gone_gives_its_place_back(run: Run) -> None:
    """Its handler may take a minute more, or for ever."""

    async def test() -> None:
        gate = Gate()
        async with serving(gate, replace(BOUNDS, requests=1)) as port:
            async with connected(port) as caller:
                caller.send(GET)
                await gate.entered.acquire()
                reset(caller)
            async with connected(port) as other:
                while await other.ask(GET.replace(b"/metrics", b"/nowhere")) == 503:
                    pass

    run(test)


def test_a_request_that_is_out_of_time_gives_its_place_back(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with serving(gate, replace(BOUNDS, requests=1, answer_timeout=SOON)) as port:
            async with connected(port) as caller:
                caller.send(GET)
                assert await caller.rest() == b""
            async with connected(port) as other:
                assert await other.ask(GET.replace(b"/metrics", b"/nowhere")) == 404

    run(test)


class SlowSignIn:
    """Security that lets everybody wait until somebody decides."""

    tls = False
    headers = ()

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.decided = asyncio.Event()

    def admits(self, transport: Any) -> bool:
        return True

    async def refusal(self, request: Any) -> Reply | None:
        if request.path != b"/-/healthy":
            self.asked.release()
            await self.decided.wait()
        return None

    def close(self) -> None:
        pass


def test_callers_that_wait_to_be_signed_in_keep_no_probe_out(run: Run) -> None:
    """They can fill all connections: the oldest makes room, and what it has asked is checked all the same."""

    async def test() -> None:
        security = SlowSignIn()
        server = Server(app(), ["127.0.0.1:0"], replace(BOUNDS, connections=3), security)  # type: ignore[arg-type]
        await server.start()
        port = int(server.addresses[0].rpartition(":")[2])
        async with connected(port) as first, connected(port) as second, connected(port) as third:
            for caller in (first, second, third):
                caller.send(GET)
                await security.asked.acquire()
                await another_time()
            async with connected(port) as probe:
                assert await probe.ask(GET.replace(b"/metrics", b"/-/healthy")) == 200
            security.decided.set()
            assert await first.rest() == b""
            assert [await second.status(), await third.status()] == [200, 200]
        await server.stop(0)

    run(test)


def test_a_connection_too_many_is_told_and_closed_and_a_place_that_is_free_again_is_given(run: Run) -> None:
    """Where all others have a request in hand."""

    async def test() -> None:
        gate = Gate()
        bounds = replace(BOUNDS, connections=2)
        async with serving(gate, bounds) as port, connected(port) as first, connected(port) as second:
            for caller in (first, second):
                caller.send(CLOSE)
                await gate.entered.acquire()
            async with connected(port) as third:
                assert await third.status() == 503
                assert await third.rest() == b""
            gate.open.set()
            assert [await first.status(), await second.status()] == [200, 200]
            await asyncio.gather(first.rest(), second.rest())
            async with connected(port) as third:
                assert await third.ask() == 200

    run(test)


async def another_time() -> None:
    """uvloop's clock counts milliseconds; what follows must be later than what was before."""
    await asyncio.sleep(0.002)


def test_a_connection_too_many_takes_the_place_of_the_one_that_has_said_nothing_for_longest(run: Run) -> None:
    async def test() -> None:
        bounds = replace(BOUNDS, connections=3)
        async with serving(bounds=bounds) as port, connected(port) as scraper, connected(port) as silent:
            assert await scraper.ask() == 200
            await another_time()
            async with connected(port) as half, connected(port) as probe:
                half.send(GET[:-2])
                assert await probe.ask(GET.replace(b"/metrics", b"/-/healthy")) == 200
                assert await silent.rest() == b""
                async with connected(port) as another:
                    assert await another.ask() == 200
                    assert await half.rest() == b""
                    assert [await scraper.ask(), await probe.ask()] == [200, 200]

    run(test)


def test_an_idle_connection_makes_room_when_no_other_is_silent(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        bounds = replace(BOUNDS, connections=2)
        async with serving(gate, bounds) as port, connected(port) as busy, connected(port) as idle:
            busy.send(GET)
            await gate.entered.acquire()
            assert await idle.ask(GET.replace(b"/metrics", b"/-/ready")) == 200
            async with connected(port) as third:
                assert await third.ask(GET.replace(b"/metrics", b"/-/ready")) == 200
                assert await idle.rest() == b""
            gate.open.set()
            assert await busy.status() == 200

    run(test)


def test_stop_lets_the_request_in_hand_finish_and_closes_the_idle_ones(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        server = Server(app(gate), ["127.0.0.1:0"], BOUNDS)
        await server.start()
        port = int(server.addresses[0].rpartition(":")[2])
        async with connected(port) as busy, connected(port) as idle, connected(port) as silent:
            assert await idle.ask(GET.replace(b"/metrics", b"/-/ready")) == 200
            busy.send(GET)
            await gate.entered.acquire()
            stopping = asyncio.create_task(server.stop(GUARD))
            assert await idle.rest() == b""
            assert await silent.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            assert not stopping.done()
            gate.open.set()
            status, headers, _ = await busy.answer()
            assert (status, headers["connection"]) == (200, "close")
            await stopping

    run(test)


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
def test_stop_answers_every_request_that_has_arrived_even_where_nobody_has_looked_at_it_yet(
    run: Run, kept: bool
) -> None:
    """A scrape that came while the process was busy with something else; the kernel has it, the server does not."""

    async def test() -> None:
        server = Server(app(), ["127.0.0.1:0"], BOUNDS)
        await server.start()
        port = int(server.addresses[0].rpartition(":")[2])
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            callers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(20)]
            if kept:
                for each in callers:
                    each.send(GET)
                    assert b"200 OK" in await loop.run_in_executor(None, whole, each)
            for each in callers:  # from here to the stop the loop does not turn
                each.send(GET)
            stopping = asyncio.create_task(server.stop(GUARD))
            for each in callers:
                assert b"200 OK" in await loop.run_in_executor(None, whole, each)
            await stopping

    run(test)


def test_stop_cuts_off_what_takes_longer_than_the_grace(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        caplog.set_level(logging.INFO)
        gate = Gate()
        server = Server(app(gate), ["127.0.0.1:0"], BOUNDS)
        await server.start()
        async with connected(int(server.addresses[0].rpartition(":")[2])) as busy:
            busy.send(GET)
            await gate.entered.acquire()
            await server.stop(SOON)
            assert await busy.rest() == b""
        assert len(asyncio.all_tasks()) == 1

    run(test)
    assert caplog.text == ""


def test_stop_cuts_off_a_reader_that_does_not_read(run: Run) -> None:
    async def test() -> None:
        server = Server(app(big), ["127.0.0.1:0"], BOUNDS)
        await server.start()
        with slow_caller(int(server.addresses[0].rpartition(":")[2])) as caller:
            await asyncio.get_running_loop().run_in_executor(None, caller.recv, 1)
            await server.stop(SOON)
        assert len(asyncio.all_tasks()) == 1

    run(test)


def test_stop_without_connections_is_at_once_and_the_addresses_can_be_used_again(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "a.sock"
        address = "127.0.0.1:0"
        for _ in range(5):
            server = Server(app(), [address, f"unix:{path}"], BOUNDS)
            assert server.addresses == ()
            await server.start()
            address, unix = server.addresses
            assert unix == f"unix:{path}"
            async with connected(int(address.rpartition(":")[2])) as caller:
                assert await caller.ask() == 200
            reader, writer = await asyncio.open_unix_connection(str(path))
            assert await Caller(reader, writer).ask() == 200
            writer.transport.abort()
            await server.stop(GUARD)
            assert not path.exists()
            assert server.addresses == ()

    run(test)


def test_stop_twice_and_stop_before_start_are_harmless(run: Run) -> None:
    async def test() -> None:
        server = Server(app(), ["127.0.0.1:0"], BOUNDS)
        await server.stop(0)
        await server.start()
        await server.stop(0)
        await server.stop(0)

    run(test)


def test_two_stops_at_once_are_harmless(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        server = Server(app(gate), ["127.0.0.1:0"], BOUNDS)
        await server.start()
        port = int(server.addresses[0].rpartition(":")[2])
        async with connected(port) as busy:
            busy.send(GET)
            await gate.entered.acquire()
            first = asyncio.create_task(server.stop(GUARD))
            while server._listeners[0].socket.fileno() >= 0:  # noqa: ASYNC110  # the loop itself closes it
                await asyncio.sleep(0)
            second = asyncio.create_task(server.stop(GUARD))
            gate.open.set()
            assert await busy.status() == 200
            await asyncio.gather(first, second)

    run(test)


def test_a_stop_without_a_descriptor_left_begins_nothing_later(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepting is tried again after a while, but not on a socket that is closed by then."""
    monkeypatch.setattr(accept, "_PAUSE_SECONDS", 0.0)

    async def test() -> None:
        server = Server(app(), ["127.0.0.1:0"], BOUNDS)
        await server.start()
        monkeypatch.setattr(server._acceptors[0], "_socket", OutOfDescriptors(server._acceptors[0]._socket))
        await server.stop(0)
        for _ in range(5):
            await asyncio.sleep(0.001)  # the loop's clock must be past the pause

    run(test)


class OutOfDescriptors:
    """A listening socket in a process that can open nothing more."""

    def __init__(self, bound: socket.socket) -> None:
        self.bound = bound

    def accept(self) -> Any:
        raise OSError(errno.EMFILE, "too many open files")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bound, name)


def test_a_taken_port_is_a_usage_error_and_nothing_listens(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving() as port:
            path = tmp_path / "a.sock"
            server = Server(app(), [f"unix:{path}", f"127.0.0.1:{port}"], BOUNDS)
            with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
                await server.start()
            assert not path.exists()
            await server.stop(0)

    run(test)


def test_the_process_keeps_its_signals_and_its_environment_is_not_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    monkeypatch.setenv("WEB_CONCURRENCY", "many")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def test() -> None:
        async with serving():
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)][1] == before[1]

    run(test)


def test_empty_lines_are_bounded_like_a_head(run: Run) -> None:
    async def test() -> None:
        async with serving() as port, connected(port) as caller:
            assert await caller.ask() == 200
            caller.send(b"\r\n" * BOUNDS.head_bytes)
            assert await caller.status() == 431
            assert await caller.rest() == b""

    run(test)
