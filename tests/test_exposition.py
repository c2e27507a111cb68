"""What a scrape is answered with: rendered once for a publication, old or new, never a mixture."""

from __future__ import annotations

import gzip
import re
import sys
import threading
import types
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from golden.grammar import check_grammar, samples
from golden.snapshots import NOW, collection, count, everything, job, outcome, rows
from golden_files import assert_golden

from exporter.ledger import StateAccount
from exporter.metrics import Account, Body, Exposition, Format
from exporter.metrics import exposition as exposition_module
from exporter.metrics.contract import CONTRACT, PREFIX, Part
from exporter.metrics.own import OwnMetrics
from exporter.metrics.render import Renderer
from exporter.model import Problem
from exporter.snapshot import CollectionRow, Snapshot
from exporter.store import PollOutcome, Publication, Store

STALE_AFTER = 90.0
TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text"
GOOD = PollOutcome(started=NOW, duration=0.25, up=True)
FAILED = PollOutcome(started=NOW + 30, duration=10.0, up=False, kinds=("deadline",))
PARTS = {part: [PREFIX + metric.short for metric in CONTRACT if metric.part is part] for part in Part}
GZIP_HEAD = b"\x1f\x8b\x08"


class HandTurnedClock:
    """Two hands that move only when they are turned."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def wall(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


class Scene:
    """A store, a clock and the exposition that shows them."""

    def __init__(self, *, process: bool = False) -> None:
        self.clock = HandTurnedClock()
        self.store = Store(STALE_AFTER)
        self.inventory_errors = {"deadline": 2}
        self.exposition = Exposition(self.store, self.clock, self._account, process=process)

    def _account(self, publication: Publication, stale: bool) -> Account:
        return Account(
            publication=publication,
            stale=stale,
            poll_interval=30.0,
            job_timeout=3600.0,
            job_retention=86_400.0,
            inventory_last_success=NOW - 7.5,
            inventory_errors=self.inventory_errors,
            revision="0123abc",
            config_loaded=NOW - 100,
            state=StateAccount(ok=True, last_write=NOW - 1, errors=0),
        )

    def publish(self, snapshot: Snapshot | None = None, outcome: PollOutcome = GOOD) -> None:
        self.store.publish(outcome, snapshot, self.clock.seconds)

    def text(self, accept: str = TEXT) -> str:
        body = self.exposition.body(accept)
        assert body.encoding == ""
        return b"".join(body.chunks).decode()

    def shown(self) -> set[str]:
        """Return the names that a scrape sees."""
        return {name for name, _, _ in samples(self.text(), Format.TEXT_0_0_4)}

    def value(self, short: str) -> float:
        (found,) = (value for name, _, value in samples(self.text(), Format.TEXT_0_0_4) if name == PREFIX + short)
        return found


def joined(body: Body) -> bytes:
    return b"".join(body.chunks)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def known_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.metrics.own.__version__", "1.2.3")
    monkeypatch.setattr("platform.python_version", lambda: "3.11.7")


@pytest.fixture
def renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what is rendered or compressed, one word for each time."""
    calls: list[str] = []

    def note(owner: object, name: str, word: str) -> None:
        true = getattr(owner, name)

        def noted(*arguments: object, **more: object) -> object:
            calls.append(word)
            return true(*arguments, **more)

        monkeypatch.setattr(owner, name, noted)

    note(Renderer, "jobs", "jobs")
    note(Renderer, "rest", "rest")
    note(OwnMetrics, "render", "own")
    note(exposition_module, "_compressed", "gzip")
    return calls


# Golden pairs: the whole answer


@pytest.mark.usefixtures("known_build")
@pytest.mark.parametrize(("accept", "suffix"), [(TEXT, "text"), (OPENMETRICS, "openmetrics")])
def test_golden_answers(accept: str, suffix: str, scene: Scene) -> None:
    """Before the first poll, after a good one, and when that one is too old to be shown."""
    assert_golden(f"answers/before_the_first_poll.{suffix}.txt", scene.text(accept))
    scene.publish(everything(), replace(GOOD, problems={Problem.UNKNOWN_STATE: 2}))
    assert_golden(f"answers/good.{suffix}.txt", scene.text(accept))
    scene.publish(None, FAILED)
    scene.clock.seconds += STALE_AFTER + 1
    assert_golden(f"answers/stale.{suffix}.txt", scene.text(accept))


@pytest.mark.parametrize("process", [False, True])
@pytest.mark.parametrize("format_", Format)
def test_the_whole_answer_keeps_the_grammar(format_: Format, process: bool) -> None:
    """Our own text and prometheus_client's make one exposition: no family twice, one end mark."""
    scene = Scene(process=process)
    for snapshot in (None, everything()):
        scene.publish(snapshot)
        check_grammar(scene.text(format_.value), format_)
        assert samples(scene.text(format_.value), format_)


