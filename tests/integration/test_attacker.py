"""Everything that somebody who can reach the port may try, against the daemon itself. What held, and how, is in
docs/decisions/0006-web-security.md.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import resource
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from peers.exporter import Exporter
from peers.waiting import free_port, until

CANARY = "cAnArY7"
CONNECTIONS = 10_000
BATCH = 500
PROTECTION = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Exporter]:
    """No Milvus behind it: what is attacked is the web side."""
    with Exporter(f"http://127.0.0.1:{free_port()}") as exporter:
        yield exporter


@pytest.fixture(autouse=True)
def _still_well(daemon: Exporter) -> Iterator[None]:
    """After each attack the daemon serves, and has not written a traceback or anything of the caller's."""
    yield
    assert daemon.get("/-/healthy").status == 200
    assert daemon.get("/metrics").status == 200
    assert "Traceback" not in daemon.log
    assert CANARY not in daemon.log


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def talk(port: int, sent: bytes, seconds: float = 5.0) -> list[Answer]:
    """Send, and return the answers that come before the server closes; they are lawful, whatever was asked."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as caller, contextlib.suppress(ConnectionError):
        caller.sendall(sent)
        while block := caller.recv(65536):
            received += block
    return [lawful(answer) for answer in split(received)]


def split(received: bytes) -> list[Answer]:
    """Take answers apart by the length that each one states."""
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        assert re.match(r"HTTP/1\.1 \d{3} ", status), received[:200]
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header came twice"
        length = int(headers["content-length"])
        answers.append(Answer(int(status.split(" ")[1]), headers, rest[:length]))
        received = rest[length:]
    return answers


def lawful(answer: Answer) -> Answer:
    """What every answer of ours has, and none has."""
    assert {name: answer.headers.get(name) for name in PROTECTION} == PROTECTION
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "server" not in answer.headers
    shown = (str(answer.headers) + answer.body.decode("latin-1")).lower()
    assert CANARY.lower() not in shown, "something that the caller sent comes back"
    assert "<title>index of" not in shown
    return answer


def get(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""])


C = CANARY.encode()


@pytest.mark.parametrize(
    "path",
    [
        b"//metrics",
        b"/./metrics",
        b"/../metrics",
        b"/metrics/../config",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/..%2f..%2fetc/passwd",
        b"/%252e%252e/etc/passwd",
        b"/..;/config",
        b"/metrics%2f",
        b"/metrics%00",
        b"/%6detrics",
        b"/metrics\\..\\config",
        b"/-/healthy/../../config",
        b"/-/healthy%2f..%2fconfig",
        b"/.git/config",
        b"/static/",
        b"/" + C,
        b"/<script>" + C + b"</script>",
        b"/" + C + b"%0d%0aSet-Cookie:%20a=b",
        b"/" + b"a/" * 4000,
        b"http://evil.example/" + C,
    ],
)
def test_there_is_one_way_to_write_a_path(daemon: Exporter, path: bytes) -> None:
    assert [answer.status for answer in talk(daemon.port, get(path))] in ([404], [400])


@pytest.mark.parametrize("path", [b"/metrics?" + C, b"/?x=<script>" + C, b"/-/ready?" + C * 500, b"/metrics#" + C])
def test_what_stands_behind_the_path_changes_and_shows_nothing(daemon: Exporter, path: bytes) -> None:
    assert [answer.status for answer in talk(daemon.port, get(path))] == [200]


def test_a_request_in_absolute_form_is_about_its_path_whoever_its_host_is(daemon: Exporter) -> None:
    (answer,) = talk(daemon.port, get(b"http://" + C + b".example/-/healthy"))
    assert (answer.status, answer.body) == (200, b"healthy\n")


@pytest.mark.parametrize("target", [b"*", b"evil.example:443", b"", b"metrics", b"/a b", b"?", b"\x00", b"/\xff"])
@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"CONNECT"])
def test_a_target_that_is_no_path_is_refused(daemon: Exporter, method: bytes, target: bytes) -> None:
    assert [answer.status for answer in talk(daemon.port, get(target, method=method))] in ([400], [404], [405])


@pytest.mark.parametrize(
    "method",
    [b"TRACE", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"PROPFIND", b"get", b"GET\t", b"X" * 5000, C, b"PRI", b""],
)
def test_a_method_that_is_not_for_reading_does_nothing(daemon: Exporter, method: bytes) -> None:
    (answer,) = talk(daemon.port, get(b"/metrics", b"Origin: http://" + C, b"X-Canary: " + C, method=method))
    assert answer.status in (400, 405)


def test_headers_that_name_another_method_or_path_are_not_believed(daemon: Exporter) -> None:
    headers = [b"X-HTTP-Method-Override: DELETE", b"X-Original-URL: /config", b"X-Rewrite-URL: /config"]
    headers += [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Prefix: /" + C, b"Forwarded: host=" + C]
    (answer,) = talk(daemon.port, get(b"/-/healthy", *headers))
    assert (answer.status, answer.body) == (200, b"healthy\n")


@pytest.mark.parametrize("path", [b"/metrics", b"/", b"/nowhere", b"/-/healthy", b"/config"])
@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"POST"])
def test_no_other_site_is_ever_let_in(daemon: Exporter, path: bytes, method: bytes) -> None:
    headers = [b"Origin: https://" + C, b"Access-Control-Request-Method: GET", b"Sec-Fetch-Site: cross-site"]
    assert len(talk(daemon.port, get(path, *headers, method=method))) == 1


@pytest.mark.parametrize("sign", [b"Sec-Fetch-Site: cross-site", b"Origin: http://evil.example", b"Origin: null"])
def test_a_form_on_another_site_cannot_reload(daemon: Exporter, sign: bytes) -> None:
    form = [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 0", sign]
    (answer,) = talk(daemon.port, get(b"/-/reload", *form, method=b"POST"))
    assert answer.status in (403, 404)


SMUGGLED = b"GET /config HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /metrics HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345" + SMUGGLED,
        POST + b"Content-Length: 0, 44\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: +5\r\n\r\n12345" + SMUGGLED,
        POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 0x5\r\n\r\n12345" + SMUGGLED,
        POST + b"Content-Length : 5\r\n\r\n12345" + SMUGGLED,
        POST + b"Content-Length: 5 5\r\n\r\n12345" + SMUGGLED,
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n0;" + b"x" * 20_000 + b"\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n" + SMUGGLED,
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n" + SMUGGLED,
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX: a\n\n" + SMUGGLED,
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX: a\r\r\n" + SMUGGLED,
        b"GET /-/healthy HTTP/1.1\nHost: x\nConnection: close\n\n" + SMUGGLED,
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + SMUGGLED,
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        + SMUGGLED,
        b"GET /-/healthy HTTP/1.0\r\n\r\n" + SMUGGLED,
        b"HEAD /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n" + SMUGGLED,
    ],
    ids=range(27),
)
def test_no_second_request_can_be_smuggled_behind_an_ambiguous_one(daemon: Exporter, sent: bytes) -> None:
    """One answer; or none, where what follows the head was found wrong before the answer was on its way."""
    answers = talk(daemon.port, sent)
    assert len(answers) <= 1
    for answer in answers:
        assert answer.status in (200, 400, 405, 413)
        assert b"listen_address" not in answer.body


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + C * 500_000 + b"\r\n\r\n",
        b"GET /" + C * 500_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"x" * 1_000_000 + b": y\r\n\r\n",
        b"A" * 1_000_000,
        b"\r\n" * 500_000,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n : y\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nA\x00b: " + C + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + C + b"\x00\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + os.urandom(30),
        b"\0" * 10_000,
        b"SSH-2.0-OpenSSH_9.0\r\n",
    ],
    ids=range(15),
)
def test_what_is_too_much_or_no_http_is_refused_in_one_answer_and_closed(daemon: Exporter, sent: bytes) -> None:
    answers = talk(daemon.port, sent, seconds=15)
    assert [answer.status for answer in answers] in ([], [400], [431])


def test_a_request_of_http_0_9_has_one_answer(daemon: Exporter) -> None:
    assert [answer.status for answer in talk(daemon.port, b"GET /-/healthy\r\n\r\n" + SMUGGLED)] == [200]


def test_letters_beyond_latin_in_a_header_are_harmless(daemon: Exporter) -> None:
    header = "Accept: text/plain; \u200f\U0001f525\u4e2d=\xff".encode() + b"\xff\xfe"
    assert [answer.status for answer in talk(daemon.port, get(b"/metrics", header))] == [200]


@pytest.mark.parametrize(
    "header",
    [
        b"Accept: " + b"a/b;q=0.1," * 1500,
        b"Accept: " + b"," * 15_000,
        b"Accept: " + b";" * 15_000,
        b"Accept: text/plain;" + b"q=" * 7000,
        b"Accept: application/openmetrics-text;version=" + b"1" * 15_000,
        b'Accept: text/plain;x="' + b'\\"' * 7000,
        b"Accept: */*;q=" + b"9" * 15_000,
        b"Accept: */*;q=nan, text/plain;q=1e309, a/b;q=-1",
        b"Accept-Encoding: " + b"gzip;q=0." + b"0" * 15_000 + b"1",
        b"Accept-Encoding: " + b"gzip;q=1," * 1500,
        b"Accept-Encoding: " + b"gzip;q=inf, *;q=nan, identity;q=0",
        b"Accept-Encoding: " + b" " * 15_000 + b"gzip",
        b"\r\n".join(b"Accept: a/b" for _ in range(1000)),
    ],
    ids=range(13),
)
def test_what_somebody_claims_to_accept_costs_little_whatever_it_is(daemon: Exporter, header: bytes) -> None:
    began = time.monotonic()
    (answer,) = talk(daemon.port, get(b"/metrics", header))
    assert answer.status in (200, 406, 431)
    assert time.monotonic() - began < 2


def descriptors(daemon: Exporter) -> int:
    assert daemon._process is not None
    return len(list(Path(f"/proc/{daemon._process.pid}/fd").iterdir()))


def resident(daemon: Exporter) -> int:
    """Return the memory of the daemon in MiB."""
    assert daemon._process is not None
    text = Path(f"/proc/{daemon._process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) // 1024


@pytest.fixture
def room() -> int:
    """How many connections this process may hold: as many as wanted, or what the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 500
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)


