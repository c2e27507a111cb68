"""The gRPC channel and what is read from files for it: credentials and TLS material, again when they change."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from pydantic import SecretStr

from exporter import errors
from exporter.config.values import one_line
from exporter.milvus.status import from_grpc

if TYPE_CHECKING:
    from exporter.config import Settings

_MAX_BACKOFF_MS: Final = 10_000
_KEEPALIVE_MS: Final = 10_000  # Milvus allows pings every 5 s, also without a call (docs/milvus.md, "Connecting")
_KEEPALIVE_TIMEOUT_MS: Final = 5_000
_MAX_SECRET_BYTES: Final = 64 * 1024
_MAX_PEM_BYTES: Final = 4 * 1024 * 1024  # a distribution's bundle of authorities has a quarter of a million
_PEM_MARK: Final = b"-----BEGIN "


@dataclass(slots=True)
class WatchedFile:
    """A small file whose text is read again whenever the file is replaced or written."""

    path: Path
    unusable: type[errors.MilvusError]
    """What to raise where the file cannot be used."""
    most: int = _MAX_SECRET_BYTES
    _stamp: tuple[int, int, int] | None = None
    _text: bytes = b""

    def read(self) -> bytes:
        """Return the file's bytes. Raises ``unusable`` where it cannot be read or is larger than ``most``."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._text, self._stamp = self._load(found.st_mode), stamp
        except OSError as error:
            self._stamp = None
            raise self.unusable(f"{self.path}: {error.strerror}") from None
        return self._text

    def _load(self, mode: int) -> bytes:
        if not stat.S_ISREG(mode):
            raise self.unusable(f"{self.path}: not a regular file")  # a pipe would be waited for
        with self.path.open("rb") as file:
            text = file.read(self.most + 1)
        if len(text) > self.most:
            raise self.unusable(f"{self.path}: larger than {self.most // 1024} KiB")
        return text


class Credentials:
    """The ``authorization`` value for the next call, by the precedence of docs/configuration.md."""

    def __init__(self, settings: Settings) -> None:
        chosen = settings.milvus.credentials
        self._token = _opened(chosen.token)
        self._user, self._password = _opened(chosen.user), _opened(chosen.password)

    def metadata(self) -> Metadata:
        """Return call metadata: empty without credentials. Reads files that have changed."""
        plain = self._plain()
        if plain is None:
            return ()
        # Standard base64 and no scheme word: what Milvus's own clients send.
        return (("authorization", base64.b64encode(plain.encode()).decode("ascii")),)

    def user(self) -> str:
        """Return the name of the user; empty without credentials, and for an API key."""
        name, colon, _ = (self._plain() or "").partition(":")
        return name if colon else ""

    def _plain(self) -> str | None:
        if self._token is not None:
            return self._token()
        if self._user is not None and self._password is not None:
            return f"{self._user()}:{self._password()}"
        return None


