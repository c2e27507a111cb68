"""``web.config_file`` with the daemon as a user runs it: faults, TLS, users, rotation, and a real Prometheus."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme
import yaml
from peers.exporter import Answer, Exporter, call
from peers.parts import generations, missing
from peers.waiting import free_port, is_ready, until

HASH = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(10)).decode()
GOOD = "Basic " + base64.b64encode(b"prometheus:correct horse").decode()
TLS = """\
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
"""
USERS = f"basic_auth_users:\n  prometheus: {HASH}\n"


class Papers:
    """A folder with an authority, a server's pair, the scraper's pair and the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.issue("server", "localhost", "127.0.0.1")
        self.issue("scraper", "prometheus.internal")

    def issue(self, name: str, *names: str) -> None:
        issued = self.authority.issue_cert(*names)
        for path, pem in ((f"{name}.pem", issued.cert_chain_pems[0]), (f"{name}.key", issued.private_key_pem)):
            pem.write_to_path(str(self.folder / "new"))
            (self.folder / "new").rename(self.folder / path)

    def write(self, text: str) -> str:
        (self.folder / "new").write_text(text)
        (self.folder / "new").rename(self.folder / "web.yml")
        return str(self.folder / "web.yml")

    def caller(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "scraper.pem", self.folder / "scraper.key")
        return context


