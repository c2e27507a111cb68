"""Every setting: its place, type, default, meaning, and what must hold between neighbours.

The text here is also the command's help and docs/configuration.md. Values are resolved: what depends on another
setting by default (``poll.timeout``, ``poll.stale_after``) is a number once a :class:`Settings` exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, InstanceOf, PrivateAttr, ValidationInfo, field_validator, model_validator

from exporter.config import values as v
from exporter.config.base import Section, section, setting
from exporter.config.connection import Milvus
from exporter.config.shard import Shard
from exporter.config.targets import OF_ITS_OWN
from exporter.config.units import format_duration

DEFAULT_INTERVAL = 30.0


class Config(Section):
    """Where the other settings come from."""

    file: v.ConfigFile = setting(
        None, "YAML file with the settings below. It is not set in the file itself.", metavar="FILE"
    )


def _timeout(data: dict[str, Any]) -> float:
    return min(10.0, 0.9 * float(data.get("interval", DEFAULT_INTERVAL)))


def _stale_after(data: dict[str, Any]) -> float:
    return max(60.0, 3 * float(data.get("interval", DEFAULT_INTERVAL)))


class Poll(Section):
    """How often to ask Milvus, and how long an answer is good."""

    interval: v.Duration = setting("30s", "Time between two polls, at least 1s.", metavar="DURATION")
    timeout: v.Duration = setting(
        _timeout,
        "Time for one poll with all its calls; shorter than the interval.",
        metavar="DURATION",
        shown_default="10s, or 0.9 intervals where that is less",
    )
    stale_after: v.Duration = setting(
        _stale_after,
        "Age at which the last good listing is too old to be shown; not shorter than the interval.",
        metavar="DURATION",
        shown_default="3 intervals, at least 60s",
    )

    @field_validator("interval")
    @classmethod
    def _bearable(cls, interval: float) -> float:
        if interval < 1:
            raise ValueError("is shorter than 1s; Milvus logs every list call")
        return interval

    @field_validator("timeout")
    @classmethod
    def _shorter(cls, timeout: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval")
        if interval is not None and timeout >= interval:
            raise ValueError(f"is not shorter than poll.interval, {format_duration(interval)}")
        return timeout

    @field_validator("stale_after")
    @classmethod
    def _outlives_a_poll(cls, stale_after: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval")
        if interval is not None and stale_after < interval:
            raise ValueError(
                f"is shorter than poll.interval, {format_duration(interval)}; listings would go stale between polls"
            )
        return stale_after


class Inventory(Section):
    """Learning which collections exist. Which grants this needs: docs/milvus.md, "Privileges"."""

    enabled: v.Switch = setting("true", "Whether to look. Without it everything else works.", metavar="BOOL")
    interval: v.Duration = setting("5m", "Time between two looks, at least 1s.", metavar="DURATION")
    unseen_collections: v.UnseenCollections = setting(
        "dropped",
        "`dropped` or `hidden`: what to take a collection for that has jobs and is in no database that Milvus shows. "
        "Milvus does not tell. The jobs of a dropped one are listed and nothing else; those of one that grants hide "
        "are counted and alerted on, with an empty database.",
        metavar="WORD",
    )

    @field_validator("interval")
    @classmethod
    def _bearable(cls, interval: float) -> float:
        if interval < 1:
            raise ValueError("is shorter than 1s")
        return interval


class Filter(Section):
    """Names in and names out."""

    include: v.Patterns = setting((), "Show only what matches one of these.", metavar="REGEX", shown_default="all")
    exclude: v.Patterns = setting((), "Do not show what matches one of these.", metavar="REGEX", shown_default="none")

    def keeps(self, name: str) -> bool:
        """Whether a name passes both lists. Whole-name matches."""
        return (not self.include or any(p.matches(name) for p in self.include)) and not any(
            p.matches(name) for p in self.exclude
        )


class Filters(Section):
    """What to show: regular expressions (RE2) that must match the whole name. Exclusion wins."""

    databases: Filter = section(Filter, "By database. A database that is not known is never on an include list.")
    collections: Filter = section(Filter, "By collection.")

    @property
    def any(self) -> bool:
        """Whether there is a list at all."""
        both = (self.databases, self.collections)
        return any(each.include or each.exclude for each in both)

    def keeps(self, database: str, collection: str) -> bool:
        """Whether the lists keep this collection. An unknown database (empty) matches no pattern."""
        known = self.databases.keeps(database) if database else not self.databases.include
        return known and self.collections.keeps(collection)


class Labels(Section):
    """How much of a source and of a failure reason becomes a label. Both are made safe first."""

    source: v.SourceLabel = setting("path", "`path`, `bucket` (scheme and bucket or host), or `none`.", metavar="WORD")
    failure_reason: v.ReasonLabel = setting("safe", "`safe` (one line, secrets taken out), or `none`.", metavar="WORD")


class Limits(Section):
    """How many series there can be. What is over a limit is folded and counted."""

    max_collections: v.Count = setting("1000", "Collections with job series of their own.", metavar="COUNT")
    max_sources: v.Count = setting("5", "Sources of one collection.", metavar="COUNT")
    max_outcomes: v.Count = setting("5000", "Collections whose outcomes are remembered.", metavar="COUNT")


class Override(Section):
    """How old the data of some collections may be."""

    database: v.OptionalPattern = None
    collection: v.OptionalPattern = None
    max_age: v.Age = Field()

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if self.database is None and self.collection is None:
            raise ValueError("is for every collection; name a database or a collection, or set freshness.max_age")
        return self

    def matches(self, database: str, collection: str) -> bool:
        """Whether both patterns match the whole name; a missing pattern matches everything."""
        return (self.database is None or self.database.matches(database)) and (
            self.collection is None or self.collection.matches(collection)
        )


class Freshness(Section):
    """How old the data of a collection may be before somebody should know."""

    max_age: v.Age = setting(
        None, "Age for every collection, or `none` for no promise and no alert.", metavar="DURATION"
    )
    overrides: Annotated[tuple[Override, ...], BeforeValidator(v.a_list)] = setting(
        (),
        "List of `{database, collection, max_age}`; the patterns match the whole name, the first match wins, and "
        "`max_age: none` takes the promise back.",
        file_only=True,
        shown_default="none",
    )

    def max_age_for(self, database: str, collection: str) -> float | None:
        """Return the seconds that this collection's data may be old, None without a promise."""
        for override in self.overrides:
            if override.matches(database, collection):
                return override.max_age
        return self.max_age


