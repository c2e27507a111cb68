"""Who may call what, where authorization is on (docs/milvus.md, "Privileges")."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.demo.refusals import Denied

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

ANY: Final = "*"
_OF_COLLECTIONS: Final = ("ShowCollections", "DescribeCollection", "RefreshExternalCollection")


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege of a role, in one database or in ``*``, on one collection or on ``*``."""

    privilege: str
    database: str = ANY
    collection: str = ANY


@dataclass(frozen=True, slots=True)
class User:
    """A user with a password, an API key, or both. An ``admin`` may everything, as root may."""

    name: str
    password: SecretStr | None = None
    api_key: SecretStr | None = None
    grants: tuple[Grant, ...] = ()
    admin: bool = False

    def require(self, privilege: str, database: str, collection: str = "") -> None:
        """Raise :class:`Denied` (PERMISSION_DENIED) unless this user holds ``privilege`` there."""
        held = any(
            grant.privilege == privilege and _covers(grant.database, database) and _covers(grant.collection, collection)
            for grant in self.grants
        )
        if not self.admin and not held:
            text = f"Privilege{privilege}: permission deny to {self.name} in the `{database}` database"
            raise Denied("PERMISSION_DENIED", text)

    def sees_database(self, database: str) -> bool:
        """Whether ListDatabases shows it: any grant in it is enough."""
        return self.admin or any(_covers(grant.database, database) for grant in self.grants)

    def sees_collection(self, database: str, collection: str) -> bool:
        """Whether ShowCollections shows it: any grant on it is enough."""
        return self.admin or any(
            grant.privilege in _OF_COLLECTIONS
            and _covers(grant.database, database)
            and _covers(grant.collection, collection)
            for grant in self.grants
        )


@dataclass(frozen=True, slots=True)
class Access:
    """The users of a Milvus that has authorization on."""

    users: tuple[User, ...]

    def authenticate(self, header: str | None) -> User:
        """Return the user that an ``authorization`` value names. Raises :class:`Denied` (UNAUTHENTICATED)."""
        if not header:
            raise _unauthenticated("missing authorization in header")
        try:
            token = base64.b64decode(header, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            raise _unauthenticated("invalid token format") from None
        name, colon, password = token.partition(":")
        if not colon:
            return self._first(lambda user: _same(user.api_key, token), "api key is")
        return self._first(
            lambda user: user.name == name and _same(user.password, password), "username and password are"
        )

    def _first(self, fits: Callable[[User], bool], what: str) -> User:
        for user in self.users:
            if fits(user):
                return user
        raise _unauthenticated(f"auth check failure, please check {what} correct")


def only_root(token: SecretStr) -> Access:
    """Return an access list of one all-powerful user: ``user:password``, or an API key where there is no colon."""
    name, colon, password = token.get_secret_value().partition(":")
    if not colon:
        return Access((User("root", api_key=token, admin=True),))
    return Access((User(name, password=type(token)(password), admin=True),))


def _covers(granted: str, asked: str) -> bool:
    return granted in (ANY, asked)


def _same(secret: SecretStr | None, text: str) -> bool:
    return secret is not None and hmac.compare_digest(secret.get_secret_value().encode(), text.encode())


def _unauthenticated(text: str) -> Denied:
    return Denied("UNAUTHENTICATED", text)
