"""What polls write to the log: one line per change of outcome, one per job that ended in failure."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from exporter import errors
from exporter.ledger import Ended
from exporter.model import State
from exporter.store import PollOutcome

log = logging.getLogger("exporter.poll")


class Report:
    """Remembers the last outcome, so that nothing is said twice."""

    def __init__(self) -> None:
        self._last: tuple[bool, tuple[str, ...]] | None = None
        self._unwritten = False

    def poll(self, outcome: PollOutcome, error: errors.MilvusError | None) -> None:
        """Say how a poll went, when it went otherwise than the one before."""
        state = (outcome.up, outcome.kinds)
        if state == self._last:
            return
        self._last = state
        if error is None:
            log.info("poll succeeded")
        elif outcome.partial:
            log.warning("poll is partial, the whole listing is refused: %s", error, extra={"kind": error.kind})
        elif outcome.up:
            log.warning("poll succeeded, and leaves open whose jobs some are: %s", error, extra={"kind": error.kind})
        else:
            log.warning("poll failed: %s", error, extra={"kind": error.kind})

    def state(self, unusable: errors.StateUnusable | None) -> None:
        """Say when the state file can no longer be written, and when it can again."""
        if unusable is not None and not self._unwritten:
            log.error("the state file cannot be written, a restart would forget: %s", unusable)
        elif unusable is None and self._unwritten:
            log.info("the state file is written again")
        self._unwritten = unusable is not None

    def another_milvus(self) -> None:
        """Say that what was remembered is of no use."""
        log.warning(
            "another Milvus answers: it lists other jobs than the one that was remembered. Starting over with an empty "
            "memory; jobs that have ended so far are not counted"
        )

    def ended(self, counted: Iterable[Ended]) -> None:
        """Name each job that has ended in failure. Texts are safe: decode has seen to it."""
        for ended in counted:
            if ended.job.state is State.FAILED:
                log.info(
                    "refresh failed",
                    extra={
                        "database": ended.collection.database,
                        "collection": ended.collection.name,
                        "job_id": ended.job.job_id,
                        "failure_class": str(ended.job.failure_class),
                        "reason": ended.job.reason,
                    },
                )
