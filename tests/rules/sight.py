"""The alerts on our own sight: outdated data, no exporter, a target that is gone, a replica that sees nothing."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, Values, fires, firing, given, of_exporter, silent, stamp
from situations import EACH_MINUTE, named

from exporter.metrics import contract

OUTDATED = "MilvusExternalRefreshDataOutdated"
DOWN = "MilvusExternalRefreshExporterDown"
GONE = "MilvusExternalRefreshTargetGone"
BLIND = "MilvusExternalRefreshReplicaBlind"
TARGETS = "milvus-refresh-targets"
NEW = {"instance": "b:19540", "pod": "exporter-1"}


def polled(success: Values, interval: int = 30, **labels: str) -> tuple[Series, ...]:
    return (given(contract.LAST_POLL_SUCCESS, success, **labels), given(contract.INTERVAL, interval, **labels))


def outdated(since: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"The refresh jobs of {name} are not watched: the exporter's data is outdated",
        f"{since}: {name} is down, does not answer or refuses the exporter. Running jobs are not watched, and what is "
        f"shown of failures and ages is as of then.",
        **labels,
    )


def down(milvus: str = "", job: str = "milvus-refresh") -> Fired:
    name, labels = named(milvus)
    told = f" (job {job})" if job else ""
    return of_exporter(
        "critical",
        f"The exporter of {name} is down",
        f"Prometheus cannot scrape the exporter of {name}{told}, or only every now and then: its refresh jobs are not "
        f"watched, and what is told of them is as of before. It is down, restarts again and again, or cannot be "
        f"reached.",
        **{"job": job, **labels},
    )


def gone(milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"{name} is no longer a target of Prometheus",
        f"{name} (job milvus-refresh) was scraped within the last 6h and is no target now: its refresh jobs are not "
        f"watched, and no other alert on them can fire. Was it removed on purpose, silence this: it ends by itself.",
        **labels,
    )


def blind(instance: str = "b:19540", milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"One replica of the exporter of {name} sees nothing",
        f"The exporter at {instance} cannot be scraped or gets no answer from {name}, while another one does. Nothing "
        f"is missed as long as that one works.",
        instance=instance,
        **labels,
    )


OF_OUTDATED = (
    Case(
        "an outage: fires ten minutes after the last good poll, five and five, and ends with the next one",
        polled({**EACH_MINUTE, 50: stamp(50)}),
        (
            *silent(OUTDATED, 30, 40),
            fires(OUTDATED, 41, outdated("The last good poll was 11m 0s ago")),
            *firing(OUTDATED, 49),
            *silent(OUTDATED, 50),
        ),
    ),
    Case(
        "an exporter that has never polled well fires after five minutes and does not speak of 1970",
        polled(0, milvus="east"),
        (
            *silent(OUTDATED, 4),
            fires(OUTDATED, 5, outdated("No poll has been good in the last hour", "east")),
            fires(OUTDATED, 30, outdated("No poll has been good in the last hour", "east")),
        ),
    ),
    Case(
        "a restart in the outage, however often, goes on as the same alert",
        polled({**EACH_MINUTE, 45: None, 46: 0, 55: None, 60: 0}),
        firing(OUTDATED, *range(41, 80)),
    ),
    Case(
        "lost scrapes, one in two, do not silence it",
        polled("60 stale " * 40),
        firing(OUTDATED, *range(12, 60)),
    ),
    Case(
        "slow polls have three intervals",
        (
            *polled(EACH_MINUTE, interval=900, milvus="every_quarter"),
            *polled(EACH_MINUTE, interval=300, milvus="east"),
            *polled(EACH_MINUTE, interval=60, milvus="west"),
        ),
        (
            *silent(OUTDATED, 40),
            fires(OUTDATED, 41, outdated("The last good poll was 11m 0s ago", "west")),
            *firing(OUTDATED, 50),
            *firing(OUTDATED, 51, 79, count=2),
            *firing(OUTDATED, 81, count=3),
        ),
    ),
    Case(
        "of two replicas the one that sees counts, and the longer interval",
        (*polled(EACH_MINUTE), *polled(60, interval=300, **NEW)),
        (*silent(OUTDATED, 50), *firing(OUTDATED, 51)),
    ),
    Case(
        "a replica that has just started does not make the other one blind",
        (*polled(3600), *polled(0, 30, **NEW)),
        silent(OUTDATED, 30),
    ),
    Case("a clock that is ahead is no outage", polled(stamp(600)), silent(OUTDATED, 60)),
)

OF_DOWN = (
    Case(
        "fires within ten minutes after the last replica goes, and ends some minutes after one is back",
        (given("up", {0: 1, 10: 0, 40: 1}), given("up", {0: 1, 5: 0}, **NEW)),
        (
            *silent(DOWN, 17),
            fires(DOWN, 19, down()),
            fires(DOWN, 39, down()),
            *firing(DOWN, 41),
            *silent(DOWN, 48),
        ),
    ),
    Case(
        "fires where there has never been a target, and ends when there is one",
        (given("up", {0: None, 30: 1}), given("up", 1, job="another")),
        (*silent(DOWN, 3), fires(DOWN, 4, down(job="")), *firing(DOWN, 29), *silent(DOWN, 30)),
    ),
    Case(
        "a shard that dies is told by the Milvus that it watched, though its process is not the only one",
        (
            given("up", 1, instance="e-0:19540"),
            given("up", {0: 1, 20: 0}, instance="e-1:19540"),
            given("up", 1, instance="e-0:19540", job=TARGETS, milvus="production"),
            given("up", {0: 1, 20: 0}, instance="e-1:19540", job=TARGETS, milvus="archive"),
        ),
        (*silent(DOWN, 27), fires(DOWN, 29, down("archive", TARGETS)), *firing(DOWN, 60, 120)),
    ),
    Case(
        "a crash loop is told within ten minutes: up for one minute of six, or for two and a half of seven",
        (
            given("up", "1 0x4 " * 30, milvus="one_of_six"),
            given("up", "1x2 0x4 " * 30, milvus="three_of_eight"),
        ),
        firing(DOWN, *range(12, 100), count=2),
    ),
    Case(
        "every second scrape lost is told, every third is not",
        (given("up", "1 0 " * 60, milvus="half"), given("up", "1 1 0 " * 60, milvus="most")),
        firing(DOWN, *range(14, 100)),
    ),
    Case(
        "a new pod whose first scrapes fail is not",
        (given("up", {0: 1, 20: None}), given("up", {0: None, 20: 0, 22: 1}, **NEW)),
        silent(DOWN, *range(40)),
    ),
    Case(
        "a pod that is replaced by one that never works is, although the old one did",
        (given("up", {0: 1, 20: None}), given("up", {0: None, 20: 0}, **NEW)),
        (*silent(DOWN, 23), *firing(DOWN, 24)),
    ),
    Case("one replica of two is enough", (given("up", 0), given("up", 1, **NEW)), silent(DOWN, 30)),
    Case("another job that is down is not ours", (given("up", 1), given("up", 0, job="another")), silent(DOWN, 30)),
)

OF_GONE = (
    Case(
        "a target that leaves service discovery is told five minutes later, and missed for six hours",
        (given("up", 1), given("up", {0: 1, 20: None}, milvus="archive"), given("up", {0: 1, 9: None}, job="another")),
        (
            *silent(GONE, 24),
            fires(GONE, 25, gone("archive")),
            *firing(GONE, 120, 378),
            *silent(GONE, 380),
        ),
    ),
    Case(
        "a target that is down is no target that is gone, and a new pod takes an old one's place",
        (
            given("up", {0: 1, 10: 0}),
            given("up", {0: 1, 10: None}, milvus="east"),
            given("up", {0: None, 10: 0}, milvus="east", **NEW),
        ),
        silent(GONE, 20, 60),
    ),
    Case(
        "one that comes back ends it",
        (given("up", {0: 1, 10: None, 30: 1}),),
        (fires(GONE, 15, gone()), *firing(GONE, 29), *silent(GONE, 30)),
    ),
)

OF_BLIND = (
    Case(
        "one of two replicas that Milvus does not answer is told within ten minutes, and ends with its next good poll",
        (
            given("up", 1),
            given("up", 1, **NEW),
            *polled("0+60x100"),
            *polled({**EACH_MINUTE, 50: stamp(50)}, **NEW),
        ),
        (*silent(BLIND, 40), fires(BLIND, 41, blind()), *firing(BLIND, 49), *silent(BLIND, 50)),
    ),
    Case(
        "one of two replicas that cannot be scraped is told, and so is one of two shards",
        (given("up", {0: 1, 10: 0}), given("up", 1, **NEW)),
        (*silent(BLIND, 18), fires(BLIND, 20, blind("a:19540"))),
    ),
    Case(
        "two that see nothing are the other alerts' affair, and so is a single one",
        (
            given("up", 1),
            given("up", 1, **NEW),
            *polled(EACH_MINUTE),
            *polled(EACH_MINUTE, **NEW),
            given("up", 0, milvus="single"),
            given("up", 1, milvus="alone"),
            *polled(0, milvus="alone"),
        ),
        silent(BLIND, 20, 45, 60),
    ),
    Case(
        "a pod that was replaced is not blind",
        (
            given("up", {0: 1, 20: None}),
            given("up", {0: None, 20: 1}, **NEW),
            *polled({**{m: stamp(m) for m in range(20)}, 20: None}),
            *polled({0: None, **{m: stamp(m) for m in range(20, 80)}}, **NEW),
        ),
        silent(BLIND, 30, 60, 75),
    ),
)

CASES = (*OF_OUTDATED, *OF_DOWN, *OF_GONE, *OF_BLIND)
