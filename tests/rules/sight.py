"""The alerts on our own sight: outdated data, rejected credentials, no exporter."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, Values, fires, firing, given, of_exporter, silent, stamp
from situations import named

from exporter.metrics import contract

OUTDATED = "MilvusExternalRefreshDataOutdated"
REJECTED = "MilvusExternalRefreshCredentialsRejected"
DOWN = "MilvusExternalRefreshExporterDown"
NEW = {"instance": "b:19540", "pod": "exporter-1"}


def polled(success: Values, interval: int = 30, **labels: str) -> tuple[Series, ...]:
    return (given(contract.LAST_POLL_SUCCESS, success, **labels), given(contract.INTERVAL, interval, **labels))


def errors(values: str, kind: str = "unauthenticated", **labels: str) -> Series:
    return given(contract.POLL_ERRORS, values, kind=kind, **labels)


def outdated(since: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"The refresh jobs of {name} are not watched: the exporter's data is outdated",
        f"{since}: {name} is down, does not answer or refuses the exporter. Running jobs are not watched, and what is "
        f"shown of failures and ages is as of then.",
        **labels,
    )


def rejected(kinds: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"{name} rejects the exporter's credentials",
        f"No poll succeeds because {name} rejects the exporter{kinds}: refresh jobs are not watched. Check the token "
        f"or user and password, and the privileges of that user.",
        **labels,
    )


def down(milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"The exporter of {name} is down",
        f"Prometheus cannot scrape the exporter of {name} (job milvus-refresh): its refresh jobs are not watched, and "
        f"no other alert on them can fire.",
        **labels,
    )


EACH_MINUTE = {minute: stamp(minute) for minute in range(21)}

OF_OUTDATED = (
    Case(
        "an outage: fires fifteen minutes after the last good poll, ten and five, and ends with the next one",
        polled({**EACH_MINUTE, 50: stamp(50)}),
        (
            *silent(OUTDATED, 30, 35),
            fires(OUTDATED, 36, outdated("The last good poll was 16m 0s ago")),
            *firing(OUTDATED, 49),
            *silent(OUTDATED, 50),
        ),
    ),
    Case(
        "an exporter that has never polled well fires after five minutes and does not speak of 1970",
        polled(0, milvus="east"),
        (
            *silent(OUTDATED, 4),
            fires(OUTDATED, 5, outdated("No poll has been good since the exporter started", "east")),
            fires(OUTDATED, 30, outdated("No poll has been good since the exporter started", "east")),
        ),
    ),
    Case(
        "a restart in the outage goes on as the same alert",
        polled({0: stamp(1), 40: None, 41: 0}),
        firing(OUTDATED, 39, 46),
    ),
    Case(
        "slow polls have three intervals",
        (*polled(EACH_MINUTE, interval=300, milvus="east"), *polled(EACH_MINUTE, interval=60, milvus="west")),
        (
            *silent(OUTDATED, 35),
            fires(OUTDATED, 40, outdated("The last good poll was 20m 0s ago", "west")),
            fires(
                OUTDATED,
                41,
                outdated("The last good poll was 21m 0s ago", "east"),
                outdated("The last good poll was 21m 0s ago", "west"),
            ),
        ),
    ),
    Case(
        "of two replicas the one that sees counts, and the longer interval",
        (
            *polled(EACH_MINUTE),
            *polled(60, interval=300, **NEW),
        ),
        (*silent(OUTDATED, 40), *firing(OUTDATED, 41)),
    ),
    Case(
        "a replica that has just started does not make the other one blind",
        (*polled(3600), *polled(0, 30, **NEW)),
        silent(OUTDATED, 30),
    ),
    Case("a clock that is ahead is no outage", polled(stamp(600)), silent(OUTDATED, 60)),
)

OF_REJECTED = (
    Case(
        "fires five minutes after Milvus begins to refuse, and says how it refuses",
        (
            given(contract.UP, 0),
            errors("0x10 1+2x60"),
            errors("0x10 1+2x60", "permission_denied"),
            errors("0x80", "unreachable"),
            *(
                given(contract.POLL_ERRORS, "0x14 1x2 2x90", kind=kind, **{label: "other"})
                for kind, label in (("permission_denied", "job"), ("tls", "namespace"), ("internal", "milvus"))
            ),
        ),
        (*silent(REJECTED, 15), fires(REJECTED, 16, rejected(" (permission_denied, unauthenticated)"))),
    ),
    Case(
        "the kinds of another exporter are not told",
        (
            given(contract.UP, 0),
            errors("0x10 1+2x60"),
            *(
                errors("0x10 1+2x60", "permission_denied", **{label: "other"})
                for label in ("job", "namespace", "milvus")
            ),
        ),
        (fires(REJECTED, 16, rejected(" (unauthenticated)")),),
    ),
    Case(
        "silent while polls succeed, in one replica at least, and for other errors",
        (
            given(contract.UP, 1, milvus="good"),
            errors("0+2x60", milvus="good"),
            given(contract.UP, 0, milvus="half"),
            errors("0+2x60", milvus="half"),
            given(contract.UP, 1, milvus="half", **NEW),
            given(contract.UP, 0, milvus="gone"),
            errors("0+2x60", "unreachable", milvus="gone"),
        ),
        silent(REJECTED, 30),
    ),
    Case(
        "refused polls are remembered for ten minutes, so that rare polls do not make it flap",
        (given(contract.UP, 0, milvus="east"), errors("0x10 1+1x20 21x60", milvus="east")),
        (
            fires(REJECTED, 20, rejected(" (unauthenticated)", "east")),
            *firing(REJECTED, 38),
            *silent(REJECTED, 41),
        ),
    ),
    Case(
        "one replica that is refused is enough where the other cannot even connect",
        (given(contract.UP, 0), errors("0+2x60"), given(contract.UP, 0, **NEW), errors("0x60", **NEW)),
        firing(REJECTED, 10),
    ),
    Case(
        "a poll that succeeds ends it",
        (given(contract.UP, {0: 0, 30: 1}), errors("0+2x60")),
        (*firing(REJECTED, 29), *silent(REJECTED, 30)),
    ),
)

OF_DOWN = (
    Case(
        "fires five minutes after the last replica goes, and through its removal from service discovery",
        (given("up", {0: 1, 10: 0, 30: None}), given("up", {0: 1, 5: 0, 30: None}, **NEW)),
        (*silent(DOWN, 14), fires(DOWN, 15, down()), fires(DOWN, 29, down()), *firing(DOWN, 30, 31, 36, 60)),
    ),
    Case(
        "fires where there has never been a target, and ends five minutes after there is one",
        (given("up", {0: None, 30: 1}), given("up", 1, job="another")),
        (*silent(DOWN, 4), fires(DOWN, 5, down()), *firing(DOWN, 29, 34), *silent(DOWN, 35)),
    ),
    Case(
        "a target with more labels hands over without a gap when it is removed",
        (given("up", {0: 1, 10: 0, 30: None}, milvus="east"),),
        (
            fires(DOWN, 29, down("east")),
            *firing(DOWN, 30, 34),
            *firing(DOWN, 35, 60),
        ),
    ),
    Case("one replica of two is enough", (given("up", 0), given("up", 1, **NEW)), silent(DOWN, 30)),
    Case("another job that is down is not ours", (given("up", 1), given("up", 0, job="another")), silent(DOWN, 30)),
)

CASES = (*OF_OUTDATED, *OF_REJECTED, *OF_DOWN)