def test_a_good_answer_has_every_family_of_the_contract(scene: Scene) -> None:
    """And nothing besides."""
    scene.publish(everything())
    types_ = dict(re.findall(r"^# TYPE (\S+) (\S+)$", scene.text(), re.MULTILINE))
    assert types_ == {metric.name: metric.kind for metric in CONTRACT}


@pytest.mark.parametrize("format_", Format)
def test_the_content_type_is_that_of_the_text(format_: Format, scene: Scene) -> None:
    body = scene.exposition.body(format_.value)
    assert body.content_type == format_.value
    assert joined(body).endswith(b"# EOF\n") is (format_ is Format.OPENMETRICS)


# Once


def test_everything_is_rendered_once_for_a_publication(scene: Scene, renderings: list[str]) -> None:
    scene.publish(everything())
    answers = {id(scene.exposition.body(TEXT)) for _ in range(5)}
    assert len(answers) == 1
    assert sorted(renderings) == ["jobs", "own", "rest"]


def test_gzip_is_made_once_and_only_when_somebody_wants_it(scene: Scene, renderings: list[str]) -> None:
    scene.publish(everything())
    scene.exposition.body(TEXT)
    assert "gzip" not in renderings
    bodies = [scene.exposition.body(TEXT, "gzip") for _ in range(5)]
    assert renderings.count("gzip") == 1
    assert all(body is bodies[0] for body in bodies)