def _opened(source: SecretStr | Path | None) -> Callable[[], str] | None:
    """Return how to get a secret's text: fixed, or from a file that may be replaced at any time."""
    if source is None:
        return None
    if isinstance(source, SecretStr):
        return source.get_secret_value
    file = WatchedFile(source, errors.CredentialsUnusable)

    def read() -> str:
        try:
            text = one_line(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise errors.CredentialsUnusable(f"{file.path}: not UTF-8 text") from None
        except ValueError as error:
            raise errors.CredentialsUnusable(f"{file.path}: {error}") from None
        if not text.strip():
            raise errors.CredentialsUnusable(f"{file.path}: empty")
        return text

    return read


def default_roots() -> Path:
    """Return the file of the authorities that gRPC trusts where none are given."""
    bundled = Path(grpc.__file__).parent / "_cython" / "_credentials" / "roots.pem"
    return Path(os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH") or bundled)


Metadata = tuple[tuple[str, str], ...]
"""Of a call; empty without credentials."""
Material = tuple[bytes | None, ...]
"""Authorities, key and certificate (PEM); empty without TLS."""


@dataclass(slots=True, eq=False)
class _Open:
    """A channel, what it was opened with, and how many calls it has under way."""

    channel: grpc.aio.Channel
    material: Material
    calls: int = field(default=0)
    methods: dict[str, grpc.aio.UnaryUnaryMultiCallable] = field(default_factory=dict)
    """What calls a method, by its path: made once, since an inventory makes hundreds of calls."""

    def method(self, path: str) -> grpc.aio.UnaryUnaryMultiCallable:
        """Return what calls a method with bytes and returns bytes."""
        known = self.methods.get(path)
        if known is None:
            known = self.methods[path] = self.channel.unary_unary(path)
        return known


class Channel:
    """One channel for as long as it works; a new one when the TLS files on disk have changed, or it cannot connect."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.milvus.address
        tls = settings.milvus.tls
        self._server_name = tls.server_name
        paths = (tls.ca_file, tls.key_file, tls.cert_file)
        self._files = tuple(
            WatchedFile(path, errors.TLSFilesUnusable, _MAX_PEM_BYTES) if path else None for path in paths
        )
        self._max_bytes = settings.milvus.max_response_bytes
        self._backoff_ms = min(_MAX_BACKOFF_MS, int(settings.poll.interval * 500))
        self._connect_ms = max(self._backoff_ms, int(settings.poll.timeout * 1000) + 1000)
        self._current: _Open | None = None
        self._retired: set[_Open] = set()

    async def call(self, path: str, request: bytes, timeout: float, metadata: Metadata) -> bytes:
        """Call a method. ``timeout`` in seconds.

        Raises :class:`errors.TLSFilesUnusable` where TLS files cannot be used, and what the call ended with.
        """
        lent = self._lend()
        lent.calls += 1
        try:
            if self._retired:
                await self._close_idle()
            answer: bytes = await lent.method(path)(
                request, timeout=max(timeout, 0.001), metadata=metadata, wait_for_ready=False
            )
        except grpc.aio.AioRpcError as error:
            failure = from_grpc(error.code(), error.details() or "")
            if isinstance(failure, errors.Unreachable | errors.TLSFailed):
                self._give_up(lent)
            raise failure from None
        finally:
            lent.calls -= 1
            if self._retired:
                await self._close_idle()
        return answer

    def _lend(self) -> _Open:
        """Return the channel for one call: a new one where the TLS files have changed."""
        material = self._read_material() if self._address.tls else ()
        if self._current is None or material != self._current.material:
            if self._current is not None:
                self._retired.add(self._current)
            self._current = _Open(self._open(material), material)
        return self._current

    async def close(self) -> None:
        """Close whatever is open; calls still under way are cancelled."""
        channels = [*self._retired, *([self._current] if self._current else [])]
        self._retired, self._current = set(), None
        for each in channels:
            await each.channel.close()

    def _give_up(self, lent: _Open) -> None:
        """Begin anew with the next call where this channel could not connect.

        gRPC resolves a name that has failed again only after a wait of its own, which grows to two minutes.
        """
        if lent is self._current and lent.channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            self._retired.add(lent)
            self._current = None

    async def _close_idle(self) -> None:
        """Close channels that others have replaced, once their last call has ended."""
        for each in [each for each in self._retired if not each.calls]:
            self._retired.discard(each)
            await each.channel.close()

    def _read_material(self) -> Material:
        material = tuple(file.read() if file else None for file in self._files)
        for file, text in zip(self._files, material, strict=True):
            # gRPC would take an empty file for none, and trust its own authorities instead.
            if file is not None and text is not None and _PEM_MARK not in text:
                raise errors.TLSFilesUnusable(f"{file.path}: holds no PEM text")
        return material

    def _open(self, material: Material) -> grpc.aio.Channel:
        options = self._options()
        if not self._address.tls:
            return grpc.aio.insecure_channel(self._address.grpc_target, options=options)
        ca, key, cert = material
        credentials = grpc.ssl_channel_credentials(ca, key, cert)
        return grpc.aio.secure_channel(self._address.grpc_target, credentials, options=options)

    def _options(self) -> list[tuple[str, int | str]]:
        options: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", self._max_bytes),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            # The next tick is the retry: gRPC must have tried again by then.
            ("grpc.initial_reconnect_backoff_ms", min(1000, self._backoff_ms)),
            # A back-off by its name; by its effect the time to connect in. A call's own deadline must come first.
            ("grpc.min_reconnect_backoff_ms", self._connect_ms),
            ("grpc.max_reconnect_backoff_ms", self._backoff_ms),
            ("grpc.dns_min_time_between_resolutions_ms", self._backoff_ms),
            # A name server that keeps silent: gRPC would wait two minutes, and the questions of that time with it.
            ("grpc.dns_ares_query_timeout", self._connect_ms),
            ("grpc.enable_retries", 0),
            # Channels of one process share connections by default; a second target must not.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self._server_name:
            options.append(("grpc.ssl_target_name_override", self._server_name))
        return options
