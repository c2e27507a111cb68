"""Templates to replies. Every text is escaped, whoever it came from; a name that a template misses is an error."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from exporter import __version__
from exporter.page import words
from exporter.page.assets import assets
from exporter.web import Reply

if TYPE_CHECKING:
    import jinja2

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = (("content-security-policy", POLICY),)

Links = Sequence[tuple[str, str]]
"""Text and address of what the page links to besides."""


def html(template: str, status: int, links: Links, /, **context: Any) -> Reply:
    """Return a page made of a template of this package."""
    shown = {"home": "./", "targets": [], "refresh": 30} | context
    text = _environment().get_template(template).render(links=links, **shown)
    # A name with half a surrogate pair has no UTF-8; it must not cost the whole page.
    return Reply(status, "text/html; charset=utf-8", (text.encode("utf-8", "replace"),), HEADERS)


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415  # many an exporter is never looked at by a person

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(version=__version__, assets={use: asset.path for use, asset in assets().items()})
    environment.filters.update(
        duration=words.duration,
        limit=words.limit,
        iso=words.iso,
        stamp=words.stamp,
        count=words.count,
        thousands=lambda number: f"{number:,}",
        sentence=lambda text: text[:1].upper() + text[1:],
    )
    return environment
