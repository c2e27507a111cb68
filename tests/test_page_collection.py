"""One collection's view: every listed job, and what the state file keeps beyond them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from builders import DAY, NOON, completed, failed, job
from page_sources import World, page, troubled

from exporter.errors import StateUnusable, StateUnwritable
from exporter.ledger import Mark
from exporter.model import FailureClass, Job, State
from exporter.page import detail


@dataclass
class Kept:
    """A state file in memory that counts what is read of it."""

    ended: list[Job] = field(default_factory=list)
    broken: StateUnusable | None = None
    read: list[int] = field(default_factory=list)

    def marks(self, database: str, collection: str, *, since: float, most: int) -> tuple[Mark, ...]:
        if self.broken:
            raise self.broken
        found = [Mark(j.job_id, str(j.state), j.start, j.end) for j in self.ended if j.end and j.end > since]
        return tuple(sorted(found, key=lambda mark: -mark.end))[:most]

    def jobs(self, job_ids: Iterable[int]) -> dict[int, Job]:
        wanted = tuple(job_ids)
        self.read.extend(wanted)
        return {j.job_id: j for j in self.ended if j.job_id in wanted}


def asked(name: str, database: str = "sales", **more: object) -> str:
    return urlencode({"database": database, "name": name, **more})


def test_every_listed_job_is_there_the_latest_first() -> None:
    world = World().add("docs", *(completed(n, NOON - 100 * n) for n in range(1, 4)), failed(9, NOON - 150))
    shown = page(world.source(), "/collection", asked("docs"))
    keys = [attrs["data-key"] for tag, attrs in shown.tags if tag == "tr" and "data-key" in attrs]
    assert keys == ["1", "9", "2", "3"]
    assert "Jobs: 4" in shown.text


def test_a_failed_job_says_class_and_reason_and_an_active_one_how_far_it_is() -> None:
    jobs = (
        failed(9, NOON - 150, FailureClass.SOURCE_EMPTY, reason="zero total rows"),
        job(10, State.IN_PROGRESS, start=NOON - 60, progress=0.25),
    )
    shown = page(World().add("docs", *jobs).source(), "/collection", asked("docs"))
    for text in ("No files or no rows under the path", "source_empty", "zero total rows", "25 %"):
        assert text in shown.text


def test_more_jobs_than_a_page_are_paged() -> None:
    world = World().add("docs", *(completed(n, NOON - n) for n in range(1, 121)))
    shown = page(world.source(), "/collection", asked("docs", page=3))
    assert "Page 3 of 3" in shown.text
    assert "collection?database=sales&name=docs&page=2" in shown.links


def test_what_is_unknown_is_404_and_not_repeated() -> None:
    shown = page(troubled().source(), "/collection", asked("<nobody>"))
    assert shown.status == 404
    assert "nobody" not in shown.text


def test_without_a_state_file_it_says_what_one_would_bring() -> None:
    shown = page(troubled().source(), "/collection", asked("apples"))
    assert "state.path" in shown.text
    assert not [attrs for tag, attrs in shown.tags if attrs.get("class") == "chart"]


def kept_month() -> Kept:
    days = [completed(1000 + n, NOON - n * DAY, start=NOON - n * DAY - 60 - n) for n in range(1, 29)]
    return Kept([*days, failed(2000, NOON - 3 * DAY - 500, FailureClass.TIMEOUT, reason="timeout")])


def test_the_kept_month_is_a_chart_a_table_by_day_and_lines_of_jobs() -> None:
    world = troubled()
    world.past = kept_month()
    shown = page(world.source(), "/collection", asked("apples"))
    assert "kept here, no longer listed by Milvus" in shown.text
    assert "Jobs: 30" in shown.text  # 29 kept and one listed
    days = [attrs["data-key"] for tag, attrs in shown.tags if tag == "tr" and "-" in str(attrs.get("data-key"))]
    assert (days[0], days[-1], len(days)) == ("2026-09-20", "2026-08-24", 28)
    label = next(a["aria-label"] for t, a in shown.tags if t == "svg" and "Duration" in str(a.get("aria-label")))
    assert str(label).replace("\N{NO-BREAK SPACE}", " ").startswith("Duration of 29 jobs over the last 30 d")


def test_a_job_that_is_listed_and_kept_is_one_line() -> None:
    world = World().add("docs", completed(1, NOON - 5))
    world.past = Kept([completed(1, NOON - 5), completed(0, NOON - 2 * DAY)])
    shown = page(world.source(), "/collection", asked("docs"))
    assert "Jobs: 2" in shown.text
    assert world.past.read == [0]


def test_only_the_kept_jobs_on_the_page_are_read_in_full() -> None:
    world = World().add("docs")
    world.past = Kept([completed(n, NOON - DAY - n) for n in range(1, 200)])
    page(world.source(), "/collection", asked("docs", page=2))
    assert world.past.read == list(range(51, 101))


@pytest.mark.parametrize("error", [StateUnusable("/var/x: damaged"), StateUnwritable("/var/x: locked")])
def test_a_state_file_that_cannot_be_read_costs_only_the_history(error: StateUnusable) -> None:
    world = troubled()
    world.past = Kept(broken=error)
    shown = page(world.source(), "/collection", asked("apples"))
    assert shown.status == 200
    assert "The state file cannot be read now." in shown.text
    assert "Jobs: 1" in shown.text
    assert "/var/x" not in shown.text


def test_of_a_very_long_history_the_newest_are_shown_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail, "MOST_MARKS", 20)
    world = troubled()
    world.past = kept_month()
    assert "the newest 20 jobs" in page(world.source(), "/collection", asked("apples")).text


def test_of_several_milvus_the_one_asked_for_answers() -> None:
    both = {"prod": troubled().source(), "staging": World().add("apples", completed(1, NOON)).source()}
    query = f"target=staging&{asked('apples')}"
    shown = page(both, "/collection", query)
    assert "Jobs: 1" in shown.text
    assert "./?target=staging" in shown.links
