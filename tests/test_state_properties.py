"""As in ``test_poll_properties.py``, with an exporter that is killed and stopped in between: nothing is different."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

from builders import Watch
from hypothesis import strategies as st
from hypothesis.stateful import rule
from test_poll_properties import _STEADY, CollectionsComeAndGo, NothingIsDropped

from exporter.errors import StateUnwritable
from exporter.ledger import Memory, StateFile, read_state
from exporter.ledger.records import ended_to_row, header_of, outcomes_to_json


def content(memory: Memory) -> tuple[Any, ...]:
    """Return what of a memory is written."""
    return (
        header_of(memory),
        {collection: outcomes_to_json(outcomes) for collection, outcomes in memory.outcomes.items()},
        memory.databases,
        {job_id: ended_to_row(ended) for job_id, ended in memory.ended.items()},
    )


class _Restarted:
    """The rules of a life with a state file; mixed into those of ``test_poll_properties.py``."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="state-"))
        self.watch.__exit__()
        self._watch()

    def _watch(self) -> None:
        self.watch = Watch(self.milvus, state=self.folder / "state.db")
        report = self.watch.corridor._report
        tell = report.ended
        report.ended = lambda counted: (self.told.update(e.job.job_id for e in counted), tell(counted))  # type: ignore[assignment, method-assign, func-returns-value]

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        self.watch.killed() if killed else self.watch.__exit__()
        # What could not be written is counted again, and so told again.
        kept = read_state(self.folder / "state.db")
        self.told = Counter({id_: n for id_, n in self.told.items() if kept and id_ in kept.ended})
        self._watch()

    @rule()
    def poll_that_cannot_write(self) -> None:
        with patch.object(StateFile, "_ready", side_effect=StateUnwritable("full")):
            self.watch.poll(every=2.0)

    @rule()
    def poll_killed_before_it_publishes(self) -> None:
        self.watch.store.publish = lambda *_: None  # type: ignore[method-assign]
        self.watch.poll(every=2.0)
        self.restart(killed=True)

    def settle(self) -> None:
        super().settle()
        # A save leaves the file as memory is, whatever has failed and been restored before.
        kept = read_state(self.folder / "state.db")
        assert kept is not None
        assert content(kept) == content(self.watch.memory)


class NothingIsDroppedOverRestarts(_Restarted, NothingIsDropped):
    pass


class CollectionsComeAndGoOverRestarts(_Restarted, CollectionsComeAndGo):
    pass


TestNothingIsDroppedOverRestarts = NothingIsDroppedOverRestarts.TestCase
TestNothingIsDroppedOverRestarts.settings = _STEADY
TestCollectionsComeAndGoOverRestarts = CollectionsComeAndGoOverRestarts.TestCase
TestCollectionsComeAndGoOverRestarts.settings = _STEADY
