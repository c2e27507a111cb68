"""The rules as the Helm chart and the mixin take them: one JSON document that both fill in.

It holds what may be set, with its default and what it must be, and all groups with ``$(...)`` where a value goes. The
two programs that fill it in are ``templates/_rules.tpl`` of the chart and ``mixin.libsonnet``.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import re
from typing import Any, Final

from rules import alerts, groups, parameters
from rules.model import Alert, duration
from rules.parameters import Parameters
from rules.promql import PLACE
from rules.records import CAUSE
from rules.rendering import rule_mapping
from rules.symbols import Symbol

_TEXTS: Final = ("jobs", "runbooks", "grafana")
_FIXED: Final = frozenset({"identity", "replica", "list_dashboard", "collection_dashboard"})
"""Labels shape expressions and not only fill them, and dashboards are shipped under their names: for those there is
``tools/generate_rules.py --set``."""
_PLAIN: Final = frozenset(
    {
        "failures_in_a_row",
        "shared_from",
        "slow_factor",
        "missed_polls",
        "unreliable_failures",
        "unreliable_successes",
        "index_wait_from",
        "unreliable_ratio",
        "scrapes_good",
    }
)
"""Counts and ratios; everything else is a time."""
_LONGER: Final = {"baseline_lasts": "history_interval", "baseline": "baseline_interval"}
"""What must be longer than what: a value that is looked up less often than it lasts would come and go."""
_SHORTER: Final = {"collections_interval": "5m"}
"""What must be shorter: Prometheus looks back five minutes for a value, and what comes less often comes and goes."""
_INSTEAD: Final = {
    "MilvusExternalManyCollectionsStale": "shared_from",
    "MilvusExternalRefreshSourceFailing": "shared_from",
    "MilvusExternalRefreshUnreliable": "unreliable_failures",
}
"""Alerts for whose sake others are silent. Switched off they would leave nobody to tell: the threshold is to be raised
instead, which gives the others their voice back."""


_TAKEN: Final = ("alertname", "severity", "instance", *PLACE, *CAUSE)
"""Labels of alerts beside those that identify a Milvus: no others may be put in their place."""


def camel(name: str) -> str:
    """Return a name as the chart and the mixin spell it."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def thresholds() -> dict[str, dict[str, Any]]:
    """Return every threshold by its Python name: its default, its kind and what is said of it."""
    said, defaults = _said(), Parameters()
    found: dict[str, dict[str, Any]] = {}
    for field in dataclasses.fields(Parameters):
        name, value = field.name, getattr(defaults, field.name)
        if name in (*_TEXTS, *_FIXED) or name.endswith(("_for", "_keep")):
            continue  # how long an alert waits and stays is set with the alert
        kind = "duration" if name not in _PLAIN else "ratio" if isinstance(value, float) else "count"
        default = duration(value) if kind == "duration" else value
        found[name] = {"default": default, "kind": kind, "about": said.get(name, "")}
    return found


def opened() -> dict[str, Any]:
    """Return the document."""
    symbols: dict[str, Any] = {name: Symbol(camel(name)) for name in thresholds()}
    texts = {name: f"$({name})" for name in _TEXTS}
    p = dataclasses.replace(Parameters(), **symbols, **texts)
    made = [
        {
            "name": group.name,
            **({"interval": duration(group.interval)} if group.interval else {}),
            "rules": [rule_mapping(rule, p) for rule in group.rules],
        }
        for group in groups(p)
    ]
    return {
        "thresholds": {
            camel(name): {key: each[key] for key in ("default", "kind")} for name, each in thresholds().items()
        },
        "longer": {camel(name): camel(than) for name, than in _LONGER.items()},
        "shorter": {camel(name): than for name, than in _SHORTER.items()},
        "instead": {alert: camel(name) for alert, name in _INSTEAD.items()},
        "identity": [*p.identity, *_TAKEN],
        "tokens": sorted(set(re.findall(r"\$\([\w+]+(?::duration)?\)", json.dumps(made)))),
        "groups": made,
    }


def text() -> str:
    """Return the document as it is shipped."""
    return json.dumps(opened(), indent=2, ensure_ascii=False) + "\n"


def used_by() -> dict[str, list[str]]:
    """Return for each threshold, spelt as in the chart, the alerts in which it stands, also by way of a record.

    How often a group is evaluated stands in each of its rules.
    """
    made = opened()["groups"]
    rules = [rule for group in made for rule in group["rules"]]
    whole = {
        rule.get("record") or rule["alert"]: json.dumps([group.get("interval"), rule])
        for group in made
        for rule in group["rules"]
    }
    records = [rule["record"] for rule in rules if "record" in rule]
    reads = {name: {other for other in records if other in said and other != name} for name, said in whole.items()}

    def reached(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        below = {other for other in reads[name] if other not in seen}
        return {name}.union(*(reached(other, seen | below | {name}) for other in below))

    found = {}
    for name in map(camel, thresholds()):
        holds = {rule for rule, said in whole.items() if re.search(rf"\$\((\w+\+)?{name}[:+)]", said)}
        found[name] = [rule["alert"] for rule in rules if "alert" in rule and reached(rule["alert"]) & holds]
    return found


def every_alert() -> list[Alert]:
    """Return all alerts as they are shipped."""
    return [rule for group in alerts.groups(Parameters()) for rule in group.rules if isinstance(rule, Alert)]


def _said() -> dict[str, str]:
    """Return the text below each field of :class:`Parameters`."""
    (body,) = [node.body for node in ast.parse(inspect.getsource(parameters)).body if isinstance(node, ast.ClassDef)]
    said = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            said[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return said
