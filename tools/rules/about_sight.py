"""Alerts on our own sight: without them silence would look like health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.metrics import contract
from rules.model import Alert, duration
from rules.promql import indent, merged, over, target
from rules.texts import FOR_HOW_LONG, MILVUS

if TYPE_CHECKING:
    from rules.parameters import Parameters

_JOB: Final = "{{ with $labels.job }} (job {{ . }}){{ end }}"


def alerts(p: Parameters) -> tuple[Alert, ...]:
    """Return the alerts of this module."""
    return _exporter_down(p), _target_gone(p), _data_outdated(p), _replica_blind(p)


def _up(p: Parameters) -> str:
    return f'up{{job=~"{p.jobs}"}}'


def _scraped(p: Parameters, *more: str) -> str:
    """Return the share of good scrapes of the best target, of those that are targets now."""
    return f"max by {target(p, *more)} ({over('avg_over_time', _up(p), p.scrapes_within)} and {_up(p)})"


def _exporter_down(p: Parameters) -> Alert:
    never = over("absent_over_time", _up(p), p.targets_within)
    return Alert(
        name="MilvusExternalRefreshExporterDown",
        expr=f"{_scraped(p)} < {p.scrapes_good}\nor\n{never}",
        severity="critical",
        summary=f"The exporter of {MILVUS} is down",
        description=(
            f"Prometheus cannot scrape the exporter of {MILVUS}{_JOB}, or only every now and then: its refresh jobs "
            f"are not watched, and what is told of them is as of before. It is down, restarts again and again, or "
            f"cannot be reached."
        ),
        why=(
            "The share of scrapes and not the last one: an exporter that comes and goes is down too, and one lost "
            "scrape is nothing."
        ),
        hold=p.down_for,
        of_collection=False,
    )


def _target_gone(p: Parameters) -> Alert:
    before = over("last_over_time", _up(p), p.targets_within)
    return Alert(
        name="MilvusExternalRefreshTargetGone",
        expr=f"group by {target(p)} ({before})\nunless on {target(p)}\n{_up(p)}",
        severity="critical",
        summary=f"{MILVUS} is no longer a target of Prometheus",
        description=(
            f"{MILVUS}{_JOB} was scraped within the last "
            f"{duration(p.targets_within)} and is no target now: its refresh jobs are not watched, and no other alert "
            f"on them can fire. Was it removed on purpose, silence this: it ends by itself."
        ),
        why="What is not a target is not down either. Gone from /sd, from the configuration or from Kubernetes.",
        hold=p.blind_for,
        of_collection=False,
    )


def _limit(p: Parameters) -> str:
    return f"clamp_min({p.missed_polls} * {merged(p, contract.INTERVAL, within=p.memory)}, {p.outdated_floor})"


def _polled(p: Parameters, *keep: str) -> str:
    return merged(p, contract.LAST_POLL_SUCCESS, *keep, function="max_over_time", within=p.memory)


def _outdated(p: Parameters) -> str:
    return f"time() - ({_polled(p)} > 0)\n  > on {target(p)}\n{_limit(p)}\nor\n{_polled(p)} == 0"


def _data_outdated(p: Parameters) -> Alert:
    since = f"The last good poll was {FOR_HOW_LONG} ago{{{{ else }}}}No poll has been good in the last hour"
    return Alert(
        name="MilvusExternalRefreshDataOutdated",
        expr=_outdated(p),
        severity="critical",
        summary=f"The refresh jobs of {MILVUS} are not watched: the exporter's data is outdated",
        description=(
            f"{{{{ if $value }}}}{since}{{{{ end }}}}: {MILVUS} is down, does not answer or refuses the "
            f"exporter. Running jobs are not watched, and what is shown of failures and ages is as of then."
        ),
        why=(
            "One alert for every way to be blind. The newest good poll of the last hour counts: a restart in an outage "
            "forgets it. 0 means that there has been none, not one in 1970."
        ),
        hold=p.blind_for,
        of_collection=False,
    )


def _replica_blind(p: Parameters) -> Alert:
    both = target(p, p.replica)
    expr = f"""\
(
  (time() - {_polled(p, p.replica)})
    > on {target(p)} group_left ()
  {_limit(p)}
  and on {both}
  {_up(p)}
  unless on {target(p)}
  ({indent(_outdated(p))})
)
or on {both}
(
  {_scraped(p, p.replica)} < {p.scrapes_good}
  unless on {target(p)}
  {_scraped(p)} < {p.scrapes_good}
)"""
    return Alert(
        name="MilvusExternalRefreshReplicaBlind",
        expr=expr,
        severity="warning",
        summary=f"One replica of the exporter of {MILVUS} sees nothing",
        description=(
            f"The exporter at {{{{ $labels.instance }}}} cannot be scraped or gets no answer from {MILVUS}, while "
            f"another one does. Nothing is missed as long as that one works."
        ),
        why="Where one of two is blind all is well to look at, until the other one goes.",
        hold=p.blind_for,
        of_collection=False,
    )
