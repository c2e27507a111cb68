"""The web configuration while the exporter runs: what a change does, and what it must never do."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
import trustme

from exporter.errors import UsageError
from exporter.web.reply import Reply, Request, head
from exporter.web.security import LOOK_SECONDS, RETRY_SECONDS, Security, read_security
from exporter.web.users import Users

TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
MUTUAL = (
    "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem,"
    " client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a]}\n"
)


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), b"$2b$04$abcdefghijklmnopqrstuu").decode()


OPEN, SESAME = hashed("open"), hashed("sesame")
ANN = f"basic_auth_users: {{ann: {OPEN}}}\n"
BOTH = f"basic_auth_users: {{ann: {OPEN}, bert: {SESAME}}}\n"
BERT = f"basic_auth_users: {{bert: {SESAME}}}\n"


class Setup:
    """A folder with a file and certificates, and a clock that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.certificate("server")

    def certificate(self, name: str) -> None:
        issued = self.authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))

    def write(self, text: str) -> Path:
        """Replace the file as editors and Kubernetes do, so that each state has an inode or a time of its own."""
        path = self.folder / "web.yml"
        new = self.folder / "new"
        new.write_text(text)
        os.utime(new, ns=(self._tick(), self._tick()))
        new.rename(path)
        return path

    def touch(self, name: str) -> None:
        os.utime(self.folder / name, ns=(self._tick(), self._tick()))

    def start(self, text: str) -> Security:
        return Security(self.write(text), lambda: self.now)

    def later(self, seconds: float = LOOK_SECONDS) -> None:
        self.now += seconds

    def _tick(self) -> int:
        self._ticks = getattr(self, "_ticks", 10**18) + 10**9
        return self._ticks


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    security: Security,
    *sent: tuple[str, str],
    path: str = "/metrics",
    method: str = "GET",
    reply: Reply | None = None,
) -> Answer:
    request = Request(method, path.encode(), "", [(n.encode(), v.encode()) for n, v in sent])
    answer = asyncio.run(security.refusal(request)) or reply or Reply(200, "text/plain", (b"in\n",))
    start, *lines = head(answer, security.headers).decode("latin-1").split("\r\n")[:-2]
    found = dict(line.split(": ", 1) for line in lines)
    assert len(found) == len(lines)
    return Answer(int(start.split(" ")[1]), found, b"" if method == "HEAD" else b"".join(answer.chunks))


def login(user: str, password: str) -> tuple[str, str]:
    return "authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def admitted(security: Security, user: str, password: str) -> bool:
    return ask(security, login(user, password)).status == 200


def test_without_a_file_nothing_is_asked() -> None:
    assert read_security(None) is None


def test_all_faults_at_the_start_are_a_usage_error(setup: Setup) -> None:
    with pytest.raises(UsageError) as caught:
        setup.start(TLS.replace("server.pem", "nowhere") + "basic_auth_users: {ann: CANARY}\n")
    assert len(caught.value.faults) == 2
    assert all(fault.startswith(f"web.config_file: {setup.folder}/web.yml:") for fault in caught.value.faults)
    assert "CANARY" not in str(caught.value)


def test_who_has_no_password_is_asked_for_one_and_shown_nothing(setup: Setup) -> None:
    security = setup.start(ANN)
    for sent in ([], [login("ann", "wrong")], [login("nobody", "open")], [login("ann", "open")] * 2):
        answer = ask(security, *sent)
        assert (answer.status, answer.body) == (401, b"unauthorized\n")
        assert answer.headers["www-authenticate"] == 'Basic realm="milvus-refresh-exporter", charset="UTF-8"'
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
    assert ask(security, login("ann", "open")).body == b"in\n"


def test_a_refusal_of_head_has_no_body(setup: Setup) -> None:
    answer = ask(setup.start(ANN), method="HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (401, b"", "13")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_health_and_readiness_need_no_password(setup: Setup, path: str) -> None:
    assert ask(setup.start(ANN), path=path).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/-/reload", "/-/healthy/", "/-/healthy/../../metrics", "//-/healthy", "/nowhere"]
)
def test_everything_else_needs_one_also_what_does_not_exist(setup: Setup, path: str) -> None:
    assert ask(setup.start(ANN), path=path).status == 401