def test_a_failed_poll_prints_no_row_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are those of the last good poll; only what is told of polling has changed."""
    scene.publish(everything())
    before = scene.text()
    for kept in ("_jobs", "_outcomes", "_collections"):
        monkeypatch.setattr(getattr(scene.exposition._renderer, kept), "_print", None)
    scene.publish(None, FAILED)
    assert "milvus_external_refresh_up 0.0" in scene.text()
    assert scene.text().count("\n") == before.count("\n")


def test_the_first_scrape_after_a_poll_finds_its_answer_ready(scene: Scene, renderings: list[str]) -> None:
    scene.exposition.body(OPENMETRICS, "gzip")
    scene.publish(everything())
    scene.exposition.prepare()
    renderings.clear()
    scene.exposition.body(OPENMETRICS, "gzip")
    assert renderings == []


def test_nothing_is_rendered_ahead_that_nobody_asks_for(scene: Scene, renderings: list[str]) -> None:
    """One curl of last week does not cost at every poll."""
    scene.publish(everything())
    scene.exposition.prepare()
    assert renderings == []
    scene.exposition.body(TEXT)
    for _ in range(2):
        scene.publish(replace(everything(), now=NOW + 1))
        scene.exposition.prepare()
    assert renderings.count("own") == 2


# Old or new


def numbered(n: int) -> tuple[Snapshot, PollOutcome]:
    """Return a poll whose every part says ``n``."""
    where = collection()
    snapshot = Snapshot(
        NOW + n,
        (rows(job(), where, counts=(("s3://lake/docs", count(completed=n)),), changed=float(n)),),
        outcomes=(outcome(where, finished=n, max_age=float(n)),),
        collections=(CollectionRow(where, "s3://lake/docs", float(n)),),
        known_since=float(n),
        listed_jobs=n,
    )
    return snapshot, PollOutcome(started=float(n), duration=0.0, up=True)


NUMBERED = re.compile(
    rb'^milvus_external_refresh_(?:jobs\{.*state="RefreshCompleted"|last_job_progress_change_timestamp_seconds'
    rb"|jobs_finished_total|max_age_seconds|collection_created_timestamp_seconds|outcomes_known_since_timestamp_seconds"
    rb"|snapshot_jobs|polls_total|poll_last_attempt_timestamp_seconds|poll_last_success_timestamp_seconds)"
    rb"[^ ]*.* (\S+)$",
    re.MULTILINE,
)


def test_a_scrape_during_a_poll_sees_the_old_or_the_new(scene: Scene) -> None:
    """Never a mixture, in any encoding, and never an older one after a newer one."""
    last = 400
    scene.publish(*numbered(1))
    faults: list[object] = []
    seen: set[float] = set()
    published = threading.Event()

    def scrape(accept: str, encoding: str) -> None:
        newest = 0.0
        while True:
            done = published.is_set()
            body = scene.exposition.body(accept, encoding)
            text = gzip.decompress(joined(body)) if body.encoding else joined(body)
            found = {float(value) for value in NUMBERED.findall(text)}
            if len(found) != 1 or min(found) < newest or len(NUMBERED.findall(text)) != 10:
                faults.append((newest, found))
                return
            newest = found.pop()
            seen.add(newest)
            if done:
                return

    threads = [
        threading.Thread(target=scrape, args=wish) for wish in [(TEXT, ""), (TEXT, "gzip"), (OPENMETRICS, "gzip")]
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for n in range(2, last + 1):
            scene.publish(*numbered(n))
            scene.exposition.prepare()
    finally:
        published.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)
    assert faults == []
    assert last in seen
    assert len(seen) > 3


def test_the_account_in_an_answer_is_of_the_publication_that_its_rows_are_of(scene: Scene) -> None:
    """Also where a poll ends between the two."""
    scene.publish(*numbered(1))

    class Publishing(dict[str, int]):
        """Publishes the next poll at the moment when the account of this one is read."""

        def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]
            if scene.store.current.account.attempts == 1:
                scene.publish(*numbered(2))
            return default

    scene.inventory_errors = Publishing()
    assert {float(value) for value in NUMBERED.findall(scene.text().encode())} == {1}
    assert {float(value) for value in NUMBERED.findall(scene.text().encode())} == {2}


def test_an_answer_in_hand_stays_as_it_was(scene: Scene) -> None:
    """A slow reader is still being sent the old one while the new one is made."""
    scene.publish(*numbered(1))
    old = scene.exposition.body(TEXT)
    before = joined(old)
    scene.publish(*numbered(2))
    assert joined(scene.exposition.body(TEXT)) != before
    assert joined(old) == before


# Stale


def test_before_the_first_poll_nothing_is_told_of_jobs(scene: Scene) -> None:
    assert scene.value("snapshot_stale") == 1
    assert scene.value("up") == 0
    assert scene.shown().isdisjoint(PARTS[Part.JOBS])


def test_too_old_a_snapshot_withholds_jobs_and_keeps_outcomes_and_inventory(scene: Scene) -> None:
    scene.publish(everything())
    assert scene.value("snapshot_stale") == 0
    assert scene.shown() >= set(PARTS[Part.JOBS])
    scene.clock.seconds += STALE_AFTER
    assert scene.value("snapshot_stale") == 0
    scene.clock.seconds += 0.001
    assert scene.value("snapshot_stale") == 1
    assert scene.shown().isdisjoint(PARTS[Part.JOBS])
    kept = {name for part in (Part.OUTCOMES, Part.INVENTORY) for name in PARTS[part] if "job_duration" not in name}
    assert scene.shown() >= kept


def test_a_failed_poll_alone_withholds_nothing(scene: Scene) -> None:
    """`up` says so at once; the rows stay until they are too old."""
    scene.publish(everything())
    scene.publish(None, FAILED)
    assert scene.value("up") == 0
    assert scene.shown() >= set(PARTS[Part.JOBS])


def test_job_series_return_with_the_next_good_poll(scene: Scene) -> None:
    scene.publish(everything())
    scene.clock.seconds += 10 * STALE_AFTER
    assert scene.value("snapshot_stale") == 1
    scene.publish(everything())
    assert scene.value("snapshot_stale") == 0
    assert scene.shown() >= set(PARTS[Part.JOBS])


class InterruptedStore(Store):
    """A store in which something happens between the two reads of a scrape, once."""

    interruption: Callable[[], None] | None = None

    def stale(self, monotonic: float) -> bool:
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            interruption()
        return super().stale(monotonic)


@pytest.mark.parametrize("withheld_for", [1, 3])
def test_rows_once_withheld_do_not_come_back_with_the_freshness_of_the_next(scene: Scene, withheld_for: int) -> None:
    """A good poll that ends an outage in the middle of a scrape: the answer is the stale one or the new one, whole."""
    store = scene.store = InterruptedStore(STALE_AFTER)
    scene.exposition = Exposition(store, scene.clock, scene._account)
    scene.publish(*numbered(1))
    scene.clock.seconds += 10 * STALE_AFTER
    for _ in range(withheld_for):
        assert scene.value("snapshot_stale") == 1
        scene.publish(None, FAILED)
    store.interruption = lambda: scene.publish(*numbered(2))
    during = scene.text()
    assert 'state="RefreshCompleted"} 1' not in during
    assert "snapshot_stale 1.0" in during
    after = scene.text()
    assert 'state="RefreshCompleted"} 2' in after
    assert "snapshot_stale 0.0" in after


def test_a_poll_that_ends_when_a_scrape_has_begun_is_the_next_scrapes(scene: Scene) -> None:
    """Rows and account are of the publication that the scrape found first."""
    store = scene.store = InterruptedStore(STALE_AFTER)
    scene.exposition = Exposition(store, scene.clock, scene._account)
    scene.publish(*numbered(1))
    store.interruption = lambda: scene.publish(*numbered(2))
    assert {float(value) for value in NUMBERED.findall(scene.text().encode())} == {1}
    assert {float(value) for value in NUMBERED.findall(scene.text().encode())} == {2}


def test_what_is_not_new_does_not_end_a_snapshots_staleness(scene: Scene) -> None:
    """Skipped ticks and inventory passes publish too."""
    scene.publish(everything())
    scene.clock.seconds += 10 * STALE_AFTER
    for news in (scene.store.skip, scene.store.touch, lambda: scene.publish(None, FAILED)):
        news()
        assert scene.value("snapshot_stale") == 1


def test_the_same_snapshot_published_by_a_later_poll_is_fresh(scene: Scene) -> None:
    snapshot = everything()
    scene.publish(snapshot)
    scene.clock.seconds += 10 * STALE_AFTER
    assert scene.value("snapshot_stale") == 1
    scene.publish(snapshot, replace(GOOD, started=NOW + 900))
    assert scene.value("snapshot_stale") == 0


# gzip


def fake_isal(calls: list[tuple[int, int, int]]) -> types.ModuleType:
    """Return a module that looks like isal and compresses with zlib."""
    module = types.ModuleType("isal")

    def compressobj(level: int, method: int, window: int) -> object:
        calls.append((level, method, window))
        return zlib.compressobj(level, method, window)

    module.isal_zlib = types.SimpleNamespace(compressobj=compressobj, DEFLATED=zlib.DEFLATED)  # type: ignore[attr-defined]
    return module


@pytest.fixture(params=["without isal", "with something like isal", "with isal"])
def compression(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to compress."""
    if request.param == "without isal":
        monkeypatch.setitem(sys.modules, "isal", None)
    elif request.param == "with isal":
        pytest.importorskip("isal", reason="isal is optional and not installed")
    else:
        monkeypatch.setitem(sys.modules, "isal", fake_isal([]))