class Server(Section):
    """The mirror of Milvus's own settings, for rules and for what is remembered. Nothing is set in Milvus."""

    job_timeout: v.Duration = setting("1h", "When Milvus gives a job up.", metavar="DURATION")
    job_retention: v.Duration = setting("24h", "How long Milvus lists a job after its end.", metavar="DURATION")


class State(Section):
    """What is remembered between polls, and where it is kept."""

    path: v.StateFile = setting(
        None,
        "SQLite file that keeps what is remembered through restarts. Without it a restart begins from what Milvus "
        "still lists.",
        metavar="FILE",
    )
    history: v.Duration = setting(
        "30d",
        "How long ended jobs stay in the state file, where Milvus itself forgets after a day. At most a million stay.",
        metavar="DURATION",
    )
    forget_after: v.Duration = setting(
        "30d", "When to forget a collection that is neither listed nor known to exist.", metavar="DURATION"
    )


class Web(Section):
    """Where the metrics are served."""

    listen_address: v.Listens = setting(
        (":19540",), "`:19540`, `127.0.0.1:19540`, `[::1]:19540` or `unix:/path`; several allowed.", metavar="ADDRESS"
    )
    config_file: v.ReadableFile = setting(
        None,
        "TLS, client certificates, users and headers, in the format of Prometheus's exporter-toolkit: "
        "docs/web-config.md. Read again when it changes.",
        metavar="FILE",
    )
    telemetry_path: v.TelemetryPath = setting("/metrics", "Path of the metrics.", metavar="PATH")
    runbooks_url: v.WebAddress = setting(
        None, "Where docs/runbooks can be read: the job page and the API link there. Not set: no links.", metavar="URI"
    )

    @field_validator("listen_address")
    @classmethod
    def _each_once(cls, addresses: tuple[v.ListenAddress, ...]) -> tuple[v.ListenAddress, ...]:
        if not addresses:
            raise ValueError("is empty; name at least one address")
        if len({str(address) for address in addresses if address.path or address.port}) < sum(
            1 for address in addresses if address.path or address.port
        ):
            raise ValueError("names an address twice")
        return addresses


class Log(Section):
    """What goes to standard error."""

    level: v.LogLevel = setting("info", "`debug`, `info`, `warning` or `error`.", metavar="WORD")
    format: v.LogFormat = setting("text", "`text` or `json`.", metavar="WORD")


class Settings(Section):
    """Everything, checked and resolved."""

    config: Config = section(Config)
    milvus: Milvus = section(Milvus)
    poll: Poll = section(Poll)
    inventory: Inventory = section(Inventory)
    filters: Filters = section(Filters)
    labels: Labels = section(Labels)
    limits: Limits = section(Limits)
    freshness: Freshness = section(Freshness)
    server: Server = section(Server)
    state: State = section(State)
    web: Web = section(Web)
    log: Log = section(Log)
    shard: Shard = section(Shard)
    targets: dict[str, InstanceOf[Settings]] = setting(
        dict,
        "Several Milvus by name: a mapping from NAME to `milvus` and, where they differ from what is set for all of "
        "them, `poll`, `inventory`, `filters`, `labels`, `limits`, `freshness`, `server`. docs/many-milvus.md.",
        metavar="MAPPING",
        file_only=True,
        shown_default="none",
    )

    _file_is_empty: bool = PrivateAttr(default=False)

    def completed(self, targets: dict[str, Settings], *, file_is_empty: bool) -> Settings:
        """Return these settings with the targets, which are validated one by one, and what is known of the file."""
        settings = self.model_copy(update={"targets": targets})
        settings._file_is_empty = file_is_empty
        return settings

    @property
    def file_is_empty(self) -> bool:
        """Whether ``config.file`` is there and sets nothing."""
        return self._file_is_empty

    def by_target(self) -> Mapping[str, Settings]:
        """Return the settings of each Milvus to watch; the one without a name where there are no targets."""
        return self.targets or {"": self}

    def watches_like(self, other: Settings) -> bool:
        """Whether one Milvus would be watched in the same way by these and by other settings."""
        names = (*OF_ITS_OWN, "state")
        return all(getattr(self, name) == getattr(other, name) for name in names)
