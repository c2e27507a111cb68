"""One job record in our words: what it says that is impossible is repaired and named.

What Milvus's fields mean: docs/milvus.md, "Impossible values".
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Final

from exporter.milvus.names import LONGEST, cut
from exporter.milvus.pb import milvus_refresh_pb2 as pb
from exporter.milvus.reasons import classify, strip_wrappers
from exporter.milvus.records import Record, row_of
from exporter.model import FailureClass, Job, Problem, State
from exporter.redaction import SourceStyle, safe_reason, safe_source
from exporter.texts import ReasonStyle

_STATES: Final[dict[int, State]] = {
    pb.RefreshPending: State.PENDING,
    pb.RefreshInProgress: State.IN_PROGRESS,
    pb.RefreshCompleted: State.COMPLETED,
    pb.RefreshFailed: State.FAILED,
}
ENDED: Final = frozenset({int(pb.RefreshCompleted), int(pb.RefreshFailed)})
# Host clocks differ by seconds, in bad cases by hours (`exporter/ledger/stamps.py` caps what is ahead). A stamp further
# ahead than this is not a time.
_MAX_AHEAD_SECONDS: Final = 86_400.0
_MAX_KEPT_CHARS: Final = 1024
"""Longer texts are cleaned each time: what is kept must stay small."""
_MAX_UNWRAPPED_CHARS: Final = 8192
"""Wrappers stand at the head of a reason, and real reasons have at most about 4 KiB."""
_MAX_KEPT: Final = 16_384
"""Texts that have been cleaned, of each kind."""
Sources = dict[str, str]
"""What a decoder keeps of sources: the clean one by the one that Milvus gave. All in one style."""


def translated(
    record: Record,
    job_id: int,
    now: float,
    found: list[Problem],
    styles: tuple[SourceStyle, ReasonStyle],
    *,
    sources: Sources,
) -> Job:
    """Return the job of a record, and add to ``found`` what had to be repaired. ``now`` in epoch seconds."""
    number, percent, started, ended, reason, name, source = row_of(record)
    if not job_id:
        found.append(Problem.MISSING_JOB_ID)
    if len(name) > LONGEST:
        found.append(Problem.NAME_TOO_LONG)
        name = cut(name)
    state = _STATES.get(number)  # an open enum: any int32 can stand here
    if state is None:
        found.append(Problem.UNKNOWN_STATE)
        state = State.UNKNOWN
    latest = (now + _MAX_AHEAD_SECONDS) * 1000
    start = started / 1000 if 0 < started <= latest else _stamp(started, now, found)
    end: float | None = None
    if state is State.COMPLETED and 0 < started <= ended <= latest:  # as nearly all
        end = ended / 1000
    elif ended:
        end = _end(ended, start, state, now, found)
    # An impossible end is no missing one: nobody will write it anew, so there is nothing to wait for.
    unwritten = not ended and not reason and state is State.FAILED
    # Milvus may be about to write the end of a half-written one; the ledger tells when it has not.
    if not ended and state.ended and not unwritten:
        found.append(Problem.ENDED_WITHOUT_END_TIME)
    source_style, reason_style = styles
    return Job(
        job_id,
        sys.intern(name),  # of one collection many jobs are remembered
        state,
        _RATIOS[percent] if 0 <= percent <= 100 else _repaired(percent, found),  # noqa: PLR2004
        sources.get(source) or clean_source(source, source_style, sources),
        start,
        end,
        _class(reason) if state is State.FAILED or (reason and not state.ended) else None,
        _reason(reason) if reason and reason_style == "safe" else "",
        unwritten,
    )


_RATIOS: Final = tuple(percent / 100 for percent in range(101))
"""Made once: most jobs stand at the same few."""


def _repaired(percent: int, found: list[Problem]) -> float:
    found.append(Problem.PROGRESS_OUT_OF_RANGE)
    return 0.0 if percent < 0 else 1.0


def _stamp(milliseconds: int, now: float, found: list[Problem]) -> float | None:
    """Return epoch seconds; None for 0, which is "not set", and for what cannot be a time."""
    if milliseconds == 0:
        return None
    if milliseconds < 0:
        found.append(Problem.NEGATIVE_TIME)
        return None
    seconds = milliseconds / 1000
    if seconds > now + _MAX_AHEAD_SECONDS:
        found.append(Problem.TIME_OUT_OF_RANGE)
        return None
    return seconds


def _end(milliseconds: int, start: float | None, state: State, now: float, found: list[Problem]) -> float | None:
    if not state.ended:
        # A state that is newer than us may well be one that ends.
        if milliseconds != 0 and state is not State.UNKNOWN:
            found.append(Problem.ACTIVE_WITH_END_TIME)
        return None
    end = _stamp(milliseconds, now, found)
    if end is not None and start is not None and end < start:
        found.append(Problem.END_BEFORE_START)
        return start
    return end


def clean_source(raw: str, style: SourceStyle, kept: Sources) -> str:
    """Return a source without what is secret; the jobs of one collection name one source, which is cleaned once."""
    known = kept.get(raw)
    if known is not None:
        return known
    source = safe_source(raw, style)
    if len(raw) > _MAX_KEPT_CHARS:
        return source
    source = sys.intern(raw if source == raw else source)  # one object, also with what the inventory has
    if len(kept) >= _MAX_KEPT:
        kept.clear()
    kept[source if source == raw else raw] = source
    return source


# A collection that keeps failing gives one reason: each is cleaned once.
_once_each = lru_cache(maxsize=_MAX_KEPT)


def clean_reason(raw: str) -> str:
    """Return a reason without its wrappers, which say how often Milvus tried, and without what is secret."""
    inner, _ = strip_wrappers(raw[:_MAX_UNWRAPPED_CHARS])
    return safe_reason(inner + raw[_MAX_UNWRAPPED_CHARS:])


_cleaned, _classified = _once_each(clean_reason), _once_each(classify)


def _reason(raw: str) -> str:
    return (_cleaned if len(raw) <= _MAX_KEPT_CHARS else clean_reason)(raw)


def _class(raw: str) -> FailureClass:
    return (_classified if len(raw) <= _MAX_KEPT_CHARS else classify)(raw)
