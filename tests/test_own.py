"""The exporter's own account."""

from __future__ import annotations

import gzip
import platform
from dataclasses import fields, replace
from functools import partial

import pytest
from golden.grammar import samples
from golden.snapshots import NOW

from exporter import __version__
from exporter.errors import KINDS
from exporter.ledger import StateAccount
from exporter.metrics import Account, Format, ProcessAccount, ProcessExposition
from exporter.metrics.contract import CONTRACT, JOBS_WITHOUT_VISIBLE_COLLECTION, PREFIX, Part
from exporter.metrics.own import OwnMetrics
from exporter.model import Problem
from exporter.snapshot import Snapshot
from exporter.store import POLL_DURATION_BUCKETS, PollAccount, PollOutcome, Publication

TEXT = Format.TEXT_0_0_4
ACCOUNT = Account(
    publication=Publication(Snapshot(0.0), PollAccount()),
    stale=True,
    poll_interval=30.0,
    job_timeout=3600.0,
    job_retention=86_400.0,
    config_loaded=NOW - 5,
    state=StateAccount(),
)


def told(account: Account = ACCOUNT, *, process: bool = False, format_: Format = TEXT) -> dict[str, float]:
    """Return what is told, by ``name`` or ``name{value of its label}``; short names where they are ours."""
    text = OwnMetrics(lambda: account, process=process).render(format_).decode()
    found = {}
    for name, labels, value in samples(text + ("# EOF\n" if format_.openmetrics else ""), format_):
        detail = ",".join(text for _, text in labels)
        found[name.removeprefix(PREFIX) + (f"{{{detail}}}" if detail else "")] = value
    return found


