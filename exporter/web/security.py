"""``web.config_file`` in force: read at start, again when a file changes, and asked by connections and requests."""

from __future__ import annotations

import logging
import ssl
import time
from asyncio import BaseTransport
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.config.web import Fault, WebConfig
from exporter.config.web_file import Refused, Source, read_web_config
from exporter.errors import NotYetUsable, UsageError
from exporter.web.app import ALWAYS_ANSWERED
from exporter.web.reply import Reply, Request, text_reply
from exporter.web.tls import admits, build_context
from exporter.web.users import Users, Verdict

LOOK_SECONDS: Final = 1.0
"""How often to look whether a file has changed, where somebody asks that often."""
RETRY_SECONDS: Final = 10.0
"""When to read anew what could not be used, though no file has changed that we know of: one may be there by then."""
_CHALLENGE: Final = ("www-authenticate", 'Basic realm="milvus-refresh-exporter", charset="UTF-8"')

log = logging.getLogger("exporter.web")

Headers = tuple[tuple[str, str], ...]
_Stamps = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for connections and requests from now on."""

    config: WebConfig
    context: ssl.SSLContext | None
    users: Users | None
    headers: Headers
    allowed_names: frozenset[str]
    files: tuple[Path, ...]


class Security:
    """The rules in force. Lives on one event loop."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read the file. Raises :class:`exporter.errors.UsageError` with all faults."""
        self._path = path
        self._monotonic = monotonic
        self._complaint: tuple[str, ...] = ()
        try:
            rules = _make_rules(read_web_config(path), None)
        except Refused as refusal:
            raise (NotYetUsable if refusal.may_pass else UsageError)(_named(refusal)) from None
        self._rules = rules
        self._stamps = _stamps(rules.files)
        self._looked = self._tried = monotonic()

    @property
    def tls(self) -> bool:
        """Whether addresses speak TLS. That stays as it was at the start."""
        return self._rules.context is not None

    def rules(self) -> Rules:
        """Return the rules, after a look at the files where the last one is a second ago."""
        now = self._monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            stamps = _stamps(self._rules.files)
            if stamps != self._stamps or (self._complaint and now - self._tried >= RETRY_SECONDS):
                self.reread()
        return self._rules

    def reread(self) -> Sequence[str]:
        """Read the files now. With faults everything stays as it was; they are returned, and logged once."""
        self._tried = self._looked = self._monotonic()
        self._stamps = _stamps(self._rules.files)  # before the reading: a change meanwhile is seen next time
        rules, faults = self._read(self._rules)
        if rules is None:
            if faults != self._complaint:
                log.error("cannot use what has changed, what was in force stays: %s", "; ".join(faults))
            self._complaint = faults
            return faults
        if rules.files != self._rules.files:
            self._stamps = _stamps(rules.files)
        if self._rules.users is not None and self._rules.users is not rules.users:
            self._rules.users.close()
        self._rules, self._complaint = rules, ()
        log.info("web.config_file is in force as it is now")
        return ()

    def _read(self, before: Rules) -> tuple[Rules | None, tuple[str, ...]]:
        try:
            return _make_rules(read_web_config(self._path), before), ()
        except Refused as refusal:
            return None, _named(refusal)

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is to be greeted with; only where :attr:`tls`."""
        context = self.rules().context
        if context is None:
            raise RuntimeError("TLS is not configured")
        return context

    def admits(self, transport: BaseTransport) -> bool:
        """Whether a connection's client certificate bears one of the allowed names, where names matter."""
        allowed = self._rules.allowed_names
        return not allowed or admits(allowed, transport)

    @property
    def headers(self) -> Headers:
        """What each answer bears, unless a page has chosen for itself."""
        return self._rules.headers

    async def refusal(self, request: Request) -> Reply | None:
        """Return why a request is not let in, None where it is. Health and readiness are."""
        users = self.rules().users
        if users is None or request.path in ALWAYS_ANSWERED:
            return None
        return _REFUSALS.get(await _judge(users, request))

    def close(self) -> None:
        """Check no further credentials."""
        if self._rules.users is not None:
            self._rules.users.close()


def read_security(path: Path | None) -> Security | None:
    """Return what ``web.config_file`` asks for, None without one. Raises UsageError with all its faults."""
    return None if path is None else Security(path)


_REFUSALS: Final = {
    Verdict.BAD: text_reply(401, "unauthorized", _CHALLENGE),
    Verdict.BUSY: text_reply(503, "too many sign-ins at once", ("retry-after", "1")),
}


async def _judge(users: Users, request: Request) -> Verdict:
    sent = [value for name, value in request.headers if name == b"authorization"]
    if len(sent) != 1:
        return Verdict.BAD
    known = users.known(sent[0])
    if known is not None:
        return known
    return await users.find_out(sent[0])


def _named(refusal: Refused) -> tuple[str, ...]:
    return tuple(f"web.config_file: {fault}" for fault in refusal.faults)


def _make_rules(source: Source, before: Rules | None) -> Rules:
    """Return the rules that a file makes. Raises :class:`Refused`, also where they would protect less than before."""
    config = source.config
    tls = config.tls_server_config
    faults = _taken_away(config, before.config) if before is not None else []
    context = None
    if tls is not None:
        context, more = build_context(tls)
        faults += more
    if faults:
        raise source.blame(faults)
    files = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls is not None else ()
    return Rules(
        config,
        context,
        _users(config, before),
        tuple((name.lower(), value) for name, value in config.http_server_config.headers),
        frozenset(tls.client_allowed_sans) if tls is not None else frozenset(),
        (source.path, *(file for file in files if file is not None)),
    )


def _users(config: WebConfig, before: Rules | None) -> Users | None:
    if config.basic_auth_users is None:
        return None
    hashes = {name: text.get_secret_value() for name, text in config.basic_auth_users.items()}
    if before is not None and before.users is not None and before.users.same_as(hashes):
        return before.users  # with what is known about credentials
    return Users(hashes)


def _taken_away(config: WebConfig, before: WebConfig) -> list[Fault]:
    """Return what must not happen while running: a file that is half written must not open a door."""
    now, then = config.tls_server_config, before.tls_server_config
    restart = "while the exporter runs; restart it for that"
    faults: list[Fault] = []
    if (now is None) != (then is None):
        faults.append((("tls_server_config",), f"cannot be {'removed' if now is None else 'added'} {restart}"))
    if config.basic_auth_users is None and before.basic_auth_users is not None:
        faults.append((("basic_auth_users",), f"cannot be removed {restart}"))
    if now is not None and then is not None:
        if _STRICTNESS.index(now.client_auth_type) < _STRICTNESS.index(then.client_auth_type):
            faults.append((("tls_server_config", "client_auth_type"), f"cannot ask for less {restart}"))
        if then.client_allowed_sans and not now.client_allowed_sans:
            faults.append((("tls_server_config", "client_allowed_sans"), f"cannot be removed {restart}"))
    return faults


_STRICTNESS: Final = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")


def _stamps(files: Sequence[Path]) -> _Stamps:
    """Return what tells one state of the files from the next, None for one that is not there."""
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
