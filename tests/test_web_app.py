"""Paths, methods and headers, without a socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from exporter.errors import UsageError
from exporter.web import Reply, create_app
from exporter.web.reply import PIECE, SMALL, Handler, Request, head, pieces


async def exposition(accept: str, accept_encoding: str) -> Reply:
    return Reply(
        200, "text/plain; version=0.0.4", (b"one 1\n", b"two 2\n"), (("x-asked", f"{accept}|{accept_encoding}"),)
    )


def build(**changes: Any) -> Handler:
    parts: dict[str, Any] = {
        "metrics": exposition,
        "healthy": lambda: True,
        "ready": lambda: True,
        "config_text": lambda: "poll:\n  interval: 30s\n",
        "telemetry_path": "/metrics",
    }
    return create_app(**(parts | changes))


@dataclass(frozen=True)
class Answer:
    status_code: int
    headers: dict[str, str]
    text: str


def ask(
    path: str, method: str = "GET", *, app: Handler | None = None, headers: Sequence[tuple[str, str]] = ()
) -> Answer:
    """Call the application as a server does: the path as it was sent, nothing tidied up on the way."""
    raw_path, _, query = path.encode("latin-1").partition(b"?")
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    reply = asyncio.run((app or build())(Request(method, raw_path, query.decode("latin-1"), encoded)))
    start, *lines = head(reply).decode("latin-1").split("\r\n")[:-2]
    names = dict(line.split(": ", 1) for line in lines)
    assert len(names) == len(lines)
    body = b"" if method == "HEAD" else b"".join(pieces(reply.chunks))
    return Answer(int(start.split(" ")[1]), names, body.decode())


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/metrics", "text/plain; version=0.0.4", "one 1\ntwo 2\n"),
        ("/metrics?name=anything", "text/plain; version=0.0.4", "one 1\ntwo 2\n"),
        ("/config", "text/yaml; charset=utf-8", "poll:\n  interval: 30s\n"),
        ("/-/healthy", "text/plain; charset=utf-8", "healthy\n"),
        ("/-/ready", "text/plain; charset=utf-8", "ready\n"),
    ],
)
def test_each_path_answers_with_its_text(path: str, content_type: str, text: str) -> None:
    answer = ask(path)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (200, content_type, text)


def test_the_handler_of_metrics_sees_what_the_caller_accepts() -> None:
    headers = [("accept", "text/plain"), ("accept", "*/*;q=0.1"), ("accept-encoding", "gzip")]
    assert ask("/metrics", headers=headers).headers["x-asked"] == "text/plain, */*;q=0.1|gzip"


def test_what_the_caller_does_not_say_is_empty() -> None:
    assert ask("/metrics").headers["x-asked"] == "|"


@pytest.mark.parametrize("path", ["/", "/metrics", "/config", "/-/healthy", "/-/ready", "/nowhere"])
def test_head_has_the_headers_of_get_and_no_body(path: str) -> None:
    get, head = ask(path), ask(path, "HEAD")
    assert head.status_code == get.status_code
    assert head.headers == get.headers
    assert int(head.headers["content-length"]) == len(get.text) > 0
    assert head.text == ""


@pytest.mark.parametrize(
    "path",
    [
        "/metrics/",
        "//metrics",
        "/./metrics",
        "/x/../metrics",
        "/metrics%0a",
        "/metrics%00",
        "/metrics%2f",
        "/%6detrics",
        "/metrics;x",
        "/Metrics",
        "/config/",
        "/-/healthy/",
        "/-/",
        "/nowhere",
        "/<script>",
        "metrics",
        "",
        "*",
    ],
)
def test_a_path_that_is_not_spelled_as_in_the_table_is_not_found_and_not_repeated(path: str) -> None:
    answer = ask(path)
    assert (answer.status_code, answer.text) == (404, "not found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/metrics", "/config", "/-/healthy"])
def test_another_method_is_told_which_ones_are_allowed(path: str, method: str) -> None:
    answer = ask(path, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/metrics", "GET"), ("/no", "GET"), ("/config", "POST")])
def test_every_answer_has_the_security_headers(path: str, method: str) -> None:
    headers = ask(path, method).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; base-uri 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(("path", "part"), [("/-/healthy", "healthy"), ("/-/ready", "ready")])
def test_a_probe_that_fails_is_503_with_one_line(path: str, part: str) -> None:
    answer = ask(path, app=build(**{part: lambda: False}))
    assert answer.status_code == 503
    assert answer.text.startswith(f"not {part}: ")
    assert answer.text.count("\n") == 1


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(("path", "part"), [("/metrics", "metrics"), ("/config", "config_text"), ("/-/ready", "ready")])
def test_a_fault_of_a_page_is_500_and_one_line_in_the_log(
    path: str, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = ask(f"{path}?canary", app=build(**{part: failing(RuntimeError("s3cret"))}))
    assert (answer.status_code, answer.text) == (500, "internal error\n")
    assert [record.getMessage() for record in caplog.records if record.name == "exporter.web"] == [
        f"could not answer {path}: RuntimeError"
    ]
    assert "s3cret" not in caplog.text
    assert "canary" not in caplog.text
    assert "Traceback" not in caplog.text


def test_metrics_can_live_at_the_root() -> None:
    assert ask("/", app=build(telemetry_path="/")).text == "one 1\ntwo 2\n"


def test_metrics_can_live_elsewhere() -> None:
    app = build(telemetry_path="/milvus/metrics-1")
    assert ask("/milvus/metrics-1", app=app).status_code == 200
    assert ask("/metrics", app=app).status_code == 404


@pytest.mark.parametrize("path", ["", "metrics", "/metrics/", "//m", "/me trics", "/m\n", "/ä", "/m?x", "/%41"])
def test_a_telemetry_path_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=r"web\.telemetry_path: .* is no path; right would be"):
        build(telemetry_path=path)


@pytest.mark.parametrize("path", ["/config", "/-/healthy", "/-/metrics"])
def test_a_telemetry_path_that_is_taken_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="belongs to another page"):
        build(telemetry_path=path)


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [0],
        [1],
        [SMALL],
        [PIECE],
        [PIECE + 1],
        [3 * PIECE],
        [1000] * 1000,
        [SMALL - 1] * 5,
        [PIECE - 1, 2, PIECE],
        [5, 2 * PIECE + 7, 5],
        [SMALL, 1] * 9,
    ],
)
def test_a_body_goes_out_whole_in_pieces_of_bounded_size(sizes: list[int]) -> None:
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    sent = list(pieces(chunks))
    assert b"".join(sent) == b"".join(chunks)
    assert all(len(piece) <= PIECE for piece in sent)
    assert len(sent) <= 2 * sum(sizes) // SMALL + 1


# Further pages


async def echo(request: Request) -> Reply:
    return Reply(200, "application/json", (repr(request.query).encode(),), (("content-security-policy", "sandbox"),))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/jobs", ""),
        ("/api/v1/jobs?", ""),
        ("/api/v1/jobs?a=%20b&a=c", "a=%20b&a=c"),
        ("/api/v1/jobs?a?b", "a?b"),
        ("/api/v1/jobs?\xe4", "\xe4"),
    ],
)
def test_a_further_page_is_given_the_query_as_it_was_sent(path: str, query: str) -> None:
    answer = ask(path, app=build(pages={"/api/v1/jobs": echo}))
    assert (answer.status_code, answer.text) == (200, repr(query))
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/v1/jobs/", "/api/v1", "/API/v1/jobs", "/api//v1/jobs"])
def test_a_further_page_has_one_spelling(path: str) -> None:
    assert ask(path, app=build(pages={"/api/v1/jobs": echo})).status_code == 404


def test_a_further_page_is_for_reading() -> None:
    app = build(pages={"/sd": echo})
    assert ask("/sd", "HEAD", app=app).status_code == 200
    answer = ask("/sd", "POST", app=app)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_page_at_the_root_makes_way_for_metrics_there() -> None:
    assert ask("/?x", app=build(pages={"/": echo})).text == "'x'"
    assert ask("/", app=build(pages={"/": echo}, telemetry_path="/")).text == "one 1\ntwo 2\n"


def test_a_fault_of_a_further_page_is_500(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask("/sd?canary", app=build(pages={"/sd": failing(RuntimeError("s3cret"))}))
    assert (answer.status_code, answer.text) == (500, "internal error\n")
    assert "could not answer /sd: RuntimeError" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("path", ["/config", "/-/ready", "/-/reload"])
def test_a_page_cannot_take_the_place_of_another(path: str) -> None:
    with pytest.raises(ValueError, match="taken"):
        build(pages={path: echo}, reload=reloading())


def test_the_metrics_cannot_take_the_place_of_a_page() -> None:
    with pytest.raises(UsageError, match="belongs to another page"):
        build(pages={"/sd": echo}, telemetry_path="/sd")


# Reload


def reloading(*faults: str, calls: list[str] | None = None) -> Callable[[], Any]:
    async def reload() -> Sequence[str]:
        if calls is not None:
            calls.append("reload")
        return faults

    return reload


def test_a_reload_that_was_taken_over_is_200() -> None:
    answer = ask("/-/reload", "POST", app=build(reload=reloading()))
    assert (answer.status_code, answer.text) == (200, "configuration reloaded\n")


def test_a_reload_with_faults_is_500_with_a_line_for_each() -> None:
    answer = ask("/-/reload", "POST", app=build(reload=reloading("a.yml:1: x: is bad", "a.yml:2: y: is worse")))
    assert (answer.status_code, answer.text) == (500, "a.yml:1: x: is bad\na.yml:2: y: is worse\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_reloads(method: str) -> None:
    calls: list[str] = []
    answer = ask("/-/reload", method, app=build(reload=reloading(calls=calls)))
    assert (answer.status_code, answer.headers["allow"], calls) == (405, "POST", [])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_reload_there_is_no_such_page(method: str) -> None:
    assert ask("/-/reload", method).status_code == 404


def test_a_reload_that_breaks_tells_the_caller_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask("/-/reload", "POST", app=build(reload=failing(RuntimeError("s3cret"))))
    assert (answer.status_code, answer.text) == (500, "internal error\n")
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "127.0.0.1:1")],
        [("host", "exporter.monitoring.svc.cluster.local:19540")],
        [("sec-fetch-site", "none")],
        [("sec-fetch-site", "same-origin"), ("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")],
        [("host", "LocalHost:1"), ("origin", "http://localhost:1")],
        [("host", "[2001:db8::1]:1"), ("origin", "http://[2001:db8::1]:1")],
        [("host", "10.0.0.1"), ("origin", "https://10.0.0.1")],
    ],
)
def test_a_command_and_a_page_of_an_address_of_ours_can_reload(headers: list[tuple[str, str]]) -> None:
    assert ask("/-/reload", "POST", app=build(reload=reloading()), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "")],
        [("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
        [("host", "10.0.0.1:1"), ("origin", "null")],
        [("host", "10.0.0.1:1"), ("origin", "http://evil")],
        [("host", "10.0.0.1:1"), ("origin", "http://10.0.0.1:2")],
        [("host", "10.0.0.1:1"), ("origin", "http://10.0.0.1:1"), ("origin", "http://evil")],
        [("host", "10.0.0.1:1"), ("host", "10.0.0.2"), ("origin", "http://10.0.0.2")],
        [("host", ""), ("origin", "")],
        [("origin", "http://10.0.0.1:1")],
        [("sec-fetch-site", "same-origin"), ("host", "10.0.0.1:1"), ("origin", "http://evil")],
        [("host", "10.0.0.1:1"), ("origin", "file://10.0.0.1:1")],
        [("host", "[1"), ("origin", "http://[1")],
    ],
)
def test_a_page_of_another_site_cannot_reload_through_a_browser(headers: list[tuple[str, str]]) -> None:
    calls: list[str] = []
    answer = ask("/-/reload", "POST", app=build(reload=reloading(calls=calls)), headers=headers)
    assert (answer.status_code, calls) == (403, [])
    assert "evil" not in answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example:19540", "localhost.evil.example", "10.0.0.1.evil.example", "127.1x"])
def test_a_page_whose_name_was_pointed_at_us_after_it_was_loaded_cannot_reload(host: str) -> None:
    """DNS rebinding: the browser takes the page for one of ours, and says so in every header."""
    headers = [("sec-fetch-site", "same-origin"), ("host", host), ("origin", f"http://{host}")]
    calls: list[str] = []
    answer = ask("/-/reload", "POST", app=build(reload=reloading(calls=calls)), headers=headers)
    assert (answer.status_code, calls) == (403, [])


def test_a_reload_goes_on_when_its_caller_goes_away() -> None:
    """Half of the targets in the old configuration and half in the new one is nobody's wish."""

    async def test() -> None:
        begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def reload() -> Sequence[str]:
            begun.set()
            await go_on.wait()
            ended.set()
            return ()

        asked = asyncio.create_task(build(reload=reload)(Request("POST", b"/-/reload")))  # type: ignore[arg-type]
        await begun.wait()
        asked.cancel()
        await asyncio.wait([asked])
        go_on.set()
        async with asyncio.timeout(10):
            await ended.wait()

    asyncio.run(test())
