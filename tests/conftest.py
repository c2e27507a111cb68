"""What holds for every test: no settings from outside, and properties that do not fail for a slow machine."""

from __future__ import annotations

import logging
import os

import pytest
from hypothesis import settings
from peers.parts import FOLDER, generations

# gRPC's handlers for forks can end a child before it has become another program; no test forks to go on with gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def _not_of_another_loop(record: logging.LogRecord) -> bool:
    """Leave out what gRPC says when the end of a call reaches a later event loop than the call's own.

    All loops of a process share gRPC's queue. The exporter has one loop for life; a test process has had hundreds, and
    a call that one of them gave up would put its line into the output that another test reads.
    """
    return not record.getMessage().startswith("Exception in callback PollerCompletionQueue._handle_events(")


logging.getLogger("asyncio").addFilter(_not_of_another_loop)

# The same examples each time: what a run of CI says is about the change. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_report_header() -> list[str]:
    """Say which real parts the run will meet."""
    parts = sorted(path.parent.name for path in FOLDER.glob("*/.complete"))
    required = "required" if os.environ.get("MRE_REQUIRE_PARTS") == "1" else "optional"
    found = f"promtool of {', '.join(generations('promtool')) or 'nowhere'}; fetched: {', '.join(parts) or 'nothing'}"
    return [f"real parts ({required}): {found}"]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own MILVUS_URI must not reach a test."""
    for name in [name for name in os.environ if name.startswith("MILVUS_")]:
        monkeypatch.delenv(name)