@pytest.mark.parametrize("first", [b"", b"GET /metrics HTTP/1.1\r\nX: "], ids=["silent", "half a request"])
def test_ten_thousand_connections_do_not_keep_a_probe_or_a_scrape_out(
    daemon: Exporter, room: int, first: bytes
) -> None:
    """Whoever holds connections loses them to those who ask for something."""
    before, began = descriptors(daemon), time.monotonic()
    memory, slowest = resident(daemon), 0.0
    with contextlib.ExitStack() as held:
        for number in range(room):
            caller = held.enter_context(socket.socket())
            caller.settimeout(20)
            caller.connect(("127.0.0.1", daemon.port))
            if first:
                with contextlib.suppress(ConnectionError):
                    caller.send(first)
            if number % BATCH == BATCH - 1:
                asked = time.monotonic()
                assert daemon.get("/-/healthy").status == 200
                assert daemon.get("/metrics").status == 200
                slowest = max(slowest, time.monotonic() - asked)
        took = time.monotonic() - began
        assert descriptors(daemon) <= before + 300
        assert resident(daemon) < memory + 64
    logging.getLogger(__name__).info("%d connections in %.1f s, slowest probe and scrape %.3f s", room, took, slowest)
    assert took < 120
    until(lambda: descriptors(daemon) <= before + 2, "the descriptors are given back", seconds=20)


def test_many_slow_senders_are_closed_and_keep_nobody_out(daemon: Exporter) -> None:
    with contextlib.ExitStack() as held:
        callers = [held.enter_context(socket.create_connection(("127.0.0.1", daemon.port))) for _ in range(400)]
        for _ in range(5):
            for caller in callers:
                with contextlib.suppress(ConnectionError):
                    caller.send(b"GET /metrics HTTP/1.1\r\n"[:3])
            assert daemon.get("/-/ready").status == 200
        assert descriptors(daemon) < 300
    until(lambda: descriptors(daemon) < 60, "the descriptors are given back", seconds=20)


def test_many_readers_that_do_not_read_keep_nobody_out(daemon: Exporter) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(400):
            caller = held.enter_context(socket.socket())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            caller.connect(("127.0.0.1", daemon.port))
            with contextlib.suppress(ConnectionError):
                caller.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
        for _ in range(5):
            assert daemon.get("/-/healthy").status == 200
