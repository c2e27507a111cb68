"""An exporter that Milvus refuses, that cannot read the inventory, or whose clock or Milvus's is wrong."""

from __future__ import annotations

from rules.cases import Case, Fired, Series, fires, firing, given, of_exporter, silent, stamp
from situations import collection, named

from exporter.metrics import contract

REJECTED = "MilvusExternalRefreshCredentialsRejected"
INVENTORY = "MilvusExternalRefreshInventoryOutdated"
CLOCK = "MilvusExternalRefreshClockWrong"
NEW = {"instance": "b:19540", "pod": "exporter-1"}


def errors(values: str, kind: str = "unauthenticated", **labels: str) -> Series:
    return given(contract.POLL_ERRORS, values, kind=kind, **labels)


def rejected(kinds: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "critical",
        f"{name} rejects the exporter's credentials",
        f"No poll succeeds because {name} rejects the exporter{kinds}: refresh jobs are not watched. Check the token "
        f"or user and password, and the privileges of that user.",
        **labels,
    )


def inventory(milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"The exporter cannot read which external collections {name} has",
        f"Reading the inventory of {name} fails: collections that are new or dropped are not known, and one that was "
        f"never refreshed raises no alert. Most often the exporter's user lacks a privilege.",
        **labels,
    )


def clock(how: str, milvus: str = "") -> Fired:
    name, labels = named(milvus)
    return of_exporter(
        "warning",
        f"The clocks of {name} and of Prometheus do not agree",
        f"A refresh of {name} has just ended, {how}: ages of data and run times are wrong by as much, and so are the "
        f"alerts on them. See to the clocks of Milvus, of the exporter and of Prometheus (NTP).",
        **labels,
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
                for kind, label in (
                    ("permission_denied", "job"),
                    ("tls", "namespace"),
                    ("internal", "milvus"),
                    ("deadline", "cluster"),
                )
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
                for label in ("cluster", "job", "namespace", "milvus")
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
        "refused polls are remembered for half an hour, so that rare polls do not make it flap",
        (given(contract.UP, 0, milvus="east"), errors("0x10 1x14 2x14 3x80", milvus="east")),
        (
            fires(REJECTED, 20, rejected(" (unauthenticated)", "east")),
            *firing(REJECTED, 38, 69),
            *silent(REJECTED, 72),
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

OF_INVENTORY = (
    Case(
        "an inventory that cannot be read is told within ten minutes, and ends when it can",
        (
            given(contract.INVENTORY_SUCCESS, {0: 0, 60: stamp(60)}),
            given(contract.INVENTORY_ERRORS, "0 1x4 2x4 3x4 4x60", kind="permission_denied"),
        ),
        (*silent(INVENTORY, 9), fires(INVENTORY, 16, inventory()), *firing(INVENTORY, 40), *silent(INVENTORY, 60)),
    ),
    Case(
        "one that is switched off has no errors",
        (given(contract.INVENTORY_SUCCESS, 0), given(contract.INVENTORY_ERRORS, 0, kind="permission_denied")),
        silent(INVENTORY, 20, 60),
    ),
    Case(
        "one error between good readings is none, and one of two replicas that can read is enough",
        (
            given(contract.INVENTORY_SUCCESS, "0+60x80"),
            given(contract.INVENTORY_ERRORS, "0x10 1x70", kind="deadline"),
            given(contract.INVENTORY_SUCCESS, 0, **NEW),
            given(contract.INVENTORY_ERRORS, "0+1x80", kind="deadline", **NEW),
        ),
        silent(INVENTORY, 20, 60),
    ),
    Case(
        "lost scrapes do not hide it",
        (
            given(contract.INVENTORY_SUCCESS, "0 stale " * 40),
            given(contract.INVENTORY_ERRORS, "0+1x80", kind="deadline"),
        ),
        firing(INVENTORY, *range(16, 60)),
    ),
)

POLLS = given(contract.LAST_POLL_SUCCESS, "0+60x400")
OF_CLOCK = (
    Case(
        "a refresh that ends in the future is told at once, and for two hours after its time has come",
        (POLLS, *collection({0: stamp(-30), 40: stamp(220)})),
        (
            *silent(CLOCK, 39),
            fires(CLOCK, 40, clock("in the future by the clock of Prometheus")),
            *firing(CLOCK, 209, 329),
            *silent(CLOCK, 331),
        ),
    ),
    Case(
        "ten minutes ahead may be",
        (POLLS, *collection({0: stamp(-30), 40: stamp(50)}, {0: stamp(-30), 40: stamp(50)})),
        silent(CLOCK, 40, 45),
    ),
    Case(
        "a failure that ended hours ago when it is first seen is told, for two hours",
        (POLLS, *collection({0: stamp(-600)}, {0: stamp(-700), 60: stamp(-120)})),
        (
            *silent(CLOCK, 59),
            fires(CLOCK, 60, clock("and 3h 0m 0s ago by its own clock")),
            *firing(CLOCK, 69, 188),
            *silent(CLOCK, 190),
        ),
    ),
    Case(
        "so is a success; half an hour may be",
        (
            POLLS,
            *collection({0: stamp(-700), 60: stamp(24)}),
            *collection({0: stamp(-700), 60: stamp(26)}, collection="late"),
        ),
        (fires(CLOCK, 60, clock("and 36m 0s ago by its own clock")),),
    ),
    Case(
        "one that ended while nobody looked is no wrong clock",
        (
            *collection({0: stamp(-700), 60: stamp(20)}),
            given(contract.LAST_POLL_SUCCESS, {0: stamp(5), 60: stamp(60)}),
        ),
        silent(CLOCK, 60, 65),
    ),
    Case(
        "an old success that is known from the start is not new",
        (POLLS, *collection({0: stamp(-700)}, {0: None, 60: stamp(-800)})),
        silent(CLOCK, 5, 60, 70),
    ),
)

CASES = (*OF_REJECTED, *OF_INVENTORY, *OF_CLOCK)