class Secured(Exporter):
    """The daemon, asked through TLS with the scraper's certificate."""

    def __init__(self, papers: Papers, text: str) -> None:
        super().__init__(f"http://127.0.0.1:{free_port()}", "--web.config-file", papers.write(text))
        self.papers = papers

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.papers.caller()) as answer:
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def serial(self) -> str:
        """Return the number of the certificate that a new connection is shown."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as raw,
            self.papers.caller().wrap_socket(raw, server_hostname="localhost") as caller,
        ):
            found = caller.getpeercert()
            assert found is not None
            return str(found["serialNumber"])


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


@pytest.fixture
def secured(papers: Papers) -> Iterator[Secured]:
    with Secured(papers, TLS + USERS) as daemon:
        yield daemon
        assert "Traceback" not in daemon.log
        assert HASH not in daemon.log


def test_every_fault_of_the_file_is_named_at_once_and_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"tls_server_config:\n  cert_file: nowhere\n  cipher: x\nbasic_auth_users:\n  {HASH}: canary\n")
    done = call("run", "--web.config-file", str(path), "--web.listen-address", "127.0.0.1:0", seconds=20)
    assert done.returncode == 2
    for part in ("web.yml:2: tls_server_config.cert_file", "web.yml:3: tls_server_config.cipher", "web.yml:5: basic_"):
        assert part in done.stderr
    assert not [text for text in ("Traceback", "canary", HASH) if text in done.stdout + done.stderr]


def test_a_file_that_is_not_there_ends_with_1(tmp_path: Path) -> None:
    """It may be mounted a moment later, so that a restart can help."""
    done = call("run", "--web.config-file", str(tmp_path / "nowhere.yml"), seconds=20)
    assert done.returncode == 1
    assert "web.config_file: " in done.stderr
    assert "cannot be read: No such file or directory" in done.stderr


def test_the_command_of_the_documentation_makes_a_hash_that_lets_its_password_in() -> None:
    page = (Path(__file__).parents[2] / "docs" / "web-config.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("python3 -c "))
    code = command.removeprefix("python3 -c '").removesuffix("'")
    made = subprocess.run(
        ["/usr/bin/env", "python3", "-c", code.replace("getpass.getpass()", "input()")],
        input="correct horse\n",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert made.returncode == 0, made.stderr
    assert bcrypt.checkpw(b"correct horse", made.stdout.strip().encode())


def test_metrics_need_certificate_and_password_and_health_the_certificate(secured: Secured) -> None:
    assert secured.get("/metrics").status == 401
    assert secured.get("/metrics", authorization=GOOD).status == 200
    assert secured.get("/-/healthy").status == 200
    bare = ssl.create_default_context(cafile=str(secured.papers.folder / "ca.pem"))
    with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF"):
        urllib.request.urlopen(f"https://127.0.0.1:{secured.port}/-/healthy", timeout=5, context=bare)
    with pytest.raises(OSError, match=r"(?i)reset|closed|remote"):
        urllib.request.urlopen(f"http://127.0.0.1:{secured.port}/-/healthy", timeout=5)


def test_certificate_and_users_change_without_a_restart_and_a_bad_change_opens_nothing(secured: Secured) -> None:
    papers, first = secured.papers, secured.serial()
    papers.issue("server", "localhost", "127.0.0.1")
    until(lambda: secured.serial() != first, "the new certificate is shown", every=0.3)

    for broken in ("", "basic_auth_users: {prometheus: nonsense}\n", USERS, TLS):
        before = secured.log.count("ERROR")
        papers.write(broken)
        until(lambda before=before: secured.get("/metrics").status and secured.log.count("ERROR") > before, "a line")
        assert secured.get("/metrics").status == 401
        assert secured.get("/metrics", authorization=GOOD).status == 200

    other = bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()
    papers.write(f"{TLS}basic_auth_users:\n  prometheus: {other}\n")
    until(lambda: secured.get("/metrics", authorization=GOOD).status == 401, "the old password is no longer good")
    new = "Basic " + base64.b64encode(b"prometheus:new").decode()
    assert secured.get("/metrics", authorization=new).status == 200
    assert secured.log.count("ERROR") == 4, "one line for each bad change"


def test_guessing_does_not_keep_out_a_scraper_that_is_known_nor_one_that_is_new(papers: Papers) -> None:
    """Six callers guess, each again as soon as it has an answer."""
    second = bcrypt.hashpw(b"second", bcrypt.gensalt(10)).decode()
    with Exporter(
        f"http://127.0.0.1:{free_port()}", "--web.config-file", papers.write(f"{USERS}  second: {second}\n")
    ) as daemon:
        assert daemon.get("/metrics", authorization=GOOD).status == 200
        ended = threading.Event()
        answers: list[int] = []

        def guess(who: int) -> None:
            number = 0
            while not ended.is_set():
                number += 1
                guessed = base64.b64encode(f"prometheus:{who}-{number}".encode()).decode()
                with contextlib.suppress(OSError):
                    answers.append(daemon.get("/metrics", authorization=f"Basic {guessed}").status)

        guessers = [threading.Thread(target=guess, args=(who,)) for who in range(6)]
        for guesser in guessers:
            guesser.start()
        try:
            for _ in range(20):
                assert daemon.get("/metrics", authorization=GOOD).status == 200
                assert daemon.get("/-/healthy").status == 200
            known = "Basic " + base64.b64encode(b"second:second").decode()
            assert daemon.get("/metrics", authorization=known).status == 200
        finally:
            ended.set()
            for guesser in guessers:
                guesser.join()
        assert set(answers) == {401}


def test_a_flood_of_handshakes_that_never_end_keeps_no_scrape_out(secured: Secured) -> None:
    with contextlib.ExitStack() as held:
        for number in range(1000):
            caller = held.enter_context(socket.create_connection(("127.0.0.1", secured.port), timeout=10))
            with contextlib.suppress(ConnectionError):
                caller.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[: number % 12])
            if number % 200 == 199:
                began = time.monotonic()
                assert secured.get("/metrics", authorization=GOOD).status == 200
                assert time.monotonic() - began < 5


def targets(port: int) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["activeTargets"]
        return found


@pytest.mark.real
def test_prometheus_scrapes_through_tls_with_its_certificate_and_its_password(secured: Secured, tmp_path: Path) -> None:
    prometheus = next(iter(generations("prometheus").values()), None) or missing("there is no Prometheus")
    port = free_port()
    folder = tmp_path / "prometheus"
    folder.mkdir()
    (folder / "password").write_text("correct horse")
    papers = {
        "ca_file": tmp_path / "ca.pem",
        "cert_file": tmp_path / "scraper.pem",
        "key_file": tmp_path / "scraper.key",
    }
    scrape = {
        "job_name": "milvus-refresh",
        "scheme": "https",
        "tls_config": {name: str(path) for name, path in papers.items()},
        "basic_auth": {"username": "prometheus", "password_file": str(folder / "password")},
        "static_configs": [{"targets": [f"127.0.0.1:{secured.port}"]}],
    }
    every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape]}))
    flags = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [prometheus, *flags, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        until(lambda: is_ready(port), "Prometheus is ready", seconds=30)

        def health() -> str:
            return "".join(target["health"] + target["lastError"] for target in targets(port))

        until(lambda: health() == "up", "Prometheus scrapes", seconds=20)
        secured.papers.write(TLS + USERS.replace(HASH, bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()))
        until(lambda: "401" in health(), "the connection that is open does not outlive the password", seconds=20)
        secured.papers.issue("server", "localhost", "127.0.0.1")
        secured.papers.write(TLS + USERS)
        until(lambda: health() == "up", "Prometheus scrapes again", seconds=20)
    finally:
        process.terminate()
        process.wait(20)
