"""Faults that are put into the rules one at a time. Each must be noticed by a case, or a rule is not really tested."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
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
_IDENTITY: Final = ("milvus",)
"""Of the labels that identify a Milvus: a rule loses it in all lists at once, as a parameter makes them all."""
_TOLD_APART_BY: Final = ("collection", "instance", "source_root", "failure_class")
_ALWAYS_ONE: Final = "_info"
"""How the names of metrics end that are 1 or not there: their greatest and their least are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """Rules with one fault in them. Two are never equal."""

    kind: str
    """What has the fault: the expression, the times or the texts."""
    fault: str
    rules: dict[str, Rule]
    """Every rule that has the faulty piece, by name, with the fault in each place where the piece stands."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a fault can be put."""

    rule: str
    field: str
    begin: int
    end: int
    instead: str


def mutants(rules: Mapping[str, Rule]) -> Iterator[Mutant]:
    """Return every fault that can be put into rules.

    A piece that stands in several places was written once, as a function of ``tools/rules``: the fault goes into all of
    them. Labels and links of an alert have no faults here, nor has a text that is left out: a case names each of them.
    """
    pieces: dict[tuple[str, ...], list[_Place]] = {}
    for name, rule in rules.items():
        for what, begin, end, instead in _edits(rule["expr"]):
            key = ("expression", what, *_piece(rule["expr"], begin), instead, str(end - begin))
            pieces.setdefault(key, []).append(_Place(name, "expr", begin, end, instead))
        for label in _IDENTITY:
            for begin, end, left in _lists_without(rule["expr"], label):
                key = ("expression", f"{label} lost", name)
                pieces.setdefault(key, []).append(_Place(name, "expr", begin, end, left))
        for field, text in rule.get("annotations", {}).items():
            for what, begin, end, instead in _of_query(text):
                pieces.setdefault(("texts", what, text[begin:end]), []).append(_Place(name, field, begin, end, instead))
    for (kind, what, *piece), places in pieces.items():
        yield Mutant(kind, f"{what} in {' '.join(piece[:2])}", _with(rules, places))
    for name, rule in rules.items():
        if "alert" in rule:
            yield from (Mutant("times", f"{what} of {name}", {name: changed}) for what, changed in _of_times(rule))


def _with(rules: Mapping[str, Rule], places: Iterable[_Place]) -> dict[str, Rule]:
    made: dict[str, Rule] = {}
    for place in sorted(places, key=lambda one: one.begin, reverse=True):
        rule = made.setdefault(place.rule, copy.deepcopy(dict(rules[place.rule])))
        fields = rule if place.field == "expr" else rule["annotations"]
        fields[place.field] = fields[place.field][: place.begin] + place.instead + fields[place.field][place.end :]
    return made


def _piece(expr: str, position: int) -> tuple[str, str]:
    """Return what stands in the innermost brackets around a position, in one line, and which of its tokens this is."""
    depth, begin = 0, 0
    for token in reversed([token for token in _TOKEN.finditer(expr) if token.start() < position]):
        depth += {")": 1, "(": -1}.get(token.group(), 0)
        if depth < 0:
            begin = token.end()
            break
    depth, end = 0, len(expr)
    inside = 0
    for token in _TOKEN.finditer(expr, begin):
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if depth < 0:
            end = token.start()
            break
        inside += token.start() < position
    return " ".join(expr[begin:end].split()), f"at {inside}"


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


def _lists_without(expr: str, label: str) -> Iterator[tuple[int, int, str]]:
    for found in re.finditer(r"\b(?:by|on) \(([^)]*)\)", expr):
        left = [other for other in found.group(1).split(", ") if other != label]
        yield found.start(1), found.end(1), ", ".join(left)


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


def _of_query(text: str) -> Iterator[Edit]:
    for found in re.finditer(r"printf `([^`]*)`((?: \$labels\.\w+)+)", text):
        expr, labels = found.group(1), found.group(2).split()
        for label in labels:
            short = label.removeprefix("$labels.")
            left = " ".join(other for other in labels if other != label)
            loose = re.sub(rf",?\b{short}=%q", "", expr).replace("{,", "{")
            yield f"{short} not matched", found.start(), found.end(), f"printf `{loose}` {left}"
