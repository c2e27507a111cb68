"""Users, roles and grants of the Milvus made of pymilvus's servicer, and what Milvus 3.0 shows to whom.

The world's key ``rbac`` holds them; without it nothing is filtered, as with authorization off. None of this
project's code: the rules are those of Milvus's ``getCurrentUserVisibleCollections``.
"""

from __future__ import annotations

import base64
from typing import Any

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2

# By pkg/util/constant.go: DescribeCollection, ShowCollections and ListDatabases are of object type Global.
COLLECTION_TYPE = {"IndexDetail", "GetLoadState", "Load", "Release", "Query", "Search", "Insert", "Delete", "Upsert"}
COLLECTION_GROUPS = {"CollectionReadOnly", "CollectionReadWrite", "CollectionAdmin"}
OF_PUBLIC = {"DescribeCollection", "ListAliases", "IndexDetail"}


class Rbac:
    """One mapping: ``users`` (to roles), ``roles`` (to grants), ``groups`` (to privileges), and ``public``."""

    def __init__(self, content: dict[str, Any], headers: dict[str, Any]) -> None:
        self.content = content
        token = base64.b64decode(headers.get("authorization", "")).decode()
        self.user = token.partition(":")[0]
        self.roles = content.get("users", {}).get(self.user, [])

    @property
    def all_powerful(self) -> bool:
        return not self.content or self.user == "root" or "admin" in self.roles

    def grants(self, database: str) -> list[dict[str, str]]:
        """Return the grants in one database, those of the role public left out."""
        found = [grant for role in self.roles if role != "public" for grant in self.content["roles"].get(role, [])]
        return [grant for grant in found if grant["db"] in ("*", database)]

    def shows_database(self, database: str) -> bool:
        return self.all_powerful or bool(self.grants(database))

    def shows_collection(self, database: str, name: str) -> bool:
        if self.all_powerful:
            return True
        counting = COLLECTION_TYPE | COLLECTION_GROUPS | self.content.get("groups", {}).keys()
        return any(g["privilege"] in counting and g["collection"] in ("*", name) for g in self.grants(database))

    def may(self, privilege: str, database: str) -> bool:
        """Return whether the interceptor lets a call through that is annotated with a Global privilege."""
        if self.all_powerful or (self.content.get("public", True) and privilege in OF_PUBLIC):
            return True
        groups = self.content.get("groups", {})
        return any(privilege in (g["privilege"], *groups.get(g["privilege"], ())) for g in self.grants(database))


class Administration:
    """The calls with which an administrator makes users, roles and grants."""

    world: Any

    def _rbac(self) -> dict[str, Any]:
        rbac: dict[str, Any] = self.world.content.setdefault("rbac", {})
        for key in ("users", "roles", "groups"):
            rbac.setdefault(key, {})
        return rbac

    def CreateCredential(self, request: Any, context: Any) -> Any:
        password = base64.b64decode(request.password).decode()
        self._rbac()["users"][request.username] = []
        self.world.content.setdefault("auth", {}).setdefault("tokens", []).append(f"{request.username}:{password}")
        return common_pb2.Status(code=0)

    def CreateRole(self, request: Any, context: Any) -> Any:
        self._rbac()["roles"][request.entity.name] = []
        return common_pb2.Status(code=0)

    def OperateUserRole(self, request: Any, context: Any) -> Any:
        assert request.type == milvus_pb2.AddUserToRole
        self._rbac()["users"][request.username].append(request.role_name)
        return common_pb2.Status(code=0)

    def CreatePrivilegeGroup(self, request: Any, context: Any) -> Any:
        self._rbac()["groups"][request.group_name] = []
        return common_pb2.Status(code=0)

    def OperatePrivilegeGroup(self, request: Any, context: Any) -> Any:
        assert request.type == milvus_pb2.AddPrivilegesToGroup
        self._rbac()["groups"][request.group_name] += [privilege.name for privilege in request.privileges]
        return common_pb2.Status(code=0)

    def OperatePrivilegeV2(self, request: Any, context: Any) -> Any:
        assert request.type == milvus_pb2.Grant
        if request.role.name not in self._rbac()["roles"]:
            return common_pb2.Status(code=1100, error_code=1, reason="not found the role, maybe the role isn't existed")
        grant = {
            "privilege": request.grantor.privilege.name,
            "db": request.db_name or "default",
            "collection": request.collection_name,
        }
        self._rbac()["roles"][request.role.name].append(grant)
        return common_pb2.Status(code=0)


def refuse(context: Any, rbac: Rbac, privilege: str, database: str) -> None:
    text = f"Privilege{privilege}: permission deny to {rbac.user} in the `{database}` database"
    context.abort(grpc.StatusCode.PERMISSION_DENIED, text)


def hidden() -> Any:
    reason = "not allowed to access collection: privilege not permitted"
    return common_pb2.Status(code=1401, error_code=1, reason=reason)
