"""What a collection, its running job and the exporter look like to Prometheus, for the cases beside this file."""

from __future__ import annotations

from collections.abc import Mapping

from rules.cases import Series, Values, given, stamp

from exporter.metrics import contract
from exporter.model import State

LONG = 36_000
"""A longest success of ten hours (seconds): nothing below is slow against it."""
REASON = 'IOError: Access Denied on "orders"'


EACH_MINUTE = {minute: stamp(minute) for minute in range(31)}
"""Good polls for half an hour."""


def collection(
    success: Values | None = None, failure: Values | None = None, max_age: Values | None = None, **labels: str
) -> tuple[Series, ...]:
    """What outlives Milvus's memory."""
    stamps = ((contract.LAST_SUCCESS, success), (contract.LAST_FAILURE, failure), (contract.MAX_AGE, max_age))
    return tuple(given(metric, values, **labels) for metric, values in stamps if values is not None)


def failure_info(values: Values = 1, **labels: str) -> Series:
    """Why the latest refresh failed."""
    shown = {"job_id": "42", "failure_class": "access_denied", "reason": REASON, **labels}
    return given(contract.LAST_FAILURE_INFO, values, **shown)


def job(
    states: Mapping[int, State | None],
    *,
    start: Values = 0,
    progress: Values = 0,
    change: Values = 0,
    longest: Values | None = None,
    **labels: str,
) -> tuple[Series, ...]:
    """The newest job: its state from which minute on, start and last change in epoch seconds."""
    place = {key: value for key, value in labels.items() if key not in ("job_id", "failure_class", "reason")}
    about = {
        key: labels.get(key, default) for key, default in (("job_id", "42"), ("failure_class", ""), ("reason", ""))
    }
    outcomes = {key: value for key, value in place.items() if key != "source"}
    flags = [
        given(
            contract.LAST_STATE,
            {minute: None if now is None else float(now is state) for minute, now in states.items()},
            state=state,
            **place,
        )
        for state in State
    ]
    there = {minute: None if now is None else 1 for minute, now in states.items()}
    return (
        *flags,
        given(contract.LAST_START, start, **place),
        given(contract.LAST_PROGRESS, progress, **place),
        given(contract.LAST_CHANGE, change, **place),
        given(contract.LAST_INFO, there, **about, **place),
        *([] if longest is None else [given(contract.LAST_SUCCESS_DURATION, longest, **outcomes)]),
    )


def named(milvus: str) -> tuple[str, dict[str, str]]:
    """Return how a text calls a Milvus, and the label of its target."""
    return (f"Milvus {milvus}", {"milvus": milvus}) if milvus else ("Milvus", {})
