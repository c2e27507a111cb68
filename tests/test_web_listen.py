"""From ``web.listen_address`` to bound sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from exporter.config import Settings
from exporter.errors import NotYetUsable, UsageError
from exporter.web.listen import Address, close_all, listen_all, parse_address


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on 127.0.0.1 where somebody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def bound(*texts: str) -> list[str]:
    listeners = listen_all(texts)
    try:
        return [listener.address for listener in listeners]
    finally:
        close_all(listeners)


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        (":19540", "", 19540, ""),
        ("127.0.0.1:0", "127.0.0.1", 0, ""),
        ("localhost:80", "localhost", 80, ""),
        ("[::1]:19540", "::1", 19540, ""),
        ("[::]:65535", "::", 65535, ""),
        ("unix:/run/x.sock", "", 0, "/run/x.sock"),
        ("unix:x.sock", "", 0, "x.sock"),
    ],
)
def test_an_address_is_read_as_it_is_documented(text: str, host: str, port: int, path: str) -> None:
    assert parse_address(text) == Address(text, host, port, path)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "has no port"),
        ("19540", "has no port"),
        ("localhost", "has no port"),
        ("localhost:", "has no port"),
        ("localhost:http", "has no port"),
        (":65536", "has no port from 0 to 65535"),
        (":-1", "has no port"),
        (":٣", "has no port"),
        ("::1:19540", "needs brackets"),
        ("unix:", "has no usable path"),
        ("unix:/a\0b", "has no usable path"),
    ],
)
def test_a_text_that_is_no_address_is_a_fault_that_says_what_would_be_right(text: str, wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    (fault,) = caught.value.faults
    assert fault.startswith(f"web.listen_address: {text!r} {wrong}")
    assert "right would be :19540" in fault


def test_port_0_becomes_the_port_that_the_system_chose() -> None:
    (address,) = bound("127.0.0.1:0")
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


def test_no_host_means_every_interface_of_both_families() -> None:
    (listener,) = listen_all([":0"])
    with closing(listener):
        listener.socket.listen()
        port = listener.socket.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        if socket.has_dualstack_ipv6():
            assert listener.address == f"[::]:{port}"


def test_without_ipv6_no_host_means_every_ipv4_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (address,) = bound(":0")
    assert address.startswith("0.0.0.0:")


def test_a_name_with_several_addresses_has_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    first, second = bound("many:0")
    assert first.rpartition(":")[2] == second.rpartition(":")[2]


def test_an_address_of_a_name_that_this_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    (address,) = bound("half:0")
    assert address.startswith("127.0.0.1:")


def test_a_taken_port_is_a_fault_that_names_the_address(taken: int) -> None:
    with pytest.raises(UsageError) as caught:
        listen_all([f"127.0.0.1:{taken}"])
    assert caught.value.faults == (f"web.listen_address: cannot listen on 127.0.0.1:{taken}: Address already in use",)


def test_a_foreign_address_is_a_fault() -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1:0: Cannot assign requested address"):
        listen_all(["192.0.2.1:0"])


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_is_a_fault(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(UsageError, match=r"cannot listen on nowhere:1: (Name or service not known|label too long)"):
        listen_all(["nowhere:1"])


def link_local() -> tuple[str, str]:
    """Return an address of this machine that means nothing without its zone, and the zone."""
    table = Path("/proc/net/if_inet6")
    for line in table.read_text().splitlines() if table.exists() else ():
        digits, *_, interface = line.split()
        if digits.startswith("fe80"):
            return str(IPv6Address(bytes.fromhex(digits))), interface
    pytest.skip("this machine has no link-local address")


@pytest.mark.parametrize("percent", ["%", "%25"])
def test_an_address_with_a_zone_is_listened_on(percent: str) -> None:
    """As it is written in an address, and as in a URI."""
    host, zone = link_local()
    given = [f"[{host}{percent}{zone}]:0"]
    (setting,) = Settings.model_validate({"web": {"listen_address": given}}).web.listen_address
    (address,) = bound(str(setting))
    assert address.startswith(f"[{host}%{zone}]:")


def refusal(*texts: str) -> type[UsageError]:
    with pytest.raises(UsageError) as caught:
        listen_all(texts)
    return type(caught.value)


def test_what_a_restart_can_find_different_is_told_apart(taken: int, tmp_path: Path) -> None:
    """An address in use, or one that this machine does not have yet, may be free at the next try."""
    in_use = f"127.0.0.1:{taken}"
    assert refusal(in_use) is refusal(in_use, "192.0.2.1:0") is NotYetUsable
    assert refusal(f"unix:{tmp_path}/folder-to-come/a.sock") is NotYetUsable
    assert refusal(in_use, "nonsense") is refusal(f"unix:{tmp_path}/{'x' * 120}") is UsageError


def test_a_port_that_may_not_be_listened_on_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)  # root may have them all
    assert refusal("127.0.0.1:80") is UsageError


def test_an_address_taken_between_binding_and_listening_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two processes can bind one address; it belongs to the one that listens first."""
    listen = socket.socket.listen
    others: list[socket.socket] = []

    def beaten(bound: socket.socket, backlog: int) -> None:
        if bound.family == socket.AF_INET:
            other = socket.socket()
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(bound.getsockname())
            listen(other, 1)
            others.append(other)
        listen(bound, backlog)

    monkeypatch.setattr(socket.socket, "listen", beaten)
    assert refusal(f"unix:{tmp_path}/a.sock", "127.0.0.1:0") is NotYetUsable
    others[0].close()
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_told_at_once_and_nothing_stays_bound(taken: int, tmp_path: Path) -> None:
    path = tmp_path / "good.sock"
    with pytest.raises(UsageError) as caught:
        listen_all([f"unix:{path}", f"127.0.0.1:{taken}", "nonsense"])
    assert len(caught.value.faults) == 2
    assert not path.exists()


def test_no_address_at_all_is_a_fault() -> None:
    with pytest.raises(UsageError, match=r"web\.listen_address: no address"):
        listen_all([])


def test_a_socket_file_is_made_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (listener,) = listen_all([f"unix:{path}"])
    assert (listener.address, path.is_socket()) == (f"unix:{path}", True)
    listener.close()
    assert not path.exists()


def test_the_file_of_somebody_who_came_later_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (listener,) = listen_all([f"unix:{path}"])
    path.unlink()
    path.write_text("theirs")
    listener.close()
    assert path.read_text() == "theirs"


def test_a_socket_file_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))
    assert bound(f"unix:{path}") == [f"unix:{path}"]


def test_a_socket_file_that_somebody_listens_on_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "live.sock"
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(UsageError, match=r"cannot listen on unix:.*live\.sock: Address already in use"):
            listen_all([f"unix:{path}"])
        assert path.is_socket()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file", "Address already in use"),
        ("missing/a.sock", "No such file or directory"),
        ("x" * 120, "AF_UNIX path too long"),
    ],
)
def test_a_path_where_no_socket_can_be_is_a_fault(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("not ours")
    with pytest.raises(UsageError, match=why):
        listen_all([f"unix:{tmp_path / name}"])
    assert (tmp_path / "file").read_text() == "not ours"


def test_an_error_of_the_wrong_kind_stops_a_name_half_way(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    """A port that is free on one address of a name and taken on another is a fault, not half a service."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, taken)) for host in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(UsageError, match="Address already in use"):
        listen_all([f"half:{taken}"])
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.2", taken))


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    (listener,) = listen_all([f"unix:{tmp_path / 'a.sock'}"])
    listener.close()
    listener.close()
    assert listener.socket.fileno() == -1