def after(*outcomes: PollOutcome, **given: object) -> Account:
    """Return the account after these polls."""
    polls = PollAccount()
    for outcome in outcomes:
        polls = polls.after(outcome)
    return replace(ACCOUNT, publication=Publication(Snapshot(NOW), polls), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", Format)
def test_before_the_first_poll_every_family_of_ours_is_there(format_: Format) -> None:
    """`/metrics` answers with at least these, whatever Milvus does."""
    found = {name.partition("{")[0] for name in told(format_=format_)}
    ours = {each for each in CONTRACT if each.part is Part.EXPORTER} - {JOBS_WITHOUT_VISIBLE_COLLECTION}
    for metric in ours:  # that one needs an inventory
        assert metric.short + ("_count" if metric.kind == "histogram" else "") in found


def test_before_the_first_poll_stamps_are_0_and_nothing_is_up() -> None:
    found = told()
    zero = ("up", "poll_last_attempt_timestamp_seconds", "poll_last_success_timestamp_seconds", "polls_total")
    assert [found[name] for name in (*zero, "poll_duration_seconds_count")] == [0] * 5
    assert found["snapshot_stale"] == 1


@pytest.mark.parametrize("family", ["poll_errors_total", "inventory_errors_total"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_stands_at_0_before_it_happens(family: str, kind: str) -> None:
    """A counter that appears with its first error has no increase."""
    assert told()[f"{family}{{{kind}}}"] == 0


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_of_a_record_stands_at_0_before_it_is_met(problem: Problem) -> None:
    assert told()[f"invalid_records_total{{{problem}}}"] == 0


def test_a_good_poll_a_partial_one_and_a_failed_one_are_told_apart() -> None:
    good = PollOutcome(started=NOW, duration=0.2, up=True)
    partial = PollOutcome(started=NOW + 30, duration=3.0, up=True, partial=True, kinds=("server_error",))
    failed = PollOutcome(started=NOW + 60, duration=10.0, up=False, kinds=("server_error", "deadline"))

    def state(*outcomes: PollOutcome) -> tuple[float, ...]:
        found = told(after(*outcomes))
        names = ("up", "poll_partial", "poll_last_attempt_timestamp_seconds", "poll_last_success_timestamp_seconds")
        return tuple(found[name] for name in names)

    assert state(good) == (1, 0, NOW, NOW)
    assert state(good, partial) == (1, 1, NOW + 30, NOW + 30)
    assert state(good, partial, failed) == (0, 0, NOW + 60, NOW + 30)
    found = told(after(good, partial, failed))
    assert found["polls_total"] == found["poll_duration_seconds_count"] == 3
    assert found["poll_errors_total{server_error}"] == 2
    assert found["poll_errors_total{deadline}"] == 1
    assert found["poll_duration_seconds_sum"] == pytest.approx(13.2)


def test_the_poll_histogram_is_cumulated_and_has_a_last_bucket() -> None:
    found = told(after(*(PollOutcome(started=NOW, duration=seconds, up=True) for seconds in (0.005, 0.006, 31.0))))
    buckets = [found[f"poll_duration_seconds_bucket{{{float(bound)}}}"] for bound in POLL_DURATION_BUCKETS]
    assert buckets == [1] + [2] * (len(POLL_DURATION_BUCKETS) - 1)
    assert found["poll_duration_seconds_bucket{+Inf}"] == 3


@pytest.mark.parametrize(("counted", "succeeded"), [(None, NOW), (3, 0.0)], ids=["switched off", "never read"])
def test_without_a_good_inventory_nobody_knows_which_collections_are_visible(
    counted: int | None, succeeded: float
) -> None:
    publication = Publication(Snapshot(NOW, jobs_without_visible_collection=counted), PollAccount())
    account = replace(ACCOUNT, publication=publication, inventory_last_success=succeeded)
    assert JOBS_WITHOUT_VISIBLE_COLLECTION.short not in told(account)


def test_what_the_snapshot_and_the_configuration_say_is_passed_on() -> None:
    snapshot = Snapshot(NOW, listed_jobs=66, jobs_without_visible_collection=5, collections_folded=3, sources_folded=8)
    account = replace(
        ACCOUNT,
        publication=Publication(snapshot, PollAccount(skipped=4)),
        stale=False,
        inventory_last_success=NOW - 1,
    )
    assert (
        told(account).items()
        >= {
            "snapshot_stale": 0,
            "snapshot_jobs": 66,
            "jobs_without_visible_collection": 5,
            "collections_folded": 3,
            "sources_folded": 8,
            "polls_skipped_total": 4,
            "poll_interval_seconds": 30,
            "server_job_timeout_seconds": 3600,
            "server_job_retention_seconds": 86_400,
            "inventory_last_success_timestamp_seconds": NOW - 1,
            "config_last_reload_successful": 1,
            "config_last_reload_success_timestamp_seconds": NOW - 5,
        }.items()
    )


def test_errors_of_the_inventory_and_of_polls_are_two_accounts() -> None:
    found = told(replace(ACCOUNT, inventory_errors={"permission_denied": 3}))
    assert found["inventory_errors_total{permission_denied}"] == 3
    assert found["poll_errors_total{permission_denied}"] == 0


def test_a_configuration_that_could_not_be_read_again_shows() -> None:
    assert told(replace(ACCOUNT, config_good=False))["config_last_reload_successful"] == 0


def test_a_time_that_nobody_noted_is_absent_and_not_0() -> None:
    """0 reads as 56 years ago."""
    assert "config_last_reload_success_timestamp_seconds" not in told(replace(ACCOUNT, config_loaded=0.0))


def test_the_build_is_named() -> None:
    found = told(replace(ACCOUNT, revision="0123abc"))
    assert found[f"exporter_build_info{{{platform.python_version()},0123abc,{__version__}}}"] == 1


STANDARD = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
            "process_open_fds", "process_max_fds", "python_gc_collections_total{0}")  # fmt: skip


@pytest.mark.parametrize("format_", [TEXT, Format.OPENMETRICS])
def test_the_daemon_tells_of_its_process_and_its_python(format_: Format) -> None:
    found = told(process=True, format_=format_)
    assert found.keys() >= set(STANDARD)
    assert any(name.startswith("python_info{") for name in found)


def test_a_single_poll_tells_of_neither() -> None:
    """node_exporter's textfile collector, which reads it, has its own."""
    assert not [name for name in told(process=False) if name.startswith(("process_", "python_"))]


def test_two_accounts_in_one_process_stay_apart() -> None:
    """Nothing is registered for the whole process."""
    one, other = (OwnMetrics(lambda n=n: replace(ACCOUNT, poll_interval=n), process=True) for n in (1.0, 2.0))
    assert b"poll_interval_seconds 1.0" in one.render(TEXT)
    assert b"poll_interval_seconds 2.0" in other.render(TEXT)


def test_the_state_file_is_told_of_only_where_there_is_one() -> None:
    """A gauge at 0 for a file that nobody asked for would be an alarm about nothing."""
    assert not [name for name in told(replace(ACCOUNT, state=None)) if name.startswith("state_")]
    found = told(replace(ACCOUNT, state=StateAccount(ok=False, last_write=NOW, errors=3)))
    assert {name: value for name, value in found.items() if name.startswith("state_")} == {
        "state_ok": 0,
        "state_last_write_success_timestamp_seconds": NOW,
        "state_write_errors_total": 3,
    }


def test_one_of_several_milvus_does_not_tell_of_the_process() -> None:
    """A bad configuration is one alert, not one for each target."""
    several = told(replace(ACCOUNT, alone=False, config_good=False))
    assert told().keys() - several.keys() == {
        "config_last_reload_successful",
        "config_last_reload_success_timestamp_seconds",
        f"exporter_build_info{{{platform.python_version()},,{__version__}}}",
    }


def test_the_process_tells_of_no_milvus() -> None:
    """A poll that has never succeeded, because there is none, would be an alert about nothing."""
    text = OwnMetrics(lambda: ProcessAccount(NOW, config_good=False, revision="0123abc"), process=False).render(TEXT)
    found = {name.removeprefix(PREFIX): value for name, _, value in samples(text.decode(), TEXT)}
    assert found == {
        "config_last_reload_successful": 0,
        "config_last_reload_success_timestamp_seconds": NOW,
        "exporter_build_info": 1,
    }


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_process_is_shown_in_the_form_that_is_asked_for(accept: str, encoding: str) -> None:
    body = ProcessExposition(lambda: ProcessAccount(NOW)).body(accept, encoding)
    text = gzip.decompress(body.chunks[0]) if encoding else body.chunks[0]
    assert body.encoding == encoding
    assert (body.content_type.startswith("application/openmetrics"), text.endswith(b"\n# EOF\n")) == (bool(accept),) * 2
    assert b"process_cpu_seconds_total" in text


@pytest.mark.parametrize("format_", Format)
def test_what_has_been_printed_before_is_printed_anew_where_anything_of_it_has_changed(format_: Format) -> None:
    """Most says at each poll what it has said before and is not printed again; the text is that of a first time."""
    publication = ACCOUNT.publication
    polled = PollOutcome(NOW, 1.5, up=True, problems={Problem.MISSING_JOB_ID: 2})
    failed = PollOutcome(NOW + 1, 0.2, up=False, kinds=("timeout",))
    parts: list[dict[str, object]] = [
        {"publication": replace(publication, account=publication.account.after(polled))},
        {"publication": replace(publication, account=publication.account.after(polled).after(failed))},
        {"publication": replace(publication, account=replace(publication.account, skipped=3))},
        {"publication": replace(publication, account=replace(publication.account, partial=True))},
        *({"publication": replace(publication, snapshot=Snapshot(NOW, **{name: 7}))} for name in
          ("listed_jobs", "collections_folded", "sources_folded")),
        {"stale": False}, {"poll_interval": 15.0}, {"job_timeout": 60.0}, {"job_retention": 7200.0},
        {"config_loaded": NOW}, {"config_loaded": 0.0}, {"config_good": False}, {"revision": "0123abc"},
        {"alone": False}, {"inventory_last_success": NOW}, {"inventory_errors": {KINDS[0]: 2}}, {"state": None},
        {"state": StateAccount(ok=False)}, {"state": StateAccount(last_write=NOW)}, {"state": StateAccount(errors=1)},
    ]  # fmt: skip
    accounts = [replace(ACCOUNT, **changes) for changes in (*parts, {}, *reversed(parts))]  # type: ignore[arg-type]
    coming = iter(accounts)
    own = OwnMetrics(lambda: next(coming), process=False)
    texts = set()
    for account in accounts:
        text = own.render(format_)
        assert text == OwnMetrics(partial(lambda same: same, account), process=False).render(format_)
        texts.add(text)
    assert len(texts) == len(parts) + 1
    assert {name for changes in parts for name in changes} == {field.name for field in fields(Account)}
