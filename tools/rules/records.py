"""Recording rules, in groups by what they are about. None reads another of its own group: which would be first?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.metrics import contract
from exporter.metrics.contract import PREFIX
from exporter.model import State
from rules.model import Group, Record, duration
from rules.promql import LEADER, indent, known, leading, merged, over, place, target

if TYPE_CHECKING:
    from exporter.metrics.contract import Metric
    from rules.parameters import Parameters

LAST_SUCCESS: Final = f"collection:{contract.LAST_SUCCESS.name}:remembered"
LAST_FAILURE: Final = f"collection:{contract.LAST_FAILURE.name}:remembered"
FAILURE: Final = f"collection:{contract.LAST_FAILURE_INFO.name}:newest"
AGE: Final = f"collection:{PREFIX}age_seconds:min"
FRESH: Final = f"collection:{PREFIX}fresh:bool"
STALE: Final = f"collection:{PREFIX}stale_age_seconds:cause"
FAILING: Final = f"collection:{PREFIX}failing_since_timestamp_seconds:cause"
ELAPSED: Final = f"collection:{PREFIX}job_elapsed_seconds:max"
STILL: Final = f"collection:{PREFIX}job_progress_age_seconds:min"
WAITING: Final = f"collection:{PREFIX}job_pending_seconds:max"
HOURLY: Final = f"collection:{PREFIX}success_duration_seconds:hourly"
LONGEST: Final = f"collection:{PREFIX}success_duration_seconds:longest"
UNRELIABLE: Final = f"collection:{PREFIX}failure_ratio:unreliable"

CAUSE: Final = ("source_root", "failure_class")
_ABOUT: Final = ("source", "source_root", "job_id", "failure_class", "reason")


def groups(p: Parameters) -> tuple[Group, ...]:
    """Return the groups of records, each before those that read it."""
    return (
        Group("milvus-refresh-replicas", (_leader(p),)),
        Group(
            "milvus-refresh-memory",
            (
                _remembered(p, LAST_SUCCESS, contract.LAST_SUCCESS),
                _remembered(p, LAST_FAILURE, contract.LAST_FAILURE),
                _failure(p),
            ),
            p.collections_interval,
        ),
        Group("milvus-refresh-freshness", (*_freshness(p), _stale(p), _failing(p)), p.collections_interval),
        Group("milvus-refresh-running", (_elapsed(p), _still(p), _waiting(p)), p.collections_interval),
        Group("milvus-refresh-hourly", (_hourly(p),), p.baseline_interval),
        Group("milvus-refresh-history", (_longest(p), _unreliable(p)), p.history_interval),
    )


def longest_known(p: Parameters) -> str:
    """Return the baseline as alerts read it, whose evaluations come more often."""
    return f"max by {place(p)} ({over('last_over_time', LONGEST, p.baseline_lasts)})"


def running(p: Parameters, record: str) -> str:
    """Return a record on running jobs and, while those are not seen, what was known last.

    Job series are withheld while our data is too old, and nobody has them while the exporter is away.
    """
    return _while_seen(p, known(p, record), record)


def progress(p: Parameters) -> str:
    """Return the progress of the newest job, and as long as :func:`running` what was known last."""
    return _while_seen(p, leading(p, contract.LAST_PROGRESS), contract.LAST_PROGRESS.name)


def _while_seen(p: Parameters, now: str, name: str) -> str:
    seen = f"min by {target(p)} ({over('last_over_time', contract.STALE.name, p.gap)}) == 0"
    before = over("last_over_time", name, p.memory)
    return f"(\n  {now}\n  or\n  max by {place(p)} ({before} unless on {target(p)} ({seen}))\n)"


def _leader(p: Parameters) -> Record:
    polled = over("last_over_time", contract.LAST_POLL_SUCCESS.name, p.gap)
    expr = f"""\
max by {target(p, p.replica)} ({polled})
  == on {target(p)} group_left ()
max by {target(p)} ({polled})"""
    why = "Of two replicas, the one whose good poll is the newest tells counts, states and reasons."
    return Record(LEADER, expr, why)


def _remembered(p: Parameters, name: str, metric: Metric) -> Record:
    away = over("last_over_time", metric.name, p.memory)
    expr = f"""\
{merged(p, metric)}
or
max by {place(p)} ({away} unless on {target(p)} {LEADER})
or
(
  max by {place(p)} ({over("last_over_time", name, p.memory)})
    > on {place(p)}
  (
    {merged(p, contract.CREATED)}
    or
    0 * {merged(p, contract.INFO)}
  )
)"""
    why = (
        "Known as long as the exporter tells it, for a while after it can no longer be asked, and where it has "
        "forgotten (without a state file, after a restart) as long as the collection exists and was not created again."
    )
    return Record(name, expr, why)


def _failure(p: Parameters) -> Record:
    why = "Why the latest refresh failed, as the leading replica says: what texts quote."
    return Record(FAILURE, _newest_failure(p, *_ABOUT), why)


def _newest_failure(p: Parameters, *about: str) -> str:
    """Return one info for each collection, also where two replicas that lead do not agree."""
    return f"topk by {place(p)} (1, {leading(p, contract.LAST_FAILURE_INFO, *about)})"


def _with_cause(p: Parameters, fact: str) -> str:
    return f"""\
