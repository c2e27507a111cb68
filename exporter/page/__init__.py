"""The job page and the JSON API: what polls have published, for people and for their programs."""

from exporter.page.entry import pages
from exporter.page.source import Listed, Past, Source

__all__ = ["Listed", "Past", "Source", "pages"]
