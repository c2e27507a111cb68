"""Templates to replies. Every text is escaped, whoever it came from; a name that a template misses is an error."""

from __future__ import annotations

import unicodedata
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

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, direction marks and zero-width characters, half surrogate pairs, line ends."""

Links = Sequence[tuple[str, str]]
"""Text and address of what the page links to besides."""


def html(template: str, status: int, links: Links, /, **context: Any) -> Reply:
    """Return a page made of a template of this package."""
    shown = {"home": "./", "targets": [], "refresh": 30} | context
    text = _environment().get_template(template).render(links=links, **shown)
    # A form's value with half a surrogate pair has no UTF-8; it must not cost the whole page.
    return Reply(status, "text/html; charset=utf-8", (text.encode("utf-8", "replace"),), HEADERS)


def seen(value: object) -> object:
    r"""Return a text with what cannot be seen written out, as ``\u202e``; anything else as it is.

    A name with a direction mark could pass for another one. Only what is shown changes: links and the values of forms
    (filter ``e`` in the templates) keep the name, which is what Milvus and we know the collection by.
    """
    if not isinstance(value, str) or hasattr(value, "__html__") or value.isprintable():
        return value
    return "".join(_escaped(char) if unicodedata.category(char) in _UNSEEN else char for char in value)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415  # many an exporter is never looked at by a person

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.page"),
        autoescape=True,
        finalize=seen,
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
