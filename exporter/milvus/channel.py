"""The gRPC channel and what is read from files for it: credentials and TLS material, again when they change."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from pydantic import SecretStr

from exporter import errors

if TYPE_CHECKING:
    from exporter.config import Settings

_MAX_BACKOFF_MS: Final = 10_000
_KEEPALIVE_MS: Final = 10_000  # Milvus allows pings every 5 s, also without a call (docs/milvus.md, "Connecting")
_KEEPALIVE_TIMEOUT_MS: Final = 5_000
_MAX_SECRET_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class WatchedFile:
    """A small file whose text is read again whenever the file is replaced or written."""

    path: Path
    _stamp: tuple[int, int, int] | None = None
    _text: bytes = b""

    def read(self) -> bytes:
        """Return the file's bytes. Raises :class:`errors.Unauthenticated` where it cannot be read."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                with self.path.open("rb") as file:
                    self._text = file.read(_MAX_SECRET_BYTES)
                self._stamp = stamp
        except OSError as error:
            self._stamp = None
            raise errors.Unauthenticated(f"{self.path}: {error.strerror}") from error
        return self._text


class Credentials:
    """The ``authorization`` value for the next call, by the precedence of docs/configuration.md."""

    def __init__(self, settings: Settings) -> None:
        chosen = settings.milvus.credentials
        self._token = _opened(chosen.token)
        self._user, self._password = _opened(chosen.user), _opened(chosen.password)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return call metadata: empty without credentials. Reads files that have changed."""
        if self._token is not None:
            plain = self._token()
        elif self._user is not None and self._password is not None:
            plain = f"{self._user()}:{self._password()}"
        else:
            return ()
        # Standard base64 and no scheme word: what Milvus's own clients send.
        return (("authorization", base64.b64encode(plain.encode()).decode("ascii")),)


def _opened(source: SecretStr | Path | None) -> Callable[[], str] | None:
    """Return how to get a secret's text: fixed, or from a file that may be replaced at any time."""
    if source is None:
        return None
    if isinstance(source, SecretStr):
        return source.get_secret_value
    file = WatchedFile(source)

    def read() -> str:
        try:
            text = file.read().decode().strip()
        except UnicodeDecodeError:
            raise errors.Unauthenticated(f"{file.path}: not UTF-8 text") from None
        if not text:
            raise errors.Unauthenticated(f"{file.path}: empty")
        return text

    return read


class Channel:
    """One channel for the life of the process; a new one only when the TLS files on disk have changed."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.milvus.address
        tls = settings.milvus.tls
        self._server_name = tls.server_name
        paths = (tls.ca_file, tls.key_file, tls.cert_file)
        self._files = tuple(WatchedFile(path) if path else None for path in paths)
        self._max_bytes = settings.milvus.max_response_bytes
        self._backoff_ms = min(_MAX_BACKOFF_MS, int(settings.poll.interval * 500))
        self._material: tuple[bytes | None, ...] = ()
        self._channel: grpc.aio.Channel | None = None
        self._retired: list[grpc.aio.Channel] = []

    def current(self) -> grpc.aio.Channel:
        """Return the channel for the next call. Raises :class:`errors.TLSFailed` where TLS files cannot be used."""
        material = self._read_material() if self._address.tls else ()
        if self._channel is None or material != self._material:
            fresh = self._open(material)
            if self._channel is not None:
                self._retired.append(self._channel)
            self._channel, self._material = fresh, material
        return self._channel

    async def close(self) -> None:
        """Close whatever is open; calls still under way are cancelled."""
        channels = [*self._retired, *([self._channel] if self._channel else [])]
        self._retired, self._channel = [], None
        for channel in channels:
            await channel.close()

    async def drop_retired(self) -> None:
        """Close channels that a change of TLS files has replaced."""
        retired, self._retired = self._retired, []
        for channel in retired:
            await channel.close(grace=_KEEPALIVE_TIMEOUT_MS / 1000)

    def _read_material(self) -> tuple[bytes | None, ...]:
        try:
            return tuple(file.read() if file else None for file in self._files)
        except errors.Unauthenticated as error:
            raise errors.TLSFailed(error.detail) from error

    def _open(self, material: tuple[bytes | None, ...]) -> grpc.aio.Channel:
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
            ("grpc.min_reconnect_backoff_ms", min(1000, self._backoff_ms)),
            ("grpc.max_reconnect_backoff_ms", self._backoff_ms),
            ("grpc.dns_min_time_between_resolutions_ms", self._backoff_ms),
            ("grpc.enable_retries", 0),
            # Channels of one process share connections by default; a second target must not.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self._server_name:
            options.append(("grpc.ssl_target_name_override", self._server_name))
        return options
