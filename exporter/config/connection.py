"""Which Milvus to talk to: address, credentials and TLS, and what must hold between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr, ValidationInfo, field_validator

from exporter.config import values as v
from exporter.config.base import Section, blame, section, setting
from exporter.config.uri import MilvusAddress


class Tls(Section):
    """TLS to Milvus; needs an https URI. Files are read again when they change."""

    ca_file: v.ReadableFile = setting(
        None, "Certificates (PEM) to trust. Default: those that gRPC brings along.", metavar="FILE"
    )
    cert_file: v.ReadableFile = setting(None, "Client certificate (PEM), for mutual TLS.", metavar="FILE")
    key_file: v.ReadableFile = setting(None, "Key of the client certificate (PEM).", metavar="FILE")
    server_name: v.OptionalText = setting(
        None, "Name that the server's certificate must bear. Default: the host of `milvus.uri`.", metavar="NAME"
    )

    @field_validator("key_file")
    @classmethod
    def _with_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "cert_file" in info.data and (info.data["cert_file"] is None) != (key is None):
            if key is None:
                raise blame("cert_file", "needs its key; set milvus.tls.key_file too")
            raise ValueError("needs its certificate; set milvus.tls.cert_file too")
        return key


SecretSource = SecretStr | Path
"""A secret, or the file that holds it and is read again when it changes."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What to present to Milvus: a token, or a user with a password, or nothing."""

    token: SecretSource | None = None
    user: SecretSource | None = None
    password: SecretSource | None = None

    @property
    def given(self) -> bool:
        """Whether there is anything to present."""
        return self.token is not None or self.user is not None


class Milvus(Section):
    """Which Milvus, and how to get in."""

    uri: v.Uri = setting(
        "http://localhost:19530",
        "`http(s)://host[:port][/database]`, `tcp://...` or `unix:/path`. Without a port: 19530, or 443 for https. "
        "https switches TLS on. A database shows that database only. `user:password@` before the host is accepted, "
        "percent-encoded where it holds `@ : / ? # %`.",
        metavar="URI",
    )
    token: v.Secret = setting(None, "Token: an API key, or `user:password`.", secret=True)
    token_file: v.ReadableFile = setting(
        None, "File with the token, read again when it changes. Goes before `milvus.token`.", metavar="FILE"
    )
    user: v.Secret = setting(None, "User; needs a password. Not used where there is a token.", secret=True)
    user_file: v.ReadableFile = setting(
        None, "File with the user, read again when it changes. Goes before `milvus.user`.", metavar="FILE"
    )
    password: v.Secret = setting(None, "Password of the user.", secret=True)
    password_file: v.ReadableFile = setting(
        None, "File with the password, read again when it changes. Goes before `milvus.password`.", metavar="FILE"
    )
    tls: Tls = section(Tls)
    max_response_bytes: v.Size = setting(
        "256MiB",
        "Largest answer taken from Milvus, such as 256MiB or 268435456. The default is Milvus's own send limit.",
        metavar="BYTES",
    )

    @field_validator("password_file")
    @classmethod
    def _user_and_password(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        data = info.data
        if not {"user", "user_file", "password"} <= data.keys():
            return file
        user = next((name for name in ("user_file", "user") if data[name]), None)
        password = "password_file" if file else "password" if data["password"] else None
        if user and not password:
            raise blame(user, "needs a password; set milvus.password or milvus.password_file too")
        if password and not user:
            raise blame(password, "needs a user; set milvus.user or milvus.user_file too")
        return file

    @field_validator("tls")
    @classmethod
    def _used(cls, tls: Tls, info: ValidationInfo) -> Tls:
        uri = info.data.get("uri")
        named = next((name for name, value in tls if value is not None), None)
        if uri is not None and named is not None and not uri.tls:
            raise blame(f"tls.{named}", f"has no effect with {uri.scheme}; write https in milvus.uri")
        return tls

    @property
    def address(self) -> MilvusAddress:
        """Return the URI taken apart."""
        return self.uri

    @property
    def credentials(self) -> Credentials:
        """Return what to present: token, then user and password, then the URI's; a file before a value."""
        token = self.token_file or self.token
        if token is not None:
            return Credentials(token=token)
        user, password = self.user_file or self.user, self.password_file or self.password
        if user is not None and password is not None:
            return Credentials(user=user, password=password)
        return Credentials(token=self.uri.credentials)
