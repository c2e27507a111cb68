"""Alerts on the exporter's own sight, live: two daemons in trouble, one Prometheus, and each is told of its own.

*lake* has a limit that is too low, has lost the folder of its state file, and its Milvus refuses to list everything at
once. *vault* has a state file that is damaged, and is refused by that same Milvus, as its password was changed there
alone. Then all of it is mended.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from peers.exporter import Exporter, Samples
from peers.monitoring import Monitoring, Notice, Subject
from peers.parts import generations, missing
from peers.pymilvus_server import LIST_JOBS, PymilvusServer, databases, job
from peers.waiting import until

pytestmark = pytest.mark.real

TIMES = {
    "outdated_floor": 1,
    "gap": 3,
    "partial_within": 3,
    "blind_for": 2,
    "account_for": 2,
    "folded_for": 2,
    "errors_within": 5,
}
BROKEN = {"code": 65535, "error_code": 1, "reason": "job 461000000000000001 references missing task 461000000000000002"}
COLLECTIONS = ("clicks", "events", "orders")
JOBS = [job(number, name) for number, name in enumerate(COLLECTIONS, 1)]
NOT_A_DATABASE = b"what a broken disk has left of a file"

OF_LAKE = {
    Subject(alert, milvus="lake")
    for alert in ("RefreshListingPartial", "RefreshCollectionsFolded", "RefreshStateNotKept")
}
OF_VAULT = {
    Subject(alert, milvus="vault")
    for alert in ("RefreshCredentialsRejected", "RefreshDataOutdated", "RefreshStateNotKept")
}
DAMAGED = Subject("RefreshStateNotKept", milvus="vault")


@dataclass
class Stage:
    """Everything that plays, and what was seen at each station."""

    lake: Exporter
    vault: Exporter
    monitoring: Monitoring
    well: set[Subject] = field(default_factory=set)
    """What had arrived while all but the damaged file was well."""
    troubled: dict[str, Samples] = field(default_factory=dict)
    mended: dict[str, Samples] = field(default_factory=dict)
    """Here vault's damaged file is out of the way, and vault has not been restarted."""
    restarted: dict[str, Samples] = field(default_factory=dict)
    evidence: bytes = b""
    """What is in the damaged file at the end."""
    told: list[Notice] = field(default_factory=list)
    """What the webhook had heard before the restart."""

    def until_firing(self, subjects: set[Subject], what: str) -> None:
        def others() -> set[Subject]:
            return self.monitoring.webhook.firing() ^ subjects

        try:
            until(lambda: not others(), what, seconds=90)
        except AssertionError as late:
            late.add_note(f"too much or too little: {others()}")
            raise

    def look(self) -> dict[str, Samples]:
        return {"lake": self.lake.next_poll(), "vault": self.vault.next_poll()}


