"""What the formats demand of an exposition, read line by line: stricter than the parsers, which forgive much."""

from __future__ import annotations

import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import Format

SAMPLE = re.compile(
    r'(?P<name>[a-z_]+)(?P<labels>\{(?:[a-z_]+="(?:\\[\\n"]|[^\\"\n])*"(?:,(?=[a-z])|(?=\})))+\})?'
    r" (?P<value>-?[0-9.]+(?:e[+-][0-9]+)?|[+-]Inf|NaN)(?P<exemplar> # .*)?"
)
SUFFIXES = {
    "gauge": ("",),
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
    "unknown": ("",),
}

Sample = tuple[str, tuple[tuple[str, str], ...], float]


def check_grammar(text: str, format_: Format) -> None:
    """Fail where a family is torn apart or headless, a series doubled, or the end mark is wrong."""
    assert text.endswith("\n")
    lines = text.split("\n")[:-1]
    if format_.openmetrics:
        assert lines.pop() == "# EOF"
    families: list[str] = []
    series: list[str] = []
    allowed: tuple[str, ...] = ()
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            families.append(line.split(" ")[2])
            assert lines[number + 1].startswith(f"# TYPE {families[-1]} "), f"HELP without TYPE: {line}"
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert lines[number - 1].startswith(f"# HELP {name} "), f"TYPE without HELP: {line}"
            assert not lines[number + 1 : number + 2] or SAMPLE.fullmatch(lines[number + 1]), f"no sample: {line}"
            stem = name if format_.openmetrics else name.removesuffix("_total") if kind == "counter" else name
            allowed = tuple(stem + suffix for suffix in SUFFIXES[kind])
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, f"no sample: {line!r}"
            assert sample["name"] in allowed, f"{line!r} stands under the head of {families[-1]}"
            assert format_.openmetrics or not sample["exemplar"], line
            series.append(f"{sample['name']}{sample['labels']}")
    assert len(set(families)) == len(families), "a family comes twice"
    assert len(set(series)) == len(series), "a series comes twice"
    assert not [each for each in series if each.partition("{")[0].endswith("_created")]


def samples(text: str, format_: Format) -> list[Sample]:
    """Return what prometheus_client's own parser reads."""
    parse = parse_openmetrics if format_.openmetrics else parse_text
    return [
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in parse(text)
        for sample in family.samples
    ]