def test_bcrypt_runs_once_for_a_hundred_scrapes(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[bytes] = []

    def check(password: bytes, expected: bytes) -> bool:
        checks.append(expected)
        return bcrypt.checkpw(password, expected)

    monkeypatch.setattr("exporter.web.security.Users", lambda hashes: Users(hashes, check))
    security = setup.start(BOTH)
    for _ in range(100):
        assert admitted(security, "ann", "open")
    assert checks == [OPEN.encode()]


def test_headers_of_the_file_are_on_each_answer_but_a_page_knows_its_own_better(setup: Setup) -> None:
    text = (
        "http_server_config: {headers: {Content-Security-Policy: sandbox, X-Frame-Options: sameorigin,"
        " Strict-Transport-Security: max-age=1, X-XSS-Protection: }}\n"
    )
    security = setup.start(ANN + text)
    for answer in (ask(security), ask(security, login("ann", "open")), ask(security, path="/-/ready")):
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-frame-options"] == "sameorigin"
        assert answer.headers["strict-transport-security"] == "max-age=1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x-xss-protection" not in answer.headers
    page = Reply(200, "text/html", (b"",), (("content-security-policy", "default-src 'self'"),))
    answer = ask(security, login("ann", "open"), reply=page)
    assert answer.headers["content-security-policy"] == "default-src 'self'"


def test_a_change_is_seen_a_second_later_on_connections_that_are_there(setup: Setup) -> None:
    security = setup.start(ANN)
    assert admitted(security, "ann", "open")
    setup.write(BERT)
    assert admitted(security, "ann", "open")
    setup.later()
    assert not admitted(security, "ann", "open")
    assert admitted(security, "bert", "sesame")


def test_files_are_looked_at_once_a_second_and_read_only_when_they_change(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = setup.start(MUTUAL + ANN)
    looks: list[str] = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **more: looks.append(self.name) or stat(self, **more))
    for _ in range(100):
        security.rules()
    assert looks == []
    setup.later()
    for _ in range(100):
        security.rules()
    assert looks == ["web.yml", "server.pem", "server.key", "ca.pem"]


@pytest.mark.parametrize("name", ["server.pem", "server.key", "ca.pem"])
def test_each_file_that_is_named_is_watched(setup: Setup, name: str) -> None:
    security = setup.start(MUTUAL)
    before = security.context()
    setup.later()
    assert security.context() is before
    setup.touch(name)
    setup.later()
    assert security.context() is not before


def test_a_link_that_is_pointed_elsewhere_is_a_change(setup: Setup) -> None:
    """Kubernetes swaps a folder behind a link, and times and sizes can be the same."""
    for folder in ("one", "two"):
        (setup.folder / folder).mkdir()
        (setup.folder / folder / "web.yml").write_text({"one": ANN, "two": BERT.replace("bert", "bob")}[folder])
        os.utime(setup.folder / folder / "web.yml", ns=(10**18, 10**18))
    (setup.folder / "data").symlink_to("one")
    (setup.folder / "linked.yml").symlink_to("data/web.yml")
    security = Security(setup.folder / "linked.yml", lambda: setup.now)
    (setup.folder / "data2").symlink_to("two")
    (setup.folder / "data2").rename(setup.folder / "data")
    setup.later()
    assert admitted(security, "bob", "sesame")


BROKEN = ["", "basic_auth_users:\n", "{", "basic_auth_users: {ann: CANARY}\n", "x: 1\n"]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_change_keeps_what_was_in_force_and_is_one_line_in_the_log(
    setup: Setup, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    security = setup.start(ANN)
    setup.write(broken)
    for _ in range(50):
        setup.later()
        assert ask(security).status == 401
    assert admitted(security, "ann", "open")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "web.config_file" in record.getMessage()
    assert "CANARY" not in caplog.text
    setup.write(BERT)
    setup.later()
    assert admitted(security, "bert", "sesame")


def test_a_second_broken_change_is_a_second_line_and_the_same_again_after_a_good_one_too(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    security = setup.start(ANN)
    for text in ("{", "x: 1", BERT, "{"):
        setup.write(text)
        setup.later()
        security.rules()
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == ["ERROR"] * 3


def test_a_file_that_is_gone_opens_nothing_and_is_taken_when_it_is_back(setup: Setup) -> None:
    security = setup.start(ANN)
    (setup.folder / "web.yml").unlink()
    setup.later()
    assert ask(security).status == 401
    setup.write(BERT)
    setup.later()
    assert admitted(security, "bert", "sesame")


def test_a_file_that_a_new_text_names_may_come_later(setup: Setup) -> None:
    """The change of the text is refused, and no file that was in force changes any more."""
    security = setup.start(TLS)
    before = security.context()
    setup.write(TLS.replace("server.", "next."))
    setup.later()
    assert security.context() is before
    setup.certificate("next")
    setup.later(RETRY_SECONDS)
    assert security.context() is not before
    setup.touch("next.pem")
    last = security.context()
    setup.later()
    assert security.context() is not last


def test_a_certificate_whose_key_is_still_the_old_one_is_not_taken(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    security = setup.start(TLS)
    before = security.context()
    old = (setup.folder / "server.key").read_bytes()
    setup.certificate("server")
    new = (setup.folder / "server.key").read_bytes()
    (setup.folder / "server.key").write_bytes(old)
    setup.later()
    assert security.context() is before
    assert "is not the key of cert_file" in caplog.text
    (setup.folder / "server.key").write_bytes(new)
    setup.touch("server.key")
    setup.later()
    assert security.context() is not before


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        (TLS + ANN, TLS, "basic_auth_users: cannot be removed while the exporter runs; restart it"),
        (TLS + ANN, ANN, "tls_server_config: cannot be removed"),
        (ANN, TLS + ANN, "tls_server_config: cannot be added"),
        (MUTUAL, TLS, "tls_server_config.client_auth_type: cannot ask for less"),
        (MUTUAL, TLS, "tls_server_config.client_allowed_sans: cannot be removed"),
        (
            MUTUAL,
            MUTUAL.replace("RequireAndVerifyClientCert, client_allowed_sans: [a]", "VerifyClientCertIfGiven"),
            "client_auth_type: cannot ask for less",
        ),
    ],
)
def test_protection_is_never_taken_away_while_running(setup: Setup, before: str, after: str, part: str) -> None:
    """A file that is half written may look like one that asks for nothing."""
    security = setup.start(before)
    rules = security.rules()
    setup.write(after)
    found = security.reread()
    assert any(part in fault for fault in found), found
    assert security.rules() is rules


@pytest.mark.parametrize(
    ("before", "after"), [(TLS, MUTUAL + ANN), (MUTUAL, MUTUAL.replace("[a]", "[b]")), (ANN, BOTH)]
)
def test_protection_can_be_added_and_changed_while_running(setup: Setup, before: str, after: str) -> None:
    security = setup.start(before)
    setup.write(after)
    assert security.reread() == ()


def test_a_new_certificate_does_not_cost_the_users_their_check(setup: Setup) -> None:
    security = setup.start(TLS + ANN)
    users = security.rules().users
    setup.certificate("server")
    setup.touch("server.pem")
    setup.later()
    security.rules()
    assert security.rules().users is users


def test_a_removed_user_is_not_remembered(setup: Setup) -> None:
    security = setup.start(BOTH)
    assert admitted(security, "bert", "sesame")
    setup.write(ANN)
    setup.later()
    assert not admitted(security, "bert", "sesame")


def test_a_password_is_nowhere_to_be_seen(setup: Setup) -> None:
    security = setup.start(ANN)
    assert admitted(security, "ann", "open")
    assert OPEN not in repr(security.rules())
