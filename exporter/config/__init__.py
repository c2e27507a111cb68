"""Strict configuration: flags, environment and a YAML file in, frozen settings out, or every fault at once."""

from exporter.config.connection import Credentials, Milvus, SecretSource, Tls
from exporter.config.effective import effective
from exporter.config.load import load
from exporter.config.settings import (
    Config,
    Filter,
    Filters,
    Freshness,
    Inventory,
    Labels,
    Limits,
    Log,
    Override,
    Poll,
    Server,
    Settings,
    State,
    Web,
)
from exporter.config.shard import Shard
from exporter.config.sources import add_flags
from exporter.config.uri import MilvusAddress
from exporter.config.values import ListenAddress

__all__ = [
    "Config",
    "Credentials",
    "Filter",
    "Filters",
    "Freshness",
    "Inventory",
    "Labels",
    "Limits",
    "ListenAddress",
    "Log",
    "Milvus",
    "MilvusAddress",
    "Override",
    "Poll",
    "SecretSource",
    "Server",
    "Settings",
    "Shard",
    "State",
    "Tls",
    "Web",
    "add_flags",
    "effective",
    "load",
]
