"""Pieces of annotations. The language is Go's text/template with Prometheus's functions of version 2.42.

A value that changes while the alert fires, the reason above all, belongs here and not into labels: a label is identity.
What is looked up is a record of one series, not a join, as each text is made anew at each evaluation. Where a ruler has
no ``query`` (Grafana) or it finds nothing, a text says less, and never that there is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.promql import PLACE
from rules.records import AGE, FAILURE

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters

COLLECTION: Final = "{{ with $labels.database }}{{ . }}/{{ end }}{{ $labels.collection }}"
_AT: Final = "{{ with $labels.cluster }} in cluster {{ . }}{{ end }}"
ON_MILVUS: Final = "{{ with $labels.milvus }} on Milvus {{ . }}{{ end }}" + _AT
MILVUS: Final = "Milvus{{ with $labels.milvus }} {{ . }}{{ end }}" + _AT
WHICH: Final = COLLECTION + ON_MILVUS
CAUSE: Final = (
    "{{ with $labels.source_root }} from {{ . }}{{ end }}{{ with $labels.failure_class }} with {{ . }}{{ end }}"
)
FOR_HOW_LONG: Final = "{{ $value | humanizeDuration }}"
WHEN: Final = "{{ $value | humanizeTimestamp }}"
COUNT: Final = '{{ printf "%.0f" $value }}'
NOT_KNOWN: Final = "The reason is on the exporter's page."
_AT_MOST: Final = 10
_HARMLESS: Final = "reReplaceAll `[<>]` `|` | reReplaceAll `@` ` at `"
"""A chat takes ``<!channel>`` and ``@here`` for an order, whoever wrote the text that holds them."""


def ask(p: Parameters, expression: str, metric: Metric | str, *labels: str, matchers: str = "") -> str:
    """Return a template pipeline that runs a query at rendering time.

    ``expression`` holds ``%s`` where the metric goes, selected by the alert's own Milvus and further ``labels``.
    """
    name = metric if isinstance(metric, str) else metric.name
    every = (*p.identity, *labels)
    same = ",".join([*([matchers] if matchers else []), *(f"{label}=%q" for label in every)])
    arguments = " ".join(f"$labels.{label}" for label in every)
    return f"printf `{expression % f'{name}{{{same}}}'}` {arguments} | query"


def reason(p: Parameters, *, missing: str = NOT_KNOWN) -> str:
    """Return sentences with source, class, reason and job id of the latest failure; ``missing`` if none is found."""
    return _reason(ask(p, "%s", FAILURE, *PLACE), "Milvus states no reason", missing)


def job(p: Parameters, metric: Metric) -> str:
    """Return the same of the newest job, of one replica if there are two."""
    return _reason(ask(p, "topk(1, %s)", metric, *PLACE), "Milvus states no reason", "See the exporter's page.")


def reason_of_one(p: Parameters) -> str:
    """Return the reason of one of several collections that fail for the alert's cause."""
    asked = ask(p, "topk(1, %s)", FAILURE, "source_root", "failure_class")
    said = f"{{{{ label `reason` . | {_HARMLESS} }}}}"
    one = f" One reason: {said} (job {{{{ label `job_id` . }}}})."
    return f"{{{{ with {asked} }}}}{{{{ with first . }}}}{one}{{{{ end }}}}{{{{ end }}}}"


def _reason(pipeline: str, unstated: str, missing: str) -> str:
    return (
        "{{ $source := `` }}{{ $class := `` }}{{ $reason := `` }}{{ $id := `` }}"
        f"{{{{ with {pipeline} }}}}{{{{ with first . }}}}"
        f"{{{{ $source = label `source` . | {_HARMLESS} }}}}{{{{ $class = label `failure_class` . }}}}"
        f"{{{{ $reason = label `reason` . | {_HARMLESS} }}}}{{{{ $id = label `job_id` . }}}}"
        "{{ end }}{{ end }}"
        "{{ with $source }} Source: {{ . }}.{{ end }}{{ with $class }} Class: {{ . }}.{{ end }}"
        "{{ if $reason }} Reason: {{ $reason }} (job {{ $id }})."
        f"{{{{ else if $id }}}} {unstated} (job {{{{ $id }}}}).{{{{ else }}}} {missing}{{{{ end }}}}"
    )


def number(p: Parameters, before: str, metric: Metric | str, form: str, after: str, *labels: str) -> str:
    """Return ``before``, a value formatted by ``form`` and ``after``; nothing at all where there is no value."""
    asked = ask(p, "max(%s)", metric, *labels)
    return f"{{{{ with {asked} }}}}{before}{{{{ . | first | value | {form} }}}}{after}{{{{ end }}}}"


def age(p: Parameters) -> str:
    """Return a sentence on how old the data is: the one thing to know before getting up."""
    return number(p, " The data is ", AGE, "humanizeDuration", " old.", *PLACE)


def allowed(p: Parameters, max_age: Metric) -> str:
    """Return a sentence on how old the data may be."""
    return number(p, " Allowed: ", max_age, "humanizeDuration", ".", *PLACE)


def names(pipeline: str, shown: str, by: str, before: str, after: str = ".") -> str:
    """Return ``before``, the results of a pipeline joined by commas (each as ``shown``, at most ten) and ``after``."""
    return (
        f"{{{{ with {pipeline} }}}}{before}"
        f"{{{{ range $i, $one := sortByLabel `{by}` . }}}}{{{{ if lt $i {_AT_MOST} }}}}"
        f"{{{{ if $i }}}}, {{{{ end }}}}{shown}"
        f"{{{{ else if eq $i {_AT_MOST} }}}} and more{{{{ end }}}}{{{{ end }}}}{after}{{{{ end }}}}"
    )
