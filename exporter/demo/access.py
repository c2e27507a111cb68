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
_OF_COLLECTIONS: Final = ("IndexDetail", "GetLoadState", "Query", "Search", "Insert", "RefreshExternalCollection")
"""Some privileges of object type Collection. All others here, DescribeCollection too, are of type Global."""
_COLLECTION_GROUPS: Final = ("CollectionReadOnly", "CollectionReadWrite", "CollectionAdmin")
_PUBLIC: Final = ("DescribeCollection", "ListAliases", "IndexDetail")


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege of a role, in one database or in ``*``, on one collection or on ``*``.

    ``members`` makes it a custom privilege group: what it holds.
    """

    privilege: str
    database: str = ANY
    collection: str = ANY
    members: tuple[str, ...] = ()

    @property
    def makes_collections_visible(self) -> bool:
        """Whether Milvus counts it where it filters collections: any group for collections, a privilege by its type."""
        return bool(self.members) or self.privilege in (*_OF_COLLECTIONS, *_COLLECTION_GROUPS)

    def covers(self, database: str, collection: str) -> bool:
        """Return whether it is about this collection."""
        return _covers(self.database, database) and _covers(self.collection, collection)


@dataclass(frozen=True, slots=True)
class User:
    """A user with a password, an API key, or both. An ``admin`` may do and see everything, as root may.

    ``grants`` are those of its roles. Every user has the role ``public`` as well; without ``public`` that one is empty
    (``common.security.enablePublicPrivilege``).
    """

    name: str
    password: SecretStr | None = None
    api_key: SecretStr | None = None
    grants: tuple[Grant, ...] = ()
    admin: bool = False
    public: bool = True

    def require(self, privilege: str, database: str, collection: str = "") -> None:
        """Raise :class:`Denied` (PERMISSION_DENIED) unless this user holds ``privilege`` there."""
        held = (self.public and privilege in _PUBLIC) or any(
            privilege in (grant.privilege, *grant.members) and grant.covers(database, collection)
            for grant in self.grants
        )
        if not self.admin and not held:
            text = f"Privilege{privilege}: permission deny to {self.name} in the `{database}` database"
            raise Denied("PERMISSION_DENIED", text)

    def sees_database(self, database: str) -> bool:
        """Whether ListDatabases shows it: any grant in it is enough, but not those of the role ``public``."""
        return self.admin or any(_covers(grant.database, database) for grant in self.grants)

    def sees_collection(self, database: str, collection: str) -> bool:
        """Whether ShowCollections and DescribeCollection show it."""
        return self.admin or any(
            grant.makes_collections_visible and grant.covers(database, collection) for grant in self.grants
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
