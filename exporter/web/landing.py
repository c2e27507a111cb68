"""The page at ``/``: what a person wants to know first, as plain HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final

from exporter.web.reply import CONTENT_SECURITY_POLICY, POLICY, Reply

_SHOWN: Final = 20
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.3rem}h2{font-size:1.1rem;margin-top:1.5rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;
border-bottom:1px solid #8886}.number{text-align:right}.bad{border-left:.4rem solid #c22;padding-left:.6rem}
.good{border-left:.4rem solid #282;padding-left:.6rem}
@media(max-width:40rem){.wide thead{display:none}.wide td{display:block;border:0;padding:0}
.wide tr{display:block;border-bottom:1px solid #8886;padding:.5rem 0}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_POLICY: Final = f"{POLICY}; style-src 'sha256-{_STYLE_HASH}'"


@dataclass(frozen=True, slots=True)
class FailingCollection:
    """A collection whose newest job has failed. ``reason`` is the safe reason."""

    database: str
    collection: str
    failure_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class LandingFacts:
    """What the page shows."""

    version: str
    last_poll_ok: bool | None
    """None until the first poll has finished."""
    last_poll_kind: str
    """The kind of the last poll's failure, "" where it was good."""
    data_age: float | None
    """Seconds since the last good poll; None where there is none."""
    jobs: tuple[tuple[str, int], ...]
    """State and number of jobs listed, in the order to show."""
    failing: tuple[FailingCollection, ...]
    """The first 20 are shown, the rest counted."""
    links: tuple[tuple[str, str], ...]
    """Text and address."""


def landing_page(facts: LandingFacts) -> Reply:
    """Return the page. Every text is escaped, whoever it came from."""
    body = "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Milvus refresh exporter</title><style>{_STYLE}</style></head><body>",
            f"<h1>Milvus refresh exporter {escape(facts.version)}</h1>",
            _banner(facts),
            _jobs(facts.jobs),
            _failing(facts.failing),
            _links(facts.links),
            "</body></html>\n",
        )
    )
    return Reply(
        200, "text/html; charset=utf-8", (body.encode("utf-8", "replace"),), ((CONTENT_SECURITY_POLICY, _PAGE_POLICY),)
    )


def _banner(facts: LandingFacts) -> str:
    age = "No data yet." if facts.data_age is None else f"Data is {_duration(facts.data_age)} old."
    if facts.last_poll_ok is None:
        return f'<p role="status">The first poll has not finished. {age}</p>'
    if facts.last_poll_ok:
        return f'<p role="status" class="good">The last poll was good. {age}</p>'
    kind = escape(facts.last_poll_kind or "unknown")
    return f'<p role="status" class="bad">The last poll failed: {kind}. {age}</p>'


def _jobs(jobs: tuple[tuple[str, int], ...]) -> str:
    if not jobs:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(state)}</th><td class="number">{count}</td></tr>' for state, count in jobs
    )
    return f"<h2>Jobs that Milvus lists</h2><table>{rows}</table>"


def _failing(failing: tuple[FailingCollection, ...]) -> str:
    if not failing:
        return "<h2>Collections that fail</h2><p>None.</p>"
    head = _row("th", ("Database", "Collection", "Class", "Reason"))
    rows = "".join(
        _row("td", (entry.database, entry.collection, entry.failure_class, entry.reason)) for entry in failing[:_SHOWN]
    )
    more = len(failing) - _SHOWN
    rest = f"<p>And {more} more, see the metrics.</p>" if more > 0 else ""
    table = f'<table class="wide"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f"<h2>Collections that fail</h2>{table}{rest}"


def _links(links: tuple[tuple[str, str], ...]) -> str:
    if not links:
        return ""
    items = "".join(f'<li><a href="{escape(address)}">{escape(text)}</a></li>' for text, address in links)
    return f"<h2>More</h2><ul>{items}</ul>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _duration(seconds: float) -> str:
    """Return a length of time the way people say it, in one unit."""
    if seconds < 2 * _MINUTE:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"
