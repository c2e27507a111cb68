"""A Milvus URI reads as Milvus's clients read it, and its user info is never shown, however it is misspelt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.uri import parse_uri, shown_uri

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "CanarY"


@pytest.mark.parametrize(
    ("text", "target", "tls", "database"),
    [
        ("http://localhost:19530", "dns:///localhost:19530", False, ""),
        ("http://milvus", "dns:///milvus:19530", False, ""),
        ("tcp://milvus_1.local.", "dns:///milvus_1.local.:19530", False, ""),
        ("https://milvus", "dns:///milvus:443", True, ""),
        ("HTTPS://Milvus:19530/", "dns:///Milvus:19530", True, ""),
        ("http://10.0.0.1/sales", "dns:///10.0.0.1:19530", False, "sales"),
        ("http://[::1]", "dns:///[::1]:19530", False, ""),
        ("https://[fe80::1%eth0]:1/s%C3%A4les/", "dns:///[fe80::1%25eth0]:1", True, "säles"),
        ("http://[fe80::1%25eth0]", "dns:///[fe80::1%25eth0]:19530", False, ""),
        ("http://[fe80::1%252]", "dns:///[fe80::1%252]:19530", False, ""),
        ("http://[fe80::1%25wg_0.1]", "dns:///[fe80::1%25wg_0.1]:19530", False, ""),
        ("http://a:1", "dns:///a:1", False, ""),
        ("unix:/run/milvus.sock", "unix:/run/milvus.sock", False, ""),
        ("unix:///run/a%b c.sock".replace(" ", "_"), "unix:/run/a%25b_c.sock", False, ""),
    ],
)
def test_each_form_of_address_gives_its_grpc_target(text: str, target: str, tls: bool, database: str) -> None:
    address = parse_uri(text)
    assert (address.grpc_target, address.tls, address.database, address.credentials) == (target, tls, database, None)


def test_an_address_is_taken_apart() -> None:
    address = parse_uri("https://[2001:db8::1]:7/db")
    assert (address.host, address.port, address.path, address.authority) == ("2001:db8::1", 7, "", "[2001:db8::1]:7")
    assert str(address) == "https://[2001:db8::1]:7/db"
    zoned = parse_uri("http://[fe80::1%25eth0]")
    assert (zoned.host, str(zoned), parse_uri(str(zoned))) == ("fe80::1%eth0", "http://[fe80::1%25eth0]:19530", zoned)
    assert (parse_uri("unix:/a").host, parse_uri("unix:/a").port, parse_uri("unix:/a").path) == ("", 0, "/a")


@pytest.mark.parametrize(
    ("user_info", "credentials"),
    [
        ("root:Milvus", "root:Milvus"),
        ("us%C3%A9r:p%40ss%3Aw%2Frd", "usér:p@ss:w/rd"),
        ("root:a:b", "root:a:b"),
        ("root:a@b", "root:a@b"),
        ("root:100%25", "root:100%"),
    ],
)
def test_user_info_becomes_decoded_credentials_that_are_never_shown(user_info: str, credentials: str) -> None:
    address = parse_uri(f"http://{user_info}@milvus/db")
    assert address.credentials is not None
    assert address.credentials.get_secret_value() == credentials
    assert str(address) == "http://<secret>@milvus:19530/db"
    assert credentials not in repr(address)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a Milvus URI"),
        ("localhost:19530", "is not a Milvus URI"),
        ("ftp://localhost", "is not a Milvus URI"),
        ("http:localhost", "is not a Milvus URI"),
        ("./milvus.db", "is not a Milvus URI"),
        ("http://", "has no valid host name"),
        ("http://:19530", "has no valid host name"),
        ("http://-a", "has no valid host name"),
        ("http://mílvus", "has no valid host name"),
        ("http://a b", "holds blanks"),
        ("http://a\t", "holds blanks"),
        ("http://a:0", "has the port 0"),
        ("http://a:", "has no valid port"),
        ("http://a:65536", "has no valid port"),
        ("http://a:٣", "has no valid port"),
        ("http://::1", "more than one colon"),
        ("http://[::1", "bad IPv6 address"),
        ("http://[::g]", "bad IPv6 address"),
        ("http://[::1]x", "bad IPv6 address"),
        ("http://[fe80::1%25]", "bad zone"),
        ("http://[fe80::1%]", "bad zone"),
        ("http://[fe80::1%25a%b]", "bad zone"),
        ("http://a..b", "two dots in a row"),
        (f"http://{'a' * 64}.b", "more than 63 characters"),
        ("http://10.0.0.256", "bad IPv4 address"),
        ("http://10.0.0", "bad IPv4 address"),
        ("http://10.0.0.1.5", "bad IPv4 address"),
        ("http://milvus.1", "bad IPv4 address"),
        ("http://a/b/c", "more than a database"),
        ("http://a/%zz", "encodes nothing"),
        ("http://a/%00", "control characters"),
        ("http://a/%ff", "not UTF-8"),
        ("http://a?token=x", "query or a fragment"),
        ("http://a/#x", "query or a fragment"),
        ("http://root@a", "a user without a password"),
        ("http://root:@a", "a user without a password"),
        ("http://:pass@a", "a user without a password"),
        ("http://@a", "a user without a password"),
        ("http://r%3At:pass@a", "a user name with a colon"),
        ("http://root:50%off@a", "encodes nothing"),
        ("http://root:%ff@a", "not UTF-8"),
        ("http://root:pa/ss@a", "a / in its user info"),
        ("unix:relative", "absolute path"),
        ("unix:", "absolute path"),
        ("unix:/" + "a" * 107, "too long"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_uri(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://root:pw@host:70000/db", "http://<secret>@host:70000/db"),
        ("http://root:p/w@host", "http://<secret>@host"),
        ("root:pw@host:19530", "<secret>@<not shown>"),
        ("https://root:password", "https://<not shown>"),
        ("https://root:pw%40host", "https://<not shown>"),
        ("http://host:1/?token=pw", "http://<not shown>"),
        ("localhost:19530", "localhost:19530"),
        ("ftp://localhost", "ftp://localhost"),
        ("unix:relative", "unix:relative"),
        ("unix:root:pw@x", "<secret>@<not shown>"),
    ],
)
def test_of_a_bad_uri_only_what_is_no_user_info_is_shown(text: str, shown: str) -> None:
    assert shown_uri(text) == shown


HOSTILE = st.text(st.sampled_from("@:/?#%[]\\ ab0\n\té"), max_size=6)


@given(st.text() | st.from_regex(r"(http|https|tcp|unix):/{0,3}[^\n]*"))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_uri(text)
    except ValueError:
        return
    assert parse_uri(str(address).replace("<secret>", "a:b")).grpc_target == address.grpc_target


@given(
    scheme=st.sampled_from(["http://", "https://", "tcp://", "http:/", "http:", "htp://", "unix:", "://", ""]),
    before=HOSTILE,
    after=HOSTILE,
    user=st.sampled_from(["root", CANARY, ""]),
    rest=st.sampled_from(["@host", "@host:19530/db", "@host:x", "@[::1", "@", "@host?a=b", "@a@b", "@host/x/y"]),
)
def test_no_misspelt_uri_shows_its_user_info(scheme: str, before: str, after: str, user: str, rest: str) -> None:
    text = f"{scheme}{user}:{before}{CANARY}{after}{rest}"
    said = shown_uri(text)
    try:
        address = parse_uri(text)
        said += str(address) + repr(address)
    except ValueError as error:
        said += str(error)
    assert CANARY not in said


@pytest.mark.parametrize(
    "kind", ["name", "IPv4 address", "IPv6 address", "IPv6 address with zone", "socket with a percent sign"]
)
def test_grpc_reaches_the_server_by_each_kind_of_target(kind: str, tmp_path: Path) -> None:
    socket = tmp_path / "a%20b.sock"
    listen, uri = {
        "name": ("127.0.0.1:0", "http://localhost:{}"),
        "IPv4 address": ("127.0.0.1:0", "http://127.0.0.1:{}"),
        "IPv6 address": ("[::1]:0", "http://[::1]:{}"),
        "IPv6 address with zone": ("[::1]:0", "http://[::1%25lo]:{}"),
        "socket with a percent sign": (f"unix:{socket}".replace("%", "%25"), f"unix:{socket}"),
    }[kind]
    try:
        answer = asyncio.run(_echoed(listen, uri))
    except RuntimeError as error:
        pytest.skip(f"this machine has no {kind}: {error}")
    assert answer == b"hello"


async def _echoed(listen: str, uri: str) -> bytes:
    """Send a word to a server on ``listen`` through the target that ``uri`` gives, and return what comes back."""

    async def echo(request: bytes, _context: object) -> bytes:
        return request

    server = aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", handlers),))
    port = server.add_insecure_port(listen)
    await server.start()
    try:
        async with aio.insecure_channel(parse_uri(uri.format(port)).grpc_target) as channel:
            return bytes(await channel.unary_unary("/test.Test/Echo")(b"hello", timeout=5))
    finally:
        await server.stop(None)
