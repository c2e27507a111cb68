"""Unit tests of the rules, written in Python and run by promtool: what is given, minute by minute, and what follows.

A case is one promise and its name says so. Minutes count from the epoch, so a stamp of minute 40 is 2400.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from exporter.metrics import contract
from exporter.metrics.contract import Metric

Value = float | None
Values = float | str | Mapping[int, Value]
"""One value for all time, promtool's own notation, or what holds from which minute on (None: the series is gone)."""

RUNBOOKS: Final = "https://example.com/milvus-refresh-exporter/docs/runbooks"
GRAFANA: Final = "http://localhost:3000/d"
TARGET: Final = {"job": "milvus-refresh", "instance": "a:19540", "pod": "exporter-0"}
PLACE: Final = {"database": "lake", "collection": "orders"}
SOURCE: Final = "s3://lake/orders"
ROOT: Final = "s3://lake"
_OF_TARGET: Final = ("cluster", "namespace", "job", "milvus", "instance", "pod")


@dataclass(frozen=True, slots=True)
class Series:
    """An input series."""

    name: str
    labels: Mapping[str, str]
    values: Values


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert as it must arrive: labels beside job, severity and the alert's name, and texts."""

    severity: str
    summary: str
    description: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Texts:
    """All alerts of one name that fire at a minute, with every label and annotation; none for silence."""

    alert: str
    minute: int
    fired: tuple[Fired, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What an expression gives at a minute: labels and value of each sample."""

    expr: str
    minute: int
    samples: tuple[tuple[Mapping[str, str], float], ...]
    about: str


@dataclass(frozen=True, slots=True)
class Case:
    """One promise. ``step`` is the time between evaluations, in minutes."""

    name: str
    given: tuple[Series, ...]
    then: tuple[Texts | Result, ...]
    step: int = 1

    @property
    def about(self) -> frozenset[str]:
        """The rules it speaks of."""
        return frozenset(check.alert if isinstance(check, Texts) else check.about for check in self.then)

    @property
    def cost(self) -> float:
        """How long it takes, in no unit."""
        return len(self.given) * max(check.minute for check in self.then) / self.step

    def as_mapping(self, mark: str = "") -> dict[str, Any]:
        """Return it as promtool reads it. ``mark`` is in whatever promtool says of it."""
        end = max(check.minute for check in self.then) + self.step
        series = [
            {"series": _selector(one.name, one.labels), "values": _values(one.values, end, self.step)}
            for one in (*self.given, *_usual(self.given))
        ]
        texts = [_as_alert_test(check) for check in self.then if isinstance(check, Texts)]
        results = [_as_expression_test(check, mark or self.name) for check in self.then if isinstance(check, Result)]
        return {
            "name": mark or self.name,
            "interval": f"{self.step}m",
            "input_series": series,
            **({"alert_rule_test": texts} if texts else {}),
            **({"promql_expr_test": results} if results else {}),
        }


def given(metric: Metric | str, values: Values, **labels: str) -> Series:
    """Return a series with the labels that it has in life, as far as they are not given."""
    if isinstance(metric, str):
        return Series(metric, {**TARGET, **labels}, values)
    usual = {**PLACE, "source": SOURCE, "source_root": ROOT}
    own = {label: usual[label] for label in metric.labels if label in usual}
    return Series(metric.name, {**TARGET, **own, **labels}, values)


def decoys(metric: Metric, value: float = 9, minute: int | None = None, **labels: str) -> tuple[Series, ...]:
    """Return series of others, each different in one label: a text that quoted one of them would be wrong."""
    others = {
        "cluster": "other",
        "job": "other",
        "namespace": "other",
        "milvus": "other",
        "database": "other",
        "collection": "other",
    }
    values: Values = value if minute is None else {0: None, minute: value, minute + 1: None}
    shown = {label: "decoy" for label in ("job_id", "failure_class", "reason") if label in metric.labels}
    return tuple(
        given(metric, values, **{**shown, **labels, label: other})
        for label, other in others.items()
        if label not in PLACE or label in metric.labels
    )


def fires(alert: str, minute: int, *fired: Fired) -> Texts:
    """Say that exactly these fire, with exactly these texts."""
    return Texts(alert, minute, fired)


def silent(alert: str, *minutes: int) -> tuple[Texts, ...]:
    """Say that it does not fire at any of these minutes."""
    return tuple(Texts(alert, minute) for minute in minutes)


def firing(alert: str, *minutes: int, count: int = 1) -> tuple[Result, ...]:
    """Say that so many alerts of this name fire at each of these minutes, whatever their texts."""
    expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return tuple(Result(expr, minute, (({}, count),), alert) for minute in minutes)


def result(record: str, minute: int, *samples: tuple[Mapping[str, str], float]) -> Result:
    """Say what a record is at a minute: labels beside its name, and value, of each sample."""
    named = tuple(({"__name__": record, **labels}, value) for labels, value in samples)
    return Result(record, minute, named, record)


def of_collection(severity: str, summary: str, description: str, **labels: str) -> Fired:
    """Return an alert on a collection."""
    return Fired(severity, summary, description, {"job": TARGET["job"], **PLACE, **labels})


def of_exporter(severity: str, summary: str, description: str, **labels: str) -> Fired:
    """Return an alert on the exporter."""
    return Fired(severity, summary, description, {"job": TARGET["job"], **labels})


def stamp(minute: int) -> int:
    """Return a minute in epoch seconds."""
    return 60 * minute


def _usual(told: tuple[Series, ...]) -> Iterator[Series]:
    """Yield what every target shows besides: a good poll, and a snapshot that is not stale, if not told otherwise."""
    targets = {_target_of(one): None for one in told if _shown(one)}
    for labels in targets:
        for metric, value in ((contract.LAST_POLL_SUCCESS, 1), (contract.STALE, 0)):
            if not any(one.name == metric.name and labels == _target_of(one) for one in told):
                yield Series(metric.name, {label: text for label, text in labels if text}, value)


def _shown(one: Series) -> bool:
    return one.name.startswith(contract.PREFIX)


def _target_of(one: Series) -> tuple[tuple[str, str], ...]:
    return tuple((label, one.labels.get(label, "")) for label in _OF_TARGET)


def _selector(name: str, labels: Mapping[str, str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in labels.values())
    inside = ", ".join(f'{label}="{value}"' for label, value in zip(labels, quoted, strict=True))
    return f"{name}{{{inside}}}"


def _values(values: Values, end: int, step: int) -> str:
    """Return promtool's notation; a series that goes leaves a staleness marker, as after a scrape without it."""
    if isinstance(values, str):
        return values
    timeline = values if isinstance(values, Mapping) else {0: values}
    starts = sorted(minute for minute in timeline if minute <= end)
    parts = []
    for start, until in zip(starts, [*starts[1:], end + step], strict=True):
        count, value = (until - start) // step, timeline[start]
        if value is not None:
            parts.append(f"{value!r}x{count - 1}")
        elif start == starts[0]:
            parts.append(f"_x{count}")
        else:
            parts += ["stale", *([f"_x{count - 1}"] if count > 1 else [])]
    return " ".join(parts)


def _as_alert_test(check: Texts) -> dict[str, Any]:
    expected = [
        {
            "exp_labels": {"severity": one.severity, **{k: v for k, v in one.labels.items() if v}},
            "exp_annotations": {
                "summary": one.summary,
                "description": one.description,
                "runbook_url": f"{RUNBOOKS}/{check.alert}.md",
                "dashboard_url": _dashboard(one.labels),
            },
        }
        for one in check.fired
    ]
    return {"eval_time": f"{check.minute}m", "alertname": check.alert, "exp_alerts": expected}


def _dashboard(labels: Mapping[str, str]) -> str:
    milvus = f"var-milvus={quote_plus(labels['milvus'])}" if "milvus" in labels else ""
    if "collection" not in labels:
        return f"{GRAFANA}/milvus-refresh-list" + (f"?{milvus}" if milvus else "")
    place = f"var-database={quote_plus(labels.get('database', ''))}&var-collection={quote_plus(labels['collection'])}"
    return f"{GRAFANA}/milvus-refresh-collection?{place}" + (f"&{milvus}" if milvus else "")


def _as_expression_test(check: Result, name: str) -> dict[str, Any]:
    # promtool tells the name of a failed alert test alone, but shows an expression with its comment.
    samples = []
    for labels, value in check.samples:
        others = {label: text for label, text in labels.items() if label != "__name__"}
        samples.append({"labels": _selector(labels.get("__name__", ""), others), "value": value})
    return {"expr": f"{check.expr} # {name}", "eval_time": f"{check.minute}m", "exp_samples": samples}
