"""Who may call what on the simulated Milvus, and what its troubles do, as functions of what is handed in."""

from __future__ import annotations

import base64

import pytest
from pydantic import SecretStr

from exporter.demo.access import Access, Grant, User, only_root
from exporter.demo.faults import FROM_TIME_TO_TIME, Faults, Spell, Trouble, endure, happening
from exporter.demo.refusals import Denied, Refused

ROOT = User("root", SecretStr("Milvus"), admin=True)
BOB = User("bob", SecretStr("pa:ss"), SecretStr("bobskey"))
ACCESS = Access((ROOT, BOB))


def header(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(("token", "name"), [("root:Milvus", "root"), ("bob:pa:ss", "bob"), ("bobskey", "bob")])
def test_user_and_password_split_at_the_first_colon_and_a_token_without_one_is_an_api_key(
    token: str, name: str
) -> None:
    assert ACCESS.authenticate(header(token)).name == name


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (None, "missing authorization in header"),
        ("", "missing authorization in header"),
        ("not base64!", "invalid token format"),
        (header("root:wrong"), "auth check failure, please check username and password are correct"),
        (header("nobody:Milvus"), "auth check failure, please check username and password are correct"),
        (header("root:"), "auth check failure, please check username and password are correct"),
        (header("somekey"), "auth check failure, please check api key is correct"),
    ],
)
def test_wrong_credentials_are_unauthenticated_in_milvus_words(sent: str | None, says: str) -> None:
    with pytest.raises(Denied) as raised:
        ACCESS.authenticate(sent)
    assert (raised.value.code, raised.value.reason) == ("UNAUTHENTICATED", says)


def test_a_user_without_a_role_sees_nothing_whatever_the_role_public_holds() -> None:
    """That role allows the call, and does not count where collections are filtered."""
    BOB.require("DescribeCollection", "default", "docs")
    assert not BOB.sees_database("default")
    assert not BOB.sees_collection("default", "docs")


def test_a_hardened_milvus_without_public_privileges_denies_the_call() -> None:
    with pytest.raises(Denied) as raised:
        User("bob", public=False).require("DescribeCollection", "default", "docs")
    assert raised.value.code == "PERMISSION_DENIED"
    assert raised.value.reason == "PrivilegeDescribeCollection: permission deny to bob in the `default` database"


GRANTS: dict[str, tuple[tuple[Grant, ...], bool]] = {
    "the three of global type": (tuple(map(Grant, ("ListDatabases", "ShowCollections", "DescribeCollection"))), False),
    "one of collection type": ((Grant("IndexDetail"),), True),
    "a group of one's own": ((Grant("watchers", members=("DescribeCollection",)),), True),
    "a built-in group for collections": ((Grant("CollectionReadOnly"),), True),
    "a built-in group for databases": ((Grant("DatabaseReadOnly"),), False),
    "none": ((), False),
}


@pytest.mark.parametrize(("grants", "visible"), GRANTS.values(), ids=GRANTS)
def test_a_collection_is_visible_by_a_privilege_on_collections_or_by_a_group(
    grants: tuple[Grant, ...], visible: bool
) -> None:
    """Any grant shows the database."""
    user = User("ann", grants=grants)
    assert user.sees_collection("lake", "docs") is visible
    assert user.sees_database("lake") is bool(grants)


def test_a_group_allows_what_it_holds() -> None:
    user = User("ann", grants=(Grant("watchers", members=("DescribeCollection",)),), public=False)
    user.require("DescribeCollection", "lake", "docs")
    with pytest.raises(Denied):
        user.require("RefreshExternalCollection", "lake", "docs")


def test_a_grant_covers_its_database_and_collection_and_nothing_else() -> None:
    user = User("ann", grants=(Grant("IndexDetail", "lake", "docs"), Grant("Query", "lake", "docs")), public=False)
    user.require("IndexDetail", "lake", "docs")
    for base, name in (("lake", "other"), ("default", "docs")):
        with pytest.raises(Denied):
            user.require("IndexDetail", base, name)
        assert not user.sees_collection(base, name)
    assert user.sees_collection("lake", "docs")
    assert (user.sees_database("lake"), user.sees_database("default")) == (True, False)


def test_root_needs_no_grant() -> None:
    ROOT.require("RefreshExternalCollection", "lake", "docs")
    assert ROOT.sees_database("lake")
    assert ROOT.sees_collection("lake", "docs")


def test_one_token_makes_one_all_powerful_user() -> None:
    by_password, by_key = only_root(SecretStr("admin:secret")), only_root(SecretStr("secretkey"))
    assert by_password.authenticate(header("admin:secret")).admin
    assert by_key.authenticate(header("secretkey")).admin
    assert "secret" not in repr(by_password) + repr(by_key)
    with pytest.raises(Denied):
        by_password.authenticate(header("secretkey"))


PLAN = (Spell(Trouble.DOWN, after=10, lasting=5), Spell(Trouble.HANG, after=20, lasting=2))


@pytest.mark.parametrize(
    ("elapsed", "trouble"),
    [
        (-1, None),
        (0, None),
        (9.9, None),
        (10, Trouble.DOWN),
        (14.9, Trouble.DOWN),
        (15, None),
        (35, Trouble.HANG),
        (36.9, Trouble.HANG),
        (37, None),
        (47, Trouble.DOWN),
    ],
)
def test_a_plan_of_troubles_is_a_function_of_time_and_begins_again(elapsed: float, trouble: Trouble | None) -> None:
    met = happening(PLAN, elapsed)
    assert (met.trouble if met else None) is trouble


def test_a_trouble_knows_how_long_it_has_lasted_and_will_last() -> None:
    met = happening(PLAN, 12)
    assert met is not None
    assert (met.into, met.left) == (2, 3)


def test_no_plan_is_no_trouble_and_the_demos_plan_has_every_trouble() -> None:
    assert happening((), 100) is None
    assert {spell.trouble for spell in FROM_TIME_TO_TIME} == set(Trouble)


def restarting(share: float, method: str) -> str:
    faults = Faults()
    faults.restart(1000.0, lasting=30.0)
    try:
        endure(faults.by_hand(1000.0 + 30.0 * share), method)
    except Refused as refused:
        return str(refused.code)
    except Denied as denied:
        return denied.code
    return "answers"


def test_a_restart_answers_1_then_2_then_unavailable_and_the_proxy_answers_longer() -> None:
    shares = (0.0, 0.3, 0.4, 0.6, 0.7, 0.99, 1.0)
    listing = [restarting(share, "ListRefreshExternalCollectionJobs") for share in shares]
    assert listing == ["1", "1", "2", "2", "UNAVAILABLE", "UNAVAILABLE", "answers"]
    version = [restarting(share, "GetVersion") for share in shares]
    assert version == ["answers"] * 4 + ["UNAVAILABLE"] * 2 + ["answers"]
