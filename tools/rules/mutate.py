"""Faults that are put into the rules one at a time. Each must be noticed by a case, or a rule is not really tested."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

Rule = dict[str, Any]
Edit = tuple[str, int, int, str]
"""What it is, from where to where in the expression, and what stands there instead."""

_TOKEN: Final = re.compile(
    r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|[A-Za-z_:][\w:]*|\d+(?:\.\d+)?|>=|<=|==|!=|[-+*/<>(),]', re.DOTALL
)
_TURNED: Final = {">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!="}
_EDGE: Final = {">": ">=", "<": "<=", ">=": ">", "<=": "<"}
_SETS: Final = {"unless": ("and", "or"), "and": ("unless", "or"), "or": ("and", "unless")}
_SWAPPED: Final = {
    "max": "min",
    "min": "max",
    "sum": "min",
    "max_over_time": "min_over_time",
    "last_over_time": "count_over_time",
    "avg_over_time": "max_over_time",
    "changes": "count_over_time",
    "increase": "max_over_time",
    "count": "sum",
    "clamp_min": "clamp_max",
    "+": "-",
    "-": "+",
}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SMALL: Final = 10
_READ_THROUGH: Final = ("[5m]", "[1h]")
_TOLD_APART_BY: Final = ("milvus", "collection", "instance", "source_root", "failure_class")
_ALWAYS_ONE: Final = "_info"
"""How the names of metrics end that are 1 or not there: their greatest and their least are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """A rule with one fault in it. Two are never equal."""

    name: str
    kind: str
    """What has the fault: the expression, the times, the labels or the texts."""
    fault: str
    rule: Rule


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Return every fault that can be put into a rule."""
    name = rule.get("alert") or rule["record"]
    for what, begin, end, instead in _edits(rule["expr"]):
        expr = rule["expr"][:begin] + instead + rule["expr"][end:]
        yield Mutant(name, "expression", f"{what} at {begin}", {**rule, "expr": expr})
    if "alert" in rule:
        for kind, faults in (("times", _of_times), ("labels", _of_labels), ("texts", _of_texts)):
            for what, changed in faults(rule):
                yield Mutant(name, kind, what, changed)


def _edits(expr: str) -> Iterator[Edit]:
    tokens = list(_TOKEN.finditer(expr))
    for place, token in enumerate(tokens):
        yield from _of_symbol(tokens, place)
        yield from _of_set_operator(tokens, place, len(expr))
        text, begin, end = token.group(), token.start(), token.end()
        if text in ("by", "on"):
            yield from _of_grouping(expr, end)
        if text[0].isdigit():
            factor = expr[end:].lstrip().startswith("*")
            yield from ((f"{text} made {moved}", begin, end, moved) for moved in _moved(text, factor=factor))
        if text == "bool" or text[0] == "{":
            yield f"{text} dropped", begin, end, ""
        # How far lost scrapes and absences are read through is one habit of all rules, and not each one's own promise.
        if text[0] == "[" and text not in _READ_THROUGH:
            yield from ((f"{text} made {other}", begin, end, other) for other in _windows(text))


def _of_symbol(tokens: list[re.Match[str]], place: int) -> Iterator[Edit]:
    text = tokens[place].group()
    for table, what in ((_TURNED, "turned"), (_EDGE, "edge moved"), (_SWAPPED, "swapped")):
        if text in table and not _makes_no_difference(tokens, place):
            yield f"{text} {what}", tokens[place].start(), tokens[place].end(), table[text]


def _of_set_operator(tokens: list[re.Match[str]], place: int, length: int) -> Iterator[Edit]:
    text, begin, end = tokens[place].group(), tokens[place].start(), tokens[place].end()
    if text not in _SETS:
        return
    yield from ((f"{text} made {instead}", begin, end, instead) for instead in _SETS[text])
    yield f"{text} and what follows dropped", begin, _right_end(tokens, place, length), ""
    if text == "or":
        end = _matching_end(tokens, place)
        yield "what stands before or dropped", _left_begin(tokens, place), end, ""


def _makes_no_difference(tokens: list[re.Match[str]], place: int) -> bool:
    """Whether a function is over an info metric, or an aggregation over a record, which has one value already."""
    if tokens[place].group() not in ("max", "min", "last_over_time"):
        return False
    metric = next((token.group() for token in tokens[place + 1 :] if "milvus_" in token.group()), "")
    return metric.endswith(_ALWAYS_ONE) or (
        metric.startswith("collection:") and tokens[place].group() != "last_over_time"
    )


def _moved(number: str, *, factor: bool) -> tuple[str, ...]:
    value = float(number)
    if value == 0:
        return ("1",) if factor else ("-1",)
    if "." in number or value > _SMALL:
        return (f"{value * 0.9:g}", f"{value * 1.1:g}")
    return (f"{value - 1:g}", f"{value + 1:g}")


def _windows(text: str) -> tuple[str, str]:
    seconds = int(text[1:-2]) * _SECONDS[text[-2]]
    return f"[{seconds // 2}s]", f"[{seconds * 2}s]"


def _of_grouping(expr: str, begin: int) -> Iterator[Edit]:
    """Lose a label of each kind: all of a kind come from one place, and are lost together or not at all."""
    end = expr.index(")", begin) + 1
    labels = expr[begin:end].strip(" ()").split(", ")
    for label in _TOLD_APART_BY:
        if label in labels:
            left = ", ".join(other for other in labels if other != label)
            yield f"{label} lost", begin, end, f" ({left})"


def _right_end(tokens: list[re.Match[str]], place: int, length: int) -> int:
    """Return where the operand after a set operator ends: at a set operator or a bracket of its own level."""
    depth = 0
    for token in tokens[place + 1 :]:
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if depth < 0 or (depth == 0 and token.group() in _SETS):
            return token.start()
    return length


def _matching_end(tokens: list[re.Match[str]], place: int) -> int:
    """Return where a set operator ends, with the labels that it matches on."""
    if place + 1 == len(tokens) or tokens[place + 1].group() != "on":
        return tokens[place].end()
    return next(token.end() for token in tokens[place:] if token.group() == ")")


def _left_begin(tokens: list[re.Match[str]], place: int) -> int:
    """Return where everything on the same level before a set operator begins."""
    depth = 0
    for token in reversed(tokens[:place]):
        depth += {")": 1, "(": -1}.get(token.group(), 0)
        if depth < 0:
            return token.end()
    return 0


def _of_times(rule: Rule) -> Iterator[tuple[str, Rule]]:
    for key in ("for", "keep_firing_for"):
        if key not in rule:
            yield f"{key} of a minute", {**rule, key: "1m"}
            continue
        minutes = int(rule[key][:-1]) * _SECONDS[rule[key][-1]] // 60
        yield f"{key} dropped", {other: value for other, value in rule.items() if other != key}
        for other in (minutes - 1, minutes + 1):
            yield f"{key} made {other}m", {**rule, key: f"{other}m"}


def _of_labels(rule: Rule) -> Iterator[tuple[str, Rule]]:
    for severity in {"info", "warning", "critical"} - {rule["labels"]["severity"]}:
        yield f"severity made {severity}", {**rule, "labels": {**rule["labels"], "severity": severity}}


def _of_texts(rule: Rule) -> Iterator[tuple[str, Rule]]:
    for key, text in rule["annotations"].items():
        yield f"{key} dropped", _with_text(rule, key, None)
        for found in re.finditer(r"printf `([^`]*)`((?: \$labels\.\w+)+)", text):
            expr, labels = found.group(1), found.group(2).split()
            for label in labels:
                short = label.removeprefix("$labels.")
                left = " ".join(other for other in labels if other != label)
                loose = re.sub(rf",?\b{short}=%q", "", expr).replace("{,", "{")
                changed = f"{text[: found.start()]}printf `{loose}` {left}{text[found.end() :]}"
                yield f"{short} not matched at {found.start()} of {key}", _with_text(rule, key, changed)


def _with_text(rule: Rule, key: str, text: str | None) -> Rule:
    changed = copy.deepcopy(rule)
    if text is None:
        del changed["annotations"][key]
    else:
        changed["annotations"][key] = text
    return changed