(
  (
    {indent(fact, 4)}
  )
  * on {place(p)} group_left ({", ".join(CAUSE)})
  {_newest_failure(p, *CAUSE)}
)
or on {place(p)}
(
  {indent(fact)}
)"""


def _freshness(p: Parameters) -> tuple[Record, Record]:
    age = f"time() - {known(p, LAST_SUCCESS)}"
    return (
        Record(AGE, age, "How old the data of a collection is."),
        Record(
            FRESH,
            f"({age})\n  <= bool on {place(p)}\n{merged(p, contract.MAX_AGE, within=p.memory)}",
            "1 while the data is as fresh as promised. Its average over time is a freshness objective.",
        ),
    )


def _stale(p: Parameters) -> Record:
    limit = merged(p, contract.MAX_AGE, within=p.memory)
    fact = f"(time() - {known(p, LAST_SUCCESS)})\n  > on {place(p)}\n({limit} + {p.stale_margin})"
    why = "How old the data is, of collections whose data is too old, with what made the latest refresh fail."
    return Record(STALE, _with_cause(p, fact), why)


def _failing(p: Parameters) -> Record:
    fact = f"""\
{known(p, LAST_FAILURE)}
  > on {place(p)}
(
  {known(p, LAST_SUCCESS)}
  or
  0 * {known(p, LAST_FAILURE)}
)"""
    why = (
        "When the latest refresh failed, of collections where none has succeeded since, with the cause. Compares "
        "stamps and not states: a pipeline that fails, tries again and fails never leaves it, and a success alone "
        "clears it."
    )
    return Record(FAILING, _with_cause(p, fact), why)


def _active(p: Parameters) -> str:
    active = f'state=~"{State.PENDING}|{State.IN_PROGRESS}|{State.UNKNOWN}"'
    return f"{leading(p, contract.LAST_STATE, matchers=active, where='== 1')}"


def _running_for(p: Parameters) -> str:
    return f"(time() - {leading(p, contract.LAST_START)})\nand on {place(p)}\n{_active(p)}"


def _elapsed(p: Parameters) -> Record:
    return Record(ELAPSED, _running_for(p), "How long the active job of a collection has been running.")


def _still(p: Parameters) -> Record:
    return Record(
        STILL,
        f"(time() - {merged(p, contract.LAST_CHANGE)})\nand on {place(p)}\n{_active(p)}",
        "How long the progress of the running job has stood still, as far as any replica has seen it.",
    )


def _waiting(p: Parameters) -> Record:
    pending = f'state="{State.PENDING}"'
    expr = f"""\
(
  (time() - {leading(p, contract.LAST_START)}) > {p.pending}
  and on {place(p)}
  {leading(p, contract.LAST_STATE, matchers=pending, where="== 1")}
)
unless on {place(p)}
{leading(p, contract.LAST_PROGRESS, where="> 0")}"""
    why = "Pending for long with nothing done. A job of several tasks can fall back to pending with some of them done."
    return Record(WAITING, expr, why)


def _hourly(p: Parameters) -> Record:
    # A little more than an interval: a late evaluation must not lose the success that it would have noted.
    within = p.baseline_interval + p.gap
    noted = merged(p, contract.LAST_SUCCESS_DURATION, function="max_over_time", within=within)
    return Record(HOURLY, f"{noted} > 0", "A note of how long refreshes take: two weeks of these are quickly read.")


def _longest(p: Parameters) -> Record:
    expr = f"""\
max by {place(p)} (
  {over("max_over_time", HOURLY, p.baseline)}
  or
  {merged(p, contract.LAST_SUCCESS_DURATION)} > 0
)"""
    why = f"The longest successful refresh of the last {duration(p.baseline)}: what is slow is told by its own past."
    return Record(LONGEST, expr, why)


def _unreliable(p: Parameters) -> Record:
    def times(record: str) -> str:
        return f"max by {place(p)} ({over('changes', record, p.unreliable_within)})"

    failed, succeeded = times(LAST_FAILURE), times(LAST_SUCCESS)
    expr = f"""\
(
  ({failed} >= {p.unreliable_failures})
    / on {place(p)}
  ({failed} + on {place(p)} ({succeeded} >= {p.unreliable_successes}))
)
>= {p.unreliable_ratio}"""
    why = (
        f"The share of refreshes that failed in the last {duration(p.unreliable_within)}, where some failed and some "
        f"did not: each failure by itself would be told and taken back for ever."
    )
    return Record(UNRELIABLE, expr, why)