@pytest.mark.usefixtures("compression")
@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_gzip_is_one_member_and_equals_the_plain_answer(accept: str, scene: Scene) -> None:
    """Some readers stop after the first member."""
    scene.publish(everything())
    body = scene.exposition.body(accept, "gzip")
    assert body.encoding == "gzip"
    assert joined(body)[:3] == GZIP_HEAD
    member = zlib.decompressobj(31)
    plain = member.decompress(joined(body)) + member.flush()
    assert member.eof
    assert member.unused_data == b""
    assert plain.decode() == scene.text(accept)


def test_isal_compresses_where_it_is_there(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Level 1, with a gzip header."""
    calls: list[tuple[int, int, int]] = []
    monkeypatch.setitem(sys.modules, "isal", fake_isal(calls))
    scene.exposition.body(TEXT, "gzip")
    assert calls == [(1, zlib.DEFLATED, 31)]


def test_gzip_is_smaller(scene: Scene) -> None:
    scene.publish(everything())
    assert len(joined(scene.exposition.body(TEXT, "gzip"))) < len(scene.text()) / 4


def test_who_refuses_gzip_gets_plain_bytes_also_after_others_took_it(scene: Scene) -> None:
    scene.exposition.body(TEXT, "gzip")
    assert scene.exposition.body(TEXT, "gzip;q=0").encoding == ""
    assert scene.exposition.body(TEXT).encoding == ""


def test_what_has_been_rendered_is_at_hand_without_rendering(scene: Scene, renderings: list[str]) -> None:
    """The second scrape of a publication is a look-up; of a new publication nothing is at hand yet."""
    scene.publish(Snapshot(now=NOW, known_since=NOW))
    assert scene.exposition.at_hand(TEXT) is None
    body = scene.exposition.body(TEXT)
    renderings.clear()
    assert scene.exposition.at_hand(TEXT) is body
    assert renderings == []
    scene.publish(Snapshot(now=NOW + 30, known_since=NOW))
    assert scene.exposition.at_hand(TEXT) is None


def test_a_scrape_during_a_render_gets_the_exposition_before(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait, and what it gets is whole: the old one."""
    scene.publish(Snapshot(now=NOW, known_since=NOW))
    old = scene.exposition.body(TEXT)
    met: list[Body | None] = []
    render = OwnMetrics.render

    def look_in_between(own: OwnMetrics, format_: Format) -> bytes:
        met.append(scene.exposition.at_hand(TEXT))
        return render(own, format_)

    monkeypatch.setattr(OwnMetrics, "render", look_in_between)
    scene.publish(Snapshot(now=NOW + 30, known_since=NOW))
    new = scene.exposition.body(TEXT)
    assert met == [old]
    assert scene.exposition.at_hand(TEXT) is new is not old