@pytest.fixture(scope="module")
def stage(_pymilvus_server: PymilvusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    prometheus = generations("prometheus").get("system") or missing("Prometheus is not installed")
    milvus, folder = _pymilvus_server, tmp_path_factory.mktemp("account")
    milvus.set(databases=databases(default=list(COLLECTIONS)), auth={"tokens": ["lake:right", "vault:right"]})
    milvus.set_jobs(*JOBS[:2])
    (folder / "password").write_text("right")
    (folder / "lake").mkdir()
    (folder / "vault.db").write_bytes(NOT_A_DATABASE)
    with (
        Exporter(
            milvus.uri,
            *("--limits.max-collections", "2", "--state.path", str(folder / "lake" / "state.db")),
            env={"MILVUS_TOKEN": "lake:right"},
        ) as lake,
        Exporter(
            milvus.uri,
            *("--milvus.password-file", str(folder / "password")),
            *("--state.path", str(folder / "vault.db")),
            env={"MILVUS_USER": "vault"},
        ) as vault,
        Monitoring({"lake": lake.port, "vault": vault.port}, prometheus=prometheus, times=TIMES) as monitoring,
    ):
        played = Stage(lake, vault, monitoring)
        _play_trouble(played, milvus, folder)
        _play_mending(played, milvus, folder)
        _play_restart(played)
        played.evidence = (folder / "aside.db").read_bytes()
        yield played


def _play_trouble(stage: Stage, milvus: PymilvusServer, folder: Path) -> None:
    stage.until_firing({DAMAGED}, "the damaged file is told of")
    until(lambda: len(stage.monitoring.query("milvus_external_refresh_up == 1")) == 2, "both are well", seconds=30)
    stage.well = stage.monitoring.webhook.arrived()
    milvus.set(auth={"tokens": ["lake:right", "vault:changed"]})
    milvus.set_fault(LIST_JOBS, status=BROKEN, list_all_only=True)
    milvus.set_jobs(*JOBS)
    (folder / "lake").rename(folder / "lost")
    stage.until_firing(OF_LAKE | OF_VAULT, "everything that is in trouble is told of")
    stage.troubled = stage.look()


def _play_mending(stage: Stage, milvus: PymilvusServer, folder: Path) -> None:
    (folder / "password").write_text("changed")
    (folder / "lost").rename(folder / "lake")
    (folder / "vault.db").rename(folder / "aside.db")
    milvus.clear_faults()
    milvus.set_jobs(*JOBS[:2])
    stage.until_firing({DAMAGED}, "all that is mended resolves")
    stage.mended = stage.look()
    stage.told = stage.monitoring.webhook.notices()


def _play_restart(stage: Stage) -> None:
    stage.vault.stop()
    stage.vault.start()
    usable = 'milvus_external_refresh_state_ok{milvus="vault"} == 1'
    until(lambda: stage.monitoring.query(usable), "a state file that is usable", seconds=30)
    stage.until_firing(set(), "nothing is left")
    stage.restarted = stage.look()


def _texts(stage: Stage) -> dict[Subject, str]:
    return {notice.subject: notice.texts["description"] for notice in stage.told if notice.fires}


def test_each_trouble_is_told_once_of_its_own_milvus_and_resolves_when_it_is_mended(stage: Stage) -> None:
    assert stage.well == {DAMAGED}
    fired = Counter(notice.subject for notice in stage.told if notice.fires)
    resolved = Counter(notice.subject for notice in stage.told if not notice.fires)
    assert fired == dict.fromkeys(OF_LAKE | OF_VAULT, 1)
    assert resolved == dict.fromkeys(OF_LAKE | OF_VAULT - {DAMAGED}, 1)


def test_rejected_credentials_say_how_they_were_rejected_and_a_changed_file_is_enough_to_mend_them(
    stage: Stage,
) -> None:
    rejected = _texts(stage)[Subject("RefreshCredentialsRejected", milvus="vault")]
    assert "Milvus vault rejects the exporter (unauthenticated): refresh jobs are not watched." in rejected
    assert "is down, does not answer or refuses" in _texts(stage)[Subject("RefreshDataOutdated", milvus="vault")]
    assert (stage.troubled["vault"].value("up"), stage.mended["vault"].value("up")) == (0, 1)
    assert stage.troubled["vault"].errors().keys() == {"unauthenticated"}


def test_a_partial_listing_and_folded_collections_are_told_while_all_jobs_are_still_there(stage: Stage) -> None:
    texts, seen = _texts(stage), stage.troubled["lake"]
    partial = texts[Subject("RefreshListingPartial", milvus="lake")]
    assert "Milvus lake refuses to list all refresh jobs at once" in partial
    assert "Not listed" not in partial
    folded = texts[Subject("RefreshCollectionsFolded", milvus="lake")]
    assert folded.startswith("1 external collections of Milvus lake have no job series of their own")
    assert (seen.value("up"), seen.value("poll_partial"), seen.value("collections_folded")) == (1, 1, 1)
    assert seen.total("jobs") == 3


def test_a_state_file_that_cannot_be_written_is_written_again_as_soon_as_it_can(stage: Stage) -> None:
    lost = _texts(stage)[Subject("RefreshStateNotKept", milvus="lake")]
    assert re.search(r"of Milvus lake \(127\.0\.0\.1:\d+\) cannot be used or written", lost)
    before, after = stage.troubled["lake"], stage.mended["lake"]
    assert (before.value("state_ok"), after.value("state_ok")) == (0, 1)
    assert (before.value("state_write_errors_total") or 0) > 0


def test_a_state_file_that_was_refused_stays_refused_until_a_restart(stage: Stage) -> None:
    """Also when it is out of the way; nothing is tried, so no write fails either. The evidence is as it was."""
    mended, restarted = stage.mended["vault"], stage.restarted["vault"]
    assert (mended.value("state_ok"), mended.value("state_write_errors_total")) == (0, 0)
    assert (mended.value("up"), mended.total("jobs")) == (1, 2)
    assert (restarted.value("state_ok"), restarted.total("jobs")) == (1, 2)
    assert stage.evidence == NOT_A_DATABASE
