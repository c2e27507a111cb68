"""Alerts on what many collections have in common: one cause is one alert, however many collections it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules import texts
from rules.about_collections import shared_failing, shared_stale
from rules.model import Alert
from rules.records import FAILURE, STALE
from rules.texts import CAUSE, COUNT, MILVUS

if TYPE_CHECKING:
    from rules.parameters import Parameters

_SHOWN = "{{ with .Labels.database }}{{ . }}/{{ end }}{{ .Labels.collection }}"


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return _many_stale(p), _source_failing(p)


def _listed(p: Parameters, record: str) -> str:
    asked = texts.ask(p, "%s", record, "source_root", "failure_class")
    return texts.names(asked, _SHOWN, "collection", " Among them: ")


def _many_stale(p: Parameters) -> Alert:
    return Alert(
        name="MilvusExternalManyCollectionsStale",
        expr=shared_stale(p),
        severity="critical",
        summary=f"Many external collections of {MILVUS} serve data that is too old",
        description=(
            f"{COUNT} collections of {MILVUS} serve data that is older than promised."
            f"{{{{ if $labels.failure_class }}}} Their refreshes{CAUSE} fail.{{{{ else }}}} No failure is recorded "
            f"with them: look whether refreshes are still being started.{{{{ end }}}}{_listed(p, STALE)}"
            f"{texts.reason_of_one(p)}"
        ),
        why="The page for a whole bucket. Collections without a known failure have their schedule in common.",
        of_collection=False,
    )


def _source_failing(p: Parameters) -> Alert:
    return Alert(
        name="MilvusExternalRefreshSourceFailing",
        expr=shared_failing(p),
        severity="warning",
        summary=f"Refreshes of many external collections of {MILVUS} fail for one cause",
        description=(
            f"The latest refreshes of {COUNT} collections of {MILVUS}{CAUSE} have failed, and Milvus does not try "
            f"again by itself. Most likely it is one cause: a key, a bucket, a network.{_listed(p, FAILURE)}"
            f"{texts.reason_of_one(p)}"
        ),
        why="A rotated key makes every collection of a bucket fail: that is one thing to mend.",
        of_collection=False,
    )
