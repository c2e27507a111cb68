"""From a publication to exposition bytes."""

from exporter.metrics.contract import CONTRACT, Metric, Part
from exporter.metrics.exposition import Body, Exposition
from exporter.metrics.own import Account, ProcessAccount
from exporter.metrics.process import ProcessExposition
from exporter.metrics.text import Format

__all__ = [
    "CONTRACT",
    "Account",
    "Body",
    "Exposition",
    "Format",
    "Metric",
    "Part",
    "ProcessAccount",
    "ProcessExposition",
]
