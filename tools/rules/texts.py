"""Pieces of annotations. The language is Go's text/template with Prometheus's functions of version 2.42.

A value that changes while the alert fires, the reason above all, belongs here and not into labels: a label is identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters

PLACE: Final = ("database", "collection")
COLLECTION: Final = "{{ with $labels.database }}{{ . }}/{{ end }}{{ $labels.collection }}"
ON_MILVUS: Final = "{{ with $labels.milvus }} on Milvus {{ . }}{{ end }}"
MILVUS: Final = "Milvus{{ with $labels.milvus }} {{ . }}{{ end }}"
WHICH: Final = COLLECTION + ON_MILVUS
FOR_HOW_LONG: Final = "{{ $value | humanizeDuration }}"
WHEN: Final = "{{ $value | humanizeTimestamp }}"
COUNT: Final = '{{ printf "%.0f" $value }}'
NOT_KNOWN: Final = "Reason not known; see the exporter's page."


def ask(p: Parameters, expression: str, metric: Metric, *, matchers: str = "", of_collection: bool = True) -> str:
    """Return a template pipeline that runs a query at rendering time.

    ``expression`` holds ``%s`` where the metric goes, selected by the alert's own target labels and, unless
    ``of_collection`` is off, by those of its database and collection that the metric has.
    """
    labels = (*p.target_labels, *(label for label in PLACE if of_collection and label in metric.labels))
    same = ",".join([*([matchers] if matchers else []), *(f"{label}=%q" for label in labels)])
    arguments = " ".join(f"$labels.{label}" for label in labels)
    return f"printf `{expression % f'{metric.name}{{{same}}}'}` {arguments} | query"


def reason(p: Parameters, metric: Metric, *, unstated: str = "Reason not known", missing: str = NOT_KNOWN) -> str:
    """Return sentences with source, class, reason and job id from an info metric.

    ``unstated`` begins the sentence for a job without a reason, ``missing`` is the whole one for no job at all.
    """
    return (
        "{{ $source := `` }}{{ $class := `` }}{{ $reason := `` }}{{ $id := `` }}"
        f"{{{{ with {ask(p, 'topk(1, %s)', metric)} }}}}{{{{ with first . }}}}"
        "{{ $source = label `source` . }}{{ $class = label `failure_class` . }}"
        "{{ $reason = label `reason` . }}{{ $id = label `job_id` . }}"
        "{{ end }}{{ end }}"
        "{{ with $source }} Source: {{ . }}.{{ end }}{{ with $class }} Class: {{ . }}.{{ end }}"
        "{{ if $reason }} Reason: {{ $reason }} (job {{ $id }})."
        f"{{{{ else if $id }}}} {unstated} (job {{{{ $id }}}}).{{{{ else }}}} {missing}{{{{ end }}}}"
    )


def number(p: Parameters, before: str, metric: Metric, form: str, after: str) -> str:
    """Return ``before``, a value formatted by ``form`` and ``after``; nothing at all where there is no value."""
    return f"{{{{ with {ask(p, 'max(%s)', metric)} }}}}{before}{{{{ . | first | value | {form} }}}}{after}{{{{ end }}}}"


def names(pipeline: str, shown: str, by: str, before: str, after: str = ".") -> str:
    """Return ``before``, the results of a pipeline joined by commas (each as ``shown``, at most ten) and ``after``."""
    return (
        f"{{{{ with {pipeline} }}}}{before}"
        f"{{{{ range $i, $one := sortByLabel `{by}` . }}}}{{{{ if lt $i 10 }}}}"
        f"{{{{ if $i }}}}, {{{{ end }}}}{shown}"
        f"{{{{ else if eq $i 10 }}}} and more{{{{ end }}}}{{{{ end }}}}{after}{{{{ end }}}}"
    )
